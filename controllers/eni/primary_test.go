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

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
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
	assert.Equal(t, w.calls("DescribeNetworkInterfaces"), 0, "reads of ENIs")

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

// TestOthersOnThePrimary: addresses that appear while an answer is open are taken
// for the operator's only if they are exactly as many as were asked for.
func TestOthersOnThePrimary(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.createPrimary(3)
	w.server.AddFault(emulator.Fault{Action: "AssignPrivateIpAddresses", LoseAnswer: true, Count: 1})
	_, err := w.once()
	assert.Assert(t, ec2.Unclear(err))
	foreign := w.assignForeign("1")
	w.mustSettle()
	status := w.eni().Status
	assert.Equal(t, len(status.Addresses), 3)
	assert.Assert(t, !slices.Contains(stringsOf(status.Addresses), foreign[0]))
	assert.Equal(t, status.ForeignCount, int32(4), "those that nobody can tell apart are left alone")
	w.delete()
	w.mustSettle()
	assert.Assert(t, slices.Contains(w.primary().Addresses, foreign[0]))
	w.assertOnlyAddresses()
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
			NodeName: nodeName, InstanceID: w.instance, DeviceIndex: ptr.To[int32](0), Mode: v1alpha1.ModeShared, AddressCount: 1,
		},
	}))
	calls := w.calls("AssignPrivateIpAddresses")
	_, err := w.reconciler.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
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
