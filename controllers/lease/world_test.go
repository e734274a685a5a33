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
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
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
	address  = "10.0.0.9"
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
	// stalled is what the cache shows of the claim while its watch is broken.
	stalled *v1alpha1.ENIClaim
	// beforeUpdate happens right before the controller updates the claim's status.
	beforeUpdate func() error
	made         int
}

// newWorld has a bound claim, which the controller has seen.
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
	w.reconcile()
	return w
}

func (w *world) makeClaim(phase v1alpha1.ClaimPhase) {
	w.t.Helper()
	w.made++
	assert.NilError(w.t, w.Create(w.t.Context(), &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, UID: types.UID(fmt.Sprintf("claim-%d", w.made)),
			Finalizers: []string{v1alpha1.Finalizer}},
		Spec:   v1alpha1.ENIClaimSpec{NodeName: "node", Lease: &v1alpha1.ClaimLease{Duration: metav1.Duration{Duration: duration}}},
		Status: v1alpha1.ENIClaimStatus{Phase: phase, Address: address},
	}))
}

// restart is another process: what the one before counted is gone.
func (w *world) restart() {
	live := interceptor.NewClient(w.WithWatch, interceptor.Funcs{Get: w.getLive})
	cached := interceptor.NewClient(w.WithWatch, interceptor.Funcs{Get: w.getCached, SubResourceUpdate: w.updateStatus})
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

func (w *world) getCached(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, o ...client.GetOption) error {
	if claim, ok := object.(*v1alpha1.ENIClaim); ok && w.stalled != nil {
		w.stalled.DeepCopyInto(claim)
		return nil
	}
	return c.Get(ctx, key, object, o...)
}

func (w *world) updateStatus(ctx context.Context, c client.Client, name string, object client.Object, o ...client.SubResourceUpdateOption) error {
	if w.down {
		return errOutOfReach
	}
	if err := w.beforeUpdate(); err != nil {
		return err
	}
	return c.SubResource(name).Update(ctx, object, o...)
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

// renew is what a holder does.
func (w *world) renew() { w.t.Helper(); w.renewAt(w.clock.Now()) }

func (w *world) renewAt(at time.Time) {
	w.t.Helper()
	w.changeClaim(func(claim *v1alpha1.ENIClaim) { now := metav1.NewTime(at); claim.Spec.Lease.RenewTime = &now })
}

// held fails unless the claim keeps what it holds; expired, unless its lease ran out.
func (w *world) held() {
	w.t.Helper()
	status := w.claim().Status
	assert.Assert(w.t, status.Phase == v1alpha1.ClaimBound && status.Address == address, "after %s: %+v", w.clock.Since(start), status)
}

func (w *world) expired() {
	w.t.Helper()
	status := w.claim().Status
	assert.Assert(w.t, status.Phase == v1alpha1.ClaimExpired && status.Address == "", "after %s: %+v", w.clock.Since(start), status)
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	assert.Assert(w.t, ready != nil && ready.Status == metav1.ConditionFalse && ready.Reason == v1alpha1.ReasonExpired)
}

// expiresAfter says that a new count began now: the lease runs out after its duration and
// the grace, and no earlier.
func (w *world) expiresAfter(d time.Duration) {
	w.t.Helper()
	w.reconcile()
	w.pass(d - time.Second)
	w.held()
	w.pass(time.Second)
	w.expired()
}
