/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"testing"

	"github.com/google/pprof/profile"
	"gotest.tools/v3/assert"
)

func TestTheCostIsWhatPassesThroughOurPackages(t *testing.T) {
	stack := func(nanoseconds int64, functions ...string) *profile.Sample {
		sample := &profile.Sample{Value: []int64{1, nanoseconds}}
		for _, name := range functions {
			sample.Location = append(sample.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: name}}}})
		}
		return sample
	}
	const module = "github.com/eni-operator/eni-operator/"
	total, ours := shareOf(&profile.Profile{Sample: []*profile.Sample{
		stack(70, "runtime.mallocgc", module+"controllers/pool.plan"),
		stack(20, "runtime.mallocgc", module+"pkg/events.(*Bus).Publish", module+"controllers/pool.plan"),
		stack(5, module+"pkg/metrics.EC2.Waited"),
		stack(5, "sigs.k8s.io/controller-runtime/pkg/metrics.init", "k8s.io/client-go/tools/events.(*recorder).Eventf"),
	}})
	assert.Equal(t, total, int64(100))
	assert.Equal(t, ours, int64(25))
}
