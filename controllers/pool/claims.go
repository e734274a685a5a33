/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// verdict is what a claim's status should say.
type verdict struct {
	phase   v1alpha1.ClaimPhase
	reason  string
	message string
	// eni and address of a bound claim.
	eni     *v1alpha1.ElasticNetworkInterface
	address string
	// lost: the address vanished in EC2 and cannot be had again.
	lost bool
	// kept: the status stays as it is.
	kept bool
}

// verdictOn says what the stored record means for a claim. A claim whose entry is
// being taken away in another writer's record keeps what its status says until
// this record is read again. One that expired, or lost what it held, never holds
// anything again.
func verdictOn(o observation, stored *v1alpha1.ENIPoolStatus, claim *v1alpha1.ENIClaim) verdict {
	if claim.Status.Phase == v1alpha1.ClaimExpired {
		return expiredVerdict()
	}
	if h := heldBy(o, stored, claim); h.entry != nil {
		v := h.verdict()
		switch {
		case h.eni == nil:
			v.kept = o.stands(claim)
		case v.reason == v1alpha1.ReasonBound && h.otherENI(claim):
			v.kept = !o.interfaces[h.eni.Status.NetworkInterfaceID]
		case v.reason == v1alpha1.ReasonBound && !isTrue(claim.Status.Conditions, v1alpha1.ConditionReady):
			v.kept = !h.proved(o, claim)
		}
		return v
	}
	if claim.Status.Phase == v1alpha1.ClaimBound || claim.Status.Phase == v1alpha1.ClaimLost || o.nodeGone {
		return lostVerdict(o, claim)
	}
	reason, message := whyPending(o, stored, claim)
	return verdict{phase: v1alpha1.ClaimPending, reason: reason, message: message}
}

// lostVerdict names the true cause once, when the claim loses what it held.
func lostVerdict(o observation, claim *v1alpha1.ENIClaim) verdict {
	ready := meta.FindStatusCondition(claim.Status.Conditions, v1alpha1.ConditionReady)
	if claim.Status.Phase == v1alpha1.ClaimLost && ready != nil {
		return verdict{phase: v1alpha1.ClaimLost, reason: ready.Reason, message: ready.Message}
	}
	cause := "The pool's record names nothing that this claim holds: it was edited or restored, or the ENI that the claim names is gone"
	if o.nodeGone {
		cause = o.goneReason
	}
	return verdict{phase: v1alpha1.ClaimLost, reason: v1alpha1.ReasonNodeGone, message: cause + ". Delete this claim and make a new one."}
}

// held is what a claim holds by the record: an address, or a whole ENI. The ENI's
// resource is missing if it is gone.
type held struct {
	entry   *v1alpha1.PoolENI
	eni     *v1alpha1.ElasticNetworkInterface
	address string
	// takenBy is the ENI of the pool that has got the address since, of an ENI that the
	// operator does not read any more because its tags name another owner.
	takenBy string
}

// heldBy finds what the record says that a claim holds.
func heldBy(o observation, stored *v1alpha1.ENIPoolStatus, claim *v1alpha1.ENIClaim) held {
	for i := range stored.Addresses {
		entry := &stored.Addresses[i]
		if entry.State == v1alpha1.HolderAllocated && entry.Claim != nil && entry.Claim.UID == claim.UID {
			eniEntry := entryOf(stored, entry.ENIName)
			h := held{entry: eniEntry, eni: o.resourceOf(eniEntry), address: string(entry.Address)}
			if h.eni != nil && disowned(h.eni) {
				h.takenBy = o.carrierBesides(h.eni, entry.Address)
			}
			return h
		}
	}
	for i := range stored.ENIs {
		entry := &stored.ENIs[i]
		if entry.Claim == nil || entry.Claim.UID != claim.UID {
			continue
		}
		h := held{entry: entry, eni: o.resourceOf(entry), address: claim.Status.Address}
		if h.eni != nil {
			h.address = h.eni.Status.PrimaryAddress
		}
		return h
	}
	return held{}
}

// entryOf returns the record's entry of an ENI. A record without one, which was edited,
// still says who holds the address.
func entryOf(stored *v1alpha1.ENIPoolStatus, name string) *v1alpha1.PoolENI {
	for i := range stored.ENIs {
		if stored.ENIs[i].Name == name {
			return &stored.ENIs[i]
		}
	}
	return &v1alpha1.PoolENI{Name: name}
}

// resourceOf returns the resource that an entry stands for, unless its ENI is gone.
func (o observation) resourceOf(entry *v1alpha1.PoolENI) *v1alpha1.ElasticNetworkInterface {
	eni := o.eni(entry.Name)
	if eni == nil || gone(eni) || !standsFor(entry, eni) {
		return nil
	}
	return eni
}

// verdict is what the status of a claim that holds something should say.
func (h held) verdict() verdict {
	v := verdict{phase: v1alpha1.ClaimBound, reason: v1alpha1.ReasonBound, eni: h.eni, address: h.address}
	switch {
	case h.eni == nil:
		v.lost = true
		v.reason = v1alpha1.ReasonAddressLost
		v.message = fmt.Sprintf("ENI %s is gone from EC2, and %s with it: others may have it by now. Delete this claim and make a new one.",
			h.entry.Name, cmp.Or(h.address, "its address"))
	case covered(h.eni.Status.Lost, v1alpha1.Address(h.address)):
		v.lost = true
		v.reason = v1alpha1.ReasonAddressLost
		v.message = fmt.Sprintf("%s vanished from ENI %s, and EC2 does not assign it again. Delete this claim and make a new one.",
			h.address, h.eni.Name)
	case h.takenBy != "":
		v.lost = true
		v.reason = v1alpha1.ReasonAddressLost
		v.message = fmt.Sprintf("EC2 has %s on ENI %s now: it was unassigned from ENI %s, whose tags do not name this cluster's resource any more. "+
			"Delete this claim and make a new one.", h.address, h.takenBy, h.eni.Name)
	case disowned(h.eni):
		v.reason = v1alpha1.ReasonNotOwned
		v.message = fmt.Sprintf("The tags of ENI %s (%s) in EC2 do not name this cluster's resource any more, so that the operator leaves it alone; "+
			"another cluster may use it. Correct the tags, or delete this claim and make a new one.", h.eni.Name, h.eni.Status.NetworkInterfaceID)
	case covered(h.eni.Status.Missing, v1alpha1.Address(h.address)):
		v.reason = v1alpha1.ReasonAddressMissing
		v.message = fmt.Sprintf("%s vanished from ENI %s in EC2 and is being assigned again", h.address, h.eni.Name)
	case h.detached():
		v.reason = v1alpha1.ReasonDetached
		v.message = fmt.Sprintf("ENI %s is not attached to the node's instance in EC2", h.eni.Name)
	}
	return v
}

// carrierBesides is the name of the pool's own ENI that carries an address besides one,
// in the same subnet: another subnet's range may hold the same address, of another VPC.
func (o observation) carrierBesides(one *v1alpha1.ElasticNetworkInterface, address v1alpha1.Address) string {
	for i := range o.enis {
		eni := &o.enis[i]
		if eni.Name == one.Name || eni.Status.SubnetID != one.Status.SubnetID || gone(eni) || disowned(eni) {
			continue
		}
		if eni.Status.PrimaryAddress == string(address) || slices.Contains(offered(eni), address) {
			return eni.Name
		}
	}
	return ""
}

// otherENI reports whether the status of a bound claim names another ENI of EC2 than the
// resource's status. One of the two was restored from before: the claim gets the one that
// the instance has.
func (h held) otherENI(claim *v1alpha1.ENIClaim) bool {
	id := claim.Status.NetworkInterfaceID
	return id != "" && id != h.eni.Status.NetworkInterfaceID
}

// proved reports whether the ENI shows what a claim holds, and no other claim holds the
// address elsewhere. A claim becomes ready by this alone: a status that was wiped, which
// says of nothing that it is missing, proves nothing.
func (h held) proved(o observation, claim *v1alpha1.ENIClaim) bool {
	address := v1alpha1.Address(h.address)
	shown := h.address != "" && (claim.Spec.Mode == v1alpha1.ModeExclusive || slices.Contains(offered(h.eni), address))
	return shown && !o.elsewhere[address]
}

// detached reports whether the ENI is known not to be attached where its pool has it.
func (h held) detached() bool {
	status := &h.eni.Status
	if status.NetworkInterfaceID == "" {
		return false // A status that was wiped proves nothing.
	}
	return status.Attachment == nil || (h.eni.Spec.InstanceID != "" && status.Attachment.InstanceID != h.eni.Spec.InstanceID)
}

func (o observation) eni(name string) *v1alpha1.ElasticNetworkInterface {
	for i := range o.enis {
		if o.enis[i].Name == name {
			return &o.enis[i]
		}
	}
	return nil
}

// whyPending says what a claim waits for. People who make claims need not be those who run
// the cluster: the message names no other claim, and nothing of the AWS account.
func whyPending(o observation, stored *v1alpha1.ENIPoolStatus, claim *v1alpha1.ENIClaim) (reason, message string) {
	if reason, message = whyRefused(o, claim); reason != "" {
		return reason, message
	}
	switch {
	case o.distrust != nil:
		return o.distrust.reason, o.seePool("The operator does not believe what it reads of EC2, and hands out nothing")
	case o.suspended != nil:
		return o.suspended.reason, o.suspended.message
	case hasMost(o, stored, claim):
		return v1alpha1.ReasonNamespaceAtMaximum, fmt.Sprintf("Policy %s allows a namespace %d on this node, those that rest after a release included; "+
			"a claim of this namespace must be released first", o.pool.Spec.PolicyName, o.mostOf(shareOf(claim).mode))
	case claim.Spec.Address != nil:
		return whyNotThat(o, stored, claim)
	case len(o.elsewhere) > 0 && countsFree(stored, claim.Spec.Mode):
		return v1alpha1.ReasonAddressInUse, "All that the pool has free carries an address that another claim still shows on another ENI; " +
			"it is assigned once that claim has the condition AddressLost, or is deleted"
	case len(o.troubles) > 0:
		return o.troubles[0].reason, o.seePool(cannotGrow)
	case atMaximum(o, stored, claim.Spec.Mode):
		return v1alpha1.ReasonPoolAtMaximum, fmt.Sprintf("Policy %s allows no more on this node; a claim must be released first", o.pool.Spec.PolicyName)
	}
	if name, reason := troubledENI(o); reason != "" {
		return reason, fmt.Sprintf("ENI %s of the node's pool is not ready. Its conditions say why", name)
	}
	return whyNotGrown(o, stored, claim.Spec.Mode)
}

// cannotGrow is the message of claims whose pool EC2 gives no more.
const cannotGrow = "The pool cannot take more from EC2"

// seePool adds to the message of a claim where the cause is found: in an object that only
// the cluster's administrators read. EC2's own text can name accounts, roles and selectors.
func (o observation) seePool(what string) string {
	return fmt.Sprintf("%s. The conditions of ENIPool %s say why", what, o.pool.Name)
}

// whyNotGrown says what keeps the pool from having what a claim waits for.
func whyNotGrown(o observation, stored *v1alpha1.ENIPoolStatus, mode v1alpha1.Mode) (reason, message string) {
	capacity := meta.FindStatusCondition(stored.Conditions, v1alpha1.ConditionCapacityAvailable)
	lacks := capacity != nil && capacity.Status == metav1.ConditionFalse && capacity.Reason != v1alpha1.ReasonInstanceTypeLimit
	if instanceFull(o, stored, mode) {
		if len(o.orphans) > 0 {
			return v1alpha1.ReasonOrphanedENIs, o.seePool(cannotGrow)
		}
		if lacks && capacity.Reason == v1alpha1.ReasonInstanceFull {
			return capacity.Reason, o.seePool(cannotGrow)
		}
		return v1alpha1.ReasonInstanceFull, fmt.Sprintf("%s carries no more ENIs or addresses; a claim must be released first", o.limits.instanceType)
	}
	if lacks && capacity.Reason != v1alpha1.ReasonOrphanedENIs {
		return capacity.Reason, o.seePool(cannotGrow) // What this round's decision found.
	}
	return v1alpha1.ReasonPoolGrowing, "The pool is taking more from EC2"
}

// countsFree reports whether the pool's status counts something of a mode as free.
func countsFree(stored *v1alpha1.ENIPoolStatus, mode v1alpha1.Mode) bool {
	if mode == v1alpha1.ModeExclusive {
		return stored.Exclusive != nil && stored.Exclusive.Free > 0
	}
	return stored.Shared != nil && stored.Shared.Free > 0
}

// whyRefused says why a claim is not to be served on this node at all.
func whyRefused(o observation, claim *v1alpha1.ENIClaim) (reason, message string) {
	switch {
	case o.draining():
		return v1alpha1.ReasonPoolDraining, "The node's pool takes no new claims: no policy governs the node, or the pool is being deleted"
	case !o.offers(claim.Spec.Mode):
		return v1alpha1.ReasonModeNotOffered, fmt.Sprintf("Policy %s offers no mode %s on this node", o.pool.Spec.PolicyName, claim.Spec.Mode)
	case !o.allowed[claim.Namespace]:
		return v1alpha1.ReasonNamespaceNotAllowed, fmt.Sprintf(
			"Policy %s does not let namespace %s claim on this node (claimNamespaceSelector)", o.pool.Spec.PolicyName, claim.Namespace)
	default:
		return "", ""
	}
}

// troubledENI returns an ENI of the pool that more than time keeps from being ready, and why.
func troubledENI(o observation) (name, reason string) {
	for i := range o.enis {
		ready := meta.FindStatusCondition(o.enis[i].Status.Conditions, v1alpha1.ConditionReady)
		if gone(&o.enis[i]) {
			continue // The pool makes another.
		}
		if ready != nil && ready.Status == metav1.ConditionFalse && !v1alpha1.Underway(ready.Reason) && ready.Reason != v1alpha1.ReasonDeleting {
			return o.enis[i].Name, ready.Reason
		}
	}
	return "", ""
}

// whyNotThat says why a claim cannot have the address that it chose.
func whyNotThat(o observation, stored *v1alpha1.ENIPoolStatus, claim *v1alpha1.ENIClaim) (reason, message string) {
	address := *claim.Spec.Address
	if holder := stored.HolderOf(address); holder != nil {
		return v1alpha1.ReasonAddressInUse, fmt.Sprintf("%s is held by %s", address, holder.SeenFrom(claim.Namespace))
	}
	at := slices.IndexFunc(stored.Addresses, func(entry v1alpha1.PoolAddress) bool { return entry.Address == address })
	if at < 0 {
		return whyNotFree(o, stored, address)
	}
	switch entry := &stored.Addresses[at]; {
	case entry.State == v1alpha1.HolderCooling:
		return v1alpha1.ReasonAddressCooling, fmt.Sprintf("%s was released a moment ago and rests", address)
	case entry.State != v1alpha1.HolderReserved:
		return v1alpha1.ReasonAddressNotInPool, fmt.Sprintf("%s is on its way back to the subnet", address)
	case entry.Claim != nil && entry.Claim.Namespace != claim.Namespace:
		return v1alpha1.ReasonAddressReserved, fmt.Sprintf("%s is reserved until %s for another namespace, which released it; until then claims that ask for no address may take it",
			address, o.reservedUntil(entry).UTC().Format(time.RFC3339))
	}
	return whyNotFree(o, stored, address)
}

// whyNotFree says why a claim cannot have an address that nobody holds: no ENI
// carries it, or one that cannot serve it.
func whyNotFree(o observation, stored *v1alpha1.ENIPoolStatus, address v1alpha1.Address) (reason, message string) {
	for i := range stored.ENIs {
		entry, eni := &stored.ENIs[i], o.eni(stored.ENIs[i].Name)
		switch {
		case eni == nil || entry.Mode != v1alpha1.ModeShared || !slices.Contains(offered(eni), address):
		case entry.State == v1alpha1.PoolENIActive:
			return v1alpha1.ReasonPoolGrowing, fmt.Sprintf("ENI %s, which carries %s, is not ready", entry.Name, address)
		default:
			return v1alpha1.ReasonAddressNotInPool, fmt.Sprintf("ENI %s, which carries %s, is being given up", entry.Name, address)
		}
	}
	return v1alpha1.ReasonAddressNotInPool, fmt.Sprintf("None of the node's shared ENIs carries %s", address)
}

// atMaximum says that what is held, or rests, leaves no room for another address,
// prefix or ENI within the policy's maximum.
func atMaximum(o observation, stored *v1alpha1.ENIPoolStatus, mode v1alpha1.Mode) bool {
	if shared := stored.Shared; mode == v1alpha1.ModeShared {
		return shared != nil && shared.Free == 0 && shared.Allocated+shared.Cooling > o.highest()-o.unit()
	}
	taken := int32(0)
	for i := range stored.ENIs {
		if entry := &stored.ENIs[i]; o.resourceOf(entry) != nil && (entry.Claim != nil || entry.CoolingSince != nil) {
			taken++
		}
	}
	return taken >= o.pool.Spec.Exclusive.Maximum
}

// instanceFull says that all the ENIs that the pool may have are there, and those
// that take claims are ready and as large as they get.
func instanceFull(o observation, stored *v1alpha1.ENIPoolStatus, mode v1alpha1.Mode) bool {
	taken := o.otherENIs
	for i := range o.enis {
		if !o.enis[i].Primary() && !gone(&o.enis[i]) {
			taken++
		}
	}
	if !o.limits.known || o.limits.slots > taken {
		return false
	}
	return !slices.ContainsFunc(stored.ENIs, func(entry v1alpha1.PoolENI) bool {
		eni := o.eni(entry.Name)
		if eni == nil || entry.Mode != mode || entry.State != v1alpha1.PoolENIActive {
			return false
		}
		return !entry.Ready || (mode == v1alpha1.ModeShared && specSize(eni) < o.room(eni))
	})
}

// applyVerdict sets a claim's status. It stays as it is where only the generation differs:
// each renewal of a lease moves that.
func applyVerdict(claim *v1alpha1.ENIClaim, v verdict, now metav1.Time) {
	before := claim.Status.DeepCopy()
	buildStatus(claim, v, now)
	if sameButForGeneration(before, &claim.Status) {
		claim.Status = *before
	}
}

// buildStatus is the only place that builds a claim's status, but for the end of its lease.
func buildStatus(claim *v1alpha1.ENIClaim, v verdict, now metav1.Time) {
	status := &claim.Status
	if v.phase != v1alpha1.ClaimBound {
		*status = v1alpha1.ENIClaimStatus{Conditions: status.Conditions}
	} else if v.eni != nil {
		describe(status, v, now)
	}
	status.Phase = v.phase
	status.ObservedGeneration = claim.Generation
	condition := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v.reason, Message: v.message,
		ObservedGeneration: claim.Generation,
	}
	if v.phase == v1alpha1.ClaimBound && v.reason == v1alpha1.ReasonBound {
		condition.Status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&status.Conditions, condition)
	if !v.lost {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionAddressLost)
		return
	}
	condition.Type, condition.Status = v1alpha1.ConditionAddressLost, metav1.ConditionTrue
	meta.SetStatusCondition(&status.Conditions, condition)
}

// setNotReady says why a claim is not ready, and changes nothing else.
func setNotReady(claim *v1alpha1.ENIClaim, reason, message string) {
	meta.SetStatusCondition(&claim.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: claim.Generation,
	})
}

// sameButForGeneration reports whether two statuses say the same, of whatever generation.
func sameButForGeneration(a, b *v1alpha1.ENIClaimStatus) bool {
	same := b.DeepCopy()
	same.ObservedGeneration = a.ObservedGeneration
	for i := range same.Conditions {
		if condition := meta.FindStatusCondition(a.Conditions, same.Conditions[i].Type); condition != nil {
			same.Conditions[i].ObservedGeneration = condition.ObservedGeneration
		}
	}
	return equality.Semantic.DeepEqual(a, same)
}

func describe(status *v1alpha1.ENIClaimStatus, v verdict, now metav1.Time) {
	eni := v.eni
	status.Address = v.address
	status.SubnetCIDR = eni.Status.SubnetCIDR
	status.MACAddress = eni.Status.MACAddress
	status.NetworkInterfaceID = eni.Status.NetworkInterfaceID
	status.ENIName = eni.Name
	if at := eni.Status.Attachment; at != nil {
		device, card := at.DeviceIndex, at.NetworkCardIndex
		status.DeviceIndex, status.NetworkCardIndex = &device, &card
	}
	if subnet, err := netip.ParsePrefix(eni.Status.SubnetCIDR); err == nil {
		status.PrefixLength = int32(subnet.Bits())              //nolint:gosec // at most 32
		status.Gateway = subnet.Masked().Addr().Next().String() // The VPC router is at the subnet's first address + 1 (EC2).
	}
	if status.BoundAt == nil {
		status.BoundAt = &now
	}
}

func expiredVerdict() verdict {
	return verdict{phase: v1alpha1.ClaimExpired, reason: v1alpha1.ReasonExpired,
		message: v1alpha1.LeaseRanOut}
}

// surrender is the status of a claim that is being deleted: it holds nothing any
// more.
func surrender(claim *v1alpha1.ENIClaim) {
	phase := claim.Status.Phase
	applyVerdict(claim, verdict{phase: v1alpha1.ClaimPending, reason: v1alpha1.ReasonReleasing,
		message: "The claim is deleted and gives back what it held"}, metav1.Time{})
	if phase == v1alpha1.ClaimLost || phase == v1alpha1.ClaimExpired {
		claim.Status.Phase = phase
	}
}
