/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/index"
	"github.com/eni-operator/eni-operator/pkg/store"
	"github.com/eni-operator/eni-operator/pkg/tracing"
)

// prepareClaims does what must be stored before a decision: claims that may be
// served get our finalizer, and claims that are deleted show no address any more. A claim for which that fails stays as it was in this round,
// which goes on for all others.
func (r *Reconciler) prepareClaims(ctx context.Context, o *observation) error {
	o.unprepared = map[types.UID]bool{}
	var failed []error
	prepare := func(claim *v1alpha1.ENIClaim) {
		before := claim.DeepCopy()
		err := r.prepareClaim(ctx, claim)
		if client.IgnoreNotFound(err) != nil {
			failed = append(failed, fmt.Errorf("preparing claim %s/%s: %w", claim.Namespace, claim.Name, err))
			*claim = *before
			o.unprepared[claim.UID] = true
		}
	}
	for i := range o.claims {
		if claim := &o.claims[i]; !isNew(claim) && !o.queued[claim.UID] {
			prepare(claim)
		}
	}
	left := r.newsBudget()
	for _, claim := range o.newcomers() {
		if left.spent() {
			o.unprepared[claim.UID], o.crowded = true, true
			o.coming = append(o.coming, claim)
			continue
		}
		prepare(claim)
		left.count--
	}
	return firstOf(failed)
}

func (r *Reconciler) prepareClaim(ctx context.Context, claim *v1alpha1.ENIClaim) error {
	switch {
	case claim.DeletionTimestamp.IsZero():
		_, err := store.AddFinalizer(ctx, r.client, claim)
		return err
	case claim.Status.Address != "":
		before := claim.DeepCopy()
		surrender(claim)
		_, err := r.written.UpdateStatus(ctx, r.client, r.events, before, claim)
		return err
	default:
		return nil
	}
}

// errStaleRecord says that the record in the cache is not the latest.
var errStaleRecord = errors.New("the pool's record in the cache is not the latest")

// errStaleENIs says that the ENIs in the cache are not the latest.
var errStaleENIs = errors.New("the pool's ENIs in the cache are not the latest")

func staleENIs(name string) error {
	return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("elasticnetworkinterfaces").GroupResource(), name, errStaleENIs)
}

// telling is what a claim is to be told.
type telling struct {
	claim *v1alpha1.ENIClaim
	verdict
}

// tellings are what the stored record means for each claim, in the order in which they are
// told: what they hold or lost first, and then, in turns, why the others wait. Those that are
// deleted while they wait are let go of in turns too.
func (o observation) tellings() []telling {
	var news []telling
	var waiting []*v1alpha1.ENIClaim
	verdicts := map[types.UID]verdict{}
	for i := range o.claims {
		claim := &o.claims[i]
		if o.unprepared[claim.UID] {
			continue
		}
		v := verdictOn(o, &o.pool.Status, claim)
		if v.phase != v1alpha1.ClaimPending {
			news = append(news, telling{claim, v})
			continue
		}
		verdicts[claim.UID] = v
		waiting = append(waiting, claim)
	}
	for _, claim := range oneOfEach(waiting) {
		news = append(news, telling{claim, verdicts[claim.UID]})
	}
	return news
}

// tellClaims writes to each claim what the stored record means for it, and lets
// go of those that are deleted and hold nothing. It returns what failed, and a conflict
// if the record turned out to be an older one: then nothing must be done by it.
func (r *Reconciler) tellClaims(ctx context.Context, o *observation) (failed, stale error) {
	var errs []error
	left := r.newsBudget()
	for _, t := range o.tellings() {
		waits := t.phase == v1alpha1.ClaimPending
		if waits && left.spent() {
			o.crowded = true
			break
		}
		if o.needsLatestRecord(t.claim, t.verdict) {
			if err := r.confirmRecord(ctx, o.pool); err != nil {
				return firstOf(errs), err
			}
			o.latestRecord = true
		}
		wrote, err := r.tellClaim(ctx, *o, t.claim, t.verdict)
		if client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("updating claim %s/%s: %w", t.claim.Namespace, t.claim.Name, err))
		}
		if waits && wrote {
			left.count--
		}
	}
	return firstOf(errs), nil
}

// keeps reports whether a claim keeps what its status says, whatever the record means for
// it: the pool is suspended, or the ENI's resource is missing and EC2 has the ENI. While it is
// suspended, only claims that hold nothing get a new status, which says why they wait.
func (o observation) keeps(claim *v1alpha1.ENIClaim, v verdict) bool {
	if o.suspended == nil {
		return v.kept && claim.DeletionTimestamp.IsZero()
	}
	if !claim.DeletionTimestamp.IsZero() {
		return o.recordLost()
	}
	return v.phase != v1alpha1.ClaimPending
}

// needsLatestRecord reports whether a claim is to be told that it holds something, or lost
// it, by a record that may be an older copy. Nobody notices that where nothing is written: a
// process that wrote the record, but did not tell the claim any more, may have been followed by
// one that gave back what the record named.
func (o observation) needsLatestRecord(claim *v1alpha1.ENIClaim, v verdict) bool {
	if o.latestRecord || o.keeps(claim, v) || !claim.DeletionTimestamp.IsZero() {
		return false
	}
	bound := claim.Status.Phase == v1alpha1.ClaimBound
	return !bound && v.phase == v1alpha1.ClaimBound || bound && v.phase == v1alpha1.ClaimLost
}

// tellClaim writes what a claim is to be told, and reports whether there was anything to write.
func (r *Reconciler) tellClaim(ctx context.Context, o observation, claim *v1alpha1.ENIClaim, v verdict) (wrote bool, err error) {
	switch {
	case o.keeps(claim, v):
		return false, nil
	case claim.DeletionTimestamp.IsZero():
	case v.phase == v1alpha1.ClaimBound:
		return false, nil
	default:
		return true, store.RemoveFinalizer(ctx, r.client, r.events, claim)
	}
	before := claim.DeepCopy()
	applyVerdict(claim, v, metav1.NewTime(o.now))
	wrote, err = r.written.UpdateStatus(ctx, r.client, r.events, before, claim)
	if err == nil {
		r.waits.told(ctx, claim)
	}
	return wrote, err
}

// confirmRecord makes sure that the record is the latest, and not an older copy of it.
func (r *Reconciler) confirmRecord(ctx context.Context, pool *v1alpha1.ENIPool) error {
	latest := &v1alpha1.ENIPool{}
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(pool), latest); err != nil {
		return fmt.Errorf("reading pool %s before claims are told what they hold: %w", pool.Name, err)
	}
	if latest.ResourceVersion != pool.ResourceVersion {
		return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("enipools").GroupResource(), pool.Name, errStaleRecord)
	}
	return nil
}

// changeENIs creates, resizes and removes ENIs by the stored decision. An ENI that fails
// keeps nothing from the others, unless it shows that the decision was made without it.
func (r *Reconciler) changeENIs(ctx context.Context, o observation, d decision) error {
	var failed []error
	for _, n := range d.creates {
		err := r.createENI(ctx, o, n)
		if apierrors.IsConflict(err) {
			return err
		}
		failed = append(failed, err)
	}
	for i := range o.enis {
		err := r.changeENI(ctx, o, &o.enis[i], d)
		failed = append(failed, client.IgnoreNotFound(err))
	}
	return firstOf(failed)
}

func (r *Reconciler) createENI(ctx context.Context, o observation, n newENI) error {
	eni := buildENI(o, n)
	tracing.Annotate(ctx, eni)
	log.FromContext(ctx).Info("Adding ENI to the pool", "eni", eni.Name, "mode", n.mode, "count", n.count)
	err := r.client.Create(ctx, eni)
	if apierrors.IsAlreadyExists(err) {
		return r.nameTaken(ctx, o.pool, eni.Name)
	}
	if err != nil {
		return fmt.Errorf("creating ENI %s: %w", eni.Name, err)
	}
	return nil
}

// nameTaken tells an ENI that was made before, and is not in the cache yet, from one
// of others that has the name.
func (r *Reconciler) nameTaken(ctx context.Context, pool *v1alpha1.ENIPool, name string) error {
	existing := &v1alpha1.ElasticNetworkInterface{}
	err := r.live.Get(ctx, client.ObjectKey{Name: name}, existing)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading ENI %s, whose name is taken: %w", name, err)
	}
	if err != nil || pool.Owns(existing) {
		return staleENIs(name) // Whatever comes next was decided without it.
	}
	r.events.Publish(events.Warning(events.PoolNameTaken, pool, existing, v1alpha1.ReasonNameTaken, "Create",
		"ElasticNetworkInterface "+name+" is not this pool's: delete it, so that the pool can make its own of that name"))
	return fmt.Errorf("ElasticNetworkInterface %s exists and is not this pool's", name)
}

func (r *Reconciler) changeENI(ctx context.Context, o observation, eni *v1alpha1.ElasticNetworkInterface, d decision) error {
	before := eni.DeepCopy()
	removal := slices.Contains(d.removals, eni.Name)
	if removal {
		eni.Spec.Drained = true
	} else {
		reshape(o, eni, d)
	}
	eni.Spec.Tags = maps.Clone(eni.Spec.Tags)
	if tracing.On() && !equality.Semantic.DeepEqual(before.Spec, eni.Spec) {
		tracing.Annotate(ctx, eni) // It is written anyway.
	}
	if _, err := store.Update(ctx, r.client, before, eni); err != nil {
		return fmt.Errorf("updating ENI %s: %w", eni.Name, err)
	}
	if !removal || !eni.DeletionTimestamp.IsZero() {
		return nil
	}
	log.FromContext(ctx).Info("Removing ENI from the pool", "eni", eni.Name, "eniID", eni.Status.NetworkInterfaceID)
	if err := r.client.Delete(ctx, eni, client.Preconditions{UID: &eni.UID}); err != nil {
		return fmt.Errorf("deleting ENI %s: %w", eni.Name, err)
	}
	return nil
}

// withoutPool answers the claims of a node that has no pool: those that wait are
// told so, those that held something lost it, unless a pool is to come that finds it.
func (r *Reconciler) withoutPool(ctx context.Context, node string) error {
	claims := &v1alpha1.ENIClaimList{}
	if err := r.client.List(ctx, claims, client.MatchingFields{index.NodeName: node}); err != nil {
		return fmt.Errorf("listing the claims of node %s: %w", node, err)
	}
	if len(claims.Items) == 0 {
		return nil
	}
	err := r.live.Get(ctx, client.ObjectKey{Name: node}, &v1alpha1.ENIPool{})
	if err == nil {
		return nil // The cache will show it, and call again.
	}
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading pool %s, which the cache does not show: %w", node, err)
	}
	keeps, err := r.keepsWithoutPool(ctx, node)
	if err != nil {
		return err
	}
	now := metav1.NewTime(r.clock.Now())
	var failed []error
	for i := range claims.Items {
		claim := claims.Items[i].DeepCopy()
		if claim.Status.Phase == v1alpha1.ClaimBound && claim.DeletionTimestamp.IsZero() && keeps(claim) {
			continue
		}
		if err := r.answerWithoutPool(ctx, claim, now); client.IgnoreNotFound(err) != nil {
			failed = append(failed, fmt.Errorf("updating claim %s/%s of a node without pool: %w", claim.Namespace, claim.Name, err))
		}
	}
	return firstOf(failed)
}

// keepsWithoutPool says which bound claims of a node keep what they hold though its pool is not
// there: all while there is the Node, which gets another pool, and those of ENIs that still have
// a resource, for which a pool is made as well. Kubernetes itself is asked.
func (r *Reconciler) keepsWithoutPool(ctx context.Context, node string) (func(*v1alpha1.ENIClaim) bool, error) {
	err := r.live.Get(ctx, client.ObjectKey{Name: node}, &corev1.Node{})
	if err == nil {
		return func(*v1alpha1.ENIClaim) bool { return true }, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading node %s, which has no pool: %w", node, err)
	}
	left := &v1alpha1.ElasticNetworkInterfaceList{}
	if err := r.live.List(ctx, left, client.MatchingFields{index.NodeName: node}); err != nil {
		return nil, fmt.Errorf("listing the ENIs of node %s, which has no pool: %w", node, err)
	}
	return func(claim *v1alpha1.ENIClaim) bool {
		return slices.ContainsFunc(left.Items, func(eni v1alpha1.ElasticNetworkInterface) bool {
			return eni.Name == claim.Status.ENIName && eni.Spec.PoolName == node
		})
	}, nil
}

// answerUnsynced writes to the claims of a node that have no status yet what they wait
// for, before EC2 has been read for the first time.
func (r *Reconciler) answerUnsynced(ctx context.Context, node string) error {
	claims := &v1alpha1.ENIClaimList{}
	if err := r.client.List(ctx, claims, client.MatchingFields{index.NodeName: node}); err != nil {
		return fmt.Errorf("listing the claims of node %s: %w", node, err)
	}
	v := verdict{phase: v1alpha1.ClaimPending, reason: v1alpha1.ReasonInProgress,
		message: "The operator has not read EC2 yet: this claim is looked at when it has"}
	var failed []error
	for i := range claims.Items {
		claim := claims.Items[i].DeepCopy()
		if claim.Status.Phase != "" || !claim.DeletionTimestamp.IsZero() {
			continue
		}
		before := claim.DeepCopy()
		applyVerdict(claim, v, metav1.NewTime(r.clock.Now()))
		if _, err := r.written.UpdateStatus(ctx, r.client, r.events, before, claim); client.IgnoreNotFound(err) != nil {
			failed = append(failed, fmt.Errorf("updating claim %s/%s: %w", claim.Namespace, claim.Name, err))
		}
	}
	return firstOf(failed)
}

func (r *Reconciler) answerWithoutPool(ctx context.Context, claim *v1alpha1.ENIClaim, now metav1.Time) error {
	if !claim.DeletionTimestamp.IsZero() {
		return store.RemoveFinalizer(ctx, r.client, r.events, claim)
	}
	v := verdict{phase: v1alpha1.ClaimPending, reason: v1alpha1.ReasonNoPool,
		message: "Node " + claim.Spec.NodeName + " has no pool: check that the Node exists, is an EC2 instance, and is selected by an ENIPolicy"}
	switch claim.Status.Phase {
	case v1alpha1.ClaimBound, v1alpha1.ClaimLost:
		v = lostVerdict(observation{nodeGone: true, goneReason: "The pool of node " + claim.Spec.NodeName + " is gone, and what this claim held with it"}, claim)
	case v1alpha1.ClaimExpired:
		v = expiredVerdict()
	case v1alpha1.ClaimPending:
	}
	before := claim.DeepCopy()
	applyVerdict(claim, v, now)
	_, err := r.written.UpdateStatus(ctx, r.client, r.events, before, claim)
	return err
}

// firstOf returns a conflict before any other error, so that it is taken for one.
func firstOf(failed []error) error {
	for _, err := range failed {
		if apierrors.IsConflict(err) {
			return err
		}
	}
	return errors.Join(failed...)
}
