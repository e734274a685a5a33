/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package elapsed measures how long something has been so. What takes something from
// its holder waits for a time that this process saw pass itself (Watch): a time stored
// by an earlier process, or by one whose clock was wrong, proves nothing. Where a wait
// only delays a step that harms nobody, a stored time will do (Age).
package elapsed

import (
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Watch remembers since when this process has seen each key in its present state. It
// is safe for concurrent use, and empty after a restart.
type Watch struct {
	clock clock.PassiveClock

	mu   sync.Mutex
	seen map[string]sight
}

type sight struct {
	state string
	since time.Time
}

// New returns an empty Watch.
func New(clk clock.PassiveClock) *Watch {
	return &Watch{clock: clk, seen: map[string]sight{}}
}

// Since returns how long this process has seen a key in a state without seeing another
// one: zero the first time.
func (w *Watch) Since(key, state string) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now() // Its monotonic part, so that a corrected wall clock changes nothing.
	last, known := w.seen[key]
	if !known || last.state != state {
		w.seen[key] = sight{state: state, since: now}
		return 0
	}
	return max(0, now.Sub(last.since))
}

// Forget drops a key: the next look at it starts a new count.
func (w *Watch) Forget(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.seen, key)
}

// Age returns how old a stored time is. One that lies ahead of the clock counts as now.
func Age(at, now time.Time) time.Duration {
	return max(0, now.Sub(at))
}

// Left returns how much of a wait that began at a stored time is left: at most the wait
// itself, however far ahead of the clock the stored time lies.
func Left(at, now time.Time, wait time.Duration) time.Duration {
	return wait - Age(at, now)
}
