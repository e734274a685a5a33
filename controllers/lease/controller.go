/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package lease keeps one coordination.k8s.io Lease for each claim with a lease,
// and clears it when nobody has renewed it for too long (docs/protocols.md#leases). What
// a cleared Lease means for the claim and its address is for the pool controller.
package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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

// Reconciler keeps the Leases of claims.
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

// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=networking.eni-operator.dev,resources=eniclaims,verbs=get;list;watch

// Reconcile makes, mends or clears the Lease of one claim, which the request names.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (ctrl.Result, error) {
	claim := &v1alpha1.ENIClaim{}
	if err := r.client.Get(ctx, request.NamespacedName, claim); err != nil {
		r.counts.forget(request.NamespacedName)
		if apierrors.IsNotFound(err) {
			err = r.collect(ctx, request.NamespacedName)
		}
		return r.conflicts.Settle(ctx, controllerName, request, ctrl.Result{}, err)
	}
	found, err := leaseOf(ctx, r.client, claim)
	if err != nil {
		return ctrl.Result{}, err
	}
	d := plan(r.observe(claim, found))
	if d.action == createLease {
		d, err = r.create(ctx, claim, d)
	}
	if err == nil {
		err = r.act(ctx, claim, d)
	}
	return r.conflicts.Settle(ctx, controllerName, request, ctrl.Result{RequeueAfter: d.wait}, err)
}

// leaseOf reads a claim's Lease; nil if there is none.
func leaseOf(ctx context.Context, reader client.Reader, claim *v1alpha1.ENIClaim) (*coordinationv1.Lease, error) {
	found := &coordinationv1.Lease{}
	err := reader.Get(ctx, leaseKey(claim), found)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading Lease %s of claim %s/%s: %w", claim.LeaseName(), claim.Namespace, claim.Name, err)
	default:
		return found, nil
	}
}

func leaseKey(claim *v1alpha1.ENIClaim) types.NamespacedName {
	return types.NamespacedName{Namespace: claim.Namespace, Name: claim.LeaseName()}
}

// collect deletes the Lease that a claim which is gone has left.
func (r *Reconciler) collect(ctx context.Context, key types.NamespacedName) error {
	gone := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	left, err := leaseOf(ctx, r.client, gone)
	if err != nil || left == nil {
		return err
	}
	d := plan(observation{lease: left})
	if d.action != deleteLease {
		return nil
	}

	err = r.live.Get(ctx, key, &v1alpha1.ENIClaim{})
	if err == nil {
		return nil // The cache will show the claim.
	}
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading claim %s, which may be gone: %w", key, err)
	}
	log.FromContext(ctx).Info("Deleting the Lease of a claim that is gone", "lease", left.Name)
	return r.act(ctx, gone, d)
}

// observe adds to what was read how long it has been so.
func (r *Reconciler) observe(claim *v1alpha1.ENIClaim, found *coordinationv1.Lease) observation {
	o := observation{claim: claim, lease: found, grace: r.grace}
	if found == nil {
		r.counts.forget(client.ObjectKeyFromObject(claim))
		return o
	}
	now := r.clock.Now()
	since := r.counts.see(client.ObjectKeyFromObject(claim), sightOf(claim, found), now)
	reachedSince, reachable := r.pulse.reached(now)
	if reachedSince.After(since) {
		since = reachedSince
	}
	o.unchanged, o.reachable = now.Sub(since), reachable
	return o
}

// create makes a Lease. One that is there already, without our label and so not in
// the cache, is looked at, and the decision made anew.
func (r *Reconciler) create(ctx context.Context, claim *v1alpha1.ENIClaim, d decision) (decision, error) {
	err := r.client.Create(ctx, d.lease)
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return decision{action: keepLease}, nil // The claim is about to go as well.
	case !apierrors.IsAlreadyExists(err):
		return decision{action: keepLease}, err
	}
	found, err := leaseOf(ctx, r.live, claim)
	if err != nil || found == nil {
		return decision{action: keepLease, wait: beatInterval(r.grace)}, err
	}
	return plan(r.observe(claim, found)), nil
}

func (r *Reconciler) act(ctx context.Context, claim *v1alpha1.ENIClaim, d decision) error {
	switch d.action {
	case repairLease:
		return r.client.Update(ctx, d.lease)
	case deleteLease:
		// The cache may not show it, and then never shows that it is gone.
		return client.IgnoreNotFound(r.client.Delete(ctx, d.lease, client.DisableReadYourWritesConsistency,
			client.Preconditions{UID: &d.lease.UID, ResourceVersion: &d.lease.ResourceVersion}))
	case expireLease:
		return r.expire(ctx, claim)
	case refuseLease:
		return r.refuse(claim)
	case keepLease, createLease:
	}
	return nil
}

// expire clears a Lease, if Kubernetes itself shows nothing newer than what ran
// out. Whatever else comes of it begins a new count: a holder who could not renew,
// because Kubernetes did not take it, must not lose anything by that.
func (r *Reconciler) expire(ctx context.Context, claim *v1alpha1.ENIClaim) error {
	ran := r.counts.take(client.ObjectKeyFromObject(claim))
	latest := &v1alpha1.ENIClaim{}
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(claim), latest); err != nil {
		return client.IgnoreNotFound(err)
	}
	found, err := leaseOf(ctx, r.live, latest)
	if err != nil {
		return err
	}
	if found == nil || !latest.DeletionTimestamp.IsZero() || sightOf(latest, found) != ran {
		return conflict(claim)
	}
	if err := r.client.Update(ctx, cleared(latest, found)); err != nil {
		return err
	}
	log.FromContext(ctx).Info("Lease ran out", "duration", latest.Spec.Lease.Duration.Duration, "grace", r.grace)
	return nil
}

var errRenewed = errors.New("it was renewed, or its claim changed")

// conflict says that a claim or its Lease is not what the cache shows.
func conflict(claim *v1alpha1.ENIClaim) error {
	return apierrors.NewConflict(coordinationv1.Resource("leases"), claim.LeaseName(), errRenewed)
}

// refuse tells the holder that the claim's Lease cannot be made.
func (r *Reconciler) refuse(claim *v1alpha1.ENIClaim) error {
	r.events.Publish(events.Warning(events.ClaimLeaseNameTaken, claim, nil, v1alpha1.ReasonLeaseNameTaken, "Lease",
		"Lease "+claim.LeaseName()+" is not this claim's, so this claim never expires. Delete that Lease, or give the claim another name"))
	return fmt.Errorf("lease %s/%s is not the operator's", claim.Namespace, claim.LeaseName())
}
