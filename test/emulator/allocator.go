/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

const (
	// prefixBits is the length of the prefixes that an ENI can hold.
	prefixBits = 28
	// prefixSize is the number of addresses in such a prefix.
	prefixSize = 16
	// reservedLow is the number of addresses that EC2 keeps at the start of a
	// subnet: the network, the router, DNS and one for the future.
	reservedLow = 4
	// wordBits is the number of addresses that one word of a bitmap covers.
	wordBits = 64
)

// allocator accounts for the addresses of a subnet. One bit stands for one
// address; a /28 is a quarter of a word. Both kinds are handed out in rising
// order, starting after the last one that was handed out: a released address
// rests until the others were used.
type allocator struct {
	cidr netip.Prefix
	base uint32
	size int
	used []uint64
	free int
	// nextAddress and nextBlock are offsets where the next search starts.
	nextAddress, nextBlock int
}

func newAllocator(cidr netip.Prefix) *allocator {
	size := 1 << (32 - cidr.Bits())
	a := &allocator{
		cidr: cidr,
		base: number(cidr.Addr()),
		size: size,
		used: make([]uint64, (size+wordBits-1)/wordBits),
		free: size,
	}
	for offset := range reservedLow {
		a.mark(offset, 1)
	}
	a.mark(size-1, 1)
	for offset := size; offset < len(a.used)*wordBits; offset++ {
		a.used[offset/wordBits] |= 1 << (offset % wordBits)
	}
	return a
}

// reserved tells whether EC2 keeps the address for itself.
func (a *allocator) reserved(addr netip.Addr) bool {
	offset := int(number(addr) - a.base)
	return offset < reservedLow || offset == a.size-1
}

// contains tells whether an address or prefix lies wholly in the subnet.
func (a *allocator) contains(p netip.Prefix) bool {
	return p.Bits() >= a.cidr.Bits() && a.cidr.Contains(p.Addr())
}

// isFree tells whether no address of p is used.
func (a *allocator) isFree(p netip.Prefix) bool {
	offset, count := a.span(p)
	return a.used[offset/wordBits]&mask(offset, count) == 0
}

// take marks p, which must be free, as used.
func (a *allocator) take(p netip.Prefix) {
	a.mark(a.span(p))
}

// release gives p back.
func (a *allocator) release(p netip.Prefix) {
	offset, count := a.span(p)
	a.used[offset/wordBits] &^= mask(offset, count)
	a.free += count
}

// takeAddress takes any free address.
func (a *allocator) takeAddress() (netip.Prefix, bool) {
	if a.free == 0 {
		return netip.Prefix{}, false
	}
	words := len(a.used)
	first := a.nextAddress / wordBits
	// The first word is searched twice: from the cursor on, and at the end
	// from its start.
	for step := range words + 1 {
		word := (first + step) % words
		unused := ^a.used[word]
		if step == 0 {
			unused &= ^uint64(0) << (a.nextAddress % wordBits)
		}
		if unused != 0 {
			offset := word*wordBits + bits.TrailingZeros64(unused)
			a.mark(offset, 1)
			a.nextAddress = (offset + 1) % a.size
			return a.at(offset, 32), true
		}
	}
	return netip.Prefix{}, false
}

// takeBlock takes any /28 that is wholly free.
func (a *allocator) takeBlock() (netip.Prefix, bool) {
	for step := 0; step < a.size; step += prefixSize {
		offset := (a.nextBlock + step) % a.size
		if a.used[offset/wordBits]&mask(offset, prefixSize) == 0 {
			a.mark(offset, prefixSize)
			a.nextBlock = (offset + prefixSize) % a.size
			return a.at(offset, prefixBits), true
		}
	}
	return netip.Prefix{}, false
}

func (a *allocator) mark(offset, count int) {
	a.used[offset/wordBits] |= mask(offset, count)
	a.free -= count
}

// span returns the position of p: its first offset and its number of addresses.
func (a *allocator) span(p netip.Prefix) (offset, count int) {
	return int(number(p.Addr()) - a.base), 1 << (32 - p.Bits())
}

func (a *allocator) at(offset, length int) netip.Prefix {
	var raw [4]byte
	binary.BigEndian.PutUint32(raw[:], a.base+uint32(offset))
	return netip.PrefixFrom(netip.AddrFrom4(raw), length)
}

// mask covers count addresses from offset on, inside one word.
func mask(offset, count int) uint64 {
	return (1<<count - 1) << (offset % wordBits)
}

func number(addr netip.Addr) uint32 {
	raw := addr.As4()
	return binary.BigEndian.Uint32(raw[:])
}
