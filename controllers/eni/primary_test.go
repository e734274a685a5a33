/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// primary is the instance's primary ENI in EC2.
func (w *world) primary() ec2.NetworkInterface {
	w.t.Helper()
	w.clock.Step(time.Minute) // so that nothing is hidden any more
	points := w.wire.reset(nil)
	instances, err := w.api.DescribeInstances(context.Background(), ec2.Filter{Name: "instance-id", Values: []string{w.instance}})
	assert.NilError(w.t, err)
	w.wire.reset(nil)
	w.wire.points = points
	return instances[0].Primary
}

// assignForeign has somebody else assign addresses to the primary ENI.
func (w *world) assignForeign(count string) []string {
	w.t.Helper()
	before := w.primary()
	w.ec2("AssignPrivateIpAddresses", "NetworkInterfaceId", before.ID, "SecondaryPrivateIpAddressCount", count)
	return slices.DeleteFunc(w.primary().Addresses, func(address string) bool { return slices.Contains(before.Addresses, address) })
}

func (w *world) createPrimary(count int32) {
	w.t.Helper()
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{
		DeviceIndex: ptr.To[int32](0), Mode: v1alpha1.ModeShared, InstanceID: w.instance, AddressCount: count,
	})
}

// assertOurs compares what the status lists with what EC2 has beside the addresses
// of others.
func (w *world) assertOurs(count int, foreign []string) {
	w.t.Helper()
	status, actual := w.eni().Status, w.primary()
	assert.Equal(w.t, len(status.Addresses), count)
	assert.Equal(w.t, int(status.ForeignCount), len(foreign))
	all := slices.Concat(stringsOf(status.Addresses), foreign)
	slices.Sort(all)
	assert.DeepEqual(w.t, all, actual.Addresses)
	assert.Equal(w.t, status.NetworkInterfaceID, actual.ID)
	assert.Equal(w.t, condition(w.eni(), v1alpha1.ConditionReady), "True Ready")
	assert.Assert(w.t, status.Assignment == nil)
}

// assertOnlyAddresses: no call but for addresses named the primary ENI.
func (w *world) assertOnlyAddresses() {
	w.t.Helper()
	for _, action := range w.story() {
		assert.Assert(w.t, action == "AssignPrivateIpAddresses" || action == "UnassignPrivateIpAddresses", action)
	}
}

func TestPrimary(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	foreign := w.assignForeign("2")
	w.restart()
	w.server.ResetCalls()
	w.createPrimary(3)
	w.mustSettle()
	w.assertOurs(3, foreign)
	assert.Equal(t, w.eni().Status.Attachment.DeviceIndex, int32(0))
	assert.Assert(t, w.eni().Status.MACAddress != "" && w.eni().Status.SubnetCIDR != "")
	assert.Equal(t, w.calls("DescribeNetworkInterfaces"), 1, "reads of ENIs: what the subnet's have")

	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Spec.AddressCount = 1
		eni.Spec.Release = []v1alpha1.AddressOrPrefix{
			v1alpha1.AddressOrPrefix(eni.Status.Addresses[0]), v1alpha1.AddressOrPrefix(eni.Status.Addresses[2]),
			v1alpha1.AddressOrPrefix(foreign[0]), // not ours to release
		}
	})
	w.mustSettle()
	w.assertOurs(1, foreign)

	w.delete()
	w.mustSettle()
	assert.Assert(t, !w.exists())
	assert.DeepEqual(t, w.primary().Addresses, foreign)
	w.assertOnlyAddresses()
}

// TestPrimaryWithPrefixes fills the primary ENI with prefixes.
func TestPrimaryWithPrefixes(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{
		DeviceIndex: ptr.To[int32](0), Mode: v1alpha1.ModeShared, InstanceID: w.instance, PrefixCount: 2,
	})
	w.mustSettle()
	assert.DeepEqual(t, stringsOf(w.eni().Status.Prefixes), w.primary().Prefixes)
	assert.Equal(t, w.eni().Status.AddressCount, int32(32))
	w.delete()
	w.mustSettle()
	assert.Equal(t, len(w.primary().Prefixes), 0)
	w.assertOnlyAddresses()
}

// TestOthersOnThePrimary: an answer is lost while somebody else assigns addresses.
func TestOthersOnThePrimary(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.createPrimary(3)
	w.server.AddFault(emulator.Fault{Action: "AssignPrivateIpAddresses", LoseAnswer: true, Count: 1})
	_, err := w.once()
	assert.Assert(t, ec2.Unclear(err))
	foreign := w.assignForeign("1")
	w.mustSettle()
	w.assertOurs(3, foreign)
	assert.Equal(t, w.calls("AssignPrivateIpAddresses"), 2, "one of them somebody else's")
	w.delete()
	w.mustSettle()
	assert.DeepEqual(t, w.primary().Addresses, foreign)
	w.assertOnlyAddresses()
}

// TestForeignAddressesAreNotAdopted: as many as were recorded appear, but the call was
// never made.
func TestForeignAddressesAreNotAdopted(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	_, _, err := w.reconciler.inventory.Instance(t.Context(), w.instance) // known as it was a while ago
	assert.NilError(t, err)
	foreign := w.assignForeign("3")
	w.createPrimary(3)
	w.wire.reset(func(point int) cut {
		if w.wire.points[point] == "AssignPrivateIpAddresses" {
			return before
		}
		return whole
	})
	_, err = w.once()
	assert.Assert(t, err != nil)
	w.wire.reset(nil)
	w.restart()
	w.mustSettle()
	w.assertOurs(3, foreign)
}

// TestAddressesThatOthersTookFirstAreChosenAnew: the subnet was read a moment ago.
func TestAddressesThatOthersTookFirstAreChosenAnew(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.fill(w.subnets[0], 240) // of 250, so that the last ones are chosen
	w.createPrimary(1)
	w.mustSettle()
	w.fill(w.subnets[0], 7)
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.AddressCount = 3 })
	assert.Assert(t, len(w.settle()) > 0, "the first choice is free by chance")
	w.assertOurs(3, nil)
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.AddressCount = 4 })
	_, err := w.once()
	for err == nil { // what is chosen of a full subnet is refused once more, or nothing is
		_, err = w.once()
	}
	_, err = w.once()
	assert.ErrorContains(t, err, "has no free address or prefix")
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False SubnetExhausted")
}

// TestReclaimOnThePrimary: what a claim holds is had back by name, also when the
// answer is lost; what came back by other hands is lost.
func TestReclaimOnThePrimary(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{
		DeviceIndex: ptr.To[int32](0), Mode: v1alpha1.ModeShared, InstanceID: w.instance, AddressCount: 3, PoolName: poolName,
	})
	w.mustSettle()
	held := w.eni().Status.Addresses[0]
	w.take(held)
	w.sweep()
	assert.DeepEqual(t, w.eni().Status.Missing, released(held))
	w.server.AddFault(emulator.Fault{Action: "AssignPrivateIpAddresses", LoseAnswer: true, Count: 1})
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Reclaim = released(held) })
	assert.Equal(t, len(w.settle()), 1)
	assert.Assert(t, slices.Contains(w.eni().Status.Addresses, held))
	w.assertOurs(3, nil)

	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Reclaim = nil })
	w.take(held)
	w.sweep()
	w.ec2("AssignPrivateIpAddresses", "NetworkInterfaceId", w.primary().ID, "PrivateIpAddress.1", string(held))
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Reclaim = released(held) })
	w.sweep()
	assert.DeepEqual(t, w.eni().Status.Lost, released(held))
	assert.Assert(t, !slices.Contains(w.eni().Status.Addresses, held))
}

// TestSweepTellsOfThePrimary: nobody else would.
func TestSweepTellsOfThePrimary(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.createPrimary(3)
	w.mustSettle()
	w.take(w.eni().Status.Addresses[0])
	var told []reconcile.Request
	w.reconciler.inventory.Subscribe(func(c inventory.Change) {
		told = append(told, w.reconciler.resourcesOf(t.Context(), c)...)
	})
	assert.NilError(t, w.reconciler.inventory.Sweep(t.Context()))
	assert.DeepEqual(t, told, []reconcile.Request{{NamespacedName: types.NamespacedName{Name: eniName}}})
}

// TestForeignCountIsKnownFromTheStart, when the first assignment fails.
func TestForeignCountIsKnownFromTheStart(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	foreign := w.assignForeign("2")
	w.restart()
	w.createPrimary(3)
	w.server.AddFault(emulator.Fault{Action: "AssignPrivateIpAddresses", LoseAnswer: true, Count: 1})
	_, err := w.once()
	assert.Assert(t, err != nil)
	assert.Equal(t, int(w.eni().Status.ForeignCount), len(foreign))
}

// TestPrimaryOfAGoneNode: nobody names the instance any more.
func TestPrimaryOfAGoneNode(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{DeviceIndex: ptr.To[int32](0), Mode: v1alpha1.ModeShared, AddressCount: 1})
	w.mustSettle()
	w.ec2("TerminateInstances", "InstanceId.1", w.instance)
	assert.NilError(t, w.kube.Delete(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}))
	w.clock.Step(2 * time.Hour)
	assert.NilError(t, w.reconciler.inventory.Sweep(t.Context()))
	w.clock.Step(time.Hour)
	assert.NilError(t, w.reconciler.inventory.Sweep(t.Context()))
	w.delete()
	w.mustSettle()
	assert.Assert(t, !w.exists())
}

// TestOneResourceForThePrimary: the first one made counts.
func TestOneResourceForThePrimary(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.createPrimary(2)
	w.mustSettle()
	const name = "the-later-one"
	assert.NilError(t, w.kube.Create(t.Context(), &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: "another-uid"},
		Spec: v1alpha1.ElasticNetworkInterfaceSpec{
			NodeName: nodeName, DeviceIndex: ptr.To[int32](0), Mode: v1alpha1.ModeShared, AddressCount: 1, // on the Node's instance
		},
	}))
	calls := w.calls("AssignPrivateIpAddresses")
	_, err := w.reconciler.Reconcile(log.IntoContext(t.Context(), logr.Discard()), reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
	assert.ErrorContains(t, err, eniName+" stands for the primary ENI of this instance already")
	other := &v1alpha1.ElasticNetworkInterface{}
	assert.NilError(t, w.kube.Get(t.Context(), types.NamespacedName{Name: name}, other))
	assert.Equal(t, condition(other, v1alpha1.ConditionReady), "False NoFreeDeviceIndex")
	assert.Equal(t, w.calls("AssignPrivateIpAddresses"), calls)
}

// TestPrimaryOfAGoneInstance goes without a call.
func TestPrimaryOfAGoneInstance(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.createPrimary(2)
	w.mustSettle()
	w.ec2("TerminateInstances", "InstanceId.1", w.instance)
	w.clock.Step(time.Minute)
	_, _, err := w.reconciler.inventory.RefreshInstance(t.Context(), w.instance)
	assert.NilError(t, err)
	w.delete()
	w.mustSettle()
	assert.Assert(t, !w.exists())
	assert.Equal(t, w.calls("UnassignPrivateIpAddresses"), 0)
}

// primaryLife is a life on the primary ENI, beside two addresses of somebody else.
func primaryLife(foreign func() []string) []chapter {
	return []chapter{
		{name: "create", turn: func(w *world) { w.createPrimary(3) }, end: func(w *world) { w.assertOurs(3, foreign()) }},
		{
			name: "grow",
			turn: func(w *world) { w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.AddressCount = 5 }) },
			end:  func(w *world) { w.assertOurs(5, foreign()) },
		},
		{
			name: "shrink",
			turn: func(w *world) {
				name := v1alpha1.AddressOrPrefix(w.eni().Status.Addresses[1])
				w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
					eni.Spec.AddressCount--
					eni.Spec.Release = []v1alpha1.AddressOrPrefix{name}
				})
			},
			end: func(w *world) { w.assertOurs(int(w.eni().Spec.AddressCount), foreign()) },
		},
		{name: "delete", turn: func(w *world) { w.delete() }, end: func(w *world) {
			assert.Assert(w.t, !w.exists())
			assert.DeepEqual(w.t, w.primary().Addresses, foreign())
			w.assertOnlyAddresses()
		}},
	}
}

// TestPrimaryCrashMatrix cuts every call of a life on the primary ENI, while reads
// lag behind.
func TestPrimaryCrashMatrix(t *testing.T) {
	e := newEndpoint(t)
	var foreign []string
	begin := func() *world {
		w := newWorld(t, e, emulator.Options{Stale: emulator.StaleReads{NewAddresses: 20 * time.Second}})
		foreign = w.assignForeign("2")
		w.restart()
		w.wire.reset(nil)
		w.server.ResetCalls()
		return w
	}
	runs := cutEverywhere(t, primaryLife(func() []string { return foreign }), begin)
	assert.Assert(t, runs >= 30, "only %d runs", runs)
}
