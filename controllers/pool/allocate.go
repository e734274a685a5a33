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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ipam"
)

// allocate serves the claims that wait, in turns.
func (h *holders) allocate(o observation) {
	h.waiting = h.pending(o)
	taken := h.shares()
	if len(h.waiting) > 0 {
		h.serve(o, taken)
	}
	h.coming = withinMaximum(o, o.toCome(), taken)
}

// toCome are the claims that later rounds may serve.
func (o observation) toCome() []*v1alpha1.ENIClaim {
	return slices.DeleteFunc(slices.Clone(o.coming), func(claim *v1alpha1.ENIClaim) bool {
		return o.draining() || !o.offers(claim.Spec.Mode) || !o.allowed[claim.Namespace]
	})
}

// serve gives the claims that wait what they get, and counts what each namespace has then.
func (h *holders) serve(o observation, taken map[share]int32) {
	order := h.fullestFirst()
	free, unreserved := h.reservedLast(h.candidates(append(slices.Clone(order), h.lastResort(o)...)))
	left := h.sharedLeft(o)
	h.waiting = slices.DeleteFunc(inTurns(h.waiting, taken), func(claim *v1alpha1.ENIClaim) bool {
		of := shareOf(claim)
		if taken[of] >= o.mostOf(of.mode) {
			return false
		}
		if of.mode == v1alpha1.ModeExclusive {
			given := h.giveENI(order, claim)
			if given {
				taken[of]++
			}
			return given
		}
		at := h.chosen(o.ipam(), claim, free, unreserved)
		if at < 0 || (left <= 0 && h.enis[free[at].ENI].State != v1alpha1.PoolENIActive) {
			return false
		}
		left--
		taken[of]++
		h.put(free[at].Address, free[at].ENI, v1alpha1.HolderAllocated, referenceTo(claim), o.now)
		free = slices.Delete(free, at, at+1)
		if at < unreserved {
			unreserved--
		}
		return true
	})
	h.waiting = withinMaximum(o, h.waiting, taken)
}

// candidates are the addresses of some ENIs that nobody holds, in order.
func (h *holders) candidates(order []string) []ipam.Candidate {
	var free []ipam.Candidate
	for _, name := range order {
		for _, address := range h.free(name) {
			free = append(free, ipam.Candidate{Address: address, ENI: name})
		}
	}
	return free
}

// chosen is which of the free addresses a claim gets: the one that it asks for, or one that
// the plugin chooses, of those that are reserved only where there is no other. Negative: none.
func (h *holders) chosen(plugin ipam.Plugin, claim *v1alpha1.ENIClaim, free []ipam.Candidate, unreserved int) int {
	if claim.Spec.Address != nil {
		return slices.IndexFunc(free, func(c ipam.Candidate) bool {
			return c.Address == *claim.Spec.Address && !h.reservedFromOthers(claim, c.Address)
		})
	}
	if unreserved > 0 {
		free = free[:unreserved]
	}
	if len(free) == 0 {
		return -1
	}
	at, ok := plugin.AllocateIP(*referenceTo(claim), slices.Clone(free)) // A plugin could write into ours.
	if !ok || at >= len(free) {
		return -1
	}
	return at
}

// pending are the claims that may have something and have nothing.
func (h *holders) pending(o observation) []*v1alpha1.ENIClaim {
	if o.draining() {
		return nil
	}
	holding := map[string]bool{}
	for _, entry := range h.addresses {
		if entry.Claim != nil && entry.State == v1alpha1.HolderAllocated {
			holding[string(entry.Claim.UID)] = true
		}
	}
	for _, entry := range h.enis {
		if entry.Claim != nil {
			holding[string(entry.Claim.UID)] = true
		}
	}
	var waiting []*v1alpha1.ENIClaim
	for i := range o.claims {
		if claim := &o.claims[i]; mayHave(o, claim) && !holding[string(claim.UID)] {
			waiting = append(waiting, claim)
		}
	}
	return waiting
}

// mayHave reports whether a claim is to be served on this pool at all. One that was bound
// before and holds nothing lost it: it gets no other address, which its user would not
// notice.
func mayHave(o observation, claim *v1alpha1.ENIClaim) bool {
	fresh := undecided(claim)
	return claim.DeletionTimestamp.IsZero() && fresh && o.offers(claim.Spec.Mode) && o.allowed[claim.Namespace] &&
		slices.Contains(claim.Finalizers, v1alpha1.Finalizer)
}

// fullestFirst are the names of ENIs that take new claims, those with the most
// claims first, so that the others can be given back.
func (h *holders) fullestFirst() []string {
	return h.names(func(name string, entry *v1alpha1.PoolENI) bool {
		return entry.State == v1alpha1.PoolENIActive && h.usable(name)
	})
}

// names are those of some ENIs, the fullest first.
func (h *holders) names(like func(string, *v1alpha1.PoolENI) bool) []string {
	uses := h.uses()
	var names []string
	for name, entry := range h.enis {
		if like(name, entry) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(uses[b].held, uses[a].held), strings.Compare(a, b))
	})
	return names
}

// lastResort are the names of ENIs outside the policy's subnets that serve claims all
// the same, the fullest first: the instance has neither a slot for a replacement nor room
// on another ENI, and claims must not wait beside free addresses.
func (h *holders) lastResort(o observation) []string {
	if !h.instanceFull(o) || h.canFill(o) {
		return nil
	}
	return h.names(func(name string, entry *v1alpha1.PoolENI) bool {
		return entry.State == v1alpha1.PoolENIDraining && servesOutside(o, h.resources[name]) && h.usable(name)
	})
}

// servesOutside reports whether nothing but its subnet keeps a shared ENI from serving.
func servesOutside(o observation, eni *v1alpha1.ElasticNetworkInterface) bool {
	return eni != nil && eni.Spec.Mode == v1alpha1.ModeShared && eni.DeletionTimestamp.IsZero() && !o.draining() &&
		o.offers(eni.Spec.Mode) && outsideSubnets(o, eni)
}

// canFill reports whether an ENI in place takes more addresses.
func (h *holders) canFill(o observation) bool {
	for name, entry := range h.enis {
		eni := h.resources[name]
		if eni != nil && entry.Mode == v1alpha1.ModeShared && entry.State == v1alpha1.PoolENIActive && !h.refused[name] && h.size(eni) < o.room(eni) {
			return true
		}
	}
	return false
}

// sharedLeft returns how many addresses claims may still get below the maximum.
func (h *holders) sharedLeft(o observation) int32 {
	left := o.highest()
	for _, u := range h.uses() {
		left -= u.held
	}
	return left
}

// usable reports whether claims can use what an ENI carries: its resource is the one
// that the record knows, and EC2 shows it on the instance. A shared one need not be ready: while it waits for more
// addresses, those it has are as good as ever.
func (h *holders) usable(name string) bool {
	eni, entry := h.resources[name], h.enis[name]
	return eni != nil && entry.UID == eni.UID && !gone(eni) && !h.moved[name] && (entry.Ready || (entry.Mode == v1alpha1.ModeShared && attached(eni)))
}

func attached(eni *v1alpha1.ElasticNetworkInterface) bool {
	return eni.Status.SubnetCIDR != "" && isTrue(eni.Status.Conditions, v1alpha1.ConditionAttached)
}

// free are the addresses of an ENI that nobody holds, in order. Those that EC2 shows on
// another ENI too, or that a claim still holds there, are not.
func (h *holders) free(name string) []v1alpha1.Address {
	var free []v1alpha1.Address
	for _, part := range h.ownParts(name) {
		for _, address := range part.addresses {
			if h.addresses[address] == nil && !h.elsewhere[address] && !covered(h.resources[name].Status.Doubtful, address) {
				free = append(free, address)
			}
		}
	}
	return free
}

func (h *holders) giveENI(order []string, claim *v1alpha1.ENIClaim) bool {
	for _, name := range order {
		entry := h.enis[name]
		if entry.Mode == v1alpha1.ModeExclusive && entry.Claim == nil && entry.CoolingSince == nil && !h.elsewhere[h.primaryAddress(name)] {
			entry.Claim = referenceTo(claim)
			return true
		}
	}
	return false
}

// put enters an address that is free no more, and reserved for nobody.
func (h *holders) put(
	address v1alpha1.Address, eni string, state v1alpha1.HolderState, claim *v1alpha1.ClaimReference, now time.Time,
) {
	h.addresses[address] = &v1alpha1.PoolAddress{
		Address: address, ENIName: eni, State: state, Claim: claim, Since: metav1.NewTime(now),
	}
	delete(h.reserved, address)
}
