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

	// ExcludeFromBackupLabel keeps operator-made objects out of Velero's
	// backups: restored, they would stand for ENIs that no longer exist.
	ExcludeFromBackupLabel = "velero.io/exclude-from-backup"
)
