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
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// restoredUID is what the resource has after it was made again.
const restoredUID = types.UID("6f2d8a10-91c3-4a4e-8c55-0d7b6f1e2c33")

// tearAndRestore deletes the resource without its finalizer, and makes it again with a new
// UID and a status.
func (w *world) tearAndRestore(status v1alpha1.ElasticNetworkInterfaceStatus) {
	w.t.Helper()
	torn := w.eni()
	torn.Finalizers = nil
	assert.NilError(w.t, w.kube.Update(context.Background(), torn))
	assert.NilError(w.t, w.kube.Delete(context.Background(), torn))
	restored := &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: eniName, UID: restoredUID, Generation: 1}, Spec: torn.Spec,
	}
	assert.NilError(w.t, w.kube.Create(context.Background(), restored))
	restored.Status = status
	assert.NilError(w.t, w.kube.Status().Update(context.Background(), restored))
}

// torn returns a world in which a settled resource has an ENI, and its status of then.
func torn(t *testing.T) (w *world, before v1alpha1.ElasticNetworkInterfaceStatus) {
	w = newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3, PoolName: poolName, InstanceID: w.instance})
	w.mustSettle()
	return w, w.eni().Status
}

// TestAResourceThatIsRestored takes over the ENI that was made for the earlier resource of
// its name, whatever status it is restored with.
func TestAResourceThatIsRestored(t *testing.T) {
	for name, status := range map[string]func(v1alpha1.ElasticNetworkInterfaceStatus) v1alpha1.ElasticNetworkInterfaceStatus{
		"with its status": func(s v1alpha1.ElasticNetworkInterfaceStatus) v1alpha1.ElasticNetworkInterfaceStatus { return s },
		"without status": func(v1alpha1.ElasticNetworkInterfaceStatus) v1alpha1.ElasticNetworkInterfaceStatus {
			return v1alpha1.ElasticNetworkInterfaceStatus{}
		},
		"with the record of its creation alone": func(s v1alpha1.ElasticNetworkInterfaceStatus) v1alpha1.ElasticNetworkInterfaceStatus {
			return v1alpha1.ElasticNetworkInterfaceStatus{Creation: s.Creation}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, before := torn(t)
			w.clock.Step(10 * time.Minute)
			w.tearAndRestore(status(before))
			w.server.ResetCalls()
			w.mustSettle()
			after := w.eni().Status
			assert.Equal(t, after.NetworkInterfaceID, before.NetworkInterfaceID)
			assert.DeepEqual(t, after.Addresses, before.Addresses)
			assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "True Ready")
			assert.DeepEqual(t, w.story(), []string{"CreateTags"})

			w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Drained = true })
			w.delete()
			w.mustSettle()
			assert.Assert(t, !w.exists())
			assert.Equal(t, len(w.owned()), 0)
		})
	}
}

// TestATakeoverIsTriedAgain after a call of which the outcome is unclear: no other ENI is
// created meanwhile.
func TestATakeoverIsTriedAgain(t *testing.T) {
	for name, fault := range map[string]emulator.Fault{
		"the answer is lost": {LoseAnswer: true},
		"the call is lost":   {Discard: true},
		"EC2 fails":          {Code: "InternalError", Status: 500},
	} {
		t.Run(name, func(t *testing.T) {
			w, before := torn(t)
			w.clock.Step(10 * time.Minute)
			w.tearAndRestore(v1alpha1.ElasticNetworkInterfaceStatus{})
			fault.Action, fault.Count = "CreateTags", 1
			w.server.AddFault(fault)
			_, err := w.once()
			assert.Assert(t, err != nil)
			w.server.ResetCalls()
			w.mustSettle()
			assert.Equal(t, w.eni().Status.NetworkInterfaceID, before.NetworkInterfaceID)
			assert.Assert(t, !slices.Contains(w.story(), "CreateNetworkInterface"), "%v", w.story())
		})
	}
}

// TestAnENIThatEC2DoesNotShowIsNotTakenOver, and none is created in its place.
func TestAnENIThatEC2DoesNotShowIsNotTakenOver(t *testing.T) {
	w, before := torn(t)
	hiding := &hidingENIs{Client: w.api}
	w.api = hiding
	w.restart()
	w.clock.Step(10 * time.Minute)
	w.tearAndRestore(v1alpha1.ElasticNetworkInterfaceStatus{})
	w.server.AddFault(emulator.Fault{Action: "CreateTags", Code: "InternalError", Status: 500, Count: 1})
	_, err := w.once()
	assert.Assert(t, err != nil)
	hiding.on = true
	w.server.ResetCalls()
	_, err = w.once()
	assert.ErrorContains(t, err, "does not say that it is gone")
	assert.Equal(t, len(w.story()), 0)

	hiding.on = false
	w.mustSettle()
	assert.Equal(t, w.eni().Status.NetworkInterfaceID, before.NetworkInterfaceID)
}

// hidingENIs is an EC2 that shows no ENI while it is on.
type hidingENIs struct {
	ec2.Client
	on bool
}

func (h *hidingENIs) DescribeNetworkInterfaces(ctx context.Context, filters ...ec2.Filter) ([]ec2.NetworkInterface, error) {
	if h.on {
		return nil, nil
	}
	return h.Client.DescribeNetworkInterfaces(ctx, filters...)
}

// TestNoENIIsTakenOver that was not made for a resource of this name in this cluster, or
// that is to stay when its resource goes.
func TestNoENIIsTakenOver(t *testing.T) {
	for _, row := range []struct{ name, key, value string }{
		{"of another cluster", ec2.TagClusterUID, "another-cluster"},
		{"of another name", ec2.TagName, "node-b-eth1"},
		{"retained", ec2.TagDeletionPolicy, string(v1alpha1.DeletionPolicyRetain)},
		{"retained, in a person's words", ec2.TagDeletionPolicy, "retain"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, before := torn(t)
			w.tearAndRestore(v1alpha1.ElasticNetworkInterfaceStatus{})
			w.ec2("CreateTags", "ResourceId.1", before.NetworkInterfaceID, "Tag.1.Key", row.key, "Tag.1.Value", row.value)
			w.clock.Step(10 * time.Minute)
			assert.NilError(t, w.reconciler.inventory.Sweep(t.Context()))
			w.mustSettle()
			assert.Assert(t, w.eni().Status.NetworkInterfaceID != before.NetworkInterfaceID)
		})
	}
}

// TestAStaleCopyTakesNothingOver: the cache still shows the earlier resource, and the ENI
// is the later one's already.
func TestAStaleCopyTakesNothingOver(t *testing.T) {
	w, before := torn(t)
	stale := w.eni()
	w.tearAndRestore(before)
	w.mustSettle()
	w.clock.Step(10 * time.Minute)
	w.reconciler.client = &showing{Client: w.kube, eni: stale}
	w.server.ResetCalls()
	for range 5 {
		_, _ = w.once()
	}
	assert.Equal(t, len(w.story()), 0, "%v", w.story())
}

// showing is a cache that shows one version of an ENI resource.
type showing struct {
	client.Client
	eni *v1alpha1.ElasticNetworkInterface
}

func (s *showing) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	if eni, ok := into.(*v1alpha1.ElasticNetworkInterface); ok && key.Name == s.eni.Name {
		s.eni.DeepCopyInto(eni)
		return nil
	}
	return s.Client.Get(ctx, key, into, options...)
}
