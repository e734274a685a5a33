/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"
	clocktesting "k8s.io/utils/clock/testing"
)

// queuesOf is a client with EC2's limits and queues of the lengths given.
type queuesOf struct {
	Client
	waiting map[string]int
}

func (q queuesOf) Backlog(action string) (waiting, underway int) { return q.waiting[action], 0 }

func (queuesOf) Limit(action string) Limit { return DefaultLimits().of(action) }

func TestForecastCountsWhatIsDecidedOn(t *testing.T) {
	clk := clocktesting.NewFakePassiveClock(time.Now())
	forecast := NewForecast(queuesOf{}, clk)
	for range 50 {
		assert.Equal(t, forecast.Wait(ActionAttach), time.Duration(0))
		forecast.Expect(ActionCreate, ActionAttach)
	}
	assert.Equal(t, forecast.Wait(ActionAttach), 200*time.Millisecond)
	assert.Equal(t, forecast.Wait(ActionCreate), time.Duration(0))
	for range 100 {
		forecast.Expect(ActionAttach)
	}
	assert.Equal(t, forecast.Wait(ActionCreate, ActionAttach), 20*time.Second+200*time.Millisecond)
	clk.SetTime(clk.Now().Add(20 * time.Second))
	assert.Equal(t, forecast.Wait(ActionAttach), 200*time.Millisecond)
}

func TestForecastSeesTheQueuesThatAreThere(t *testing.T) {
	forecast := NewForecast(queuesOf{waiting: map[string]int{ActionAttach: 30}}, clocktesting.NewFakePassiveClock(time.Now()))
	assert.Equal(t, forecast.Wait(ActionAttach), 6*time.Second)
	assert.Equal(t, forecast.Wait(ActionAssign), time.Duration(0))
}
