/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

// What is asked of the operator. A goal is the most that a value may be, or, for
// a time with a floor, its ratio.
const (
	trickleRatioGoal = 1.3
	describeGoal     = 0.05 // calls per ENI
	writesGoal       = 8    // per node: pool and ENI, creation and status
	burstRatioGoal   = 0.5

	admissionRatioGoal = 3  // p99 with webhooks by p99 without
	admissionGoal      = 20 // ms, p99 of a webhook
)

// goalsOf are those that depend on the size of the fleet.
type goalsOf struct {
	joinRatio, joinPrimaryRatio float64
	throttled                   float64 // percent of the calls
	restart                     float64 // seconds from exec to the first EC2 write
	restartReads                float64
	restCalls                   float64 // a minute
}

func goalsFor(nodes int) goalsOf {
	switch {
	case nodes <= 200:
		return goalsOf{joinRatio: 1.15, joinPrimaryRatio: 0.8, throttled: 0.5, restart: 5, restartReads: 10, restCalls: 1}
	case nodes <= 1000:
		return goalsOf{joinRatio: 1.05, joinPrimaryRatio: 0.6, throttled: 0.2, restart: 10, restartReads: 20, restCalls: 2}
	default:
		return goalsOf{joinRatio: 1.05, joinPrimaryRatio: 0.6, throttled: 0.2, restart: 30, restartReads: 100, restCalls: 2}
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
