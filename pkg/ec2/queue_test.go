/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"k8s.io/utils/clock"
)

// crowd makes calls wait in a queue and notes who was served, in order. It runs
// in a synctest bubble, whose clock moves when all are waiting.
type crowd struct {
	t      *testing.T
	queue  *queue
	mu     sync.Mutex
	served []string
	done   sync.WaitGroup
}

func newCrowd(t *testing.T, limit Limit) *crowd {
	t.Helper()
	return &crowd{t: t, queue: newQueue(t.Context().Done(), limit, clock.RealClock{})}
}

// call joins the queue; those that join one after the other keep their order.
func (c *crowd) call(ctx context.Context, name string, priority Priority, node string) {
	c.done.Go(func() {
		if err := c.queue.wait(WithPriority(ctx, priority, node)); err != nil {
			name = name + ": " + err.Error()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.served = append(c.served, name)
	})
	synctest.Wait()
}

func (c *crowd) order() string {
	c.done.Wait()
	return strings.Join(c.served, ", ")
}

func TestQueueServesTheMostUrgentFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, Limit{Bucket: 1, PerSecond: 1})
		c.call(t.Context(), "first", PriorityNormal, "a")
		c.call(t.Context(), "tags", PriorityBackground, "a")
		c.call(t.Context(), "warm", PriorityNormal, "a")
		c.call(t.Context(), "claim", PriorityUrgent, "b")
		assert.Equal(t, c.queue.length(), 3)
		assert.Equal(t, c.order(), "first, claim, warm, tags")
		assert.Equal(t, c.queue.length(), 0)
	})
}

func TestQueueLetsNodesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, Limit{Bucket: 1, PerSecond: 1})
		c.call(t.Context(), "first", PriorityNormal, "")
		for _, name := range []string{"a1", "a2", "a3", "b1", "b2"} {
			c.call(t.Context(), name, PriorityNormal, name[:1])
		}
		assert.Equal(t, c.order(), "first, a1, b1, a2, b2, a3")
	})
}

func TestQueueNeverExceedsTheBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, Limit{Bucket: 5, PerSecond: 2})
		for range 9 {
			c.call(t.Context(), "x", PriorityNormal, "")
		}
		served := func() int {
			synctest.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.served)
		}
		assert.Equal(t, served(), 5)
		start := time.Now()
		for extra := 1; extra <= 4; extra++ {
			token := start.Add(time.Duration(extra) * 500 * time.Millisecond)
			time.Sleep(time.Until(token) - time.Millisecond)
			assert.Equal(t, served(), 5+extra-1)
			time.Sleep(2 * time.Millisecond)
			assert.Equal(t, served(), 5+extra)
		}
	})
}

func TestQueueIsLeftByWhoGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, Limit{Bucket: 1, PerSecond: 1})
		ctx, cancel := context.WithCancel(t.Context())
		c.call(t.Context(), "first", PriorityNormal, "")
		c.call(ctx, "gone", PriorityUrgent, "")
		c.call(t.Context(), "last", PriorityNormal, "")
		cancel()
		synctest.Wait()
		assert.Equal(t, c.queue.length(), 1)
		assert.Equal(t, c.order(), "first, gone: context canceled, last")

		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		assert.Assert(t, errors.Is(c.queue.wait(cancelled), context.Canceled))
	})
}

func TestQueueSlowsDownWhenThrottledAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t.Context().Done(), Limit{Bucket: 100, PerSecond: 10}, clock.RealClock{})
		q.throttled()
		assert.Equal(t, int(q.bucket.Tokens()), 0)
		assert.Equal(t, float64(q.bucket.Limit()), 7.0)
		q.throttled() // The same burst.
		assert.Equal(t, float64(q.bucket.Limit()), 7.0)
		for range 50 {
			time.Sleep(backoffPause)
			q.throttled()
		}
		assert.Equal(t, float64(q.bucket.Limit()), 1.0)
		time.Sleep(recoverySteps * time.Second)
		assert.NilError(t, q.wait(t.Context()))
		assert.Equal(t, float64(q.bucket.Limit()), 10.0)
	})
}
