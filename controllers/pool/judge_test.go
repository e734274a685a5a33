/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// judgeReady: at rest a claim is ready if EC2 has what its status shows, and not otherwise.
func (w *world) judgeReady(claim *v1alpha1.ENIClaim) {
	status := &claim.Status
	if status.Phase != v1alpha1.ClaimBound || w.nodeGone {
		return
	}
	has := status.Address != "" && w.cloud[v1alpha1.Address(status.Address)] == status.NetworkInterfaceID
	if claim.Spec.Mode == v1alpha1.ModeExclusive {
		has = status.NetworkInterfaceID != "" && !w.vanished[v1alpha1.Address(status.Address)][status.NetworkInterfaceID]
	}
	if ready := isTrue(status.Conditions, v1alpha1.ConditionReady); ready != has {
		w.Fatalf("claim %s says ready %v of %s on %s, and EC2 has it: %v\n%+v", claim.UID, ready, status.Address, status.NetworkInterfaceID, has, status.Conditions)
	}
}

// judge holds a decision to what it may decide.
func (w *world) judge(o observation, d decision) {
	again := plan(o)
	if !reflect.DeepEqual(d, again) {
		w.Fatalf("the same observation, another decision:\n%s\n%s", render(o, d), render(o, again))
	}
	if shared := d.status.Shared; shared != nil && o.pool.Spec.Shared != nil && !o.draining() && o.suspended == nil {
		if shared.Desired < min(o.pool.Spec.Shared.MinimumIPs, shared.Desired) || shared.Desired > o.pool.Spec.Shared.MaximumIPs {
			w.Fatalf("%d addresses desired", shared.Desired)
		}
	}
	for _, entry := range d.status.Addresses {
		eni := o.eni(entry.ENIName)
		if slices.Contains(d.removals, entry.ENIName) && entry.State == v1alpha1.HolderAllocated && !gone(eni) {
			w.Fatalf("ENI %s is removed while %s is held", entry.ENIName, entry.Address)
		}
		name := v1alpha1.AddressOrPrefix(entry.Address)
		if slices.Contains(d.releases[entry.ENIName], name) && entry.State != v1alpha1.HolderReleasing && !vanishedFrom(o.eni(entry.ENIName), name) {
			w.Fatalf("%s is released while %s", entry.Address, entry.State)
		}
	}
	for _, entry := range d.status.ENIs {
		if slices.Contains(d.removals, entry.Name) && entry.Claim != nil && !gone(o.eni(entry.Name)) {
			w.Fatalf("ENI %s is removed while it is held", entry.Name)
		}
	}
	if o.suspended != nil && len(d.creates)+len(d.counts)+len(d.releases)+len(d.reclaims)+len(d.removals) > 0 {
		w.Fatalf("a suspended pool does something:\n%s", render(o, d))
	}
	w.judgeGrowth(o, d)
}

// vanishedFrom reports whether an ENI shows that something vanished from it: told to
// release it, it gives nothing back.
func vanishedFrom(eni *v1alpha1.ElasticNetworkInterface, name v1alpha1.AddressOrPrefix) bool {
	return eni != nil && slices.Contains(eni.Status.Missing, name)
}

// judgeGrowth holds a pool that grows to its maximum.
func (w *world) judgeGrowth(o observation, d decision) {
	if o.draining() {
		if len(d.creates) > 0 {
			w.Fatalf("a pool without a policy grows")
		}
		return
	}
	before, after := int32(0), int32(0)
	states := map[string]v1alpha1.PoolENI{}
	for _, entry := range d.status.ENIs {
		states[entry.Name] = entry
	}
	for i := range o.enis {
		eni := o.enis[i].DeepCopy()
		if entry := states[eni.Name]; entry.Mode != v1alpha1.ModeShared || entry.State != v1alpha1.PoolENIActive {
			continue
		}
		before += specSize(eni) * unitOf(eni)
		reshape(o, eni, d)
		after += specSize(eni) * unitOf(eni)
	}
	for _, entry := range d.status.Addresses { // Set aside, they serve nobody.
		if entry.State == v1alpha1.HolderQuarantined || blocks(o, entry) {
			before, after = before-1, after-1
		}
	}
	for _, n := range d.creates {
		after += n.count * o.unit()
	}
	if after > before && after > o.pool.Spec.Shared.MaximumIPs {
		w.Fatalf("the pool grows from %d to %d addresses, above %d:\n%s", before, after, o.pool.Spec.Shared.MaximumIPs, render(o, d))
	}
	if after := o.secondaries() + newSecondaries(d); after > int(o.limits.slots) && newSecondaries(d) > 0 {
		w.Fatalf("%d ENIs where %d fit", after, o.limits.slots)
	}
}

// blocks reports whether an address is on another ENI of the pool than its entry says.
func blocks(o observation, entry v1alpha1.PoolAddress) bool {
	return slices.ContainsFunc(o.enis, func(eni v1alpha1.ElasticNetworkInterface) bool {
		return eni.Name != entry.ENIName && slices.Contains(offered(&eni), entry.Address)
	})
}

// secondaries counts the ENIs that take a slot: the primary ENI has its own.
func (o observation) secondaries() (count int) {
	for i := range o.enis {
		if !o.enis[i].Primary() && !gone(&o.enis[i]) {
			count++
		}
	}
	return count
}

func newSecondaries(d decision) (count int) {
	for _, n := range d.creates {
		if !n.primary {
			count++
		}
	}
	return count
}

// judgeRecord holds a stored record to the one before it, and to EC2.
func (w *world) judgeRecord(before *v1alpha1.ENIPool, o observation) {
	stored := w.pool()
	after := map[v1alpha1.Address]v1alpha1.PoolAddress{}
	holding := map[types.UID]bool{}
	for _, entry := range stored.Status.Addresses {
		after[entry.Address] = entry
		if entry.State == v1alpha1.HolderReleasing {
			sim := w.enis[entry.ENIName]
			owner := w.cloud[entry.Address]
			w.leaving[entry.Address] = sim != nil && owner != "" && owner == sim.latest().Status.NetworkInterfaceID
		}
		if entry.State == v1alpha1.HolderAllocated {
			if holding[entry.Claim.UID] {
				w.Fatalf("claim %s holds twice", entry.Claim.UID)
			}
			holding[entry.Claim.UID] = true
		}
	}
	if before.Status.PoolUID != before.UID || w.nodeGone {
		return
	}
	w.notice(o)
	held := map[v1alpha1.Address]bool{}
	for _, entry := range before.Status.Addresses {
		if entry.State != v1alpha1.HolderAllocated {
			continue
		}
		held[entry.Address] = true
		claim := w.claims[entry.Claim.UID]
		alive := claim != nil && claim.DeletionTimestamp.IsZero() && !w.ended[claim.UID]
		if after[entry.Address].State != v1alpha1.HolderAllocated {
			w.freed[entry.Address] = o.now
		}
		if now := after[entry.Address]; alive && (now.State != v1alpha1.HolderAllocated || now.Claim.UID != entry.Claim.UID) {
			w.Fatalf("%s was taken from claim %s", entry.Address, entry.Claim.UID)
		}
	}
	for _, entry := range stored.Status.Addresses {
		if entry.State == v1alpha1.HolderAllocated && !held[entry.Address] {
			w.judgeAllocation(entry, o)
			w.judgeReservation(before, entry, o)
		}
	}
}

// judgeReservation holds a new allocation to what the record before it reserved.
func (w *world) judgeReservation(before *v1alpha1.ENIPool, entry v1alpha1.PoolAddress, o observation) {
	claim := w.claims[entry.Claim.UID]
	if claim == nil || claim.Spec.Address == nil {
		return
	}
	for _, last := range before.Status.Addresses {
		resting := last.State == v1alpha1.HolderCooling
		reserved := last.State == v1alpha1.HolderReserved && o.now.Before(last.Since.Add(o.reserveFor()))
		if last.Address == entry.Address && (resting || reserved) && last.Claim != nil && last.Claim.Namespace != claim.Namespace {
			w.Fatalf("%s of %s was handed by name to %s/%s", entry.Address, last.Claim.Namespace, claim.Namespace, claim.UID)
		}
	}
}

// notice remembers of which vanished addresses a record was stored that knows it.
func (w *world) notice(o observation) {
	for address, ids := range w.vanished {
		for i := range o.enis {
			eni := &o.enis[i]
			if id := eni.Status.NetworkInterfaceID; ids[id] && (gone(eni) || covered(eni.Status.Missing, address)) && o.suspended == nil {
				if w.noticed[address] == nil {
					w.noticed[address] = map[string]bool{}
				}
				w.noticed[address][id] = true
			}
		}
	}
}

// judgeAllocation holds a new allocation to EC2, whatever the reading was.
func (w *world) judgeAllocation(entry v1alpha1.PoolAddress, o observation) {
	if w.leaving[entry.Address] {
		w.Fatalf("%s was handed out on its way back to the subnet", entry.Address)
	}
	if freed, ok := w.freed[entry.Address]; ok && w.now.Sub(freed) < o.cooldown() {
		w.Fatalf("%s was handed out %s after it was released", entry.Address, w.now.Sub(freed))
	}
	eni := o.eni(entry.ENIName)
	if o.suspended != nil {
		w.Fatalf("%s was handed out by a suspended pool", entry.Address)
	}
	if eni == nil {
		w.Fatalf("%s was handed out without an ENI", entry.Address)
	}
	id := eni.Status.NetworkInterfaceID
	unseen := w.vanished[entry.Address][id] && !w.noticed[entry.Address][id] // No read could have shown it.
	if w.cloud[entry.Address] != id && !unseen {
		w.Fatalf("%s was handed out, but EC2 has it on %q", entry.Address, w.cloud[entry.Address])
	}
	if other := w.inUse(entry.Address); other != nil && other.UID != entry.Claim.UID {
		w.Fatalf("%s was handed to %s while %s uses it", entry.Address, entry.Claim.UID, other.UID)
	}
}

// check holds Kubernetes to promise 1: what claims were told is theirs alone.
func (w *world) check(*rapid.T) {
	told := map[string]types.UID{}
	for _, uid := range w.claimUIDs() {
		status := w.claims[uid].Status
		if (status.Phase == v1alpha1.ClaimExpired) != w.ended[uid] {
			w.Fatalf("claim %s is %s; its lease ran out: %v", uid, status.Phase, w.ended[uid])
		}
		if status.Phase != v1alpha1.ClaimBound || status.Address == "" {
			continue
		}
		key := status.Address
		if w.claims[uid].Spec.Mode == v1alpha1.ModeExclusive {
			key = status.NetworkInterfaceID
		}
		if other, taken := told[key]; taken {
			w.Fatalf("%s is held by %s and by %s", key, other, uid)
		}
		told[key] = uid
		if before := w.told[uid]; before != "" && before != status.Address {
			w.Fatalf("claim %s had %s and has %s now", uid, before, status.Address)
		}
		w.told[uid] = status.Address
		address, shared := v1alpha1.Address(status.Address), w.claims[uid].Spec.Mode == v1alpha1.ModeShared
		if shared && w.cloud[address] == "" && !w.vanished[address][status.NetworkInterfaceID] && !w.nodeGone {
			w.Fatalf("claim %s has %s, which EC2 does not", uid, status.Address)
		}
	}
}
