/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

const (
	// reservedAddresses at the beginning of a subnet are never to be had; its last
	// one is not either (EC2).
	reservedAddresses = 4
	// prefixBits is the length of the prefixes that EC2 delegates.
	prefixBits = 28
)

// occupancy is which addresses of a subnet are taken: those that its ENIs showed,
// and those that were chosen since.
type occupancy struct {
	taken map[netip.Addr]bool
	until time.Time
}

// ChooseAddresses picks addresses of a subnet that no ENI has, at random. There may
// be fewer than asked for, and somebody else may take them first: then EC2 refuses
// them, and ForgetOccupancy has the subnet read again.
func (i *Inventory) ChooseAddresses(ctx context.Context, subnetID string, count int) ([]string, error) {
	blocks, err := i.choose(ctx, subnetID, count, netip.IPv4Unspecified().BitLen())
	names := make([]string, 0, len(blocks))
	for _, block := range blocks {
		names = append(names, block.Addr().String())
	}
	return names, err
}

// ChoosePrefixes is the same for /28 prefixes.
func (i *Inventory) ChoosePrefixes(ctx context.Context, subnetID string, count int) ([]string, error) {
	blocks, err := i.choose(ctx, subnetID, count, prefixBits)
	names := make([]string, 0, len(blocks))
	for _, block := range blocks {
		names = append(names, block.String())
	}
	return names, err
}

// ForgetOccupancy has a subnet's ENIs read again before the next choice.
func (i *Inventory) ForgetOccupancy(subnetID string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.occupied, subnetID)
}

// choose picks blocks of a length in bits.
func (i *Inventory) choose(ctx context.Context, subnetID string, count, bits int) ([]netip.Prefix, error) {
	subnet, found, err := i.Subnet(ctx, subnetID)
	if err != nil {
		return nil, err
	}
	if !found || !subnet.CIDR.IsValid() {
		return nil, fmt.Errorf("EC2 tells no IPv4 CIDR for subnet %s", subnetID)
	}
	i.mu.Lock()
	known := i.occupied[subnetID]
	i.mu.Unlock()
	if known == nil || !i.clock.Now().Before(known.until) {
		if known, _, err = i.occupancyReads.Get(ctx, subnetID); err != nil {
			return nil, err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return known.choose(subnet.CIDR, count, bits), nil
}

// choose walks through the blocks of a subnet from anywhere, so that two operators
// seldom choose the same.
func (o *occupancy) choose(subnet netip.Prefix, count, bits int) []netip.Prefix {
	blocks := uint32(1) << max(bits-subnet.Bits(), 0)
	size := uint32(1) << (32 - bits)
	start := rand.Uint32N(blocks) //nolint:gosec // no secret
	var chosen []netip.Prefix
	for n := range blocks {
		if len(chosen) == count {
			break
		}
		if block := netip.PrefixFrom(addressAt(subnet, (start+n)%blocks*size), bits); o.vacant(subnet, block) {
			o.take(block)
			chosen = append(chosen, block)
		}
	}
	return chosen
}

// addressAt is an address of a subnet, counted from its first one.
func addressAt(subnet netip.Prefix, offset uint32) netip.Addr {
	first := subnet.Masked().Addr().As4()
	value := uint32(first[0])<<24 | uint32(first[1])<<16 | uint32(first[2])<<8 | uint32(first[3])
	value += offset
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)})
}

func (o *occupancy) vacant(subnet, block netip.Prefix) bool {
	for n := range uint32(reservedAddresses) {
		if block.Contains(addressAt(subnet, n)) {
			return false
		}
	}
	for ip := block.Addr(); block.Contains(ip); ip = ip.Next() {
		if o.taken[ip] || !subnet.Contains(ip.Next()) {
			return false
		}
	}
	return true
}

func (o *occupancy) take(block netip.Prefix) {
	for ip := block.Addr(); ip.IsValid() && block.Contains(ip); ip = ip.Next() {
		o.taken[ip] = true
	}
}

// fetchOccupancy reads all ENIs of some subnets.
func (i *Inventory) fetchOccupancy(ctx context.Context, subnetIDs []string) (map[string]*occupancy, error) {
	until := i.clock.Now().Add(i.options.NetworkTTL)
	enis, err := i.client.DescribeNetworkInterfaces(ctx, ec2.Filter{Name: "subnet-id", Values: subnetIDs})
	if err != nil {
		return nil, err
	}
	read := make(map[string]*occupancy, len(subnetIDs))
	for _, id := range subnetIDs {
		read[id] = &occupancy{taken: map[netip.Addr]bool{}, until: until}
	}
	for i := range enis {
		if o, ok := read[enis[i].SubnetID]; ok {
			o.add(&enis[i])
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for id, o := range read {
		i.occupied[id] = o
	}
	return read, nil
}

func (o *occupancy) add(eni *ec2.NetworkInterface) {
	for _, name := range append([]string{eni.PrimaryAddress}, eni.Addresses...) {
		if ip, err := netip.ParseAddr(name); err == nil {
			o.taken[ip] = true
		}
	}
	for _, name := range eni.Prefixes {
		if prefix, err := netip.ParsePrefix(name); err == nil {
			o.take(prefix)
		}
	}
}
