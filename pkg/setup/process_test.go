/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"gotest.tools/v3/assert"
)

func TestTheContainersLimitBoundsTheHeap(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	none := func() (uint64, error) { return 0, memlimit.ErrNoLimit }
	gibibyte := func() (uint64, error) { return 1 << 30, nil }
	for _, row := range []struct {
		name        string
		environment string
		limit       memlimit.Provider
		want        int64
	}{
		{"no limit", "", none, math.MaxInt64},
		{"a limit", "", gibibyte, 1 << 30 / 10 * 9},
		{"GOMEMLIMIT comes first", "100MiB", gibibyte, math.MaxInt64},
	} {
		t.Run(row.name, func(t *testing.T) {
			debug.SetMemoryLimit(math.MaxInt64)
			if row.environment != "" {
				t.Setenv("GOMEMLIMIT", row.environment) // Go itself read it when the process began.
			}
			limitMemory(row.limit)
			assert.Assert(t, max(debug.SetMemoryLimit(-1), row.want)-min(debug.SetMemoryLimit(-1), row.want) < 10)
		})
	}
}
