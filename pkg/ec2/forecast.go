/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

// Forecast tells how long EC2's token buckets will make calls wait, those included
// that are decided on and not made yet: when a fleet joins, every decision is made
// before the first queue has grown.
type Forecast struct {
	client Client
	clock  clock.PassiveClock

	mu sync.Mutex
	// expected are the buckets as the decisions leave them: in debt, where more is
	// decided on than they hold.
	expected map[string]*rate.Limiter
}

// NewForecast begins with full buckets.
func NewForecast(client Client, clk clock.PassiveClock) *Forecast {
	return &Forecast{client: client, clock: clk, expected: map[string]*rate.Limiter{}}
}

// Wait is how long one more call of each of the actions would wait, at the longest.
func (f *Forecast) Wait(actions ...string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	longest := time.Duration(0)
	for _, action := range actions {
		missing := 1 - f.bucket(action).TokensAt(f.clock.Now())
		// What is in the queue was decided on before, unless the operator has
		// started since, or EC2 lets less pass than it should.
		waiting, _ := f.client.Backlog(action)
		missing = max(missing, float64(waiting))
		wait := time.Duration(missing / f.client.Limit(action).PerSecond * float64(time.Second))
		longest = max(longest, wait)
	}
	return longest
}

// Expect adds a call of each of the actions to those decided on.
func (f *Forecast) Expect(actions ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, action := range actions {
		f.bucket(action).ReserveN(f.clock.Now(), 1)
	}
}

// bucket of an action; f.mu is held.
func (f *Forecast) bucket(action string) *rate.Limiter {
	bucket, ok := f.expected[action]
	if !ok {
		limit := f.client.Limit(action)
		bucket = rate.NewLimiter(rate.Limit(limit.PerSecond), limit.Bucket)
		f.expected[action] = bucket
	}
	return bucket
}
