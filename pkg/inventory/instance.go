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

// Instance returns an instance, from EC2 the first time. It is Gone if EC2 says
// shutting-down or terminated, and Absent if EC2 answers NotFound for its id while it is
// to be trusted. Until then an instance that EC2 does not show is what was last known
// of it, or Unknown.
func (i *Inventory) Instance(ctx context.Context, id string) (ec2.Instance, Presence, error) {
	i.mu.Lock()
	known, ok := i.instances[id]
	known.Interfaces = maps.Clone(known.Interfaces)
	_, missed := i.missingInstances[id]
	outdated := i.outdated[id] && !known.Gone()
	delete(i.needlessInstances, id)
	i.mu.Unlock()
	if ok && !missed && !outdated {
		return known, presenceOf(known), nil
	}
	return i.RefreshInstance(ctx, id)
}

// RefreshInstance reads an instance from EC2, together with all others asked for
// at the moment.
func (i *Inventory) RefreshInstance(ctx context.Context, id string) (ec2.Instance, Presence, error) {
	instance, found, err := i.instanceReads.Get(ctx, id)
	if err != nil {
		return ec2.Instance{}, Unknown, err
	}
	if found {
		instance.Interfaces = maps.Clone(instance.Interfaces)
		return instance, presenceOf(instance), nil
	}
	return i.missInstance(ctx, id)
}

// missInstance decides what an answer without the instance means.
func (i *Inventory) missInstance(ctx context.Context, id string) (ec2.Instance, Presence, error) {
	known, presence, decided := i.lastKnown(id)
	if decided {
		return known, presence, nil
	}
	proved, err := i.provedAbsent(ctx, i.missingInstances, id, i.asksForInstance)
	if err != nil || !proved {
		return known, presence, err
	}
	i.mu.Lock()
	i.missingInstances[id] = absence{since: i.missingInstances[id].since, goneAt: i.clock.Now()}
	delete(i.instances, id)
	i.mu.Unlock()
	i.notify([]Change{{InstanceID: id}})
	return ec2.Instance{}, Absent, nil
}

// lastKnown returns what was last known of an instance that EC2 does not show, as long
// as EC2 may be lagging, and reports whether no further question is needed.
func (i *Inventory) lastKnown(id string) (known ec2.Instance, presence Presence, decided bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.instances[id]
	missed, missing := i.missingInstances[id]
	settling := missing && i.settling(missed.since, i.clock.Now())
	switch {
	case ok && known.Gone(): // It never comes back.
		known.Interfaces = maps.Clone(known.Interfaces)
		return known, Gone, true
	case missing && !missed.goneAt.IsZero():
		return ec2.Instance{}, Absent, true
	case !missing, !ok:
		return ec2.Instance{}, Unknown, !missing || settling
	case settling:
		known.Interfaces = maps.Clone(known.Interfaces)
		return known, Present, false
	default:
		return ec2.Instance{}, Unknown, false
	}
}

func presenceOf(instance ec2.Instance) Presence {
	if instance.Gone() {
		return Gone
	}
	return Present
}

func (i *Inventory) fetchInstances(ctx context.Context, ids []string) (map[string]ec2.Instance, error) {
	asked := i.clock.Now()
	instances, err := i.client.DescribeInstances(ctx, ec2.Filter{Name: "instance-id", Values: ids})
	if err != nil {
		return nil, err
	}
	return i.takeInstances(instances, ids, asked), nil
}

// takeInstances takes what a read for some ids showed, and notifies the subscribers of
// what has changed: not of what stays as it was, or each answer would lead to the next question.
func (i *Inventory) takeInstances(read []ec2.Instance, ids []string, asked time.Time) map[string]ec2.Instance {
	found := make(map[string]ec2.Instance, len(read))
	var changes []Change
	i.mu.Lock()
	for _, instance := range read {
		if i.mergePrimary(instance.Primary, asked) {
			changes = append(changes, Change{InstanceID: instance.ID, ENIID: instance.Primary.ID})
		}
		merged, differs := i.mergeInstance(instance)
		if differs {
			changes = append(changes, Change{InstanceID: instance.ID})
		}
		found[instance.ID] = merged
	}
	for _, id := range ids {
		known, ok := i.instances[id]
		_, shown := found[id]
		_, missed := i.missingInstances[id]
		if shown || missed || (ok && known.Gone()) {
			continue
		}
		i.missingInstances[id] = absence{since: i.clock.Now()}
		if ok {
			changes = append(changes, Change{InstanceID: id})
		}
	}
	i.mu.Unlock()
	i.notify(changes)
	i.flush()
	return found
}

// mergeInstance takes an instance as it was read, and reports whether it is another
// than it was known to be; i.mu is held.
func (i *Inventory) mergeInstance(read ec2.Instance) (merged ec2.Instance, differs bool) {
	known, ok := i.instances[read.ID]
	if ok && known.VPCID != "" && read.VPCID == "" && !read.Gone() {
		// EC2 shows next to nothing of an instance that is about to be terminated.
		state := read.State
		read = known
		read.State = state
	} else {
		read.Interfaces = i.interfacesOf(read)
	}
	_, missed := i.missingInstances[read.ID]
	kept := read
	kept.Interfaces = maps.Clone(read.Interfaces)
	i.instances[read.ID] = kept
	delete(i.missingInstances, read.ID)
	delete(i.outdated, read.ID)
	return read, missed || (ok && !sameInstance(known, read))
}

// sameInstance compares all that a decision may depend on. The primary ENI is compared
// by itself.
func sameInstance(a, b ec2.Instance) bool {
	return a.State == b.State && a.Type == b.Type && a.VPCID == b.VPCID && a.SubnetID == b.SubnetID &&
		a.AvailabilityZone == b.AvailabilityZone && slices.Equal(a.SecurityGroups, b.SecurityGroups) && maps.Equal(a.Interfaces, b.Interfaces)
}

// InstanceType returns the limits of an instance type; they never change.
func (i *Inventory) InstanceType(ctx context.Context, name string) (ec2.InstanceType, bool, error) {
	i.mu.Lock()
	known, ok := i.types[name]
	i.mu.Unlock()
	if ok {
		return known, true, nil
	}
	return i.typeReads.Get(ctx, name)
}

// KnownInstanceType returns the limits of an instance type if EC2 told them before; it
// asks nothing.
func (i *Inventory) KnownInstanceType(name string) (ec2.InstanceType, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.types[name]
	return known, ok
}

func (i *Inventory) fetchTypes(ctx context.Context, names []string) (map[string]ec2.InstanceType, error) {
	types, err := i.client.DescribeInstanceTypes(ctx, names)
	if err != nil {
		return nil, err
	}
	found := make(map[string]ec2.InstanceType, len(types))
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, instanceType := range types {
		found[instanceType.Name] = instanceType
		i.types[instanceType.Name] = instanceType
	}
	return found, nil
}

// ReserveSlot takes a free slot of an instance for an ENI: the first candidate
// that no attachment and no other reservation has. The ENI's earlier reservation
// is dropped. FreeSlot gives it back.
func (i *Inventory) ReserveSlot(instanceID, eniID string, candidates []ec2.Slot) (ec2.Slot, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	reserved := i.reservations[instanceID]
	if reserved == nil {
		reserved = map[ec2.Slot]string{}
		i.reservations[instanceID] = reserved
	}
	maps.DeleteFunc(reserved, func(_ ec2.Slot, owner string) bool { return owner == eniID })
	taken := map[ec2.Slot]bool{}
	for _, slot := range i.instances[instanceID].Interfaces {
		taken[slot] = true
	}
	for _, slot := range i.attached[instanceID] {
		taken[slot] = true
	}
	for _, slot := range candidates {
		if _, other := reserved[slot]; !other && !taken[slot] && !i.refusedSlot(instanceID, slot) {
			reserved[slot] = eniID
			return slot, true
		}
	}
	return ec2.Slot{}, false
}

// FreeSlot gives an ENI's reservation back.
func (i *Inventory) FreeSlot(instanceID, eniID string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	maps.DeleteFunc(i.reservations[instanceID], func(_ ec2.Slot, owner string) bool { return owner == eniID })
	if len(i.reservations[instanceID]) == 0 {
		delete(i.reservations, instanceID)
	}
}

// interfacesOf is a read of an instance's attachments with those of our ENIs as we
// know them to be; i.mu is held.
func (i *Inventory) interfacesOf(read ec2.Instance) map[string]ec2.Slot {
	ours := i.attached[read.ID]
	interfaces := make(map[string]ec2.Slot, len(read.Interfaces)+len(ours))
	for id, slot := range read.Interfaces {
		if known, ok := i.enis[id]; !ok || known.unclear {
			interfaces[id] = slot
		}
	}
	maps.Copy(interfaces, ours)
	return interfaces
}

// moveInterface keeps the instances' attachments in step with an ENI's; i.mu is
// held.
func (i *Inventory) moveInterface(eniID string, before, after *ec2.Attachment) {
	if before != nil && (after == nil || after.InstanceID != before.InstanceID) {
		delete(i.instances[before.InstanceID].Interfaces, eniID)
		i.freeAttached(before.InstanceID, eniID)
	}
	if after == nil {
		return
	}
	if i.attached[after.InstanceID] == nil {
		i.attached[after.InstanceID] = map[string]ec2.Slot{}
	}
	i.attached[after.InstanceID][eniID] = after.Slot
	if instance, ok := i.instances[after.InstanceID]; ok {
		instance.Interfaces[eniID] = after.Slot
	}
}

func (i *Inventory) freeAttached(instanceID, eniID string) {
	delete(i.attached[instanceID], eniID)
	if len(i.attached[instanceID]) == 0 {
		delete(i.attached, instanceID)
	}
}
