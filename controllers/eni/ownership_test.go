/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestAStatusThatNamesAnENIOfOthers, as one from another cluster's backup does, changes
// nothing in EC2, nor does the deletion of its resource.
func TestAStatusThatNamesAnENIOfOthers(t *testing.T) {
	for name, tags := range map[string]map[string]string{
		"of another cluster": theirTags(),
		"without tags":       nil,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, newEndpoint(t), emulator.Options{})
			foreign := w.foreignENI(tags)
			w.create(v1alpha1.ElasticNetworkInterfaceSpec{Mode: v1alpha1.ModeShared, AddressCount: 3})
			w.nameENI(foreign)
			w.server.ResetCalls()

			for range 5 {
				_, _ = w.once()
			}
			assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False NotOwned")
			w.delete()
			for range 5 {
				_, _ = w.once()
			}
			assert.Equal(t, len(w.story()), 0, "%v", w.story())
		})
	}
}

// TestAStatusThatNamesAnotherENIIsPutRight: EC2 has the resource's own, which its tags
// name.
func TestAStatusThatNamesAnotherENIIsPutRight(t *testing.T) {
	for name, disguise := range map[string]func(w *world) string{
		"of another cluster": func(w *world) string { return w.foreignENI(theirTags()) },
		"that is gone":       func(*world) string { return "eni-00000000000000001" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, newEndpoint(t), emulator.Options{})
			w.create(v1alpha1.ElasticNetworkInterfaceSpec{Mode: v1alpha1.ModeShared, AddressCount: 3})
			w.mustSettle()
			own := w.eni().Status.NetworkInterfaceID
			w.nameENI(disguise(w))
			w.clock.Step(10 * time.Minute)
			w.server.ResetCalls()
			w.mustSettle()
			assert.Equal(t, w.eni().Status.NetworkInterfaceID, own)
			assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "True Ready")
			assert.Equal(t, len(w.story()), 0, "%v", w.story())

			w.nameENI(disguise(w))
			w.delete()
			w.mustSettle()
			assert.Assert(t, !w.exists())
			assert.Equal(t, len(w.owned()), 0, "its own ENI is left behind")
		})
	}
}

// TestAnENIThatIsRetagged to another cluster is not ready any more, until its tags are
// corrected; it is left alone in EC2.
func TestAnENIThatIsRetagged(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{Mode: v1alpha1.ModeShared, AddressCount: 3})
	w.mustSettle()
	addresses := w.eni().Status.Addresses
	look := func(owner string) {
		w.ec2("CreateTags", "ResourceId.1", w.eni().Status.NetworkInterfaceID, "Tag.1.Key", ec2.TagClusterUID, "Tag.1.Value", owner)
		w.clock.Step(10 * time.Minute)
		assert.NilError(t, w.reconciler.inventory.Sweep(t.Context()))
		for range 3 {
			_, err := w.once()
			assert.NilError(t, err)
		}
	}
	w.server.ResetCalls()

	look("another-cluster")
	for _, kind := range []string{v1alpha1.ConditionCreated, v1alpha1.ConditionAttached, v1alpha1.ConditionReady} {
		assert.Equal(t, condition(w.eni(), kind), "False NotOwned", kind)
	}
	assert.DeepEqual(t, w.eni().Status.Addresses, addresses)
	look(clusterUID)
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "True Ready")
	assert.DeepEqual(t, w.story(), []string{"CreateTags", "CreateTags"}) // The test's own.
}

// TestAnENIThatWasGivenAway is left alone, and its status does not say that it has what
// somebody took from it since.
func TestAnENIThatWasGivenAway(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3, PoolName: poolName, InstanceID: w.instance})
	w.mustSettle()
	before := w.eni().Status
	w.clock.Step(time.Minute)
	w.ec2("CreateTags", "ResourceId.1", before.NetworkInterfaceID, "Tag.1.Key", ec2.TagClusterUID, "Tag.1.Value", "another-cluster")
	sweep := func() {
		w.clock.Step(10 * time.Minute)
		w.server.ResetCalls()
		assert.NilError(t, w.reconciler.inventory.Sweep(t.Context()))
		for range 5 {
			_, _ = w.once()
		}
		assert.Equal(t, len(w.story()), 0, "%v", w.story())
		assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False NotOwned")
	}
	sweep()
	assert.DeepEqual(t, w.eni().Status.Attachment, before.Attachment)
	assert.DeepEqual(t, w.eni().Status.Addresses, before.Addresses)

	w.take(before.Addresses[0])
	w.ec2("AssignPrivateIpAddresses", "NetworkInterfaceId", before.NetworkInterfaceID, "SecondaryPrivateIpAddressCount", "2")
	sweep()
	assert.DeepEqual(t, w.eni().Status.Missing, released(before.Addresses[0]))
	assert.DeepEqual(t, w.eni().Status.Addresses, before.Addresses[1:])

	w.ec2("DetachNetworkInterface", "AttachmentId", before.Attachment.ID)
	sweep()
	assert.Assert(t, w.eni().Status.Attachment == nil)
}

// TestNothingIsLeftBehind by a resource whose status names an ENI that is gone, though
// this process has not seen the resource's own.
func TestNothingIsLeftBehind(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{Mode: v1alpha1.ModeShared, AddressCount: 3})
	w.mustSettle()
	own := w.eni().Status.NetworkInterfaceID
	w.nameENI("eni-00000000000000001")
	w.clock.Step(time.Hour)
	w.ec2("DeleteTags", "ResourceId.1", own, "Tag.1.Key", ec2.TagClusterUID)
	w.restart() // Its sweep does not find the ENI.
	w.ec2("CreateTags", "ResourceId.1", own, "Tag.1.Key", ec2.TagClusterUID, "Tag.1.Value", clusterUID)
	w.delete()
	w.mustSettle()
	assert.Assert(t, !w.exists())
	assert.Equal(t, len(w.owned()), 0)
}

// TestAResourceGoesWithoutASearch for another ENI of it, unless its status names one that is
// gone without this process, which knows what it deleted itself.
func TestAResourceGoesWithoutASearch(t *testing.T) {
	for _, row := range []struct {
		name     string
		change   func(w *world)
		searches bool
	}{
		{"this process deletes the ENI", func(*world) {}, false},
		{"the ENI is retained", func(w *world) {
			w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain })
		}, false},
		{"the ENI was deleted outside the operator", func(w *world) {
			w.deleteOutside()
			w.clock.Step(10 * time.Minute)
			assert.NilError(t, w.reconciler.inventory.Sweep(t.Context()))
		}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, newEndpoint(t), emulator.Options{})
			w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
			w.mustSettle()
			row.change(w)
			w.delete()
			w.server.ResetCalls()
			w.mustSettle()
			assert.Assert(t, !w.exists())
			searched := slices.ContainsFunc(w.server.Calls(), func(call emulator.Call) bool {
				return call.Params.Get("Filter.2.Name") == "tag:"+ec2.TagUID
			})
			assert.Equal(t, searched, row.searches)
		})
	}
}

// fleet is an EC2 with many ENIs.
type fleet struct {
	ec2.Client
	enis []ec2.NetworkInterface
}

func (f *fleet) Backlog(string) (waiting, underway int) { return 0, 0 }

func (f *fleet) DescribeNetworkInterfaces(context.Context, ...ec2.Filter) ([]ec2.NetworkInterface, error) {
	return f.enis, nil
}

// TestEveryChangeIsEnqueued, however many one sweep finds.
func TestEveryChangeIsEnqueued(t *testing.T) {
	const count = 20000
	api := &fleet{}
	for n := range count {
		name := fmt.Sprintf("eni-of-node-%d", n)
		api.enis = append(api.enis, ec2.NetworkInterface{
			ID: fmt.Sprintf("eni-%d", n), Tags: ec2.Ownership{ClusterUID: clusterUID, Name: name, UID: name}.Tags(nil),
			Attachment: &ec2.Attachment{ID: "a", InstanceID: fmt.Sprintf("i-%d", n), Status: ec2.AttachmentAttached},
		})
	}
	inv := inventory.New(api, inventory.Options{ClusterUID: clusterUID, VisibilityWindow: 30 * time.Second})
	assert.NilError(t, inv.Sweep(t.Context()))

	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	r := &Reconciler{inventory: inv}
	assert.NilError(t, r.changes().Start(t.Context(), queue))
	for n := range api.enis {
		api.enis[n].Attachment = nil
	}
	for range 2 {
		assert.NilError(t, inv.Sweep(t.Context()))
		assert.Equal(t, queue.Len(), count)
	}
}

// TestAStatusKeepsTheENIThatItNames: two ENIs carry the resource's UID, as after a creation
// that was repeated in vain. Claims may use the one that the status names, whichever of the
// two would be adopted first.
func TestAStatusKeepsTheENIThatItNames(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{Mode: v1alpha1.ModeShared, AddressCount: 3})
	w.mustSettle()
	own := w.only()
	twin := w.foreignENI(own.Tags)
	assert.NilError(t, w.reconciler.inventory.Sweep(t.Context()))
	assert.Equal(t, len(w.owned()), 2)

	for _, named := range []string{own.ID, twin} {
		w.nameENI(named)
		o := observation{eni: w.eni()}
		assert.NilError(t, w.reconciler.observeENI(t.Context(), &o, &progress{}))
		assert.Equal(t, o.eni.Status.NetworkInterfaceID, named)
	}
}

// TestAWipedStatusDoesNotBringBackWhatWasGivenAway: EC2 answers the same call again with the
// ENI that it made, and with the tags of the call, whatever the ENI's are by now.
func TestAWipedStatusDoesNotBringBackWhatWasGivenAway(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 2, PoolName: poolName, InstanceID: w.instance})
	eni := w.eni()
	eni.CreationTimestamp = metav1.NewTime(w.clock.Now())
	assert.NilError(t, w.kube.Update(t.Context(), eni))
	w.mustSettle()
	given := w.eni().Status.NetworkInterfaceID
	w.ec2("CreateTags", "ResourceId.1", given, "Tag.1.Key", ec2.TagClusterUID, "Tag.1.Value", "another-cluster", "Tag.2.Key", ec2.TagUID, "Tag.2.Value", "theirs")
	w.clock.Step(10 * time.Minute)
	for range 3 { // Nobody needs it, so that it is forgotten.
		assert.NilError(t, w.reconciler.inventory.Sweep(t.Context()))
		w.clock.Step(10 * time.Minute)
	}
	eni = w.eni()
	eni.Status = v1alpha1.ElasticNetworkInterfaceStatus{}
	assert.NilError(t, w.kube.Status().Update(t.Context(), eni))
	w.server.ResetCalls()
	for _, count := range []int32{2, 4} {
		w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.AddressCount = count })
		for range 5 {
			_, _ = w.once() // Refused or not: EC2's calls count.
			w.clock.Step(time.Second)
		}
	}
	assert.DeepEqual(t, w.story(), []string{"CreateNetworkInterface"})
}
