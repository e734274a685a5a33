/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// shownGeneration is the generation of the spec that what an ENI shows is of. The status of
// a resource may be older than its spec: it lags, or a backup of it was restored, perhaps of
// an earlier resource of the name, which is older than any.
func shownGeneration(eni *v1alpha1.ElasticNetworkInterface) int64 {
	if uid := eni.Status.ResourceUID; uid != "" && uid != eni.UID {
		return 0
	}
	return min(eni.Generation, eni.Status.ObservedGeneration)
}

// ownParts are the parts of a shared ENI that it is not told to release. An older
// copy of the ENI, or an older status, shows nothing to rely on.
func (h *holders) ownParts(name string) []part {
	eni, entry := h.resources[name], h.enis[name]
	if eni == nil || gone(eni) || entry.Mode != v1alpha1.ModeShared || shownGeneration(eni) < entry.Generation {
		return nil
	}
	return slices.DeleteFunc(partsOf(eni), func(p part) bool { return slices.Contains(eni.Spec.Release, p.name) })
}

// freeParts are the parts of an ENI of which nothing is held or set aside.
func (h *holders) freeParts(name string) []part {
	return slices.DeleteFunc(h.ownParts(name), func(p part) bool { return h.has(p, func(*v1alpha1.PoolAddress) bool { return true }) })
}

// has says whether the record has an entry like this for any address of a part.
func (h *holders) has(p part, like func(*v1alpha1.PoolAddress) bool) bool {
	return slices.ContainsFunc(p.addresses, func(address v1alpha1.Address) bool {
		entry := h.addresses[address]
		return entry != nil && like(entry)
	})
}

// leaves reports whether the record has a part, as a whole, on its way back from an ENI.
func (h *holders) leaves(eni string, p part) bool {
	return !slices.ContainsFunc(p.addresses, func(address v1alpha1.Address) bool {
		entry := h.addresses[address]
		return entry == nil || entry.State != v1alpha1.HolderReleasing || entry.ENIName != eni
	})
}

// settleReleases drops addresses that went back to the subnet: the ENI was told
// to release them, and does not carry them any more. From then on older copies of
// the ENI, which still show them, count for nothing.
func (h *holders) settleReleases() {
	for address, entry := range h.addresses {
		eni := h.resources[entry.ENIName]
		if entry.State != v1alpha1.HolderReleasing || eni == nil || !covered(eni.Spec.Release, address) {
			continue
		}
		if !slices.ContainsFunc(partsOf(eni), func(p part) bool { return slices.Contains(p.addresses, address) }) {
			record := h.enis[entry.ENIName]
			record.Generation = max(record.Generation, eni.Generation)
			delete(h.addresses, address)
		}
	}
}

// quarantineSurprises sets aside what appeared beyond the count asked for
// (protocol 6), and sends what is quarantined back to the subnet.
func (h *holders) quarantineSurprises(o observation) {
	for _, name := range h.shown() {
		eni := h.resources[name]
		if h.enis[name].Mode != v1alpha1.ModeShared || gone(eni) {
			continue
		}
		for _, prefix := range []bool{false, true} {
			h.setAside(o, name, prefix, h.giving(eni).beyond(prefix))
		}
		for _, p := range partsOf(eni) {
			h.returnAsWhole(o, name, p)
		}
		h.returnVanished(name, eni)
	}
}

// returnVanished gives up what is quarantined and not carried any more, by a copy of
// the ENI that shows all that was asked for.
func (h *holders) returnVanished(name string, eni *v1alpha1.ElasticNetworkInterface) {
	g := h.giving(eni)
	if shownGeneration(eni) < h.enis[name].Generation || g.addressSurplus < 0 || g.prefixSurplus < 0 {
		return
	}
	carried := offered(eni)
	for address, entry := range h.addresses {
		if entry.ENIName == name && entry.State == v1alpha1.HolderQuarantined && !slices.Contains(carried, address) {
			entry.State = v1alpha1.HolderReleasing
		}
	}
}

// setAside quarantines so many free parts of an ENI, the last ones first.
func (h *holders) setAside(o observation, name string, prefix bool, count int32) {
	if count <= 0 {
		return
	}
	for _, p := range slices.Backward(h.freeParts(name)) {
		if count <= 0 {
			return
		}
		if p.prefix != prefix {
			continue
		}
		for _, address := range p.addresses {
			h.put(address, name, v1alpha1.HolderQuarantined, nil, o.now)
		}
		count--
	}
}

// returnAsWhole sends a part of which an address is quarantined or on its way back to the
// subnet. A prefix goes as a whole, once nothing of it is held or rests; until then nothing
// more of it is handed out. EC2 may assign a prefix again of which some addresses were
// given up when it vanished, and others still rested.
func (h *holders) returnAsWhole(o observation, name string, p part) {
	withdrawn := func(entry *v1alpha1.PoolAddress) bool {
		return entry.State == v1alpha1.HolderQuarantined || entry.State == v1alpha1.HolderReleasing
	}
	taken := func(entry *v1alpha1.PoolAddress) bool {
		return entry.State == v1alpha1.HolderAllocated || entry.State == v1alpha1.HolderCooling
	}
	if !h.has(p, withdrawn) {
		return
	}
	state := v1alpha1.HolderReleasing
	if h.has(p, taken) {
		state = v1alpha1.HolderQuarantined
	}
	for _, address := range p.addresses {
		switch entry := h.addresses[address]; {
		case entry == nil:
			h.put(address, name, state, nil, o.now)
		case entry.State == v1alpha1.HolderQuarantined:
			entry.State = state
		}
	}
}

// giving is what an ENI gives back, in parts.
type giving struct {
	// names are on their way back by the record, but the ENI is not told yet.
	names []v1alpha1.AddressOrPrefix
	// told are named in the ENI's spec and still carried.
	told int32
	// surplus is how many parts it carries beyond its counts and those it was told
	// to release; negative: it waits for more.
	addressSurplus, prefixSurplus int32
	// addresses and prefixes are how many of the names it carries.
	addresses, prefixes int32
}

// giving compares the record with what an ENI carries and is told.
func (h *holders) giving(eni *v1alpha1.ElasticNetworkInterface) giving {
	g := giving{addressSurplus: -eni.Spec.AddressCount, prefixSurplus: -eni.Spec.PrefixCount}
	carried := map[v1alpha1.Address]bool{}
	for _, p := range partsOf(eni) {
		g.count(eni, p, h.leaves(eni.Name, p))
		for _, address := range p.addresses {
			carried[address] = true
		}
	}
	for address, entry := range h.addresses {
		leaving := entry.ENIName == eni.Name && entry.State == v1alpha1.HolderReleasing
		if leaving && !carried[address] && !covered(eni.Spec.Release, address) {
			// Gone by itself: named all the same, so that the record settles.
			g.names = append(g.names, vanishedName(eni, address))
		}
	}
	slices.Sort(g.names)
	g.names = slices.Compact(g.names)
	return g
}

// vanishedName returns by which name an address vanished from an ENI: that of its prefix,
// or its own.
func vanishedName(eni *v1alpha1.ElasticNetworkInterface, address v1alpha1.Address) v1alpha1.AddressOrPrefix {
	for _, name := range eni.Status.Missing {
		if covers(name, address) {
			return name
		}
	}
	return v1alpha1.AddressOrPrefix(address)
}

func (g *giving) count(eni *v1alpha1.ElasticNetworkInterface, p part, leaves bool) {
	told := slices.Contains(eni.Spec.Release, p.name)
	switch {
	case told:
		g.told++
	case p.prefix:
		g.prefixSurplus++
	default:
		g.addressSurplus++
	}
	switch {
	case told || !leaves:
	case p.prefix:
		g.names = append(g.names, p.name)
		g.prefixes++
	default:
		g.names = append(g.names, p.name)
		g.addresses++
	}
}

// underway says whether an ENI gives anything back at the moment.
func (g giving) underway() bool { return len(g.names) > 0 || g.told > 0 }

// beyond is how many parts there are beyond the count without those on their way
// back; negative: the count includes some of those.
func (g giving) beyond(prefix bool) int32 {
	if prefix {
		return g.prefixSurplus - g.prefixes
	}
	return g.addressSurplus - g.addresses
}

// handOver turns the record into what the ENIs' specs should say. It is acted upon only
// once the record is stored.
func (h *holders) handOver(o observation, d *decision) {
	for _, name := range h.shown() {
		if h.removable(name) {
			d.removals = append(d.removals, name)
			continue
		}
		h.handOverPart(o, name, d)
	}
	for _, name := range slices.Sorted(maps.Keys(h.strangers)) {
		if h.servesNobody(o, name) {
			d.removals = append(d.removals, name)
		}
	}
}

// servesNobody reports whether a resource has the name of an ENI that is gone, of which
// claims still say that they lost something: nothing is given out under that name before
// they are deleted. The pool makes another ENI, of another name, in its slot.
func (h *holders) servesNobody(o observation, name string) bool {
	entry := h.enis[name]
	id := h.strangers[name].Status.NetworkInterfaceID
	named := func(claim v1alpha1.ENIClaim) bool { return id != "" && claim.Status.NetworkInterfaceID == id }
	lost := entry.State == v1alpha1.PoolENIReleasing && h.resources[name] == nil
	return lost && (id == "" || id != entry.NetworkInterfaceID) && !slices.ContainsFunc(o.claims, named)
}

// handOverPart says what an ENI that stays gives back, and how large it is to be.
func (h *holders) handOverPart(o observation, name string, d *decision) {
	eni := h.resources[name]
	g := h.giving(eni)
	if len(g.names) > 0 {
		d.releases[name] = g.names
	}
	switch size := h.size(eni); {
	case len(g.names) > 0 || h.refused[name] && !g.underway():
		if size != specSize(eni) {
			d.counts[name] = size
		}
	case eni.Primary() && o.limits.known && specSize(eni) > o.room(eni) && !g.underway():
		d.counts[name] = o.room(eni) // Others took slots of the primary ENI.
	}
}

// removable reports whether an ENI's resource may go: nobody holds anything of the ENI,
// or EC2 has no such ENI any more.
func (h *holders) removable(name string) bool {
	entry := h.enis[name]
	if entry.State != v1alpha1.PoolENIReleasing {
		return false
	}
	return gone(h.resources[name]) || (entry.Claim == nil && h.uses()[name].held == 0)
}

// giveUpMissing records that addresses which vanished in EC2, and which no claim holds,
// are given up: an older copy of the ENI, which still shows them, must not serve them.
func (h *holders) giveUpMissing(o observation) {
	for _, name := range h.shown() {
		eni := h.resources[name]
		if h.enis[name].Mode != v1alpha1.ModeShared || gone(eni) {
			continue
		}
		for _, vanished := range eni.Status.Missing {
			if !h.holds(name, vanished) && !slices.Contains(eni.Spec.Release, vanished) {
				h.giveUp(o, name, vanished)
			}
		}
	}
}

func (h *holders) giveUp(o observation, eni string, name v1alpha1.AddressOrPrefix) {
	for _, address := range addressesOf(name) {
		entry := h.addresses[address]
		if entry == nil || (entry.ENIName == eni && entry.State == v1alpha1.HolderQuarantined) {
			h.put(address, eni, v1alpha1.HolderReleasing, nil, o.now)
		}
	}
}

// addressesOf are the addresses that a name, of an address or a prefix, stands for.
func addressesOf(name v1alpha1.AddressOrPrefix) []v1alpha1.Address {
	if strings.Contains(string(name), "/") {
		return addressesIn(v1alpha1.Prefix(name))
	}
	return []v1alpha1.Address{v1alpha1.Address(name)}
}

// reclaimMissing has addresses that vanished in EC2, and that claims hold, assigned again
// by name (protocol 4). Those that rest, or that other ENIs' entries stand for, are given up.
func (h *holders) reclaimMissing(d *decision) {
	for name, eni := range h.resources {
		if gone(eni) {
			continue
		}
		for _, vanished := range eni.Status.Missing {
			switch {
			case h.holds(name, vanished):
				d.reclaims[name] = append(d.reclaims[name], vanished)
				if len(addressesOf(vanished)) > 1 { // Claims hold some of it, and copies from before show all.
					h.distrustBefore(eni, slices.Contains(eni.Spec.Reclaim, vanished))
				}
			case slices.Contains(eni.Spec.Release, vanished):
				h.distrustBefore(eni, true)
			case !slices.Contains(d.releases[name], vanished):
				d.releases[name] = append(d.releases[name], vanished)
				h.distrustBefore(eni, false)
			}
		}
		if names := h.unnoted(eni); len(names) > 0 {
			d.reclaims[name] = append(d.reclaims[name], names...)
		}
	}
}

// distrustBefore has copies of an ENI count for nothing from before its spec named what
// vanished: they still show it. Where the spec does not name it yet, it will in the
// generation that this round writes.
func (h *holders) distrustBefore(eni *v1alpha1.ElasticNetworkInterface, named bool) {
	generation := eni.Generation
	if !named {
		generation++
	}
	record := h.enis[eni.Name]
	record.Generation = max(record.Generation, generation)
}

// unnoted are the names under which claims hold addresses that an ENI neither shows nor
// notes as missing: they vanished while the resource was another, or its status wiped.
func (h *holders) unnoted(eni *v1alpha1.ElasticNetworkInterface) []v1alpha1.AddressOrPrefix {
	read := eni.Status.NetworkInterfaceID != "" && isTrue(eni.Status.Conditions, v1alpha1.ConditionAttached)
	if !read || eni.Primary() || eni.Spec.Mode != v1alpha1.ModeShared || shownGeneration(eni) < h.enis[eni.Name].Generation {
		return nil
	}
	noted := slices.Concat(eni.Status.Missing, eni.Spec.Release)
	shown := offered(eni)
	var names []v1alpha1.AddressOrPrefix
	for address, entry := range h.addresses {
		held := entry.ENIName == eni.Name && entry.State == v1alpha1.HolderAllocated
		if held && !slices.Contains(shown, address) && !covered(noted, address) {
			names = append(names, assignedAs(eni, address))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// assignedAs is the name under which an ENI has an address assigned: its own, or that of
// its prefix.
func assignedAs(eni *v1alpha1.ElasticNetworkInterface, address v1alpha1.Address) v1alpha1.AddressOrPrefix {
	const prefixBits = 28 // EC2 delegates no other.
	at, err := netip.ParseAddr(string(address))
	if err != nil || !inPrefixes(eni) {
		return v1alpha1.AddressOrPrefix(address)
	}
	return v1alpha1.AddressOrPrefix(netip.PrefixFrom(at, prefixBits).Masked().String())
}

// holds says whether a claim holds an address of an ENI that a name stands for.
func (h *holders) holds(eni string, name v1alpha1.AddressOrPrefix) bool {
	for address, entry := range h.addresses {
		if entry.ENIName == eni && entry.State == v1alpha1.HolderAllocated && covers(name, address) {
			return true
		}
	}
	return false
}

// size is an ENI's count of addresses or prefixes without what it gives back. One
// that gives back takes nothing at the same time, so its count falls to what will be left:
// EC2 may assign the very address that the ENI is to release. One that EC2 refuses
// more counts with what it carries.
func (h *holders) size(eni *v1alpha1.ElasticNetworkInterface) int32 {
	g := h.giving(eni)
	if len(g.names) == 0 && !h.refused[eni.Name] {
		return specSize(eni)
	}
	return specSize(eni) + min(g.beyond(inPrefixes(eni))+h.replaced(eni), 0)
}

// replaced is how many names vanished from an ENI that it is to have again, or others in
// their place.
func (h *holders) replaced(eni *v1alpha1.ElasticNetworkInterface) int32 {
	count := int32(0)
	for _, name := range eni.Status.Missing {
		if !h.holds(eni.Name, name) || !slices.Contains(eni.Status.Lost, name) {
			count++
		}
	}
	return count
}

// specSize is an ENI's count of addresses, or prefixes, in its spec.
func specSize(eni *v1alpha1.ElasticNetworkInterface) int32 {
	return eni.Spec.AddressCount + eni.Spec.PrefixCount // One of them is 0.
}

// inPrefixes says whether an ENI is filled with prefixes.
func inPrefixes(eni *v1alpha1.ElasticNetworkInterface) bool {
	return eni.Spec.PrefixCount > 0
}

// unitOf is the number of addresses of one of an ENI's slots.
func unitOf(eni *v1alpha1.ElasticNetworkInterface) int32 {
	if inPrefixes(eni) {
		return v1alpha1.AddressesPerPrefix
	}
	return 1
}
