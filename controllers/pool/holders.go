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
	"github.com/eni-operator/eni-operator/pkg/ipam"
)

// holders is the record of who holds what while a decision is made: the pool's
// ENIs by name, and the addresses that are not free.
type holders struct {
	enis      map[string]*v1alpha1.PoolENI
	resources map[string]*v1alpha1.ElasticNetworkInterface
	addresses map[v1alpha1.Address]*v1alpha1.PoolAddress
	claims    map[string]*v1alpha1.ENIClaim // by UID
	waiting   []*v1alpha1.ENIClaim
}

// holdersOf starts from the stored record and what the ENIs' resources say now.
func holdersOf(o observation) *holders {
	h := &holders{
		enis:      map[string]*v1alpha1.PoolENI{},
		resources: map[string]*v1alpha1.ElasticNetworkInterface{},
		addresses: map[v1alpha1.Address]*v1alpha1.PoolAddress{},
		claims:    map[string]*v1alpha1.ENIClaim{},
	}
	for i := range o.claims {
		h.claims[string(o.claims[i].UID)] = &o.claims[i]
	}
	lost := o.pool.Status.PoolUID != o.pool.UID
	if !lost {
		h.load(&o.pool.Status)
	}
	for i := range o.enis {
		h.addResource(o, &o.enis[i])
	}
	if lost {
		h.rebuild(o)
	}
	return h
}

func (h *holders) load(stored *v1alpha1.ENIPoolStatus) {
	for _, entry := range stored.ENIs {
		h.enis[entry.Name] = &entry
	}
	for _, entry := range stored.Addresses {
		h.addresses[entry.Address] = &entry
	}
}

func (h *holders) addResource(o observation, eni *v1alpha1.ElasticNetworkInterface) {
	h.resources[eni.Name] = eni
	entry := h.enis[eni.Name]
	if entry == nil {
		entry = &v1alpha1.PoolENI{Name: eni.Name, Mode: eni.Spec.Mode, State: v1alpha1.PoolENIActive}
		h.enis[eni.Name] = entry
	}
	entry.Ready = isTrue(eni.Status.Conditions, v1alpha1.ConditionReady)
	if entry.Ready { // Before that, each step of the ENI would be a write of the pool.
		describeENI(entry, eni)
	}
	if eni.Spec.Drained {
		entry.State = v1alpha1.PoolENIReleasing
	}
	if entry.State == v1alpha1.PoolENIActive && h.outOfPlace(o, eni) {
		entry.State = v1alpha1.PoolENIDraining
	}
	if entry.State == v1alpha1.PoolENIDraining && !h.outOfPlace(o, eni) {
		entry.State = v1alpha1.PoolENIActive
	}
}

func describeENI(entry *v1alpha1.PoolENI, eni *v1alpha1.ElasticNetworkInterface) {
	entry.NetworkInterfaceID = eni.Status.NetworkInterfaceID
	entry.SubnetID = eni.Status.SubnetID
	entry.Prefixes = eni.Status.Prefixes
	entry.DeviceIndex = nil
	if at := eni.Status.Attachment; at != nil {
		index := at.DeviceIndex
		entry.DeviceIndex = &index
	}
}

// outOfPlace says whether an ENI is to take no new claims: it is being deleted,
// the pool or its mode is being given up, its subnet is none of the policy's, or it
// is the primary ENI and not to be used any more.
func (h *holders) outOfPlace(o observation, eni *v1alpha1.ElasticNetworkInterface) bool {
	if !eni.DeletionTimestamp.IsZero() || o.draining() || !o.offers(eni.Spec.Mode) {
		return true
	}
	if eni.Primary() {
		return o.primary.known && !o.primary.usable
	}
	return eni.Status.SubnetID != "" && len(o.network.subnetIDs) > 0 &&
		!slices.Contains(o.network.subnetIDs, eni.Status.SubnetID)
}

// forgetLost drops what a gone node held, and ENIs that are gone and held nothing.
func (h *holders) forgetLost(o observation) {
	if o.nodeGone {
		clear(h.addresses)
		for _, entry := range h.enis {
			entry.Claim, entry.CoolingSince = nil, nil
		}
	}
	uses := h.uses()
	maps.DeleteFunc(h.enis, func(name string, entry *v1alpha1.PoolENI) bool {
		return h.resources[name] == nil && entry.Claim == nil && uses[name].held == 0
	})
	maps.DeleteFunc(h.addresses, func(_ v1alpha1.Address, entry *v1alpha1.PoolAddress) bool {
		return h.enis[entry.ENIName] == nil && entry.State != v1alpha1.HolderAllocated
	})
}

// use is how much of an ENI is taken: addresses that claims hold, that cool down,
// and that are set aside while their prefix is in use.
type use struct{ held, resting, aside int32 }

// uses counts what is taken, by ENI.
func (h *holders) uses() map[string]use {
	uses := make(map[string]use, len(h.enis))
	for _, entry := range h.addresses {
		u := uses[entry.ENIName]
		switch entry.State {
		case v1alpha1.HolderAllocated:
			u.held++
		case v1alpha1.HolderCooling:
			u.resting++
		case v1alpha1.HolderQuarantined:
			u.aside++
		case v1alpha1.HolderReleasing:
		}
		uses[entry.ENIName] = u
	}
	return uses
}

// cool moves released addresses to rest, and rested ones back to the free, or to
// the subnet.
func (h *holders) cool(o observation) {
	now, plugin := restingFrom(o.now), o.ipam()
	for address, entry := range h.addresses {
		switch entry.State {
		case v1alpha1.HolderAllocated:
			if h.released(o, entry.Claim) {
				entry.State, entry.Since = v1alpha1.HolderCooling, now
			}
		case v1alpha1.HolderCooling:
			switch {
			case !rested(o, entry.Since):
			case h.returns(plugin, entry):
				h.put(address, entry.ENIName, v1alpha1.HolderReleasing, nil, o.now)
			default:
				delete(h.addresses, address)
			}
		case v1alpha1.HolderReleasing, v1alpha1.HolderQuarantined:
		}
	}
	h.coolENIs(o, now)
}

// returns says whether a rested address goes back to the subnet. One of a prefix
// cannot go alone, and one that its ENI does not show is not known to be there.
func (h *holders) returns(plugin ipam.Plugin, entry *v1alpha1.PoolAddress) bool {
	eni := h.resources[entry.ENIName]
	return eni != nil && slices.Contains(eni.Status.Addresses, entry.Address) &&
		plugin.ReleaseIP(ipam.Candidate{Address: entry.Address, ENI: entry.ENIName}) == ipam.Return
}

func (h *holders) coolENIs(o observation, now metav1.Time) {
	for _, entry := range h.enis {
		if entry.Claim != nil && h.released(o, entry.Claim) {
			entry.Claim, entry.CoolingSince = nil, &now
		}
		if entry.CoolingSince != nil && rested(o, *entry.CoolingSince) {
			entry.CoolingSince = nil
		}
	}
}

// restingFrom is when a rest begins: the next full second, since the record keeps
// no fractions and a rest must not be cut short.
func restingFrom(now time.Time) metav1.Time {
	return metav1.NewTime(now.Add(time.Second - time.Nanosecond).Truncate(time.Second))
}

func rested(o observation, since metav1.Time) bool {
	return o.now.Sub(since.Time) >= o.cooldown()
}

// released says whether a claim has given up what it held: it is being deleted, or
// expired, and shows no address any more, or a live read found it gone.
func (h *holders) released(o observation, reference *v1alpha1.ClaimReference) bool {
	if reference == nil || o.vanished[string(reference.UID)] {
		return true
	}
	claim := h.claims[string(reference.UID)]
	if claim == nil || claim.Status.Address != "" {
		return false
	}
	return !claim.DeletionTimestamp.IsZero() || claim.Status.Phase == v1alpha1.ClaimExpired
}

// drain moves ENIs that take no new claims, and have none left, to Releasing.
func (h *holders) drain(o observation) {
	uses := h.uses()
	for name, entry := range h.enis {
		if entry.State != v1alpha1.PoolENIDraining || uses[name].held > 0 || entry.Claim != nil {
			continue
		}
		if o.nodeGone || (uses[name].resting == 0 && entry.CoolingSince == nil) {
			entry.State = v1alpha1.PoolENIReleasing
		}
	}
}

// allocate serves the claims that wait, the oldest first.
func (h *holders) allocate(o observation) {
	h.waiting = h.pending(o)
	if len(h.waiting) == 0 {
		return
	}
	order := h.fullestFirst()
	free := h.candidates(order)
	h.waiting = slices.DeleteFunc(h.waiting, func(claim *v1alpha1.ENIClaim) bool {
		if claim.Spec.Mode == v1alpha1.ModeExclusive {
			return h.giveENI(order, claim)
		}
		at := chosen(o.ipam(), claim, free)
		if at < 0 {
			return false
		}
		h.put(free[at].Address, free[at].ENI, v1alpha1.HolderAllocated, referenceTo(claim), o.now)
		free = slices.Delete(free, at, at+1)
		return true
	})
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

// chosen is which of the free addresses a claim gets: the one that it asks for, or
// one that the plugin chooses. Negative: none.
func chosen(plugin ipam.Plugin, claim *v1alpha1.ENIClaim, free []ipam.Candidate) int {
	if claim.Spec.Address != nil {
		return slices.IndexFunc(free, func(c ipam.Candidate) bool { return c.Address == *claim.Spec.Address })
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
	slices.SortFunc(waiting, oldestFirst)
	return waiting
}

// mayHave says whether a claim is to be served on this pool at all. One that was
// bound before and holds nothing lost it: it is not given another behind the back
// of whoever uses it.
func mayHave(o observation, claim *v1alpha1.ENIClaim) bool {
	fresh := claim.Status.Phase == "" || claim.Status.Phase == v1alpha1.ClaimPending
	return claim.DeletionTimestamp.IsZero() && fresh && o.offers(claim.Spec.Mode) && o.allowed[claim.Namespace] &&
		slices.Contains(claim.Finalizers, v1alpha1.Finalizer)
}

// fullestFirst are the names of ENIs that take new claims, those with the most
// claims first, so that the others can be given back.
func (h *holders) fullestFirst() []string {
	uses := h.uses()
	var names []string
	for name, entry := range h.enis {
		if entry.State == v1alpha1.PoolENIActive && h.usable(name) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(uses[b].held, uses[a].held), strings.Compare(a, b))
	})
	return names
}

// usable says whether claims can use what an ENI carries. A shared one need not be
// ready: while it waits for more addresses, those it has are as good as ever.
func (h *holders) usable(name string) bool {
	eni, entry := h.resources[name], h.enis[name]
	return eni != nil && (entry.Ready || (entry.Mode == v1alpha1.ModeShared && attached(eni)))
}

func attached(eni *v1alpha1.ElasticNetworkInterface) bool {
	return eni.Status.SubnetCIDR != "" && isTrue(eni.Status.Conditions, v1alpha1.ConditionAttached)
}

// free are the addresses of an ENI that nobody holds, in order.
func (h *holders) free(name string) []v1alpha1.Address {
	var free []v1alpha1.Address
	for _, part := range h.ownParts(name) {
		for _, address := range part.addresses {
			if h.addresses[address] == nil {
				free = append(free, address)
			}
		}
	}
	return free
}

func (h *holders) giveENI(order []string, claim *v1alpha1.ENIClaim) bool {
	for _, name := range order {
		entry := h.enis[name]
		if entry.Mode == v1alpha1.ModeExclusive && entry.Claim == nil && entry.CoolingSince == nil {
			entry.Claim = referenceTo(claim)
			return true
		}
	}
	return false
}

func (h *holders) put(
	address v1alpha1.Address, eni string, state v1alpha1.HolderState, claim *v1alpha1.ClaimReference, now time.Time,
) {
	h.addresses[address] = &v1alpha1.PoolAddress{
		Address: address, ENIName: eni, State: state, Claim: claim, Since: metav1.NewTime(now),
	}
}

// nextThaw is how long the first address still has to rest.
func (h *holders) nextThaw(o observation) time.Duration {
	var next time.Duration
	consider := func(since metav1.Time) {
		next = soonest(next, max(o.cooldown()-o.now.Sub(since.Time), time.Millisecond))
	}
	for _, entry := range h.addresses {
		if entry.State == v1alpha1.HolderCooling {
			consider(entry.Since)
		}
	}
	for _, entry := range h.enis {
		if entry.CoolingSince != nil {
			consider(*entry.CoolingSince)
		}
	}
	return next
}

func referenceTo(claim *v1alpha1.ENIClaim) *v1alpha1.ClaimReference {
	return &v1alpha1.ClaimReference{Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID}
}

func isTrue(conditions []metav1.Condition, kind string) bool {
	return slices.ContainsFunc(conditions, func(c metav1.Condition) bool {
		return c.Type == kind && c.Status == metav1.ConditionTrue
	})
}
