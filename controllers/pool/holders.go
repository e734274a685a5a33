/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
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
	for i := range o.pool.Status.ENIs {
		entry := o.pool.Status.ENIs[i]
		h.enis[entry.Name] = &entry
	}
	for i := range o.pool.Status.Addresses {
		entry := o.pool.Status.Addresses[i]
		h.addresses[entry.Address] = &entry
	}
	for i := range o.enis {
		h.addResource(o, &o.enis[i])
	}
	if o.pool.Status.PoolUID != o.pool.UID {
		h.rebuild(o)
	}
	return h
}

func (h *holders) addResource(o observation, eni *v1alpha1.ElasticNetworkInterface) {
	h.resources[eni.Name] = eni
	entry := h.enis[eni.Name]
	if entry == nil {
		entry = &v1alpha1.PoolENI{Name: eni.Name, Mode: eni.Spec.Mode, State: v1alpha1.PoolENIActive}
		h.enis[eni.Name] = entry
	}
	entry.NetworkInterfaceID = eni.Status.NetworkInterfaceID
	entry.SubnetID = eni.Status.SubnetID
	entry.Prefixes = eni.Status.Prefixes
	entry.Ready = isTrue(eni.Status.Conditions, v1alpha1.ConditionReady)
	entry.DeviceIndex = nil
	if at := eni.Status.Attachment; at != nil {
		index := at.DeviceIndex
		entry.DeviceIndex = &index
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

// outOfPlace says whether an ENI is to take no new claims: it is being deleted,
// the pool or its mode is being given up, or its subnet is none of the policy's.
func (h *holders) outOfPlace(o observation, eni *v1alpha1.ElasticNetworkInterface) bool {
	if !eni.DeletionTimestamp.IsZero() || o.draining() || !o.offers(eni.Spec.Mode) {
		return true
	}
	return eni.Status.SubnetID != "" && len(o.network.subnetIDs) > 0 &&
		!slices.Contains(o.network.subnetIDs, eni.Status.SubnetID)
}

// rebuild makes the record anew from the claims' own status after it was lost
// (protocol 3). What no claim says to hold has an owner that nobody can name.
func (h *holders) rebuild(o observation) {
	for _, claim := range h.claims {
		if claim.Status.Phase != v1alpha1.ClaimBound {
			continue
		}
		entry := h.enis[claim.Status.ENIName]
		switch {
		case entry == nil:
		case entry.Mode == v1alpha1.ModeExclusive:
			entry.Claim = referenceTo(claim)
		default:
			h.put(v1alpha1.Address(claim.Status.Address), entry.Name, v1alpha1.HolderAllocated, referenceTo(claim), o.now)
		}
	}
	for name, eni := range h.resources {
		h.distrust(name, eni, o.now)
	}
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
	for _, address := range offered(eni) {
		if h.addresses[address] == nil {
			h.put(address, name, v1alpha1.HolderQuarantined, nil, now)
		}
	}
}

// forgetLost drops what a gone node held, and ENIs that are gone and held nothing.
func (h *holders) forgetLost(o observation) {
	if o.nodeGone {
		clear(h.addresses)
		for _, entry := range h.enis {
			entry.Claim, entry.CoolingSince = nil, nil
		}
	}
	for name, entry := range h.enis {
		if h.resources[name] != nil || entry.Claim != nil || h.held(name) > 0 {
			continue
		}
		delete(h.enis, name)
		maps.DeleteFunc(h.addresses, func(_ v1alpha1.Address, a *v1alpha1.PoolAddress) bool { return a.ENIName == name })
	}
}

// held counts the addresses of an ENI that claims hold.
func (h *holders) held(eni string) int {
	count := 0
	for _, entry := range h.addresses {
		if entry.ENIName == eni && entry.State == v1alpha1.HolderAllocated {
			count++
		}
	}
	return count
}

// resting counts the addresses of an ENI that cool down.
func (h *holders) resting(eni string) int {
	count := 0
	for _, entry := range h.addresses {
		if entry.ENIName == eni && entry.State == v1alpha1.HolderCooling {
			count++
		}
	}
	return count
}

// settleReleases drops addresses that went back to the subnet: the ENI was told
// to release them, and does not carry them any more. From then on older copies of
// the ENI, which still show them, count for nothing.
func (h *holders) settleReleases(_ observation) {
	for address, entry := range h.addresses {
		eni := h.resources[entry.ENIName]
		if entry.State != v1alpha1.HolderReleasing || eni == nil {
			continue
		}
		if slices.Contains(eni.Spec.Release, v1alpha1.AddressOrPrefix(address)) && !slices.Contains(eni.Status.Addresses, address) {
			record := h.enis[entry.ENIName]
			record.Generation = max(record.Generation, eni.Generation)
			delete(h.addresses, address)
		}
	}
}

// cool moves released addresses to rest, and rested ones back to the free.
func (h *holders) cool(o observation) {
	now := metav1.NewTime(o.now)
	for address, entry := range h.addresses {
		switch entry.State {
		case v1alpha1.HolderAllocated:
			if h.released(o, entry.Claim) {
				entry.State, entry.Since = v1alpha1.HolderCooling, now
			}
		case v1alpha1.HolderCooling:
			if rested(o, entry.Since) {
				delete(h.addresses, address)
			}
		case v1alpha1.HolderReleasing, v1alpha1.HolderQuarantined:
		}
	}
	h.coolENIs(o, now)
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

func rested(o observation, since metav1.Time) bool {
	return o.now.Sub(since.Time) >= o.cooldown()
}

// released says whether a claim has given up what it held: it is being deleted
// and shows no address any more, or a live read found it gone.
func (h *holders) released(o observation, reference *v1alpha1.ClaimReference) bool {
	if reference == nil || o.vanished[string(reference.UID)] {
		return true
	}
	claim := h.claims[string(reference.UID)]
	return claim != nil && !claim.DeletionTimestamp.IsZero() && claim.Status.Address == ""
}

// quarantineSurprises sets addresses aside that appeared beyond the count asked
// for (protocol 6), and sends what is quarantined back to the subnet.
func (h *holders) quarantineSurprises(o observation) {
	for name, eni := range h.resources {
		extra := len(eni.Status.Addresses) - int(eni.Spec.AddressCount) - h.leaving(eni)
		free := h.free(name)
		for extra > 0 && len(free) > 0 && h.enis[name].Mode == v1alpha1.ModeShared {
			last := free[len(free)-1]
			free, extra = free[:len(free)-1], extra-1
			h.put(last, name, v1alpha1.HolderQuarantined, nil, o.now)
		}
	}
	for _, entry := range h.addresses {
		eni := h.resources[entry.ENIName]
		if entry.State == v1alpha1.HolderQuarantined && eni != nil && slices.Contains(eni.Status.Addresses, entry.Address) {
			entry.State = v1alpha1.HolderReleasing
		}
	}
}

// leaving counts the addresses that an ENI is told to release and still carries.
func (h *holders) leaving(eni *v1alpha1.ElasticNetworkInterface) int {
	count := 0
	for _, name := range eni.Spec.Release {
		if slices.Contains(eni.Status.Addresses, v1alpha1.Address(name)) {
			count++
		}
	}
	return count
}

// drain moves ENIs that take no new claims, and have none left, to Releasing.
func (h *holders) drain(o observation) {
	for name, entry := range h.enis {
		if entry.State != v1alpha1.PoolENIDraining || h.held(name) > 0 || entry.Claim != nil {
			continue
		}
		if o.nodeGone || (h.resting(name) == 0 && entry.CoolingSince == nil) {
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
	free := make(map[string][]v1alpha1.Address, len(order))
	for _, name := range order {
		free[name] = h.free(name)
	}
	h.waiting = slices.DeleteFunc(h.waiting, func(claim *v1alpha1.ENIClaim) bool {
		if claim.Spec.Mode == v1alpha1.ModeExclusive {
			return h.giveENI(order, claim)
		}
		return h.giveAddress(order, free, claim, o.now)
	})
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
	slices.SortFunc(waiting, func(a, b *v1alpha1.ENIClaim) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
			strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return waiting
}

// mayHave says whether a claim is to be served on this pool at all.
func mayHave(o observation, claim *v1alpha1.ENIClaim) bool {
	return claim.DeletionTimestamp.IsZero() && claim.Status.Phase != v1alpha1.ClaimLost &&
		claim.Status.Phase != v1alpha1.ClaimExpired && o.offers(claim.Spec.Mode) && o.allowed[claim.Namespace] &&
		slices.Contains(claim.Finalizers, v1alpha1.Finalizer)
}

// fullestFirst are the names of ENIs that take new claims, those with the most
// claims first, so that the others can be given back.
func (h *holders) fullestFirst() []string {
	var names []string
	for name, entry := range h.enis {
		eni := h.resources[name]
		if eni != nil && entry.State == v1alpha1.PoolENIActive && entry.Ready && eni.Generation >= entry.Generation {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(h.held(b), h.held(a)), strings.Compare(a, b))
	})
	return names
}

// free are the addresses of an ENI that nobody holds, in order.
func (h *holders) free(name string) []v1alpha1.Address {
	eni, entry := h.resources[name], h.enis[name]
	if eni == nil || entry.Mode != v1alpha1.ModeShared || eni.Generation < entry.Generation {
		return nil
	}
	return slices.DeleteFunc(offered(eni), func(address v1alpha1.Address) bool {
		return h.addresses[address] != nil || slices.Contains(eni.Spec.Release, v1alpha1.AddressOrPrefix(address))
	})
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

func (h *holders) giveAddress(order []string, free map[string][]v1alpha1.Address, claim *v1alpha1.ENIClaim, now time.Time) bool {
	for _, name := range order {
		at := 0
		if claim.Spec.Address != nil {
			at = slices.Index(free[name], *claim.Spec.Address)
		}
		if at < 0 || at >= len(free[name]) {
			continue
		}
		h.put(free[name][at], name, v1alpha1.HolderAllocated, referenceTo(claim), now)
		free[name] = slices.Delete(free[name], at, at+1)
		return true
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

// offered are the addresses of an ENI for claims, those of its prefixes included.
func offered(eni *v1alpha1.ElasticNetworkInterface) []v1alpha1.Address {
	addresses := slices.Clone(eni.Status.Addresses)
	for _, prefix := range eni.Status.Prefixes {
		parsed, err := netip.ParsePrefix(string(prefix))
		if err != nil {
			continue
		}
		for ip := parsed.Masked().Addr(); parsed.Contains(ip); ip = ip.Next() {
			addresses = append(addresses, v1alpha1.Address(ip.String()))
		}
	}
	return addresses
}

func referenceTo(claim *v1alpha1.ENIClaim) *v1alpha1.ClaimReference {
	return &v1alpha1.ClaimReference{Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID}
}

func isTrue(conditions []metav1.Condition, kind string) bool {
	return slices.ContainsFunc(conditions, func(c metav1.Condition) bool {
		return c.Type == kind && c.Status == metav1.ConditionTrue
	})
}
