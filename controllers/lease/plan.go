/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package lease

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// observation is all that a decision about one claim's Lease depends on.
type observation struct {
	// claim is nil if Kubernetes itself shows none.
	claim *v1alpha1.ENIClaim
	// lease is the Lease of the claim's lease name; nil: there is none.
	lease *coordinationv1.Lease
	// unchanged is how long this process has seen nothing change that counts as a
	// renewal.
	unchanged time.Duration
	// reachable is true if Kubernetes can be reached, so that a renewal could be made
	// and seen.
	reachable bool
	grace     time.Duration
}

// action is what to do with a claim's Lease.
type action string

const (
	keepLease   action = "Keep"
	createLease action = "Create"
	// repairLease brings back what the operator keeps of a Lease.
	repairLease action = "Repair"
	// deleteLease removes one that stands for no lease of the claim any more.
	deleteLease action = "Delete"
	// expireLease clears the holder.
	expireLease action = "Expire"
	// refuseLease: the name is taken by a Lease that is not ours.
	refuseLease action = "Refuse"
)

// decision says what to do, with the Lease as it is to be, and when time alone
// changes the decision; zero: never.
type decision struct {
	action action
	lease  *coordinationv1.Lease
	wait   time.Duration
}

// plan decides about one claim's Lease.
func plan(o observation) decision {
	switch {
	case o.claim == nil:
		return planOrphan(o)
	case !o.claim.DeletionTimestamp.IsZero():
		return decision{action: keepLease} // Kubernetes collects it with the claim.
	case o.lease == nil:
		return planMissing(o)
	case !ours(o.lease):
		return planForeign(o)
	case o.claim.Spec.Lease == nil || !isOf(o.lease, o.claim):
		return decision{action: deleteLease, lease: o.lease}
	case hasExpired(o.lease, o.claim) || ended(o.claim):
		return decision{action: keepLease}
	}
	if shaped := shape(o.claim, o.lease); !same(shaped, o.lease) {
		return decision{action: repairLease, lease: shaped}
	}
	return planCount(o)
}

// planOrphan deletes a Lease of ours that nothing owns and whose claim is gone, as
// `kubectl delete --cascade=orphan` leaves it. One with an owner is Kubernetes' to collect.
func planOrphan(o observation) decision {
	if o.lease == nil || !ours(o.lease) || len(o.lease.OwnerReferences) > 0 {
		return decision{action: keepLease}
	}
	return decision{action: deleteLease, lease: o.lease}
}

func planMissing(o observation) decision {
	if o.claim.Spec.Lease == nil || ended(o.claim) {
		return decision{action: keepLease}
	}
	return decision{action: createLease, lease: build(o.claim)}
}

func planForeign(o observation) decision {
	if o.claim.Spec.Lease == nil || ended(o.claim) {
		return decision{action: keepLease}
	}
	return decision{action: refuseLease}
}

// planCount lets the lease of a bound claim run out.
func planCount(o observation) decision {
	left := o.claim.Spec.Lease.Duration.Duration + o.grace - o.unchanged
	switch {
	case o.claim.Status.Phase != v1alpha1.ClaimBound:
		return decision{action: keepLease}
	case left > 0:
		return decision{action: keepLease, wait: left}
	case !o.reachable:
		return decision{action: keepLease, wait: beatInterval(o.grace)}
	default:
		return decision{action: expireLease}
	}
}

// ended reports whether a claim holds nothing and never will.
func ended(claim *v1alpha1.ENIClaim) bool {
	return claim.Status.Phase == v1alpha1.ClaimExpired || claim.Status.Phase == v1alpha1.ClaimLost
}

// hasExpired reports whether a Lease ran out for this claim, for good.
func hasExpired(lease *coordinationv1.Lease, claim *v1alpha1.ENIClaim) bool {
	return lease.Annotations[v1alpha1.LeaseExpiredAnnotation] == string(claim.UID)
}
