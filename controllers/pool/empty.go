/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"sync"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// emptyENIs are the ENIs that take no new claims, by a pool's record, and of which nobody
// holds anything.
func emptyENIs(pool *v1alpha1.ENIPool) []string {
	var names []string
	for i := range pool.Status.ENIs {
		entry := &pool.Status.ENIs[i]
		if entry.State == v1alpha1.PoolENIDraining && entry.CoolingSince == nil && len(pool.Status.HoldersOf(entry.Name)) == 0 {
			names = append(names, entry.Name)
		}
	}
	return names
}

// sightings are since when this process has seen the ENIs of each pool in a state. After
// a failover they are counted from its beginning.
type sightings struct {
	mu     sync.Mutex
	byPool map[string]map[string]time.Time
}

// elapsed returns for how long ENIs of a pool have been seen, and forgets its others.
func (s *sightings) elapsed(pool string, names []string, now time.Time) map[string]time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	elapsed := make(map[string]time.Duration, len(names))
	kept := make(map[string]time.Time, len(names))
	for _, name := range names {
		since, known := s.byPool[pool][name]
		if !known {
			since = now
		}
		kept[name] = since
		elapsed[name] = now.Sub(since)
	}
	if s.byPool == nil {
		s.byPool = map[string]map[string]time.Time{}
	}
	s.byPool[pool] = kept
	if len(kept) == 0 {
		delete(s.byPool, pool)
	}
	return elapsed
}
