/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

// What is asked of the operator. A goal is the most that a value may be, or, for
// a time with a floor, its ratio.
const (
	joinRatioGoal    = 1.15
	describeGoal     = 0.05 // calls per ENI
	throttledGoal    = 0.5  // percent
	writesGoal       = 8    // per node: pool and ENI, creation and status
	restartGoal      = 15   // seconds
	restartReadsGoal = 30
	restCallsGoal    = 2 // a minute
	burstRatioGoal   = 0.5
)

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
