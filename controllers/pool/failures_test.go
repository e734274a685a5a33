/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

func locked(o client.Object) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "eniclaims"}, o.GetName(), errors.New("locked"))
}

// TestRefusedClaims: a claim that may not be written stops neither other claims nor ENIs.
func TestRefusedClaims(t *testing.T) {
	noPatch := interceptor.Funcs{Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
		if strings.HasPrefix(o.GetName(), "bad") {
			return locked(o)
		}
		return c.Patch(ctx, o, p, opts...)
	}}
	noStatus := interceptor.Funcs{SubResourceUpdate: func(
		ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption,
	) error {
		if strings.HasPrefix(o.GetName(), "bad") {
			return locked(o)
		}
		return c.SubResource(sub).Update(ctx, o, opts...)
	}}
	for name, funcs := range map[string]interceptor.Funcs{"finalizers": noPatch, "status": noStatus} {
		t.Run(name, func(t *testing.T) {
			f := newFixture().bounds(12, 0, 20).eni(1, 1, 4).claimsNamed("bad", "good")
			f.holds(1, map[string]int{"bad-leaving": 4}).lastClaim(deleting)
			f.claims[0].Finalizers = nil
			kube := cluster(t, funcs, storedPool(f), &f.enis[0], &f.claims[0], &f.claims[1], &f.claims[2])
			r := reconcilerOn(t, &cloud{}, kube, kube)
			for range 3 {
				_, err := r.Reconcile(t.Context(), request())
				assert.ErrorContains(t, err, "bad", "it is tried again")
			}
			assert.Equal(t, claimIn(t, kube, "good").Status.Phase, v1alpha1.ClaimBound)
			assert.Equal(t, len(enisIn(t, kube)), 2)
			entry := poolIn(t, kube).Status.HolderOf("10.0.1.4")
			assert.Assert(t, name == "finalizers" || (entry != nil && entry.Name == "bad-leaving"), "what could not be released stays held")
		})
	}
}

// TestRefusedENI: an ENI that may not be written keeps no other from being changed.
func TestRefusedENI(t *testing.T) {
	funcs := interceptor.Funcs{Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
		if o.GetName() == eniName(1) {
			return locked(o)
		}
		return c.Update(ctx, o, opts...)
	}}
	f := newFixture().bounds(8, 0, 20).limit(2, 4).eni(1, 1, 2).eni(2, 1, 2)
	kube := cluster(t, funcs, &f.enis[0], &f.enis[1])
	for i := range f.enis {
		f.enis[i].ResourceVersion = "999"
	}
	r := &Reconciler{client: kube, live: kube, events: events.Discard}
	err := r.changeENIs(t.Context(), f.observation, plan(f.observation))
	assert.ErrorContains(t, err, eniName(1))
	changed := &v1alpha1.ElasticNetworkInterface{}
	assert.NilError(t, kube.Get(t.Context(), client.ObjectKey{Name: eniName(2)}, changed))
	assert.Equal(t, changed.Spec.AddressCount, int32(4))
}

// TestOrphanedENIs: an ENI of the cluster's that no resource stands for takes its slot, and
// is named.
func TestOrphanedENIs(t *testing.T) {
	orphan := ec2.NetworkInterface{ID: "eni-orphan", SubnetID: subnetA, Tags: map[string]string{ec2.TagClusterUID: "cluster", ec2.TagUID: "nobody"},
		Attachment: &ec2.Attachment{InstanceID: instanceID, Slot: ec2.Slot{DeviceIndex: 1}, Status: ec2.AttachmentAttached}}
	f := newFixture().bounds(0, 0, 20).exclusive(2, 0, 2)
	kube := cluster(t, interceptor.Funcs{}, storedPool(f), nodeWith(thisInstance))
	r := reconcilerOn(t, &cloud{enis: []ec2.NetworkInterface{orphan}, others: map[string]ec2.Slot{"eni-orphan": {DeviceIndex: 1}}}, kube, kube)
	for range 3 {
		_, err := r.Reconcile(t.Context(), request())
		assert.NilError(t, err)
	}
	assert.Equal(t, len(enisIn(t, kube)), 1)
	capacity := meta.FindStatusCondition(poolIn(t, kube).Status.Conditions, v1alpha1.ConditionCapacityAvailable)
	assert.Equal(t, capacity.Reason, v1alpha1.ReasonOrphanedENIs)
	assert.Assert(t, strings.Contains(capacity.Message, "eni-orphan"))
}

// TestAFullSubnetIsToldBesideOrphans expects a claim that an ENI of the pool could serve to
// say that the subnet is full, and one that waits for the orphan's slot to say that.
func TestAFullSubnetIsToldBesideOrphans(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).exclusive(0, 0, 2).limit(2, 5).eni(1, 1, 2).claimsNamed("c").holds(1, map[string]int{"a": 1, "b": 2})
	f.otherENIs, f.orphans = 1, []string{"eni-orphan"}
	f.network.rooms = map[string]subnetRoom{subnetA: {known: true}}
	stored := plan(f.observation).status
	capacity := meta.FindStatusCondition(stored.Conditions, v1alpha1.ConditionCapacityAvailable)
	assert.Equal(t, capacity.Reason, v1alpha1.ReasonSubnetExhausted)
	assert.Assert(t, strings.Contains(capacity.Message, "eni-orphan"))

	reason, _ := whyNotGrown(f.observation, &stored, v1alpha1.ModeShared)
	assert.Equal(t, reason, v1alpha1.ReasonSubnetExhausted)
	reason, _ = whyNotGrown(f.observation, &stored, v1alpha1.ModeExclusive)
	assert.Equal(t, reason, v1alpha1.ReasonOrphanedENIs)
}

// TestOwnENINotShownYet: an ENI whose id the cache does not show yet is no orphan.
func TestOwnENINotShownYet(t *testing.T) {
	own := ec2.NetworkInterface{ID: "eni-1", SubnetID: subnetA, Tags: map[string]string{ec2.TagClusterUID: "cluster", ec2.TagUID: eniName(1)},
		Attachment: &ec2.Attachment{InstanceID: instanceID, Slot: ec2.Slot{DeviceIndex: 1}, Status: ec2.AttachmentAttached}}
	f := newFixture().bounds(0, 0, 20).exclusive(2, 0, 2).exclusiveENI(1).last(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Status = v1alpha1.ElasticNetworkInterfaceStatus{}
	})
	kube := cluster(t, interceptor.Funcs{}, storedPool(f), nodeWith(thisInstance), &f.enis[0])
	r := reconcilerOn(t, &cloud{enis: []ec2.NetworkInterface{own}, others: map[string]ec2.Slot{"eni-1": {DeviceIndex: 1}}}, kube, kube)
	_, err := r.Reconcile(t.Context(), request())
	assert.NilError(t, err)
	assert.Equal(t, len(enisIn(t, kube)), 2)
}

// TestGroupsOfThePrimaryENI are those of a pool without terms, and followed.
func TestGroupsOfThePrimaryENI(t *testing.T) {
	f := newFixture().bounds(12, 0, 20).eni(1, 1, 4).last(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Spec.SecurityGroupIDs = []v1alpha1.SecurityGroupID{"sg-old"}
	})
	kube := cluster(t, interceptor.Funcs{}, storedPool(f), &f.enis[0], nodeWith(thisInstance))
	r := reconcilerOn(t, &cloud{groups: []string{"sg-new"}}, kube, kube)
	_, err := r.Reconcile(t.Context(), request())
	assert.NilError(t, err)
	enis := enisIn(t, kube)
	assert.Equal(t, len(enis), 2)
	for i := range enis {
		assert.DeepEqual(t, enis[i].Spec.SecurityGroupIDs, []v1alpha1.SecurityGroupID{"sg-new"})
	}
}

// TestTooManySecurityGroups stop growth, and nothing else.
func TestTooManySecurityGroups(t *testing.T) {
	f := newFixture().bounds(12, 0, 20).eni(1, 1, 4).last(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Spec.SecurityGroupIDs = []v1alpha1.SecurityGroupID{"sg-old"}
	}).claimsNamed("a")
	pool := storedPool(f, func(pool *v1alpha1.ENIPool) {
		pool.Spec.SecurityGroupSelectorTerms = []v1alpha1.SecurityGroupSelectorTerm{{Name: "many"}}
	})
	many := &cloud{}
	for i := range mostSecurityGroups + 1 {
		many.found = append(many.found, fmt.Sprintf("sg-%d", i))
	}
	kube := cluster(t, interceptor.Funcs{}, pool, &f.enis[0], &f.claims[0], nodeWith(thisInstance))
	_, err := reconcilerOn(t, many, kube, kube).Reconcile(t.Context(), request())
	assert.ErrorContains(t, err, "17 security groups")
	resolved := meta.FindStatusCondition(poolIn(t, kube).Status.Conditions, v1alpha1.ConditionNetworkResolved)
	assert.Equal(t, resolved.Reason, v1alpha1.ReasonTooManySecurityGroups)
	assert.Equal(t, claimIn(t, kube, "a").Status.Phase, v1alpha1.ClaimBound)
	enis := enisIn(t, kube)
	assert.Equal(t, len(enis), 1)
	assert.DeepEqual(t, enis[0].Spec.SecurityGroupIDs, []v1alpha1.SecurityGroupID{"sg-old"})
}

// TestStoppedInstance is named, and keeps everything.
func TestStoppedInstance(t *testing.T) {
	f := heldPool()
	kube := cluster(t, interceptor.Funcs{}, storedPool(f), &f.enis[0], &f.claims[0], nodeWith(thisInstance))
	_, err := reconcilerOn(t, &cloud{state: "stopped"}, kube, kube).Reconcile(t.Context(), request())
	assert.NilError(t, err)
	found := meta.FindStatusCondition(poolIn(t, kube).Status.Conditions, v1alpha1.ConditionInstanceFound)
	assert.Equal(t, found.Status, metav1.ConditionTrue)
	assert.Assert(t, strings.Contains(found.Message, "is stopped"))
	assert.Equal(t, claimIn(t, kube, "a").Status.Phase, v1alpha1.ClaimBound)
}

// TestPausedPool: a paused pool says so, and so do claims that wait for it.
func TestPausedPool(t *testing.T) {
	f := heldPool().claimsNamed("b").holds(1, map[string]int{"c": 2}).lastClaim(deleting)
	pool := storedPool(f, func(pool *v1alpha1.ENIPool) { pool.Annotations = map[string]string{v1alpha1.PausedAnnotation: "true"} })
	kube := cluster(t, interceptor.Funcs{}, pool, &f.enis[0], &f.claims[0], &f.claims[1], &f.claims[2], nodeWith(thisInstance))
	_, err := reconcilerOn(t, &cloud{}, kube, kube).Reconcile(t.Context(), request())
	assert.NilError(t, err)
	reasonOf := func(conditions []metav1.Condition) string {
		if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready != nil {
			return ready.Reason
		}
		return ""
	}
	assert.Equal(t, reasonOf(poolIn(t, kube).Status.Conditions), v1alpha1.ReasonPaused)
	assert.Equal(t, reasonOf(claimIn(t, kube, "a").Status.Conditions), "", "a bound claim is left alone")
	assert.Equal(t, reasonOf(claimIn(t, kube, "b").Status.Conditions), v1alpha1.ReasonPaused)
	leaving := claimIn(t, kube, "c")
	assert.Equal(t, reasonOf(leaving.Status.Conditions), v1alpha1.ReasonPaused)
	assert.Equal(t, leaving.Status.Address, "10.0.1.2", "it keeps what it has")
}

// TestClaimsBeforeTheFirstRead: a claim's status says what it waits for, however long the
// first read of EC2 takes.
func TestClaimsBeforeTheFirstRead(t *testing.T) {
	f := heldPool().claimsNamed("b")
	kube := cluster(t, interceptor.Funcs{}, storedPool(f), &f.claims[0], &f.claims[1])
	clk := clocktesting.NewFakeClock(start)
	r := &Reconciler{client: kube, live: kube, events: events.Discard, clock: clk, inventory: inventory.New(&cloud{}, inventory.Options{Clock: clk})}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := r.Reconcile(ctx, request())
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	claim := claimIn(t, kube, "b")
	assert.Equal(t, claim.Status.Phase, v1alpha1.ClaimPending)
	assert.Assert(t, strings.Contains(claim.Status.Conditions[0].Message, "has not read EC2 yet"))
	assert.Equal(t, len(claimIn(t, kube, "a").Status.Conditions), 0)
}
