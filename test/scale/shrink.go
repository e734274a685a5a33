/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// shrink measures how fast a fleet gives everything back: when its policy is
// deleted while all instances run, and when all instances are terminated.
func (b *bench) shrink(ctx context.Context, s *sheet) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	say("shrink: the policy is deleted; the floor is %s; machine: %s", shrinkFloor(b.settings.nodes), machineLoad())
	took, made, err := b.untilEmpty(ctx, func() error { return b.cluster.deletePolicy(ctx) })
	if err != nil {
		return err
	}
	s.timed("time from the policy's deletion until no ENI is left", took, shrinkFloor(b.settings.nodes), nil)
	s.addCallsEach(made, b.settings.nodes)
	if err := b.addLeaks(ctx, s, "ENIs leaked"); err != nil {
		return err
	}
	if err := b.refill(ctx); err != nil {
		return err
	}
	say("shrink: all instances are terminated; machine: %s", machineLoad())
	took, made, err = b.untilEmpty(ctx, func() error { return b.terminateFleet(ctx) })
	if err != nil {
		return err
	}
	s.add("time from the instances' termination until no resource is left", seconds(took), "s")
	s.add("EC2 calls per terminated node", float64(made.total())/float64(b.settings.nodes), "calls")
	return b.addLeaks(ctx, s, "ENIs of terminated instances leaked")
}

// shrinkFloor is the least that it takes to detach and delete each node's ENI with
// full buckets: what the bucket of detachments lacks comes at its rate.
func shrinkFloor(nodes int) time.Duration {
	return time.Duration(max(nodes-attachBucket, 0))*time.Second/refillPerSecond + 2*writeLatency
}

// untilEmpty returns how long it takes from a deed until no ENI and no pool is
// left, and the calls that it takes.
func (b *bench) untilEmpty(ctx context.Context, deed func() error) (time.Duration, calls, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout(b.settings.nodes))
	defer cancel()
	b.cloud.throttle()
	before, began := b.cloud.calls(), time.Now()
	if err := deed(); err != nil {
		return 0, nil, err
	}
	if err := b.awaitGone(ctx, &v1alpha1.ElasticNetworkInterfaceList{}); err != nil {
		return 0, nil, err
	}
	took := time.Since(began)
	b.joined = false
	b.pools.forget()
	if err := b.awaitGone(ctx, &v1alpha1.ENIPoolList{}); err != nil {
		return 0, nil, err
	}
	return took, b.cloud.calls().since(before), b.awaitQuiet(ctx)
}

// refill has the policy come back, and waits for the fleet.
func (b *bench) refill(ctx context.Context) error {
	if err := b.cluster.createPolicy(ctx, b.fleet); err != nil {
		return err
	}
	say("Filling the fleet again (at least %s)", joinFloor(b.settings.nodes))
	ctx, cancel := context.WithTimeout(ctx, joinTimeout(b.settings.nodes))
	defer cancel()
	if _, err := b.pools.await(ctx, b.cloud.nodeNames(), b.operator.alive); err != nil {
		return err
	}
	b.joined = true
	return b.awaitQuiet(ctx)
}

// terminateFleet ends all instances that have a Node.
func (b *bench) terminateFleet(ctx context.Context) error {
	b.cloud.emulator.SetThrottling(false)
	err := b.cloud.terminate(ctx, b.cloud.joined()...)
	b.cloud.throttle()
	if err != nil {
		return err
	}
	for _, instance := range b.cloud.joined() {
		if err := b.cluster.leave(ctx, instance); err != nil {
			return err
		}
	}
	return nil
}

// awaitGone returns when a list is empty.
func (b *bench) awaitGone(ctx context.Context, list client.ObjectList) error {
	for {
		if err := b.cluster.List(ctx, list, client.Limit(1)); err != nil {
			return err
		}
		if meta.LenList(list) == 0 {
			return nil
		}
		if err := b.operator.alive(); err != nil {
			return err
		}
		if !pause(ctx, glance) {
			return fmt.Errorf("there are still objects in %T: %w", list, ctx.Err())
		}
	}
}
