/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// join measures how long a fleet takes that comes all at once, and what it costs.
func (b *bench) join(ctx context.Context, s *sheet) error {
	made, err := b.measureJoin(ctx, s, goalsFor(s.nodes).joinRatio)
	if err != nil {
		return err
	}
	s.addCalls(made)
	return nil
}

// joinPrimary measures the same where pools may use the primary ENIs: those need an
// assignment instead of an attachment, which EC2 counts in a bucket of its own. The
// floor stays that of new ENIs, to show the gain.
func (b *bench) joinPrimary(ctx context.Context, s *sheet) error {
	made, err := b.measureJoin(ctx, s, goalsFor(s.nodes).joinPrimaryRatio)
	if err != nil {
		return err
	}
	s.addCallsEach(made, s.nodes)
	return nil
}

// measureJoin returns the calls that a joining fleet takes.
func (b *bench) measureJoin(ctx context.Context, s *sheet, ratioGoal *float64, flags ...string) (calls, error) {
	if err := b.startOperator(ctx, flags...); err != nil {
		return nil, err
	}
	if err := b.awaitQuiet(ctx); err != nil {
		return nil, err
	}
	if b.afterStart != nil {
		if err := b.afterStart(); err != nil {
			return nil, err
		}
	}
	b.cloud.throttle()
	before, err := b.look()
	if err != nil {
		return nil, err
	}
	say("%s: %d nodes at once; the floor is %s; machine: %s", s.row, b.settings.nodes, joinFloor(b.settings.nodes), machineLoad())
	times, err := b.joinProfiled(ctx, s.row)
	if err != nil {
		return nil, err
	}
	busy := machineNow().busySince(before.machine)
	if err := b.awaitQuiet(ctx); err != nil {
		return nil, err
	}
	after, err := b.look()
	if err != nil {
		return nil, err
	}
	s.timed("time until every pool has its minimum", times.total, joinFloor(b.settings.nodes), ratioGoal)
	s.add("time per node, p50", seconds(percentile(times.perNode, 50)), "s")
	s.add("time per node, p99", seconds(percentile(times.perNode, 99)), "s")
	s.addWrites(after.writes.since(before.writes))
	s.goal("peak memory of the operator", after.memory, "MiB", memoryGoal(b.settings.nodes))
	s.add("CPU per node", seconds(after.cpu-before.cpu)/float64(b.settings.nodes), "s")
	s.add("machine's processors in use", busy, "%")
	return after.calls.since(before.calls), nil
}

// joinTimes are what a joining fleet took.
type joinTimes struct {
	// total is from the first Node's creation to the last pool's minimum.
	total time.Duration
	// perNode is from each Node's creation to its pool's minimum.
	perNode []time.Duration
}

// joinFleet creates the fleet's Nodes as fast as possible and waits for their
// pools.
func (b *bench) joinFleet(ctx context.Context) (joinTimes, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout(b.settings.nodes))
	defer cancel()
	created, err := b.createNodes(ctx)
	if err != nil {
		return joinTimes{}, err
	}
	var names []string
	for name := range created {
		names = append(names, name)
	}
	ready, err := b.pools.await(ctx, names, b.operator.alive)
	if err != nil {
		return joinTimes{}, err
	}
	b.joined = true
	return timesOf(created, ready), nil
}

func timesOf(created, ready map[string]time.Time) joinTimes {
	var times joinTimes
	var first, last time.Time
	for name, at := range created {
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if ready[name].After(last) {
			last = ready[name]
		}
		times.perNode = append(times.perNode, ready[name].Sub(at))
	}
	times.total = last.Sub(first)
	slices.Sort(times.perNode)
	return times
}

// creators is how many Nodes are created side by side.
const creators = 16

// createNodes returns when each Node's creation began.
func (b *bench) createNodes(ctx context.Context) (map[string]time.Time, error) {
	var (
		workers sync.WaitGroup
		mu      sync.Mutex
		failed  error
		created = map[string]time.Time{}
		queue   = make(chan types.Instance)
	)
	for range creators {
		workers.Go(func() {
			for instance := range queue {
				now := time.Now()
				err := b.cluster.join(ctx, instance)
				mu.Lock()
				created[nodeName(instance)] = now
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	for _, instance := range mixed(b.cloud.fleet) {
		queue <- instance
	}
	close(queue)
	workers.Wait()
	return created, failed
}

// mixed takes the instances of all zones in turn.
func mixed(fleet []types.Instance) []types.Instance {
	var turns []types.Instance
	third := (len(fleet) + len(zones) - 1) / len(zones)
	for i := range third {
		for at := i; at < len(fleet); at += third {
			turns = append(turns, fleet[at])
		}
	}
	return turns
}

// addCalls reports what the fleet cost in EC2 calls. Each node has one new ENI, so
// that per node is per ENI.
func (s *sheet) addCalls(made calls) {
	nodes := float64(s.nodes)
	for _, action := range []string{"CreateNetworkInterface", "AttachNetworkInterface", "ModifyNetworkInterfaceAttribute"} {
		s.goal(action+" per node", float64(made[action].Calls)/nodes, "calls", 1)
	}
	s.judge("Describe… per node", float64(made.reads())/nodes, "calls", goalsFor(s.nodes).describes)
	for _, action := range sortedKeys(made) {
		if strings.HasPrefix(action, "Describe") {
			s.add(action, float64(made[action].Calls), "calls")
		}
	}
	s.goal("throttled calls", made.throttledShare(), "%", goalsFor(s.nodes).throttled)
}

// addWrites reports what the fleet cost in writes to Kubernetes.
func (s *sheet) addWrites(made writes) {
	nodes := float64(s.nodes)
	s.goal("Kubernetes writes per node", float64(made.of("enipools", "elasticnetworkinterfaces"))/nodes, "writes", writesGoal)
	for _, kind := range made.kinds() {
		s.add(kind+" per node", float64(made[kind])/nodes, "writes")
	}
	s.add("conflicts", float64(made[conflicts]), "writes")
	s.add("events per node", float64(made[eventWrites])/nodes, "writes")
	s.add("lease writes", float64(made[leaseWrites]), "writes")
}
