/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package fault_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/cluster"
	"github.com/eni-operator/eni-operator/test/fault"
)

// A fleet small enough for every day, and a seed with which each class comes up,
// also for the calls that are few, and repeating which does harm: Assign by count.
// `make test-fault` plays with 200 nodes and a new seed each time.
const (
	nodes = 20
	seed  = 54
)

func TestFaultsMakeNoDifference(t *testing.T) {
	folder := cluster.LogFolder(t, "fault")
	binary, err := cluster.BuildOperator(t.Context(), folder)
	assert.NilError(t, err)
	options := fault.Options{
		Nodes: nodes, Seed: seed, Probability: fault.DefaultProbability, Operator: binary, Folder: folder,
		Tell: func(line string) { t.Log(line) },
	}
	t.Logf("seed %d; to repeat: %s", seed, options.Repeat())
	world, err := fault.NewWorld(t.Context(), options)
	assert.NilError(t, err)
	t.Cleanup(func() { assert.Check(t, world.Stop()) })

	played, err := world.Disturbed(t.Context())
	assert.NilError(t, err)
	var report strings.Builder
	played.WriteFindings(&report, 20)
	played.WriteInjected(&report)
	played.WriteSummary(&report, options)
	t.Log(report.String())
	assert.NilError(t, played.Verdict(true))
}
