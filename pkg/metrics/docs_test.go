/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package metrics

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
)

const (
	page   = "../../docs/metrics.md"
	marker = "<!-- Generated from pkg/metrics: go test ./pkg/metrics -run TestDocs -update -->\n"
)

// table lists the catalog.
func table() string {
	var b strings.Builder
	for _, section := range []struct{ title, prefix string }{
		{"ENIs", "eni_"}, {"Pools", "ip_pool_"}, {"Claims", "eni_claim"}, {"The operator", "eni_operator_"},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n", section.title)
		sorted := slices.Clone(Catalog())
		slices.SortFunc(sorted, func(x, y Metric) int { return strings.Compare(x.Name, y.Name) })
		for _, m := range sorted {
			if sectionOf(m.Name) == section.prefix {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, m.Type, strings.Join(m.Labels, ", "), m.Help)
			}
		}
	}
	return b.String()
}

// sectionOf is the longest prefix.
func sectionOf(name string) string {
	for _, prefix := range []string{"eni_operator_", "eni_claim", "ip_pool", "eni_"} {
		if strings.HasPrefix(name, prefix) {
			return strings.Replace(prefix, "ip_pool", "ip_pool_", 1)
		}
	}
	return ""
}

func TestDocs(t *testing.T) {
	content, err := os.ReadFile(page)
	assert.NilError(t, err)
	prose, was, found := strings.Cut(string(content), marker)
	assert.Assert(t, found, "%s has no line %s", page, marker)
	if golden.FlagUpdate() {
		assert.NilError(t, os.WriteFile(page, []byte(prose+marker+table()), 0o644)) //nolint:gosec // a page for everybody
		return
	}
	assert.Equal(t, was, table(), "run go test ./pkg/metrics -run TestDocs -update")
}

// TestNames: Prometheus' conventions, and ours.
// https://prometheus.io/docs/practices/naming/
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Catalog() {
		assert.Assert(t, !seen[m.Name], "%s is there twice", m.Name)
		seen[m.Name] = true
		assert.Assert(t, sectionOf(m.Name) != "", "%s begins with none of our prefixes", m.Name)
		assert.Assert(t, regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`).MatchString(m.Name), "%s", m.Name)
		assert.Equal(t, strings.HasSuffix(m.Name, "_total"), m.Type == "counter", "%s: counters, and only they, end in _total", m.Name)
		assert.Assert(t, strings.HasSuffix(m.Help, "."), "%s: the help is a sentence", m.Name)
		if strings.HasSuffix(m.Name, "_seconds") {
			assert.Assert(t, strings.Contains(strings.ToLower(m.Help), "seconds"), "%s: the help names the unit", m.Name)
		}
		for _, label := range m.Labels {
			assert.Assert(t, slices.Contains(strings.Fields("type code state ready reason phase policy zone mode node controller action "+
				"priority kind outcome subnet subscriber version go_version"), label), "%s: the label %s is not known to be bounded", m.Name, label)
			assert.Equal(t, label == "node", strings.HasPrefix(m.Name, "ip_pool_node_") && label == "node", m.Name)
		}
	}
	for _, fixed := range []string{"eni_creation_seconds", "ip_pool_capacity"} {
		assert.Assert(t, seen[fixed], fixed)
	}
}
