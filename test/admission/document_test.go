/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package admission

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/yaml"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/controlplane"
)

// row is a line of the document.
type row struct {
	kind, field, rule, layer, example, message string
}

const preamble = `# What is refused, and by whom

Every rule about the four kinds, with an example that breaks it and what is said then. The page is made by a test that sends each
example to a real API server, with the operator's webhooks behind it; ` + "`go test ./test/admission -run TestDocument -args -update`" + ` makes it anew.

Rules live as low as they can: in the **schema** what one field can tell, in **CEL** (rules of the schema, too) what several fields of
one object tell, or its change, in a **webhook** what takes other objects to see, and in the **reconciler** what only EC2 knows, or what two
requests that raced past admission made of it: there an object is taken, and the message stands in a condition. In the examples claims
shop/web and shop/router hold an address and an ENI on Node alpha, which policy general governs; CARRIER is the ENI that carries that address, HELD the
address, and OWN the ENI's own. A webhook that says *warning* takes
the object. Before its message the API server names the webhook. Types are checked for every field and are not listed; neither are fields
of ` + "`status`" + `, which the operator alone writes.

What admission leaves alone, also while no replica answers: statuses, claims that exist, the operator's own pools and ENIs when they are made and changed,
removals of finalizers, and the deletion of namespaces and Nodes. While no replica answers, or the one that answers cannot read what it takes (a warning
says so), edits of ENIs and the deletion of ENIs and pools are accepted too: what is in use then waits in the finalizer. Nothing that depends on another
object is defaulted, so there is no mutating webhook.
`

// TestDocument compares docs/validation.md with what the API server says.
func TestDocument(t *testing.T) {
	root, err := controlplane.RepositoryRoot()
	assert.NilError(t, err)
	kinds, err := schemas()
	assert.NilError(t, err)
	var text strings.Builder
	text.WriteString(preamble)
	for _, kind := range []string{"ENIPolicy", "ENIPool", "ElasticNetworkInterface", "ENIClaim"} {
		fmt.Fprintf(&text, "\n## %s\n\n", kind)
		if kind == "ENIPool" {
			text.WriteString("The fields that a pool has from its policy have the policy's rules.\n\n")
		}
		text.WriteString("| field | rule | where | an example that breaks it | what is said |\n|---|---|---|---|---|\n")
		rows := slices.Concat(schemaRows(t, kind, kinds), celRows(t, kind, kinds), hookRows(kind), reconcilerRows(t, root, kind))
		for _, r := range rows {
			fmt.Fprintf(&text, "| %s | %s | %s | %s | %s |\n", code(r.field), cell(r.rule), r.layer, cell(r.example), cell(r.message))
		}
	}
	path := filepath.Join(root, "docs", "validation.md")
	if golden.FlagUpdate() {
		assert.NilError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	}
	stands, err := os.ReadFile(path)
	assert.NilError(t, err)
	assert.Equal(t, string(stands), text.String(), "docs/validation.md is not what the API server says; make it anew, see its first lines")
}

// cell is text that does not end a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(text)
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + cell(text) + "`"
}

// bases are specs that nothing is wrong with.
var bases = map[string]string{
	"ENIPolicy":               `{nodeSelector: {matchLabels: {pool: documented}}, priority: 100, shared: {}, exclusive: {}}`,
	"ENIPool":                 `{nodeName: documented, instanceID: i-0123456789abcdef0, shared: {}, exclusive: {}}`,
	"ElasticNetworkInterface": `{nodeName: gamma}`,
	"ENIClaim":                `{nodeName: beta}`,
}

// constraint is a rule of a schema about one field.
type constraint struct {
	path  []string // as in spec, tags, *
	words string
	// value breaks it; none: the field is left out.
	value any
	drop  bool
	// cause is in the API server's words about it.
	cause string
}

// constraints are all rules of a schema, but for types.
func constraints(s *schema, path []string) []constraint {
	var found []constraint
	add := func(words, cause string, value any) {
		found = append(found, constraint{path: slices.Clone(path), words: words, value: value, cause: cause})
	}
	for _, name := range s.Required {
		found = append(found, constraint{path: append(slices.Clone(path), name), words: "required", drop: true, cause: "Required value"})
	}
	if len(s.Enum) > 0 {
		values := make([]string, 0, len(s.Enum))
		for _, value := range s.Enum {
			values = append(values, strings.Trim(string(value.Raw), `"`))
		}
		add("one of "+strings.Join(values, ", "), "Unsupported value", "Other")
	}
	found = append(found, textConstraints(s, path)...)
	if s.Minimum != nil {
		add(fmt.Sprintf("at least %.0f", *s.Minimum), "greater than or equal to", int64(*s.Minimum)-1)
	}
	if s.Maximum != nil {
		add(fmt.Sprintf("at most %.0f", *s.Maximum), "less than or equal to", int64(*s.Maximum)+1)
	}
	found = append(found, sizeConstraints(s, path)...)
	for _, name := range sortedKeys(s.Properties) {
		property := s.Properties[name]
		found = append(found, constraints(&property, append(slices.Clone(path), name))...)
	}
	if s.Items != nil && s.Items.Schema != nil {
		found = append(found, constraints(s.Items.Schema, append(slices.Clone(path), "0"))...)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		found = append(found, constraints(s.AdditionalProperties.Schema, append(slices.Clone(path), "key"))...)
	}
	return found
}

func textConstraints(s *schema, path []string) []constraint {
	var found []constraint
	add := func(words, cause string, value any) {
		found = append(found, constraint{path: slices.Clone(path), words: words, value: value, cause: cause})
	}
	if s.Pattern != "" {
		add("of the form `"+s.Pattern+"`", "should match", "!")
	}
	if s.MinLength != nil {
		add(fmt.Sprintf("at least %d characters", *s.MinLength), "should be at least", "")
	}
	if s.MaxLength != nil {
		add(fmt.Sprintf("at most %d characters", *s.MaxLength), "Too long", strings.Repeat("a", int(*s.MaxLength)+1))
	}
	if s.Format == "date-time" {
		add("a time, as in 2026-01-01T00:00:00Z", "date-time", "today")
	}
	return found
}

func sizeConstraints(s *schema, path []string) []constraint {
	var found []constraint
	add := func(words, cause string, value any) {
		found = append(found, constraint{path: slices.Clone(path), words: words, value: value, cause: cause})
	}
	if s.MaxItems != nil {
		add(fmt.Sprintf("at most %d items", *s.MaxItems), "Too many", make([]any, *s.MaxItems+1))
	}
	if s.MinItems != nil {
		add(fmt.Sprintf("at least %d items", *s.MinItems), "should have at least", []any{})
	}
	if s.MinProperties != nil {
		add(fmt.Sprintf("at least %d entries", *s.MinProperties), "should have at least", map[string]any{})
	}
	if s.MaxProperties != nil {
		many := map[string]any{}
		for i := range *s.MaxProperties + 1 {
			many[fmt.Sprintf("key-%d", i)] = "x"
		}
		add(fmt.Sprintf("at most %d entries", *s.MaxProperties), "Too many", many)
	}
	if s.XListType != nil && *s.XListType == "set" {
		item := "sg-01234567"
		if s.Items.Schema.Pattern == "" {
			item = "10.0.0.9"
		}
		add("no item twice", "Duplicate value", []any{item, item})
	}
	return found
}

func schemaRows(t *testing.T, kind string, kinds map[string]*schema) []row {
	t.Helper()
	var rows []row
	for _, c := range constraints(specOf(kind, kinds), []string{"spec"}) {
		spec := map[string]any{}
		assert.NilError(t, yaml.Unmarshal([]byte(bases[kind]), &spec))
		content := map[string]any{"spec": spec}
		object := set(content, c).(map[string]any) //nolint:forcetypeassert // it was one
		text, err := yaml.Marshal(object)
		assert.NilError(t, err)
		_, refused, err := shared.try(t.Context(), create(kind, "documented", string(text)))
		assert.NilError(t, err)
		rows = append(rows, row{
			kind: kind, field: fieldOf(c.path), rule: c.words, layer: "schema", example: c.example(), message: causeOf(t, refused, c),
		})
	}
	return rows
}

// specOf is the schema of a kind's spec; of a pool without what it has from its policy.
func specOf(kind string, kinds map[string]*schema) *schema {
	spec := kinds[kind].Properties["spec"]
	if kind != "ENIPool" {
		return &spec
	}
	own := *spec.DeepCopy()
	policy := kinds["ENIPolicy"].Properties["spec"]
	for name, property := range own.Properties {
		if other, has := policy.Properties[name]; has && reflect.DeepEqual(property, other) {
			delete(own.Properties, name)
		}
	}
	return &own
}

// set puts a constraint's value at its path, and makes what is on the way.
func set(into any, c constraint) any {
	if len(c.path) == 0 {
		return c.value
	}
	name := c.path[0]
	rest := c
	rest.path = c.path[1:]
	if name == "0" {
		return []any{set(nil, rest)}
	}
	object, ok := into.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	if c.drop && len(rest.path) == 0 {
		delete(object, name)
		if len(object) == 0 {
			object["other"] = "x" // An empty object may be no object to the schema above.
		}
		return object
	}
	object[name] = set(object[name], rest)
	return object
}

func fieldOf(path []string) string {
	var field strings.Builder
	for i, name := range path {
		switch {
		case name == "0":
			field.WriteString("[]")
		case name == "key":
			field.WriteString("[key]")
		case i > 0:
			field.WriteString("." + name)
		default:
			field.WriteString(name)
		}
	}
	return field.String()
}

// example shows what breaks a constraint, in short.
func (c constraint) example() string {
	switch value := c.value.(type) {
	case string:
		if len(value) > 40 {
			return fmt.Sprintf("%d characters", len(value))
		}
		return strconv.Quote(value)
	case []any:
		if len(value) > 2 {
			return fmt.Sprintf("%d items", len(value))
		}
		return fmt.Sprint(value)
	case map[string]any:
		return fmt.Sprintf("%d entries", len(value))
	case nil:
		return "not set"
	default:
		return fmt.Sprint(value)
	}
}

// causeOf finds what a refusal says of one constraint.
func causeOf(t *testing.T, refused error, c constraint) string {
	t.Helper()
	var status apierrors.APIStatus
	if !errors.As(refused, &status) || status.Status().Details == nil {
		t.Fatalf("%s: %s (%s) is not refused: %v", fieldOf(c.path), c.words, c.example(), refused)
	}
	path := strings.ReplaceAll(fieldOf(c.path), "[]", "[0]")
	path = strings.ReplaceAll(path, "[key]", ".key")
	for _, cause := range status.Status().Details.Causes {
		near := strings.HasPrefix(cause.Field, path) || strings.HasPrefix(strings.ReplaceAll(cause.Field, "[key]", ".key"), path)
		if near && strings.Contains(cause.Message, c.cause) {
			return shortened(cause.Field + ": " + cause.Message)
		}
	}
	t.Fatalf("%s: %s (%s): nothing is said of %q: %v", fieldOf(c.path), c.words, c.example(), c.cause, refused)
	return ""
}

// shortened leaves out long values.
func shortened(text string) string {
	begin := strings.IndexByte(text, '"')
	end := strings.LastIndexByte(text, '"')
	if begin >= 0 && end-begin > 300 {
		return text[:begin+10] + "…" + text[end:]
	}
	return text
}

// celExample breaks a rule of CEL; rule is the rule's own message.
type celExample struct {
	kind, rule string
	wrong      attempt
}

func inPolicy(fields string) attempt {
	return create("ENIPolicy", "documented", `{spec: {nodeSelector: {matchLabels: {pool: documented}}, priority: 100, `+fields+`}}`)
}

func inENI(fields string) attempt {
	return create("ElasticNetworkInterface", "documented", `{spec: {nodeName: gamma, `+fields+`}}`)
}

func inClaim(fields string) attempt {
	return create("ENIClaim", "documented", `{spec: {nodeName: beta, `+fields+`}}`)
}

var celExamples = []celExample{
	{"ENIPolicy", "set shared, exclusive or both: a policy with neither gives its nodes nothing", inPolicy(`tags: {}`)},
	{"ENIPolicy", "ipam aws takes single addresses: set shared.addressType to IPv4, or ipam to shared", inPolicy(`ipam: aws, shared: {addressType: IPv4Prefix}`)},
	{"ENIPolicy", "set exactly one of id and tags", inPolicy(`shared: {}, subnetSelectorTerms: [{id: subnet-01234567, tags: {role: pods}}]`)},
	{"ENIPolicy", "set exactly one of id, name and tags", inPolicy(`shared: {}, securityGroupSelectorTerms: [{name: pods, tags: {role: pods}}]`)},
	{"ENIPolicy", "unknown IPAM plugin; this release has: aws, shared", inPolicy(`shared: {}, ipam: dhcp`)},
	{"ENIPolicy", "a tag key has 1 to 128 characters", inPolicy(`shared: {}, tags: {"": x}`)},
	{"ENIPolicy", "tag keys that begin with aws:, eks: or networking.eni-operator.dev/, and those of the domains kubernetes.io, k8s.io, k8s.aws, k8s.amazonaws.com and karpenter.sh, are reserved: other systems act by them",
		inPolicy(`shared: {}, tags: {"aws:team": x}`)},
	{"ENIPolicy", "minimumIPs must not be above maximumIPs", inPolicy(`shared: {minimumIPs: 9, maximumIPs: 8}`)},
	{"ENIPolicy", "minimum must not be above maximum", inPolicy(`exclusive: {minimum: 2, maximum: 1}`)},
	{"ENIPolicy", "must be at most 24h", inPolicy(`shared: {cooldown: 25h}`)},
	{"ENIPolicy", "must be at most 720h", inPolicy(`shared: {idleReleaseAfter: 721h}`)},
	{"ENIPolicy", "a policy's name has at most 63 characters",
		create("ENIPolicy", strings.Repeat("n", 64), `{spec: {nodeSelector: {matchLabels: {pool: documented}}, priority: 100, shared: {}}}`)},
	{"ENIPool", "nodeName is immutable", update("ENIPool", "alpha", `{spec: {nodeName: beta}}`)},
	{"ENIPool", "instanceID is immutable", update("ENIPool", "alpha", `{spec: {instanceID: i-01234567}}`)},
	{"ENIPool", "must be a time after 1970, as in 2026-01-01T00:00:00Z",
		create("ENIPool", "documented", `{spec: {nodeName: documented, instanceID: i-01234567, shared: {}, nodeGoneSince: "0001-01-01T00:00:00Z"}}`)},
	{"ENIPool", "a pool has the name of its Node",
		create("ENIPool", "other", `{spec: {nodeName: documented, instanceID: i-01234567, shared: {}}}`)},
	{"ElasticNetworkInterface", "set addressCount or prefixCount, not both", inENI(`addressCount: 1, prefixCount: 1`)},
	{"ElasticNetworkInterface", "0 is the instance's primary ENI, of which only addresses are managed: mode must be Shared, and subnetIDs, securityGroupIDs, tags and networkCardIndex unset",
		inENI(`deviceIndex: 0, tags: {team: a}`)},
	{"ElasticNetworkInterface", "an ENI of a pool stays on its node: the pools make others where they are needed",
		update("ElasticNetworkInterface", "CARRIER", `{spec: {nodeName: beta}}`)},
	{"ElasticNetworkInterface", "an ENI of a pool stays on its instance: the pools make others where they are needed",
		update("ElasticNetworkInterface", "CARRIER", `{spec: {instanceID: i-01234567}}`)},
	{"ElasticNetworkInterface", "deviceIndex cannot change from or to 0, the instance's primary ENI; make another resource",
		update("ElasticNetworkInterface", "firewall", `{spec: {deviceIndex: 0}}`)},
	{"ElasticNetworkInterface", "poolName is immutable", update("ElasticNetworkInterface", "CARRIER", `{spec: {poolName: beta}}`)},
	{"ElasticNetworkInterface", "mode is immutable", update("ElasticNetworkInterface", "firewall", `{spec: {mode: Exclusive}}`)},
	{"ElasticNetworkInterface", "must be an IPv4 address or an IPv4 CIDR", inENI(`release: ["::1"]`)},
	{"ElasticNetworkInterface", "EC2 permits letters a to z and A to Z, digits, blanks and . _ - : / ( ) # , @ [ ] + = & ; { } ! $ * in a description",
		inENI(`description: "the team's ENI"`)},
	{"ElasticNetworkInterface", "a tag key has 1 to 128 characters", inENI(`tags: {"": x}`)},
	{"ElasticNetworkInterface", "tag keys that begin with aws:, eks: or networking.eni-operator.dev/, and those of the domains kubernetes.io, k8s.io, k8s.aws, k8s.amazonaws.com and karpenter.sh, are reserved: other systems act by them",
		inENI(`tags: {networking.eni-operator.dev/uid: x}`)},
	{"ENIClaim", "address is immutable; delete the claim and make a new one", update("ENIClaim", "web", `{spec: {address: 10.0.0.9}}`)},
	{"ENIClaim", "address can be chosen in mode Shared only", inClaim(`mode: Exclusive, address: 10.0.0.9`)},
	{"ENIClaim", "nodeName is immutable; delete the claim and make a new one", update("ENIClaim", "web", `{spec: {nodeName: beta}}`)},
	{"ENIClaim", "mode is immutable; delete the claim and make a new one", update("ENIClaim", "web", `{spec: {mode: Exclusive}}`)},
	{"ENIClaim", "must be an IPv4 address, as in 10.0.3.9", inClaim(`address: "::1"`)},
	{"ENIClaim", "must be at least 1s and at most 720h", inClaim(`lease: {duration: 999ms}`)},
	{"ENIClaim", "must be a time after 1970, as in 2026-01-01T00:00:00Z", inClaim(`lease: {duration: 60s, renewTime: "0001-01-01T00:00:00Z"}`)},
}

// celRules are the messages of a schema's rules in CEL, with the field of the first.
func celRules(s *schema, path []string, into map[string]string) {
	for _, rule := range s.XValidations {
		if _, known := into[rule.Message]; !known {
			into[rule.Message] = fieldOf(path) + rule.FieldPath
		}
	}
	for _, name := range sortedKeys(s.Properties) {
		if property := s.Properties[name]; name != "status" {
			celRules(&property, append(slices.Clone(path), name), into)
		}
	}
	if s.Items != nil && s.Items.Schema != nil {
		celRules(s.Items.Schema, append(slices.Clone(path), "0"), into)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		celRules(s.AdditionalProperties.Schema, append(slices.Clone(path), "key"), into)
	}
}

func celRows(t *testing.T, kind string, kinds map[string]*schema) []row {
	t.Helper()
	fill := shared.filler(t)
	rules := map[string]string{}
	whole := *kinds[kind].DeepCopy()
	whole.Properties["spec"] = *specOf(kind, kinds)
	celRules(&whole, nil, rules)
	var rows []row
	for _, example := range celExamples {
		if example.kind != kind {
			continue
		}
		field, known := rules[example.rule]
		assert.Assert(t, known, "%s has no such rule: %s", kind, example.rule)
		delete(rules, example.rule)
		_, refused, err := shared.try(t.Context(), example.wrong.filled(fill))
		assert.NilError(t, err)
		assert.ErrorContains(t, refused, example.rule)
		rows = append(rows, row{
			kind: kind, field: strings.TrimPrefix(field, "."), rule: example.rule, layer: "CEL", example: abbreviated(example.wrong),
			message: saidOf(refused, example.rule),
		})
	}
	assert.Equal(t, len(rules), 0, "rules without an example: %v", rules)
	return rows
}

// saidOf is what a refusal says of a rule, with the field.
func saidOf(refused error, rule string) string {
	var status apierrors.APIStatus
	if errors.As(refused, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			if strings.Contains(cause.Message, rule) {
				return cause.Field + ": … " + rule
			}
		}
	}
	return rule
}

// abbreviated leaves out long names.
func abbreviated(a attempt) string {
	if len(a.name) > 40 {
		return fmt.Sprintf("%s, with a name of %d characters", a, len(a.name))
	}
	return a.String()
}

func hookRows(kind string) []row {
	var rows []row
	for _, rule := range hookRules {
		if rule.kind != kind {
			continue
		}
		layer := "webhook"
		if rule.warns {
			layer = "webhook, warning"
		}
		rows = append(rows, row{kind: kind, field: rule.field, rule: rule.rule, layer: layer, example: rule.wrong.String(), message: rule.message})
	}
	return rows
}

// recheck is what a reconciler says in a condition; the parts of its message that do
// not change stand in its source.
type recheck struct {
	kind, field, rule, condition, reason, message string
}

var rechecks = []recheck{
	{"ENIPolicy", "spec.nodeSelector", "No stronger policy selects the same Nodes", v1alpha1.ConditionOverlapping, v1alpha1.ReasonOutranked,
		"Policies with a higher rank govern Nodes that this one selects: "},
	{"ENIPolicy", "spec.nodeSelector", "It is a label selector", v1alpha1.ConditionReady, v1alpha1.ReasonInvalidSelector, "spec.nodeSelector: "},
	{"ENIPolicy", "spec.startupTaint", "It is a taint of the operator's own", v1alpha1.ConditionReady, v1alpha1.ReasonStartupTaintNotAllowed, "spec.startupTaint: "},
	{"ENIPolicy", "spec.nodeSelector", "Selected Nodes name their instances", v1alpha1.ConditionNodesUsable, v1alpha1.ReasonProviderIDMissing,
		"It should read aws:///<zone>/<instance-id>; "},
	{"ENIPolicy", "spec.subnetSelectorTerms", "They find a subnet in the instance's zone", v1alpha1.ConditionNetworkResolved + " of the pool", v1alpha1.ReasonSubnetNotFound,
		"subnetSelectorTerms of policy %s find no subnet in %s, zone %s"},
	{"ENIPolicy", "spec.securityGroupSelectorTerms", "They find a security group", v1alpha1.ConditionNetworkResolved + " of the pool", v1alpha1.ReasonSecurityGroupNotFound,
		"securityGroupSelectorTerms of policy %s find no security group in %s"},
	{"ENIPolicy", "spec.shared.minimumIPs", "The instance type holds the minimum", v1alpha1.ConditionCapacityAvailable + " of the pool", v1alpha1.ReasonInstanceTypeLimit,
		"%s has room for %d ENIs of this policy%s with up to %d addresses each%s, which is less than its minimum: "},
	{"ENIPolicy", "spec.shared.addressType", "The instance type carries prefixes", v1alpha1.ConditionCapacityAvailable + " of the pool", v1alpha1.ReasonInstanceTypeLimit,
		"%s carries no prefixes: only Nitro instance types do. Set addressType: IPv4, or select other nodes."},
	{"ENIPool", "", "A pool is deleted when claims hold nothing of it", v1alpha1.ConditionReady, v1alpha1.ReasonInUse,
		"The pool is deleted when %d addresses and %d ENIs are released by their claims"},
	{"ENIPool", "spec.instanceID", "EC2 knows the instance", v1alpha1.ConditionInstanceFound, v1alpha1.ReasonInstanceNotFound,
		"EC2 does not know instance %s in this account and Region. Check the Node's spec.providerID, and the operator's AWS_REGION and IAM identity."},
	{"ElasticNetworkInterface", "", "An ENI is detached when claims hold nothing of it", v1alpha1.ConditionReady, v1alpha1.ReasonWaitingForDrain,
		"Claims hold addresses of the ENI; it is detached when they are released"},
	{"ElasticNetworkInterface", "spec.deviceIndex", "The device index is free in EC2", v1alpha1.ConditionReady, v1alpha1.ReasonNoFreeDeviceIndex,
		"instance %s has no free device index for this ENI: "},
	{"ElasticNetworkInterface", "spec.deviceIndex", "One resource stands for a primary ENI", v1alpha1.ConditionReady, v1alpha1.ReasonNoFreeDeviceIndex,
		"ElasticNetworkInterface %s stands for the primary ENI of this instance already: delete one of the two"},
	{"ElasticNetworkInterface", "spec.addressCount", "The instance type holds the addresses", v1alpha1.ConditionReady, v1alpha1.ReasonQuotaExceeded,
		"on instance type %s an ENI carries %d addresses or prefixes at most besides its primary address: "},
	{"ElasticNetworkInterface", "spec.subnetIDs", "A subnet lies in the instance's zone", v1alpha1.ConditionReady, v1alpha1.ReasonInvalidParameter,
		"subnet %s lies in zone %s, and the instance in zone %s: name a subnet of zone %s in subnetIDs, or none"},
	{"ElasticNetworkInterface", "spec.nodeName", "An ENI moves within its zone", v1alpha1.ConditionReady, v1alpha1.ReasonInvalidParameter,
		"The ENI lies in zone %s, and instance %s of Node %s in zone %s. "},
	{"ElasticNetworkInterface", "spec.nodeName", "The Node names a running instance", v1alpha1.ConditionReady, v1alpha1.ReasonNodeUnknown, "Waiting for Node "},
	{"ENIClaim", "spec.nodeName", "The Node has a pool", v1alpha1.ConditionReady, v1alpha1.ReasonNoPool,
		" has no pool: check that the Node exists, is an EC2 instance, and is selected by an ENIPolicy"},
	{"ENIClaim", "spec.mode", "The Node's policy offers the mode", v1alpha1.ConditionReady, v1alpha1.ReasonModeNotOffered, "Policy %s offers no mode %s on this node"},
	{"ENIClaim", "metadata.namespace", "The Node's policy serves the namespace", v1alpha1.ConditionReady, v1alpha1.ReasonNamespaceNotAllowed,
		"Policy %s does not let namespace %s claim on this node (claimNamespaceSelector)"},
	{"ENIClaim", "spec.address", "An ENI of the pool carries the address", v1alpha1.ConditionReady, v1alpha1.ReasonAddressNotInPool,
		"None of the node's shared ENIs carries %s"},
	{"ENIClaim", "spec.address", "No other claim holds the address", v1alpha1.ConditionReady, v1alpha1.ReasonAddressInUse, "%s is held by %s"},
	{"ENIClaim", "spec.address", "The address is not reserved for another namespace", v1alpha1.ConditionReady, v1alpha1.ReasonAddressReserved,
		"%s is reserved until %s for another namespace, which released it"},
}

func reconcilerRows(t *testing.T, root, kind string) []row {
	t.Helper()
	source := controllersSource(t, root)
	var rows []row
	for _, r := range rechecks {
		if r.kind != kind {
			continue
		}
		assert.Assert(t, strings.Contains(source, r.message), "no controller says %q", r.message)
		said := strings.NewReplacer("%s", "…", "%d", "…").Replace(r.message)
		rows = append(rows, row{
			kind: kind, field: r.field, rule: r.rule, layer: "reconciler", example: "condition " + r.condition + ", reason " + r.reason, message: said,
		})
	}
	return rows
}

// controllersSource is all code of the controllers.
func controllersSource(t *testing.T, root string) string {
	t.Helper()
	var source strings.Builder
	err := filepath.WalkDir(filepath.Join(root, "controllers"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		source.Write(content)
		return err
	})
	assert.NilError(t, err)
	return source.String()
}
