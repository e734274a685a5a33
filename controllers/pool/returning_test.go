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
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// orphan is the ENI of slot 1 in EC2, with the tags of a resource that is gone.
func orphan(name string, addresses ...string) ec2.NetworkInterface {
	return ec2.NetworkInterface{
		ID: "eni-1", SubnetID: subnetA, VPCID: "vpc", PrimaryAddress: "10.0.1.250", Addresses: addresses,
		Tags:       ec2.Ownership{ClusterUID: "cluster", Name: name, UID: "gone", DeletionPolicy: "Delete"}.Tags(nil),
		Attachment: &ec2.Attachment{ID: "eni-attach-1", InstanceID: instanceID, Status: ec2.AttachmentAttached},
	}
}

// shows is an EC2 that shows ENIs on the instance.
func shows(enis ...ec2.NetworkInterface) *cloud {
	c := &cloud{enis: enis, others: map[string]ec2.Slot{}}
	for i, eni := range enis {
		c.others[eni.ID] = ec2.Slot{DeviceIndex: int32(i + 1)}
	}
	return c
}

// TestAnENIWhoseResourceIsTornAway is taken up again, and what claims hold of it stays theirs.
// Without it in EC2 they lost that.
func TestAnENIWhoseResourceIsTornAway(t *testing.T) {
	recordLost := func(pool *v1alpha1.ENIPool) { pool.Status = v1alpha1.ENIPoolStatus{} }
	keep := func(*v1alpha1.ENIPool) {}
	for _, row := range []struct {
		name    string
		cloud   *cloud
		record  func(*v1alpha1.ENIPool)
		reason  string
		phase   v1alpha1.ClaimPhase
		remakes bool
	}{
		{"EC2 has it", shows(orphan(eniName(1), "10.0.1.1", "10.0.1.2")), keep, v1alpha1.ReasonBound, v1alpha1.ClaimBound, true},
		{"EC2 has it, and the record is lost too", shows(orphan(eniName(1), "10.0.1.1", "10.0.1.2")), recordLost, v1alpha1.ReasonBound, v1alpha1.ClaimBound, true},
		{"EC2 has it without the address", shows(orphan(eniName(1), "10.0.1.2")), keep, v1alpha1.ReasonAddressLost, v1alpha1.ClaimBound, true},
		{"EC2 has it, and it was made for a resource of no pool", shows(orphan("mine", "10.0.1.1")), keep, v1alpha1.ReasonBound, v1alpha1.ClaimBound, false},
		{"EC2 does not have it", shows(), keep, v1alpha1.ReasonAddressLost, v1alpha1.ClaimBound, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := heldPool().lastClaim(boundAndReady)
			f.pool.Status.ENIs[0].NetworkInterfaceID = "eni-1"
			kube := cluster(t, interceptor.Funcs{}, storedPool(f, row.record), &f.claims[0], nodeWith(thisInstance))
			r := reconcilerOn(t, row.cloud, kube, kube)
			if len(row.cloud.enis) == 0 {
				r.lose(t, "eni-1")
			}
			_, err := r.Reconcile(t.Context(), request())
			assert.NilError(t, err)

			claim := claimIn(t, kube, "a")
			assert.Equal(t, claim.Status.Phase, row.phase)
			assert.Equal(t, claim.Status.Conditions[0].Reason, row.reason)
			pool := &v1alpha1.ENIPool{}
			assert.NilError(t, kube.Get(t.Context(), client.ObjectKey{Name: nodeName}, pool))
			assert.Equal(t, pool.Status.ENIs[0].State == v1alpha1.PoolENIActive, len(row.cloud.enis) > 0)
			made := &v1alpha1.ElasticNetworkInterface{}
			err = kube.Get(t.Context(), client.ObjectKey{Name: eniName(1)}, made)
			if !row.remakes {
				assert.ErrorContains(t, err, "not found")
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, made.Spec.Mode, v1alpha1.ModeShared)
			assert.Equal(t, int(made.Spec.AddressCount), len(row.cloud.enis[0].Addresses))
		})
	}
}

// boundAndReady is what a claim says that was told that it holds something of eni-1.
func boundAndReady(claim *v1alpha1.ENIClaim) {
	claim.Status.NetworkInterfaceID = "eni-1"
	applyVerdict(claim, verdict{phase: v1alpha1.ClaimBound, reason: v1alpha1.ReasonBound}, ago(0))
}

// TestAnENIWithoutResourceThatEC2DoesNotShow is not gone: answers without it, of a process
// that has not read it before, say nothing. What claims hold of it stays theirs until EC2
// shows it, or says that it is gone.
func TestAnENIWithoutResourceThatEC2DoesNotShow(t *testing.T) {
	recordLost := func(pool *v1alpha1.ENIPool) { pool.Status = v1alpha1.ENIPoolStatus{} }
	keep := func(*v1alpha1.ENIPool) {}
	carried := shows(orphan(eniName(1), "10.0.1.1", "10.0.1.2"))
	for _, row := range []struct {
		name   string
		others map[string]ec2.Slot
		record func(*v1alpha1.ENIPool)
	}{
		{"the instance carries it", carried.others, keep},
		{"the instance carries it, and the record is lost too", carried.others, recordLost},
		{"the instance does not show it either", nil, keep},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := heldPool().lastClaim(boundAndReady)
			f.pool.Status.ENIs[0].NetworkInterfaceID = "eni-1"
			kube := cluster(t, interceptor.Funcs{}, storedPool(f, row.record), &f.claims[0], nodeWith(thisInstance))
			c := &cloud{others: row.others, silent: true}
			r := reconcilerOn(t, c, kube, kube)
			for range 3 {
				_, err := r.Reconcile(t.Context(), request())
				assert.ErrorContains(t, err, "does not show ENI eni-1", "it is asked again")
				r.clock.(*clocktesting.FakeClock).Step(time.Minute)
			}
			assert.Equal(t, claimIn(t, kube, "a").Status.Conditions[0].Reason, v1alpha1.ReasonBound)
			assert.Equal(t, poolIn(t, kube).Status.ENIs[0].State, v1alpha1.PoolENIActive)
			assert.Equal(t, len(enisIn(t, kube)), 0)

			c.silent = false
			c.enis = carried.enis
			c.others = carried.others
			_, err := r.Reconcile(t.Context(), request())
			assert.NilError(t, err)
			assert.Equal(t, claimIn(t, kube, "a").Status.Conditions[0].Reason, v1alpha1.ReasonBound)
			assert.Equal(t, len(enisIn(t, kube)), 1, "its resource is made again")
		})
	}
}

// TestAResourceIsMadeAgainOnce: the ENI's tags name the resource of before until the new one,
// which has no status yet, takes it over.
func TestAResourceIsMadeAgainOnce(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).eni(1, 1, 2).last(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Status = v1alpha1.ElasticNetworkInterfaceStatus{}
	})
	f.returning = []newENI{{name: eniName(1), mode: v1alpha1.ModeShared, count: 2}}
	assert.Equal(t, actions(plan(f.observation)), "")

	f.enis, f.pool.Status.ENIs = nil, nil
	assert.Equal(t, actions(plan(f.observation)), "+-1 Shared 2")
}

// TestAResourceThatTookAnENIOver stands for the entry that its predecessor had, with all
// that claims hold of it, also where one of them lost its address.
func TestAResourceThatTookAnENIOver(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).eni(1, 1, 4).holds(1, map[string]int{"a": 1, "lost": 9})
	entry := &f.pool.Status.ENIs[0]
	entry.UID = "torn"
	entry.NetworkInterfaceID = "eni-1"
	entry.Generation = 7
	f.confirmed = map[string]types.UID{eniName(1): f.enis[0].UID}

	d := plan(f.observation)
	assert.Equal(t, d.status.ENIs[0].UID, f.enis[0].UID)
	assert.Equal(t, d.status.ENIs[0].State, v1alpha1.PoolENIActive)
	assert.Equal(t, d.status.Shared.Free, int32(3))
	assert.Equal(t, verdictOn(f.observation, &d.status, &f.claims[0]).reason, v1alpha1.ReasonBound)
	assert.DeepEqual(t, d.reclaims[eniName(1)], []v1alpha1.AddressOrPrefix{"10.0.1.9"})
}

// TestAnENIThatWasGivenAwayTakesASlot: it still names the resource that it was made for, whose
// status was wiped, so that another ENI was made. There is no slot for that one: the pool gives
// it up, and uses the room of the ENI that is attached.
func TestAnENIThatWasGivenAwayTakesASlot(t *testing.T) {
	for name, row := range map[string]struct {
		cluster string
		stays   bool
	}{
		"another cluster's": {"another", false},
		"still ours, and the resource is about to name it": {"cluster", true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture().bounds(3, 0, 20).eni(1, 1, 1).eni(2, 1, 2).last(func(eni *v1alpha1.ElasticNetworkInterface) {
				eni.Status.NetworkInterfaceID, eni.Status.Attachment = "eni-new", nil
				eni.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNoFreeDeviceIndex}}
			})
			given := orphan(f.enis[1].Name)
			given.ID, given.Attachment.Slot = "eni-given", ec2.Slot{DeviceIndex: 2}
			given.Tags[ec2.TagClusterUID], given.Tags[ec2.TagUID] = row.cluster, string(f.enis[1].UID)
			attached := orphan(f.enis[0].Name, "10.0.1.1")
			attached.Tags[ec2.TagUID], attached.Attachment.Slot = string(f.enis[0].UID), ec2.Slot{DeviceIndex: 1}
			kube := cluster(t, interceptor.Funcs{}, storedPool(f), &f.enis[0], &f.enis[1], nodeWith(thisInstance))
			r := reconcilerOn(t, shows(attached, given), kube, kube)
			_, err := r.Reconcile(t.Context(), request())
			assert.NilError(t, err)
			assert.Equal(t, poolIn(t, kube).Status.ENIs[1].State == v1alpha1.PoolENIActive, row.stays)
		})
	}
}

// TestUnnotedAddresses that claims hold are asked for again, once the ENI was read.
func TestUnnotedAddresses(t *testing.T) {
	prefixed := func() *fixture {
		f := newFixture().bounds(0, 0, 64).prefixes().prefixENI(1, 1)
		return f.holds(1, map[string]int{"a": 3, "b": 37, "c": 38})
	}
	single := func() *fixture {
		return newFixture().bounds(0, 0, 20).eni(1, 1, 4).holds(1, map[string]int{"a": 1, "b": 9})
	}
	for _, row := range []struct {
		name    string
		fixture *fixture
		want    []v1alpha1.AddressOrPrefix
	}{
		{"an address", single(), []v1alpha1.AddressOrPrefix{"10.0.1.9"}},
		{"a prefix", prefixed(), []v1alpha1.AddressOrPrefix{"10.0.1.32/28"}},
		{"of a status that was wiped", single().last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.NetworkInterfaceID = "" }), nil},
		{"of a copy older than the record", single().last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Generation = 0 }).
			change(func(f *fixture) { f.pool.Status.ENIs[0].Generation = 1 }), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			assert.DeepEqual(t, plan(row.fixture.observation).reclaims[eniName(1)], row.want)
		})
	}
}

// TestClaimsWhosePoolIsTornAway keep what they hold while a pool is to come: for their Node, or
// for ENIs that are left without it.
func TestClaimsWhosePoolIsTornAway(t *testing.T) {
	for _, row := range []struct {
		name  string
		node  bool
		eni   bool
		phase v1alpha1.ClaimPhase
	}{
		{"the Node and the ENI are there", true, true, v1alpha1.ClaimBound},
		{"the Node is there", true, false, v1alpha1.ClaimBound},
		{"the ENI is there", false, true, v1alpha1.ClaimBound},
		{"nothing is there", false, false, v1alpha1.ClaimLost},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := heldPool().lastClaim(boundAndReady)
			objects := []client.Object{&f.claims[0]}
			if row.eni {
				objects = append(objects, &f.enis[0])
			}
			if row.node {
				objects = append(objects, nodeWith(thisInstance))
			}
			kube := cluster(t, interceptor.Funcs{}, objects...)
			r := reconcilerOn(t, &cloud{}, kube, kube)
			_, err := r.Reconcile(t.Context(), request())
			assert.NilError(t, err)
			assert.Equal(t, claimIn(t, kube, "a").Status.Phase, row.phase)
		})
	}
}
