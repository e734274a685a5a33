/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import "time"

// EC2's token buckets for the two calls that each new ENI needs.
const (
	createBucket    = 100
	attachBucket    = 50
	refillPerSecond = 5
)

// joinFloor is the least that a fleet can take if each node gets one new ENI and
// the buckets are full: what the buckets lack comes at their rate, and the last
// ENI still has to be created and attached.
func joinFloor(nodes int) time.Duration {
	wait := max(nodes-createBucket, nodes-attachBucket, 0)
	return time.Duration(wait)*time.Second/refillPerSecond + writeLatency + attachLatency
}
