/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/index"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

// act does what was decided. It changes the status in memory only where the
// outcome is known to it alone; report derives the rest and stores it.
func (r *Reconciler) act(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, o observation, d decision, done *progress) error {
	looked := false
	defer func() { done.looked = looked }()
	done.freshAssignment = done.freshAssignment && d.action == actLook // No call was made in between.
	switch d.action {
	case actRecord, actRestamp:
		done.keepRecord(eni, o, d)
		return nil
	case actRecordAssignment:
		eni.Status.Assignment = &d.assignment
		done.freshAssignment = true
		return nil
	case actCreate:
		return r.create(ctx, eni, o, done)
	case actFind:
		looked = true
		return r.find(ctx, eni)
	case actLook:
		looked = true
		err := r.look(ctx, &o)
		done.presence = o.presence
		return err
	case actTakeOver:
		return r.takeOver(ctx, eni, o.predecessor)
	case actAttach:
		return r.attach(ctx, eni, o)
	case actDetach, actDelete:
		return r.remove(ctx, eni, o, d, done)
	default:
		return r.amend(ctx, eni, o, d)
	}
}

// remove detaches or deletes the ENI.
func (r *Reconciler) remove(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, o observation, d decision, done *progress) error {
	id := eni.Status.NetworkInterfaceID
	if d.action == actDetach {
		log.FromContext(ctx).Info("Detaching ENI", "eniID", id, "force", d.force)
		done.forced = d.force
		if err := gone404(r.inventory.Detach(ctx, refOf(eni), o.actual.attachment.id, d.force)); err != nil {
			return fmt.Errorf("detaching %s: %w", id, err)
		}
		return nil
	}
	log.FromContext(ctx).Info("Deleting ENI", "eniID", id)
	if err := gone404(r.inventory.Delete(ctx, refOf(eni))); err != nil {
		return fmt.Errorf("deleting %s: %w", id, err)
	}
	r.memory.deleted(eni, r.clock.Now())
	return nil
}

// refOf names the resource's ENI for a write.
func refOf(eni *v1alpha1.ElasticNetworkInterface) inventory.Ref {
	return inventory.Ref{ID: eni.Status.NetworkInterfaceID, UID: string(eni.UID)}
}

// priority is how urgent an action is: what a claim on the node waits for comes
// first, what nobody waits for last.
func (r *Reconciler) priority(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, d decision) ec2.Priority {
	switch d.action {
	case actRecord, actCreate, actAttach, actRecordAssignment, actAssign:
	default:
		return ec2.PriorityBackground
	}
	claims := &v1alpha1.ENIClaimList{}
	if err := r.client.List(ctx, claims, client.MatchingFields{index.NodeName: eni.Spec.NodeName}, client.UnsafeDisableDeepCopy); err != nil {
		return ec2.PriorityNormal
	}
	if slices.ContainsFunc(claims.Items, waitsForGrowth) {
		return ec2.PriorityUrgent
	}
	return ec2.PriorityNormal
}

// waitsForGrowth reports whether a claim waits for what its pool takes from EC2. One
// that may not be served, or not before something else changes, puts its node before
// no other.
func waitsForGrowth(claim v1alpha1.ENIClaim) bool {
	if claim.Status.Phase != v1alpha1.ClaimPending {
		return false
	}
	ready := meta.FindStatusCondition(claim.Status.Conditions, v1alpha1.ConditionReady)
	return ready == nil || ready.Reason == v1alpha1.ReasonPoolGrowing
}

// amend changes an ENI that is where it should be.
func (r *Reconciler) amend(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, o observation, d decision) error {
	switch d.action {
	case actUnassign:
		r.memory.forgetShortages(eni) // What is given back is room.
		return r.inventory.Unassign(ctx, refOf(eni), split(d.names))
	case actAssign:
		return r.assign(ctx, eni, o, d)
	case actAdopt:
		adopt(&eni.Status, d.names)
		if len(d.names) == 0 {
			r.inventory.ForgetOccupancy(eni.Status.SubnetID)
		}
		return nil
	case actSetSecurityGroups:
		return r.inventory.SetSecurityGroups(ctx, refOf(eni), o.desired.securityGroups)
	case actSetTags:
		return r.setTags(ctx, eni, d)
	case actSetTermination:
		return r.inventory.SetDeleteOnTermination(ctx, refOf(eni), o.actual.attachment.id, !o.actual.attachment.deleteOnTermination)
	default:
		return nil
	}
}

// assign asks for addresses by count or by name. Those of a primary ENI are the
// operator's from then on; the call is fresh if none was made for its record before.
func (r *Reconciler) assign(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, o observation, d decision) error {
	names := split(d.names)
	input := ec2.AssignInput{Addresses: names.Addresses, Prefixes: names.Prefixes, AddressCount: d.count, PrefixCount: d.prefixes}
	assigned, err := r.inventory.Assign(ctx, refOf(eni), input)
	switch {
	case err == nil:
		r.assigned(eni, d, assigned, o.freshAssignment)
	case !refused(err):
	case len(d.names) > 0:
		return r.assignRefused(ctx, eni, o, d.names, err)
	default:
		lack := r.lacksRoom(ctx, eni, eni.Status.SubnetID, input, 0, err)
		err = ofSubnet(err, eni.Status.SubnetID, lack)
	}
	return err
}

// assigned notes what an Assign brought.
func (r *Reconciler) assigned(eni *v1alpha1.ElasticNetworkInterface, d decision, assigned ec2.Assigned, fresh bool) {
	switch {
	case !eni.Primary():
		r.memory.grew(eni, eni.Status.SubnetID, r.inventory.Room(eni.Status.SubnetID).Addresses)
	case fresh:
		adopt(&eni.Status, slices.Concat(assigned.Addresses, assigned.Prefixes))
	default:
		adopt(&eni.Status, d.names) // Those that are not new are of the call whose answer was lost.
	}
}

// assignRefused accepts that EC2 does not assign some names: one that a claim holds is
// lost, in place of the others new ones are chosen. Where the ENI takes no more, none that
// claims hold needs to be asked for.
func (r *Reconciler) assignRefused(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, o observation, names []string, err error) error {
	eni.Status.Assignment = nil
	if !slices.Contains(eni.Spec.Reclaim, v1alpha1.AddressOrPrefix(names[0])) {
		r.inventory.ForgetOccupancy(eni.Status.SubnetID)
		return err
	}
	if !refusedForGood(err) {
		return err
	}
	if ec2.Code(err) == codeAddressLimit {
		names = reclaimable(o)
	}
	for _, name := range typed[v1alpha1.AddressOrPrefix](names) {
		if since := r.memory.refusedName(eni, name, r.clock.Now()); r.clock.Since(since) < r.options.VisibilityWindow {
			continue // It is asked for once more.
		}
		log.FromContext(ctx).Info("Address is lost", "address", name, "eniID", eni.Status.NetworkInterfaceID, "errorCode", ec2.Code(err))
		eni.Status.Lost = append(eni.Status.Lost, name)
	}
	return nil
}

// refusedForGood says that asking again for the same address has no prospect.
func refusedForGood(err error) bool {
	switch ec2.Classify(err) {
	case ec2.ClassTerminal, ec2.ClassQuota, ec2.ClassCapacity:
		return true
	default:
		return ec2.Code(err) == ec2.CodeAddressInUse
	}
}

// adopt adds names to those of a primary ENI that the operator assigned, and closes
// the record.
func adopt(status *v1alpha1.ElasticNetworkInterfaceStatus, names []string) {
	status.Assignment = nil
	added := split(names)
	status.Addresses = append(status.Addresses, typed[v1alpha1.Address](added.Addresses)...)
	status.Prefixes = append(status.Prefixes, typed[v1alpha1.Prefix](added.Prefixes)...)
	slices.Sort(status.Addresses)
	slices.Sort(status.Prefixes)
	status.Addresses, status.Prefixes = slices.Compact(status.Addresses), slices.Compact(status.Prefixes)
}

// create makes the recorded call. A definite refusal closes the attempt; it
// leaves no doubt only if no call of the attempt was made before.
func (r *Reconciler) create(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, o observation, done *progress) error {
	record := eni.Status.Creation
	first := done.freshRecord
	done.freshRecord = false
	log.FromContext(ctx).Info("Creating ENI", "attempt", record.Attempt, "subnet", record.SubnetID)
	created, err := r.inventory.Create(ec2.WithAttempt(ctx, record.Attempt), createInput(eni.UID, record))
	switch {
	case err == nil && !first:
		r.inventory.Reread(created.ID) // A repeated call is answered with its own tags, not with the ENI's.
		eni.Status.NetworkInterfaceID = created.ID
	case err == nil:
		eni.Status.NetworkInterfaceID = created.ID
	case refused(err):
		record.Refused = ec2.Code(err)
		// A token that is taken was taken by a call that the record does not know of.
		record.Unclear = record.Unclear || !first || record.Refused == ec2.CodeIdempotentParameterMismatch
		if ec2.Classify(err) == ec2.ClassNotFound {
			r.inventory.ForgetInstance(o.instanceID) // Its security groups may be others by now.
		}
		size := ec2.AssignInput{AddressCount: record.AddressCount, PrefixCount: record.PrefixCount}
		lack := r.lacksRoom(ctx, eni, string(record.SubnetID), size, 1, err)
		record.SubnetFull = lack != ""
		err = ofSubnet(err, string(record.SubnetID), lack)
	}
	return err
}

// keepRecord enters the record of a creation.
func (p *progress) keepRecord(eni *v1alpha1.ElasticNetworkInterface, o observation, d decision) {
	p.freshRecord = d.action == actRecord && !mayHaveLostStatus(o)
	eni.Status.Creation = &d.record
}

// mayHaveLostStatus reports whether a resource that is not new has no status: it may have
// been wiped, with the records of calls, to which EC2 answers with what they made.
func mayHaveLostStatus(o observation) bool {
	created := o.eni.CreationTimestamp
	return len(o.eni.Status.Conditions) == 0 && !created.IsZero() && o.now.Sub(created.Time) > o.visibility
}

// ofSubnet names the subnet in a refusal that is the subnet's.
func ofSubnet(err error, subnetID, lack string) error {
	if lack == "" || lack == v1alpha1.ReasonQuotaExceeded {
		return err
	}
	return &subnetFullError{subnetID: subnetID, lack: lack, cause: err}
}

// refused says that EC2 has made no ENI and will make none for this call.
func refused(err error) bool {
	return ec2.Code(err) != "" && !ec2.Unclear(err) && ec2.Classify(err) != ec2.ClassThrottled
}

// find adopts the ENI that carries the resource's UID, or notes that there was
// none.
func (r *Reconciler) find(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface) error {
	found, err := r.inventory.LookByOwner(ctx, string(eni.UID))
	if err != nil {
		return fmt.Errorf("looking for an ENI with the UID of %s: %w", eni.Name, err)
	}
	if len(found) > 0 {
		chosen := slices.MinFunc(found, inventory.AdoptFirst)
		log.FromContext(ctx).Info("Adopting ENI", "eniID", chosen.ID, "found", len(found))
		eni.Status.NetworkInterfaceID = chosen.ID
		return nil
	}
	if eni.Status.Creation == nil {
		return nil // Nothing says that there was one.
	}
	now := metav1.NewTime(r.clock.Now())
	if missed := eni.Status.Creation.MissedAt; missed == nil || ahead(missed, now.Time, r.options.VisibilityWindow) {
		eni.Status.Creation.MissedAt = &now
	}
	return nil
}

func (r *Reconciler) attach(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, o observation) error {
	id := eni.Status.NetworkInterfaceID
	slots, err := r.candidates(ctx, eni, o.instanceID)
	if err != nil {
		return err
	}
	slot, ok := r.inventory.ReserveSlot(o.instanceID, id, slots)
	if !ok {
		r.inventory.ForgetInstance(o.instanceID)
		return &noSlotError{instanceID: o.instanceID}
	}
	defer r.inventory.FreeSlot(o.instanceID, id)
	log.FromContext(ctx).Info("Attaching ENI", "eniID", id, "instance", o.instanceID, "deviceIndex", slot.DeviceIndex)
	err = r.inventory.Attach(ctx, refOf(eni), o.instanceID, slot)
	if err == nil {
		r.refusedCards.forget(o.instanceID)
		return nil
	}
	if ec2.Code(err) == codeAttachmentLimit {
		r.noteRefusedCard(ctx, o.instanceID, slot)
	}
	if ec2.Classify(err) != ec2.ClassThrottled {
		// The instance may be other than we think: read it again.
		r.inventory.ForgetInstance(o.instanceID)
	}
	return err
}

// noteRefusedCard remembers that EC2 refused an ENI on a network card with as many as
// it has now.
func (r *Reconciler) noteRefusedCard(ctx context.Context, instanceID string, slot ec2.Slot) {
	instance, _, err := r.inventory.Instance(ctx, instanceID)
	if err != nil {
		return
	}
	attached := int32(0)
	for _, at := range instance.Interfaces {
		if at.NetworkCardIndex == slot.NetworkCardIndex {
			attached++
		}
	}
	r.refusedCards.note(instanceID, slot.NetworkCardIndex, attached, r.clock.Now())
}

// candidates are the slots that the ENI may take, the best first.
func (r *Reconciler) candidates(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, instanceID string) ([]ec2.Slot, error) {
	instance, _, err := r.inventory.Instance(ctx, instanceID)
	if err != nil {
		return nil, fmt.Errorf("reading instance %s: %w", instanceID, err)
	}
	limits, known, err := r.inventory.InstanceType(ctx, instance.Type)
	if err != nil {
		return nil, fmt.Errorf("reading the limits of %s: %w", instance.Type, err)
	}
	if most, left := r.inventory.LearnedLimit(instanceID); left > 0 && len(instance.Interfaces) >= int(most) {
		return nil, &fullInstanceError{instanceID: instanceID}
	}
	slots := r.slotsFor(eni, limits)
	if !known {
		return slots, nil
	}
	open, refused := r.refusedCards.openAmong(slots, instance, limits, r.clock.Now())
	if len(open) == 0 && refused {
		return nil, &fullInstanceError{instanceID: instanceID}
	}
	if eni.Spec.DeviceIndex != nil && len(open) == 0 {
		return slots, nil // EC2's refusal explains what is wrong with it.
	}
	return open, nil
}

// slotsFor are the slots of an instance type that an ENI's spec permits.
func (r *Reconciler) slotsFor(eni *v1alpha1.ElasticNetworkInterface, limits ec2.InstanceType) []ec2.Slot {
	if eni.Spec.DeviceIndex != nil {
		slot := ec2.Slot{DeviceIndex: *eni.Spec.DeviceIndex}
		if eni.Spec.NetworkCardIndex != nil {
			slot.NetworkCardIndex = *eni.Spec.NetworkCardIndex
		}
		return []ec2.Slot{slot}
	}
	lowest := r.options.MinDeviceIndex
	if eni.Spec.MinDeviceIndex != nil {
		lowest = *eni.Spec.MinDeviceIndex
	}
	var slots []ec2.Slot
	for _, slot := range limits.Slots(lowest) {
		if card := eni.Spec.NetworkCardIndex; card == nil || *card == slot.NetworkCardIndex {
			slots = append(slots, slot)
		}
	}
	return slots
}

// setTags also brings the record in line, which tells whose a tag is.
func (r *Reconciler) setTags(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, d decision) error {
	if err := r.inventory.SetTags(ctx, refOf(eni), d.tags, d.untag); err != nil {
		return err
	}
	record := eni.Status.Creation
	if record == nil {
		return nil
	}
	tags := make(map[string]v1alpha1.TagValue, len(record.Tags)+len(d.tags))
	maps.Copy(tags, record.Tags)
	for key, value := range d.tags {
		tags[key] = v1alpha1.TagValue(value)
	}
	for _, key := range d.untag {
		delete(tags, key)
	}
	record.Tags = tags
	return nil
}

// gone404 takes NotFound for an answer: what was to go is gone, or a look will
// tell.
func gone404(err error) error {
	if ec2.Classify(err) == ec2.ClassNotFound {
		return nil
	}
	return err
}

// split sorts names into addresses and prefixes.
func split(names []string) ec2.Assigned {
	var out ec2.Assigned
	for _, name := range names {
		if strings.Contains(name, "/") {
			out.Prefixes = append(out.Prefixes, name)
		} else {
			out.Addresses = append(out.Addresses, name)
		}
	}
	return out
}

// refresh re-reads what the inventory knows of the ENI after an action.
func refresh(inv *inventory.Inventory, id string) (ec2.NetworkInterface, bool) {
	if id == "" {
		return ec2.NetworkInterface{}, false
	}
	return inv.ENI(id)
}
