/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"maps"
	"slices"
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
	// short are the refusals for lack of capacity, by subnet.
	short map[string]shortage
	// refused are the names that EC2 refused to assign again, and when at first.
	refused map[v1alpha1.AddressOrPrefix]time.Time
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

// shortages returns the refusals for lack of capacity, by subnet.
func (m *memory) shortages(eni *v1alpha1.ElasticNetworkInterface) map[string]shortage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.of(eni).short)
}

// keepShortages drops all refusals but those that still count.
func (m *memory) keepShortages(eni *v1alpha1.ElasticNetworkInterface, short map[string]shortage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(eni).short = maps.Clone(short)
}

// refusedGrowth notes one more refusal for lack of capacity.
func (m *memory) refusedGrowth(eni *v1alpha1.ElasticNetworkInterface, subnetID string, now shortage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.of(eni)
	if before, again := known.short[subnetID]; again {
		now.times = before.times
		now.refused = min(now.refused, before.refused)
	}
	now.times++
	if known.short == nil {
		known.short = map[string]shortage{}
	}
	known.short[subnetID] = now
}

// grew notes what a subnet has left after a part of what was asked for was taken.
func (m *memory) grew(eni *v1alpha1.ElasticNetworkInterface, subnetID string, left int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.of(eni)
	if short, ok := known.short[subnetID]; ok {
		short.free = left
		known.short[subnetID] = short
	}
}

// forgetShortages drops all refusals for lack of capacity.
func (m *memory) forgetShortages(eni *v1alpha1.ElasticNetworkInterface) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(eni).short = nil
}

// refusedName notes that EC2 refused to assign a name again, and returns since when it
// does.
func (m *memory) refusedName(eni *v1alpha1.ElasticNetworkInterface, name v1alpha1.AddressOrPrefix, now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.of(eni)
	if known.refused == nil {
		known.refused = map[v1alpha1.AddressOrPrefix]time.Time{}
	}
	if _, again := known.refused[name]; !again {
		known.refused[name] = now
	}
	return known.refused[name]
}

// refusedNames returns since when EC2 refuses to assign names again, of those that are
// still to be.
func (m *memory) refusedNames(eni *v1alpha1.ElasticNetworkInterface) map[v1alpha1.AddressOrPrefix]time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.of(eni)
	maps.DeleteFunc(known.refused, func(name v1alpha1.AddressOrPrefix, _ time.Time) bool {
		return !slices.Contains(eni.Spec.Reclaim, name)
	})
	return maps.Clone(known.refused)
}

// forget drops what is remembered of an ENI.
func (m *memory) forget(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.own, name)
}
