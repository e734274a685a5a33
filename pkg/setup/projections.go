/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// The caches keep projections of what others write: only what the operator reads. They are
// never written back, since of these kinds the operator patches single fields and updates
// statuses, of which Kubernetes takes nothing else.

// slimNode drops what the operator does not read of a Node: most of it.
func slimNode(object any) (any, error) {
	if node, ok := object.(*corev1.Node); ok {
		node.ManagedFields = nil
		node.Annotations = nil
		node.Status = corev1.NodeStatus{}
	}
	return object, nil
}

// slimNamespace drops all of a Namespace but its labels, by which policies select it, and
// whether it ends.
func slimNamespace(object any) (any, error) {
	if namespace, ok := object.(*corev1.Namespace); ok {
		namespace.ManagedFields = nil
		namespace.Annotations = nil
		namespace.Status.Conditions = nil
	}
	return object, nil
}

// slimClaim drops what tenants write on a claim for themselves. Of its annotations the trace
// is read. Of other kinds it drops who changed which field.
func slimClaim(object any) (any, error) {
	object, err := cache.TransformStripManagedFields()(object)
	if claim, ok := object.(*v1alpha1.ENIClaim); ok {
		claim.Labels = nil
		claim.OwnerReferences = nil
		maps.DeleteFunc(claim.Annotations, func(key, _ string) bool { return key != v1alpha1.TraceparentAnnotation })
	}
	return object, err
}
