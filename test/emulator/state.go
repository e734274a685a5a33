/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"maps"
	"time"
)

// ENIState is an ENI as it is, whatever reads may show of it.
type ENIState struct {
	ID, MAC, SubnetID, Zone, VPCID string
	// PrimaryAddress is not among Addresses.
	PrimaryAddress      string
	Addresses, Prefixes []string
	SecurityGroups      []string
	Tags                map[string]string
	CreatedAt           time.Time
	// What follows is empty where the ENI is not attached.
	AttachmentID, AttachmentStatus, InstanceID string
	DeviceIndex, NetworkCardIndex              int
	DeleteOnTermination                        bool
}

// InstanceState is an instance as it is.
type InstanceState struct {
	ID, Type, State, SubnetID, Zone string
	// ENIs is how many are attached, and MostENIs how many can be.
	ENIs, MostENIs int
	// AddressesPerENI is how many addresses an ENI can have, its own among them.
	AddressesPerENI int
}

// SubnetState is a subnet as it is.
type SubnetState struct {
	ID, Zone, CIDR string
	Free           int
	// Choosable are the free addresses outside of CIDR reservations, and FreeBlocks the
	// /28 that a prefix can be.
	Choosable, FreeBlocks int
	Tags                  map[string]string
}

// State is a Region as it is.
type State struct {
	ENIs      []ENIState
	Instances []InstanceState
	Subnets   []SubnetState
}

// Look returns a Region of the default account as it is now. No call is logged, and no token taken.
func (s *Server) Look(regionName string) State {
	r, lag := s.region(DefaultAccount, regionName), s.faults.lag()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(s.clock.Now(), lag)
	var state State
	for _, e := range r.enis.ordered {
		state.ENIs = append(state.ENIs, e.look())
	}
	for _, i := range r.instances.ordered {
		seen := InstanceState{
			ID: i.id, Type: i.kind.id, State: i.state.name, SubnetID: i.subnet.id, Zone: i.subnet.zone.name,
			ENIs: len(i.attachments), MostENIs: i.kind.interfaces, AddressesPerENI: i.kind.limits.IPv4PerInterface,
		}
		state.Instances = append(state.Instances, seen)
	}
	for _, n := range r.subnets.ordered {
		state.Subnets = append(state.Subnets, SubnetState{
			ID: n.id, Zone: n.zone.name, CIDR: n.cidr.String(), Free: n.addresses.free, Tags: maps.Clone(n.tags),
			Choosable: n.addresses.choosable(), FreeBlocks: n.addresses.freeBlocks(),
		})
	}
	return state
}

func (e *eni) look() ENIState {
	seen := ENIState{
		ID: e.id, MAC: e.mac, SubnetID: e.subnet.id, Zone: e.subnet.zone.name, VPCID: e.subnet.vpc.id,
		PrimaryAddress: e.primary().String(), Tags: maps.Clone(e.tags), CreatedAt: e.createdAt,
	}
	for _, s := range e.slots[1:] {
		if s.Bits() == addressBits {
			seen.Addresses = append(seen.Addresses, s.Addr().String())
		} else {
			seen.Prefixes = append(seen.Prefixes, s.String())
		}
	}
	for _, g := range e.groups {
		seen.SecurityGroups = append(seen.SecurityGroups, g.id)
	}
	if a := e.attachment; a != nil {
		seen.AttachmentID, seen.AttachmentStatus, seen.InstanceID = a.id, a.status, a.instance.id
		seen.DeviceIndex, seen.NetworkCardIndex, seen.DeleteOnTermination = a.device, a.card, a.deleteOnTermination
	}
	return seen
}
