/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ipam

import (
	"testing"

	"gotest.tools/v3/assert"
)

func TestSize(t *testing.T) {
	bounds := Bounds{Minimum: 4, Warm: 2, Maximum: 60}
	for _, row := range []struct {
		name   string
		plugin Plugin
		demand Demand
		want   Size
	}{
		{"shared at rest has its minimum", shared{}, Demand{}, Size{4, 4}},
		{"shared keeps addresses warm beside what is held", shared{}, Demand{Allocated: 5, Pending: 1}, Size{4, 8}},
		{"shared lets what rests stand in for what is warm", shared{}, Demand{Allocated: 5, Resting: 1}, Size{4, 7}},
		{"shared keeps all that rests", shared{}, Demand{Allocated: 5, Resting: 3}, Size{4, 8}},
		{"aws at rest has nothing", aws{}, Demand{}, Size{0, 0}},
		{"aws has what claims hold and wait for", aws{}, Demand{Allocated: 5, Pending: 1}, Size{0, 6}},
		{"aws waits for what rests", aws{}, Demand{Allocated: 5, Pending: 1, Resting: 2}, Size{0, 8}},
	} {
		t.Run(row.name, func(t *testing.T) {
			assert.Equal(t, row.plugin.Size(bounds, row.demand), row.want)
		})
	}
}
