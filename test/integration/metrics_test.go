/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	operatorec2 "github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// scraper reads an operator's metrics as Prometheus does, and remembers which have
// moved.
type scraper struct {
	t       *testing.T
	address string
	// samples are the values by series, as in ip_pools{policy="a"}, of the last scrape.
	samples map[string]float64
	moved   map[string]bool
}

// suffixes are what histograms add to their name.
var suffixes = regexp.MustCompile(`_(bucket|sum|count)$`)

func (m *scraper) scrape() error {
	request, err := http.NewRequestWithContext(m.t.Context(), http.MethodGet, "http://"+m.address+"/metrics", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	samples := map[string]float64{}
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		series, text, found := cutLast(lines.Text())
		if strings.HasPrefix(series, "#") || !found {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return err
		}
		samples[series] = value
		if value != m.samples[series] {
			name, _, _ := strings.Cut(series, "{")
			m.moved[suffixes.ReplaceAllString(name, "")] = true
		}
	}
	m.samples = samples
	return differ("/metrics", response.StatusCode, http.StatusOK)
}

func cutLast(line string) (before, after string, found bool) {
	at := strings.LastIndexByte(line, ' ')
	if at < 0 {
		return line, "", false
	}
	return line[:at], line[at+1:], true
}

// sum adds up the series of a metric that have these labels, as in type="shared".
func (m *scraper) sum(metric string, labels ...string) (total float64) {
	for series, value := range m.samples {
		name, rest, _ := strings.Cut(series, "{")
		if name == metric && lacking(rest, labels) == "" {
			total += value
		}
	}
	return total
}

// reaches waits until the sum of a metric's series is at least this.
func (m *scraper) reaches(want float64, metric string, labels ...string) {
	m.t.Helper()
	eventually(m.t, fmt.Sprintf("%s%v reaches %g", metric, labels, want), func() error {
		if err := m.scrape(); err != nil {
			return err
		}
		return first(differ("sum "+fmt.Sprint(m.sum(metric, labels...)), m.sum(metric, labels...) >= want, true))
	})
}

// is waits until the sum of a metric's series is this.
func (m *scraper) is(want float64, metric string, labels ...string) {
	m.t.Helper()
	eventually(m.t, fmt.Sprintf("%s%v is %g", metric, labels, want), func() error {
		if err := m.scrape(); err != nil {
			return err
		}
		return differ("sum", m.sum(metric, labels...), want)
	})
}

// documented are the metrics that docs/metrics.md lists.
func documented(t *testing.T) []string {
	t.Helper()
	root, err := controlplane.RepositoryRoot()
	assert.NilError(t, err)
	page, err := os.ReadFile(filepath.Join(root, "docs", "metrics.md"))
	assert.NilError(t, err)
	var names []string
	for _, match := range regexp.MustCompile("(?m)^\\| `([a-z_0-9]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		names = append(names, match[1])
	}
	assert.Assert(t, len(names) > 50, "only %d", len(names))
	return names
}

// elsewhere are the metrics that need what this story has not, and where they are
// seen to move.
var elsewhere = map[string]string{
	"eni_addresses_lost_total":                "pkg/metrics, pkg/events: an address that others took",
	"eni_operator_kubernetes_conflicts_total": "pkg/store: another writer at the same moment",
	"eni_operator_ec2_queue_length":           "pkg/metrics: a fleet",
	"eni_operator_fenced_writes_total":        "pkg/election: a lease that is not renewed",
	"eni_doubtful_addresses":                  "pkg/metrics, pkg/inventory: an address on two ENIs",
	"eni_growth_refused":                      "pkg/metrics, controllers/eni: a full subnet",
	"eni_operator_events_queue_length":        "pkg/metrics: a subscriber that is slow",
	"eni_operator_events_dropped_total":       "pkg/metrics: a subscriber that is stuck",
}

// everyMetricMoves is an operator's life, with all that a person looks at a graph or
// a trace for.
func everyMetricMoves(t *testing.T) {
	w := newWorldApart(t, sharedTimings())
	m := &scraper{t: t, address: freeAddress(t), moved: map[string]bool{}}
	spans := startCollector(t)
	o := startOperatorWith(t, w, w.http.URL, spans.environment(), "--metrics-bind-address="+m.address, "--metrics-secure=false", "--per-node-metrics",
		"--snapshot-path="+filepath.Join(t.TempDir(), "snapshot.db"), "--gc-grace=1s", "--node-gone-grace=1s", "--lease-grace=1s")
	o.awaitReady()
	s := w.tell(t, "metrics")

	t.Log("Create")
	node, _ := s.machine("m5.large")
	early := s.claimOn(node, "web", v1alpha1.ModeShared)
	s.create(early)
	s.awaitPending(early, v1alpha1.ReasonNoPool)
	policy := s.policy(sharing(2, 6), exclusive(1, 1))
	s.create(policy)
	s.awaitReady(node)
	s.awaitBound(early)
	for _, kind := range []string{`type="shared"`, `type="exclusive"`} {
		m.is(1, "eni_creation_seconds_count", kind)
		m.is(1, "eni_creation_attempts_total", kind)
		m.is(1, "eni_observations_until_ready_count", kind)
		m.is(1, "eni_interfaces", kind, `state="Attached"`, `ready="true"`)
	}
	m.is(2, "eni_state_seconds_count", `state="Creating"`)
	m.is(1, "ip_pool_setup_seconds_count")
	m.is(1, "ip_pools", `policy="metrics"`, `ready="true"`, `zone="`+zoneA+`"`)
	m.is(2, "ip_pool_enis")
	m.is(1, "ip_pool_allocated", `mode="shared"`)
	m.is(1, "ip_pool_node_allocated", `mode="shared"`, `node="`+node+`"`)
	m.is(1, "ip_pool_capacity", `mode="exclusive"`)
	m.is(1, "eni_claim_bind_seconds_count", `mode="shared"`)
	m.is(1, "eni_claims", `phase="Bound"`)
	m.is(1, "eni_operator_leader")
	m.is(2, "eni_operator_ec2_call_seconds_count", `action="CreateNetworkInterface"`)
	m.is(2, "eni_operator_ec2_wait_seconds_count", `action="CreateNetworkInterface"`)
	m.reaches(1, "eni_operator_ec2_batch_keys_count", `action="DescribeInstances"`)
	m.reaches(2, "eni_operator_inventory_size", `kind="enis"`)
	m.reaches(2, "eni_operator_audits_total", `outcome="ok"`)
	m.reaches(1, "eni_operator_snapshot_saves_total", `outcome="ok"`)
	m.reaches(200, "eni_subnet_free_addresses", `subnet="`+s.home.id+`"`)
	m.reaches(10, "eni_operator_events_delivered_total", `subscriber="metrics"`)
	m.is(0, "eni_operator_ec2_throttles_total")

	t.Log("Throttle")
	updates := m.sum("ip_pool_update_seconds_count")
	s.disturb(emulator.Fault{Action: "AssignPrivateIpAddresses", Code: "RequestLimitExceeded", Status: http.StatusServiceUnavailable, Count: 2})
	s.update(policy, func() { policy.Spec.Shared.MinimumIPs = 5 })
	m.is(2, "eni_operator_ec2_throttles_total", `action="AssignPrivateIpAddresses"`)
	m.is(2, "eni_operator_ec2_errors_total", `action="AssignPrivateIpAddresses"`, `code="RequestLimitExceeded"`)
	assert.Assert(t, m.sum("eni_operator_ec2_rate_limit", `action="AssignPrivateIpAddresses"`) < 5, "nothing slowed down")
	m.is(5, "ip_pool_capacity", `mode="shared"`)
	m.reaches(updates+1, "ip_pool_update_seconds_count")

	t.Log("Failure, and recovery")
	s.disturb(emulator.Fault{Action: "CreateNetworkInterface", Code: "InsufficientFreeAddressesInSubnet", Status: http.StatusBadRequest, Count: 1})
	failing, instance := s.machine("m5.large")
	m.reaches(1, "eni_creation_errors_total", `code="InsufficientFreeAddressesInSubnet"`)
	m.reaches(1, "eni_failures_total", `reason="SubnetExhausted"`)
	s.awaitReady(failing)
	m.is(2, "eni_creation_seconds_count", `type="shared"`)
	m.is(2, "ip_pool_setup_seconds_count")
	m.is(2, "ip_pools", `ready="true"`)

	t.Log("Exhaustion")
	claims := s.bind(node, v1alpha1.ModeShared, "b", "c", "d", "e", "f")
	waits := s.claimOn(node, "waits", v1alpha1.ModeShared)
	s.create(waits)
	m.is(1, "eni_claims_waiting", `mode="shared"`, `reason="PoolAtMaximum"`)
	m.is(1, "ip_pool_pending", `mode="shared"`)
	m.is(1, "ip_pool_node_pending", `node="`+node+`"`)
	m.reaches(1, "eni_claims_waiting_oldest_seconds", `mode="shared"`)
	s.remove(t.Context(), waits)
	m.is(0, "ip_pool_pending")

	t.Log("A lease runs out, a node goes, somebody takes tags away, ENIs leak")
	s.bindLeased(failing, "leased", v1alpha1.ModeShared, time.Second)
	m.is(1, "eni_claims_expired_total", `mode="shared"`)
	s.bind(failing, v1alpha1.ModeShared, "lost")
	s.terminate(t.Context(), instance)
	s.unregister(failing)
	m.is(1, "eni_claims_lost_total", `mode="shared"`)
	m.is(1, "ip_pools")
	differences := m.sum("eni_operator_audit_differences_total")
	_, err := s.DeleteTags(t.Context(), &ec2.DeleteTagsInput{
		Resources: []string{s.resourcesOf(node, v1alpha1.ModeShared)[0].Status.NetworkInterfaceID},
		Tags:      []ec2types.Tag{{Key: aws.String(operatorec2.TagName)}},
	})
	assert.NilError(t, err)
	m.reaches(differences+1, "eni_operator_audit_differences_total")
	attachment := s.leak()
	m.is(1, "eni_operator_attached_orphan_enis")
	_, err = s.DetachNetworkInterface(t.Context(), &ec2.DetachNetworkInterfaceInput{AttachmentId: &attachment})
	assert.NilError(t, err)
	m.is(1, "eni_operator_leaked_enis")
	m.is(1, "eni_operator_leaked_enis_deleted_total")

	t.Log("Shrink")
	for _, claim := range claims {
		s.remove(t.Context(), claim)
	}
	m.reaches(1, "ip_pool_cooling", `mode="shared"`)
	addresses, enis := m.sum("ip_pool_evicted_addresses_total"), m.sum("ip_pool_evicted_enis_total")
	s.update(policy, func() {
		policy.Spec.Shared.MinimumIPs, policy.Spec.Exclusive.Minimum = 1, 0
		policy.Spec.Shared.IdleReleaseAfter = &metav1.Duration{}
	})
	m.reaches(addresses+4, "ip_pool_evicted_addresses_total")
	m.is(enis+1, "ip_pool_evicted_enis_total")
	m.is(0, "ip_pool_capacity", `mode="exclusive"`)
	m.is(1, "ip_pool_capacity", `mode="shared"`)

	t.Log("Delete")
	s.end()
	m.is(0, "eni_interfaces")
	m.is(0, "ip_pools")
	m.reaches(4, "eni_state_seconds_count", `state="Attached"`)
	m.reaches(1, "eni_state_seconds_count", `state="Deleting"`)

	for _, name := range documented(t) {
		if elsewhere[name] == "" {
			assert.Check(t, m.moved[name], "%s never moved", name)
		}
	}
	assert.NilError(t, o.process.Stop())
	checkTraces(t, s, spans.collected(t), o.log())
}

// leak makes an ENI as this operator would, that nobody stands for, and attaches
// it to an instance of no node.
func (s *scenario) leak() (attachmentID string) {
	s.t.Helper()
	made, err := s.CreateNetworkInterface(s.t.Context(), &ec2.CreateNetworkInterfaceInput{
		SubnetId: &s.home.id, TagSpecifications: tagged(ec2types.ResourceTypeNetworkInterface, operatorec2.Ownership{
			Cluster: clusterName, ClusterUID: s.UID, Name: "leaked", UID: "no-such-resource", Node: "node",
			CreatedAt: time.Now().Add(-time.Hour), DeletionPolicy: "Delete",
		}.Tags(nil)),
	})
	assert.NilError(s.t, err)
	instance := s.launch("t3.medium", s.home)
	eventually(s.t, "it is attached", func() error {
		attached, err := s.AttachNetworkInterface(s.t.Context(), &ec2.AttachNetworkInterfaceInput{
			NetworkInterfaceId: made.NetworkInterface.NetworkInterfaceId, InstanceId: &instance, DeviceIndex: aws.Int32(1),
		})
		if err == nil {
			attachmentID = aws.ToString(attached.AttachmentId)
		}
		return err
	})
	return attachmentID
}
