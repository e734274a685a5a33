/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"gotest.tools/v3/assert"
)

// model is a plain set of addresses beside an allocator.
type model struct {
	t      *testing.T
	a      *allocator
	usable int
	used   map[netip.Addr]bool
	held   []netip.Prefix
}

// took notes what the allocator handed out, if anything.
func (m *model) took(p netip.Prefix, ok bool) {
	if !ok {
		return
	}
	m.held = append(m.held, p)
	assert.Assert(m.t, m.a.contains(p))
	for addr := p.Addr(); p.Contains(addr); addr = addr.Next() {
		assert.Assert(m.t, !m.a.reserved(addr), "%s is reserved", addr)
		assert.Assert(m.t, !m.used[addr], "%s was handed out twice", addr)
		m.used[addr] = true
	}
}

// release gives back the nth of what is held.
func (m *model) release(n int) {
	p := m.held[n]
	m.held = slices.Delete(m.held, n, n+1)
	m.a.release(p)
	for addr := p.Addr(); p.Contains(addr); addr = addr.Next() {
		delete(m.used, addr)
	}
}

// TestAllocatorAgainstAModel takes and gives back at random.
func TestAllocatorAgainstAModel(t *testing.T) {
	for _, test := range []struct {
		cidr string
		dice *rand.Rand
	}{
		{"10.0.0.0/28", nil},
		{"10.0.0.128/26", nil},
		{"10.0.4.0/22", nil},
		{"10.0.0.0/28", rand.New(rand.NewPCG(3, 4))},
		{"10.0.0.128/26", rand.New(rand.NewPCG(3, 4))},
		{"10.0.4.0/22", rand.New(rand.NewPCG(3, 4))},
	} {
		t.Run(fmt.Sprint(test.cidr, test.dice != nil), func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			network := netip.MustParsePrefix(test.cidr)
			m := &model{t: t, a: newAllocator(network, test.dice), usable: 1<<(32-network.Bits()) - 5, used: make(map[netip.Addr]bool)}
			for range 4000 {
				switch dice := random.IntN(100); {
				case dice < 45 && len(m.held) > 0:
					m.release(random.IntN(len(m.held)))
				case dice < 55:
					m.took(m.a.takeBlock())
				default:
					p, ok := m.a.takeAddress()
					assert.Equal(t, ok, len(m.used) < m.usable)
					m.took(p, ok)
				}
				assert.Equal(t, m.a.free, m.usable-len(m.used))
			}
		})
	}
}

func TestAllocatorHandsOutAWholeNetwork(t *testing.T) {
	a := newAllocator(netip.MustParsePrefix("10.0.0.0/16"), rand.New(rand.NewPCG(3, 4)))
	blocks := 0
	for _, ok := a.takeBlock(); ok; _, ok = a.takeBlock() {
		blocks++
	}
	assert.Equal(t, blocks, 4096-2) // the first and the last hold reserved addresses
	addresses := 0
	for _, ok := a.takeAddress(); ok; _, ok = a.takeAddress() {
		addresses++
	}
	assert.Equal(t, addresses, 12+15)
	assert.Equal(t, a.free, 0)
}
