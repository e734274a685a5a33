/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package pool keeps each node's pool: it decides how many ENIs and addresses the
// node has, and alone says which claim holds which. A decision is stored in the
// pool's status before anybody acts on it.
package pool

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/elapsed"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/pkg/logging"
	"github.com/eni-operator/eni-operator/pkg/store"
)

const controllerName = "pool"

// Options of the pool controller; see the operator's flags.
type Options struct {
	// MinDeviceIndex is for pools whose policy has none.
	MinDeviceIndex int32
	// Cooldown is for pools whose policy has no shared mode.
	Cooldown time.Duration
	// IdleReleaseAfter is for pools whose policy has no shared mode.
	IdleReleaseAfter time.Duration
	// NodeGoneGrace is how long a missing Node is waited for.
	NodeGoneGrace time.Duration
	// Forecast tells which of EC2's queues is the shorter one.
	Forecast *ec2.Forecast
	// Concurrency is how many pools are worked on at once.
	Concurrency int
	// Events takes what was stored.
	Events events.Publisher
	// Controller holds what all controllers have in common, such as the backoff.
	Controller controller.Options
}

// Reconciler reconciles ENIPools and the ENIClaims on their nodes.
type Reconciler struct {
	client    client.Client
	live      client.Reader
	inventory *inventory.Inventory
	events    events.Publisher
	clock     clock.PassiveClock
	forecast  forecast
	options   Options
	conflicts store.Conflicts
	waits     waits
	// written are the statuses of claims.
	written  store.Written
	refusals refusals
	empty    sightings
	// queueLimit bounds how fast queued claims get their first status, and rounds counts
	// reconciles, of which each checks others of them.
	queueLimit *rate.Limiter
	rounds     atomic.Uint32
	// nodeless counts for how long no Node has stood for the instance of a pool.
	nodeless *elapsed.Watch
}

// +kubebuilder:rbac:groups=networking.eni-operator.dev,resources=enipools,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=networking.eni-operator.dev,resources=enipools/status,verbs=update
// +kubebuilder:rbac:groups=networking.eni-operator.dev,resources=eniclaims,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=networking.eni-operator.dev,resources=eniclaims/status,verbs=update
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch

// Reconcile brings one node's pool and claims closer to what they should be. The
// request names the node, which is also the pool's name.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (ctrl.Result, error) {
	result, err := r.reconcile(ctx, request)
	return r.conflicts.Settle(ctx, controllerName, request, result, err)
}

func (r *Reconciler) reconcile(ctx context.Context, request reconcile.Request) (ctrl.Result, error) {
	if err := r.awaitEC2(ctx, request.Name); err != nil {
		return ctrl.Result{}, err
	}
	pool := &v1alpha1.ENIPool{}
	err := r.client.Get(ctx, request.NamespacedName, pool)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("reading pool %s: %w", request.Name, err)
	}
	if err == nil {
		return r.withPool(ctx, pool.DeepCopy())
	}
	r.nodeless.Forget(request.Name)
	if r.inventory.Trust().Broken {
		return ctrl.Result{}, nil // All nodes are looked at again when EC2 is believed.
	}
	return ctrl.Result{}, r.withoutPool(ctx, request.Name)
}

// awaitEC2 waits until EC2 has been read for the first time, which may take long. The
// statuses of the node's claims say so.
func (r *Reconciler) awaitEC2(ctx context.Context, node string) error {
	if r.inventory.Current() {
		return nil
	}
	told := r.answerUnsynced(ctx, node)
	return firstOf([]error{told, r.inventory.WaitForSync(ctx)})
}

// withPool reads, decides, stores the decision, and only then acts by it.
func (r *Reconciler) withPool(ctx context.Context, pool *v1alpha1.ENIPool) (ctrl.Result, error) {
	if pool.DeletionTimestamp.IsZero() {
		if added, err := store.AddFinalizer(ctx, r.client, pool); added || err != nil {
			return ctrl.Result{}, err
		}
	}
	if pool.Annotations[v1alpha1.PausedAnnotation] == "true" {
		r.nodeless.Forget(pool.Name) // Nobody looks in between.
		return ctrl.Result{}, r.tellPaused(ctx, pool)
	}
	o, observeErr := r.observe(ctx, pool)
	if o.pool == nil {
		return ctrl.Result{}, observeErr
	}
	prepareErr := r.prepareClaims(ctx, &o)
	decided := r.decide(o)
	stored, err := r.storeDecision(logging.WithCause(ctx, observeErr), pool, decided)
	if err != nil {
		return ctrl.Result{}, err
	}
	o.latestRecord = stored
	noteRound(ctx, o)
	tellErr, stale := r.tellClaims(ctx, &o)
	if stale != nil {
		return ctrl.Result{}, stale
	}
	finished, changeErr := r.applyToENIs(ctx, o, decided)
	if changeErr != nil {
		return ctrl.Result{}, firstOf([]error{prepareErr, tellErr, changeErr, observeErr})
	}
	if finished {
		r.inventory.ForgetInstance(pool.Spec.InstanceID)
		return ctrl.Result{}, store.RemoveFinalizer(ctx, r.client, r.events, pool)
	}
	recheck := soonest(decided.recheck, o.graceLeft, o.queueRecheck)
	if o.crowded {
		recheck = nextRound
	}
	return ctrl.Result{RequeueAfter: recheck}, firstOf([]error{prepareErr, tellErr, observeErr})
}

// applyToENIs changes the ENIs by the stored decision, and reports whether a deleted pool
// has nothing left. A suspended pool changes nothing.
func (r *Reconciler) applyToENIs(ctx context.Context, o observation, d decision) (finished bool, err error) {
	if o.suspended != nil {
		return false, nil
	}
	if err := r.changeENIs(ctx, o, d); err != nil {
		return false, err
	}
	return o.finished(), nil
}

// decide plans with what EC2's queues are like, and tells them what comes.
func (r *Reconciler) decide(o observation) decision {
	o.primary.slower = o.primary.usable && primarySlower(r.forecast)
	decided := plan(o)
	decided.expect(r.forecast)
	return decided
}

// storeDecision is the compare-and-swap: it fails if anybody wrote the pool since
// it was read. It returns whether there was anything to write.
func (r *Reconciler) storeDecision(ctx context.Context, pool *v1alpha1.ENIPool, d decision) (stored bool, err error) {
	before := pool.DeepCopy()
	pool.Status = d.status
	stored, err = store.UpdateStatus(ctx, r.client, r.events, before, pool)
	if err != nil {
		return false, fmt.Errorf("storing the decision in the status of pool %s: %w", pool.Name, err)
	}
	return stored, nil
}

// finished says that a deleted pool has nothing left.
func (o observation) finished() bool {
	return !o.pool.DeletionTimestamp.IsZero() && len(o.enis) == 0 && len(o.pool.Status.ENIs) == 0 && len(o.pool.Status.Addresses) == 0
}
