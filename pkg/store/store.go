/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package store writes objects to Kubernetes the way all controllers of the
// operator do: with the resource version that was read, only when something
// changed, and taking a conflict for what it is: a reason to read again.
package store

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/events"
)

// UpdateStatus writes the status of after if it differs from before's, says
// whether it did, and announces what was stored.
func UpdateStatus(ctx context.Context, c client.Client, publisher events.Publisher, before, after client.Object) (bool, error) {
	if equality.Semantic.DeepEqual(before, after) {
		return false, nil
	}
	makeRoom(after)
	if err := c.Status().Update(ctx, after); err != nil {
		return true, err
	}
	events.Announce(ctx, publisher, events.Stored(before, after))
	return true, nil
}

// Update writes after if it differs from before.
func Update(ctx context.Context, c client.Client, before, after client.Object) (bool, error) {
	if equality.Semantic.DeepEqual(before, after) {
		return false, nil
	}
	return true, c.Update(ctx, after)
}

// AddFinalizer puts our finalizer on an object, and says whether it had to.
func AddFinalizer(ctx context.Context, c client.Client, object client.Object) (bool, error) {
	before := object.DeepCopyObject().(client.Object) //nolint:forcetypeassert // a copy has the same type
	if !controllerutil.AddFinalizer(object, v1alpha1.Finalizer) {
		return false, nil
	}
	return true, patch(ctx, c, before, object)
}

// RemoveFinalizer takes our finalizer off an object, and announces that. An object
// that is gone already is no error.
func RemoveFinalizer(ctx context.Context, c client.Client, publisher events.Publisher, object client.Object) error {
	before := object.DeepCopyObject().(client.Object) //nolint:forcetypeassert // a copy has the same type
	if !controllerutil.RemoveFinalizer(object, v1alpha1.Finalizer) {
		return nil
	}
	if err := patch(ctx, c, before, object); err != nil {
		return client.IgnoreNotFound(err)
	}
	events.Announce(ctx, publisher, events.Finished(object))
	return nil
}

func patch(ctx context.Context, c client.Client, before, after client.Object) error {
	return c.Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}
