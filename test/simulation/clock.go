/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"sync"
	"time"
	"unsafe"

	"k8s.io/utils/clock"
)

// wallClock is a replica's clock: the bubble's time is the monotonic reading of the
// times that it returns, and the wall clock is as far off as it was set.
type wallClock struct {
	clock.RealClock // timers and tickers, which are the bubble's

	mu     sync.Mutex
	offset time.Duration
	start  time.Time
}

var _ clock.WithTicker = (*wallClock)(nil)

func newWallClock() *wallClock { return &wallClock{start: time.Now()} }

// step moves the wall clock.
func (c *wallClock) step(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += by
}

// set sets the wall clock off by this much.
func (c *wallClock) set(offset time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset = offset
}

// Now is the time, with both readings.
func (c *wallClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	return withReadings(now.Add(c.offset), now.Sub(c.start)+time.Hour)
}

// Since is the time since then by the monotonic clock, where then has a reading of it.
func (c *wallClock) Since(then time.Time) time.Duration { return c.Now().Sub(then) }

// Package time keeps a reading of the wall clock as seconds since 1885 from bit 30 on
// with the nanoseconds below, where there is a monotonic reading.
const (
	hasMonotonic  = 1 << 63
	secondsShift  = 30
	unixSince1885 = (1969-1884)*365*86400 + ((1969/4-1884/4)-(1969/100-1884/100)+(1969/400-1884/400))*86400
)

// withReadings returns a time whose monotonic reading says something else than its
// wall clock, which package time has no way to make.
func withReadings(wall time.Time, monotonic time.Duration) time.Time {
	made := time.Time{}
	raw := (*struct {
		wall     uint64
		ext      int64
		location *time.Location
	})(unsafe.Pointer(&made))
	raw.wall = hasMonotonic | uint64(wall.Unix()+unixSince1885)<<secondsShift | uint64(wall.Nanosecond()) //nolint:gosec // after 1885
	raw.ext = int64(monotonic)
	raw.location = time.UTC
	if made.Round(0).Sub(wall) != 0 {
		panic("package time keeps its readings otherwise by now")
	}
	return made
}
