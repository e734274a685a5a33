/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/events/eventstest"
)

// leasedClaim is a bound claim with a lease.
func leasedClaim() *v1alpha1.ENIClaim {
	claim := newFixture().claim("web-0", time.Hour, boundTo(1, "10.0.1.1")).claims[0]
	claim.Spec.Lease = &v1alpha1.ClaimLease{Duration: metav1.Duration{Duration: time.Minute}}
	return &claim
}

// leaseSaying is the claim's Lease, which ran out for the claim of a UID.
func leaseSaying(uid string) *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "eniclaim-web-0", Annotations: map[string]string{v1alpha1.LeaseExpiredAnnotation: uid},
		OwnerReferences: []metav1.OwnerReference{{Kind: "ENIClaim", Name: "web-0", UID: "web-0", Controller: ptr.To(true)}},
	}}
}

// withLeases is a reconciler on a Kubernetes that has these objects.
func withLeases(t *testing.T, objects ...client.Object) (*Reconciler, *events.FakeRecorder) {
	t.Helper()
	scheme := runtime.NewScheme()
	assert.NilError(t, v1alpha1.AddToScheme(scheme))
	assert.NilError(t, coordinationv1.AddToScheme(scheme))
	recorder := events.NewFakeRecorder(5)
	cluster := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.ENIClaim{}).WithObjects(objects...).Build()
	return &Reconciler{client: cluster, live: cluster, events: eventstest.Recorder(recorder)}, recorder
}

func TestObserveLease(t *testing.T) {
	for _, row := range []struct {
		name  string
		claim func(*v1alpha1.ENIClaim)
		lease []client.Object
		want  bool
	}{
		{"ran out", nil, []client.Object{leaseSaying("web-0")}, true},
		{"ran out for an earlier claim of the name", nil, []client.Object{leaseSaying("another")}, false},
		{"has not run out", nil, []client.Object{leaseSaying("")}, false},
		{"is not there", nil, nil, false},
		{"taken off the claim", func(claim *v1alpha1.ENIClaim) { claim.Spec.Lease = nil }, []client.Object{leaseSaying("web-0")}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, _ := withLeases(t, row.lease...)
			claim := leasedClaim()
			if row.claim != nil {
				row.claim(claim)
			}
			o := observation{expired: map[string]bool{}}
			assert.NilError(t, r.observeLease(t.Context(), claim, &o))
			assert.Equal(t, o.expired["web-0"], row.want)
		})
	}
}

func TestExpireClaim(t *testing.T) {
	r, recorder := withLeases(t, leasedClaim())
	claim := &v1alpha1.ENIClaim{}
	assert.NilError(t, r.client.Get(t.Context(), client.ObjectKeyFromObject(leasedClaim()), claim))
	old := claim.DeepCopy()
	assert.NilError(t, r.expireClaim(t.Context(), claim))
	stored := &v1alpha1.ENIClaim{}
	assert.NilError(t, r.client.Get(t.Context(), client.ObjectKeyFromObject(claim), stored))
	assert.Equal(t, stored.Status.Phase, v1alpha1.ClaimExpired)
	assert.Equal(t, stored.Status.Address, "")
	assert.Equal(t, <-recorder.Events, "Warning Expired The lease was not renewed in time: 10.0.1.1 goes back to the pool")

	// By an older copy nothing is written, nor told.
	assert.Assert(t, apierrors.IsConflict(r.expireClaim(t.Context(), old)))
	assert.Equal(t, len(recorder.Events), 0)
}

func TestNodeOfLease(t *testing.T) {
	r, _ := withLeases(t, leasedClaim())
	assert.DeepEqual(t, r.nodeOfLease(t.Context(), leaseSaying("web-0")), named(nodeName))
	orphan := leaseSaying("web-0")
	orphan.OwnerReferences = nil
	assert.Equal(t, len(r.nodeOfLease(t.Context(), orphan)), 0)
	assert.Assert(t, ranOut().Generic(event.GenericEvent{Object: leaseSaying("web-0")}))
	assert.Assert(t, !ranOut().Generic(event.GenericEvent{Object: leaseSaying("")}))
}
