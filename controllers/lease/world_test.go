/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package lease

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/events/eventstest"
)

const (
	duration = time.Minute
	grace    = 20 * time.Second
)

var (
	start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	key   = types.NamespacedName{Namespace: "shop", Name: "web-0"}

	errOutOfReach = errors.New("kubernetes cannot be reached")
)

// world is a claim with a lease and the controller that keeps it, on a Kubernetes
// that may be out of reach, behind a cache that may be out of date.
type world struct {
	client.WithWatch // Kubernetes as it is
	t                *testing.T
	clock            *clocktesting.FakeClock
	recorder         *events.FakeRecorder
	r                *Reconciler

	// down: Kubernetes cannot be reached.
	down bool
	// stalled is what the cache shows of the Lease while its watch is broken.
	stalled *coordinationv1.Lease
	// hidesClaims: the cache does not show the claim yet.
	hidesClaims bool
	// beforeUpdate happens right before the controller updates a Lease.
	beforeUpdate func() error
	made         int
}

// newWorld has a bound claim and its new Lease.
func newWorld(t *testing.T) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	assert.NilError(t, clientgoscheme.AddToScheme(scheme))
	assert.NilError(t, v1alpha1.AddToScheme(scheme))
	w := &world{t: t, clock: clocktesting.NewFakeClock(start), recorder: events.NewFakeRecorder(10), beforeUpdate: func() error { return nil }}
	w.WithWatch = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.ENIClaim{}).
		WithObjects(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem}}).Build()
	w.makeClaim(v1alpha1.ClaimBound)
	w.restart()
	w.reconcile() // Makes the Lease,
	w.reconcile() // and sees it.
	return w
}

func (w *world) makeClaim(phase v1alpha1.ClaimPhase) {
	w.t.Helper()
	w.made++
	assert.NilError(w.t, w.Create(w.t.Context(), &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, UID: types.UID(fmt.Sprintf("claim-%d", w.made)),
			Finalizers: []string{v1alpha1.Finalizer}},
		Spec:   v1alpha1.ENIClaimSpec{NodeName: "node", Lease: &v1alpha1.ClaimLease{Duration: metav1.Duration{Duration: duration}}},
		Status: v1alpha1.ENIClaimStatus{Phase: phase},
	}))
}

// restart is another process: what the one before counted is gone.
func (w *world) restart() {
	live := interceptor.NewClient(w.WithWatch, interceptor.Funcs{Get: w.getLive})
	cached := interceptor.NewClient(w.WithWatch, interceptor.Funcs{Get: w.getCached, Create: w.create, Update: w.update})
	w.r = &Reconciler{
		client: cached, live: live, events: eventstest.Recorder(w.recorder), clock: w.clock, counts: newCounts(), grace: grace,
		pulse: &pulse{live: live, clock: w.clock, grace: grace},
	}
	w.r.pulse.beat(w.t.Context())
}

func (w *world) getLive(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, o ...client.GetOption) error {
	if w.down {
		return errOutOfReach
	}
	return c.Get(ctx, key, object, o...)
}

// getCached shows the Leases with our label only, as the manager's cache does.
func (w *world) getCached(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, o ...client.GetOption) error {
	if _, isClaim := object.(*v1alpha1.ENIClaim); isClaim && w.hidesClaims {
		return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("eniclaims").GroupResource(), key.Name)
	}
	lease, ok := object.(*coordinationv1.Lease)
	if ok && w.stalled != nil {
		w.stalled.DeepCopyInto(lease)
		return nil
	}
	err := c.Get(ctx, key, object, o...)
	if ok && err == nil && lease.Labels[v1alpha1.LeaseLabel] != "true" {
		return apierrors.NewNotFound(coordinationv1.Resource("leases"), key.Name)
	}
	return err
}

func (w *world) create(ctx context.Context, c client.WithWatch, object client.Object, o ...client.CreateOption) error {
	if w.down {
		return errOutOfReach
	}
	w.made++
	object.SetUID(types.UID(fmt.Sprintf("lease-%d", w.made)))
	return c.Create(ctx, object, o...)
}

func (w *world) update(ctx context.Context, c client.WithWatch, object client.Object, o ...client.UpdateOption) error {
	if w.down {
		return errOutOfReach
	}
	if err := w.beforeUpdate(); err != nil {
		return err
	}
	return c.Update(ctx, object, o...)
}

// pass lets time pass while the process runs, and reconciles whatever is due by the
// last decision.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for d > 0 {
		step := min(d, beatInterval(grace))
		w.clock.Step(step)
		w.r.pulse.beat(w.t.Context())
		d -= step
	}
	_, _ = w.try()
}

func (w *world) try() (ctrl.Result, error) {
	return w.r.Reconcile(w.t.Context(), reconcile.Request{NamespacedName: key})
}

// reconcile fails the test if it fails.
func (w *world) reconcile() ctrl.Result {
	w.t.Helper()
	result, err := w.try()
	assert.NilError(w.t, err)
	return result
}

func (w *world) claim() *v1alpha1.ENIClaim {
	w.t.Helper()
	claim := &v1alpha1.ENIClaim{}
	assert.NilError(w.t, w.Get(w.t.Context(), key, claim))
	return claim
}

func (w *world) changeClaim(how func(*v1alpha1.ENIClaim)) {
	w.t.Helper()
	claim := w.claim()
	how(claim)
	assert.NilError(w.t, w.Update(w.t.Context(), claim))
}

func (w *world) setDuration(d time.Duration) {
	w.t.Helper()
	w.changeClaim(func(claim *v1alpha1.ENIClaim) { claim.Spec.Lease.Duration.Duration = d })
}

func (w *world) lease() *coordinationv1.Lease {
	w.t.Helper()
	lease := &coordinationv1.Lease{}
	assert.NilError(w.t, w.Get(w.t.Context(), types.NamespacedName{Namespace: key.Namespace, Name: "eniclaim-web-0"}, lease))
	return lease
}

func (w *world) changeLease(how func(*coordinationv1.Lease)) {
	w.t.Helper()
	lease := w.lease()
	how(lease)
	assert.NilError(w.t, w.Update(w.t.Context(), lease))
}

// renew is what a holder does.
func (w *world) renew() { w.t.Helper(); w.renewAt(w.clock.Now()) }

func (w *world) renewAt(at time.Time) {
	w.t.Helper()
	w.changeLease(func(lease *coordinationv1.Lease) { now := metav1.NewMicroTime(at); lease.Spec.RenewTime = &now })
}

// held fails unless the Lease has its holder; expired, unless it ran out.
func (w *world) held() {
	w.t.Helper()
	lease := w.lease()
	assert.Assert(w.t, lease.Spec.HolderIdentity != nil && !hasExpired(lease, w.claim()), "after %s: %+v", w.clock.Since(start), lease)
}

func (w *world) expired() {
	w.t.Helper()
	lease := w.lease()
	assert.Assert(w.t, lease.Spec.HolderIdentity == nil && hasExpired(lease, w.claim()), "after %s: %+v", w.clock.Since(start), lease)
}

// expiresAfter says that a new count began now: the Lease runs out after its
// duration and the grace, and no earlier.
func (w *world) expiresAfter(d time.Duration) {
	w.t.Helper()
	w.reconcile()
	w.pass(d - time.Second)
	w.held()
	w.pass(time.Second)
	w.expired()
}
