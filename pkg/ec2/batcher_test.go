/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"
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
				window := func() time.Duration {
					if short.Load() {
						return windowStep
					}
					return 5 * time.Second
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
