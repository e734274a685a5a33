/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// place is an address in a VPC: there it is on one ENI at most.
type place struct {
	vpcID   string
	address netip.Addr
}

// reindex brings the index of addresses in line with what is known of an ENI. An address
// that is on another ENI too makes the evidence about that one, which is older, be
// looked at again. i.mu is held; the caller calls flush.
func (i *Inventory) reindex(known *record) {
	now := placesOf(known.eni)
	before := known.places
	known.places = now
	for at := range before {
		if !now[at] {
			i.leavePlace(at, known.eni.ID)
		}
	}
	for at := range now {
		if before[at] {
			continue
		}
		for _, other := range i.addresses[at] {
			i.doubtAgain(other)
		}
		if len(i.addresses[at]) > 0 {
			i.announce(known)
		}
		i.addresses[at] = append(i.addresses[at], known.eni.ID)
	}
}

// unindex drops an ENI from the index; i.mu is held.
func (i *Inventory) unindex(known *record) {
	for at := range known.places {
		i.leavePlace(at, known.eni.ID)
	}
	known.places = nil
}

// leavePlace drops an ENI from a place. Where another one is left alone in it, that is
// settled. i.mu is held.
func (i *Inventory) leavePlace(at place, eniID string) {
	left := slices.DeleteFunc(slices.Clone(i.addresses[at]), func(id string) bool { return id == eniID })
	if len(left) == 0 {
		delete(i.addresses, at)
		return
	}
	i.addresses[at] = left
	if other, ok := i.enis[left[0]]; ok && len(left) == 1 {
		i.announce(other)
	}
}

// doubtAgain has an ENI looked at; i.mu is held.
func (i *Inventory) doubtAgain(eniID string) {
	if other, ok := i.enis[eniID]; ok {
		other.distrust(i.clock.Now())
		i.announce(other)
	}
}

// Contested returns the addresses and prefixes of an ENI that another ENI is known to
// have as well, sorted. They are nobody's until that is settled.
func (i *Inventory) Contested(eniID string) []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.enis[eniID]
	if !ok {
		return nil
	}
	var contested []string
	for _, name := range slices.Concat(known.eni.Addresses, known.eni.Prefixes, []string{known.eni.PrimaryAddress}) {
		for _, address := range addressesIn(name) {
			if len(i.addresses[place{known.eni.VPCID, address}]) > 1 {
				contested = append(contested, name)
				break
			}
		}
	}
	slices.Sort(contested)
	return contested
}

func placesOf(eni ec2.NetworkInterface) map[place]bool {
	places := make(map[place]bool, 1+len(eni.Addresses)+addressesPerPrefix*len(eni.Prefixes))
	for _, name := range slices.Concat(eni.Addresses, eni.Prefixes, []string{eni.PrimaryAddress}) {
		for _, address := range addressesIn(name) {
			places[place{eni.VPCID, address}] = true
		}
	}
	return places
}

// addressesIn are the addresses that a name stands for: itself, or those of a prefix.
func addressesIn(name string) []netip.Addr {
	if !strings.Contains(name, "/") {
		address, err := netip.ParseAddr(name)
		if err != nil {
			return nil
		}
		return []netip.Addr{address}
	}
	prefix, err := netip.ParsePrefix(name)
	if err != nil || prefix.Bits() < prefixBits {
		return nil
	}
	var all []netip.Addr
	for address := prefix.Masked().Addr(); prefix.Contains(address); address = address.Next() {
		all = append(all, address)
	}
	return all
}

// announce notes a change of an ENI for the next flush; i.mu is held.
func (i *Inventory) announce(known *record) {
	change := Change{ENIID: known.eni.ID, OwnerName: known.eni.Tags[ec2.TagName]}
	if at := known.eni.Attachment; known.primary && at != nil {
		change.InstanceID = at.InstanceID
	}
	if !slices.Contains(i.pending, change) {
		i.pending = append(i.pending, change)
	}
}

// flush notifies the subscribers of what was announced. i.mu must not be held.
func (i *Inventory) flush() {
	i.mu.Lock()
	pending := i.pending
	i.pending = nil
	i.mu.Unlock()
	i.notify(pending)
}
