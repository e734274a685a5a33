/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash_test

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/cluster"
	"github.com/eni-operator/eni-operator/test/crash"
)

// chosen are the points of the matrix that leave most to be healed: EC2 has done
// what the operator was never told, or the operator has stored what EC2 was never
// told. `make test-crash` runs all points.
var chosen = []crash.Point{
	{Path: "create and attach", Side: crash.After, Call: crash.Call{Name: "EC2 CreateNetworkInterface", Number: 1}},
	{Path: "create and attach", Side: crash.Before, Call: crash.Call{Name: "EC2 CreateNetworkInterface", Number: 2}},
	{Path: "create and attach", Side: crash.After, Call: crash.Call{Name: "EC2 AttachNetworkInterface", Number: 1}},
	{Path: "assign", Side: crash.After, Call: crash.Call{Name: "EC2 AssignPrivateIpAddresses", Number: 1}},
	{Path: "unassign", Side: crash.Before, Call: crash.Call{Name: "PUT elasticnetworkinterfaces", Number: 1}},
	{Path: "unassign", Side: crash.After, Call: crash.Call{Name: "EC2 UnassignPrivateIpAddresses", Number: 1}},
	{Path: "move", Side: crash.After, Call: crash.Call{Name: "EC2 DetachNetworkInterface", Number: 1}},
	{Path: "delete", Side: crash.After, Call: crash.Call{Name: "EC2 DeleteNetworkInterface", Number: 1}},
}

func TestOperatorHealsAfterCrash(t *testing.T) {
	folder := cluster.LogFolder(t, "crash")
	binary, err := cluster.BuildOperator(t.Context(), folder)
	assert.NilError(t, err)
	world, err := crash.NewWorld(t.Context(), crash.Options{Operator: binary, Folder: folder})
	assert.NilError(t, err)
	t.Cleanup(func() { assert.Check(t, world.Stop()) })

	for _, point := range chosen {
		t.Run(point.String(), func(t *testing.T) {
			result := world.Crash(t.Context(), point)
			assert.NilError(t, result.Err)
			assert.Assert(t, result.Reached, "the operator never made this call")
		})
	}
}
