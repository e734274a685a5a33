/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"encoding/json"
	"hash/fnv"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// told is what this process last stored of each ENI's addresses, by the name of its
// resource. Where the resource shows others, another process changes the ENI too,
// and what this one remembers of EC2 is out of date: two operators may run at once
// by mistake.
type told struct {
	mu    sync.Mutex
	shown map[string]shown
	// coming are the sums of the statuses that this process stored and the cache has not
	// shown yet, by name, the oldest first.
	coming map[string][]uint64
}

// mostComing bounds what is kept of an ENI whose cache does not show each status.
const mostComing = 2 * maxSteps

// shown is what a resource shows of its ENI's addresses.
type shown struct {
	uid   types.UID
	names []v1alpha1.AddressOrPrefix
}

func shownBy(eni *v1alpha1.ElasticNetworkInterface) shown {
	return shown{uid: eni.UID, names: namesOf(eni.Status.Addresses, eni.Status.Prefixes)}
}

// changed says whether somebody else stored what the resource shows. What it shows
// at first is what there is to go on from.
func (t *told) changed(eni *v1alpha1.ElasticNetworkInterface) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, now := t.shown[eni.Name], shownBy(eni)
	t.set(eni.Name, now)
	return before.uid == now.uid && !slices.Equal(before.names, now.names)
}

// stored notes what came of storing a status. After an unclear outcome the resource
// itself tells which it was.
func (t *told) stored(eni *v1alpha1.ElasticNetworkInterface, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil:
		t.set(eni.Name, shownBy(eni))
	case !apierrors.IsConflict(err):
		delete(t.shown, eni.Name)
	}
}

func (t *told) set(name string, now shown) {
	if t.shown == nil {
		t.shown = map[string]shown{}
	}
	t.shown[name] = now
}

// sumOf is the same for statuses that read the same.
func sumOf(eni *v1alpha1.ElasticNetworkInterface) uint64 {
	sum := fnv.New64a()
	_ = json.NewEncoder(sum).Encode(&eni.Status) // It cannot fail: the API server takes the same.
	return sum.Sum64()
}

// storing notes a status that is to be stored.
func (t *told) storing(eni *v1alpha1.ElasticNetworkInterface) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.coming == nil {
		t.coming = map[string][]uint64{}
	}
	coming := append(t.coming[eni.Name], sumOf(eni))
	t.coming[eni.Name] = coming[max(len(coming)-mostComing, 0):]
}

// notStored takes back the last storing.
func (t *told) notStored(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if coming := t.coming[name]; len(coming) > 0 {
		t.coming[name] = coming[:len(coming)-1]
	}
}

// foreign reports whether a status that the cache shows now was stored by another than
// this process.
func (t *told) foreign(eni *v1alpha1.ElasticNetworkInterface) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := slices.Index(t.coming[eni.Name], sumOf(eni))
	if at < 0 {
		return true
	}
	t.coming[eni.Name] = slices.Delete(t.coming[eni.Name], 0, at+1)
	return false
}

// statusOfOthers passes updates that bring a status of which this process knows nothing:
// somebody edited or restored it, and it may be wrong.
func (t *told) statusOfOthers() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*v1alpha1.ElasticNetworkInterface)
		after, okAfter := e.ObjectNew.(*v1alpha1.ElasticNetworkInterface)
		return okBefore && okAfter && !equality.Semantic.DeepEqual(before.Status, after.Status) && t.foreign(after)
	}}
}

// forget drops a resource that is gone.
func (t *told) forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.shown, name)
	delete(t.coming, name)
}
