/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package election keeps a replica that leads no longer from acting as if it did.
// client-go elects the leader, but a process that was stopped and woken goes on
// where it was before the elector notices: the Fence notices first.
package election

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/eni-operator/eni-operator/pkg/metrics"
)

// errNotHeld says that this process does not hold the lease, or gave it back.
var errNotHeld = errors.New("this replica does not hold the leader lease")

// Fence tells whether this process may still act as the leader: it may for as long
// as its last successful renewal of the lease is not older than the renew deadline.
// Other replicas wait longer than that, for the lease's duration.
//
// The age is the greater one of two: by the monotonic clock, and by the wall clock,
// since the former may stand still while a virtual machine is suspended.
type Fence struct {
	deadline time.Duration
	clock    clock.PassiveClock
	log      logr.Logger

	mu sync.Mutex
	// renewed is when the last successful renewal was asked for, which is before the
	// others saw it; zero while the lease is not held.
	renewed time.Time
	shut    bool // and said so in the log
}

// NewFence returns a fence that is shut until the lease is held.
func NewFence(deadline time.Duration, clk clock.PassiveClock, log logr.Logger) *Fence {
	return &Fence{deadline: deadline, clock: clk, log: log}
}

// Check is an error where a write must not be sent any more. A nil fence is open:
// there is no election.
func (f *Fence) Check() error {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	err := judge(f.renewed, f.clock.Now(), f.deadline)
	if err != nil {
		metrics.WritesFenced.Inc()
	}
	if shut := err != nil; shut != f.shut {
		f.shut = shut
		f.tell(err)
	}
	return err
}

// tell logs a change once, not every write that it concerns.
func (f *Fence) tell(err error) {
	if err != nil {
		f.log.Info("Holding back writes to EC2", "reason", err.Error())
		return
	}
	f.log.Info("Writing to EC2 again: the leader lease is renewed")
}

// judge decides whether a write may be sent now.
func judge(renewed, now time.Time, deadline time.Duration) error {
	if renewed.IsZero() {
		return errNotHeld
	}
	if age := age(renewed, now); age >= deadline {
		return fmt.Errorf("the leader lease was renewed %s ago, and others may lead after %s without", age.Round(time.Millisecond), deadline)
	}
	return nil
}

// age is the time since then by the clock that shows more of it.
func age(then, now time.Time) time.Duration {
	monotonic, wall := now.Sub(then), now.Round(0).Sub(then.Round(0)) // Round(0) drops the monotonic reading.
	return max(monotonic, wall)
}

// held notes a renewal that succeeded, by when it was asked for.
func (f *Fence) held(asked time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed = asked
}

// lost shuts the fence: the lease is another's, or is being given back.
func (f *Fence) lost() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed = time.Time{}
}
