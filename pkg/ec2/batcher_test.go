/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
)

// TestABatchDoesNotWaitForAWindowThatIsOver: what made the window long may end
// while a batch is open. It runs in a bubble, whose clock moves when all wait.
func TestABatchDoesNotWaitForAWindowThatIsOver(t *testing.T) {
	for name, test := range map[string]struct{ shrinksAfter, waits time.Duration }{
		"it stays long":                  {time.Hour, 5 * time.Second},
		"it becomes short":               {time.Second, time.Second},
		"it becomes short between looks": {time.Second + windowStep/2, time.Second + windowStep},
		"it is short soon":               {0, windowStep},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var short atomic.Bool
				window := func() Window {
					if short.Load() {
						return Window{Idle: windowStep, Most: windowStep}
					}
					return Window{Idle: 5 * time.Second, Most: 5 * time.Second}
				}
				b := NewBatcher(window, 10, func(_ context.Context, keys []string) (map[string]bool, error) {
					return map[string]bool{keys[0]: true}, nil
				})
				began := time.Now()
				time.AfterFunc(test.shrinksAfter, func() { short.Store(true) })
				_, found, err := b.Get(t.Context(), "a")
				assert.Assert(t, found && err == nil)
				// A look at the moment of the change may see it or not.
				late := time.Since(began) - test.waits
				assert.Assert(t, late >= 0 && late <= windowStep, late.String())
				time.Sleep(time.Hour + time.Second) // in the bubble: the timer ends with it
			})
		})
	}
}

// TestABatchStaysOpenWhileCallersJoin: a burst is one call, a steady stream is not
// waited for without end, and a lone caller hardly waits.
func TestABatchStaysOpenWhileCallersJoin(t *testing.T) {
	window := Window{Idle: 50 * time.Millisecond, Most: 500 * time.Millisecond}
	for name, test := range map[string]struct {
		callers    int
		apart      time.Duration
		calls      int32
		firstWaits time.Duration
	}{
		"one caller":        {callers: 1, calls: 1, firstWaits: 50 * time.Millisecond},
		"a burst":           {callers: 10, apart: 40 * time.Millisecond, calls: 1, firstWaits: 410 * time.Millisecond},
		"a long stream":     {callers: 20, apart: 40 * time.Millisecond, calls: 2, firstWaits: 500 * time.Millisecond},
		"callers far apart": {callers: 3, apart: 100 * time.Millisecond, calls: 3, firstWaits: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int32
				b := NewBatcher(func() Window { return window }, 200, func(_ context.Context, _ []string) (map[string]bool, error) {
					calls.Add(1)
					return nil, nil
				})
				var waited atomic.Int64
				for i := range test.callers {
					go func() {
						began := time.Now()
						_, _, err := b.Get(t.Context(), strconv.Itoa(i))
						assert.NilError(t, err)
						if i == 0 {
							waited.Store(int64(time.Since(began)))
						}
					}()
					time.Sleep(test.apart)
				}
				time.Sleep(time.Minute + time.Second) // in the bubble: the last timer ends with it
				assert.Equal(t, calls.Load(), test.calls)
				assert.Equal(t, time.Duration(waited.Load()), test.firstWaits)
			})
		})
	}
}

// TestABatchWaitsForTheStragglersOfACrowd: what came as a crowd goes on coming.
func TestABatchWaitsForTheStragglersOfACrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		b := NewBatcher(func() Window { return Window{Idle: 50 * time.Millisecond, Most: 500 * time.Millisecond} }, 200,
			func(context.Context, []string) (map[string]bool, error) {
				calls.Add(1)
				return nil, nil
			})
		get := func(key string) { go func() { _, _, _ = b.Get(t.Context(), key) }() }
		get("a")
		get("b")
		for _, key := range []string{"c", "d", "e", "f"} {
			time.Sleep(100 * time.Millisecond)
			get(key)
		}
		time.Sleep(2 * time.Second)
		assert.Equal(t, calls.Load(), int32(2), "the crowd, and its stragglers")
		get("g")
		time.Sleep(100 * time.Millisecond)
		assert.Equal(t, calls.Load(), int32(3), "a lone caller later does not wait")
		time.Sleep(2 * time.Minute) // in the bubble: the last timer ends with it
	})
}
