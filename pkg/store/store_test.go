/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/events"
)

// counting is a Kubernetes with one ENI, and the number of writes to it.
func counting(t *testing.T) (c client.Client, eni *v1alpha1.ElasticNetworkInterface, writes *int) {
	t.Helper()
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(corev1.SchemeGroupVersion, &corev1.Node{})
	assert.NilError(t, v1alpha1.AddToScheme(scheme))
	writes = new(int)
	c = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.ElasticNetworkInterface{}).
		WithObjects(&v1alpha1.ElasticNetworkInterface{
			ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: v1alpha1.ElasticNetworkInterfaceSpec{NodeName: "node"},
		}).
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, options ...client.SubResourceUpdateOption) error {
				*writes++
				return c.SubResource(sub).Update(ctx, o, options...)
			},
			Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
				*writes++
				return c.Update(ctx, o, options...)
			},
			Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
				*writes++
				return c.Patch(ctx, o, p, options...)
			},
		}).Build()
	return c, get(t, c), writes
}

func get(t *testing.T, c client.Client) *v1alpha1.ElasticNetworkInterface {
	t.Helper()
	eni := &v1alpha1.ElasticNetworkInterface{}
	assert.NilError(t, c.Get(t.Context(), client.ObjectKey{Name: "a"}, eni))
	return eni
}

// counted is the number of conflicts of a controller, as a scrape shows it.
func counted(t *testing.T, controller string) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	assert.NilError(t, err)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == "eni_operator_kubernetes_conflicts_total" && metric.GetLabel()[0].GetValue() == controller {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestUpdateStatusWritesOnlyDifferences(t *testing.T) {
	c, before, writes := counting(t)
	after := before.DeepCopy()
	after.Status.Addresses = []v1alpha1.Address{} // as good as none
	wrote, err := UpdateStatus(t.Context(), c, events.Discard, before, after)
	assert.NilError(t, err)
	assert.Assert(t, !wrote && *writes == 0)

	after.Status.State = v1alpha1.ENIAttached
	wrote, err = UpdateStatus(t.Context(), c, events.Discard, before, after)
	assert.NilError(t, err)
	assert.Assert(t, wrote && *writes == 1)
	assert.Equal(t, get(t, c).Status.State, v1alpha1.ENIAttached)
	assert.Assert(t, after.ResourceVersion != before.ResourceVersion, "the next write builds on this one")

	same := after.DeepCopy()
	wrote, err = UpdateStatus(t.Context(), c, events.Discard, after, same)
	assert.Assert(t, err == nil && !wrote && *writes == 1)
}

func TestUpdateWritesOnlyDifferences(t *testing.T) {
	c, before, writes := counting(t)
	after := before.DeepCopy()
	wrote, err := Update(t.Context(), c, before, after)
	assert.Assert(t, err == nil && !wrote && *writes == 0)
	after.Spec.AddressCount = 3
	wrote, err = Update(t.Context(), c, before, after)
	assert.Assert(t, err == nil && wrote && *writes == 1)
	assert.Equal(t, get(t, c).Spec.AddressCount, int32(3))
}

// TestConflictsLoseNothing: a write that does not build on the last one is refused,
// counted and comes back.
func TestConflictsLoseNothing(t *testing.T) {
	c, first, _ := counting(t)
	second := get(t, c)
	update := func(eni *v1alpha1.ElasticNetworkInterface, id string) error {
		before := eni.DeepCopy()
		eni.Status.NetworkInterfaceID = id
		_, err := UpdateStatus(t.Context(), c, events.Discard, before, eni)
		return err
	}
	assert.NilError(t, update(first, "eni-1"))
	err := update(second, "eni-2")
	assert.Assert(t, apierrors.IsConflict(err))
	assert.Equal(t, get(t, c).Status.NetworkInterfaceID, "eni-1")

	before := counted(t, "test")
	result, err := new(Conflicts).Settle(t.Context(), "test", reconcile.Request{}, ctrl.Result{}, err)
	assert.NilError(t, err)
	assert.Assert(t, result.RequeueAfter > 0)
	assert.Equal(t, counted(t, "test"), before+1)
}

// TestConflictsInARowComeLater: each object by itself, and only until one is written.
func TestConflictsInARowComeLater(t *testing.T) {
	var c Conflicts
	conflict := apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("x").GroupResource(), "a", errors.New("stale"))
	request := func(name string) reconcile.Request {
		return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
	}
	delay := func(name string) time.Duration {
		result, err := c.Settle(t.Context(), "test", request(name), ctrl.Result{}, conflict)
		assert.NilError(t, err)
		return result.RequeueAfter
	}
	least := conflictBackoff.Duration
	for range 3 * conflictBackoff.Steps {
		got := delay("a")
		assert.Assert(t, got >= least && got <= 2*least, "%s, at least %s", got, least)
		least = min(2*least, conflictBackoff.Duration<<conflictBackoff.Steps)
	}
	assert.Assert(t, delay("b") <= 2*conflictBackoff.Duration)
	_, err := c.Settle(t.Context(), "test", request("a"), ctrl.Result{}, nil)
	assert.NilError(t, err)
	assert.Assert(t, delay("a") <= 2*conflictBackoff.Duration)
	_, _ = c.Settle(t.Context(), "test", request("a"), ctrl.Result{}, nil)
	_, _ = c.Settle(t.Context(), "test", request("b"), ctrl.Result{}, errors.New("something else"))
	assert.Equal(t, len(c.backoffs), 0)
}

// TestStoppingIsNoFailure: hundreds of workers end at once, and none has failed.
func TestStoppingIsNoFailure(t *testing.T) {
	before := counted(t, "other")
	result, err := new(Conflicts).Settle(t.Context(), "other", reconcile.Request{}, ctrl.Result{}, fmt.Errorf("waiting for EC2: %w", context.Canceled))
	assert.NilError(t, err)
	assert.Assert(t, result.RequeueAfter > 0)
	assert.Equal(t, counted(t, "other"), before)
}

func TestSettleLeavesTheRest(t *testing.T) {
	before := counted(t, "other")
	want := ctrl.Result{RequeueAfter: 7}
	failure := errors.New("something else")
	for _, err := range []error{nil, failure, apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("x").GroupResource(), "a")} {
		result, got := new(Conflicts).Settle(t.Context(), "other", reconcile.Request{}, want, err)
		assert.Assert(t, result == want && errors.Is(got, err))
	}
	assert.Equal(t, counted(t, "other"), before)
}

func TestFinalizer(t *testing.T) {
	c, eni, writes := counting(t)
	stale := eni.DeepCopy()
	added, err := AddFinalizer(t.Context(), c, eni)
	assert.Assert(t, err == nil && added)
	assert.DeepEqual(t, get(t, c).Finalizers, []string{v1alpha1.Finalizer})
	added, err = AddFinalizer(t.Context(), c, eni)
	assert.Assert(t, err == nil && !added && *writes == 1)

	// Somebody else's finalizer came meanwhile: ours is not put in its place.
	_, err = AddFinalizer(t.Context(), c, stale)
	assert.Assert(t, apierrors.IsConflict(err))

	assert.NilError(t, RemoveFinalizer(t.Context(), c, events.Discard, eni))
	assert.Equal(t, len(get(t, c).Finalizers), 0)
	was := *writes
	assert.NilError(t, RemoveFinalizer(t.Context(), c, events.Discard, eni))
	assert.Equal(t, *writes, was)

	gone := get(t, c)
	gone.Finalizers = []string{v1alpha1.Finalizer}
	assert.NilError(t, c.Delete(t.Context(), get(t, c)))
	assert.NilError(t, RemoveFinalizer(t.Context(), c, events.Discard, gone), "gone already is gone")
}
