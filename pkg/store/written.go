/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package store

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/events"
)

// mostWritten bounds what is kept of an object of which the cache does not show each
// status.
const mostWritten = 24

// Written knows the statuses that this process stored, until the cache shows them. A
// status that the cache shows and that is none of them was edited or restored by somebody else.
// The zero value is ready to use.
type Written struct {
	mu sync.Mutex
	// sums are those of the statuses to come, by object, the oldest first.
	sums map[types.UID][]uint64
}

// UpdateStatus is UpdateStatus of this package, and takes note of what it stores.
func (w *Written) UpdateStatus(ctx context.Context, c client.Client, publisher events.Publisher, before, after client.Object) (bool, error) {
	w.expect(after)
	wrote, err := UpdateStatus(ctx, c, publisher, before, after)
	if !wrote || apierrors.IsConflict(err) {
		w.takeBack(after.GetUID())
	}
	return wrote, err
}

// ByOthers passes updates that bring a status of which this process knows nothing, or that
// take our finalizer off an object which is not being deleted, and nothing else.
func (w *Written) ByOthers() predicate.Predicate {
	none := predicate.NewPredicateFuncs(func(client.Object) bool { return false })
	return predicate.Funcs{
		CreateFunc:  none.Create,
		GenericFunc: none.Generic,
		UpdateFunc: func(e event.UpdateEvent) bool {
			foreign := sumOf(e.ObjectOld) != sumOf(e.ObjectNew) && !w.shown(e.ObjectNew)
			return foreign || losesFinalizer(e)
		},
		DeleteFunc: func(e event.DeleteEvent) bool {
			w.forget(e.Object.GetUID())
			return false
		},
	}
}

// losesFinalizer reports whether an update leaves an object without our finalizer, so
// that its deletion would wait for nothing.
func losesFinalizer(e event.UpdateEvent) bool {
	had := controllerutil.ContainsFinalizer(e.ObjectOld, v1alpha1.Finalizer)
	return had && !controllerutil.ContainsFinalizer(e.ObjectNew, v1alpha1.Finalizer) && e.ObjectNew.GetDeletionTimestamp().IsZero()
}

func (w *Written) expect(object client.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sums == nil {
		w.sums = map[types.UID][]uint64{}
	}
	uid := object.GetUID()
	w.sums[uid] = append(w.sums[uid], sumOf(object))
	w.sums[uid] = w.sums[uid][max(len(w.sums[uid])-mostWritten, 0):]
}

// takeBack drops the last status, which was not stored.
func (w *Written) takeBack(uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keep(uid, w.sums[uid][:max(len(w.sums[uid])-1, 0)])
}

// shown reports whether this process stored the status that the cache shows, and drops
// it and what was stored earlier: the cache does not go back.
func (w *Written) shown(object client.Object) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	uid := object.GetUID()
	at := slices.Index(w.sums[uid], sumOf(object))
	if at < 0 {
		return false
	}
	w.keep(uid, w.sums[uid][at+1:])
	return true
}

// keep is all that is still to come of an object; w.mu is held.
func (w *Written) keep(uid types.UID, sums []uint64) {
	if len(sums) == 0 {
		delete(w.sums, uid)
		return
	}
	w.sums[uid] = sums
}

func (w *Written) forget(uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.sums, uid)
}

// sumOf is the same for statuses that Kubernetes stores alike.
func sumOf(object client.Object) uint64 {
	var status any
	switch object := object.(type) {
	case *v1alpha1.ElasticNetworkInterface:
		status = &object.Status
	case *v1alpha1.ENIClaim:
		status = &object.Status
	}
	sum := fnv.New64a()
	_ = json.NewEncoder(sum).Encode(status) // It cannot fail: the client encodes the same.
	return sum.Sum64()
}
