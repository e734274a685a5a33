/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
)

// visit has a caller ask for a token, and come back when it is asked to.
func (c *crowd) visit(name string, priority Priority, node string) {
	c.done.Go(func() {
		for {
			admission, pause := c.queue.admit(call{priority: priority, node: node}, "Action", name)
			if admission != nil {
				break
			}
			time.Sleep(pause)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.served = append(c.served, name)
	})
	synctest.Wait()
}

func TestCallersThatComeBackKeepTheirPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, Limit{Bucket: 1, PerSecond: 1})
		c.visit("first", PriorityNormal, "a")
		c.visit("tags", PriorityBackground, "a")
		c.call(t.Context(), "waiting tags", PriorityBackground, "b")
		c.visit("warm", PriorityNormal, "a")
		c.call(t.Context(), "claim", PriorityUrgent, "b")
		assert.Equal(t, c.queue.length(), 4)
		assert.Equal(t, c.order(), "first, claim, warm, tags, waiting tags")
		assert.Equal(t, c.queue.length(), 0)
		assert.Equal(t, len(c.queue.turns), 0)
	})
}

func TestCallersThatComeBackNeverExceedTheBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		c := newCrowd(t, Limit{Bucket: 3, PerSecond: 2})
		for i := range 13 {
			c.visit(fmt.Sprint(i), PriorityNormal, "")
		}
		assert.Equal(t, strings.Count(c.order(), ","), 12)
		assert.Assert(t, time.Since(began) >= 5*time.Second, "13 calls within %s", time.Since(began))
		assert.Assert(t, time.Since(began) < 6*time.Second, "13 calls took %s", time.Since(began))
	})
}

// TestThePlaceOfOneWhoStaysAwayIsGivenUp: the resource may be gone by then.
func TestThePlaceOfOneWhoStaysAwayIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, Limit{Bucket: 1, PerSecond: 1})
		c.visit("first", PriorityNormal, "")
		_, pause := c.queue.admit(call{priority: PriorityUrgent}, "Action", "stays away")
		assert.Assert(t, pause > 0)
		began := time.Now()
		c.visit("warm", PriorityNormal, "")
		assert.Equal(t, c.order(), "first, warm")
		assert.Assert(t, time.Since(began) <= pause+placeGrace+time.Second, "it held up another for %s", time.Since(began))
		time.Sleep(pause + placeGrace + time.Second)
		c.queue.admit(call{}, "Action", "another")
		assert.Equal(t, c.queue.length(), 0)
	})
}

func TestAnAdmissionIsForOneCall(t *testing.T) {
	admission := &Admission{action: ActionCreate}
	ctx := WithAdmission(t.Context(), admission)
	_, admitted := useAdmission(ctx, ActionAttach)
	assert.Assert(t, !admitted, "of its action")
	_, admitted = useAdmission(ctx, ActionCreate)
	assert.Assert(t, admitted)
	_, admitted = useAdmission(ctx, ActionCreate)
	assert.Assert(t, !admitted, "once")
	assert.Assert(t, !admission.For(ActionCreate))
	_, admitted = useAdmission(t.Context(), ActionCreate)
	assert.Assert(t, !admitted)
}
