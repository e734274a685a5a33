/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package lease

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

func TestLeaseOfANewClaim(t *testing.T) {
	w := newWorld(t)
	lease := w.lease()
	assert.DeepEqual(t, lease.Labels, map[string]string{v1alpha1.LeaseLabel: "true", v1alpha1.ExcludeFromBackupLabel: "true"})
	assert.DeepEqual(t, lease.OwnerReferences, []metav1.OwnerReference{{
		APIVersion: "networking.eni-operator.dev/v1alpha1", Kind: "ENIClaim", Name: "web-0", UID: "claim-1", Controller: ptr.To(true)}})
	assert.DeepEqual(t, lease.Spec, coordinationv1.LeaseSpec{HolderIdentity: ptr.To("web-0"), LeaseDurationSeconds: ptr.To(int32(60))})
}

func TestNotRenewed(t *testing.T) {
	w := newWorld(t)
	w.expiresAfter(duration + grace)
	t.Run("and it stays so, whatever the holder writes", func(t *testing.T) {
		w.changeLease(func(lease *coordinationv1.Lease) { lease.Spec.HolderIdentity = ptr.To("late") })
		w.renew()
		w.pass(time.Minute)
		assert.Assert(t, hasExpired(w.lease(), w.claim()))
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
	w.held()
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
			w.reconcile() // Writes the Lease, and then begins anew.
			assert.Equal(t, *w.lease().Spec.LeaseDurationSeconds, wholeSeconds(d))
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
	w.stalled = w.lease()
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
	t.Run("it begins right before the Lease runs out", func(t *testing.T) {
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
		found := w.lease()
		assert.NilError(t, w.Delete(t.Context(), w.claim()))
		w.r.observe(cached, found)
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
		assert.Assert(t, w.lease().Spec.HolderIdentity != nil) // Kubernetes collects it.
	})
}

func TestLeaseRemovedByAPerson(t *testing.T) {
	w := newWorld(t)
	w.pass(duration + grace - time.Second)
	before := w.lease()
	assert.NilError(t, w.Delete(t.Context(), before))
	w.reconcile()
	assert.Assert(t, w.lease().UID != before.UID)
	w.expiresAfter(duration + grace)
}

func TestLeaseChangedByAPerson(t *testing.T) {
	for name, how := range map[string]func(*coordinationv1.Lease){
		"label":    func(lease *coordinationv1.Lease) { lease.Labels = nil },
		"owner":    func(lease *coordinationv1.Lease) { lease.OwnerReferences = nil },
		"holder":   func(lease *coordinationv1.Lease) { lease.Spec.HolderIdentity = ptr.To("") },
		"duration": func(lease *coordinationv1.Lease) { lease.Spec.LeaseDurationSeconds = ptr.To(int32(1)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			before := w.lease()
			w.pass(duration)
			w.changeLease(how)
			w.reconcile()
			assert.DeepEqual(t, w.lease().Spec, before.Spec)
			assert.DeepEqual(t, w.lease().Labels, before.Labels)
			assert.DeepEqual(t, w.lease().OwnerReferences, before.OwnerReferences)
		})
	}
	t.Run("a holder with a name of its own keeps it", func(t *testing.T) {
		w := newWorld(t)
		w.changeLease(func(lease *coordinationv1.Lease) { lease.Spec.HolderIdentity = ptr.To("me") })
		w.reconcile()
		assert.Equal(t, *w.lease().Spec.HolderIdentity, "me")
	})
}

func TestLeaseOfAnEarlierClaim(t *testing.T) {
	for name, labelled := range map[string]bool{"in the cache": true, "without its label": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.pass(duration + grace)
			w.expired()
			if !labelled {
				w.changeLease(func(lease *coordinationv1.Lease) { lease.Labels = nil })
			}
			w.changeClaim(func(claim *v1alpha1.ENIClaim) { claim.Finalizers = nil })
			assert.NilError(t, w.Delete(t.Context(), w.claim()))
			w.makeClaim(v1alpha1.ClaimBound)
			w.reconcile() // Deletes it: Kubernetes has not collected it yet.
			w.reconcile()
			assert.Equal(t, w.lease().OwnerReferences[0].UID, w.claim().UID)
			w.expiresAfter(duration + grace)
		})
	}
}

func TestForeignLeaseIsNotTouched(t *testing.T) {
	for name, owner := range map[string][]metav1.OwnerReference{
		"of nobody":  nil,
		"of another": {{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "web", Controller: ptr.To(true)}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			assert.NilError(t, w.Delete(t.Context(), w.lease()))
			foreign := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: "eniclaim-web-0", OwnerReferences: owner}}
			assert.NilError(t, w.Create(t.Context(), foreign))
			_, err := w.try()
			assert.ErrorContains(t, err, "is not the operator's")
			assert.Assert(t, strings.Contains(<-w.recorder.Events, "Delete that Lease, or give the claim another name"))
			assert.DeepEqual(t, w.lease(), foreign)
		})
	}
}

func TestLeaseTakenOffAClaim(t *testing.T) {
	w := newWorld(t)
	w.changeClaim(func(claim *v1alpha1.ENIClaim) { claim.Spec.Lease = nil })
	w.reconcile()
	leases := &coordinationv1.LeaseList{}
	assert.NilError(t, w.List(t.Context(), leases))
	assert.Equal(t, len(leases.Items), 0)
	w.reconcile()
}

func TestEndedClaim(t *testing.T) {
	for _, phase := range []v1alpha1.ClaimPhase{v1alpha1.ClaimLost, v1alpha1.ClaimExpired} {
		w := newWorld(t)
		claim := w.claim()
		claim.Status.Phase = phase
		assert.NilError(t, w.Status().Update(t.Context(), claim))
		assert.NilError(t, w.Delete(t.Context(), w.lease()))
		w.reconcile()
		leases := &coordinationv1.LeaseList{}
		assert.NilError(t, w.List(t.Context(), leases))
		assert.Equal(t, len(leases.Items), 0, phase)
	}
}

// TestAtRestNothingIsWritten: looking for no reason finds nothing to do.
func TestAtRestNothingIsWritten(t *testing.T) {
	w := newWorld(t)
	before := w.lease()
	w.beforeUpdate = func() error { t.Error("an update"); return nil }
	for range 5 {
		w.reconcile()
	}
	assert.DeepEqual(t, w.lease(), before)
}

// TestLeaseThatAClaimLeft: a claim that is deleted with --cascade=orphan leaves its Lease
// without an owner, and nothing else would collect it.
func TestLeaseThatAClaimLeft(t *testing.T) {
	orphaned := func(lease *coordinationv1.Lease) { lease.OwnerReferences = nil }
	for _, row := range []struct {
		name   string
		change func(*coordinationv1.Lease)
		claim  bool
		kept   bool
	}{
		{"it has no owner", orphaned, false, false},
		{"it has its owner: Kubernetes collects it", func(*coordinationv1.Lease) {}, false, true},
		{"another owns it by now", func(lease *coordinationv1.Lease) {
			lease.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "web", UID: "pod"}}
		}, false, true},
		{"it is not ours", func(lease *coordinationv1.Lease) { lease.OwnerReferences, lease.Labels = nil, nil }, false, true},
		{"the claim is there, though the cache does not show it yet", orphaned, true, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.changeLease(row.change)
			if row.claim {
				w.hidesClaims = true
			} else {
				w.changeClaim(func(claim *v1alpha1.ENIClaim) { claim.Finalizers = nil })
				assert.NilError(t, w.Delete(t.Context(), w.claim()))
			}
			w.reconcile()
			left := &coordinationv1.LeaseList{}
			assert.NilError(t, w.List(t.Context(), left))
			assert.Equal(t, len(left.Items) == 1, row.kept)
		})
	}
}

func TestClaimOfLease(t *testing.T) {
	w := newWorld(t)
	lease := w.lease()
	assert.DeepEqual(t, claimOfLease(t.Context(), lease), []reconcile.Request{{NamespacedName: key}})
	lease.OwnerReferences = nil
	assert.DeepEqual(t, claimOfLease(t.Context(), lease), []reconcile.Request{{NamespacedName: key}})
	lease.Name = "somebody-elses"
	assert.Equal(t, len(claimOfLease(t.Context(), lease)), 0)
	assert.Equal(t, len(claimOfLease(t.Context(), w.claim())), 0)
}
