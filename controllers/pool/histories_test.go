/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"pgregory.net/rapid"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ipam"
)

// grown makes the pool's ENIs, and everything that they ask for.
func (w *world) grown() *world {
	w.reconcile(w.fresh())
	w.stepAll()
	w.reconcile(w.fresh())
	return w
}

// copyOf is what the cache shows of an ENI now.
func (w *world) copyOf(slot int) v1alpha1.ElasticNetworkInterface {
	return *w.enis[eniName(slot)].latest()
}

// reconcileWith reads older copies of ENIs, and the pool as it is.
func (w *world) reconcileWith(enis ...v1alpha1.ElasticNetworkInterface) {
	r := w.fresh()
	r.enis = enis
	w.reconcile(r)
}

// shownByClaims are the statuses of the claims that show an address, by their names.
func (w *world) shownByClaims() map[string]v1alpha1.ENIClaimStatus {
	shown := map[string]v1alpha1.ENIClaimStatus{}
	for _, claim := range w.claims {
		if claim.Status.Address != "" {
			shown[claim.Name] = claim.Status
		}
	}
	return shown
}

// TestKnownHistories are histories that once went wrong, each by itself.
func TestKnownHistories(t *testing.T) {
	for _, row := range []struct {
		name string
		of   func() *fixture
		plot func(w *world)
	}{
		{
			// The pool gave a vanished prefix up without a word in its record, so that a copy
			// of the ENI from before served it.
			"a vanished prefix that was given up, and an older copy of its ENI",
			func() *fixture { return newFixture().bounds(16, 0, 64).prefixes().limit(1, 2) },
			func(w *world) {
				w.grown()
				before := w.copyOf(1)
				w.vanish(eniName(1), partsOf(w.enis[eniName(1)].latest())[0])
				w.reconcile(w.fresh())
				w.createClaim("late", v1alpha1.ModeShared, nil, false)
				w.reconcileWith(before)
				assert.Equal(w, len(w.shownByClaims()), 0)
			},
		},
		{
			"the same, once the ENI has let go of it",
			func() *fixture { return newFixture().bounds(16, 0, 64).prefixes().limit(1, 2) },
			func(w *world) {
				w.grown()
				before := w.copyOf(1)
				w.vanish(eniName(1), partsOf(w.enis[eniName(1)].latest())[0])
				w.reconcile(w.fresh())
				w.full[subnetA] = true // Nothing takes its place.
				w.stepAll()
				w.reconcile(w.fresh())
				w.createClaim("late", v1alpha1.ModeShared, nil, false)
				w.reconcileWith(before)
				assert.Equal(w, len(w.shownByClaims()), 0)
			},
		},
		{
			// Nothing that was read shows it, so it is handed out; but the claim then says so.
			"an address that vanished a moment ago, by a copy from before",
			func() *fixture { return newFixture().bounds(1, 0, 4) },
			func(w *world) {
				w.grown()
				before := w.copyOf(1)
				w.createClaim("late", v1alpha1.ModeShared, nil, false)
				w.vanish(eniName(1), partsOf(w.enis[eniName(1)].latest())[0])
				w.reconcileWith(before)
				w.check(w.T)
				w.reconcile(w.fresh())
				assert.Assert(w, !isTrue(w.shownByClaims()["late"].Conditions, v1alpha1.ConditionReady))
				w.stepAll()
				w.reconcile(w.fresh())
				assert.Assert(w, isTrue(w.shownByClaims()["late"].Conditions, v1alpha1.ConditionReady), "it was assigned again")
			},
		},
		{
			// It vanished from both, and the claim names the first loss all along.
			"an address that vanished from one ENI, appeared on another, and vanished from that too",
			func() *fixture { return newFixture().bounds(2, 0, 4).limit(2, 1) },
			func(w *world) {
				w.createClaim("first", v1alpha1.ModeShared, nil, false)
				w.grown()
				status := w.shownByClaims()["first"]
				held := part{name: v1alpha1.AddressOrPrefix(status.Address), addresses: []v1alpha1.Address{v1alpha1.Address(status.Address)}}
				other := eniName(2)
				if status.ENIName == other {
					other = eniName(1)
				}
				w.vanish(status.ENIName, held)
				w.vanish(other, partsOf(w.enis[other].latest())[0])
				eni := w.enis[other].latest()
				eni.Status.Missing = nil
				w.take(eni, held.addresses...)
				eni.Status.Addresses = held.addresses
				w.report(w.enis[other], eni)
				w.reconcile(w.fresh())
				w.createClaim("second", v1alpha1.ModeShared, nil, false)
				w.reconcile(w.fresh())
				assert.Equal(w, len(w.shownByClaims()), 1, "the first claim has it by the record")
				w.vanish(other, held)
				w.check(w.T)
				w.reconcile(w.fresh())
				assert.Assert(w, !isTrue(w.shownByClaims()["first"].Conditions, v1alpha1.ConditionReady))
			},
		},
		{
			// The rest of an address must not end with what made the ENI lose it.
			"an address that vanished while its claim was deleted, and that EC2 assigned again",
			func() *fixture { return newFixture().bounds(0, 0, 1) },
			func(w *world) {
				w.createClaim("first", v1alpha1.ModeShared, nil, false)
				w.grown()
				w.vanish(eniName(1), partsOf(w.enis[eniName(1)].latest())[0])
				w.deleteClaim(w.claimUIDs()[0])
				w.createClaim("second", v1alpha1.ModeShared, nil, false)
				for range 3 {
					w.reconcile(w.fresh())
					w.stepAll()
				}
				assert.Equal(w, len(w.shownByClaims()), 0)
			},
		},
		{
			"an ENI is deleted in EC2 with an address that was just released, and another gets it",
			func() *fixture { return newFixture().bounds(0, 0, 1) },
			func(w *world) {
				w.createClaim("first", v1alpha1.ModeShared, nil, false)
				w.grown()
				w.deleteClaim(w.claimUIDs()[0])
				w.lose(eniName(1))
				w.createClaim("second", v1alpha1.ModeShared, nil, false)
				for range 4 {
					w.reconcile(w.fresh())
					w.stepAll()
				}
				assert.Equal(w, len(w.shownByClaims()), 0)
			},
		},
		{
			"an ENI is deleted, its name is used again, and the cache shows the first one",
			func() *fixture { return newFixture().bounds(2, 0, 4).limit(1, 4) },
			func(w *world) {
				w.grown()
				before := w.copyOf(1)
				w.lose(eniName(1))
				w.reconcile(w.fresh())
				w.stepAll()
				w.reconcile(w.fresh()) // It is forgotten, and made again.
				w.stepAll()
				w.createClaim("late", v1alpha1.ModeShared, nil, false)
				w.reconcileWith(before)
				assert.Equal(w, len(w.shownByClaims()), 0)
			},
		},
		{
			// Fifteen addresses were given up, and one still rested: nothing of the prefix was
			// free, and nothing of it went.
			"a prefix that vanished under a resting address, and that EC2 assigned again",
			func() *fixture { return newFixture().bounds(16, 0, 32).prefixes().limit(1, 2) },
			func(w *world) {
				w.createClaim("first", v1alpha1.ModeShared, nil, false)
				w.grown()
				w.changePool(func(pool *v1alpha1.ENIPool) { pool.Spec.Shared.MinimumIPs = 32 })
				w.reconcile(w.fresh()) // Another prefix is asked for.
				delete(w.claims, w.claimUIDs()[0])
				w.vanish(eniName(1), partsOf(w.enis[eniName(1)].latest())[0])
				w.crashAfter(1)
				w.stepAll() // The ENI is not told yet, and gets the same prefix again.
			},
		},
		{
			"an address that vanished at rest, and a copy of its ENI from before once it has rested",
			func() *fixture { return newFixture().bounds(1, 0, 4) },
			func(w *world) {
				w.createClaim("first", v1alpha1.ModeShared, nil, false)
				w.grown()
				before := w.copyOf(1)
				delete(w.claims, w.claimUIDs()[0])
				w.vanish(eniName(1), partsOf(w.enis[eniName(1)].latest())[0])
				w.crashAfter(1)
				w.now = w.now.Add(time.Hour)
				w.createClaim("late", v1alpha1.ModeShared, nil, false)
				w.reconcileWith(before)
				assert.Equal(w, len(w.shownByClaims()), 0)
			},
		},
		{
			// The rebuilt record knew nothing of an ENI without a resource.
			"an address that its claim lost with the ENI, once the record is lost and EC2 assigned it again",
			func() *fixture { return newFixture().bounds(1, 0, 1) },
			func(w *world) {
				w.createClaim("first", v1alpha1.ModeShared, nil, false)
				w.grown()
				w.lose(eniName(1))
				w.reconcile(w.fresh()) // The claim says AddressLost, and another ENI is made.
				w.stepENI(eniName(1), false)
				assert.Assert(w, w.enis[eniName(1)] == nil)
				w.loseRecordFor(v1alpha1.ENIPoolStatus{})
				w.createClaim("late", v1alpha1.ModeShared, nil, false)
				w.crashAfter(1)
				w.stepAll() // EC2 assigns the same address.
				w.crashAfter(1)
				assert.Equal(w, w.shownByClaims()["first"].Address, "10.0.9.1")
			},
		},
		{
			// Nothing had to be written, so that nobody noticed how old the record was.
			"a record that named a claim which was never told, read again after the ENI is gone",
			func() *fixture { return newFixture().bounds(0, 0, 1).exclusive(1, 0, 1) },
			func(w *world) {
				w.grown()
				w.createClaim("first", v1alpha1.ModeExclusive, nil, false)
				w.crashAfter(1)
				before := w.fresh()
				w.loseRecordFor(v1alpha1.ENIPoolStatus{})
				w.reconcile(w.fresh()) // Nobody says to hold the ENI: it is given back.
				w.stepAll()
				w.reconcile(before)
				assert.Equal(w, len(w.shownByClaims()), 0)
			},
		},
		{
			// The first copy was taken for the resource of that name, so that the second one needed
			// no live read.
			"an exclusive ENI that is gone, and two copies of it, from before EC2 had it and from after",
			func() *fixture { return newFixture().bounds(0, 0, 1).exclusive(1, 0, 1) },
			func(w *world) {
				w.reconcile(w.fresh())
				first := w.copyOf(1)
				w.stepAll()
				second := w.copyOf(1)
				w.lose(eniName(1))
				w.reconcile(w.fresh())
				w.stepENI(eniName(1), false)
				w.reconcile(w.fresh())
				assert.Assert(w, w.enis[eniName(1)] == nil)
				w.createClaim("late", v1alpha1.ModeExclusive, nil, false)
				w.reconcileWith(first, w.copyOf(2))
				w.reconcileWith(second, w.copyOf(2))
				assert.Equal(w, len(w.shownByClaims()), 0)
			},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := worldOf(t, row.of(), ipam.Shared)
				row.plot(w)
				w.settle()
			})
		})
	}
}
