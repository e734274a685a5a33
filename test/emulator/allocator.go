/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"slices"
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

// probes is the number of random places tried before the search for a free one.
const probes = 8

// allocator accounts for the addresses of a subnet. One bit stands for one
// address; a /28 is a quarter of a word. Both kinds are handed out scattered over
// the subnet or, without dice, in rising order, starting after the last one that
// was handed out: a released address rests until the others were used.
type allocator struct {
	cidr netip.Prefix
	base uint32
	size int
	used []uint64
	// kept are the addresses of CIDR reservations, which are not chosen but count as
	// free all the same. It is nil where there are none.
	kept []uint64
	// blocks are the reservations that prefixes are chosen from.
	blocks []netip.Prefix
	free   int
	dice   *rand.Rand
	// nextAddress and nextBlock are offsets where the next search starts.
	nextAddress, nextBlock int
}

func newAllocator(cidr netip.Prefix, dice *rand.Rand) *allocator {
	size := 1 << (32 - cidr.Bits())
	a := &allocator{
		cidr: cidr,
		base: number(cidr.Addr()),
		size: size,
		used: make([]uint64, (size+wordBits-1)/wordBits),
		free: size,
		dice: dice,
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
	if offset, ok := a.probe(1); ok {
		a.mark(offset, 1)
		return a.at(offset, addressBits), true
	}
	words := len(a.used)
	first := a.nextAddress / wordBits
	// The first word is searched twice: from the cursor on, and at the end
	// from its start.
	for step := range words + 1 {
		word := (first + step) % words
		unused := ^a.taken(word)
		if step == 0 {
			unused &= ^uint64(0) << (a.nextAddress % wordBits)
		}
		if unused != 0 {
			offset := word*wordBits + bits.TrailingZeros64(unused)
			a.mark(offset, 1)
			a.nextAddress = (offset + 1) % a.size
			return a.at(offset, addressBits), true
		}
	}
	return netip.Prefix{}, false
}

// probe looks at random places for count addresses that are free, and sets both
// searches to start at a random place should it find none.
func (a *allocator) probe(count int) (int, bool) {
	if a.dice == nil {
		return 0, false
	}
	for range probes {
		offset := a.dice.IntN(a.size/count) * count
		a.nextAddress, a.nextBlock = offset, offset&^(prefixSize-1)
		if a.taken(offset/wordBits)&mask(offset, count) == 0 {
			return offset, true
		}
	}
	return 0, false
}

// taken are the addresses of a word that are used or kept.
func (a *allocator) taken(word int) uint64 {
	if a.kept == nil {
		return a.used[word]
	}
	return a.used[word] | a.kept[word]
}

// choosable is the number of addresses that can be chosen.
func (a *allocator) choosable() int {
	if a.kept == nil {
		return a.free
	}
	count := 0
	for word := range a.used {
		count += bits.OnesCount64(^a.taken(word))
	}
	return count
}

// freeBlocks is the number of /28 that can be handed out.
func (a *allocator) freeBlocks() int {
	count := 0
	for offset := 0; offset+prefixSize <= a.size; offset += prefixSize {
		p := a.at(offset, prefixBits)
		reserved := slices.ContainsFunc(a.blocks, func(block netip.Prefix) bool { return block.Contains(p.Addr()) })
		if a.isFree(p) && (reserved || a.taken(offset/wordBits)&mask(offset, prefixSize) == 0) {
			count++
		}
	}
	return count
}

// keep has the addresses of reservations not be chosen, and prefixes be chosen from
// some of them.
func (a *allocator) keep(reserved, blocks []netip.Prefix) {
	a.blocks, a.kept = blocks, nil
	if len(reserved) == 0 {
		return
	}
	a.kept = make([]uint64, len(a.used))
	for _, p := range reserved {
		first, count := a.span(p)
		for offset := first; offset < first+count; offset++ {
			a.kept[offset/wordBits] |= 1 << (offset % wordBits)
		}
	}
}

// takeBlock takes any /28 that is wholly free: one of a reservation for prefixes,
// as long as there is one.
func (a *allocator) takeBlock() (netip.Prefix, bool) {
	for _, reservation := range a.blocks {
		first, count := a.span(reservation)
		for offset := first; offset+prefixSize <= first+count; offset += prefixSize {
			if a.used[offset/wordBits]&mask(offset, prefixSize) == 0 {
				a.mark(offset, prefixSize)
				return a.at(offset, prefixBits), true
			}
		}
	}
	if offset, ok := a.probe(prefixSize); ok {
		a.mark(offset, prefixSize)
		return a.at(offset, prefixBits), true
	}
	for step := 0; step < a.size; step += prefixSize {
		offset := (a.nextBlock + step) % a.size
		if a.taken(offset/wordBits)&mask(offset, prefixSize) == 0 {
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
