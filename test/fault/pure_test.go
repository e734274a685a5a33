/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package fault

import (
	"math"
	"strings"
	"testing"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestEachClassStrikesItsShare works out what part of an action's calls each class
// strikes, if each fault is tried on what the earlier ones left alone.
func TestEachClassStrikesItsShare(t *testing.T) {
	const probability = 0.05
	struck := map[string]map[Class]float64{}
	left := map[string]float64{}
	for _, fault := range disturbances("KEY", probability, hazeFor(20)) {
		assert.Equal(t, fault.Caller, "KEY")
		if struck[fault.Action] == nil {
			struck[fault.Action], left[fault.Action] = map[Class]float64{}, 1
		}
		share := left[fault.Action] * fault.Probability
		struck[fault.Action][Class(fault.Name)] += share
		left[fault.Action] -= share
	}
	for _, class := range Classes() {
		for _, action := range class.actions() {
			assert.Assert(t, math.Abs(struck[action][class]-probability) < 1e-9, "%s of %s: %g", class, action, struck[action][class])
			delete(struck[action], class)
		}
	}
	for action, rest := range struck {
		assert.Equal(t, len(rest), 0, action)
	}
	assert.Equal(t, len(disturbances("KEY", 0, haze{})), 0)
}

// TestHazeEndsWithinTheWindow: beyond it the operator may take EC2 at its word.
func TestHazeEndsWithinTheWindow(t *testing.T) {
	for _, nodes := range []int{4, 20, 200, 1000} {
		h := hazeFor(nodes)
		assert.Assert(t, 2*h.lag+200*time.Millisecond < h.window, h)
		assert.Assert(t, h.youth < h.window, h)
	}
}

func TestRepeatNamesAllThatMatters(t *testing.T) {
	o := Options{Nodes: 20, Seed: 7, Probability: DefaultProbability}
	assert.Equal(t, o.Repeat(), "make test-fault NODES=20 SEED=7")
	o.Kills = true
	assert.Equal(t, o.Repeat(), "build/bin/fault-run --nodes=20 --seed=7 --probability=0.05 --kills=true")
}

func TestInjectedCounts(t *testing.T) {
	counts := injected([]emulator.Call{
		{Action: "AttachNetworkInterface", Fault: string(Lost)}, {Action: "AttachNetworkInterface", Fault: string(Lost)},
		{Action: "AttachNetworkInterface"}, {Action: "DescribeInstances", Fault: string(Stale)},
	})
	assert.Equal(t, counts[Lost]["AttachNetworkInterface"], 2)
	played := Play{Injected: counts}
	assert.Equal(t, played.total(), 3)
	assert.NilError(t, played.Verdict(false))
	assert.ErrorContains(t, played.Verdict(true), string(Throttled))
	assert.Assert(t, !strings.Contains(played.Verdict(true).Error(), string(Stale)))
	played.Leaks = []string{"one"}
	assert.ErrorContains(t, played.Verdict(false), "1 leaks")
}

// TestFleetHasAllKinds: the fleet of every day has each kind of node and change.
func TestFleetHasAllKinds(t *testing.T) {
	kinds, seen := map[string]bool{}, map[string]int{}
	for _, m := range fleet(20) {
		kinds[string(m.kind)+" "+m.policy] = true
		seen["late"] += count(m.late)
		seen["doomed"] += count(m.doomed)
		seen["released"] += count(m.released > 0 && !m.doomed)
		seen["added"] += count(m.added > 0 && !m.doomed)
		seen["shrinks"] += count(m.released > m.added && !m.doomed)
		seen["grows"] += count(m.added > m.released && !m.doomed)
		assert.Assert(t, !m.doomed || m.name != crowded)
	}
	for _, kind := range []string{"m5.large shared", "m5.large exclusive", "m5.xlarge exclusive", "t3.medium shared"} {
		assert.Assert(t, kinds[kind], kind)
	}
	for _, what := range []string{"late", "doomed", "released", "added", "shrinks", "grows"} {
		assert.Assert(t, seen[what] > 0, what)
	}
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

func TestWantedStates(t *testing.T) {
	grows := machine{name: "node-0001.ec2.internal", kind: ec2types.InstanceTypeM5Large, policy: sharedPolicy, claims: 1, added: 5}
	doomed := machine{name: "node-0005.ec2.internal", kind: ec2types.InstanceTypeM5Large, policy: exclusivePolicy, claims: 1, doomed: true}
	machines := []machine{grows, doomed}

	joined := wanted(machines, joining)
	assert.Equal(t, len(joined.nodes), 2)
	assert.Equal(t, joined.nodes[grows.name].capacity, minimumIPs)
	assert.Equal(t, joined.claims["node-0005-0"].phase, v1alpha1.ClaimBound)

	churned := wanted(machines, churning)
	assert.Equal(t, len(churned.nodes), 1)
	assert.Equal(t, len(churned.claims), 7)
	assert.Equal(t, churned.nodes[grows.name].capacity, 6+warmIPs)
	assert.Equal(t, churned.claims["node-0005-0"].phase, v1alpha1.ClaimLost)

	raised := wanted(machines, raising).nodes[grows.name]
	assert.Equal(t, len(raised.enis), 2)
	assert.Equal(t, raised.enis[0].addresses+raised.enis[1].addresses, raisedIPs)
	assert.Equal(t, len(differences(wanted(machines, lowering), churned)), 0)

	lines := differences(joined, churned)
	assert.Equal(t, len(lines), 2+6, "both nodes; five more claims and one that is lost")
	assert.Assert(t, strings.Contains(lines[1], "should: none"), lines[1])
}
