/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ipam_test

import (
	"fmt"
	"hash/fnv"
	"os"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ipam"
	"github.com/eni-operator/eni-operator/pkg/ipam/ipamtest"
)

// begin: docs/ipam.md

// sticky is the plugin shared, but a claim of the same name gets the same address
// again as long as the pool's free addresses are the same.
type sticky struct{ ipam.Plugin }

func newSticky() ipam.Plugin {
	warm, _ := ipam.Get(ipam.Shared)
	return sticky{warm}
}

func (sticky) Name() string { return "sticky" }

func (sticky) AllocateIP(claim v1alpha1.ClaimReference, free []ipam.Candidate) (int, bool) {
	if len(free) == 0 {
		return 0, false
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(claim.Namespace + "/" + claim.Name))
	return int(hash.Sum32() % uint32(len(free))), true
}

// end: docs/ipam.md

func Example() {
	plugin := newSticky()
	free := ipamtest.Candidates(8)
	first, _ := plugin.AllocateIP(ipamtest.Claim(1), free)
	again, _ := plugin.AllocateIP(ipamtest.Claim(1), free)
	fmt.Println(plugin.Name(), first == again)
	// Output: sticky true
}

func TestSticky(t *testing.T) { ipamtest.TestPlugin(t, newSticky()) }

// TestDocumentedExample: the page shows the plugin that is compiled and tested here.
func TestDocumentedExample(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	assert.NilError(t, err)
	page, err := os.ReadFile("../../docs/ipam.md")
	assert.NilError(t, err)
	_, rest, _ := strings.Cut(string(source), "// begin: docs/ipam.md\n")
	example, _, found := strings.Cut(rest, "// end: docs/ipam.md\n")
	assert.Assert(t, found)
	assert.Assert(t, strings.Contains(string(page), "```go\n"+strings.TrimSpace(example)+"\n```"), "docs/ipam.md shows another plugin")
}
