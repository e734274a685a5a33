/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// noLongerUrgent is how long a call may still have the priority of a claim that does not wait
// any more: it was decided on a copy of the claim.
const noLongerUrgent = 2 * time.Minute

// Urgent is to be called when a call is sent with the priority of what a claim waits for.
func (r *Referee) Urgent(client, action string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, claim := range r.world.Claims {
		if waitsForGrowth(claim) {
			return
		}
	}
	if r.calmFor >= noLongerUrgent && time.Since(r.growthWaited) >= noLongerUrgent {
		r.foul(UrgentWanted, client+" "+action, "%s sends %s before all others, and no claim has waited for its pool to grow since %s",
			client, action, r.growthWaited.UTC())
	}
}

// noteGrowth takes note of a claim that waits for its pool to grow, or did.
func (r *Referee) noteGrowth(before, after *v1alpha1.ENIClaim) {
	if waitsForGrowth(before) || waitsForGrowth(after) {
		r.growthWaited = time.Now()
	}
}

// waitsForGrowth reports whether a claim waits for what its pool takes from EC2, as far as
// its status says. The others wait until something else changes.
func waitsForGrowth(claim *v1alpha1.ENIClaim) bool {
	if claim == nil || (claim.Status.Phase != "" && claim.Status.Phase != v1alpha1.ClaimPending) {
		return false
	}
	ready := meta.FindStatusCondition(claim.Status.Conditions, "Ready")
	return ready == nil || ready.Reason == "PoolGrowing"
}
