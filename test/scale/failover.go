/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/eni-operator/eni-operator/pkg/options"
)

// failover measures what a standby does when the leader is killed: first alone, and
// then with a Node that joins at that moment.
func (b *bench) failover(ctx context.Context, s *sheet) error {
	if !b.settings.leaderElect {
		return errors.New("without leader election there is no standby: run it with --leader-elect")
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	say("failover: nothing changes meanwhile; machine: %s", machineLoad())
	before, err := b.look()
	if err != nil {
		return err
	}
	killed, err := b.killLeader(ctx)
	if err != nil {
		return err
	}
	if err := b.operator.awaitActing(ctx, b.cluster); err != nil {
		return err
	}
	led := time.Now()
	if err := b.awaitQuiet(ctx); err != nil {
		return err
	}
	after, err := b.look()
	if err != nil {
		return err
	}
	s.add("kill to the standby leading", seconds(led.Sub(killed)), "s")
	made, wrote := after.calls.since(before.calls), after.writes.since(before.writes)
	s.goal("EC2 writes", float64(made.writes()), "calls", 0)
	s.goal("EC2 reads", float64(made.reads()), "calls", goalsFor(s.nodes).restartReads)
	s.goal("Kubernetes writes besides lease and events", float64(wrote.total()), "writes", 0)
	say("failover: a Node joins")
	return b.failOverWithNode(ctx, s)
}

func (b *bench) failOverWithNode(ctx context.Context, s *sheet) error {
	b.cloud.throttle()
	killed, err := b.killLeader(ctx)
	if err != nil {
		return err
	}
	took, err := b.joinSpare(ctx)
	if err != nil {
		return err
	}
	acted, ok := b.cloud.firstWrite(killed)
	if !ok {
		return errors.New("a pool holds its minimum, and the emulator's log shows no write")
	}
	bound, err := failoverBound()
	if err != nil {
		return err
	}
	s.goal("kill to first EC2 write for a new Node", seconds(acted.Sub(killed)), "s", seconds(bound))
	s.add("its creation to its pool's minimum", seconds(took), "s")
	return b.awaitQuiet(ctx)
}

// killLeader starts a standby, kills the leader once the standby is warm, and
// returns when. The standby takes its place here.
func (b *bench) killLeader(ctx context.Context) (time.Time, error) {
	b.standbys++
	standby, err := launchOperator(b, fmt.Sprintf("standby-%d.log", b.standbys), nil)
	if err != nil {
		return time.Time{}, err
	}
	leader := b.operator
	b.operator = standby
	defer func() { _ = leader.process.Stop() }()
	if err := standby.awaitReady(ctx); err != nil {
		return time.Time{}, err
	}
	killed := time.Now()
	if err := leader.process.Signal(os.Kill); err != nil {
		return time.Time{}, err
	}
	<-leader.process.Done()
	return killed, nil
}

// failoverBound is the longest that a standby may take by the operator's defaults:
// the lease runs out, both of its looks at the lease come as late as client-go's
// jitter lets them (a wait is up to 2.2 times the period), and a second to act.
func failoverBound() (time.Duration, error) {
	defaults := pflag.NewFlagSet("", pflag.ContinueOnError)
	(&options.Options{}).AddFlags(defaults)
	lease, err := defaults.GetDuration("leader-elect-lease-duration")
	if err != nil {
		return 0, err
	}
	period, err := defaults.GetDuration("leader-elect-retry-period")
	return lease + 2*22*period/10 + time.Second, err
}
