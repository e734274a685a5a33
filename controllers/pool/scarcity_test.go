/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// refusedGrowth makes an ENI that wants so many addresses, and that EC2 refuses more than
// it carries.
func refusedGrowth(wanted int32, reason string) func(*v1alpha1.ElasticNetworkInterface) {
	return func(eni *v1alpha1.ElasticNetworkInterface) {
		if inPrefixes(eni) {
			eni.Spec.PrefixCount = wanted
		} else {
			eni.Spec.AddressCount = wanted
		}
		eni.Status.Refusal = &v1alpha1.GrowthRefusal{Reason: reason, Message: "as EC2 answered"}
	}
}

// TestScarcity: what EC2 refuses is neither supply nor room.
func TestScarcity(t *testing.T) {
	waiting := func() *fixture { // An ENI in a full subnet, which two claims wait for.
		return newFixture().bounds(0, 0, 20).eni(1, 1, 2).holds(1, map[string]int{"a": 1, "b": 2}).claimsNamed("c", "d").
			last(refusedGrowth(4, v1alpha1.ReasonSubnetExhausted))
	}
	room := func(subnet string, addresses int32, fragmented bool) func(*fixture) {
		return func(f *fixture) {
			if f.network.rooms == nil {
				f.network.rooms = map[string]subnetRoom{}
			}
			f.network.rooms[subnet] = subnetRoom{known: true, addresses: addresses, fragmented: fragmented}
		}
	}
	both := func(f *fixture) { f.network.subnetIDs = []string{subnetA, subnetB} }
	lately := func(f *fixture) {
		f.refused = map[string]v1alpha1.GrowthRefusal{eniName(1): {Reason: v1alpha1.ReasonSubnetExhausted, Message: "as EC2 answered"}}
	}
	for _, row := range []struct {
		name   string
		of     *fixture
		does   string
		reason string // of CapacityAvailable
		claim  string // why the last claim waits
	}{
		{"another subnet may have room", waiting().change(both), "+-2 Shared 2; -1=2", v1alpha1.ReasonFits, v1alpha1.ReasonPoolGrowing},
		{"another subnet has room for sure", waiting().change(both).change(room(subnetA, 0, false)).change(room(subnetB, 9, false)),
			"+-2 Shared 2; -1=2", v1alpha1.ReasonFits, v1alpha1.ReasonPoolGrowing},
		{"no subnet has room", waiting().change(both).change(room(subnetA, 0, false)).change(room(subnetB, 1, false)),
			"-1=2", v1alpha1.ReasonSubnetExhausted, v1alpha1.ReasonSubnetExhausted},
		{"no slot is free either", waiting().limit(1, 9), "-1=2", v1alpha1.ReasonSubnetExhausted, v1alpha1.ReasonSubnetExhausted},
		{"the ENI's count is lowered already, and the subnet is not known to have room", newFixture().bounds(0, 0, 20).limit(1, 9).eni(1, 1, 2).
			holds(1, map[string]int{"a": 1, "b": 2}).claimsNamed("c").change(lately), "", v1alpha1.ReasonSubnetExhausted, v1alpha1.ReasonSubnetExhausted},
		{"a later read shows room", newFixture().bounds(0, 0, 20).limit(1, 9).eni(1, 1, 2).
			holds(1, map[string]int{"a": 1, "b": 2}).claimsNamed("c").change(lately).change(room(subnetA, 1, false)),
			"-1=3", v1alpha1.ReasonFits, v1alpha1.ReasonPoolGrowing},
		{"what is free is taken, the rest elsewhere", newFixture().bounds(9, 0, 20).eni(1, 1, 2).change(both).change(room(subnetA, 3, false)),
			"+-2 Shared 4; -1=5", v1alpha1.ReasonFits, ""},
		{"fragmented: no block for a prefix, though addresses are free", newFixture().bounds(32, 0, 64).prefixes().prefixENI(1, 1).
			last(refusedGrowth(2, v1alpha1.ReasonSubnetFragmented)).change(room(subnetA, 99, true)), "-1=1", v1alpha1.ReasonSubnetFragmented, ""},
		{"an ENI that cannot be made is not joined by another", newFixture().bounds(4, 0, 20).eni(1, 1, 0).
			last(func(eni *v1alpha1.ElasticNetworkInterface) {
				eni.Status = v1alpha1.ElasticNetworkInterfaceStatus{}
			}).last(refusedGrowth(2, v1alpha1.ReasonSubnetExhausted)).exclusive(1, 0, 1), "-1=4", v1alpha1.ReasonSubnetExhausted, ""},
		{"an ENI that cannot be made with prefixes, and one address for an exclusive one", newFixture().bounds(16, 0, 64).prefixes().prefixENI(1, 1).
			last(func(eni *v1alpha1.ElasticNetworkInterface) {
				eni.Status = v1alpha1.ElasticNetworkInterfaceStatus{}
			}).last(refusedGrowth(1, v1alpha1.ReasonSubnetFragmented)).exclusive(1, 0, 1).change(room(subnetA, 3, true)),
			"+-2 Exclusive 0", v1alpha1.ReasonSubnetFragmented, ""},
		{"an ENI that cannot be made with prefixes, which the policy wants no more", newFixture().bounds(4, 0, 20).eni(1, 1, 0).
			last(func(eni *v1alpha1.ElasticNetworkInterface) {
				eni.Status, eni.Spec.AddressCount, eni.Spec.PrefixCount = v1alpha1.ElasticNetworkInterfaceStatus{}, 0, 1
			}).last(refusedGrowth(1, v1alpha1.ReasonSubnetExhausted)), "+-2 Shared 4; x-1", v1alpha1.ReasonFits, ""},
		{"nothing is refused that nobody wants", newFixture().bounds(2, 0, 20).eni(1, 1, 2).change(lately), "", v1alpha1.ReasonFits, ""},
		{"an ENI that a quota keeps away", newFixture().bounds(0, 0, 20).exclusive(0, 0, 2).exclusiveENI(1).
			last(unready(v1alpha1.ReasonQuotaExceeded, false)).claim("a", time.Minute, wantsENI), "", v1alpha1.ReasonQuotaExceeded, v1alpha1.ReasonQuotaExceeded},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := plan(row.of.observation)
			assert.Equal(t, actions(d), row.does)
			capacity := meta.FindStatusCondition(d.status.Conditions, v1alpha1.ConditionCapacityAvailable)
			assert.Equal(t, capacity.Reason, row.reason)
			ready := meta.FindStatusCondition(d.status.Conditions, v1alpha1.ConditionReady)
			if row.claim == "" {
				return
			}
			assert.Equal(t, lastVerdict(row.of).reason, row.claim)
			assert.Equal(t, ready.Status == metav1.ConditionTrue, row.reason == v1alpha1.ReasonFits)
			assert.Equal(t, d.recheck > 0, row.reason != v1alpha1.ReasonFits, "what EC2 lacks is looked for again")
		})
	}
}

// TestLearnedLimit: an instance takes fewer ENIs than its type promises.
func TestLearnedLimit(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).exclusive(0, 0, 3).limit(3, 9).exclusiveENI(1).exclusiveENI(2).last(unready(v1alpha1.ReasonQuotaExceeded, false)).
		last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.Attachment = nil }).
		entry(1, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, heldBy1("x")).claim("x", time.Hour, wantsENI, boundTo(1, "10.0.1.250")).
		claim("a", time.Minute, wantsENI)
	assert.Equal(t, actions(plan(f.observation)), "", "it may be attached yet")
	f.limits.learn(1, 7*time.Minute)
	d := plan(f.observation)
	assert.Equal(t, actions(d), "x-2")
	f.pool.Status = d.status
	f.enis = f.enis[:1]
	d = plan(f.observation)
	assert.Equal(t, actions(d), "")
	assert.Equal(t, lastVerdict(f).reason, v1alpha1.ReasonInstanceFull)
	assert.Equal(t, d.recheck, 7*time.Minute, "a claim waits for the slot, which the instance may take then")
	f.claims = f.claims[:1]
	assert.Equal(t, plan(f.observation).recheck, time.Duration(0), "nobody waits for it")

	untouched := limits{slots: 2}
	untouched.learn(3, time.Minute)
	assert.Equal(t, untouched, limits{slots: 2})
}

// TestSlotTakenByOthers: an ENI that cannot be attached any more gives its addresses up
// to another one with room.
func TestSlotTakenByOthers(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).limit(2, 9).eni(1, 1, 4).eni(2, 1, 4).last(unready(v1alpha1.ReasonNoFreeDeviceIndex, false)).
		last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.Attachment = nil }).
		claimsNamed("a", "b", "c", "d", "e", "f")
	assert.Equal(t, actions(plan(f.observation)), "", "it may be attached yet")
	f.limits.slots = 1 // Somebody attached an ENI of their own.
	assert.Equal(t, actions(plan(f.observation)), "-1=6; x-2")
}

// TestRefusalsAreRemembered for a while, and forgotten with their ENIs.
func TestRefusalsAreRemembered(t *testing.T) {
	var memory refusals
	f := newFixture().eni(1, 1, 2).last(refusedGrowth(4, v1alpha1.ReasonSubnetExhausted))
	assert.Equal(t, len(memory.recall("pool", f.enis, start)), 1)
	f.last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.Refusal = nil })
	assert.Equal(t, len(memory.recall("pool", f.enis, start.Add(refusalLasts-time.Second))), 1)
	assert.Equal(t, len(memory.recall("another", f.enis, start.Add(time.Second))), 0)
	assert.Equal(t, len(memory.recall("pool", f.enis, start.Add(refusalLasts))), 0)
	assert.Equal(t, len(memory.byPool), 0)
}

// TestOutsideTheSubnets: a full node serves from ENIs that are on their way out, since
// there is no slot for a replacement.
func TestOutsideTheSubnets(t *testing.T) {
	elsewhere := func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.SubnetID = subnetB }
	full := func() *fixture {
		return newFixture().bounds(4, 0, 8).limit(2, 4).eni(1, 1, 4).last(elsewhere).eni(2, 1, 4).last(elsewhere).
			holds(1, map[string]int{"a": 1}).holds(2, map[string]int{"b": 1, "c": 2}).claimsNamed("d")
	}
	f := full()
	assert.Equal(t, holding(plan(f.observation)), "a:10.0.1.1 b:10.0.2.1 c:10.0.2.2 d:10.0.2.3")
	assert.Equal(t, holding(plan(full().limit(3, 4).observation)), "a:10.0.1.1 b:10.0.2.1 c:10.0.2.2", "a slot is free for another ENI")
	assert.Equal(t, holding(plan(full().bounds(0, 0, 3).observation)), "a:10.0.1.1 b:10.0.2.1 c:10.0.2.2", "the policy allows no more")
	d := plan(f.observation)
	assert.Equal(t, meta.FindStatusCondition(d.status.Conditions, v1alpha1.ConditionCapacityAvailable).Reason, v1alpha1.ReasonInstanceFull)

	f.claims = f.claims[1:] // The only claim of one of them is released.
	f.vanished["a"] = true
	f.pool.Status = plan(f.observation).status
	f.now = start.Add(time.Minute)
	assert.Equal(t, actions(plan(f.observation)), "x-1")
}

// TestTimesAheadOfTheClock are waited for no longer than the wait itself.
func TestTimesAheadOfTheClock(t *testing.T) {
	day := -24 * time.Hour
	f := newFixture().bounds(0, 0, 20).exclusive(0, 1, 2).eni(1, 1, 2).exclusiveENI(2).entry(2, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, coolingFor(day)).
		record(1, 1, v1alpha1.HolderCooling, "", day)
	d := plan(f.observation)
	assert.Equal(t, d.recheck, 30*time.Second)
	f.pool.Status = d.status
	f.now = start.Add(30 * time.Second)
	assert.Equal(t, record(plan(f.observation)), "")

	f = newFixture().bounds(0, 0, 20).eni(1, 1, 2)
	ahead := ago(day)
	f.pool.Status.SurplusSince = &ahead
	assert.Equal(t, plan(f.observation).recheck, 10*time.Minute)
}

// TestUnknownLimitsChangeNothing: an idle time is not begun again by a failed read.
func TestUnknownLimitsChangeNothing(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).eni(1, 1, 8)
	since := ago(9 * time.Minute)
	f.pool.Status.SurplusSince = &since
	f.limits = limits{}
	d := plan(f.observation)
	assert.DeepEqual(t, d.status.SurplusSince, &since)
	assert.Equal(t, actions(d), "")
}

// TestPolicyBackInTime: a policy that is gone for a moment costs nothing.
func TestPolicyBackInTime(t *testing.T) {
	f := newFixture().bounds(8, 0, 20).exclusive(1, 0, 1).eni(1, 1, 8).exclusiveENI(2)
	f.pool.Spec.PolicyName = ""
	d := plan(f.observation)
	assert.Equal(t, actions(d), "")
	assert.Equal(t, d.recheck, 10*time.Minute)
	f.pool.Status = d.status
	f.pool.Spec.PolicyName = "general"
	assert.Equal(t, actions(plan(f.observation)), "")
}

// TestEmptyFor counts how long ENIs have been draining with nobody holding anything.
func TestEmptyFor(t *testing.T) {
	var seen sightings
	f := newFixture().entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIDraining).entry(2, v1alpha1.ModeShared, v1alpha1.PoolENIDraining).
		record(2, 1, v1alpha1.HolderAllocated, "a", 0).entry(3, v1alpha1.ModeShared, v1alpha1.PoolENIActive)
	assert.DeepEqual(t, emptyENIs(f.pool), []string{eniName(1)})
	assert.Equal(t, seen.elapsed("pool", emptyENIs(f.pool), start)[eniName(1)], time.Duration(0))
	assert.Equal(t, seen.elapsed("pool", emptyENIs(f.pool), start.Add(time.Minute))[eniName(1)], time.Minute)
	assert.Equal(t, len(seen.elapsed("pool", nil, start)), 0)
	assert.Equal(t, len(seen.byPool), 0)
}
