/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

const (
	// churnShare of the fleet is replaced each minute, but no more than mostChurn:
	// each new node is one of the five attachments a second that EC2 lets pass.
	churnShare   = 0.2
	mostChurn    = 240
	churnMinutes = 2
)

// churn measures what it costs to replace nodes, and that nothing stays behind.
func (b *bench) churn(ctx context.Context, s *sheet) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	count, every := churnOf(b.settings.nodes)
	arriving, err := b.launchReplacements(ctx, count)
	if err != nil {
		return err
	}
	b.cloud.throttle()
	before, err := b.look()
	if err != nil {
		return err
	}
	say("churn: %d nodes are replaced, one every %s; machine: %s", count, every.Round(time.Millisecond), machineLoad())
	leaving := mixed(b.cloud.fleet)[:count]
	created, err := b.replace(ctx, leaving, arriving, every)
	if err != nil {
		return err
	}
	took, err := b.awaitReplaced(ctx, created, leaving)
	if err != nil {
		return err
	}
	after, err := b.look()
	if err != nil {
		return err
	}
	s.add("nodes replaced", float64(count), "nodes")
	s.add("time from Node to its pool's minimum, p50", seconds(percentile(took, 50)), "s")
	s.add("time from Node to its pool's minimum, p99", seconds(percentile(took, 99)), "s")
	s.addCallsEach(after.calls.since(before.calls), count)
	wrote := after.writes.since(before.writes)
	s.add("Kubernetes writes per node", float64(wrote.total())/float64(count), "writes")
	s.add("conflicts", float64(wrote[conflicts]), "writes")
	return b.addLeaks(ctx, s, "ENIs leaked")
}

// churnOf is how many nodes are replaced, and at what distance.
func churnOf(nodes int) (count int, every time.Duration) {
	perMinute := max(min(int(churnShare*float64(nodes)), mostChurn), 1)
	return min(perMinute*churnMinutes, nodes), time.Minute / time.Duration(perMinute)
}

// launchReplacements starts an instance in the zone of each of the fleet's first
// ones.
func (b *bench) launchReplacements(ctx context.Context, count int) ([]types.Instance, error) {
	b.cloud.emulator.SetThrottling(false)
	arriving := make([]types.Instance, count)
	for _, zone := range zones {
		var at []int
		for i, leaving := range mixed(b.cloud.fleet)[:count] {
			if aws.ToString(leaving.Placement.AvailabilityZone) == zone {
				at = append(at, i)
			}
		}
		if len(at) == 0 {
			continue
		}
		launched, err := b.cloud.launch(ctx, zone, len(at))
		if err != nil {
			return nil, err
		}
		for n, i := range at {
			arriving[i] = launched[n]
		}
	}
	return arriving, nil
}

// replace takes one node after the other away and has another join, and returns
// when each of those was created.
func (b *bench) replace(ctx context.Context, leaving, arriving []types.Instance, every time.Duration) (map[string]time.Time, error) {
	var (
		swaps   sync.WaitGroup
		mu      sync.Mutex
		failed  error
		created = map[string]time.Time{}
	)
	for i := range arriving {
		swaps.Go(func() {
			err := errors.Join(b.cloud.terminate(ctx, leaving[i]), b.cluster.leave(ctx, leaving[i]))
			now := time.Now()
			err = errors.Join(err, b.cluster.join(ctx, arriving[i]))
			mu.Lock()
			defer mu.Unlock()
			created[nodeName(arriving[i])] = now
			failed = errors.Join(failed, err)
		})
		if !pause(ctx, every) {
			break
		}
	}
	swaps.Wait()
	b.cloud.fleet = slices.Concat(mixed(b.cloud.fleet)[len(leaving):], arriving)
	return created, errors.Join(failed, ctx.Err())
}

// awaitReplaced returns how long the new nodes waited for their pools, once those
// of the old ones are gone.
func (b *bench) awaitReplaced(ctx context.Context, created map[string]time.Time, left []types.Instance) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout(len(created)))
	defer cancel()
	ready, err := b.pools.await(ctx, sortedKeys(created), b.operator.alive)
	if err != nil {
		return nil, err
	}
	for i := range left {
		if err := b.awaitNoPool(ctx, nodeName(left[i])); err != nil {
			return nil, err
		}
	}
	return timesOf(created, ready).perNode, b.awaitQuiet(ctx)
}

// awaitNoPool returns when a node has no pool.
func (b *bench) awaitNoPool(ctx context.Context, node string) error {
	for {
		err := b.cluster.Get(ctx, client.ObjectKey{Name: node}, &v1alpha1.ENIPool{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err := errors.Join(err, b.operator.alive()); err != nil {
			return err
		}
		if !pause(ctx, glance) {
			return fmt.Errorf("the pool of %s, whose instance is terminated, is still there: %w", node, ctx.Err())
		}
	}
}
