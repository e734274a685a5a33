/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/index"
	"github.com/eni-operator/eni-operator/pkg/store"
)

const pausedMessage = "The annotation " + v1alpha1.PausedAnnotation + " on the pool stops all changes: remove it to let them go on"

// tellPaused says on a paused pool, and on claims that wait for it, that nothing is done.
func (r *Reconciler) tellPaused(ctx context.Context, pool *v1alpha1.ENIPool) error {
	before := pool.DeepCopy()
	o := observation{pool: pool, now: r.clock.Now()}
	ready := isTrue(pool.Status.Conditions, v1alpha1.ConditionReady)
	setter(o, &pool.Status)(v1alpha1.ConditionReady, ready, v1alpha1.ReasonPaused, pausedMessage)
	if _, err := store.UpdateStatus(ctx, r.client, r.events, before, pool); err != nil {
		return fmt.Errorf("updating the status of pool %s: %w", pool.Name, err)
	}
	claims := &v1alpha1.ENIClaimList{}
	if err := r.client.List(ctx, claims, client.MatchingFields{index.NodeName: pool.Spec.NodeName}); err != nil {
		return fmt.Errorf("listing the claims of node %s: %w", pool.Spec.NodeName, err)
	}
	var failed []error
	for i := range claims.Items {
		claim := claims.Items[i].DeepCopy()
		if err := r.tellClaimPaused(ctx, claim, o); client.IgnoreNotFound(err) != nil {
			failed = append(failed, fmt.Errorf("updating claim %s/%s of a paused pool: %w", claim.Namespace, claim.Name, err))
		}
	}
	return firstOf(failed)
}

// tellClaimPaused writes to a claim that waits, or is deleted, what it waits for. One that
// is deleted keeps what it has until the pool goes on.
func (r *Reconciler) tellClaimPaused(ctx context.Context, claim *v1alpha1.ENIClaim, o observation) error {
	waits := claim.Status.Phase == "" || claim.Status.Phase == v1alpha1.ClaimPending
	if claim.DeletionTimestamp.IsZero() && !waits {
		return nil
	}
	before := claim.DeepCopy()
	if waits {
		applyVerdict(claim, verdict{phase: v1alpha1.ClaimPending, reason: v1alpha1.ReasonPaused, message: pausedMessage}, metav1.NewTime(o.now))
	} else {
		setNotReady(claim, v1alpha1.ReasonPaused, "This claim is deleted and waits for its pool. "+pausedMessage)
	}
	_, err := r.written.UpdateStatus(ctx, r.client, r.events, before, claim)
	return err
}
