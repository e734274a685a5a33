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
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// TestOlderRecord: what bound claims say to hold, and an older record does not name, is
// neither lost, nor handed out, nor given back.
func TestOlderRecord(t *testing.T) {
	says := boundTo(1, address(1, 1))
	cooling := func(f *fixture) { f.record(1, 1, v1alpha1.HolderCooling, "", time.Second) }
	releasing := func(f *fixture) { f.record(1, 1, v1alpha1.HolderReleasing, "", time.Second) }
	for _, row := range []struct {
		name    string
		claim   func(*v1alpha1.ENIClaim)
		record  func(*fixture)
		holding string
	}{
		{"free by the record", says, func(*fixture) {}, "a:10.0.1.1 b:10.0.1.2"},
		{"at rest by the record", says, cooling, "a:10.0.1.1 b:10.0.1.2"},
		{"at rest by the record, after another claim that is gone", says, func(f *fixture) {
			f.record(1, 1, v1alpha1.HolderCooling, "gone", time.Second)
		}, "a:10.0.1.1 b:10.0.1.2"},
		{"at rest by the record, after another claim that is bound elsewhere", says, func(f *fixture) {
			f.record(1, 1, v1alpha1.HolderCooling, "c", time.Second).claim("c", time.Hour, boundTo(1, address(1, 3)))
		}, "a:10.0.1.1 b:10.0.1.2 c:10.0.1.3"},
		{"the record has it as the last holder of another address", says, func(f *fixture) {
			f.record(1, 3, v1alpha1.HolderCooling, "a", time.Second)
		}, "a:10.0.1.1 b:10.0.1.2"},
		{"on its way back by the record, and the ENI was not told", says, releasing, "a:10.0.1.1 b:10.0.1.2"},
		{"the ENI was told to give it back", says, func(f *fixture) {
			releasing(f)
			f.last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Release = []v1alpha1.AddressOrPrefix{"10.0.1.1"} })
		}, "b:10.0.1.2"},
		{"held by another claim", says, func(f *fixture) { f.holds(1, map[string]int{"c": 1}) }, "b:10.0.1.2 c:10.0.1.1"},
		{"held by a claim that is gone", says, func(f *fixture) {
			f.record(1, 1, v1alpha1.HolderAllocated, "gone", time.Hour)
			f.vanished["gone"] = true
		}, "a:10.0.1.1 b:10.0.1.2"},
		{"held by a claim that lost it", says, func(f *fixture) {
			f.record(1, 1, v1alpha1.HolderAllocated, "c", time.Hour).claim("c", time.Hour, inPhase(v1alpha1.ClaimLost))
		}, "a:10.0.1.1 b:10.0.1.2"},
		{"the ENI is none of the record", says, func(f *fixture) { f.pool.Status.ENIs = nil }, "a:10.0.1.1"},
		{"the ENI has another resource by now", says, func(f *fixture) {
			f.entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive, func(e *v1alpha1.PoolENI) { e.UID = "earlier" })
			f.record(1, 3, v1alpha1.HolderAllocated, "gone", time.Hour)
			f.vanished["gone"] = true
		}, "a:10.0.1.1"},
		{"the ENI has another resource by now, and the record names the claim", says, func(f *fixture) {
			f.entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive, func(e *v1alpha1.PoolENI) { e.UID = "earlier" })
			f.record(1, 3, v1alpha1.HolderAllocated, "a", time.Hour)
		}, "a:10.0.1.1"},
		{"the record has it on an address that went back to the subnet", says, func(f *fixture) {
			f.record(1, 7, v1alpha1.HolderAllocated, "a", time.Hour)
		}, "a:10.0.1.1 b:10.0.1.2"},
		{"the record has it on another address that is there, so that the claim was edited", says, func(f *fixture) {
			f.record(1, 3, v1alpha1.HolderAllocated, "a", time.Hour)
		}, "a:10.0.1.3 b:10.0.1.1"},
		{"the record has it on an address that vanished", says, func(f *fixture) {
			f.record(1, 7, v1alpha1.HolderAllocated, "a", time.Hour)
			f.last(func(eni *v1alpha1.ElasticNetworkInterface) {
				eni.Status.Missing = []v1alpha1.AddressOrPrefix{"10.0.1.7"}
			})
		}, "a:10.0.1.7 b:10.0.1.1"},
		{"the ENI does not carry it", boundTo(1, address(1, 9)), func(*fixture) {}, "b:10.0.1.1"},
		{"it is of another ENI of the name", func(claim *v1alpha1.ENIClaim) {
			says(claim)
			claim.Status.NetworkInterfaceID = "eni-0"
		}, func(*fixture) {}, "b:10.0.1.1"},
		{"a whole ENI", func(claim *v1alpha1.ENIClaim) {
			boundTo(2, "10.0.2.250")(claim)
			wantsENI(claim)
		}, func(*fixture) {}, "a:-2 b:10.0.1.1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture().bounds(0, 0, 20).exclusive(0, 0, 2).exclusiveENI(2).eni(1, 1, 3)
			f.claim("a", time.Hour, func(claim *v1alpha1.ENIClaim) {
				claim.Status.NetworkInterfaceID = ""
				row.claim(claim)
				if claim.Status.NetworkInterfaceID == "" {
					claim.Status.NetworkInterfaceID = map[string]string{eniName(1): "eni-1", eniName(2): "eni-2"}[claim.Status.ENIName]
				}
			})
			f.change(row.record).claim("b", time.Minute)
			f.unnamed = unnamedClaims(f.pool, &f.observation)
			assert.Equal(t, holding(plan(f.observation)), row.holding)
		})
	}
}

// TestRestoredRecord: a claim keeps what it holds when an older status of its pool is
// restored, and a copy of the record from before the claim was bound decides nothing.
func TestRestoredRecord(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).eni(1, 1, 3).claimsNamed("b")
	f.claim("a", time.Hour, boundTo(1, address(1, 1)), func(claim *v1alpha1.ENIClaim) {
		claim.Status.NetworkInterfaceID = "eni-1"
		claim.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonBound}}
	})
	kube := cluster(t, interceptor.Funcs{}, storedPool(f), &f.enis[0], &f.claims[0], &f.claims[1], nodeWith(thisInstance))
	r := reconcilerOn(t, &cloud{}, kube, kube)
	for range 2 {
		_, err := r.Reconcile(t.Context(), request())
		assert.NilError(t, err)
	}
	assert.Equal(t, claimIn(t, kube, "a").Status.Phase, v1alpha1.ClaimBound)
	assert.Equal(t, claimIn(t, kube, "a").Status.Address, "10.0.1.1")
	assert.Equal(t, claimIn(t, kube, "b").Status.Address, "10.0.1.2")
	assert.Equal(t, poolIn(t, kube).Status.HolderOf("10.0.1.1").Name, "a")
}

// TestRestoredRecordReadsClaimsLive: the cache does not show every claim that is bound.
func TestRestoredRecordReadsClaimsLive(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).eni(1, 1, 3).claimsNamed("c")
	for name, last := range map[string]int{"a": 1, "b": 2} {
		f.claim(name, time.Hour, boundTo(1, address(1, last)))
	}
	cached := []int{0}
	for i := range f.claims {
		if f.claims[i].Name == "a" {
			cached = append(cached, i)
		}
	}
	cache := cluster(t, interceptor.Funcs{}, storedPool(f), &f.enis[0], f.claims[cached[0]].DeepCopy(), f.claims[cached[1]].DeepCopy(), nodeWith(thisInstance))
	live := cluster(t, interceptor.Funcs{}, storedPool(f), &f.enis[0], &f.claims[0], &f.claims[1], &f.claims[2])
	r := reconcilerOn(t, &cloud{}, cache, live)
	_, _ = r.Reconcile(t.Context(), request()) // Claim b cannot be told anything in this cache.
	assert.Equal(t, poolIn(t, cache).Status.HolderOf("10.0.1.2").Name, "b")
	assert.Equal(t, poolIn(t, cache).Status.HolderOf("10.0.1.3").Name, "c")
}

// TestMinimumOnADeletedENI: an exclusive ENI that a person deleted counts for the minimum
// for as long as its claim uses it, and the pool is ready.
func TestMinimumOnADeletedENI(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).exclusive(1, 0, 2).exclusiveENI(1).claim("a", time.Hour, wantsENI, boundTo(1, "10.0.1.250"))
	f.entry(1, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, func(e *v1alpha1.PoolENI) { e.Claim = referenceTo(&f.claims[0]) })
	f.last(unready(v1alpha1.ReasonWaitingForDrain, true)).last(func(eni *v1alpha1.ElasticNetworkInterface) {
		now := ago(time.Minute)
		eni.DeletionTimestamp = &now
	})
	d := plan(f.observation)
	assert.Equal(t, actions(d), "")
	ready := meta.FindStatusCondition(d.status.Conditions, v1alpha1.ConditionReady)
	assert.Equal(t, ready.Reason, v1alpha1.ReasonReady, ready.Message)
	f.last(unready(v1alpha1.ReasonWaitingForDrain, false))
	ready = meta.FindStatusCondition(plan(f.observation).status.Conditions, v1alpha1.ConditionReady)
	assert.Equal(t, ready.Reason, v1alpha1.ReasonWaitingForDrain, "it is not attached")
}
