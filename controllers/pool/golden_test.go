/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"testing"
	"time"

	"gotest.tools/v3/golden"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// TestDecisions tells whole decisions. Write them anew with go test -update.
func TestDecisions(t *testing.T) {
	long := ago(time.Hour)
	for _, row := range []struct {
		name string
		of   *fixture
	}{
		{"new-node", newFixture().bounds(4, 2, 30).exclusive(1, 1, 2).limit(4, 9).claimsNamed("web-0", "web-1", "web-2").
			claim("db-0", time.Minute, wantsENI)},
		{"burst-on-a-settled-pool", newFixture().bounds(4, 2, 30).limit(3, 9).eni(1, 1, 4).
			entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			claimsNamed("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l")},
		{"release-and-rest", newFixture().bounds(2, 1, 20).eni(1, 1, 4).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			record(1, 1, v1alpha1.HolderAllocated, "gone", time.Hour).record(1, 2, v1alpha1.HolderAllocated, "leaving", time.Hour).
			record(1, 3, v1alpha1.HolderCooling, "rested", 30*time.Second).claim("leaving", time.Hour, deleting).
			claim("next", 0, wants("10.0.1.3")).claim("eager", 0, wants("10.0.1.1")).
			change(func(f *fixture) { f.vanished["gone"] = true })},
		{"lease-ran-out", newFixture().bounds(2, 1, 20).exclusive(0, 0, 1).limit(3, 9).eni(1, 1, 3).exclusiveENI(2).
			entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).entry(2, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, heldBy1("router")).
			holds(1, map[string]int{"web": 1}).lastClaim(expire).
			claim("router", time.Hour, wantsENI, boundTo(2, "10.0.2.250")).lastClaim(expire).claim("next", 0, wants("10.0.1.1"))},
		{"idle-surplus", newFixture().bounds(2, 1, 40).limit(3, 9).eni(1, 1, 6).eni(2, 1, 6).eni(3, 1, 4).
			entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).holds(1, map[string]int{"a": 2, "b": 3}).holds(2, map[string]int{"c": 5}).
			change(func(f *fixture) { f.pool.Status.SurplusSince = &long })},
		{"moved-to-another-subnet", newFixture().bounds(4, 1, 20).limit(2, 9).eni(1, 1, 4).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.SubnetID = subnetB }).
			entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).holds(1, map[string]int{"a": 1}).claimsNamed("b")},
		{"lost-record", newFixture().bounds(2, 1, 20).exclusive(0, 1, 2).limit(4, 9).eni(1, 1, 4).exclusiveENI(2).exclusiveENI(3).
			claim("a", time.Hour, boundTo(1, "10.0.1.2")).claim("b", time.Hour, wantsENI, boundTo(2, "10.0.2.250")).claim("c", time.Minute).
			change(func(f *fixture) { f.pool.Status = v1alpha1.ENIPoolStatus{} })},
		{"more-than-fits", newFixture().bounds(24, 4, 40).exclusive(1, 0, 1).limit(2, 9).claim("a", time.Minute)},
		{"node-gone", newFixture().bounds(2, 1, 20).exclusive(0, 0, 1).limit(3, 9).eni(1, 1, 2).exclusiveENI(2).
			entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).entry(2, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, heldBy1("b")).
			holds(1, map[string]int{"a": 1}).claim("b", time.Hour, wantsENI, boundTo(2, "10.0.2.250")).claim("c", time.Minute).
			change(func(f *fixture) {
				f.nodeGone = true
				f.goneReason = "EC2 says that the instance is terminated"
				f.trouble(v1alpha1.ConditionInstanceFound, v1alpha1.ReasonInstanceTerminated, "Instance is terminated")
			})},
	} {
		t.Run(row.name, func(t *testing.T) {
			golden.Assert(t, render(row.of.observation, plan(row.of.observation)), row.name+".golden")
		})
	}
}
