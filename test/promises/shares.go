/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// judgeShares looks whether a record gives a namespace more than the spec that it was made
// for allows. What a claim had before, a record that was lost may show again.
func (r *Referee) judgeShares(before, after *v1alpha1.ENIPool) {
	had := holdersOf(before)
	for uid, holding := range holdersOf(after) {
		claim := r.world.Claims[uid]
		if _, old := had[uid]; old || claim == nil || claim.Status.Phase == v1alpha1.ClaimBound || claim.Status.Phase == v1alpha1.ClaimLost {
			continue
		}
		if taken, most := shareOf(holding.namespace, holding.mode, after); most != nil && taken > *most {
			r.foul(ShareKept, string(uid), "claim %s gets something of pool %s, and its namespace has %d of %d", nameOf(claim), after.Name, taken, *most)
		}
	}
}

// judgeReservations looks whether a record gives a claim by name what a claim of another
// namespace released just before. When a reservation ends depends on the replica's clock.
func (r *Referee) judgeReservations(before, after *v1alpha1.ENIPool) {
	if before == nil || reserveTime(after) == 0 {
		return
	}
	released := map[v1alpha1.Address]*v1alpha1.ClaimReference{}
	for _, entry := range before.Status.Addresses {
		if entry.State == v1alpha1.HolderCooling {
			released[entry.Address] = entry.Claim
		}
	}
	for _, entry := range after.Status.Addresses {
		last := released[entry.Address]
		if last == nil || entry.State != v1alpha1.HolderAllocated || entry.Claim == nil || entry.Claim.Namespace == last.Namespace {
			continue
		}
		if claim := r.world.Claims[entry.Claim.UID]; claim != nil && claim.Spec.Address != nil {
			r.foul(ReservedKept, string(claim.UID), "claim %s gets %s by name, which %s/%s released", nameOf(claim), entry.Address, last.Namespace, last.Name)
		}
	}
}

// holding is what a claim has by a record.
type holding struct {
	namespace string
	mode      v1alpha1.Mode
}

func holdersOf(pool *v1alpha1.ENIPool) map[types.UID]holding {
	holders := map[types.UID]holding{}
	if pool == nil {
		return holders
	}
	for _, entry := range pool.Status.Addresses {
		if entry.State == v1alpha1.HolderAllocated && entry.Claim != nil {
			holders[entry.Claim.UID] = holding{entry.Claim.Namespace, v1alpha1.ModeShared}
		}
	}
	for _, entry := range pool.Status.ENIs {
		if entry.Claim != nil {
			holders[entry.Claim.UID] = holding{entry.Claim.Namespace, v1alpha1.ModeExclusive}
		}
	}
	return holders
}

// shareOf is how much a namespace has of a pool in a mode, what rests included, and the most
// that it may have; nil: all.
func shareOf(namespace string, mode v1alpha1.Mode, pool *v1alpha1.ENIPool) (taken int32, most *int32) {
	for _, h := range holdersOf(pool) {
		if h.namespace == namespace && h.mode == mode {
			taken++
		}
	}
	if mode == v1alpha1.ModeExclusive {
		if pool.Spec.Exclusive != nil {
			most = pool.Spec.Exclusive.MaximumPerNamespace
		}
		return taken, most
	}
	for _, entry := range pool.Status.Addresses {
		if entry.State == v1alpha1.HolderCooling && entry.Claim != nil && entry.Claim.Namespace == namespace {
			taken++
		}
	}
	if pool.Spec.Shared != nil {
		most = pool.Spec.Shared.MaximumPerNamespace
	}
	return taken, most
}
