/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package lease

import (
	"errors"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

func TestNotRenewed(t *testing.T) {
	w := newWorld(t)
	w.expiresAfter(duration + grace)
	t.Run("and it stays so, whatever the holder writes", func(*testing.T) {
		w.renew()
		w.pass(time.Minute)
		w.expired()
	})
}

func TestLooksAgainWhenItRunsOut(t *testing.T) {
	w := newWorld(t)
	assert.Equal(t, w.reconcile().RequeueAfter, duration+grace)
	w.pass(30 * time.Second)
	assert.Equal(t, w.reconcile().RequeueAfter, duration+grace-30*time.Second)
}

func TestRenewedInTime(t *testing.T) {
	w := newWorld(t)
	for range 20 {
		w.pass(duration + grace - time.Second)
		w.renew()
		w.reconcile()
		w.held()
	}
	w.expiresAfter(duration + grace)
}

// TestRenewTimeIsNoTime: a renewal is a change, whatever time it names.
func TestRenewTimeIsNoTime(t *testing.T) {
	for name, at := range map[string]time.Time{
		"long ago": start.Add(-10 * 365 * 24 * time.Hour), "far ahead": start.Add(10 * 365 * 24 * time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.pass(duration)
			w.renewAt(at)
			w.expiresAfter(duration + grace)
		})
	}
}

func TestOnlyABoundClaimCounts(t *testing.T) {
	w := newWorld(t)
	phase := func(phase v1alpha1.ClaimPhase) {
		claim := w.claim()
		claim.Status.Phase = phase
		assert.NilError(t, w.Status().Update(t.Context(), claim))
	}
	phase(v1alpha1.ClaimPending)
	w.pass(time.Hour)
	assert.Equal(t, w.claim().Status.Phase, v1alpha1.ClaimPending)
	phase(v1alpha1.ClaimBound)
	w.expiresAfter(duration + grace)
}

func TestRestartBeginsAnew(t *testing.T) {
	w := newWorld(t)
	w.pass(duration + grace - time.Second)
	w.restart()
	w.expiresAfter(duration + grace)
}

func TestDurationChanged(t *testing.T) {
	for name, d := range map[string]time.Duration{"longer": 10 * time.Minute, "shorter": 1500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.pass(duration + grace - time.Second)
			w.setDuration(d)
			w.reconcile()
			w.pass(d + grace - time.Second)
			w.held()
			w.pass(time.Second)
			w.expired()
		})
	}
}

// TestConflictIsARenewal: the holder renews between the look and the write.
func TestConflictIsARenewal(t *testing.T) {
	w := newWorld(t)
	w.pass(duration + grace - time.Second)
	w.clock.Step(time.Second)
	w.beforeUpdate = func() error { w.renew(); return nil }
	result, err := w.try()
	assert.NilError(t, err) // A conflict is no error, but a reason to look again.
	assert.Assert(t, result.RequeueAfter > 0)
	w.held()
	w.beforeUpdate = func() error { return nil }
	w.expiresAfter(duration + grace)
}

func TestFailedUpdateBeginsAnew(t *testing.T) {
	w := newWorld(t)
	w.pass(duration + grace - time.Second)
	w.clock.Step(time.Second)
	full := errors.New("etcd takes no writes")
	w.beforeUpdate = func() error { return full }
	_, err := w.try()
	assert.ErrorIs(t, err, full)
	w.beforeUpdate = func() error { return nil }
	w.expiresAfter(duration + grace)
}

// TestBrokenWatch: the cache shows nothing of the renewals.
func TestBrokenWatch(t *testing.T) {
	w := newWorld(t)
	w.stalled = w.claim()
	for range 5 {
		w.pass(duration / 2)
		w.renew()
		w.pass(duration / 2)
		w.held()
	}
	w.stalled = nil
	w.expiresAfter(duration + grace)
}

func TestOutage(t *testing.T) {
	t.Run("longer than the grace: counts begin anew", func(t *testing.T) {
		for _, before := range []time.Duration{0, duration, duration + grace - time.Second} {
			w := newWorld(t)
			w.pass(before)
			w.down = true
			w.pass(time.Hour)
			w.down = false
			w.reconcile() // Before anything else told that Kubernetes is back.
			w.held()
			w.r.pulse.beat(t.Context())
			w.expiresAfter(duration + grace)
		}
	})
	t.Run("shorter: it is what the grace is for", func(t *testing.T) {
		w := newWorld(t)
		w.pass(duration)
		w.down = true
		w.pass(grace - time.Second)
		w.down = false
		w.held()
		w.pass(time.Second)
		w.expired()
	})
	t.Run("it begins right before the lease runs out", func(t *testing.T) {
		w := newWorld(t)
		w.pass(duration + grace - time.Second)
		w.down = true
		w.clock.Step(time.Second)
		_, err := w.try()
		assert.ErrorIs(t, err, errOutOfReach)
		w.pass(time.Minute)
		w.down = false
		w.r.pulse.beat(t.Context())
		w.expiresAfter(duration + grace)
	})
}

// TestStopped: a process that was stopped saw nothing meanwhile.
func TestStopped(t *testing.T) {
	w := newWorld(t)
	w.clock.Step(time.Hour)
	w.reconcile()
	w.held()
	w.r.pulse.beat(t.Context())
	w.expiresAfter(duration + grace)
}

func TestNothingExpiresBeforeTheFirstBeat(t *testing.T) {
	w := newWorld(t)
	w.r.pulse = &pulse{live: w.r.live, clock: w.clock, grace: grace}
	w.clock.Step(time.Hour)
	w.reconcile()
	w.held()
}

func TestClaimDeletedWhileItExpires(t *testing.T) {
	t.Run("before it is looked at", func(t *testing.T) {
		w := newWorld(t)
		w.pass(duration)
		assert.NilError(t, w.Delete(t.Context(), w.claim()))
		w.pass(time.Hour)
		w.held()
	})
	t.Run("while the cache does not show it", func(t *testing.T) {
		w := newWorld(t)
		w.pass(duration + grace - time.Second)
		cached := w.claim()
		assert.NilError(t, w.Delete(t.Context(), w.claim()))
		w.r.observe(cached)
		assert.Assert(t, apierrors.IsConflict(w.r.expire(t.Context(), cached)))
		w.held()
	})
	t.Run("and gone", func(t *testing.T) {
		w := newWorld(t)
		cached := w.claim()
		w.changeClaim(func(claim *v1alpha1.ENIClaim) { claim.Finalizers = nil })
		assert.NilError(t, w.Delete(t.Context(), w.claim()))
		assert.NilError(t, w.r.expire(t.Context(), cached))
		w.reconcile()
		assert.Equal(t, len(w.r.counts.byClaim), 0)
	})
}

// TestAnotherClaimOfTheName begins a new count: it is not the claim that was not renewed.
func TestAnotherClaimOfTheName(t *testing.T) {
	w := newWorld(t)
	w.pass(duration + grace - time.Second)
	w.changeClaim(func(claim *v1alpha1.ENIClaim) { claim.Finalizers = nil })
	assert.NilError(t, w.Delete(t.Context(), w.claim()))
	w.makeClaim(v1alpha1.ClaimBound)
	w.expiresAfter(duration + grace)
}

func TestLeaseTakenOffAClaim(t *testing.T) {
	w := newWorld(t)
	w.pass(duration + grace - time.Second)
	w.changeClaim(func(claim *v1alpha1.ENIClaim) { claim.Spec.Lease = nil })
	w.pass(time.Hour)
	w.held()
	w.changeClaim(func(claim *v1alpha1.ENIClaim) {
		claim.Spec.Lease = &v1alpha1.ClaimLease{Duration: metav1.Duration{Duration: duration}}
	})
	w.expiresAfter(duration + grace)
}

// TestAtRestNothingIsWritten: looking for no reason finds nothing to do.
func TestAtRestNothingIsWritten(t *testing.T) {
	w := newWorld(t)
	w.beforeUpdate = func() error { t.Error("an update"); return nil }
	for _, phase := range []v1alpha1.ClaimPhase{v1alpha1.ClaimBound, v1alpha1.ClaimPending, v1alpha1.ClaimLost, v1alpha1.ClaimExpired} {
		claim := w.claim()
		claim.Status.Phase = phase
		assert.NilError(t, w.Status().Update(t.Context(), claim))
		for range 5 {
			w.reconcile()
		}
	}
}
