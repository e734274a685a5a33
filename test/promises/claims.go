/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// seeClaim judges a change of a claim.
func (r *Referee) seeClaim(before, after *v1alpha1.ENIClaim, operator bool) {
	if after == nil {
		delete(r.given, before.UID)
		delete(r.stale, before.UID)
		for address, l := range r.lapsed {
			if l.claim == nameOf(before) {
				delete(r.lapsed, address)
			}
		}
		return
	}
	if before != nil && before.Status.Phase == after.Status.Phase && before.Status.Address == after.Status.Address &&
		before.Status.NetworkInterfaceID == after.Status.NetworkInterfaceID && isReady(before) == isReady(after) && addressLost(before) == addressLost(after) {
		return
	}
	if !operator {
		r.forgeClaim(after)
		return
	}
	r.refresh()
	r.judgeLost(before, after)
	delete(r.forged, after.UID)
	r.give(after)
	if holds(after) {
		r.judgeHolder(after)
		if before == nil || !holds(before) {
			r.judgePlace(after)
			r.judgeBinding(after)
		}
	}
}

// overlooked is how long a replica may not know of a Node's change.
const overlooked = 75 * time.Second

// judgePlace looks whether a claim is bound to the machine that its Node stands for.
func (r *Referee) judgePlace(claim *v1alpha1.ENIClaim) {
	node, eni := r.nodeNamed(claim.Spec.NodeName), r.world.ENI(claim.Status.NetworkInterfaceID)
	if node == nil || eni == nil || eni.InstanceID == "" || time.Since(r.changed[node.Name]) < overlooked || r.mayNotSeeMove(eni.ID) {
		return
	}
	if id := InstanceOf(node); id != "" && id != eni.InstanceID {
		r.foul(RightPlace, string(claim.UID), "claim %s was bound to %s of %s on instance %s, and its Node %s is %s",
			nameOf(claim), claim.Status.Address, eni.ID, eni.InstanceID, node.Name, id)
	}
}

// forgeClaim takes back what a claim held, where others changed its status: it may
// use it all the same, so that nobody else may get it before it went back to EC2.
func (r *Referee) forgeClaim(after *v1alpha1.ENIClaim) {
	if held, ok := r.given[after.UID]; ok && held.address != after.Status.Address && !r.untold(held, after) {
		r.lapsed[held.address] = lapsed{given: held, claim: nameOf(after)}
	}
	delete(r.given, after.UID)
	r.forged[after.UID] = true
}

// untold reports whether nothing tells any more what a claim held, once its status is taken
// away: others put an older record in the place of its pool's, which does not name it either.
func (r *Referee) untold(held given, claim *v1alpha1.ENIClaim) bool {
	pool := r.poolOf(claim.Spec.NodeName)
	return pool != nil && r.forged[pool.UID] && pool.Spec.InstanceID == held.instance && forgets(pool, held.address, nameOf(claim))
}

// forgeRecord takes in that others wrote the record of a pool.
func (r *Referee) forgeRecord(pool *v1alpha1.ENIPool) {
	r.forged[pool.UID] = true
	for address, l := range r.lapsed {
		if l.instance == pool.Spec.InstanceID && forgets(pool, address, l.claim) {
			delete(r.lapsed, address)
		}
	}
}

// forgets reports whether a record looks like the pool's own, and does not name a claim as
// the holder of an address. One that does not look so is known to be lost.
func forgets(pool *v1alpha1.ENIPool, address, claim string) bool {
	named := slices.ContainsFunc(pool.Status.Addresses, func(entry v1alpha1.PoolAddress) bool {
		return string(entry.Address) == address && entry.Claim != nil && entry.Claim.Namespace+"/"+entry.Claim.Name == claim
	})
	whole := slices.ContainsFunc(pool.Status.ENIs, func(entry v1alpha1.PoolENI) bool {
		return entry.Claim != nil && entry.Claim.Namespace+"/"+entry.Claim.Name == claim
	})
	return pool.Status.PoolUID == pool.UID && !named && !whole
}

// give notes what the operator told a claim.
func (r *Referee) give(claim *v1alpha1.ENIClaim) {
	if claim.Status.Phase != v1alpha1.ClaimBound || claim.Status.Address == "" {
		delete(r.given, claim.UID)
		return
	}
	now := given{
		address: claim.Status.Address, eni: claim.Status.NetworkInterfaceID, instance: r.given[claim.UID].instance,
		exclusive: claim.Spec.Mode == v1alpha1.ModeExclusive,
	}
	if now.eni == "" {
		now.eni = r.given[claim.UID].eni
	}
	if eni := r.world.ENI(now.eni); eni != nil && eni.InstanceID != "" {
		now.instance = eni.InstanceID
	}
	for _, pool := range r.world.Pools {
		if pool.Name == claim.Spec.NodeName && (now.instance == "" || r.mayNotSeeMove(now.eni)) {
			now.instance = pool.Spec.InstanceID
		}
	}
	r.given[claim.UID] = now
	for address, l := range r.lapsed {
		if l.claim == nameOf(claim) {
			delete(r.lapsed, address) // Its status shows again what it holds.
		}
	}
}

// judgeHolder compares a claim that shows what it holds with all others.
func (r *Referee) judgeHolder(claim *v1alpha1.ENIClaim) {
	mine := r.given[claim.UID]
	for uid, other := range r.world.Claims {
		theirs, has := r.given[uid]
		if uid == claim.UID || !has {
			continue
		}
		samePlace := theirs.eni == mine.eni && theirs.address == mine.address
		shared := mine.exclusive || theirs.exclusive
		switch {
		case (holds(other) || samePlace && !addressLost(other)) && theirs.address == mine.address:
			r.foul(HeldOnce, mine.address+string(claim.UID), "%s is held by the claims %s (on %s) and %s (on %s)",
				mine.address, nameOf(other), theirs.eni, nameOf(claim), mine.eni)
		case holds(other) && shared && theirs.eni == mine.eni:
			r.foul(HeldOnce, mine.eni+string(claim.UID), "%s is held by the claims %s and %s", mine.eni, nameOf(other), nameOf(claim))
		}
	}
	if l, ok := r.lapsed[mine.address]; ok && l.claim != nameOf(claim) && l.eni == mine.eni {
		r.foul(HeldOnce, mine.address+string(claim.UID),
			"%s went to claim %s, though claim %s, whose status others took away, has it, and it never went back to the subnet",
			mine.address, nameOf(claim), l.claim)
	}
}

// recently is how long ago an absence may lie that a status reports now.
const recently = 30 * time.Minute

// judgeBinding looks for a claim that is bound to what the operator itself gave back to EC2.
func (r *Referee) judgeBinding(claim *v1alpha1.ENIClaim) {
	id, address := claim.Status.NetworkInterfaceID, claim.Status.Address
	if Carries(r.world.ENI(id), address) {
		return
	}
	if when, ok := r.gaveBack[id+"|"+address]; ok {
		r.foul(RightPlace, string(claim.UID)+address, "claim %s was bound to %s of %s, which the operator gave back %s before",
			nameOf(claim), address, id, time.Since(when))
	}
}

// judgeLost asks for evidence where a claim says that it lost what it held.
func (r *Referee) judgeLost(before, after *v1alpha1.ENIClaim) {
	held, ok := r.given[after.UID]
	if before == nil || !ok {
		return
	}
	toldLost := after.Status.Phase == v1alpha1.ClaimLost && before.Status.Phase == v1alpha1.ClaimBound
	toldAddressLost := addressLost(after) && !addressLost(before)
	if !toldLost && !toldAddressLost {
		return
	}
	eni := r.world.ENI(held.eni)
	absent, wasAbsent := r.absent[held.eni+"|"+held.address]
	switch {
	case !r.world.Living(held.instance), r.nodeGone(held.instance, after.Spec.NodeName):
	case !Carries(eni, held.address), eni.InstanceID != held.instance:
	case wasAbsent && time.Since(absent) < recently:
	default:
		r.foul(LostProved, string(after.UID), "claim %s says that %s is lost, and %s carries it on the living instance %s",
			nameOf(after), held.address, held.eni, held.instance)
	}
}

// seeENI judges a change of an ENI resource.
func (r *Referee) seeENI(before, after *v1alpha1.ElasticNetworkInterface, operator bool) {
	if !operator {
		if after != nil {
			r.forged[after.UID] = true
		}
		return
	}
	if after == nil {
		r.judgeRemoval(before)
		return
	}
	id := after.Status.NetworkInterfaceID
	if id == "" || (before != nil && before.Status.NetworkInterfaceID == id) {
		return
	}
	for uid, other := range r.world.ENIs {
		if uid != after.UID && other.Status.NetworkInterfaceID == id && !r.forged[uid] && !r.forged[after.UID] {
			r.foul(OneENI, id+string(uid), "the resources %s and %s both stand for %s", other.Name, after.Name, id)
		}
	}
}

// judgeRemoval judges that the operator let a resource go.
func (r *Referee) judgeRemoval(gone *v1alpha1.ElasticNetworkInterface) {
	r.refresh()
	if gone.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRetain {
		return
	}
	for id, uid := range r.made {
		eni := r.world.ENI(id)
		if uid == string(gone.UID) && eni != nil && eni.Tags[TagClusterUID] == r.settings.ClusterUID && eni.Tags[TagUID] == uid {
			r.foul(NothingLeaks, id, "the resource %s is gone, and its ENI %s is in EC2 (instance %q)", gone.Name, id, eni.InstanceID)
		}
	}
}
