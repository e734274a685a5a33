/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// told is what this process last stored of each ENI's addresses, by the name of its
// resource. Where the resource shows others, another process changes the ENI too,
// and what this one remembers of EC2 is out of date: two operators may run at once
// by mistake.
type told struct {
	mu    sync.Mutex
	shown map[string]shown
}

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

// forget drops a resource that is gone.
func (t *told) forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.shown, name)
}
