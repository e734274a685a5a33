/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// Create makes the call and records the ENI that EC2 answers with.
func (i *Inventory) Create(ctx context.Context, input ec2.CreateInput) (ec2.NetworkInterface, error) {
	eni, err := i.client.CreateNetworkInterface(ctx, input)
	if err != nil {
		return ec2.NetworkInterface{}, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if known, ok := i.enis[eni.ID]; ok {
		// The same token again: what we know may be newer than the answer.
		return clone(known.eni), nil
	}
	now := i.clock.Now()
	i.enis[eni.ID] = &record{eni: clone(eni), addressesAt: now, attributesAt: now}
	i.own(eni)
	return eni, nil
}

// Attach attaches an ENI to a reserved slot of an instance.
func (i *Inventory) Attach(ctx context.Context, eniID, instanceID string, slot ec2.Slot) error {
	id, err := i.client.AttachNetworkInterface(ctx, eniID, instanceID, slot)
	return i.wrote(eniID, err, func(known *record, now time.Time) {
		before := known.eni.Attachment
		known.eni.Attachment = &ec2.Attachment{
			ID: id, InstanceID: instanceID, Slot: slot, Status: ec2.AttachmentAttaching,
		}
		known.attachmentAt = now
		i.moveInterface(eniID, before, known.eni.Attachment)
	})
}

// Detach begins to detach an ENI.
func (i *Inventory) Detach(ctx context.Context, eniID, attachmentID string, force bool) error {
	err := i.client.DetachNetworkInterface(ctx, attachmentID, force)
	return i.wrote(eniID, err, func(known *record, now time.Time) {
		if known.eni.Attachment != nil {
			known.eni.Attachment.Status = ec2.AttachmentDetaching
			known.attachmentAt = now
		}
	})
}

// Delete deletes a detached ENI. Whether it is gone, a Look tells.
func (i *Inventory) Delete(ctx context.Context, eniID string) error {
	err := i.client.DeleteNetworkInterface(ctx, eniID)
	return i.wrote(eniID, err, func(known *record, _ time.Time) {
		known.seen, known.unclear = true, true
	})
}

// Assign adds addresses to an ENI.
func (i *Inventory) Assign(ctx context.Context, eniID string, input ec2.AssignInput) error {
	assigned, err := i.client.AssignPrivateAddresses(ctx, eniID, input)
	return i.wrote(eniID, err, func(known *record, now time.Time) {
		known.eni.Addresses = union(known.eni.Addresses, assigned.Addresses)
		known.eni.Prefixes = union(known.eni.Prefixes, assigned.Prefixes)
		known.addressesAt = now
	})
}

// Unassign takes named addresses and prefixes from an ENI.
func (i *Inventory) Unassign(ctx context.Context, eniID string, names ec2.Assigned) error {
	err := i.client.UnassignPrivateAddresses(ctx, eniID, names)
	return i.wrote(eniID, err, func(known *record, now time.Time) {
		known.eni.Addresses = without(known.eni.Addresses, names.Addresses)
		known.eni.Prefixes = without(known.eni.Prefixes, names.Prefixes)
		known.addressesAt = now
	})
}

// SetDeleteOnTermination has EC2 delete the ENI with its instance, or not.
func (i *Inventory) SetDeleteOnTermination(ctx context.Context, eniID, attachmentID string, value bool) error {
	err := i.client.SetDeleteOnTermination(ctx, eniID, attachmentID, value)
	return i.wrote(eniID, err, func(known *record, now time.Time) {
		if known.eni.Attachment != nil {
			known.eni.Attachment.DeleteOnTermination = value
			known.attachmentAt = now
		}
	})
}

// SetSecurityGroups replaces an ENI's security groups.
func (i *Inventory) SetSecurityGroups(ctx context.Context, eniID string, groups []string) error {
	err := i.client.SetSecurityGroups(ctx, eniID, groups)
	return i.wrote(eniID, err, func(known *record, now time.Time) {
		known.eni.SecurityGroups = slices.Clone(groups)
		known.attributesAt = now
	})
}

// SetTags adds or replaces tags, and then removes keys.
func (i *Inventory) SetTags(ctx context.Context, eniID string, set map[string]string, remove []string) error {
	if len(set) > 0 {
		err := i.client.CreateTags(ctx, eniID, set)
		if err := i.wrote(eniID, err, func(known *record, now time.Time) {
			maps.Copy(known.eni.Tags, set)
			known.attributesAt = now
		}); err != nil {
			return err
		}
	}
	if len(remove) == 0 {
		return nil
	}
	err := i.client.DeleteTags(ctx, eniID, remove)
	return i.wrote(eniID, err, func(known *record, now time.Time) {
		for _, key := range remove {
			delete(known.eni.Tags, key)
		}
		known.attributesAt = now
	})
}

// wrote records the outcome of a call about an ENI: its effect, or that what we
// know can no longer be trusted.
func (i *Inventory) wrote(eniID string, err error, apply func(known *record, now time.Time)) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.enis[eniID]
	if !ok {
		return err
	}
	if err == nil {
		apply(known, i.clock.Now())
		return nil
	}
	if distrust(err) {
		known.unclear = true
		known.addressesAt, known.attachmentAt, known.attributesAt = time.Time{}, time.Time{}, time.Time{}
	}
	return err
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

func union(have, more []string) []string {
	all := append(slices.Clone(have), more...)
	slices.Sort(all)
	return slices.Compact(all)
}

func without(have, remove []string) []string {
	return slices.DeleteFunc(slices.Clone(have), func(value string) bool { return slices.Contains(remove, value) })
}
