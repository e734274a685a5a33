/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package failover_test

import (
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/cluster"
	"github.com/eni-operator/eni-operator/test/failover"
)

// A few leaders, with a lease that is short for a test and long for a busy machine.
// `make test-failover` loses many, with the default durations and a new seed each time.
const seed = 7

func TestLeadersAreLost(t *testing.T) {
	folder := cluster.LogFolder(t, "failover")
	binary, err := cluster.BuildOperator(t.Context(), folder)
	assert.NilError(t, err)
	options := failover.Options{
		Nodes: 6, Seed: seed, Operator: binary, Folder: folder,
		Rounds:    map[failover.Kind]int{failover.Stopped: 3, failover.Killed: 1, failover.Terminated: 2},
		Durations: failover.Durations{Lease: 6 * time.Second, Renew: 4 * time.Second, Retry: 500 * time.Millisecond},
		Tell:      func(line string) { t.Log(line) },
	}
	result, err := failover.Run(t.Context(), options)
	var report strings.Builder
	result.Write(&report, options)
	t.Log(report.String())
	assert.NilError(t, err)
	assert.Equal(t, len(result.Fouls), 0)
	assert.Assert(t, result.ENIs > 0 && result.Writes > 0, "the run says nothing")
}
