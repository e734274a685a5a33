/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

const (
	// refusalLasts is for how long an ENI that EC2 refused more is not asked to grow,
	// unless a read shows room in its subnet.
	refusalLasts = 2 * time.Minute
	// scarcityRetry is how soon a pool looks whether EC2 has what it lacked.
	scarcityRetry = time.Minute
)

// refusal returns what EC2 has not the capacity for, of what an ENI that exists asks for:
// by its status, or lately. Where a later read shows room in its subnet it is none.
func (o observation) refusal(eni *v1alpha1.ElasticNetworkInterface) (v1alpha1.GrowthRefusal, bool) {
	if eni.Status.NetworkInterfaceID == "" {
		return v1alpha1.GrowthRefusal{}, false
	}
	if standing, refused := standingRefusal(eni); refused {
		return standing, true
	}
	remembered, refused := o.refused[eni.Name]
	if room := o.network.rooms[eni.Status.SubnetID]; room.known && room.units(o.unit()) > 0 {
		return remembered, false
	}
	return remembered, refused
}

// standingRefusal returns what an ENI's status says that EC2 refused.
func standingRefusal(eni *v1alpha1.ElasticNetworkInterface) (v1alpha1.GrowthRefusal, bool) {
	if eni.Status.Refusal != nil {
		return *eni.Status.Refusal, true
	}
	ready := meta.FindStatusCondition(eni.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status != metav1.ConditionFalse {
		return v1alpha1.GrowthRefusal{}, false
	}
	full := ready.Reason == v1alpha1.ReasonSubnetExhausted || ready.Reason == v1alpha1.ReasonSubnetFragmented
	return v1alpha1.GrowthRefusal{Reason: ready.Reason, Message: ready.Message}, full
}

// units is how many addresses or prefixes of a size a subnet has room for.
func (r subnetRoom) units(unit int32) int32 {
	if unit > 1 && r.fragmented {
		return 0
	}
	return r.addresses / unit
}

// spare is how many addresses or prefixes more an ENI's subnet lets it take.
func (g *growth) spare(eni *v1alpha1.ElasticNetworkInterface) int32 {
	if g.h.refused[eni.Name] {
		return 0
	}
	if room := g.rooms[eni.Status.SubnetID]; room.known {
		return room.units(g.o.unit())
	}
	return g.o.highest()
}

// take notes that addresses of a subnet are asked for.
func (g *growth) take(subnet string, addresses int32) {
	if room, found := g.rooms[subnet]; found {
		room.addresses -= addresses
		g.rooms[subnet] = room
	}
}

// subnetWithRoom reports whether one of the policy's subnets may have room for an ENI
// with its primary address and so many addresses or prefixes. While EC2 refuses to make
// another ENI of the pool none has room for a shared one, and for one that asks for no
// addresses only those that a read shows to have some.
func (g *growth) subnetWithRoom(units int32) bool {
	refused := g.h.refusedCreation()
	if refused != nil && (units > 0 || specSize(refused) == 0) {
		return false
	}
	return slices.ContainsFunc(g.o.network.subnetIDs, func(id string) bool {
		room := g.rooms[id]
		if !room.known {
			return refused == nil
		}
		return room.addresses > 0 && (units == 0 || subnetRoom{addresses: room.addresses - 1, fragmented: room.fragmented}.units(g.o.unit()) >= units)
	})
}

// refusedCreation returns the ENI of the pool that EC2 refuses to make for lack of
// capacity and that asks for least, or nil: it was tried in all of the policy's subnets.
func (h *holders) refusedCreation() (least *v1alpha1.ElasticNetworkInterface) {
	for _, eni := range h.resources {
		_, refused := standingRefusal(eni)
		if !refused || eni.Status.NetworkInterfaceID != "" || !eni.DeletionTimestamp.IsZero() || h.givesUp(eni.Name) {
			continue
		}
		if least == nil || specSize(eni) < specSize(least) {
			least = eni
		}
	}
	return least
}

// scarcity returns what EC2 lacks the capacity for, or nil where it lacks nothing.
func (g *growth) scarcity() *trouble {
	unmet := g.s.exclusiveSupply < g.s.exclusiveDesired || g.missing(g.s.sharedDesired) > 0
	for _, name := range slices.Sorted(maps.Keys(g.h.resources)) {
		if found := g.scarcityOf(g.h.resources[name], unmet); found != nil && !g.h.givesUp(name) {
			return found
		}
	}
	switch {
	case !unmet:
		return nil
	case g.slots > 0 && len(g.o.network.subnetIDs) > 0 && !g.subnetWithRoom(1):
		return g.crowdedIn(strings.Join(g.o.network.subnetIDs, ", "))
	case g.crowded != "":
		return g.crowdedIn(g.crowded)
	default:
		return nil
	}
}

// scarcityOf returns what EC2 lacks the capacity for on one ENI, or nil. unmet: the pool
// wants more than it has.
func (g *growth) scarcityOf(eni *v1alpha1.ElasticNetworkInterface, unmet bool) *trouble {
	if !eni.DeletionTimestamp.IsZero() {
		return nil
	}
	if refusal, refused := g.o.refusal(eni); refused && unmet {
		return scarce(refusal.Reason, fmt.Sprintf("ENI %s: %s", eni.Name, refusal.Message))
	}
	if refusal, refused := standingRefusal(eni); refused && eni.Status.NetworkInterfaceID == "" {
		return scarce(refusal.Reason, fmt.Sprintf("ENI %s: %s", eni.Name, refusal.Message))
	}
	if ready := meta.FindStatusCondition(eni.Status.Conditions, v1alpha1.ConditionReady); ready != nil && takesNoMore(ready) {
		return scarce(ready.Reason, fmt.Sprintf("ENI %s: %s", eni.Name, ready.Message))
	}
	return nil
}

// crowdedIn says that subnets have no room, or no block for a prefix.
func (g *growth) crowdedIn(subnets string) *trouble {
	if g.o.unit() > 1 && slices.ContainsFunc(slices.Collect(maps.Values(g.rooms)), func(r subnetRoom) bool { return r.fragmented }) {
		return scarce(v1alpha1.ReasonSubnetFragmented, fmt.Sprintf(
			"No free block of 16 addresses is left for a prefix in %s. Add a subnet to subnetSelectorTerms, or reserve a block for prefixes.", subnets))
	}
	return scarce(v1alpha1.ReasonSubnetExhausted, fmt.Sprintf(
		"No candidate subnet has room: %s. Add a subnet with free addresses to subnetSelectorTerms, or free some.", subnets))
}

func scarce(reason, message string) *trouble {
	return &trouble{condition: v1alpha1.ConditionCapacityAvailable, reason: reason, message: message}
}

// takesNoMore reports whether an ENI cannot be made or attached although its subnet has
// room: a quota is used up, or the instance's slots are.
func takesNoMore(ready *metav1.Condition) bool {
	return ready.Status == metav1.ConditionFalse &&
		(ready.Reason == v1alpha1.ReasonQuotaExceeded || ready.Reason == v1alpha1.ReasonNoFreeDeviceIndex)
}

// retry is when to look again whether EC2 has what it lacked, or the instance a slot that
// EC2 refused; zero: the pool lacks nothing.
func (s *sizing) retry(o observation) time.Duration {
	switch {
	case o.draining():
		return 0
	case s.scarcity != nil:
		return scarcityRetry
	case s.full || s.exclusiveSupply < s.exclusiveDesired || s.sharedSupply < s.sharedDesired:
		return o.limits.learnedFor
	default:
		return 0
	}
}

// giveUpUnattached gives back ENIs that were never attached and for which the instance
// has no slot: it takes fewer than its type promises, or foreign ENIs take them. They
// would count as supply, and the other ENIs' room stay unused. The newest names go first.
func (h *holders) giveUpUnattached(o observation) {
	if !o.limits.known {
		return
	}
	excess := h.slotsTaken(o) - max(o.limits.slots-o.otherENIs, 0)
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(h.resources))) {
		if excess <= 0 {
			return
		}
		eni, entry := h.resources[name], h.enis[name]
		attachedBefore := eni.Status.Attachment != nil || isTrue(eni.Status.Conditions, v1alpha1.ConditionAttached)
		if attachedBefore || eni.Primary() || gone(eni) || entry.Claim != nil || h.uses()[name].held > 0 {
			continue
		}
		entry.State = v1alpha1.PoolENIReleasing
		excess--
	}
}

// givesUp reports whether the pool has decided to give an ENI up.
func (h *holders) givesUp(name string) bool {
	return h.enis[name] != nil && h.enis[name].State == v1alpha1.PoolENIReleasing
}

// giveUpRefused gives back shared ENIs that EC2 refuses to make for lack of room and that
// ask for another kind of address than the policy does by now: no other would be made.
func (h *holders) giveUpRefused(o observation) {
	for name, eni := range h.resources {
		_, refused := standingRefusal(eni)
		uncreated := refused && eni.Status.NetworkInterfaceID == ""
		if uncreated && specSize(eni) > 0 && inPrefixes(eni) != (o.unit() > 1) && h.enis[name].Mode == v1alpha1.ModeShared {
			h.enis[name].State = v1alpha1.PoolENIReleasing
		}
	}
}

// refusals remembers what EC2 refused to the ENIs of each pool. Nothing of it is stored:
// after a failover EC2 is asked again.
type refusals struct {
	mu     sync.Mutex
	byPool map[string]map[string]rememberedRefusal
}

type rememberedRefusal struct {
	v1alpha1.GrowthRefusal
	at time.Time
}

// recall returns what EC2 refused lately to ENIs of a pool, and remembers what their
// statuses say now.
func (r *refusals) recall(pool string, enis []v1alpha1.ElasticNetworkInterface, now time.Time) map[string]v1alpha1.GrowthRefusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	lately := map[string]v1alpha1.GrowthRefusal{}
	kept := map[string]rememberedRefusal{}
	for i := range enis {
		name := enis[i].Name
		last, known := r.byPool[pool][name]
		if standing, refused := standingRefusal(&enis[i]); refused {
			last, known = rememberedRefusal{GrowthRefusal: standing, at: now}, true
		}
		if known && now.Sub(last.at) < refusalLasts {
			kept[name] = last
			lately[name] = last.GrowthRefusal
		}
	}
	if r.byPool == nil {
		r.byPool = map[string]map[string]rememberedRefusal{}
	}
	r.byPool[pool] = kept
	if len(kept) == 0 {
		delete(r.byPool, pool)
	}
	return lately
}
