/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

func TestGivingBack(t *testing.T) {
	told := func(names ...v1alpha1.AddressOrPrefix) func(*v1alpha1.ElasticNetworkInterface) {
		return func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Release, eni.Generation = names, 4 }
	}
	releasing := func(lasts ...int) *fixture {
		f := newFixture().bounds(0, 0, 20).eni(1, 1, 5).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive)
		for _, last := range lasts {
			f.record(1, last, v1alpha1.HolderReleasing, "", 0)
		}
		return f
	}
	inUse := func(f *fixture) { // The pool wants all it has.
		f.pool.Spec.Shared.MinimumIPs = 5
	}
	for _, row := range []struct {
		name string
		of   *fixture
		want string
		does string
		// generation of the ENI that the record knows afterwards.
		generation int64
	}{
		{"names go to the ENI with the lower count", releasing(2, 4), "10.0.1.2 Releasing; 10.0.1.4 Releasing", "-1=3; -1-[10.0.1.2 10.0.1.4]", 0},
		{"told and still carried: on its way", releasing(2).last(told("10.0.1.2")).last(func(eni *v1alpha1.ElasticNetworkInterface) {
			eni.Spec.AddressCount = 4
		}), "10.0.1.2 Releasing", "", 0},
		{"told and not carried any more: dropped, and older copies count for nothing", releasing(9).last(told("10.0.1.9")).change(inUse), "", "", 4},
		{"not carried, but never told: told first", releasing(9).change(inUse), "10.0.1.9 Releasing", "-1-[10.0.1.9]", 0},
		{"beyond the count: back to the subnet, the count stays", releasing().change(inUse).last(func(eni *v1alpha1.ElasticNetworkInterface) {
			eni.Status.Addresses = addresses(1, 1, 7)
		}), "10.0.1.6 Releasing; 10.0.1.7 Releasing", "-1-[10.0.1.6 10.0.1.7]", 0},
		{"beyond the count, stored but not yet told: no others in their place", releasing(6, 7).change(inUse).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.Addresses = addresses(1, 1, 7) }),
			"10.0.1.6 Releasing; 10.0.1.7 Releasing", "-1-[10.0.1.6 10.0.1.7]", 0},
		{"beyond the count by an older copy: nothing", newFixture().bounds(5, 0, 20).eni(1, 1, 7).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.AddressCount = 5 }).
			entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive, func(e *v1alpha1.PoolENI) { e.Generation = 2 }), "", "", 2},
		{"beyond the count, but held: stays", newFixture().bounds(5, 0, 20).eni(1, 1, 6).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.AddressCount = 5 }).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			holds(1, map[string]int{"a": 6}), "10.0.1.5 Releasing", "-1-[10.0.1.5]", 0},
		{"what is quarantined goes back", newFixture().bounds(0, 0, 20).eni(1, 1, 2).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			record(1, 1, v1alpha1.HolderQuarantined, "", 0), "10.0.1.1 Releasing", "-1=1; -1-[10.0.1.1]", 0},
		{"quarantined and not carried: given up", releasing().change(inUse).record(1, 9, v1alpha1.HolderQuarantined, "", 0),
			"10.0.1.9 Releasing", "-1-[10.0.1.9]", 0},
		{"quarantined and not shown yet: set aside until the ENI shows as much as it was asked for", releasing().
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.Addresses = addresses(1, 1, 4) }).
			record(1, 5, v1alpha1.HolderQuarantined, "", 0), "10.0.1.5 Quarantined", "", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := plan(row.of.observation)
			assert.Equal(t, record(d), row.want)
			assert.Equal(t, actions(d), row.does)
			assert.Equal(t, d.status.ENIs[0].Generation, row.generation)
		})
	}
}

func TestPrefixesGoBackWhole(t *testing.T) {
	prefixes := func(count int) *fixture {
		return newFixture().bounds(0, 0, 64).prefixes().prefixENI(1, count).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive)
	}
	long := metav1.NewTime(start.Add(-time.Hour))
	count := func(d decision, state v1alpha1.HolderState) int {
		n := 0
		for _, entry := range d.status.Addresses {
			if entry.State == state {
				n++
			}
		}
		return n
	}
	t.Run("an empty prefix goes, one in use stays", func(t *testing.T) {
		f := prefixes(3).holds(1, map[string]int{"a": 18})
		f.pool.Status.SurplusSince = &long
		d := plan(f.observation)
		assert.Equal(t, actions(d), "-1=1; -1-[10.0.1.0/28 10.0.1.32/28]")
		assert.Equal(t, count(d, v1alpha1.HolderReleasing), 32)
	})
	t.Run("a prefix beyond the count goes", func(t *testing.T) {
		f := prefixes(2).holds(1, map[string]int{"a": 17}).last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.PrefixCount = 1 })
		assert.Equal(t, actions(plan(f.observation)), "-1-[10.0.1.0/28]")
	})
	t.Run("a prefix with a quarantined address is handed out no more", func(t *testing.T) {
		f := prefixes(1).holds(1, map[string]int{"a": 0}).record(1, 1, v1alpha1.HolderQuarantined, "", 0).claimsNamed("b")
		d := plan(f.observation)
		assert.Equal(t, holding(d), "a:10.0.1.0")
		assert.Equal(t, count(d, v1alpha1.HolderQuarantined), 15)
		assert.Equal(t, actions(d), "-1=2", "another prefix serves those that wait")
	})
	t.Run("a prefix that was told and is gone is dropped", func(t *testing.T) {
		f := prefixes(1).holds(1, map[string]int{"a": 0}).last(func(eni *v1alpha1.ElasticNetworkInterface) {
			eni.Generation, eni.Spec.Release = 4, []v1alpha1.AddressOrPrefix{"10.0.1.16/28"}
		})
		for last := 16; last < 32; last++ {
			f.record(1, last, v1alpha1.HolderReleasing, "", 0)
		}
		d := plan(f.observation)
		assert.Equal(t, record(d), "")
		assert.Equal(t, d.status.ENIs[0].Generation, int64(4))
	})
}

func TestShrinking(t *testing.T) {
	surplus := func(since time.Duration) func(*fixture) {
		return func(f *fixture) { at := ago(since); f.pool.Status.SurplusSince = &at }
	}
	for _, row := range []struct {
		name    string
		of      *fixture
		want    string
		since   time.Duration // -1: no surplus
		recheck time.Duration
	}{
		{"a surplus is noted, and kept for a while", newFixture().bounds(2, 0, 20).eni(1, 1, 5), "", 0, 10 * time.Minute},
		{"kept until the end of that while", newFixture().bounds(2, 0, 20).eni(1, 1, 5).change(surplus(10*time.Minute - time.Second)),
			"", 10*time.Minute - time.Second, time.Second},
		{"given back at its end exactly, down to the minimum", newFixture().bounds(2, 0, 20).eni(1, 1, 5).change(surplus(10 * time.Minute)),
			"-1=2; -1-[10.0.1.3 10.0.1.4 10.0.1.5]", -1, 0},
		{"the policy's own while counts", newFixture().bounds(2, 0, 20).eni(1, 1, 5).change(surplus(time.Minute)).
			change(func(f *fixture) { f.pool.Spec.Shared.IdleReleaseAfter = &metav1.Duration{Duration: time.Minute} }),
			"-1=2; -1-[10.0.1.3 10.0.1.4 10.0.1.5]", -1, 0},
		{"no surplus: the time starts again with the next one", newFixture().bounds(5, 0, 20).eni(1, 1, 5).change(surplus(time.Hour)), "", -1, 0},
		{"warm addresses are no surplus", newFixture().bounds(0, 3, 20).eni(1, 1, 5).holds(1, map[string]int{"a": 1, "b": 2}).change(surplus(time.Hour)),
			"", -1, 0},
		{"what is held is no surplus, above a lowered maximum neither", newFixture().bounds(0, 0, 1).eni(1, 1, 2).
			holds(1, map[string]int{"a": 1, "b": 2}).change(surplus(time.Hour)), "", -1, 0},
		{"a lowered maximum takes free addresses", newFixture().bounds(0, 5, 2).eni(1, 1, 5).
			holds(1, map[string]int{"a": 4}).change(surplus(time.Hour)), "-1=2; -1-[10.0.1.2 10.0.1.3 10.0.1.5]", -1, 0},
		{"what rests is not given back", newFixture().bounds(0, 0, 20).eni(1, 1, 2).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			record(1, 2, v1alpha1.HolderCooling, "x", time.Second).change(surplus(time.Hour)),
			"-1=1; -1-[10.0.1.1]", -1, 29 * time.Second},
		{"the least-used ENI is emptied first", newFixture().bounds(7, 0, 20).eni(1, 1, 5).eni(2, 1, 5).
			entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).entry(2, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			holds(1, map[string]int{"a": 1}).holds(2, map[string]int{"b": 1, "c": 2}).change(surplus(time.Hour)),
			"-1=2; -1-[10.0.1.3 10.0.1.4 10.0.1.5]", -1, 0},
		{"of equals the newest", newFixture().bounds(7, 0, 20).eni(1, 1, 5).eni(2, 1, 5).change(surplus(time.Hour)),
			"-2=2; -2-[10.0.2.3 10.0.2.4 10.0.2.5]", -1, 0},
		{"an empty ENI goes as a whole", newFixture().bounds(0, 1, 20).eni(1, 1, 3).eni(2, 1, 3).holds(1, map[string]int{"a": 1}).
			change(surplus(time.Hour)), "-1=2; -1-[10.0.1.3]; x-2", -1, 0},
		{"an empty ENI stays while something of it rests", newFixture().bounds(0, 0, 20).eni(1, 1, 3).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			record(1, 2, v1alpha1.HolderCooling, "x", time.Second).change(surplus(time.Hour)),
			"-1=1; -1-[10.0.1.1 10.0.1.3]", -1, 29 * time.Second},
		{"a free exclusive ENI goes, the newest first", newFixture().bounds(0, 0, 20).exclusive(1, 0, 4).exclusiveENI(1).exclusiveENI(2).
			change(surplus(time.Hour)), "x-2", -1, 0},
		{"a held exclusive ENI stays", newFixture().bounds(0, 0, 20).exclusive(0, 0, 4).exclusiveENI(1).exclusiveENI(2).
			entry(2, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, heldBy1("a")).claim("a", time.Hour, wantsENI, inPhase(v1alpha1.ClaimBound)).
			change(surplus(time.Hour)), "x-1", -1, 0},
		{"an exclusive ENI that rests is no surplus yet", newFixture().bounds(0, 0, 20).exclusive(0, 0, 4).exclusiveENI(1).
			entry(1, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, coolingFor(time.Second)).change(surplus(time.Hour)), "", -1, 29 * time.Second},
		{"prefixes in use are no surplus, however empty", newFixture().bounds(0, 0, 64).prefixes().prefixENI(1, 1).holds(1, map[string]int{"a": 1}).
			change(surplus(time.Hour)), "", -1, 0},
		{"a pool without a policy has no surplus: it drains", newFixture().bounds(0, 0, 20).eni(1, 1, 3).holds(1, map[string]int{"a": 1}).
			change(surplus(time.Hour)).change(func(f *fixture) { f.pool.Spec.PolicyName = "" }), "", -1, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := plan(row.of.observation)
			assert.Equal(t, actions(d), row.want)
			assert.Equal(t, d.recheck, row.recheck)
			if row.since < 0 {
				assert.Assert(t, d.status.SurplusSince == nil)
			} else {
				assert.Equal(t, start.Sub(d.status.SurplusSince.Time), row.since)
			}
		})
	}
}

// TestSwing holds a load that swings around a threshold to no churn at all.
func TestSwing(t *testing.T) {
	f := newFixture().bounds(0, 2, 20).eni(1, 1, 4).holds(1, map[string]int{"a": 1})
	for minute := range 60 {
		f.now = start.Add(time.Duration(minute) * time.Minute)
		f.claims = f.claims[:1]
		if minute%2 == 0 {
			f.claim("b", -time.Duration(minute)*time.Minute)
		} else {
			f.vanished[string("b")] = true
		}
		d := plan(f.observation)
		assert.Equal(t, actions(d), "", "minute %d", minute)
		f.pool.Status = d.status
		delete(f.vanished, "b")
	}
}
