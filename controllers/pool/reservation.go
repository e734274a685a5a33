/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"cmp"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ipam"
)

// What trusts an address, such as a rule of a firewall, must not come to trust another tenant
// who asks for it by name. So a released address is reserved for a while once it has rested:
// by name only its last holder's namespace gets it. To the pool it is free: claims that ask
// for no address in particular get it, last of all, and it goes back to the subnet like others.

// reservedTidy is how often a record is written at most just to drop reservations that are
// over and that no claim waits for.
const reservedTidy = time.Minute

// reserve keeps a rested address for the namespace that released it.
func (h *holders) reserve(o observation, entry *v1alpha1.PoolAddress) {
	if entry.Claim == nil || o.reserveFor() <= 0 {
		return
	}
	h.reserved[entry.Address] = &v1alpha1.PoolAddress{
		Address: entry.Address, ENIName: entry.ENIName, State: v1alpha1.HolderReserved, Claim: entry.Claim, Since: restingFrom(o.now),
	}
}

// expireReservations drops those that are over. A pool that takes no new claims has none.
func (h *holders) expireReservations(o observation) {
	for address, entry := range h.reserved {
		entry.Since = sane(entry.Since, o.now, o.reserveFor())
		if o.draining() || !o.now.Before(o.reservedUntil(entry)) {
			delete(h.reserved, address)
		}
	}
}

// reservedFromOthers reports whether a claim cannot have an address that it asks for, since it is
// reserved for another namespace.
func (h *holders) reservedFromOthers(claim *v1alpha1.ENIClaim, address v1alpha1.Address) bool {
	entry := h.reserved[address]
	return entry != nil && entry.Claim.Namespace != claim.Namespace
}

// reservedLast orders candidates so that reserved addresses come last, and returns how many
// others there are.
func (h *holders) reservedLast(free []ipam.Candidate) (ordered []ipam.Candidate, others int) {
	isReserved := func(c ipam.Candidate) bool { return h.reserved[c.Address] != nil }
	others = len(free)
	for _, candidate := range free {
		if isReserved(candidate) {
			ordered = append(ordered, candidate)
			others--
		}
	}
	return append(slices.DeleteFunc(free, isReserved), ordered...), others
}

// reservedFirst orders parts so that those with reserved addresses come first, which are the
// last to be given back.
func (h *holders) reservedFirst(parts []part) []part {
	rank := func(p part) int {
		if slices.ContainsFunc(p.addresses, func(address v1alpha1.Address) bool { return h.reserved[address] != nil }) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(rank(a), rank(b)) })
	return parts
}

// nextUnreserved is how long it takes until the end of a reservation changes something: for a
// claim that waits for it, or for the record.
func (h *holders) nextUnreserved(o observation) time.Duration {
	var next time.Duration
	for address, entry := range h.reserved {
		least := reservedTidy
		if slices.ContainsFunc(h.waiting, func(claim *v1alpha1.ENIClaim) bool {
			return claim.Spec.Address != nil && *claim.Spec.Address == address
		}) {
			least = time.Millisecond
		}
		next = soonest(next, max(o.reservedUntil(entry).Sub(o.now), least))
	}
	return next
}

// reservedUntil is when a reservation ends.
func (o observation) reservedUntil(entry *v1alpha1.PoolAddress) time.Time {
	return entry.Since.Add(o.reserveFor())
}

// reserveFor is how long rested addresses are reserved.
func (o observation) reserveFor() time.Duration {
	if o.pool.Spec.Shared == nil || o.pool.Spec.Shared.ReserveAfterRelease == nil {
		return 0
	}
	return o.pool.Spec.Shared.ReserveAfterRelease.Duration
}
