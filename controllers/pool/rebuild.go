/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// rebuild makes the record anew from the claims' own status after it was lost
// (protocol 3). Nothing of the old record is believed, nor are copies of the ENIs
// that are older than these; what no claim says to hold has an owner that nobody
// can name.
func (h *holders) rebuild(o observation) {
	for _, claim := range boundFirst(o.claims) {
		h.enterUnshown(o, claim)
		entry, address := h.enis[claim.Status.ENIName], v1alpha1.Address(claim.Status.Address)
		switch {
		case claim.Status.Phase != v1alpha1.ClaimBound || entry == nil || !h.isOf(o, claim):
		case entry.Mode == v1alpha1.ModeExclusive && entry.Claim == nil:
			entry.Claim = referenceTo(claim)
		case entry.Mode == v1alpha1.ModeShared && address != "" && h.addresses[address] == nil:
			h.put(address, entry.Name, v1alpha1.HolderAllocated, referenceTo(claim), o.now)
		}
	}
	for _, name := range h.shown() {
		eni := h.resources[name]
		h.enis[name].Generation = eni.Generation
		h.distrust(o, name, eni)
	}
}

// isOf reports whether an entry stands for the ENI that a claim was told, and not for a later
// one of its name. Where a resource names another ENI, EC2 decides: the status may be wrong.
func (h *holders) isOf(o observation, claim *v1alpha1.ENIClaim) bool {
	name, told := claim.Status.ENIName, claim.Status.NetworkInterfaceID
	if h.enis[name].Mode != claim.Spec.Mode {
		return false
	}
	eni := h.resources[name]
	if eni == nil || eni.Status.NetworkInterfaceID == "" || told == "" || eni.Status.NetworkInterfaceID == told {
		return true
	}
	return o.standing[told].carries(v1alpha1.Address(claim.Status.Address))
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

// oldestFirst orders claims by age. Among those of one second the UID decides, which nobody
// can choose.
func oldestFirst(a, b *v1alpha1.ENIClaim) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.UID, b.UID))
}

// distrust sets everything of an ENI aside that no claim says to hold: a whole
// exclusive ENI, or the addresses of a shared one. Its resource may not show yet, or not
// show any more, what EC2 has.
func (h *holders) distrust(o observation, name string, eni *v1alpha1.ElasticNetworkInterface) {
	entry := h.enis[name]
	carried, exists := o.unrecorded[name]
	if entry.Mode == v1alpha1.ModeExclusive {
		if entry.Claim == nil && (eni.Status.NetworkInterfaceID != "" || exists) {
			entry.State = v1alpha1.PoolENIReleasing
		}
		return
	}
	for _, address := range slices.Concat(offered(eni), carried) {
		if h.addresses[address] == nil {
			h.put(address, name, v1alpha1.HolderQuarantined, nil, o.now)
		}
	}
}

// observeUnrecorded finds out what EC2 has of ENIs that the record does not know: their
// resources may have lost their status together with the record.
func (r *Reconciler) observeUnrecorded(_ context.Context, pool *v1alpha1.ENIPool, o *observation) error {
	lost := pool.Status.PoolUID != pool.UID
	o.unrecorded = map[string][]v1alpha1.Address{}
	for i := range o.enis {
		resource := &o.enis[i]
		recorded := slices.ContainsFunc(pool.Status.ENIs, func(entry v1alpha1.PoolENI) bool { return entry.Name == resource.Name })
		if recorded && !lost {
			continue
		}
		eni, known := r.inventory.ENI(r.inventory.OwnedBy(string(resource.UID)))
		if !known || resource.Primary() {
			continue // The addresses of a primary ENI are not all the pool's.
		}
		carried := as[v1alpha1.Address](eni.Addresses)
		for _, prefix := range eni.Prefixes {
			carried = append(carried, addressesIn(v1alpha1.Prefix(prefix))...)
		}
		o.unrecorded[resource.Name] = carried
	}
	return nil
}
