/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// rebuild makes the record anew from the claims' own status after it was lost
// (protocol 3). Nothing of the old record is believed, nor are copies of the ENIs
// that are older than these; what no claim says to hold has an owner that nobody
// can name.
func (h *holders) rebuild(o observation) {
	for _, claim := range boundFirst(o.claims) {
		h.enterStanding(o, claim)
		entry, address := h.enis[claim.Status.ENIName], v1alpha1.Address(claim.Status.Address)
		switch {
		case claim.Status.Phase != v1alpha1.ClaimBound || entry == nil:
		case entry.Mode == v1alpha1.ModeExclusive && entry.Claim == nil:
			entry.Claim = referenceTo(claim)
		case entry.Mode == v1alpha1.ModeShared && address != "" && h.addresses[address] == nil:
			h.put(address, entry.Name, v1alpha1.HolderAllocated, referenceTo(claim), o.now)
		}
	}
	for name, eni := range h.resources {
		h.enis[name].Generation = eni.Generation
		h.distrust(name, eni, o.now)
	}
}

// boundFirst sorts claims by when they were bound: should two of them say to hold
// the same, the first one does.
func boundFirst(claims []v1alpha1.ENIClaim) []*v1alpha1.ENIClaim {
	sorted := make([]*v1alpha1.ENIClaim, 0, len(claims))
	for i := range claims {
		sorted = append(sorted, &claims[i])
	}
	slices.SortFunc(sorted, func(a, b *v1alpha1.ENIClaim) int {
		return cmp.Or(boundAt(a).Compare(boundAt(b)), oldestFirst(a, b))
	})
	return sorted
}

func boundAt(claim *v1alpha1.ENIClaim) time.Time {
	if claim.Status.BoundAt == nil {
		return time.Time{}
	}
	return claim.Status.BoundAt.Time
}

func oldestFirst(a, b *v1alpha1.ENIClaim) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

// distrust sets everything of an ENI aside that no claim says to hold: a whole
// exclusive ENI, or the addresses of a shared one.
func (h *holders) distrust(name string, eni *v1alpha1.ElasticNetworkInterface, now time.Time) {
	entry := h.enis[name]
	if entry.Mode == v1alpha1.ModeExclusive {
		if entry.Claim == nil && eni.Status.NetworkInterfaceID != "" {
			entry.State = v1alpha1.PoolENIReleasing
		}
		return
	}
	for _, part := range partsOf(eni) {
		for _, address := range part.addresses {
			if h.addresses[address] == nil {
				h.put(address, name, v1alpha1.HolderQuarantined, nil, now)
			}
		}
	}
}
