/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package prometheus holds the alerts and the dashboard to what Prometheus and the
// operator know, by Prometheus' own parser and engine.
package prometheus

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"gotest.tools/v3/assert"
	"sigs.k8s.io/yaml"
)

const root = "../.."

var promQL = parser.NewParser(parser.Options{})

// alerts are the rules as Prometheus loads them.
func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "config", "prometheus", "prometheus_rule.yaml"))
	assert.NilError(t, err)
	var object struct{ Spec map[string]any }
	assert.NilError(t, yaml.Unmarshal(content, &object))
	spec, err := yaml.Marshal(object.Spec)
	assert.NilError(t, err)
	groups, errs := rulefmt.Parse(spec, false, model.UTF8Validation, promQL, slog.Default())
	assert.Equal(t, len(errs), 0, "%v", errs)
	var all []rulefmt.Rule
	for _, group := range groups.Groups {
		all = append(all, group.Rules...)
	}
	assert.Assert(t, len(all) > 0)
	return all
}

// metric is what docs/metrics.md says of one.
type metric struct {
	kind   string
	labels []string
}

// metrics are the operator's, and those of others that we use.
func metrics(t *testing.T) map[string]metric {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", "metrics.md"))
	assert.NilError(t, err)
	all := map[string]metric{
		// controller-runtime and client-go.
		"workqueue_depth": {"gauge", []string{"name", "controller", "priority"}},
		"controller_runtime_reconcile_errors_total": {"counter", []string{"controller"}},
		// The API server.
		"apiserver_admission_webhook_rejection_count": {"counter", []string{"name", "operation", "type", "error_type", "rejection_code"}},
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z_0-9]+)` \\| ([a-z]+) \\| ([a-z, ]*) \\|")
	for _, match := range row.FindAllStringSubmatch(string(page), -1) {
		all[match[1]] = metric{match[2], strings.FieldsFunc(match[3], func(r rune) bool { return r == ',' || r == ' ' })}
	}
	assert.Assert(t, len(all) > 50, "docs/metrics.md lists %d", len(all))
	return all
}

// fromTheScrape are the labels that Prometheus adds to all series.
var fromTheScrape = []string{"__name__", "instance", "job", "namespace", "pod", "container", "service", "endpoint"}

// check parses a query, and holds its metrics and labels to what there is.
func check(t *testing.T, known map[string]metric, query string) {
	t.Helper()
	expression, err := promQL.ParseExpr(query)
	assert.NilError(t, err, "%s", query)
	allowed := slices.Clone(fromTheScrape)
	selectors := 0
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		selectors++
		m, has := known[selector.Name]
		if base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(selector.Name, "_bucket"), "_sum"), "_count"); !has {
			m, has = known[base]
			has = has && m.kind == "histogram"
			m.labels = append(slices.Clone(m.labels), "le")
		}
		assert.Assert(t, has, "%s: there is no metric %s", query, selector.Name)
		allowed = append(allowed, m.labels...)
		for _, matcher := range selector.LabelMatchers {
			assert.Assert(t, slices.Contains(append(m.labels, fromTheScrape...), matcher.Name), "%s: %s has no label %s", query, selector.Name, matcher.Name)
		}
		return nil
	})
	assert.Assert(t, selectors > 0, "%s asks for nothing", query)
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		if aggregate, ok := node.(*parser.AggregateExpr); ok {
			for _, label := range aggregate.Grouping {
				assert.Assert(t, slices.Contains(allowed, label), "%s: nothing has the label %s", query, label)
			}
		}
		return nil
	})
}

func TestAlertsAskForWhatThereIs(t *testing.T) {
	known := metrics(t)
	for _, rule := range alerts(t) {
		check(t, known, rule.Expr)
	}
}

// TestEveryAlertHasAPage, and every page an alert.
func TestEveryAlertHasAPage(t *testing.T) {
	var names []string
	for _, rule := range alerts(t) {
		names = append(names, rule.Alert)
		assert.Equal(t, rule.Annotations["runbook_url"],
			"https://github.com/eni-operator/eni-operator/blob/main/docs/runbooks/"+rule.Alert+".md")
		assert.Assert(t, rule.Annotations["summary"] != "", rule.Alert)
		assert.Assert(t, slices.Contains([]string{"warning", "critical"}, rule.Labels["severity"]), rule.Alert)
		page, err := os.ReadFile(filepath.Join(root, "docs", "runbooks", rule.Alert+".md"))
		assert.NilError(t, err)
		for _, part := range []string{"# " + rule.Alert + "\n", "**Meaning.**", "**Look.**", "**Do"} {
			assert.Assert(t, strings.Contains(string(page), part), "docs/runbooks/%s.md has no %q", rule.Alert, part)
		}
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "runbooks", "*.md"))
	assert.NilError(t, err)
	assert.Equal(t, len(pages), len(names), "%v", pages)
}

// panel is as much of Grafana's model as matters here.
type panel struct {
	Title   string
	Type    string
	Targets []struct{ Expr string }
	Panels  []panel
}

func TestDashboardAsksForWhatThereIs(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "config", "prometheus", "dashboard.json"))
	assert.NilError(t, err)
	var dashboard struct{ Panels []panel }
	assert.NilError(t, json.Unmarshal(content, &dashboard))
	known, asked := metrics(t), ""
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			// As Grafana fills its variables in.
			query := strings.NewReplacer("$__rate_interval", "5m", "$policy", ".*").Replace(target.Expr)
			check(t, known, query)
			asked += query + "\n"
		}
	}
	for name := range known {
		if !strings.HasPrefix(name, "ip_pool_node_") && !strings.HasPrefix(name, "apiserver_") && name != "ip_pool_enis" {
			assert.Check(t, strings.Contains(asked, name), "no panel shows %s", name)
		}
	}
}

// story is what Prometheus has, and what it makes of it: one sample a minute.
type story struct {
	alert string
	// series are as promtool's unit tests have them.
	series string
	// fires is the labels of the alert after an hour and a half; "" if it is silent.
	fires string
	// summary is what it says then.
	summary string
}

var stories = []story{
	{"ENIPoolExhausted", `eni_claims_waiting{mode="shared",reason="PoolAtMaximum",pod="a"} 3+0x100
		eni_claims_waiting{mode="shared",reason="PoolAtMaximum",pod="b"} 3+0x100`, `mode="shared", reason="PoolAtMaximum"`,
		"3 shared claims wait for full pools (PoolAtMaximum)."},
	{"ENIPoolExhausted", `eni_claims_waiting{mode="shared",reason="PoolGrowing",pod="a"} 3+0x100`, "", ""},
	{"ENIClaimsWaiting", `eni_claims_waiting_oldest_seconds{mode="exclusive"} 0+60x100`, `mode="exclusive"`, "A claim for a whole ENI has waited for 1h 30m 0s."},
	{"ENIClaimsWaiting", `eni_claims_waiting_oldest_seconds{mode="shared"} 0 30 60 0 0+0x96`, "", ""},
	{"ENIsStuck", `eni_waiting_oldest_seconds{phase="deleting"} 0+60x100`, `phase="deleting"`, "An ENI has been deleting for 1h 30m 0s."},
	{"ENIsStuck", `eni_waiting_oldest_seconds{phase="creating"} 800+0x100`, "", ""},
	{"EC2Throttling", `eni_operator_ec2_throttles_total{action="AttachNetworkInterface"} 0+30x100
		eni_operator_ec2_call_seconds_count{action="AttachNetworkInterface"} 0+300x100`, `action="AttachNetworkInterface"`,
		"EC2 refuses 10% of the AttachNetworkInterface calls for its rate limit."},
	{"EC2Throttling", `eni_operator_ec2_throttles_total{action="AttachNetworkInterface"} 0+3x100
		eni_operator_ec2_call_seconds_count{action="AttachNetworkInterface"} 0+300x100`, "", ""},
	{"EC2Unauthorized", `eni_operator_ec2_errors_total{action="CreateTags",code="UnauthorizedOperation"} 0+1x100`, `action="CreateTags"`,
		"EC2 does not let the operator call CreateTags."},
	{"EC2Unauthorized", `eni_operator_ec2_errors_total{action="CreateTags",code="InternalError"} 0+1x100`, "", ""},
	{"ENIsLeaked", `eni_operator_leaked_enis 2+0x100`, "", "2 ENIs of this cluster belong to no resource, and are not being deleted."},
	{"ENIsLeaked", `eni_operator_leaked_enis 0+0x40 2+0x40 0+0x20`, "", ""},
	{"ENIsOrphanedOnInstances", `eni_operator_attached_orphan_enis 1+0x100`, "", "1 ENIs of this cluster are attached to instances and belong to no resource."},
	{"EC2NotTrusted", `eni_operator_ec2_trusted{pod="a"} 0+0x100
		eni_operator_ec2_trusted{pod="b"} 1+0x100`, "", "EC2 does not answer, or does not show what this cluster has there: the operator changes nothing."},
	{"EC2NotTrusted", `eni_operator_ec2_trusted{pod="a"} 1+0x100`, "", ""},
	{"ENIsLost", `eni_addresses_lost_total{pod="a"} 0+0x80 3+0x20`, "", "Addresses or whole ENIs were taken away in EC2 outside the operator."},
	{"ENIsLost", `eni_addresses_lost_total{pod="a"} 3+0x100`, "", ""},
	{"ENIAddressesDoubtful", `eni_doubtful_addresses{pod="a"} 2+0x100
		eni_doubtful_addresses{pod="b"} 2+0x100`, "", "2 addresses were seen on two ENIs and are not handed out."},
	{"ENIAddressesDoubtful", `eni_doubtful_addresses 0+0x80 2+0x5 0+0x20`, "", ""},
	{"ENIGrowthRefused", `eni_growth_refused{reason="SubnetExhausted",pod="a"} 4+0x100`, `reason="SubnetExhausted"`,
		"4 ENIs carry fewer addresses than they should, for lack of capacity in EC2 (SubnetExhausted)."},
	{"ENIGrowthRefused", `eni_growth_refused{reason="SubnetExhausted"} 4+0x5`, "", ""},
	{"ENIOperatorNoLeader", `eni_operator_leader{pod="a"} 0+0x100
		eni_operator_leader{pod="b"} 0+0x100`, "", "No replica of the ENI operator leads: ENIs and claims stand still."},
	{"ENIOperatorNoLeader", `up 1+0x100`, "", "No replica of the ENI operator leads: ENIs and claims stand still."},
	{"ENIOperatorNoLeader", `eni_operator_leader{pod="a"} 0+0x100
		eni_operator_leader{pod="b"} 1+0x100`, "", ""},
	{"ENIWebhookFailing", `apiserver_admission_webhook_rejection_count{name="venipool.networking.eni-operator.dev",error_type="calling_webhook_error"} 0+1x100`,
		`name="venipool.networking.eni-operator.dev"`, "Kubernetes cannot reach the webhook venipool.networking.eni-operator.dev: changes of our kinds are refused."},
	{"ENIWebhookFailing", `apiserver_admission_webhook_rejection_count{name="venipool.networking.eni-operator.dev",error_type="no_error"} 0+1x100`, "", ""},
	{"ENIWebhookFailing", `apiserver_admission_webhook_rejection_count{name="others.example.com",error_type="calling_webhook_error"} 0+1x100`, "", ""},
	{"SubnetNearlyFull", `eni_subnet_free_addresses{subnet="subnet-1",zone="a"} 90-1x80 9+0x20`, `subnet="subnet-1", zone="a"`, "Subnet subnet-1 in a has 9 free addresses."},
	{"SubnetNearlyFull", `eni_subnet_free_addresses{subnet="subnet-1",zone="a"} 40+0x100`, "", ""},
	{"ENIAuditStale", `eni_operator_inventory_age_seconds{pod="a"} 0+60x100
		eni_operator_inventory_age_seconds{pod="b"} 600+60x100`, "", "EC2 was last audited 1h 30m 0s ago."},
	{"ENIAuditStale", `eni_operator_inventory_age_seconds{pod="a"} 0+60x100
		eni_operator_inventory_age_seconds{pod="b"} 30+0x100`, "", ""},
	{"ENIEventsDropped", `eni_operator_events_dropped_total{subscriber="metrics"} 0+5x100`, `subscriber="metrics"`, "The subscriber metrics loses events."},
	{"ENIEventsDropped", `eni_operator_events_dropped_total{subscriber="stream"} 0+5x100`, "", ""},
}

// TestAlerts plays each story, minute by minute.
func TestAlerts(t *testing.T) {
	byName := map[string]rulefmt.Rule{}
	for _, rule := range alerts(t) {
		byName[rule.Alert] = rule
	}
	told := map[string]bool{}
	for n, s := range stories {
		rule, ok := byName[s.alert]
		assert.Assert(t, ok, s.alert)
		told[s.alert] = told[s.alert] || s.summary != ""
		t.Run(fmt.Sprintf("%s-%d", s.alert, n), func(t *testing.T) { play(t, rule, s) })
	}
	for name := range byName {
		assert.Check(t, told[name], "no story has %s fire", name)
	}
}

func play(t *testing.T, rule rulefmt.Rule, s story) {
	storage := promqltest.LoadedStorage(t, "load 1m\n  "+regexp.MustCompile(`\n\s+`).ReplaceAllString(s.series, "\n  "))
	engine := promqltest.NewTestEngine(t, false, 0, 100000)
	query := rules.EngineQueryFunc(engine, storage)
	expression, err := promQL.ParseExpr(rule.Expr)
	assert.NilError(t, err)
	alert := rules.NewAlertingRule(rule.Alert, expression, time.Duration(rule.For), 0,
		labels.FromMap(rule.Labels), labels.FromMap(rule.Annotations), labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
	for minute := range 91 {
		_, err := alert.Eval(context.Background(), 0, time.Unix(0, 0).Add(time.Duration(minute)*time.Minute), query, nil, 0)
		assert.NilError(t, err)
	}
	var firing []*rules.Alert
	for _, active := range alert.ActiveAlerts() {
		if active.State == rules.StateFiring {
			firing = append(firing, active)
		}
	}
	if s.summary == "" {
		assert.Equal(t, len(firing), 0, "%v", firing)
		return
	}
	assert.Equal(t, len(firing), 1)
	assert.Equal(t, firing[0].Annotations.Get("summary"), s.summary)
	own := labels.NewBuilder(firing[0].Labels).Del(labels.AlertName, "severity").Labels()
	assert.Equal(t, strings.Trim(own.String(), "{}"), s.fires)
}
