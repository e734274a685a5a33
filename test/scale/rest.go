/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/eni-operator/eni-operator/pkg/options"
)

const (
	// restInterval takes the place of the intervals of what the operator does from
	// time to time, so that a window of minutes holds several rounds.
	restInterval = 15 * time.Second
	// restRounds is how many rounds the window holds at least: an interval is up
	// to a tenth longer, and one round may be under way.
	restRounds = 2
	restWindow = (restRounds+1)*restInterval*11/10 + 5*time.Second
	// calmWindow is without any round.
	calmWindow = 30 * time.Second
)

// rest measures what the operator does when nothing changes, in two windows: one
// without a round of the audit, which shows what goes on at all times, and one
// with several, of which the rest is scaled to the default interval.
func (b *bench) rest(ctx context.Context, s *sheet) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	say("rest: %s between two audits; machine: %s", calmWindow, machineLoad())
	calm, err := b.watchFor(ctx, calmWindow)
	if err != nil {
		return err
	}
	flags, scale := shortIntervals()
	if err := b.stopOperator(); err != nil {
		return err
	}
	if err := b.startOperator(ctx, flags...); err != nil {
		return err
	}
	// The audits keep it from ever being quiet for long: its start is over after
	// the first.
	if !pause(ctx, restInterval/2) {
		return ctx.Err()
	}
	say("rest: %s with %v", restWindow, flags)
	busy, err := b.watchFor(ctx, restWindow)
	if err != nil {
		return err
	}
	audits := b.cloud.audits(time.Now().Add(-busy.length))
	if audits < restRounds {
		return fmt.Errorf("the window of %s holds %d audits, not %d: its figures say nothing", restWindow, audits, restRounds)
	}
	reportRest(s, calm, busy, audits, scale)
	return nil
}

// auditAction is the call that each audit makes at least once.
const auditAction = "DescribeNetworkInterfaces"

func reportRest(s *sheet, calm, busy span, audits int, scale float64) {
	s.goal(fmt.Sprintf("EC2 calls a minute (audits %.0f times as often, scaled back)", 1/scale),
		scaled(calm.rate(calm.calls.total()), busy.rate(busy.calls.total()), scale), "calls", goalsFor(s.nodes).restCalls)
	s.add("EC2 calls a minute between audits", calm.rate(calm.calls.total()), "calls")
	s.add(fmt.Sprintf("EC2 calls in %s with an audit every %s", restWindow, restInterval), float64(busy.calls.total()), "calls")
	s.add("audits among them", float64(audits), "audits")
	s.goal("EC2 writes in both windows", float64(calm.calls.writes()+busy.calls.writes()), "calls", 0)
	s.goal("Kubernetes writes besides lease and events", float64(calm.writes.total()+busy.writes.total()), "writes", 0)
	s.add("events", float64(calm.writes[eventWrites]+busy.writes[eventWrites]), "writes")
	s.add("lease writes a minute", calm.rate(calm.writes[leaseWrites]), "writes")
	s.add("CPU a minute, scaled likewise",
		scaled(calm.rate(1)*seconds(calm.cpu), busy.rate(1)*seconds(busy.cpu), scale), "s")
}

// scaled is the rate of what goes on at all times, and of the rounds at their
// default interval.
func scaled(calm, busy, scale float64) float64 { return calm + max(busy-calm, 0)*scale }

// shortIntervals are the flags that have rounds come often, and how much less
// often they come by default.
func shortIntervals() (flags []string, scale float64) {
	defaults := pflag.NewFlagSet("", pflag.ContinueOnError)
	(&options.Options{}).AddFlags(defaults)
	for _, name := range []string{"audit-interval", "gc-interval"} {
		interval, err := defaults.GetDuration(name)
		if err != nil {
			continue // The operator has no such flag.
		}
		flags = append(flags, fmt.Sprintf("--%s=%s", name, restInterval))
		// The one that comes most often by default, so that none is made less of.
		scale = max(scale, float64(restInterval)/float64(interval))
	}
	return flags, scale
}

// span is what the operator did in a while.
type span struct {
	length time.Duration
	calls  calls
	writes writes
	cpu    time.Duration
}

// rate is a count in the span as a rate a minute.
func (s span) rate(count int) float64 { return float64(count) / s.length.Minutes() }

// watchFor lets the operator be.
func (b *bench) watchFor(ctx context.Context, length time.Duration) (span, error) {
	before, err := b.look()
	if err != nil {
		return span{}, err
	}
	if !pause(ctx, length) {
		return span{}, ctx.Err()
	}
	if err := b.operator.alive(); err != nil {
		return span{}, err
	}
	after, err := b.look()
	if err != nil {
		return span{}, err
	}
	return span{
		length: after.at.Sub(before.at), cpu: after.cpu - before.cpu,
		calls: after.calls.since(before.calls), writes: after.writes.since(before.writes),
	}, nil
}
