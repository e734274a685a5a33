/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// idle is what the pool could give back of its surplus.
type idle struct {
	// enis are those that nobody holds anything of.
	enis []string
	// parts of other ENIs, by ENI.
	parts map[string][]part
	// shared is the number of addresses in all of that, exclusive the number of
	// exclusive ENIs.
	shared, exclusive int32
}

// shrink moves what is idle to Releasing once the pool has had a surplus for long
// enough. It returns since when it has one, and when to look again.
func (h *holders) shrink(o observation, s *sizing) (*metav1.Time, time.Duration) {
	if o.draining() {
		return nil, 0
	}
	if !o.limits.known {
		return o.pool.Status.SurplusSince, 0 // What the pool has of use is not known.
	}
	found := h.findIdle(s.sharedSupply-s.sharedDesired, s.exclusiveSupply-s.exclusiveDesired)
	if found.shared == 0 && found.exclusive == 0 && len(found.enis) == 0 {
		return nil, 0
	}
	since := metav1.NewTime(o.now)
	if stored := o.pool.Status.SurplusSince; stored != nil {
		since = sane(*stored, o.now, o.idleReleaseAfter())
	}
	if left := o.idleReleaseAfter() - o.now.Sub(since.Time); left > 0 {
		return &since, left
	}
	h.drop(found, o.now)
	s.sharedSupply -= found.shared
	s.exclusiveSupply -= found.exclusive
	return nil, 0
}

// findIdle looks for a surplus of addresses and exclusive ENIs that may go now.
func (h *holders) findIdle(shared, exclusive int32) idle {
	found := idle{parts: map[string][]part{}}
	h.findIdleENIs(&found, exclusive)
	uses := h.uses()
	for _, name := range h.leastUsed(uses) {
		eni := h.resources[name]
		size := h.size(eni)*unitOf(eni) - uses[name].aside - h.blocked(name)
		needless := (found.shared < shared || size == 0) && found.shared+size <= shared
		if needless && uses[name].held+uses[name].resting == 0 {
			found.enis = append(found.enis, name)
			found.shared += size
			continue
		}
		for _, p := range slices.Backward(h.reservedFirst(h.freeParts(name))) {
			if gives := int32(len(p.addresses)); found.shared+gives <= shared { //nolint:gosec // 1 or 16
				found.parts[name] = append(found.parts[name], p)
				found.shared += gives
			}
		}
	}
	return found
}

// findIdleENIs looks for exclusive ENIs that nobody holds, the newest names first.
func (h *holders) findIdleENIs(found *idle, surplus int32) {
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(h.enis))) {
		entry := h.enis[name]
		if found.exclusive < surplus && entry.Mode == v1alpha1.ModeExclusive && entry.State == v1alpha1.PoolENIActive &&
			entry.Claim == nil && entry.CoolingSince == nil {
			found.enis = append(found.enis, name)
			found.exclusive++
		}
	}
}

// leastUsed are the names of shared ENIs, those with the fewest claims first.
func (h *holders) leastUsed(uses map[string]use) []string {
	var names []string
	for name, entry := range h.enis {
		if h.resources[name] != nil && entry.Mode == v1alpha1.ModeShared && entry.State == v1alpha1.PoolENIActive {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(uses[a].held, uses[b].held), strings.Compare(b, a))
	})
	return names
}

// drop gives back what is idle: there is no way back from here.
func (h *holders) drop(found idle, now time.Time) {
	for _, name := range found.enis {
		h.enis[name].State = v1alpha1.PoolENIReleasing
	}
	for name, parts := range found.parts {
		for _, p := range parts {
			for _, address := range p.addresses {
				h.put(address, name, v1alpha1.HolderReleasing, nil, now)
			}
		}
	}
}
