/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package elapsed

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"
	clocktesting "k8s.io/utils/clock/testing"
)

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestWatchCountsWhileAStateLasts(t *testing.T) {
	clk := clocktesting.NewFakePassiveClock(start)
	watch := New(clk)
	pass := func(d time.Duration) { clk.SetTime(clk.Now().Add(d)) }

	assert.Equal(t, watch.Since("a", "missing"), time.Duration(0), "the first look counts nothing")
	assert.Equal(t, watch.Since("c", ""), time.Duration(0), "nor does one at a state without a name")
	pass(time.Minute)
	assert.Equal(t, watch.Since("a", "missing"), time.Minute)
	assert.Equal(t, watch.Since("b", "missing"), time.Duration(0), "keys are counted apart")
	pass(time.Minute)
	assert.Equal(t, watch.Since("a", "missing"), 2*time.Minute, "a look does not start a new count")
	assert.Equal(t, watch.Since("a", "back"), time.Duration(0), "another state does")
	pass(time.Minute)
	assert.Equal(t, watch.Since("a", "missing"), time.Duration(0), "also a return to the earlier one")
	pass(time.Minute)
	watch.Forget("a")
	assert.Equal(t, watch.Since("a", "missing"), time.Duration(0))
	assert.Equal(t, watch.Since("b", "missing"), 3*time.Minute)
}

// TestWatchOnAClockThatGoesBack: what was counted never turns negative.
func TestWatchOnAClockThatGoesBack(t *testing.T) {
	clk := clocktesting.NewFakePassiveClock(start)
	watch := New(clk)
	watch.Since("a", "missing")
	clk.SetTime(start.Add(-time.Hour))
	assert.Equal(t, watch.Since("a", "missing"), time.Duration(0))
}

func TestAge(t *testing.T) {
	assert.Equal(t, Age(start.Add(-time.Minute), start), time.Minute)
	assert.Equal(t, Age(start, start), time.Duration(0))
	assert.Equal(t, Age(start.Add(24*time.Hour), start), time.Duration(0), "a time ahead of the clock counts as now")
}

func TestLeft(t *testing.T) {
	const wait = 30 * time.Second
	assert.Equal(t, Left(start.Add(-10*time.Second), start, wait), 20*time.Second)
	assert.Equal(t, Left(start.Add(-time.Minute), start, wait), -30*time.Second)
	assert.Equal(t, Left(start.Add(24*time.Hour), start, wait), wait, "never more than the wait itself")
}
