/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package admission

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

// valid are specs that are taken as they are; NODE is a Node's name, NAME the object's,
// POOL a value of the label by which policies select Nodes, and NUMBER one that no
// other object has.
var valid = map[string][]string{
	"ENIPolicy": {
		`{nodeSelector: {matchLabels: {pool: POOL}}, priority: NUMBER, shared: {minimumIPs: 1, maximumIPs: 4, cooldown: 0s}}`,
		`{nodeSelector: {matchLabels: {pool: POOL}}, priority: NUMBER, exclusive: {minimum: 0, maximum: 1}, tags: {team: a}, deletionPolicy: Delete}`,
		`{nodeSelector: {matchExpressions: [{key: pool, operator: In, values: [POOL]}]}, priority: NUMBER, ipam: aws, shared: {maximumIPs: 4, cooldown: 0.5ms, idleReleaseAfter: 1m9.6ms}, claimNamespaceSelector: {}}`,
	},
	"ENIPool": {
		`{nodeName: NAME, instanceID: i-0123456789abcdef0, policyName: general, shared: {minimumIPs: 1, maximumIPs: 4}}`,
		`{nodeName: NAME, instanceID: i-0123456789abcdef0, exclusive: {maximum: 1}, tags: {team: a}}`,
	},
	"ElasticNetworkInterface": {
		`{nodeName: NODE, mode: Shared, addressCount: 1, tags: {team: a}}`,
		`{nodeName: NODE, mode: Exclusive, description: an appliance}`,
		`{nodeName: NODE, prefixCount: 1, securityGroupIDs: [sg-0123456789abcdef0]}`,
	},
	"ENIClaim": {
		`{nodeName: NODE}`,
		`{nodeName: NODE, mode: Exclusive, lease: {duration: 1h}}`,
		`{nodeName: NODE, address: 10.0.0.77}`,
	},
}

// valid returns one of the specs of a kind.
func (g *generator) valid(kind, name string, number int) map[string]any {
	text := valid[kind][g.IntN(len(valid[kind]))]
	text = strings.NewReplacer(
		"NODE", g.oneOf("alpha", "beta", "gamma", "nowhere", "nowhere", "nowhere", "nowhere", "nowhere"), "NAME", name, "POOL", g.oneOf("general", "shared", "none", "nobody", "nobody", "nobody"), "NUMBER", fmt.Sprint(number+1),
	).Replace(text)
	made := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &made); err != nil {
		panic(err) // it is written above
	}
	return made
}

func (g *generator) oneOf(texts ...string) string { return texts[g.IntN(len(texts))] }

// mutated is an object with one to three fields that are not what anybody expects, but
// of what the schema takes.
func (g *generator) mutated(object map[string]any, s *schema) map[string]any {
	made := runtime.DeepCopyJSON(object)
	for range 1 + g.IntN(3) {
		g.mutate(made, s)
	}
	return made
}

func (g *generator) mutate(object map[string]any, s *schema) {
	if len(s.Properties) == 0 {
		return
	}
	name := g.oneOf(sortedKeys(s.Properties)...)
	field := s.Properties[name]
	child, has := object[name].(map[string]any)
	switch {
	case has && len(field.Properties) > 0 && g.IntN(4) > 0:
		g.mutate(child, &field)
	case !slices.Contains(s.Required, name) && g.IntN(6) == 0:
		delete(object, name)
	default:
		object[name] = g.extreme(name, &field)
	}
}

// extreme is a value that a schema takes, at the bounds of what it takes.
func (g *generator) extreme(name string, s *schema) any {
	switch {
	case len(s.Enum) > 0 || s.Type == "boolean":
		return (&generator{Rand: g.Rand}).value(name, s)
	case s.Type == "object" && s.AdditionalProperties != nil:
		return g.extremeMap(name, s)
	case s.Type == "object":
		return g.extremeObject(s)
	case s.Type == "array":
		return g.extremeArray(name, s)
	case s.Type == "integer":
		return g.extremeInteger(s)
	default:
		return g.extremeText(name, s)
	}
}

func (g *generator) extremeMap(name string, s *schema) map[string]any {
	made := map[string]any{}
	for range g.IntN(4) {
		key := g.oneOf("pool", "Name", "a.b/c", "kubernetes.io/cluster/x", strings.Repeat("k", 63), "x-"+strings.Repeat("k", 61), "0")
		made[key] = g.extreme(name, s.AdditionalProperties.Schema)
	}
	return made
}

func (g *generator) extremeObject(s *schema) map[string]any {
	made := map[string]any{}
	keys := sortedKeys(s.Properties)
	if exactlyOne(s) {
		keys = []string{g.oneOf(keys...)}
	}
	for _, key := range keys {
		if len(keys) == 1 || slices.Contains(s.Required, key) || g.IntN(2) == 0 {
			field := s.Properties[key]
			made[key] = g.extreme(key, &field)
		}
	}
	for _, bounds := range [][2]string{{"minimum", "maximum"}, {"minimumIPs", "maximumIPs"}} {
		low, has := made[bounds[0]].(int64)
		if high, both := made[bounds[1]].(int64); has && both && low > high {
			made[bounds[0]], made[bounds[1]] = high, max(low, 1)
		}
	}
	return made
}

func (g *generator) extremeArray(name string, s *schema) []any {
	made, seen := []any{}, map[string]bool{}
	count := g.IntN(4)
	if s.MaxItems != nil && g.IntN(4) == 0 {
		count = int(min(*s.MaxItems, 64))
	}
	for range count {
		item := g.extreme(name, s.Items.Schema)
		if text := fmt.Sprint(item); !seen[text] { // of a set, or a list with keys
			seen[text] = true
			made = append(made, item)
		}
	}
	return made
}

func (g *generator) extremeInteger(s *schema) int64 {
	low, high := int64(0), int64(2147483647)
	if s.Minimum != nil {
		low = int64(*s.Minimum)
	}
	if s.Maximum != nil {
		high = int64(*s.Maximum)
	}
	return []int64{low, high, min(low+1, high), max(high-1, low), low + g.Int64N(high-low+1)}[g.IntN(5)]
}

// extremeText fits the pattern and the lengths, where there are any.
func (g *generator) extremeText(name string, s *schema) string {
	if s.Format == "date-time" {
		return g.oneOf("1970-01-01T00:00:01Z", "9999-12-31T23:59:59Z", "2026-01-01T00:00:00Z")
	}
	var candidates []string
	for _, plausible := range names[name] {
		candidates = append(candidates, fmt.Sprint(plausible))
	}
	if s.Pattern != "" {
		for range 3 {
			candidates = append(candidates, rapid.StringMatching(s.Pattern).Example(g.IntN(1<<30)))
		}
	} else if len(candidates) == 0 {
		for _, value := range hostile {
			if text, is := value.(string); is {
				candidates = append(candidates, cut(text, s.MaxLength))
			}
		}
	}
	candidates = slices.DeleteFunc(candidates, func(text string) bool { return !fits(text, s) })
	if len(candidates) == 0 {
		return ""
	}
	return g.oneOf(candidates...)
}

// cut leaves at most so many characters.
func cut(text string, most *int64) string {
	if runes := []rune(text); most != nil && int64(len(runes)) > *most {
		return string(runes[:*most])
	}
	return text
}

func fits(text string, s *schema) bool {
	length := int64(len([]rune(text)))
	return (s.MaxLength == nil || length <= *s.MaxLength) && (s.MinLength == nil || length >= *s.MinLength) &&
		(s.Pattern == "" || regexp.MustCompile(s.Pattern).MatchString(text))
}
