/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"maps"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// Instance returns an instance, from EC2 the first time. It is Gone if EC2 says
// shutting-down or terminated, or showed no such instance twice, a visibility
// window apart; until then an absent one is what was last known of it, or Unknown.
func (i *Inventory) Instance(ctx context.Context, id string) (ec2.Instance, Presence, error) {
	i.mu.Lock()
	known, ok := i.instances[id]
	known.Interfaces = maps.Clone(known.Interfaces)
	_, missed := i.missingInstances[id]
	delete(i.needlessInstances, id)
	i.mu.Unlock()
	if ok && !missed {
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
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.absentInstance(id) == Gone {
		delete(i.instances, id)
		return ec2.Instance{}, Gone, nil
	}
	known, ok := i.instances[id]
	if !ok {
		return ec2.Instance{}, Unknown, nil
	}
	known.Interfaces = maps.Clone(known.Interfaces)
	return known, presenceOf(known), nil
}

// absentInstance says what it means that EC2 does not show an instance; i.mu is
// held. There is no mark if somebody forgot the instance, or was shown it, since.
func (i *Inventory) absentInstance(id string) Presence {
	if since, missed := i.missingInstances[id]; missed && !i.settling(since, i.clock.Now()) {
		return Gone
	}
	return Unknown
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
	found := make(map[string]ec2.Instance, len(instances))
	var changes []Change
	i.mu.Lock()
	for _, instance := range instances {
		if i.mergePrimary(instance.Primary, asked) {
			changes = append(changes, Change{InstanceID: instance.ID, ENIID: instance.Primary.ID})
		}
		instance.Interfaces = i.interfacesOf(instance)
		found[instance.ID] = instance
		known, ok := i.instances[instance.ID]
		if ok && (known.State != instance.State || !maps.Equal(known.Interfaces, instance.Interfaces)) {
			changes = append(changes, Change{InstanceID: instance.ID})
		}
		kept := instance
		kept.Interfaces = maps.Clone(instance.Interfaces)
		i.instances[instance.ID] = kept
		delete(i.missingInstances, instance.ID)
	}
	now := i.clock.Now()
	for _, id := range ids {
		if _, ok := found[id]; ok {
			continue
		}
		if _, missed := i.missingInstances[id]; !missed {
			i.missingInstances[id] = now
		}
		if _, known := i.instances[id]; known {
			changes = append(changes, Change{InstanceID: id})
		}
	}
	i.mu.Unlock()
	i.notify(changes)
	return found, nil
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

// ForeignSlots returns the slots of an instance that ENIs of others occupy, its
// primary ENI included.
func (i *Inventory) ForeignSlots(instance ec2.Instance) map[ec2.Slot]bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	slots := map[ec2.Slot]bool{{}: true}
	for id, slot := range instance.Interfaces {
		if _, ours := i.enis[id]; !ours {
			slots[slot] = true
		}
	}
	return slots
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
		if _, other := reserved[slot]; !other && !taken[slot] {
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
