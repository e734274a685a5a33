/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package lease ends the claims with a lease that nobody has renewed for too long
// (docs/protocols.md#leases). What an expired claim means for its address is for the pool
// controller.
package lease

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/store"
)

const controllerName = "lease"

// Options of the lease controller; see the operator's flags.
type Options struct {
	// Grace is how long a renewal is waited for beyond the lease's duration.
	Grace time.Duration
	// Concurrency is how many leases are worked on at once.
	Concurrency int
	// Events takes what people should hear of.
	Events events.Publisher
	// Controller holds what all controllers have in common, such as the backoff.
	Controller controller.Options
}

// Reconciler watches over the leases of claims.
type Reconciler struct {
	client    client.Client
	live      client.Reader
	events    events.Publisher
	clock     clock.PassiveClock
	counts    *counts
	pulse     *pulse
	grace     time.Duration
	conflicts store.Conflicts
}

// +kubebuilder:rbac:groups=networking.eni-operator.dev,resources=eniclaims,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.eni-operator.dev,resources=eniclaims/status,verbs=update

// Reconcile ends one claim, which the request names, if its lease has run out.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (ctrl.Result, error) {
	claim := &v1alpha1.ENIClaim{}
	if err := r.client.Get(ctx, request.NamespacedName, claim); err != nil {
		r.counts.forget(request.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	d := plan(r.observe(claim))
	var err error
	if d.expires {
		err = r.expire(ctx, claim)
	}
	return r.conflicts.Settle(ctx, controllerName, request, ctrl.Result{RequeueAfter: d.wait}, err)
}

// observe adds to what was read how long it has been so.
func (r *Reconciler) observe(claim *v1alpha1.ENIClaim) observation {
	o := observation{claim: claim, grace: r.grace}
	if claim.Spec.Lease == nil {
		r.counts.forget(client.ObjectKeyFromObject(claim))
		return o
	}
	now := r.clock.Now()
	since := r.counts.see(client.ObjectKeyFromObject(claim), sightOf(claim), now)
	reachedSince, reachable := r.pulse.reached(now)
	if reachedSince.After(since) {
		since = reachedSince
	}
	o.unchanged, o.reachable = now.Sub(since), reachable
	return o
}

// expire ends a claim, if Kubernetes itself shows nothing newer than what ran out. The
// write is refused if the claim has been renewed since that was read. Whatever else comes
// of it begins a new count: a holder who could not renew, because Kubernetes did not take
// it, must not lose anything by that.
func (r *Reconciler) expire(ctx context.Context, claim *v1alpha1.ENIClaim) error {
	ran := r.counts.take(client.ObjectKeyFromObject(claim))
	latest := &v1alpha1.ENIClaim{}
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(claim), latest); err != nil {
		return client.IgnoreNotFound(err)
	}
	if !latest.DeletionTimestamp.IsZero() || sightOf(latest) != ran {
		return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("eniclaims").GroupResource(), claim.Name, errRenewed)
	}
	expired := latest.DeepCopy()
	end(expired, metav1.NewTime(r.clock.Now()))
	if _, err := store.UpdateStatus(ctx, r.client, r.events, latest, expired); err != nil {
		return err
	}
	log.FromContext(ctx).Info("Lease ran out", "duration", latest.Spec.Lease.Duration.Duration, "grace", r.grace)
	return nil
}

// errRenewed says that a claim is not what the cache shows.
var errRenewed = errors.New("it was renewed, or changed otherwise")

// end is the status of a claim whose lease ran out: it holds nothing any more.
func end(claim *v1alpha1.ENIClaim, now metav1.Time) {
	conditions := claim.Status.Conditions
	meta.RemoveStatusCondition(&conditions, v1alpha1.ConditionAddressLost)
	meta.SetStatusCondition(&conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonExpired, Message: v1alpha1.LeaseRanOut,
		ObservedGeneration: claim.Generation, LastTransitionTime: now,
	})
	claim.Status = v1alpha1.ENIClaimStatus{Phase: v1alpha1.ClaimExpired, ObservedGeneration: claim.Generation, Conditions: conditions}
}
