/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package tracing_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/eni-operator/eni-operator/pkg/tracing"
)

const (
	page   = "../../docs/tracing.md"
	marker = "<!-- Generated from pkg/tracing: go test ./pkg/tracing -run TestDocs -update -->\n"
)

// tables list the catalog.
func tables() string {
	var b strings.Builder
	b.WriteString("\n## Spans\n\n| span | what it is |\n|---|---|\n")
	for _, span := range tracing.Spans() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", span.Name, span.Help)
	}
	b.WriteString("\n## Attributes\n\n| attribute | type | of | meaning |\n|---|---|---|---|\n")
	for _, attribute := range tracing.Attributes() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", attribute.Name, attribute.Type, attribute.On, attribute.Help)
	}
	return b.String()
}

func TestDocs(t *testing.T) {
	content, err := os.ReadFile(page)
	assert.NilError(t, err)
	prose, was, found := strings.Cut(string(content), marker)
	assert.Assert(t, found, "%s has no line %s", page, marker)
	if golden.FlagUpdate() {
		assert.NilError(t, os.WriteFile(page, []byte(prose+marker+tables()), 0o644)) //nolint:gosec // a page for everybody
		return
	}
	assert.Equal(t, was, tables(), "run go test ./pkg/tracing -run TestDocs -update")
}
