/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ipam"
)

// holders is the record of who holds what while a decision is made: the pool's
// ENIs by name, and the addresses that are not free.
type holders struct {
	enis      map[string]*v1alpha1.PoolENI
	resources map[string]*v1alpha1.ElasticNetworkInterface
	// strangers are resources with the name of an entry, and another UID than its.
	strangers map[string]*v1alpha1.ElasticNetworkInterface
	addresses map[v1alpha1.Address]*v1alpha1.PoolAddress
	// reserved are free addresses that one namespace alone can ask for by name.
	reserved map[v1alpha1.Address]*v1alpha1.PoolAddress
	claims   map[string]*v1alpha1.ENIClaim // by UID
	waiting  []*v1alpha1.ENIClaim
	// coming are claims that a later round serves.
	coming []*v1alpha1.ENIClaim
	// adopted are ENIs that the record did not know.
	adopted []string
	// refused are ENIs that get no more from EC2 for now.
	refused map[string]bool
	// elsewhere are addresses that claims still hold on other ENIs.
	elsewhere map[v1alpha1.Address]bool
	// moved are ENIs that EC2 does not show on the instance.
	moved map[string]bool
}

// holdersOf starts from the stored record and what the ENIs' resources say now.
func holdersOf(o observation) *holders {
	h := &holders{
		enis:      map[string]*v1alpha1.PoolENI{},
		resources: map[string]*v1alpha1.ElasticNetworkInterface{},
		strangers: map[string]*v1alpha1.ElasticNetworkInterface{},
		addresses: map[v1alpha1.Address]*v1alpha1.PoolAddress{},
		reserved:  map[v1alpha1.Address]*v1alpha1.PoolAddress{},
		claims:    map[string]*v1alpha1.ENIClaim{},
		refused:   map[string]bool{},
		elsewhere: o.elsewhere,
		moved:     o.moved,
	}
	for i := range o.claims {
		h.claims[string(o.claims[i].UID)] = &o.claims[i]
	}
	if !o.recordLost() {
		h.load(&o.pool.Status)
	}
	for i := range o.enis {
		h.addResource(o, &o.enis[i])
	}
	if o.recordLost() {
		h.rebuild(o)
	}
	return h
}

func (h *holders) load(stored *v1alpha1.ENIPoolStatus) {
	for _, entry := range stored.ENIs {
		h.enis[entry.Name] = &entry
	}
	for _, entry := range stored.Addresses {
		switch {
		case entry.State != v1alpha1.HolderReserved:
			h.addresses[entry.Address] = &entry
		case entry.Claim != nil:
			h.reserved[entry.Address] = &entry
		}
	}
}

// addResource takes what a resource shows for the entry of its name. One that the
// record does not know is adopted; one with another UID than the entry's serves nobody.
func (h *holders) addResource(o observation, eni *v1alpha1.ElasticNetworkInterface) {
	entry := h.enis[eni.Name]
	switch {
	case entry == nil && o.suspended != nil:
	case entry == nil:
		h.adopt(o, eni)
	case o.tookOver(entry, eni):
		entry.UID = eni.UID
		entry.Generation = eni.Generation
		h.update(o, entry, eni)
	case !standsFor(entry, eni):
		h.strangers[eni.Name] = eni
	default:
		h.update(o, entry, eni)
	}
}

// standsFor reports whether a resource is the one of an entry, as far as the entry knows.
func standsFor(entry *v1alpha1.PoolENI, eni *v1alpha1.ElasticNetworkInterface) bool {
	if entry.UID != "" {
		return entry.UID == eni.UID
	}
	id := eni.Status.NetworkInterfaceID
	return entry.NetworkInterfaceID == "" || id == "" || id == entry.NetworkInterfaceID
}

// adopt makes an entry for a resource that the record does not know. What such a
// resource carries already was not asked for by this record, so nobody can say who uses
// it: it is set aside once it is known what claims hold. The entry gets the resource's UID
// only by a live read: the cache may still show one that was removed long ago.
func (h *holders) adopt(o observation, eni *v1alpha1.ElasticNetworkInterface) {
	entry := &v1alpha1.PoolENI{Name: eni.Name, Mode: eni.Spec.Mode, State: v1alpha1.PoolENIActive, Generation: eni.Generation}
	h.enis[eni.Name] = entry
	h.update(o, entry, eni)
	h.adopted = append(h.adopted, eni.Name)
}

func (h *holders) update(o observation, entry *v1alpha1.PoolENI, eni *v1alpha1.ElasticNetworkInterface) {
	h.resources[eni.Name] = eni
	if o.confirmed[eni.Name] == eni.UID {
		entry.UID = eni.UID
		entry.Generation = min(entry.Generation, eni.Generation) // There is no later one.
	}
	_, h.refused[eni.Name] = o.refusal(eni)
	entry.Ready = isTrue(eni.Status.Conditions, v1alpha1.ConditionReady) && !gone(eni)
	if entry.Ready { // Before that, each step of the ENI would be a write of the pool.
		describeENI(entry, eni)
	}
	if o.suspended == nil {
		entry.State = nextState(o, entry.State, eni)
	}
}

// nextState is the state of an ENI by what its resource shows. Releasing is for good.
func nextState(o observation, state v1alpha1.PoolENIState, eni *v1alpha1.ElasticNetworkInterface) v1alpha1.PoolENIState {
	switch {
	case state == v1alpha1.PoolENIReleasing, eni.Spec.Drained, gone(eni):
		return v1alpha1.PoolENIReleasing
	case disowned(eni), outOfPlace(o, eni):
		return v1alpha1.PoolENIDraining
	default:
		return v1alpha1.PoolENIActive
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

// gone reports whether EC2 has no such ENI any more: nothing that it carried can be used.
func gone(eni *v1alpha1.ElasticNetworkInterface) bool {
	created := meta.FindStatusCondition(eni.Status.Conditions, v1alpha1.ConditionCreated)
	return eni.Status.NetworkInterfaceID != "" && created != nil &&
		created.Status == metav1.ConditionFalse && created.Reason == v1alpha1.ReasonNotFound
}

// disowned reports whether the tags of an ENI in EC2 are not this resource's: what it
// carries may be used by another cluster.
func disowned(eni *v1alpha1.ElasticNetworkInterface) bool {
	created := meta.FindStatusCondition(eni.Status.Conditions, v1alpha1.ConditionCreated)
	return eni.Status.NetworkInterfaceID != "" && created != nil && created.Status == metav1.ConditionFalse && !gone(eni)
}

// shown are the names of the ENIs that have a resource, in order: two of them may show the same
// address, and a decision must not depend on which comes first.
func (h *holders) shown() []string { return slices.Sorted(maps.Keys(h.resources)) }

// alive reports whether an entry's resource is there, and its ENI not gone.
func (h *holders) alive(name string) bool {
	eni := h.resources[name]
	return eni != nil && !gone(eni)
}

// outOfPlace reports whether an ENI is to take no new claims: it is being deleted,
// the pool or its mode is being given up, its subnet is none of the policy's, or it
// is the primary ENI and not to be used any more.
func outOfPlace(o observation, eni *v1alpha1.ElasticNetworkInterface) bool {
	if !eni.DeletionTimestamp.IsZero() || o.draining() || !o.offers(eni.Spec.Mode) {
		return true
	}
	if eni.Primary() {
		return o.primary.known && !o.primary.usable
	}
	return outsideSubnets(o, eni)
}

// outsideSubnets reports whether an ENI's subnet is none of the policy's.
func outsideSubnets(o observation, eni *v1alpha1.ElasticNetworkInterface) bool {
	return !eni.Primary() && eni.Status.SubnetID != "" && len(o.network.subnetIDs) > 0 &&
		!slices.Contains(o.network.subnetIDs, eni.Status.SubnetID)
}

// forgetLost drops what a gone node held, and ENIs that are gone and held nothing. What
// claims hold of ENIs that are gone stays theirs until they are deleted.
func (h *holders) forgetLost(o observation) {
	if o.nodeGone {
		clear(h.addresses)
		for _, entry := range h.enis {
			entry.Claim = nil
			entry.CoolingSince = nil
		}
	}
	uses := h.uses()
	for name, entry := range h.enis {
		if h.resources[name] != nil {
			continue
		}
		if entry.Claim == nil && uses[name].held == 0 {
			delete(h.enis, name)
			continue
		}
		entry.Ready = false
		if !o.mayReturn(entry) {
			entry.State = v1alpha1.PoolENIReleasing
		}
	}
	for _, name := range slices.Sorted(maps.Keys(h.strangers)) {
		if eni := h.strangers[name]; h.enis[name] == nil {
			delete(h.strangers, name)
			h.adopt(o, eni)
		}
	}
	h.forgetAddresses()
}

// forgetAddresses drops entries of ENIs that are gone, but for those that claims hold. An
// address rests to the end, on the ENI that carries it by now: EC2 may assign it again.
func (h *holders) forgetAddresses() {
	for address, entry := range h.addresses {
		switch {
		case h.alive(entry.ENIName) || entry.State == v1alpha1.HolderAllocated:
		case entry.State != v1alpha1.HolderCooling:
			delete(h.addresses, address)
		default:
			entry.ENIName = cmp.Or(h.carrier(address), entry.ENIName)
		}
	}
}

// carrier returns the ENI that shows an address, or nothing.
func (h *holders) carrier(address v1alpha1.Address) string {
	for _, name := range h.shown() {
		if h.alive(name) && h.enis[name].Mode == v1alpha1.ModeShared && slices.Contains(offered(h.resources[name]), address) {
			return name
		}
	}
	return ""
}

// use is how much of an ENI is taken: addresses that claims hold, those of them that are
// lost, those that cool down, and those that are set aside while their prefix is in use.
type use struct{ held, lost, resting, aside int32 }

// lostTo reports whether EC2 has not what an entry says that a claim holds, and does not
// give it again: the ENI is gone, or others have the address by now.
func (h *holders) lostTo(entry *v1alpha1.PoolAddress) bool {
	return !h.alive(entry.ENIName) || covered(h.resources[entry.ENIName].Status.Lost, entry.Address)
}

// blocked is how many addresses of an ENI nobody can have since a claim holds them of another
// one, by the record or by its own status: of an ENI that is gone, or from which they vanished.
func (h *holders) blocked(name string) int32 {
	count := int32(0)
	for _, address := range offered(h.resources[name]) {
		entry := h.addresses[address]
		recordedElsewhere := entry != nil && entry.ENIName != name
		shownElsewhere := entry == nil && h.elsewhere[address]
		if recordedElsewhere || shownElsewhere {
			count++
		}
	}
	return count
}

// uses counts what is taken, by ENI.
func (h *holders) uses() map[string]use {
	uses := make(map[string]use, len(h.enis))
	for _, entry := range h.addresses {
		u := uses[entry.ENIName]
		switch entry.State {
		case v1alpha1.HolderAllocated:
			u.held++
			if h.lostTo(entry) {
				u.lost++
			}
		case v1alpha1.HolderCooling:
			u.resting++
		case v1alpha1.HolderQuarantined:
			u.aside++
		case v1alpha1.HolderReleasing, v1alpha1.HolderReserved:
		}
		uses[entry.ENIName] = u
	}
	return uses
}

// cool moves released addresses to rest, and rested ones back to the free, which are
// reserved for a while, or to the subnet.
func (h *holders) cool(o observation) {
	plugin := o.ipam()
	h.startResting(o)
	for address, entry := range h.addresses {
		switch {
		case entry.State != v1alpha1.HolderCooling || !rested(o, entry.Since):
		case h.returns(plugin, entry):
			h.put(address, entry.ENIName, v1alpha1.HolderReleasing, nil, o.now)
		default:
			h.endRest(address, entry)
			h.reserve(o, entry)
		}
	}
	h.expireReservations(o)
	for _, entry := range h.enis {
		if entry.CoolingSince != nil && rested(o, *entry.CoolingSince) {
			entry.CoolingSince = nil
		}
	}
}

// endRest makes a rested address free. Where its ENI does not show it any more, older
// copies of the ENI, which do, count for nothing from now on.
func (h *holders) endRest(address v1alpha1.Address, entry *v1alpha1.PoolAddress) {
	eni := h.resources[entry.ENIName]
	if eni != nil && !slices.Contains(offered(eni), address) {
		record := h.enis[entry.ENIName]
		record.Generation = max(record.Generation, eni.Generation)
	}
	delete(h.addresses, address)
}

// startResting lets what claims have given up rest.
func (h *holders) startResting(o observation) {
	now := restingFrom(o.now)
	for _, entry := range h.addresses {
		switch {
		case entry.State == v1alpha1.HolderAllocated && h.released(o, entry.Claim):
			entry.State = v1alpha1.HolderCooling
			entry.Since = now
		case entry.State == v1alpha1.HolderCooling:
			entry.Since = sane(entry.Since, o.now, o.cooldown())
		}
	}
	for _, entry := range h.enis {
		switch {
		case entry.Claim != nil && h.released(o, entry.Claim):
			entry.Claim = nil
			entry.CoolingSince = &now
		case entry.CoolingSince != nil:
			since := sane(*entry.CoolingSince, o.now, o.cooldown())
			entry.CoolingSince = &since
		}
	}
}

// returns says whether a rested address goes back to the subnet. One of a prefix
// cannot go alone, and one that its ENI does not show is not known to be there.
func (h *holders) returns(plugin ipam.Plugin, entry *v1alpha1.PoolAddress) bool {
	eni := h.resources[entry.ENIName]
	return eni != nil && slices.Contains(eni.Status.Addresses, entry.Address) &&
		plugin.ReleaseIP(ipam.Candidate{Address: entry.Address, ENI: entry.ENIName}) == ipam.Return
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

// drain moves ENIs that take no new claims, and have none left, to Releasing. It
// returns when one more will have been empty for long enough.
func (h *holders) drain(o observation) time.Duration {
	var wait time.Duration
	uses := h.uses()
	for name, entry := range h.enis {
		if entry.State != v1alpha1.PoolENIDraining || uses[name].held > 0 || entry.Claim != nil {
			continue
		}
		if !o.nodeGone && (uses[name].resting > 0 || entry.CoolingSince != nil || h.onlyDisowned(o, name)) {
			continue
		}
		if left := h.keptFor(o, name); left > 0 {
			wait = soonest(wait, left)
			continue
		}
		entry.State = v1alpha1.PoolENIReleasing
	}
	return wait
}

// onlyDisowned reports whether an ENI takes no new claims for the sole reason that its
// tags name another owner. It is kept: a person may correct the tags.
func (h *holders) onlyDisowned(o observation, name string) bool {
	eni := h.resources[name]
	return eni != nil && disowned(eni) && !outOfPlace(o, eni)
}

// keptFor returns how long an empty ENI that is not wanted is still kept, in case that
// the policy wants it again. None is kept that is being deleted, or whose slot is needed.
func (h *holders) keptFor(o observation, name string) time.Duration {
	eni := h.resources[name]
	if eni == nil || !eni.DeletionTimestamp.IsZero() || !o.pool.DeletionTimestamp.IsZero() || o.nodeGone {
		return 0
	}
	if !o.draining() && h.instanceFull(o) {
		return 0
	}
	return max(o.idleReleaseAfter()-o.emptyFor[name], 0)
}

// instanceFull reports whether the instance has no slot for another ENI.
func (h *holders) instanceFull(o observation) bool {
	return o.limits.known && h.slotsTaken(o) >= o.limits.slots-o.otherENIs
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
