/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// judgeSurplus looks at a record that forgets since when the pool has a surplus, though
// nothing else of the record changes. A pool that serves nobody any more has no surplus.
func (r *Referee) judgeSurplus(before, after *v1alpha1.ENIPool) {
	if before == nil || before.Status.SurplusSince == nil || after.Status.SurplusSince != nil || !after.DeletionTimestamp.IsZero() {
		return
	}
	if node := r.nodeNamed(after.Name); node == nil || r.governing(node.Labels) == nil || InstanceOf(node) != after.Spec.InstanceID {
		return
	}
	if after.Spec.PolicyName == "" || !r.world.Living(after.Spec.InstanceID) || !equality.Semantic.DeepEqual(before.Spec, after.Spec) {
		return
	}
	if equality.Semantic.DeepEqual(holdingsOf(before), holdingsOf(after)) {
		r.foul(SurplusTimed, string(after.UID), "the pool of node %s has had a surplus since %s, has the same as before, and begins to count again",
			after.Name, before.Status.SurplusSince.UTC())
	}
}

// holdingsOf is what a record says that a pool has and needs.
func holdingsOf(pool *v1alpha1.ENIPool) v1alpha1.ENIPoolStatus {
	status := &pool.Status
	return v1alpha1.ENIPoolStatus{PoolUID: status.PoolUID, ENIs: status.ENIs, Addresses: status.Addresses, Shared: status.Shared, Exclusive: status.Exclusive}
}
