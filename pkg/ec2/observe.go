/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"maps"
	"slices"
	"time"
)

// Observer hears of every call. It must not block.
type Observer interface {
	// Waited: a call waited so long for its turn in the action's queue, and is made
	// next.
	Waited(action string, priority Priority, waited time.Duration)
	// Answered: a call was answered, or given up, so long after it was made.
	Answered(action string, took time.Duration, err error)
}

// WithObserver has an observer hear of every call.
func WithObserver(observer Observer) Option {
	return func(c *sdkClient) { c.limiter.observer = observer }
}

type unobserved struct{}

func (unobserved) Waited(string, Priority, time.Duration) {}
func (unobserved) Answered(string, time.Duration, error)  {}

// Meter tells how the queues of a client do. The client that NewClient returns is one.
type Meter interface {
	// Queues returns the queues of the actions that were called so far, by action.
	Queues() []QueueState
}

// QueueState is how the queue of an action does.
type QueueState struct {
	Action string
	// PerSecond is how many calls a second may be made now, for good.
	PerSecond float64
	// Waiting is how many calls wait for their turn.
	Waiting int
}

func (c *sdkClient) Queues() []QueueState {
	c.limiter.mu.Lock()
	queues := maps.Clone(c.limiter.queues)
	c.limiter.mu.Unlock()
	states := make([]QueueState, 0, len(queues))
	for _, action := range slices.Sorted(maps.Keys(queues)) {
		states = append(states, queues[action].state(action))
	}
	return states
}

func (q *queue) state(action string) QueueState {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.recover(q.clock.Now())
	return QueueState{Action: action, PerSecond: float64(q.bucket.Limit()), Waiting: len(q.waiting)}
}

// Known says whether an error code is one that this package knows.
func Known(code string) bool {
	_, known := classes[code]
	return known
}
