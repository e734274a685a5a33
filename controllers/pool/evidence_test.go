/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// heldPool has a ready shared ENI of four addresses, one of which claim a holds.
func heldPool() *fixture {
	f := newFixture().bounds(0, 0, 20).eni(1, 1, 4).holds(1, map[string]int{"a": 1})
	f.pool.Status.InstanceType = "m5.large"
	return f
}

// TestNodeGone: holders are forgotten only when the instance is terminated, or the pool is
// deleted and no Node has named the instance for the grace.
func TestNodeGone(t *testing.T) {
	long := ago(time.Hour)
	missing := func(pool *v1alpha1.ENIPool) { pool.Spec.NodeGoneSince = &long }
	deleted := func(pool *v1alpha1.ENIPool) { pool.DeletionTimestamp = &long }
	for _, row := range []struct {
		name  string
		pool  func(*v1alpha1.ENIPool)
		node  string // providerID; "-": there is no Node
		other string // providerID of a Node of another name; "": there is none
		state string
		lasts time.Duration
		phase v1alpha1.ClaimPhase
		says  string
	}{
		{"the Node is missing for an hour, by the pool's note", missing, "-", "", "running", nodeGrace, v1alpha1.ClaimBound, ""},
		{"it is back, and the pool's note is an hour old", missing, thisInstance, "", "running", nodeGrace, v1alpha1.ClaimBound, ""},
		{"the pool is deleted, and the Node is there", deleted, thisInstance, "", "running", nodeGrace, v1alpha1.ClaimBound, ""},
		{"the pool is deleted, and the Node names no instance", deleted, "", "", "running", nodeGrace, v1alpha1.ClaimBound, ""},
		{"the pool is deleted, and the Node is gone", deleted, "-", "", "running", nodeGrace, v1alpha1.ClaimLost, "is gone, and what it held"},
		{"the pool is deleted, and the Node is missing for less than the grace", deleted, "-", "", "running", nodeGrace - time.Second, v1alpha1.ClaimBound, ""},
		{"the pool is deleted, and the Node stands for another instance for less than the grace", deleted, "aws:///us-east-1a/i-0fedcba9876543210", "", "running",
			nodeGrace - time.Second, v1alpha1.ClaimBound, ""},
		{"the pool is deleted, and the Node stands for another instance", deleted, "aws:///us-east-1a/i-0fedcba9876543210", "", "running", nodeGrace,
			v1alpha1.ClaimLost, "stands for instance i-0fedcba9876543210"},
		{"the pool is deleted, and a Node of another name stands for the instance", deleted, "-", thisInstance, "running", nodeGrace, v1alpha1.ClaimBound, ""},
		{"the pool is deleted, the Node stands for another instance, and one of another name for this one", deleted,
			"aws:///us-east-1a/i-0fedcba9876543210", thisInstance, "running", nodeGrace, v1alpha1.ClaimBound, ""},
		{"the pool is deleted, and a Node of another name stands for another instance", deleted, "-", "aws:///us-east-1a/i-0fedcba9876543210", "running", nodeGrace,
			v1alpha1.ClaimLost, "is gone, and what it held"},
		{"the instance is terminated, and the Node is there", func(*v1alpha1.ENIPool) {}, thisInstance, "", "terminated", 0,
			v1alpha1.ClaimLost, "EC2 says that instance " + instanceID + " is terminated"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := heldPool()
			objects := []client.Object{storedPool(f, row.pool), &f.enis[0], &f.claims[0]}
			if row.node != "-" {
				objects = append(objects, nodeWith(row.node))
			}
			if row.other != "" {
				objects = append(objects, renamedNode(row.other))
			}
			kube := cluster(t, interceptor.Funcs{}, objects...)
			r := reconcilerOn(t, &cloud{state: row.state}, kube, kube)
			reconcileFor(t, r, row.lasts)
			claim := claimIn(t, kube, "a")
			assert.Equal(t, claim.Status.Phase, row.phase)
			if row.says != "" {
				ready := meta.FindStatusCondition(claim.Status.Conditions, v1alpha1.ConditionReady)
				assert.Assert(t, strings.Contains(ready.Message, row.says), ready.Message)
			}
			assert.Equal(t, len(enisIn(t, kube)) == 1, row.phase == v1alpha1.ClaimBound)
		})
	}
}

// reconcileFor reconciles at the beginning and at the end of a time, twice each.
func reconcileFor(t *testing.T, r *Reconciler, lasts time.Duration) {
	t.Helper()
	for _, wait := range []time.Duration{0, 0, lasts, 0} {
		r.clock.(*clocktesting.FakeClock).Step(wait)
		_, err := r.Reconcile(t.Context(), request())
		assert.NilError(t, err)
	}
}

// TestADeletedPoolWaitsForItsNode: the grace is counted by this process, and starts again
// when the Node was there in between. When it ends the pool is looked at again.
func TestADeletedPoolWaitsForItsNode(t *testing.T) {
	for name, between := range map[string]*corev1.Node{
		"the Node returns":                           nodeWith(thisInstance),
		"the Node returns and names no instance yet": nodeWith(""),
		"the Node returns under another name":        renamedNode(thisInstance),
	} {
		t.Run(name, func(t *testing.T) {
			f := heldPool()
			pool := storedPool(f, func(pool *v1alpha1.ENIPool) { pool.DeletionTimestamp = new(ago(time.Hour)) })
			kube := cluster(t, interceptor.Funcs{}, pool, &f.enis[0], &f.claims[0])
			r := reconcilerOn(t, &cloud{}, kube, kube)
			reconcileFor(t, r, nodeGrace-time.Second)
			result, err := r.Reconcile(t.Context(), request())
			assert.NilError(t, err)
			assert.Equal(t, result.RequeueAfter, time.Second)

			assert.NilError(t, kube.Create(t.Context(), between))
			reconcileFor(t, r, nodeGrace)
			assert.NilError(t, kube.Delete(t.Context(), between))
			reconcileFor(t, r, nodeGrace-time.Second)
			assert.Equal(t, claimIn(t, kube, "a").Status.Phase, v1alpha1.ClaimBound)
			reconcileFor(t, r, time.Second)
			assert.Equal(t, claimIn(t, kube, "a").Status.Phase, v1alpha1.ClaimLost)
		})
	}
}

// TestNoGraceForAnInstanceThatEC2DoesNotKnow: its Node is waited for only while EC2 knows the
// instance, whether the pool is being deleted or not.
func TestNoGraceForAnInstanceThatEC2DoesNotKnow(t *testing.T) {
	for _, row := range []struct {
		name           string
		deleted, knows bool
		gone           bool
		left           time.Duration
	}{
		{"EC2 knows it, and the pool is deleted", true, true, false, nodeGrace},
		{"EC2 does not know it, and the pool is deleted", true, false, true, 0},
		{"EC2 does not know it", false, false, true, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := heldPool()
			f.instanceAbsent = !row.knows
			if row.deleted {
				f.pool.DeletionTimestamp = new(ago(time.Hour))
			}
			kube := cluster(t, interceptor.Funcs{})
			assert.NilError(t, reconcilerOn(t, &cloud{}, kube, kube).confirmNodeGone(t.Context(), &f.observation))
			assert.Equal(t, f.nodeGone, row.gone)
			assert.Equal(t, f.graceLeft, row.left)
		})
	}
}

// TestPoolsOfNode: a Node that appears, changes or goes concerns the pool of its name and
// the one of its instance.
func TestPoolsOfNode(t *testing.T) {
	kube := cluster(t, interceptor.Funcs{}, storedPool(newFixture()))
	r := reconcilerOn(t, &cloud{}, kube, kube)
	var names []string
	for _, request := range r.poolsOfNode(t.Context(), renamedNode(thisInstance)) {
		names = append(names, request.Name)
	}
	assert.DeepEqual(t, names, []string{"renamed", nodeName})
	assert.Equal(t, len(r.poolsOfNode(t.Context(), renamedNode(""))), 1)
}

// TestSuspendedPool: while its Node does not stand for the instance, a pool keeps all that
// it has, and hands out and changes nothing.
func TestSuspendedPool(t *testing.T) {
	long := ago(time.Hour)
	for _, row := range []struct {
		name   string
		node   string
		since  *metav1.Time
		reason string
	}{
		{"the Node names no instance", "", nil, v1alpha1.ReasonNodeWithoutInstance},
		{"the Node stands for another instance", "aws:///us-east-1a/i-0fedcba9876543210", nil, v1alpha1.ReasonNodeMissing},
		{"the Node is missing", "-", &long, v1alpha1.ReasonNodeMissing},
		{"the Node was missing a moment ago", thisInstance, &long, v1alpha1.ReasonNodeMissing},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := heldPool().bounds(9, 0, 20).claimsNamed("b")
			pool := storedPool(f, func(pool *v1alpha1.ENIPool) { pool.Spec.NodeGoneSince = row.since })
			objects := []client.Object{pool, &f.enis[0], &f.claims[0], &f.claims[1]}
			if row.node != "-" {
				objects = append(objects, nodeWith(row.node))
			}
			kube := cluster(t, interceptor.Funcs{}, objects...)
			r := reconcilerOn(t, &cloud{}, kube, kube)
			for range 3 {
				_, err := r.Reconcile(t.Context(), request())
				assert.NilError(t, err)
			}
			assert.Equal(t, claimIn(t, kube, "a").Status.Phase, v1alpha1.ClaimBound)
			waiting := claimIn(t, kube, "b")
			assert.Equal(t, waiting.Status.Phase, v1alpha1.ClaimPending)
			assert.Equal(t, meta.FindStatusCondition(waiting.Status.Conditions, v1alpha1.ConditionReady).Reason, row.reason)
			assert.Equal(t, meta.FindStatusCondition(poolIn(t, kube).Status.Conditions, v1alpha1.ConditionReady).Reason, row.reason)
			enis := enisIn(t, kube)
			assert.Equal(t, len(enis), 1)
			assert.Equal(t, enis[0].Spec.AddressCount, int32(4))
		})
	}
}

// TestDistrustedEC2: only the condition changes.
func TestDistrustedEC2(t *testing.T) {
	f := newFixture().bounds(9, 0, 20).eni(1, 1, 4).holds(1, map[string]int{"a": 1}).claimsNamed("b").record(1, 2, v1alpha1.HolderReleasing, "", time.Hour)
	f.exclusive(0, 0, 2).exclusiveENI(2)
	f.distrust = &trouble{condition: v1alpha1.ConditionEC2Trusted, reason: v1alpha1.ReasonOtherRegion, message: "another Region"}
	f.suspended = f.distrust
	d := plan(f.observation)
	assert.Equal(t, actions(d), "")
	assert.Equal(t, holding(d), "a:10.0.1.1")
	assert.DeepEqual(t, d.status.Addresses, f.pool.Status.Addresses)
	trusted := meta.FindStatusCondition(d.status.Conditions, v1alpha1.ConditionEC2Trusted)
	assert.Equal(t, trusted.Status, metav1.ConditionFalse)
	assert.Equal(t, trusted.Reason, v1alpha1.ReasonOtherRegion)
	assert.Assert(t, meta.FindStatusCondition(d.status.Conditions, v1alpha1.ConditionReady) == nil)

	f.pool.Status.PoolUID = "before" // The record is lost as well: it is not rebuilt now.
	assert.Equal(t, string(plan(f.observation).status.PoolUID), "before")
	assert.Assert(t, f.keeps(f.claims[0].DeepCopy(), verdict{phase: v1alpha1.ClaimLost}))
}

// TestReleasedWhileSuspended: what a deleted claim held rests until the pool goes on.
func TestReleasedWhileSuspended(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).eni(1, 1, 4).record(1, 1, v1alpha1.HolderAllocated, "a", time.Hour).claim("a", time.Hour, deleting)
	f.suspended = &trouble{reason: v1alpha1.ReasonNodeMissing}
	d := plan(f.observation)
	assert.Equal(t, record(d), "10.0.1.1 Cooling")
	assert.Equal(t, d.recheck, time.Duration(0))
	assert.Equal(t, verdictOn(f.observation, &d.status, &f.claims[0]).phase, v1alpha1.ClaimPending)
}

// TestEarlierENIOfTheName: the cache still shows the ENI that had the name before.
func TestEarlierENIOfTheName(t *testing.T) {
	for _, mode := range []v1alpha1.Mode{v1alpha1.ModeShared, v1alpha1.ModeExclusive} {
		t.Run(string(mode), func(t *testing.T) {
			old := readyENI(1, mode)
			old.UID = "old"
			fresh := readyENI(1, mode)
			fresh.UID = "new"
			fresh.Status = v1alpha1.ElasticNetworkInterfaceStatus{}
			f := newFixture().bounds(0, 0, 20).exclusive(0, 0, 2).claim("a", time.Minute, func(c *v1alpha1.ENIClaim) { c.Spec.Mode = mode }).
				entry(1, mode, v1alpha1.PoolENIActive, func(e *v1alpha1.PoolENI) { e.UID = "" })
			if mode == v1alpha1.ModeShared {
				old.Spec.AddressCount = 4
				old.Status.Addresses = addresses(1, 1, 4)
				fresh.Spec.AddressCount = 4
			}
			cache := cluster(t, interceptor.Funcs{}, storedPool(f), &old, &f.claims[0], nodeWith(thisInstance))
			live := cluster(t, interceptor.Funcs{}, storedPool(f), &fresh, f.claims[0].DeepCopy())
			r := reconcilerOn(t, &cloud{}, cache, live)
			_, err := r.Reconcile(t.Context(), request())
			assert.NilError(t, err)
			assert.Assert(t, claimIn(t, cache, "a").Status.Phase != v1alpha1.ClaimBound)
		})
	}
}

// TestAnotherUID: a resource with another UID than the record's serves nobody, whichever
// of them is the newer one.
func TestAnotherUID(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).eni(1, 1, 4).claimsNamed("a").
		entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive, func(e *v1alpha1.PoolENI) { e.UID = "another" })
	f.confirmed = map[string]types.UID{eniName(1): f.enis[0].UID}
	d := plan(f.observation)
	assert.Equal(t, holding(d), "")
	assert.Equal(t, string(d.status.ENIs[0].UID), eniName(1), "nobody held anything of the other one")
	for _, entry := range d.status.Addresses {
		assert.Equal(t, entry.State, v1alpha1.HolderReleasing)
	}

	f.holds(1, map[string]int{"b": 1})
	d = plan(f.observation)
	assert.Equal(t, holding(d), "b:10.0.1.1")
	v := verdictOn(f.observation, &d.status, &f.claims[1])
	assert.Equal(t, v.reason, v1alpha1.ReasonAddressLost)
}

// TestANameThatIsLostServesNobody: claims lost what they had of an earlier ENI of a name.
// A resource of the name would take a slot for as long as they exist.
func TestANameThatIsLostServesNobody(t *testing.T) {
	lost := func(e *v1alpha1.PoolENI) {
		e.UID = "another"
		e.NetworkInterfaceID = "eni-gone"
	}
	build := func() *fixture {
		return newFixture().bounds(2, 0, 20).limit(1, 9).eni(1, 1, 2).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive, lost).holds(1, map[string]int{"a": 3})
	}
	f := build()
	assert.Equal(t, actions(plan(f.observation)), "x-1")

	f.enis[0].Status = v1alpha1.ElasticNetworkInterfaceStatus{}
	assert.Equal(t, actions(plan(f.observation)), "x-1", "it cannot be made while no slot is free")

	named := build()
	named.claim("b", time.Hour, boundTo(1, "10.0.1.1"))
	named.claims[len(named.claims)-1].Status.NetworkInterfaceID = named.enis[0].Status.NetworkInterfaceID
	assert.Equal(t, actions(plan(named.observation)), "", "a claim says to hold something of it")

	there := build()
	there.standing = map[string]standing{"eni-gone": {}}
	assert.Equal(t, actions(plan(there.observation)), "", "the earlier ENI is there")
}

// TestConfirmedUID: what a live read confirmed is written into the record, and serves.
func TestConfirmedUID(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).eni(1, 1, 4).claimsNamed("a").
		entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive, func(e *v1alpha1.PoolENI) { e.UID = "" })
	assert.Equal(t, holding(plan(f.observation)), "")
	f.confirmed = map[string]types.UID{eniName(1): f.enis[0].UID}
	d := plan(f.observation)
	assert.Equal(t, holding(d), "a:10.0.1.1")
	assert.Equal(t, d.status.ENIs[0].UID, f.enis[0].UID)
}

// TestUnknownENI: what an ENI carries that the record never asked for is set aside.
func TestUnknownENI(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).exclusive(0, 0, 2).eni(1, 1, 2).exclusiveENI(2).claimsNamed("a").claim("b", 0, wantsENI)
	f.pool.Status.ENIs = nil
	d := plan(f.observation)
	assert.Equal(t, holding(d), "")
	assert.Equal(t, record(d), "-2 Releasing; 10.0.1.1 Releasing; 10.0.1.2 Releasing")
}

// TestRebuildMissesNoENI: the ENIs of a lost record are read live.
func TestRebuildMissesNoENI(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).eni(2, 1, 2).claimsNamed("a")
	lost := storedPool(f, func(pool *v1alpha1.ENIPool) { pool.Status = v1alpha1.ENIPoolStatus{} })
	cache := cluster(t, interceptor.Funcs{}, lost.DeepCopy(), f.claims[0].DeepCopy())
	live := cluster(t, interceptor.Funcs{}, lost.DeepCopy(), f.claims[0].DeepCopy(), f.enis[0].DeepCopy())
	r := reconcilerOn(t, &cloud{}, cache, live)
	_, err := r.Reconcile(t.Context(), request())
	assert.NilError(t, err)
	assert.Equal(t, len(poolIn(t, cache).Status.Addresses), 2, "nobody can say who uses them")

	late := f.enis[0].DeepCopy() // The cache shows it now.
	late.ResourceVersion = ""
	assert.NilError(t, cache.Create(t.Context(), late))
	late.Status = f.enis[0].Status
	assert.NilError(t, cache.Status().Update(t.Context(), late))
	_, _ = r.Reconcile(t.Context(), request())
	assert.Assert(t, claimIn(t, cache, "a").Status.Phase != v1alpha1.ClaimBound)
}

// TestDoubtfulAddresses are handed out to nobody; holders keep theirs.
func TestDoubtfulAddresses(t *testing.T) {
	f := heldPool().claimsNamed("b").last(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Status.Doubtful = []v1alpha1.AddressOrPrefix{"10.0.1.1", "10.0.1.2"}
	})
	assert.Equal(t, holding(plan(f.observation)), "a:10.0.1.1 b:10.0.1.3")
}
