/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import "k8s.io/utils/ptr"

// What is asked of the operator. A goal is the most that a value may be, or, for
// a time with a floor, its ratio.
const (
	trickleRatioGoal = 1.3
	writesGoal       = 8 // per node: pool and ENI, creation and status
	burstRatioGoal   = 0.5

	admissionRatioGoal = 3  // p99 with webhooks by p99 without
	admissionGoal      = 20 // ms, p99 of a webhook
)

// goalsOf are those that depend on the size of the fleet.
type goalsOf struct {
	// None for a fleet that the full buckets hold: its time is that of two calls and of
	// waiting for company to read with, and a handful of reads is much for each node.
	joinRatio, joinPrimaryRatio, describes *float64
	throttled                              float64 // percent of the calls
	restart                                float64 // seconds from exec to the first EC2 write
	restartReads                           float64
	restCalls                              float64 // a minute
}

func goalsFor(nodes int) goalsOf {
	describes := ptr.To(0.05) // calls per ENI
	switch {
	case nodes <= attachBucket:
		return goalsOf{throttled: 0.5, restart: 5, restartReads: 10, restCalls: 1}
	case nodes <= 200:
		return goalsOf{ptr.To(1.15), ptr.To(0.8), describes, 0.5, 5, 10, 1}
	case nodes <= 1000:
		return goalsOf{ptr.To(1.05), ptr.To(0.6), describes, 0.2, 10, 20, 2}
	default:
		return goalsOf{ptr.To(1.05), ptr.To(0.6), describes, 0.2, 30, 100, 2}
	}
}

// memoryGoal is in MiB.
func memoryGoal(nodes int) float64 {
	switch {
	case nodes <= 200:
		return 120
	case nodes <= 1000:
		return 200
	default:
		return 450
	}
}
