/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

const (
	// Finalizer keeps a resource until what it stands for is gone: an ENI until
	// EC2 says so, a pool until its ENIs are gone, a claim until its address is
	// back in the pool.
	Finalizer = "networking.eni-operator.dev/finalizer"

	// PausedAnnotation stops every change of the object's counterpart in EC2
	// while it is present with the value "true".
	PausedAnnotation = "networking.eni-operator.dev/paused"

	// TraceparentAnnotation names the span, in the form of W3C Trace Context, that
	// asked for the object's latest change: what the operator does for it belongs to
	// the same trace. The operator puts it on ENIs while it is traced; whoever makes a
	// claim may put it there.
	TraceparentAnnotation = "networking.eni-operator.dev/traceparent"

	// ExcludeFromBackupLabel keeps operator-made objects out of Velero's
	// backups: restored, they would stand for ENIs that no longer exist.
	ExcludeFromBackupLabel = "velero.io/exclude-from-backup"

	// ManagedByLabel with the value ManagedByOperator is on the pools and ENIs that
	// the operator makes. Admission asks nothing of them when they are made or changed,
	// so that nothing can stand in the operator's own way.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	// ManagedByOperator is the value of ManagedByLabel on objects of the operator.
	ManagedByOperator = "eni-operator"

	// DeleteInUseAnnotation with the value "true" lets a policy, a pool or an ENI be
	// deleted while claims hold something of it. Nothing is taken from them: it takes
	// no new claims, and goes when the last one is released.
	DeleteInUseAnnotation = "networking.eni-operator.dev/delete-in-use"
)

// OperatorLabels are the labels of the pools and ENIs that the operator makes.
func OperatorLabels() map[string]string {
	return map[string]string{ExcludeFromBackupLabel: "true", ManagedByLabel: ManagedByOperator}
}
