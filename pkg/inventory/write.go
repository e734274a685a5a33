/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// Create makes the call and records the ENI that EC2 answers with.
func (i *Inventory) Create(ctx context.Context, input ec2.CreateInput) (ec2.NetworkInterface, error) {
	if err := i.permitCreation(); err != nil {
		return ec2.NetworkInterface{}, err
	}
	done := i.reserve(input.SubnetID, 1+input.AddressCount, input.PrefixCount)
	eni, err := i.client.CreateNetworkInterface(ctx, input)
	done(err)
	if err != nil {
		return ec2.NetworkInterface{}, err
	}
	defer i.flush()
	i.mu.Lock()
	defer i.mu.Unlock()
	if known, ok := i.enis[eni.ID]; ok {
		// The same token again: what we know may be newer than the answer.
		return clone(known.eni), nil
	}
	now := i.clock.Now()
	created := &record{eni: clone(eni), ours: true, bornAt: now, attributesAt: now}
	created.changed(true, now, eni.Addresses, eni.Prefixes)
	i.enis[eni.ID] = created
	i.own(created)
	i.reindex(created)
	return eni, nil
}

// Attach attaches an ENI to a reserved slot of an instance.
func (i *Inventory) Attach(ctx context.Context, ref Ref, instanceID string, slot ec2.Slot) error {
	if err := i.permit(ref, wholeENI); err != nil {
		return err
	}
	id, err := i.client.AttachNetworkInterface(ctx, ref.ID, instanceID, slot)
	i.learnLimit(instanceID, slot, err)
	return i.wrote(ref.ID, err, func(known *record) {
		known.doubtAttachment()
		if ec2.Unclear(err) {
			known.joinedAt = known.unclearAt
		}
	}, func(known *record, now time.Time) {
		before := known.eni.Attachment
		known.eni.Attachment = &ec2.Attachment{
			ID: id, InstanceID: instanceID, Slot: slot, Status: ec2.AttachmentAttaching,
		}
		known.attachmentAt, known.joinedAt = now, now
		i.moveInterface(ref.ID, before, known.eni.Attachment)
	})
}

// Detach begins to detach an ENI.
func (i *Inventory) Detach(ctx context.Context, ref Ref, attachmentID string, force bool) error {
	if err := i.permitTaking(ctx, ref, wholeENI); err != nil {
		return err
	}
	err := i.client.DetachNetworkInterface(ctx, attachmentID, force)
	return i.wrote(ref.ID, err, (*record).doubtAttachment, func(known *record, now time.Time) {
		if known.eni.Attachment != nil {
			known.eni.Attachment.Status = ec2.AttachmentDetaching
			known.attachmentAt = now
		}
	})
}

// Delete deletes a detached ENI. Once EC2 has accepted that, one answer without the ENI
// means that it is gone; answers that still show it are not believed for a while.
func (i *Inventory) Delete(ctx context.Context, ref Ref) error {
	if err := i.permitTaking(ctx, ref, wholeENI); err != nil {
		return err
	}
	err := i.client.DeleteNetworkInterface(ctx, ref.ID)
	return i.wrote(ref.ID, err, (*record).doubtAttachment, func(known *record, now time.Time) {
		known.distrust(now)
		known.deletedAt = now
	})
}

// Assign adds addresses to an ENI and returns those that it did not have, as far as this
// process knows: EC2 answers with every name that was asked for, also those that were
// there before. After an unclear outcome the addresses are in doubt; see DoubtAddresses.
func (i *Inventory) Assign(ctx context.Context, ref Ref, input ec2.AssignInput) (ec2.Assigned, error) {
	if err := i.permit(ref, addressesOnly); err != nil {
		return ec2.Assigned{}, err
	}
	if err := i.readPrimary(ctx, ref.ID); err != nil {
		return ec2.Assigned{}, err
	}
	addresses := int32(len(input.Addresses)) + input.AddressCount //nolint:gosec // bounded by EC2
	prefixes := int32(len(input.Prefixes)) + input.PrefixCount    //nolint:gosec // bounded by EC2
	done := i.reserve(i.subnetOf(ref.ID), addresses, prefixes)
	had := i.namesOf(ref.ID)
	answer, err := i.client.AssignPrivateAddresses(ctx, ref.ID, input)
	done(err)
	assigned := ec2.Assigned{Addresses: without(answer.Addresses, had), Prefixes: without(answer.Prefixes, had)}
	return assigned, i.wrote(ref.ID, err, func(known *record) {
		if ec2.Unclear(err) {
			known.assignUnclearAt = known.unclearAt
		}
	}, func(known *record, now time.Time) {
		secondary := without(slices.Concat(answer.Addresses, input.Addresses), []string{known.eni.PrimaryAddress})
		known.changed(true, now, secondary, answer.Prefixes, input.Prefixes)
	})
}

// readPrimary reads a primary ENI right before addresses are assigned to it. Others may
// have assigned some of the same in the meantime, and EC2's answer would name them too.
func (i *Inventory) readPrimary(ctx context.Context, eniID string) error {
	i.mu.Lock()
	known, ok := i.enis[eniID]
	var at *ec2.Attachment
	if ok && known.primary {
		at = known.eni.Attachment
	}
	i.mu.Unlock()
	if at == nil {
		return nil
	}
	if _, _, err := i.instanceReads.Get(ctx, at.InstanceID); err != nil {
		return fmt.Errorf("reading the primary ENI %s before addresses are assigned: %w", eniID, err)
	}
	return nil
}

// namesOf returns the addresses and prefixes that an ENI is known to have.
func (i *Inventory) namesOf(eniID string) []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.enis[eniID]
	if !ok {
		return nil
	}
	return slices.Concat(known.eni.Addresses, known.eni.Prefixes, []string{known.eni.PrimaryAddress})
}

// without returns the names that are not among others.
func without(names, others []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(others, name) })
}

// Unassign takes named addresses and prefixes from an ENI.
func (i *Inventory) Unassign(ctx context.Context, ref Ref, names ec2.Assigned) error {
	if err := i.permitTaking(ctx, ref, addressesOnly); err != nil {
		return err
	}
	err := i.client.UnassignPrivateAddresses(ctx, ref.ID, names)
	return i.wrote(ref.ID, err, func(known *record) {
		for _, name := range slices.Concat(names.Addresses, names.Prefixes) {
			delete(known.names, name)
		}
	}, func(known *record, now time.Time) {
		known.changed(false, now, names.Addresses, names.Prefixes)
	})
}

// SetDeleteOnTermination has EC2 delete the ENI with its instance, or not.
func (i *Inventory) SetDeleteOnTermination(ctx context.Context, ref Ref, attachmentID string, value bool) error {
	if err := i.permit(ref, wholeENI); err != nil {
		return err
	}
	err := i.client.SetDeleteOnTermination(ctx, ref.ID, attachmentID, value)
	// Setting it again does no harm: the attachment itself is not in doubt.
	return i.wrote(ref.ID, err, func(*record) {}, func(known *record, now time.Time) {
		if known.eni.Attachment != nil {
			known.eni.Attachment.DeleteOnTermination = value
			known.attachmentAt = now
		}
	})
}

// SetSecurityGroups replaces an ENI's security groups.
func (i *Inventory) SetSecurityGroups(ctx context.Context, ref Ref, groups []string) error {
	if err := i.permit(ref, wholeENI); err != nil {
		return err
	}
	err := i.client.SetSecurityGroups(ctx, ref.ID, groups)
	return i.wrote(ref.ID, err, (*record).doubtAttributes, func(known *record, now time.Time) {
		known.eni.SecurityGroups = slices.Clone(groups)
		known.attributesAt = now
	})
}

// SetTags adds or replaces tags, and then removes keys.
func (i *Inventory) SetTags(ctx context.Context, ref Ref, set map[string]string, remove []string) error {
	if err := i.permit(ref, wholeENI); err != nil {
		return err
	}
	if len(set) > 0 {
		err := i.client.CreateTags(ctx, ref.ID, set)
		if err := i.wrote(ref.ID, err, (*record).doubtAttributes, func(known *record, now time.Time) {
			known.setTags(set)
			known.attributesAt = now
		}); err != nil {
			return err
		}
	}
	if len(remove) == 0 {
		return nil
	}
	err := i.client.DeleteTags(ctx, ref.ID, remove)
	return i.wrote(ref.ID, err, (*record).doubtAttributes, func(known *record, now time.Time) {
		known.eni.Tags = maps.Clone(known.eni.Tags)
		for _, key := range remove {
			delete(known.eni.Tags, key)
		}
		known.attributesAt = now
	})
}

// setTags adds or replaces tags in a copy, since readers may hold the ones before.
func (r *record) setTags(set map[string]string) {
	tags := map[string]string{}
	maps.Copy(tags, r.eni.Tags)
	maps.Copy(tags, set)
	r.eni.Tags = tags
}

// wrote records the outcome of a call about an ENI: its effect, or that what we
// know can no longer be trusted. In the latter case doubt says which earlier
// writes the next read may undo: those that the call was about. All others stay
// protected, or an address that is not visible yet would be asked for again.
func (i *Inventory) wrote(eniID string, err error, doubt func(*record), apply func(known *record, now time.Time)) error {
	defer i.flush()
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.enis[eniID]
	if !ok {
		return err
	}
	if err == nil {
		apply(known, i.clock.Now())
		i.reindex(known)
		return nil
	}
	if distrust(err) {
		known.distrust(i.clock.Now())
		doubt(known)
	}
	return err
}

func (r *record) doubtAttachment() { r.attachmentAt = time.Time{} }
func (r *record) doubtAttributes() { r.attributesAt = time.Time{} }

// changed notes addresses and prefixes that were added or removed just now.
func (r *record) changed(added bool, now time.Time, lists ...[]string) {
	if r.names == nil {
		r.names = map[string]nameChange{}
	}
	for _, name := range slices.Concat(lists...) {
		r.names[name] = nameChange{added: added, at: now}
		if added {
			addName(&r.eni, name)
		} else {
			removeName(&r.eni, name)
		}
	}
}

// distrust says whether an error means that EC2 is not as we think it is.
func distrust(err error) bool {
	switch ec2.Classify(err) {
	case ec2.ClassNotFound, ec2.ClassConflict, ec2.ClassQuota, ec2.ClassTerminal:
		return true
	default:
		return ec2.Unclear(err)
	}
}

// namesLike is the list of an ENI that a name belongs to.
func namesLike(eni *ec2.NetworkInterface, name string) *[]string {
	if strings.Contains(name, "/") {
		return &eni.Prefixes
	}
	return &eni.Addresses
}

// addName and removeName replace the list, which readers may hold.
func addName(eni *ec2.NetworkInterface, name string) {
	list := namesLike(eni, name)
	if at, found := slices.BinarySearch(*list, name); !found {
		*list = slices.Insert(slices.Clone(*list), at, name)
	}
}

func removeName(eni *ec2.NetworkInterface, name string) {
	list := namesLike(eni, name)
	if at, found := slices.BinarySearch(*list, name); found {
		*list = slices.Delete(slices.Clone(*list), at, at+1)
	}
}
