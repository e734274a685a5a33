/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package lease

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

const claimKind = "ENIClaim"

// ours reports whether the operator made a Lease: by its label, or by its owner where
// a person took the label off. One that another controller owns is not ours.
func ours(lease *coordinationv1.Lease) bool {
	if owner := metav1.GetControllerOf(lease); owner != nil {
		return owner.Kind == claimKind && owner.APIVersion == v1alpha1.GroupVersion.String()
	}
	return lease.Labels[v1alpha1.LeaseLabel] == "true"
}

// isOf reports whether a Lease of ours is that of this claim, and not of an earlier
// one of the same name.
func isOf(lease *coordinationv1.Lease, claim *v1alpha1.ENIClaim) bool {
	owner := metav1.GetControllerOf(lease)
	return owner == nil || owner.UID == claim.UID
}

// build returns a claim's new Lease. It has no renewal yet.
func build(claim *v1alpha1.ENIClaim) *coordinationv1.Lease {
	return shape(claim, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: claim.Namespace, Name: claim.LeaseName()},
	})
}

// shape returns a copy of a Lease with what the operator keeps of it. The renewal
// is the holder's, and so is the holder's name once it is there.
func shape(claim *v1alpha1.ENIClaim, lease *coordinationv1.Lease) *coordinationv1.Lease {
	shaped := lease.DeepCopy()
	if shaped.Labels == nil {
		shaped.Labels = map[string]string{}
	}
	shaped.Labels[v1alpha1.LeaseLabel], shaped.Labels[v1alpha1.ExcludeFromBackupLabel] = "true", "true"
	if metav1.GetControllerOf(shaped) == nil {
		shaped.OwnerReferences = append(shaped.OwnerReferences, metav1.OwnerReference{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: claimKind, Name: claim.Name, UID: claim.UID, Controller: ptr.To(true),
		})
	}
	if ptr.Deref(shaped.Spec.HolderIdentity, "") == "" {
		shaped.Spec.HolderIdentity = ptr.To(claim.Name)
	}
	shaped.Spec.LeaseDurationSeconds = ptr.To(wholeSeconds(claim.Spec.Lease.Duration.Duration))
	return shaped
}

// wholeSeconds rounds up: a Lease keeps whole seconds.
func wholeSeconds(d time.Duration) int32 {
	return int32((d + time.Second - 1) / time.Second) //nolint:gosec // the schema bounds it
}

func same(a, b *coordinationv1.Lease) bool { return equality.Semantic.DeepEqual(a, b) }

// cleared returns a copy of a Lease that ran out. The annotation says so, because
// holders come and write their names at any time; the label keeps it in the cache.
func cleared(claim *v1alpha1.ENIClaim, lease *coordinationv1.Lease) *coordinationv1.Lease {
	out := shape(claim, lease)
	if out.Annotations == nil {
		out.Annotations = map[string]string{}
	}
	out.Annotations[v1alpha1.LeaseExpiredAnnotation] = string(claim.UID)
	out.Spec.HolderIdentity = nil
	return out
}
