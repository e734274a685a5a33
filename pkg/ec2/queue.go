/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

const (
	// backoffFactor is what remains of an action's rate after EC2 throttled it:
	// others share the account's bucket.
	backoffFactor = 0.7
	// slowest is the share of the configured rate that backing off never goes below.
	slowest = 0.1
	// recoverySteps is in how many seconds without a throttle the full rate is back.
	recoverySteps = 20
	// backoffPause keeps the throttles of one burst from counting more than once.
	backoffPause = time.Second
)

// queue is one action's token bucket, and the calls that wait for it: the most
// urgent first, then by turns of the nodes, then the oldest.
type queue struct {
	// stop ends all waiting.
	stop  <-chan struct{}
	clock clock.WithDelayedExecution
	full  Limit
	// underway is the number of calls that EC2 has not answered yet.
	underway atomic.Int64

	mu      sync.Mutex
	bucket  *rate.Limiter
	waiting waiters
	// tickets are the places of callers that come back, by their keys.
	tickets map[string]*ticket
	// turns are the nodes' last places in the order; turn is the last one served.
	turns    map[string]int64
	turn     int64
	sequence int64
	armed    bool
	changed  time.Time
}

func newQueue(stop <-chan struct{}, limit Limit, clk clock.WithDelayedExecution) *queue {
	return &queue{
		stop: stop, clock: clk, full: limit, tickets: map[string]*ticket{}, turns: map[string]int64{}, changed: clk.Now(),
		bucket: rate.NewLimiter(rate.Limit(limit.PerSecond), limit.Bucket),
	}
}

// waiter is one call in a queue.
type waiter struct {
	place
	index int
	ready chan struct{}
}

// pass returns when the call may be made: immediately if it was admitted before.
func (q *queue) pass(ctx context.Context, admitted bool) error {
	if !admitted {
		return q.wait(ctx)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return q.stopping()
}

// wait returns when the call may be made. A caller whose context ends leaves the
// queue, and so do all when the process stops.
func (q *queue) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := q.join(callOf(ctx))
	if w == nil {
		return q.stopping()
	}
	select {
	case <-w.ready:
		return q.stopping()
	case <-q.stop:
		q.leave(w)
		return errStopping
	case <-ctx.Done():
		q.leave(w)
		return ctx.Err()
	}
}

// stopping is an error once the process stops.
func (q *queue) stopping() error {
	select {
	case <-q.stop:
		return errStopping
	default:
		return nil
	}
}

// errStopping is what the calls end with that wait when the process stops.
var errStopping = fmt.Errorf("the operator is stopping: %w", context.Canceled)

// join takes a token, or a place in the queue.
func (q *queue) join(c call) *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock.Now()
	q.recover(now)
	q.dropExpired(now)
	if len(q.waiting)+len(q.tickets) == 0 && q.bucket.AllowN(now, 1) {
		return nil
	}
	w := &waiter{place: q.newPlace(c), ready: make(chan struct{})}
	if q.take(now, q.ahead(w.place)) {
		return nil
	}
	heap.Push(&q.waiting, w)
	q.arm(now)
	return w
}

// newPlace is the place of a call that joins the queue now; q.mu is held.
func (q *queue) newPlace(c call) place {
	q.sequence++
	turn := max(q.turn, q.turns[c.node]) + 1
	q.turns[c.node] = turn
	return place{order: c.priority.order(), turn: turn, sequence: q.sequence}
}

func (q *queue) leave(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.index >= 0 {
		heap.Remove(&q.waiting, w.index)
	}
}

// longestArmed is how long a waiting call goes unlooked at.
const longestArmed = time.Second

// arm has serve called when the next token is there; q.mu is held.
func (q *queue) arm(now time.Time) {
	if q.armed || len(q.waiting) == 0 {
		return
	}
	q.armed = true
	// Those with a ticket may give their places up earlier than their tokens come.
	delay := min(q.untilTokens(now, q.ticketsAhead(q.waiting[0].place)+1), longestArmed)
	// A nanosecond more, since rounding must not wake it just before the token.
	q.clock.AfterFunc(delay+time.Nanosecond, q.serve)
}

// serve lets as many calls go as there are tokens.
func (q *queue) serve() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock.Now()
	q.armed = false
	q.recover(now)
	q.dropExpired(now)
	for len(q.waiting) > 0 && q.take(now, q.ticketsAhead(q.waiting[0].place)) {
		w := heap.Pop(&q.waiting).(*waiter) //nolint:forcetypeassert // holds nothing else
		q.turn = max(q.turn, w.turn)
		close(w.ready)
	}
	q.forgetTurns()
	q.arm(now)
}

// forgetTurns drops the nodes' turns once nobody waits; q.mu is held.
func (q *queue) forgetTurns() {
	if len(q.waiting)+len(q.tickets) == 0 {
		clear(q.turns)
		q.turn = 0
	}
}

// throttled slows the action down: its bucket is empty, whoever emptied it.
func (q *queue) throttled() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock.Now()
	if tokens := int(q.bucket.TokensAt(now)); tokens > 0 {
		q.bucket.AllowN(now, tokens)
	}
	if now.Sub(q.changed) < backoffPause && q.bucket.Limit() < rate.Limit(q.full.PerSecond) {
		return
	}
	q.changed = now
	q.bucket.SetLimitAt(now, max(q.bucket.Limit()*backoffFactor, rate.Limit(q.full.PerSecond*slowest)))
}

// recover brings the full rate back step by step; q.mu is held.
func (q *queue) recover(now time.Time) {
	full := rate.Limit(q.full.PerSecond)
	steps := int(now.Sub(q.changed) / time.Second)
	if q.bucket.Limit() >= full || steps == 0 {
		return
	}
	q.changed = now
	q.bucket.SetLimitAt(now, min(q.bucket.Limit()+full/recoverySteps*rate.Limit(steps), full))
}

// length is the number of calls that wait.
func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) + len(q.tickets)
}

// waiters is a heap.
type waiters []*waiter

func (w waiters) Len() int { return len(w) }

func (w waiters) Less(i, j int) bool { return w[i].before(w[j].place) }

func (w waiters) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].index, w[j].index = i, j
}

// Push adds a waiter.
func (w *waiters) Push(x any) {
	added := x.(*waiter) //nolint:forcetypeassert // holds nothing else
	added.index = len(*w)
	*w = append(*w, added)
}

// Pop removes the last waiter.
func (w *waiters) Pop() any {
	last := len(*w) - 1
	popped := (*w)[last]
	popped.index = -1
	(*w)[last] = nil
	*w = (*w)[:last]
	return popped
}
