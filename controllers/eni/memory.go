/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// memory is what this process did or saw itself about each ENI, by the name of its
// resource. Nothing of it is needed after a restart: what it holds back is then tried
// once more.
type memory struct {
	mu  sync.Mutex
	own map[string]*remembered
}

type remembered struct {
	uid types.UID
	// deletionSeen is when the deletion of the resource was first seen.
	deletionSeen time.Time
	// deletedAt is when EC2 accepted a Delete.
	deletedAt time.Time
}

// of returns what is remembered of an ENI; m.mu is held.
func (m *memory) of(eni *v1alpha1.ElasticNetworkInterface) *remembered {
	if m.own == nil {
		m.own = map[string]*remembered{}
	}
	if known, ok := m.own[eni.Name]; !ok || known.uid != eni.UID {
		m.own[eni.Name] = &remembered{uid: eni.UID}
	}
	return m.own[eni.Name]
}

// deletionSeen returns when the deletion of a resource was first seen: now, if it was
// not seen before.
func (m *memory) deletionSeen(eni *v1alpha1.ElasticNetworkInterface, now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.of(eni)
	if known.deletionSeen.IsZero() {
		known.deletionSeen = now
	}
	return known.deletionSeen
}

// deleted notes that EC2 accepted a Delete.
func (m *memory) deleted(eni *v1alpha1.ElasticNetworkInterface, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(eni).deletedAt = now
}

// deletedWithin reports whether EC2 accepted a Delete not longer ago than that.
func (m *memory) deletedWithin(eni *v1alpha1.ElasticNetworkInterface, now time.Time, window time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.of(eni)
	return !known.deletedAt.IsZero() && now.Sub(known.deletedAt) < window
}

// forget drops what is remembered of an ENI.
func (m *memory) forget(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.own, name)
}
