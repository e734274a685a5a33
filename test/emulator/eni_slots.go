/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"errors"
	"net/netip"
	"slices"
)

// slotRequest asks for addresses and prefixes of a subnet.
type slotRequest struct {
	// primary is the primary address of a new ENI. Where it is invalid, any
	// address will do.
	primary     netip.Addr
	addresses   []netip.Addr
	count       int
	prefixes    []netip.Prefix
	prefixCount int
}

// secondary is the number of slots asked for beside the primary address.
func (q slotRequest) secondary() int {
	return len(q.addresses) + q.count + len(q.prefixes) + q.prefixCount
}

// total is the number of slots of a new ENI.
func (q slotRequest) total() int { return 1 + q.secondary() }

// ways counts the ways in which slots beside the primary address are asked for, of
// which EC2 takes one.
func (q slotRequest) ways() int {
	ways := 0
	for _, n := range []int{len(q.addresses), q.count, len(q.prefixes), q.prefixCount} {
		if n > 0 {
			ways++
		}
	}
	return ways
}

// checkDistinct rejects a request that names a slot twice.
func (q slotRequest) checkDistinct() error {
	if slices.Contains(q.addresses, q.primary) {
		return invalidValue("address value can't be both primary and secondary")
	}
	if overlap(q.named()) {
		return invalidValue("Duplicate private IP address.")
	}
	return nil
}

// named lists the slots that are asked for by name.
func (q slotRequest) named() []netip.Prefix {
	var slots []netip.Prefix
	if q.primary.IsValid() {
		slots = append(slots, addressSlot(q.primary))
	}
	for _, addr := range q.addresses {
		slots = append(slots, addressSlot(addr))
	}
	return append(slots, q.prefixes...)
}

// takeSlots takes the slots of a new ENI, the primary address first. Where it
// fails nothing is taken.
func (s *subnet) takeSlots(q slotRequest) ([]netip.Prefix, error) {
	named, count := q.named(), q.count
	if !q.primary.IsValid() {
		count++
	}
	if err := s.checkNamed(q); err != nil {
		return nil, err
	}
	for _, p := range named {
		s.addresses.take(p)
	}
	chosen, err := s.takeAny(count, q.prefixCount)
	if err != nil {
		s.giveBack(named)
		return nil, s.onCreate(err)
	}
	if q.primary.IsValid() {
		return append(named, chosen...), nil
	}
	return slices.Insert(chosen, 1, named...), nil
}

// takeAny takes any addresses and prefixes. Where it fails nothing is taken.
func (s *subnet) takeAny(count, prefixCount int) ([]netip.Prefix, error) {
	addresses, err := s.takeAddresses(count)
	if err != nil {
		return nil, err
	}
	prefixes, err := s.takePrefixes(prefixCount)
	if err != nil {
		s.giveBack(addresses)
		return nil, err
	}
	return append(addresses, prefixes...), nil
}

func (s *subnet) giveBack(slots []netip.Prefix) {
	for _, p := range slots {
		s.addresses.release(p)
	}
}

// checkNamed tells whether slots asked for by name can be had.
func (s *subnet) checkNamed(q slotRequest) error {
	if err := q.checkDistinct(); err != nil {
		return err
	}
	for _, p := range q.named() {
		if err := s.checkRange(p, invalidValue("Address is in subnet's reserved address range")); err != nil {
			return err
		}
		if !s.addresses.isFree(p) {
			return fail("InvalidIPAddress.InUse", "The specified address is already in use.")
		}
	}
	return nil
}

// checkRange tells whether a slot lies in the part of the subnet that can be
// assigned. OnReserved is the caller's error for one of the addresses that EC2 keeps.
func (s *subnet) checkRange(p netip.Prefix, onReserved error) error {
	if !s.addresses.contains(p) {
		return invalidValue("Address does not fall within the subnet's address range")
	}
	if p.IsSingleIP() && s.addresses.reserved(p.Addr()) {
		return onReserved
	}
	return s.checkReserved(p)
}

// slotText writes an address without its length.
func slotText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// takeAddresses takes any addresses. Where it fails it returns none.
func (s *subnet) takeAddresses(count int) ([]netip.Prefix, error) {
	choosable := s.addresses.choosable()
	switch {
	case count <= choosable:
	case choosable == 0 || count == 1 || s.scarcity.CountAboveFree == CodeInsufficientFreeAddresses:
		return nil, subnetFull()
	default:
		return nil, insufficientSlots()
	}
	slots := make([]netip.Prefix, 0, count)
	for range count {
		p, _ := s.addresses.takeAddress()
		slots = append(slots, p)
	}
	return slots, nil
}

// takePrefixes takes any free /28 blocks. EC2 tells a subnet with too few
// addresses from one whose free addresses are too scattered. Where it fails it
// takes none.
func (s *subnet) takePrefixes(count int) ([]netip.Prefix, error) {
	if count*prefixSize > s.addresses.free {
		return nil, insufficientSlots()
	}
	slots := make([]netip.Prefix, 0, count)
	for range count {
		p, ok := s.addresses.takeBlock()
		if !ok {
			s.giveBack(slots)
			return nil, insufficientBlocks()
		}
		slots = append(slots, p)
	}
	return slots, nil
}

// onCreate is what CreateNetworkInterface answers where no block was found.
func (s *subnet) onCreate(err error) error {
	var known *apiError
	if errors.As(err, &known) && known.Code == CodeInsufficientCIDRBlocks && s.scarcity.PrefixShortage != CodeInsufficientCIDRBlocks {
		return insufficientSlots()
	}
	return err
}

func insufficientBlocks() error {
	return fail(CodeInsufficientCIDRBlocks,
		"The specified subnet does not have enough free cidr blocks to satisfy the request.")
}

func insufficientSlots() error {
	return invalidValue("There aren't sufficient free Ipv4 addresses or prefixes")
}

// overlap tells whether two of the slots share an address.
func overlap(slots []netip.Prefix) bool {
	for i, p := range slots {
		if slices.ContainsFunc(slots[:i], p.Overlaps) {
			return true
		}
	}
	return false
}
