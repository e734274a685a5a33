/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// attachments are EC2's bucket for AttachNetworkInterface: that of every call that
// is not listed.
var attachments = ec2.DefaultLimits().Default

// idleEC2 has EC2's limits, and no call under way.
type idleEC2 struct{ ec2.Client }

func (idleEC2) Backlog(string) (waiting, underway int) { return 0, 0 }

func (idleEC2) Limit(action string) ec2.Limit {
	if action == ec2.ActionAttach {
		return attachments
	}
	return ec2.DefaultLimits().ByAction[action]
}

// fleetPlan is how many nodes of a fleet the planner gives addresses on their
// primary ENI, and how many a new ENI.
type fleetPlan struct{ primary, fresh int }

// planFleet plans m5.large nodes that want what one ENI carries, and that come at a
// distance.
func planFleet(t *testing.T, nodes int, apart time.Duration) fleetPlan {
	t.Helper()
	clk := clocktesting.NewFakePassiveClock(start)
	forecast := ec2.NewForecast(idleEC2{}, clk)
	var planned fleetPlan
	for range nodes {
		o := newFixture().bounds(9, 0, 20).withPrimary(9).observation
		o.primary.slower = primarySlower(forecast)
		decided := plan(o)
		decided.expect(forecast)
		assert.Equal(t, len(decided.creates), 1)
		if decided.creates[0].primary {
			planned.primary++
		} else {
			planned.fresh++
		}
		clk.SetTime(clk.Now().Add(apart))
	}
	return planned
}

// served is when EC2 has answered so many calls that come at once.
func served(calls int, bucket ec2.Limit, latency time.Duration) time.Duration {
	if calls == 0 {
		return 0
	}
	return time.Duration(float64(max(calls-bucket.Bucket, 0))/bucket.PerSecond*float64(time.Second)) + latency
}

// A fleet that joins at once is served from the buckets of both actions.
// go test -v -run Fleet prints what that gains.
func TestAFleetThatJoinsAtOnceUsesBothBuckets(t *testing.T) {
	const assign, attach = 200 * time.Millisecond, 1200 * time.Millisecond
	assigns := ec2.DefaultLimits().ByAction[ec2.ActionAssign]
	t.Log("nodes  on the primary ENI  new ENI  time  of new ENIs alone")
	for _, row := range []struct {
		nodes int
		most  float64
	}{{50, 1}, {100, 1}, {200, 0.8}, {500, 0.6}, {1000, 0.6}, {2000, 0.6}, {5000, 0.6}, {10_000, 0.6}} {
		planned := planFleet(t, row.nodes, 0)
		takes := max(served(planned.primary, assigns, assign), served(planned.fresh, attachments, attach))
		floor := served(row.nodes, attachments, attach)
		ratio := takes.Seconds() / floor.Seconds()
		t.Logf("%5d  %18d  %7d  %5.1fs  %.2f", row.nodes, planned.primary, planned.fresh, takes.Seconds(), ratio)
		assert.Assert(t, ratio <= row.most, "%d nodes", row.nodes)
		// No other split is faster by more than what attaching takes.
		best := served((row.nodes+50)/2, assigns, assign)
		assert.Assert(t, takes <= max(best, assign)+attach, "%d nodes: %s, and %s is possible", row.nodes, takes, best)
	}
}

// Where EC2 lets everything pass at once, no ENI is made that is not needed.
func TestNodesThatComeOneByOneUseTheirPrimaryENI(t *testing.T) {
	assert.Equal(t, planFleet(t, 500, 200*time.Millisecond), fleetPlan{primary: 500})
}

func TestANewENIThatIsQuickerTakesWhatItCanAndThePrimaryENITheRest(t *testing.T) {
	f := newFixture().bounds(12, 0, 20).limit(1, 9).withPrimary(9)
	f.primary.slower = true
	decided := plan(f.observation)
	assert.Equal(t, len(decided.creates), 2)
	assert.Assert(t, !decided.creates[0].primary && decided.creates[0].count == 9)
	assert.Assert(t, decided.creates[1].primary && decided.creates[1].count == 3)
}
