/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package uninstall

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// checkFor is how long an answer of UnderWay is used again.
const checkFor = 5 * time.Second

// Check asks UnderWay for many callers together. The zero value is ready to use.
type Check struct {
	mu sync.Mutex
	// asking is the read on its way, and asked when the last one that succeeded began.
	asking   *answer
	asked    time.Time
	underWay bool
}

// answer is a read that several callers wait for.
type answer struct {
	done     chan struct{}
	began    time.Time
	underWay bool
	err      error
}

// UnderWay reports what the function of that name does, as of a read that began a few
// seconds ago at most, and not before since. An earlier one proves nothing about a
// deletion that was seen at that time: the CRD's own may have brought it about.
func (c *Check) UnderWay(ctx context.Context, live client.Reader, clk clock.PassiveClock, since time.Time) (bool, error) {
	for {
		reading, ours, known := c.join(clk.Now(), since)
		if reading == nil {
			return known, nil
		}
		if ours {
			reading.underWay, reading.err = UnderWay(ctx, live)
			c.settle(reading)
			return reading.underWay, reading.err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-reading.done: // It answers this caller if it began late enough.
		}
	}
}

// join returns nil and the last answer, if that will do; or else the read to wait for,
// and whether the caller is to make it.
func (c *Check) join(now, since time.Time) (reading *answer, ours, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := !c.asked.IsZero() && !c.asked.Before(since) && now.Sub(c.asked) < checkFor
	switch {
	case fresh:
		return nil, false, c.underWay
	case c.asking != nil:
		return c.asking, false, false
	default:
		c.asking = &answer{done: make(chan struct{}), began: now}
		return c.asking, true, false
	}
}

// settle keeps the answer of a read. One that failed is asked for again.
func (c *Check) settle(reading *answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if reading.err == nil {
		c.asked = reading.began
		c.underWay = reading.underWay
	}
	c.asking = nil
	close(reading.done)
}
