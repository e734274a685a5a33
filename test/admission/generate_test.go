/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package admission

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/eni-operator/eni-operator/test/controlplane"
)

type schema = apiextensionsv1.JSONSchemaProps

// schemas are those of our kinds, as they are installed.
func schemas() (map[string]*schema, error) {
	root, err := controlplane.RepositoryRoot()
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(root, "config", "crd", "bases", "*.yaml"))
	if err != nil {
		return nil, err
	}
	found := map[string]*schema{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(content, crd); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		found[crd.Spec.Names.Kind] = crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	}
	return found, nil
}

// generator makes objects from schemas: plausible ones, in which some values are
// hostile.
type generator struct {
	*rand.Rand
	// spite is how likely a value is hostile.
	spite float64
}

// names are values for fields whose schema says little of what is plausible.
var names = map[string][]any{
	"nodeName":           {"alpha", "beta", "gamma", "fargate", "nowhere", "relabelled"},
	"poolName":           {"alpha", "beta", "gamma", "nowhere", "", "", "", ""},
	"policyName":         {"general", "shared-only", "nowhere", ""},
	"instanceID":         {"i-0123456789abcdef0", "i-01234567"},
	"address":            {"10.0.0.9", "10.0.15.254", "10.0.0.0", "0.0.0.0", "255.255.255.255", "127.0.0.1"},
	"release":            {"10.0.0.9", "10.0.0.16/28", "0.0.0.0/0"},
	"reclaim":            {"10.0.0.9", "10.0.0.16/28", "0.0.0.0/0"},
	"prefixes":           {"10.0.0.16/28", "0.0.0.0/0"},
	"addresses":          {"10.0.0.9", "10.0.0.10"},
	"subnetIDs":          {"subnet-0123456789abcdef0", "subnet-01234567"},
	"subnetID":           {"subnet-0123456789abcdef0"},
	"securityGroupIDs":   {"sg-0123456789abcdef0", "sg-01234567"},
	"id":                 {"subnet-0123456789abcdef0", "sg-0123456789abcdef0", "eni-attach-1"},
	"networkInterfaceID": {"eni-0123456789abcdef0", "eni-"},
	"cooldown":           {"0s", "0.5s", "1999ms"}, // No pool ends while something of it rests.
	"idleReleaseAfter":   {"0s", "10m", "720h"},
	"duration":           {"1s", "60s", "720h"},
	"startupTaint":       {"eni-operator.dev/not-ready", "a..b/c"},
	"ipam":               {"shared", "aws"},
	"operator":           {"In", "NotIn", "In", "NotIn", "Exists"},
	"key":                {"pool", "team", "kubernetes.io/hostname"},
	"values":             {"general", "shared", "none", ""},
	"matchLabels":        {"general", "shared", "none", ""},
	"subnetCIDR":         {"10.0.0.0/20", "10.0.0.0/33", "::/0"},
	"primaryAddress":     {"10.0.0.5", "none"},
	"uid":                {"no-such-uid", ""},
}

// hostile are values that break what was not thought of.
var hostile = []any{
	nil, "", " ", "\n", "\x00", "../../etc/passwd", "%s%s%n", "${jndi:ldap://x}", "'; DROP TABLE enis; --", "<script>", "\u202e", "\ufeff", "𝕌𝕟𝕚", "a/b/c",
	strings.Repeat("x", 10_000), strings.Repeat("é", 300), "-1", "1e9", "NaN", "::1", "10.0.0.1/33", "010.0.0.1", "0s", "-5m", "9999999h",
	-1, 0, 1, 2147483647, 2147483648, int64(9223372036854775807), -2147483649, 0.5, 1e300, true, false,
	[]any{}, []any{nil}, []any{[]any{[]any{}}}, map[string]any{}, map[string]any{"a": nil}, map[string]any{"": map[string]any{"": ""}},
}

// value is one for a field of a schema.
func (g *generator) value(name string, s *schema) any {
	if g.Float64() < g.spite {
		return hostile[g.IntN(len(hostile))]
	}
	if plausible := g.plausible(name, s); len(plausible) > 0 {
		return plausible[g.IntN(len(plausible))]
	}
	if len(s.Enum) > 0 {
		var chosen any
		_ = yaml.Unmarshal(s.Enum[g.IntN(len(s.Enum))].Raw, &chosen)
		return chosen
	}
	switch s.Type {
	case "object":
		return g.object(name, s)
	case "array":
		return g.array(name, s)
	case "integer", "number":
		return g.integer(s)
	case "boolean":
		return g.IntN(2) == 0
	default:
		return g.text(s)
	}
}

// plausible are the values that are known for a field and fit its pattern.
func (g *generator) plausible(name string, s *schema) []any {
	if s.Type != "string" || g.Float64() < 2*g.spite {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(names[name]), func(value any) bool {
		return s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(fmt.Sprint(value))
	})
}

func (g *generator) object(name string, s *schema) map[string]any {
	made := map[string]any{}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		for range 1 + g.IntN(2) {
			key := []string{"pool", "team", "Name", "kubernetes.io/cluster/x"}[g.IntN(4)]
			if g.Float64() < g.spite {
				key = []string{"aws:x", "", "a b", strings.Repeat("k", 200)}[g.IntN(4)]
			}
			made[key] = g.value(name, s.AdditionalProperties.Schema)
		}
		return made
	}
	for _, property := range sortedKeys(s.Properties) {
		left := 0.35
		if slices.Contains(s.Required, property) {
			left = g.spite
		}
		if g.Float64() < left {
			continue
		}
		field := s.Properties[property]
		made[property] = g.value(property, &field)
	}
	if exactlyOne(s) && g.Float64() >= g.spite {
		kept := sortedKeys(s.Properties)[g.IntN(len(s.Properties))]
		property := s.Properties[kept]
		made = map[string]any{kept: g.value(kept, &property)}
	}
	if g.Float64() < g.spite {
		made["unknown"] = hostile[g.IntN(len(hostile))]
	}
	return made
}

// exactlyOne says whether a rule wants one of an object's fields and no other.
func exactlyOne(s *schema) bool {
	return slices.ContainsFunc(s.XValidations, func(rule apiextensionsv1.ValidationRule) bool {
		return strings.Contains(rule.Message, "exactly one")
	})
}

func (g *generator) array(name string, s *schema) []any {
	made := []any{}
	count := g.IntN(4)
	if s.MaxItems != nil && g.Float64() < g.spite {
		count = int(*s.MaxItems) + g.IntN(2)
	}
	for range count {
		made = append(made, g.value(name, s.Items.Schema))
	}
	return made
}

// integer is at a bound, just beyond it, or between.
func (g *generator) integer(s *schema) int64 {
	low, high := int64(0), int64(100)
	if s.Minimum != nil {
		low = int64(*s.Minimum)
	}
	if s.Maximum != nil {
		high = int64(*s.Maximum)
	}
	switch g.IntN(12) {
	case 0:
		return low
	case 1:
		return high
	case 2:
		return low + g.Int64N(high-low+1)
	default:
		return low + g.Int64N(min(high-low, 6)+1)
	}
}

func (g *generator) text(s *schema) string {
	if s.Format == "date-time" {
		if g.Float64() < 5*g.spite {
			return []string{"0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1969-07-20T20:17:40Z"}[g.IntN(3)]
		}
		return "2026-01-01T00:00:00Z"
	}
	length := 1 + g.IntN(12)
	if s.MaxLength != nil && g.Float64() < g.spite {
		length = int(min(*s.MaxLength, 2000)) + g.IntN(2)
	}
	return strings.Repeat(string(rune('a'+g.IntN(26))), length)
}
