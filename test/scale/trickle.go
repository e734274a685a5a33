/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"slices"
	"time"

	"k8s.io/utils/ptr"
)

// trickleNodes is how many Nodes come, each when the one before it is served.
const trickleNodes = 10

// trickle measures what one node waits for when EC2 has tokens for everything: a
// creation and an attachment are the least.
func (b *bench) trickle(ctx context.Context, s *sheet) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	say("trickle: %d nodes, one at a time; machine: %s", trickleNodes, machineLoad())
	before, err := b.look()
	if err != nil {
		return err
	}
	var took []time.Duration
	for range trickleNodes {
		one, err := b.joinSpare(ctx)
		if err != nil {
			return err
		}
		took = append(took, one)
		if err := b.awaitQuiet(ctx); err != nil {
			return err
		}
	}
	after, err := b.look()
	if err != nil {
		return err
	}
	slices.Sort(took)
	s.timed("time from Node to its pool's minimum, p50", percentile(took, 50), joinFloor(1), ptr.To(trickleRatioGoal))
	s.add("the longest", seconds(percentile(took, 100)), "s")
	s.addCallsEach(after.calls.since(before.calls), trickleNodes)
	return nil
}

// joinSpare returns how long one more Node waited for its pool.
func (b *bench) joinSpare(ctx context.Context) (time.Duration, error) {
	spare, err := b.cloud.takeSpare()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, joinTimeout(1))
	defer cancel()
	began := time.Now()
	if err := b.cluster.join(ctx, spare); err != nil {
		return 0, err
	}
	ready, err := b.pools.await(ctx, []string{nodeName(spare)}, b.operator.alive)
	return ready[nodeName(spare)].Sub(began), err
}

// addCallsEach reports each action's calls for one node of so many.
func (s *sheet) addCallsEach(made calls, nodes int) {
	for _, action := range sortedKeys(made) {
		s.add(action+" per node", float64(made[action].Calls)/float64(nodes), "calls")
	}
	s.goal("throttled calls", made.throttledShare(), "%", goalsFor(s.nodes).throttled)
}
