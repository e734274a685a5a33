/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// sizing is what the pool has and wants, in addresses and exclusive ENIs.
type sizing struct {
	sharedAllocated, sharedPending, sharedCooling int32
	// sharedReturning are those that cool down and will be free again.
	sharedReturning                      int32
	sharedSupply, sharedDesired          int32
	exclusiveAllocated, exclusivePending int32
	exclusiveSupply, exclusiveDesired    int32
	// short says that the instance type holds less than the policy's minimum.
	short bool
	// full says that more is wanted than the instance can carry.
	full bool
}

// sizeOf counts supply, what is in flight included, and decides what is wanted.
func sizeOf(o observation, h *holders) *sizing {
	s := &sizing{}
	s.countENIs(h)
	for _, entry := range h.addresses {
		switch entry.State {
		case v1alpha1.HolderAllocated:
			s.sharedAllocated++
		case v1alpha1.HolderCooling:
			s.sharedCooling++
			if h.active(entry.ENIName) {
				s.sharedReturning++
			}
		case v1alpha1.HolderReleasing, v1alpha1.HolderQuarantined:
		}
	}
	for _, claim := range h.waiting {
		switch {
		case claim.Spec.Mode == v1alpha1.ModeExclusive:
			s.exclusivePending++
		case claim.Spec.Address == nil:
			s.sharedPending++
		}
	}
	s.decide(o)
	return s
}

// countENIs counts ENIs that take no new claims by what is held of them, so that
// their replacements stay within the bounds.
func (s *sizing) countENIs(h *holders) {
	for name, entry := range h.enis {
		eni := h.resources[name]
		switch {
		case entry.Mode == v1alpha1.ModeExclusive:
			s.countExclusive(entry)
		case eni != nil && h.active(name):
			s.sharedSupply += sizeInAddresses(eni) - h.outgoing(eni)
		default:
			s.sharedSupply += int32(h.held(name)) //nolint:gosec // bounded by EC2
		}
	}
}

func (h *holders) active(name string) bool {
	entry := h.enis[name]
	return entry != nil && entry.State == v1alpha1.PoolENIActive
}

func (s *sizing) countExclusive(entry *v1alpha1.PoolENI) {
	if entry.Claim != nil {
		s.exclusiveAllocated++
	}
	if entry.State == v1alpha1.PoolENIActive || entry.Claim != nil {
		s.exclusiveSupply++
	}
}

// decide sets what the pool aims at: what is held and waited for, and what is to
// be warm, within the bounds. Addresses that rest stand in for warm ones, but
// serve no claim that waits.
func (s *sizing) decide(o observation) {
	if bounds := o.pool.Spec.Shared; bounds != nil && !o.draining() {
		unit := o.unit()
		lowest := ceil(bounds.MinimumIPs, unit) * unit
		highest := bounds.MaximumIPs / unit * unit
		want := s.sharedAllocated + s.sharedPending + max(bounds.WarmIPs, s.sharedReturning)
		s.sharedDesired = min(max(ceil(want, unit)*unit, lowest), highest)
	}
	if bounds := o.pool.Spec.Exclusive; bounds != nil && !o.draining() {
		want := s.exclusiveAllocated + s.exclusivePending + bounds.Warm
		s.exclusiveDesired = min(max(want, bounds.Minimum), bounds.Maximum)
	}
}

// sizeInAddresses is what an ENI holds or will hold.
func sizeInAddresses(eni *v1alpha1.ElasticNetworkInterface) int32 {
	return eni.Spec.AddressCount + addressesPerPrefix*eni.Spec.PrefixCount
}

// outgoing counts addresses that the pool has given up but the ENI's spec does
// not name yet, so that its count still includes them.
func (h *holders) outgoing(eni *v1alpha1.ElasticNetworkInterface) int32 {
	count := int32(0)
	for address, entry := range h.addresses {
		if entry.ENIName == eni.Name && entry.State == v1alpha1.HolderReleasing &&
			!slices.Contains(eni.Spec.Release, v1alpha1.AddressOrPrefix(address)) {
			count++
		}
	}
	return count
}

// grow raises the pool to what it wants, as far as the instance carries it: first
// both minima, then demand.
func (s *sizing) grow(o observation, h *holders, d *decision) {
	if !o.limits.known || o.draining() {
		return
	}
	g := &growth{o: o, h: h, d: d, s: s,
		slots: o.limits.slots - o.otherENIs - int32(len(h.resources))} //nolint:gosec // bounded by EC2
	minimumExclusive, minimumShared := int32(0), int32(0)
	if o.pool.Spec.Exclusive != nil {
		minimumExclusive = o.pool.Spec.Exclusive.Minimum
	}
	if o.pool.Spec.Shared != nil {
		minimumShared = min(ceil(o.pool.Spec.Shared.MinimumIPs, o.unit())*o.unit(), s.sharedDesired)
	}
	s.short = !g.exclusive(minimumExclusive)
	s.short = !g.shared(minimumShared) || s.short
	s.full = !g.exclusive(s.exclusiveDesired)
	s.full = !g.shared(s.sharedDesired) || s.full
}

// growth hands out the instance's free slots.
type growth struct {
	o     observation
	h     *holders
	d     *decision
	s     *sizing
	slots int32
}

// exclusive adds exclusive ENIs up to a target, and says whether it got there.
func (g *growth) exclusive(target int32) bool {
	for g.s.exclusiveSupply < target && g.slots > 0 {
		g.create(v1alpha1.ModeExclusive, 0)
		g.s.exclusiveSupply++
	}
	return g.s.exclusiveSupply >= target
}

// shared fills the ENIs there are, then adds others, up to a target in addresses.
func (g *growth) shared(target int32) bool {
	unit := g.o.unit()
	if unit > 1 && !g.o.limits.nitro {
		return g.s.sharedSupply >= target
	}
	for _, name := range g.roomiest() {
		g.fill(name, ceil(target-g.s.sharedSupply, unit))
	}
	for i := range g.d.creates {
		if g.d.creates[i].mode == v1alpha1.ModeShared {
			added := min(g.o.limits.addressSlots-g.d.creates[i].count, max(ceil(target-g.s.sharedSupply, unit), 0))
			g.d.creates[i].count += added
			g.s.sharedSupply += added * unit
		}
	}
	for g.s.sharedSupply < target && g.slots > 0 && g.o.limits.addressSlots > 0 {
		count := min(g.o.limits.addressSlots, ceil(target-g.s.sharedSupply, unit))
		g.create(v1alpha1.ModeShared, count)
		g.s.sharedSupply += count * unit
	}
	return g.s.sharedSupply >= target
}

// roomiest are the names of shared ENIs that take new addresses, in order.
func (g *growth) roomiest() []string {
	var names []string
	for name, entry := range g.h.enis {
		eni := g.h.resources[name]
		sameUnit := eni != nil && (g.o.unit() > 1) == (eni.Spec.PrefixCount > 0)
		if sameUnit && entry.Mode == v1alpha1.ModeShared && entry.State == v1alpha1.PoolENIActive {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (g *growth) fill(name string, want int32) {
	eni := g.h.resources[name]
	has, grown := g.d.counts[name]
	if !grown {
		has = eni.Spec.AddressCount - g.h.outgoing(eni)
		if g.o.unit() > 1 {
			has = eni.Spec.PrefixCount
		}
	}
	added := min(g.o.limits.addressSlots-has-int32(g.h.leaving(eni)), want) //nolint:gosec // bounded by EC2
	if added > 0 {
		g.d.counts[name] = has + added
		g.s.sharedSupply += added * g.o.unit()
	}
}

func (g *growth) create(mode v1alpha1.Mode, count int32) {
	g.slots--
	g.d.creates = append(g.d.creates, newENI{name: g.freeName(), mode: mode, count: count})
}

// freeName is the first of the instance's ENI names that no resource has, so that
// a repeated decision makes the same ENI.
func (g *growth) freeName() string {
	for slot := g.o.lowestSlot; ; slot++ {
		name := fmt.Sprintf("%s-%d", g.o.pool.Spec.InstanceID, slot)
		taken := slices.ContainsFunc(g.d.creates, func(n newENI) bool { return n.name == name })
		if g.h.enis[name] == nil && g.h.resources[name] == nil && !g.o.otherNames[name] && !taken {
			return name
		}
	}
}

// shrink moves what is idle to Releasing once the pool has had a surplus for long
// enough. It returns since when it has one, and when to look again.
func (h *holders) shrink(o observation, s *sizing) (*metav1.Time, time.Duration) {
	shared, exclusive := s.sharedSupply-s.sharedDesired, s.exclusiveSupply-s.exclusiveDesired
	if o.draining() || (shared <= 0 && exclusive <= 0) || !h.idle(o, shared, exclusive) {
		return nil, 0
	}
	since := o.pool.Status.SurplusSince
	if since == nil {
		now := metav1.NewTime(o.now)
		since = &now
	}
	if left := o.idleReleaseAfter() - o.now.Sub(since.Time); left > 0 {
		return since, left
	}
	s.exclusiveSupply -= h.dropExclusive(exclusive)
	s.sharedSupply -= h.dropShared(o, shared)
	return nil, 0
}

// idle says whether anything of a surplus could be given back now.
func (h *holders) idle(o observation, shared, exclusive int32) bool {
	for name, entry := range h.enis {
		switch {
		case entry.State != v1alpha1.PoolENIActive:
		case entry.Mode == v1alpha1.ModeExclusive && exclusive > 0 && entry.Claim == nil && entry.CoolingSince == nil:
			return true
		case entry.Mode == v1alpha1.ModeShared && shared >= o.unit() && len(h.free(name)) > 0 && h.divisible(name, shared):
			return true
		}
	}
	return false
}

// divisible says whether a shared ENI can give back part of what it holds, or is
// to be given back as a whole. One that holds prefixes has no other part.
func (h *holders) divisible(name string, surplus int32) bool {
	eni := h.resources[name]
	return eni.Spec.PrefixCount == 0 || h.whole(name, eni, surplus)
}

// whole says whether a surplus covers a shared ENI of which nothing is held.
func (h *holders) whole(name string, eni *v1alpha1.ElasticNetworkInterface, surplus int32) bool {
	return sizeInAddresses(eni)-h.outgoing(eni) <= surplus && h.held(name)+h.resting(name) == 0
}

// dropExclusive gives free exclusive ENIs back, and says how many.
func (h *holders) dropExclusive(surplus int32) int32 {
	dropped := int32(0)
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(h.enis))) {
		entry := h.enis[name]
		if dropped < surplus && entry.Mode == v1alpha1.ModeExclusive && entry.State == v1alpha1.PoolENIActive &&
			entry.Claim == nil && entry.CoolingSince == nil {
			entry.State = v1alpha1.PoolENIReleasing
			dropped++
		}
	}
	return dropped
}

// dropShared gives addresses back, from the least-used ENI first: the whole ENI
// where nothing of it is held, else single free addresses.
func (h *holders) dropShared(o observation, surplus int32) int32 {
	dropped := int32(0)
	for _, name := range h.leastUsed() {
		eni, entry := h.resources[name], h.enis[name]
		left := surplus - dropped
		if h.whole(name, eni, left) {
			dropped += sizeInAddresses(eni) - h.outgoing(eni)
			entry.State = v1alpha1.PoolENIReleasing
			continue
		}
		for _, address := range slices.Backward(h.free(name)) {
			if left <= 0 || eni.Spec.PrefixCount > 0 {
				break
			}
			h.put(address, name, v1alpha1.HolderReleasing, nil, o.now)
			left--
			dropped++
		}
	}
	return dropped
}

func (h *holders) leastUsed() []string {
	var names []string
	for name, entry := range h.enis {
		if h.resources[name] != nil && entry.Mode == v1alpha1.ModeShared && entry.State == v1alpha1.PoolENIActive {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(h.held(a), h.held(b)), strings.Compare(b, a))
	})
	return names
}

// handOver says what the record means for the ENIs' specs. It is acted upon only
// once the record is stored.
func (h *holders) handOver(_ observation, d *decision) {
	for address, entry := range h.addresses {
		eni := h.resources[entry.ENIName]
		if entry.State == v1alpha1.HolderReleasing && eni != nil &&
			!slices.Contains(eni.Spec.Release, v1alpha1.AddressOrPrefix(address)) {
			d.releases[entry.ENIName] = append(d.releases[entry.ENIName], string(address))
		}
	}
	for _, names := range d.releases {
		slices.Sort(names)
	}
	for _, name := range slices.Sorted(maps.Keys(h.enis)) {
		if h.enis[name].State == v1alpha1.PoolENIReleasing && h.resources[name] != nil {
			d.removals = append(d.removals, name)
		}
	}
}

// ceil divides, rounding up.
func ceil(value, unit int32) int32 {
	return (value + unit - 1) / unit
}
