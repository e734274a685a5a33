/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"time"
)

// restart measures what a new process does with a settled fleet: first alone, and
// then with a Node that joined while there was none.
func (b *bench) restart(ctx context.Context, s *sheet) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	say("restart: nothing changed meanwhile; machine: %s", machineLoad())
	if err := b.restartIdle(ctx, s); err != nil {
		return err
	}
	say("restart: a Node joined meanwhile")
	return b.restartWithNode(ctx, s)
}

func (b *bench) restartIdle(ctx context.Context, s *sheet) error {
	calls := b.cloud.calls()
	writes, err := b.audit.read()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := b.stopOperator(); err != nil {
		return err
	}
	ended := time.Now()
	if err := b.startOperator(ctx); err != nil {
		return err
	}
	acting := time.Now()
	if err := b.awaitQuiet(ctx); err != nil {
		return err
	}
	after, err := b.look()
	if err != nil {
		return err
	}
	s.add("SIGTERM to exit", seconds(ended.Sub(began)), "s")
	s.add("exec to leading and ready", seconds(acting.Sub(b.operator.began)), "s")
	made, wrote := after.calls.since(calls), after.writes.since(writes)
	s.goal("EC2 writes", float64(made.writes()), "calls", 0)
	s.goal("EC2 reads", float64(made.reads()), "calls", goalsFor(s.nodes).restartReads)
	for _, action := range sortedKeys(made) {
		s.add(action, float64(made[action].Calls), "calls")
	}
	s.goal("Kubernetes writes besides lease and events", float64(wrote.total()), "writes", 0)
	s.add("events", float64(wrote[eventWrites]), "writes")
	s.add("peak memory of the operator", after.memory, "MiB")
	s.add("CPU", seconds(after.cpu), "s")
	return nil
}

func (b *bench) restartWithNode(ctx context.Context, s *sheet) error {
	late, err := b.cloud.takeSpare()
	if err != nil {
		return err
	}
	if err := b.stopOperator(); err != nil {
		return err
	}
	b.cloud.throttle()
	if err := b.cluster.join(ctx, late); err != nil {
		return err
	}
	if err := b.startOperator(ctx); err != nil {
		return err
	}
	began := b.operator.began
	ctx, cancel := context.WithTimeout(ctx, joinTimeout(1))
	defer cancel()
	ready, err := b.pools.await(ctx, []string{nodeName(late)}, b.operator.alive)
	if err != nil {
		return err
	}
	acted, ok := b.cloud.firstWrite(began)
	if !ok {
		return errors.New("a pool holds its minimum, and the emulator's log shows no write")
	}
	s.goal("exec to first EC2 write for a late Node", seconds(acted.Sub(began)), "s", goalsFor(s.nodes).restart)
	s.add("exec to its pool's minimum", seconds(ready[nodeName(late)].Sub(began)), "s")
	return b.awaitQuiet(ctx)
}
