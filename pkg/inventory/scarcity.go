/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// Room is what is known of a subnet's free space without asking EC2.
type Room struct {
	// Known is false if the subnet was not read lately.
	Known bool
	// Addresses are those that nobody has taken or asked for.
	Addresses int32
	// Fragmented: EC2 refused a prefix lately, since no block of 16 is free.
	Fragmented bool
}

// Room returns what is known of a subnet's free space.
func (i *Inventory) Room(subnetID string) Room {
	i.mu.Lock()
	defer i.mu.Unlock()
	free, known := i.free(subnetID)
	subnet, ok := i.subnets[subnetID]
	fragmented := ok && !subnet.fragmentedAt.IsZero() && i.clock.Now().Sub(subnet.fragmentedAt) < fragmentedFor
	return Room{Known: known, Addresses: max(free, 0), Fragmented: fragmented}
}

const (
	// learnedFor is how long a refused attachment is remembered at first: long enough to
	// put the ENI elsewhere, short enough that a passing refusal costs a minute. It
	// doubles each time that EC2 refuses the same again.
	learnedFor = time.Minute
	// learnedLongest bounds that: an attempt creates an ENI and deletes it again.
	learnedLongest = 15 * time.Minute
	// fragmentedFor is how long a subnet is taken for fragmented. EC2 shows nothing of
	// it: its free addresses say nothing about free blocks.
	fragmentedFor = 10 * time.Minute
)

// refusals are what EC2 refused of an instance although its type promises more.
type refusals struct {
	instanceType string
	// enis is how many ENIs the instance had when it took no more; 0: no such refusal.
	enis  int32
	until time.Time
	last  time.Duration
	// slots that were refused, of a type with several network cards, until a time.
	slots map[ec2.Slot]time.Time
}

// LearnedLimit returns how many ENIs, the primary one included, an instance took when
// EC2 refused one more lately, although its type promises more, and for how long that is
// still believed; 0: nothing was learned.
func (i *Inventory) LearnedLimit(instanceID string) (enis int32, left time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	known := i.refusalsOf(instanceID)
	if known == nil || known.enis == 0 || !i.clock.Now().Before(known.until) {
		return 0, 0
	}
	return known.enis, known.until.Sub(i.clock.Now())
}

// refusalsOf returns what is remembered of an instance, unless its type has changed;
// i.mu is held.
func (i *Inventory) refusalsOf(instanceID string) *refusals {
	known := i.refused[instanceID]
	instance, ok := i.instances[instanceID]
	if known != nil && ok && instance.Type != known.instanceType {
		delete(i.refused, instanceID)
		return nil
	}
	return known
}

// learnLimit remembers that EC2 refused an attachment for the number of ENIs. Where the
// type has several network cards, it may be this card that is full.
func (i *Inventory) learnLimit(instanceID string, slot ec2.Slot, err error) {
	if ec2.Code(err) != ec2.CodeAttachmentLimit {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	instance, ok := i.instances[instanceID]
	limits, typed := i.types[instance.Type]
	if !ok || !typed {
		return
	}
	known := i.refusalsOf(instanceID)
	if known == nil {
		known = &refusals{instanceType: instance.Type, slots: map[ec2.Slot]time.Time{}}
		i.refused[instanceID] = known
	}
	now := i.clock.Now()
	if len(limits.CardENIs) > 1 {
		known.slots[slot] = now.Add(learnedFor)
		return
	}
	if has := int32(len(instance.Interfaces)); has < limits.MaxENIs { //nolint:gosec // bounded by EC2
		known.enis = has
		known.last = min(max(2*known.last, learnedFor), learnedLongest)
		known.until = now.Add(known.last)
	}
}

// refusedSlot reports whether EC2 refused a slot of an instance lately; i.mu is held.
func (i *Inventory) refusedSlot(instanceID string, slot ec2.Slot) bool {
	known := i.refusalsOf(instanceID)
	return known != nil && i.clock.Now().Before(known.slots[slot])
}

// OtherSlots returns the slots of an instance that EC2 shows taken by other ENIs than
// those named by own, its primary ENI included, and the ids of those among them that
// carry this cluster's tags.
func (i *Inventory) OtherSlots(instance ec2.Instance, own map[string]bool) (slots map[ec2.Slot]bool, orphans []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	slots = map[ec2.Slot]bool{{}: true}
	for id, slot := range instance.Interfaces {
		if own[id] {
			continue
		}
		slots[slot] = true
		if known, ok := i.enis[id]; ok && !known.primary && i.OfCluster(known.eni) {
			orphans = append(orphans, id)
		}
	}
	slices.Sort(orphans)
	return slots, orphans
}
