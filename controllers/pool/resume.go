/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/index"
)

// observeUnnamed finds bound claims of which the record does not say what they hold. The cached copies of
// the record or of the claims may be older ones, so Kubernetes itself is asked: only if
// its record is this one was the record edited, or an older one restored. The claims are
// then read live for the whole round, since each free address may be held by one of them.
func (r *Reconciler) observeUnnamed(ctx context.Context, pool *v1alpha1.ENIPool, o *observation) error {
	if pool.Status.PoolUID != pool.UID || len(unnamedClaims(pool, o)) == 0 {
		return nil
	}
	if err := r.confirmRecord(ctx, pool); err != nil {
		return err
	}
	list := &v1alpha1.ENIClaimList{}
	if err := r.live.List(ctx, list, client.MatchingFields{index.NodeName: pool.Spec.NodeName}); err != nil {
		return fmt.Errorf("listing the claims of node %s: %w", pool.Spec.NodeName, err)
	}
	if err := r.takeClaims(ctx, pool, list.Items, o); err != nil {
		return err
	}
	o.unnamed = unnamedClaims(pool, o)
	return nil
}

// unnamedClaims are the UIDs of bound claims that say what they hold, and that the record
// does not name, or names as holders of what the pool has not any more.
func unnamedClaims(pool *v1alpha1.ENIPool, o *observation) map[types.UID]bool {
	named := namedClaims(&pool.Status)
	unnamed := map[types.UID]bool{}
	for i := range o.claims {
		claim := &o.claims[i]
		place, known := named[claim.UID]
		bound := claim.Status.Phase == v1alpha1.ClaimBound && claim.Status.Address != "" && claim.Status.ENIName != ""
		if !bound || !claim.DeletionTimestamp.IsZero() {
			continue
		}
		if !known || o.past(&pool.Status, place) && o.shows(claim) {
			unnamed[claim.UID] = true
		}
	}
	return unnamed
}

// place is where the record has something that a claim holds. Whole ENIs have no address.
type place struct {
	eni     string
	address v1alpha1.Address
}

// namedClaims are the places of which the record says that claims hold them, by the
// claims' UIDs.
func namedClaims(record *v1alpha1.ENIPoolStatus) map[types.UID]place {
	named := map[types.UID]place{}
	for i := range record.Addresses {
		entry := &record.Addresses[i]
		if holder := holderOf(entry); holder != nil {
			named[holder.UID] = place{eni: entry.ENIName, address: entry.Address}
		}
	}
	for i := range record.ENIs {
		if entry := &record.ENIs[i]; entry.Claim != nil {
			named[entry.Claim.UID] = place{eni: entry.Name}
		}
	}
	return named
}

// holderOf returns the claim that holds an address. An entry of one that rests, or is on
// its way back, names the claim that held it last.
func holderOf(entry *v1alpha1.PoolAddress) *v1alpha1.ClaimReference {
	if entry.State != v1alpha1.HolderAllocated {
		return nil
	}
	return entry.Claim
}

// past reports whether a place is one that was: its ENI has another resource than the
// record knows, or shows neither the address nor that it vanished.
func (o *observation) past(record *v1alpha1.ENIPoolStatus, at place) bool {
	eni := o.eni(at.eni)
	switch {
	case eni == nil:
		return false
	case !standsFor(entryOf(record, at.eni), eni):
		return true
	case at.address == "" || eni.Status.NetworkInterfaceID == "":
		return false
	}
	noted := slices.Concat(eni.Status.Missing, eni.Status.Lost, eni.Spec.Reclaim)
	return !slices.Contains(offered(eni), at.address) && !covered(noted, at.address)
}

// shows reports whether the ENI that a claim names is, by its resource of now, the one
// that the claim was told, and has what the claim was told.
func (o *observation) shows(claim *v1alpha1.ENIClaim) bool {
	eni := o.eni(claim.Status.ENIName)
	if eni == nil || gone(eni) || eni.Status.NetworkInterfaceID == "" || eni.Status.NetworkInterfaceID != claim.Status.NetworkInterfaceID {
		return false
	}
	return claim.Spec.Mode == v1alpha1.ModeExclusive || slices.Contains(offered(eni), v1alpha1.Address(claim.Status.Address))
}

// resume enters what unnamed claims say to hold, before anything of it can be given to
// other claims or back to EC2. What the record says that another claim holds stays that
// one's. Only then ENIs that the record did not know are set aside.
func (h *holders) resume(o observation) {
	if o.recordLost() {
		return // The rebuild did all this.
	}
	for _, claim := range boundFirst(o.claims) {
		if !o.unnamed[claim.UID] {
			continue
		}
		h.replaceEntry(o, claim)
		if !h.bears(claim) || h.heldByOther(o, claim) {
			continue
		}
		h.withdraw(claim)
		entry := h.enis[claim.Status.ENIName]
		if entry.Mode == v1alpha1.ModeExclusive {
			entry.Claim = referenceTo(claim)
			entry.CoolingSince = nil
			continue
		}
		h.put(v1alpha1.Address(claim.Status.Address), entry.Name, v1alpha1.HolderAllocated, referenceTo(claim), o.now)
	}
	for _, name := range h.adopted {
		h.distrust(o, name, h.resources[name])
	}
}

// withdraw drops what the record says that a claim holds.
func (h *holders) withdraw(claim *v1alpha1.ENIClaim) {
	for address, entry := range h.addresses {
		if holder := holderOf(entry); holder != nil && holder.UID == claim.UID {
			delete(h.addresses, address)
		}
	}
	for _, entry := range h.enis {
		if entry.Claim != nil && entry.Claim.UID == claim.UID {
			entry.Claim = nil
		}
	}
}

// replaceEntry has the entry of an earlier resource stand for the one that a claim holds,
// if no claim that exists holds anything of the earlier one.
func (h *holders) replaceEntry(o observation, claim *v1alpha1.ENIClaim) {
	name := claim.Status.ENIName
	stranger := h.strangers[name]
	if stranger == nil || stranger.Status.NetworkInterfaceID != claim.Status.NetworkInterfaceID {
		return
	}
	exists := func(holder *v1alpha1.ClaimReference) bool {
		return holder != nil && !o.vanished[string(holder.UID)] && !o.unnamed[holder.UID]
	}
	for _, entry := range h.addresses {
		if entry.ENIName == name && exists(holderOf(entry)) {
			return
		}
	}
	if exists(h.enis[name].Claim) {
		return
	}
	delete(h.strangers, name)
	h.adopt(o, stranger)
}

// bears reports whether an ENI of the pool has what a claim says to hold, as far as the
// ENI's status tells, and is not being given back with it.
func (h *holders) bears(claim *v1alpha1.ENIClaim) bool {
	name, address := claim.Status.ENIName, v1alpha1.Address(claim.Status.Address)
	eni := h.resources[name]
	if !h.alive(name) || eni.Spec.Drained || h.enis[name].Mode != claim.Spec.Mode || covered(eni.Spec.Release, address) {
		return false
	}
	status := &eni.Status
	if status.NetworkInterfaceID == "" {
		return true // A status that was wiped names no ENI.
	}
	if claim.Status.NetworkInterfaceID != "" && claim.Status.NetworkInterfaceID != status.NetworkInterfaceID {
		return false
	}
	return claim.Spec.Mode == v1alpha1.ModeExclusive || slices.Contains(offered(eni), address) || covered(status.Missing, address)
}

// heldByOther reports whether the record says that another claim holds what a claim says
// to hold. A holder that is gone, lost it or expired holds nothing any more.
func (h *holders) heldByOther(o observation, claim *v1alpha1.ENIClaim) bool {
	holder := h.enis[claim.Status.ENIName].Claim
	if entry := h.addresses[v1alpha1.Address(claim.Status.Address)]; entry != nil {
		holder = holderOf(entry)
	}
	if holder == nil || holder.UID == claim.UID || o.vanished[string(holder.UID)] {
		return false
	}
	other := h.claims[string(holder.UID)]
	return other == nil || (other.Status.Phase != v1alpha1.ClaimLost && other.Status.Phase != v1alpha1.ClaimExpired)
}
