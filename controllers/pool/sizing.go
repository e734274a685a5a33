/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"fmt"
	"maps"
	"slices"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ipam"
)

// sizing is what the pool has and wants, in addresses and exclusive ENIs.
type sizing struct {
	sharedAllocated, sharedPending, sharedCooling int32
	// sharedReturning are those that cool down and will be free again.
	sharedReturning             int32
	sharedSupply, sharedDesired int32
	// sharedMinimum is what the pool never goes below, by its plugin.
	sharedMinimum                        int32
	exclusiveAllocated, exclusivePending int32
	exclusiveSupply, exclusiveDesired    int32
	// short says that the instance type holds less than the policy's minimum, and
	// fits what of the minimum it holds.
	short                     bool
	sharedFits, exclusiveFits int32
	// full says that the minimum waits for slots that others take.
	full bool
	// lost is how many claims hold what EC2 has not any more.
	lost int32
	// scarcity is what EC2 has not the capacity for although the pool wants it.
	scarcity *trouble
}

// sizeOf counts supply, what is in flight included, and decides what is wanted.
func sizeOf(o observation, h *holders) *sizing {
	s := &sizing{}
	s.countENIs(o, h)
	for _, entry := range h.addresses {
		switch entry.State {
		case v1alpha1.HolderAllocated:
			if h.lostTo(entry) {
				s.lost++
			} else {
				s.sharedAllocated++
			}
		case v1alpha1.HolderCooling:
			s.sharedCooling++
			if h.active(entry.ENIName) {
				s.sharedReturning++
			}
		case v1alpha1.HolderReleasing, v1alpha1.HolderQuarantined, v1alpha1.HolderReserved:
		}
	}
	for _, claim := range slices.Concat(h.waiting, h.coming) {
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
func (s *sizing) countENIs(o observation, h *holders) {
	uses := h.uses()
	for name, entry := range h.enis {
		eni := h.resources[name]
		switch {
		case !h.alive(name):
			if entry.Claim != nil {
				s.lost++
			}
		case entry.Mode == v1alpha1.ModeExclusive:
			s.countExclusive(entry)
		case h.active(name):
			s.sharedSupply += min(h.size(eni), o.room(eni))*unitOf(eni) - uses[name].aside - h.blocked(name)
		default:
			s.sharedSupply += uses[name].held - uses[name].lost
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

// decide sets what the pool aims at: what the plugin asks for, within the bounds.
func (s *sizing) decide(o observation) {
	if bounds := o.pool.Spec.Shared; bounds != nil && !o.draining() {
		size := o.ipam().Size(
			ipam.Bounds{Minimum: bounds.MinimumIPs, Warm: bounds.WarmIPs, Maximum: o.highest()},
			ipam.Demand{Allocated: s.sharedAllocated, Pending: s.sharedPending, Resting: s.sharedReturning})
		unit := o.unit()
		s.sharedMinimum = ceil(within(size.Minimum, bounds.MaximumIPs), unit) * unit
		s.sharedDesired = min(max(ceil(within(size.Desired, bounds.MaximumIPs), unit)*unit, s.sharedMinimum), o.highest())
	}
	if bounds := o.pool.Spec.Exclusive; bounds != nil && !o.draining() {
		want := s.exclusiveAllocated + s.exclusivePending + bounds.Warm
		s.exclusiveDesired = min(max(want, bounds.Minimum), bounds.Maximum)
	}
}

// within keeps what a plugin says between 0 and a maximum.
func within(value, maximum int32) int32 { return min(max(value, 0), maximum) }

// minima are what the pool never goes below, in exclusive ENIs and addresses.
func (s *sizing) minima(o observation) (exclusive, shared int32) {
	if o.pool.Spec.Exclusive != nil {
		exclusive = o.pool.Spec.Exclusive.Minimum
	}
	if o.pool.Spec.Shared != nil {
		shared = min(s.sharedMinimum, s.sharedDesired)
	}
	return exclusive, shared
}

// fit works out what of the minima the instance type carries.
func (s *sizing) fit(o observation, exclusive, shared int32) {
	room := ipam.Room{Slots: max(o.limits.slots-o.otherENIs, 0), AddressSlots: o.limits.addressSlots, Nitro: o.limits.nitro}
	if o.primary.usable {
		room.PrimarySlots = o.primary.room
	}
	s.exclusiveFits, s.sharedFits = room.Fit(exclusive, shared, o.unit())
	s.short = s.exclusiveFits < exclusive || s.sharedFits < shared
}

// carriesUnit says whether the instance takes addresses in the policy's unit:
// prefixes are for Nitro instance types only (EC2).
func (o observation) carriesUnit() bool { return o.unit() == 1 || o.limits.nitro }

// grow raises the pool to what it wants, as far as the instance carries it: first
// both minima, then demand.
func (s *sizing) grow(o observation, h *holders, d *decision) {
	if !o.limits.known || o.draining() {
		return
	}
	exclusive, shared := s.minima(o)
	s.fit(o, exclusive, shared)
	if o.network.unresolved {
		return
	}
	g := newGrowth(o, h, s, d)
	s.full = !g.exclusive(exclusive)
	s.full = !g.shared(shared) || s.full
	g.exclusive(s.exclusiveDesired)
	g.shared(s.sharedDesired)
	s.scarcity = g.scarcity()
}

// slotsTaken is the number of slots that the pool's ENIs take: the primary ENI has
// its own, and one whose tags name another owner takes a slot while it is attached.
func (h *holders) slotsTaken(o observation) int32 {
	taken := int32(len(h.strangers)) //nolint:gosec // bounded by EC2
	for _, eni := range h.resources {
		elsewhere := disowned(eni) && !o.interfaces[eni.Status.NetworkInterfaceID]
		if !eni.Primary() && !gone(eni) && !elsewhere {
			taken++
		}
	}
	return taken
}

// lackingResource is the number of slots that ENIs take whose resource is made again.
func (h *holders) lackingResource(o observation) int32 {
	count := int32(0)
	for _, n := range o.returning {
		if h.resources[n.name] == nil && h.strangers[n.name] == nil {
			count++
		}
	}
	return count
}

// growth hands out the instance's free slots.
type growth struct {
	o     observation
	h     *holders
	d     *decision
	s     *sizing
	slots int32
	// sizes of the ENIs that grow, in addresses or prefixes.
	sizes map[string]int32
	// rooms of subnets, less what has been given out.
	rooms map[string]subnetRoom
	// crowded is a subnet in which an ENI would take more if there were room.
	crowded string
}

func newGrowth(o observation, h *holders, s *sizing, d *decision) *growth {
	return &growth{
		o: o, h: h, d: d, s: s, sizes: map[string]int32{}, rooms: maps.Clone(o.network.rooms),
		slots: o.limits.slots - o.otherENIs - h.slotsTaken(o) - h.lackingResource(o),
	}
}

// exclusive adds exclusive ENIs up to a target, and says whether it got there.
func (g *growth) exclusive(target int32) bool {
	for g.s.exclusiveSupply < target && g.slots > 0 && g.subnetWithRoom(0) {
		g.create(v1alpha1.ModeExclusive, 0)
		g.s.exclusiveSupply++
	}
	return g.s.exclusiveSupply >= target
}

// shared fills the ENIs there are, then adds others, up to a target in addresses.
// It says whether it got there, or as near as the maximum lets it.
func (g *growth) shared(target int32) bool {
	unit := g.o.unit()
	if !g.o.carriesUnit() {
		return g.s.sharedSupply >= target
	}
	for _, name := range g.roomiest() {
		g.fill(name, g.missing(target))
	}
	for i := range g.d.creates {
		if n := &g.d.creates[i]; n.mode == v1alpha1.ModeShared {
			added := min(g.roomFor(n)-n.count, g.missing(target))
			n.count += added
			g.s.sharedSupply += added * unit
		}
	}
	if g.o.primary.slower {
		g.addENIs(target)
	}
	g.usePrimary(target)
	g.addENIs(target)
	return g.missing(target) == 0
}

// addENIs makes ENIs while there are slots for them.
func (g *growth) addENIs(target int32) {
	for g.missing(target) > 0 && g.slots > 0 && g.o.limits.addressSlots > 0 && g.subnetWithRoom(1) {
		count := min(g.o.limits.addressSlots, g.missing(target))
		g.create(v1alpha1.ModeShared, count)
		g.s.sharedSupply += count * g.o.unit()
	}
}

// usePrimary takes the primary ENI's free slots, which needs no new ENI.
func (g *growth) usePrimary(target int32) {
	name := primaryName(g.o.pool)
	count := min(g.o.primary.room, g.missing(target))
	if !g.o.primary.usable || count <= 0 || g.h.resources[name] != nil || g.h.enis[name] != nil || g.o.otherNames[name] {
		return
	}
	g.add(newENI{name: name, mode: v1alpha1.ModeShared, count: count, primary: true})
	g.s.sharedSupply += count * g.o.unit()
}

// primaryName is the name of the resource that stands for the primary ENI: that of
// slot 0.
func primaryName(pool *v1alpha1.ENIPool) string { return pool.Spec.InstanceID + "-0" }

func (g *growth) roomFor(n *newENI) int32 {
	if n.primary {
		return g.o.primary.room
	}
	return g.o.limits.addressSlots
}

// missing is how many addresses or prefixes there are to be added up to a target.
// The supply need not be whole prefixes: of those that are given up, what is held
// counts.
func (g *growth) missing(target int32) int32 {
	unit := g.o.unit()
	return max(min(ceil(target-g.s.sharedSupply, unit), (g.o.highest()-g.s.sharedSupply)/unit), 0)
}

// roomiest are the names of shared ENIs that take new addresses, in order.
func (g *growth) roomiest() []string {
	var names []string
	for name, entry := range g.h.enis {
		eni := g.h.resources[name]
		if eni == nil || entry.Mode != v1alpha1.ModeShared || entry.State != v1alpha1.PoolENIActive {
			continue
		}
		if specSize(eni) == 0 || inPrefixes(eni) == (g.o.unit() > 1) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// fill gives an ENI up to so many slots more. An ENI that gives something back is
// filled afterwards (see size); until then its room counts as supply, so that no
// other ENI takes its place.
func (g *growth) fill(name string, want int32) {
	eni := g.h.resources[name]
	size, grown := g.sizes[name]
	if !grown {
		size = g.h.size(eni)
	}
	wanted := min(g.o.room(eni)-size, want)
	added := min(wanted, g.spare(eni))
	if wanted > added && !g.h.refused[name] {
		g.crowded = eni.Status.SubnetID
	}
	if added <= 0 {
		return
	}
	g.take(eni.Status.SubnetID, added*g.o.unit())
	g.sizes[name] = size + added
	g.s.sharedSupply += added * g.o.unit()
	if !g.h.giving(eni).underway() {
		g.d.counts[name] = size + added
	}
}

func (g *growth) create(mode v1alpha1.Mode, count int32) {
	g.slots--
	g.add(newENI{name: g.freeName(), mode: mode, count: count})
}

// add makes an ENI, and lists it at once: the pool need not be written again when
// it exists.
func (g *growth) add(n newENI) {
	g.d.creates = append(g.d.creates, n)
	g.h.enis[n.name] = &v1alpha1.PoolENI{Name: n.name, Mode: n.mode, State: v1alpha1.PoolENIActive}
}

// freeName is the first of the instance's ENI names that no resource has, so that
// a repeated decision makes the same ENI.
func (g *growth) freeName() string {
	for slot := max(g.o.lowestSlot, 1); ; slot++ {
		name := fmt.Sprintf("%s-%d", g.o.pool.Spec.InstanceID, slot)
		if g.h.enis[name] == nil && g.h.resources[name] == nil && g.h.strangers[name] == nil && !g.o.otherNames[name] && !g.o.returns(name) {
			return name
		}
	}
}

// ceil divides, rounding up.
func ceil(value, unit int32) int32 {
	return (value + unit - 1) / unit
}
