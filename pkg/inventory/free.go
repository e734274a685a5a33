/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"cmp"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// addressesPerPrefix is how many addresses of its subnet a /28 prefix takes.
const addressesPerPrefix = 16

// subnetRecord is a subnet, with its free addresses as our own calls have changed
// them since it was read.
type subnetRecord struct {
	ec2.Subnet
	readAt time.Time
	// reserved are the addresses that calls on their way ask for.
	reserved int32
	// fragmentedAt is when EC2 last refused prefixes for lack of a free block.
	fragmentedAt time.Time
}

// keepSubnet takes a subnet as it was read; i.mu is held.
func (i *Inventory) keepSubnet(subnet ec2.Subnet, asked time.Time) {
	known, ok := i.subnets[subnet.ID]
	if !ok {
		known = &subnetRecord{}
		i.subnets[subnet.ID] = known
	}
	known.Subnet, known.readAt = subnet, asked
}

// reserve sets addresses and prefixes of a subnet aside for a call. What it returns is to be
// called with the call's error.
func (i *Inventory) reserve(subnetID string, addresses, prefixes int32) (done func(err error)) {
	count := addresses + addressesPerPrefix*prefixes
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.subnets[subnetID]
	if !ok {
		return func(error) {}
	}
	known.reserved += count
	return func(err error) {
		i.mu.Lock()
		defer i.mu.Unlock()
		known.reserved -= count
		shortage := ec2.Capacity(err)
		switch {
		case err == nil:
			known.FreeAddresses -= count
		case shortage != ec2.NoShortage && prefixes > 0:
			known.fragmentedAt = i.clock.Now()
		case shortage != ec2.NoShortage: // Some may be free, but not as many.
			known.FreeAddresses = min(known.FreeAddresses, count-1)
			known.readAt = i.clock.Now()
		}
	}
}

// free are the addresses of a subnet that nobody asked for yet, if it was read
// lately; i.mu is held. A read that shows a call on its way already counts it twice.
func (i *Inventory) free(subnetID string) (count int32, known bool) {
	subnet, ok := i.subnets[subnetID]
	if !ok || i.clock.Now().Sub(subnet.readAt) >= i.options.NetworkTTL {
		return 0, false
	}
	return subnet.FreeAddresses - subnet.reserved, true
}

// PreferRoom sorts subnets that are known to lack room for a number of addresses
// behind the others. Each of them rests until it is read again, or the knowledge is
// old.
func (i *Inventory) PreferRoom(subnetIDs []string, count int32) []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	lacks := func(id string) int {
		if free, known := i.free(id); known && free < count {
			return 1
		}
		return 0
	}
	sorted := slices.Clone(subnetIDs)
	slices.SortStableFunc(sorted, func(a, b string) int { return cmp.Compare(lacks(a), lacks(b)) })
	return sorted
}

// subnetOf is the subnet of a known ENI, or "".
func (i *Inventory) subnetOf(eniID string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if known, ok := i.enis[eniID]; ok {
		return known.eni.SubnetID
	}
	return ""
}
