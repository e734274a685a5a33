/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ipam

import (
	"fmt"
	"maps"
	"slices"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// Plugin decides how the addresses of one node's pool are handed out. The package
// comment has its contract.
type Plugin interface {
	// Name is what a policy writes into spec.ipam.
	Name() string

	// Size says how many addresses the pool should have.
	Size(Bounds, Demand) Size

	// AllocateIP chooses one of the free addresses for a claim, by its index, and
	// says whether it gives one at all. The free addresses are in the order in which
	// the pool would take them: those of the ENI with the most claims first, so that
	// others empty. A claim with an address of its own choice gets that, and the
	// plugin is not asked.
	AllocateIP(claim v1alpha1.ClaimReference, free []Candidate) (index int, ok bool)

	// ReleaseIP says what becomes of an address whose claim released it, once it has
	// rested its cooldown.
	ReleaseIP(Candidate) Disposition
}

// Bounds are what a policy asks for, in addresses.
type Bounds struct {
	// Minimum is minimumIPs, Warm warmIPs and Maximum maximumIPs; in whole prefixes
	// where those are the unit.
	Minimum, Warm, Maximum int32
}

// Demand is what there is to be covered, in addresses.
type Demand struct {
	// Allocated are held by claims.
	Allocated int32
	// Pending are waited for by claims.
	Pending int32
	// Resting were released and cool down. They are there, but serve no claim.
	Resting int32
}

// Size is how large a pool should be, in addresses. The pool rounds it up to whole
// prefixes where those are the unit, and keeps it within the policy's maximum.
type Size struct {
	// Minimum is what the pool must have to be called ready, whatever the demand; of
	// an instance's ENI slots it comes before other demand.
	Minimum int32
	// Desired is what the pool aims at.
	Desired int32
}

// Candidate is an address that nobody holds.
type Candidate struct {
	Address v1alpha1.Address
	// ENI is the name of the ElasticNetworkInterface that carries it.
	ENI string
}

// Disposition is what becomes of an address that has rested.
type Disposition int

const (
	// Keep makes it free for the next claim. The pool still gives it back to the
	// subnet if it has been larger than Desired for idleReleaseAfter.
	Keep Disposition = iota
	// Return gives it back to the subnet. An address in a prefix stays until its
	// whole prefix goes.
	Return
)

var plugins = map[string]Plugin{}

// Register adds a plugin. Call it from an init function; it panics on a name that is
// empty or taken.
func Register(p Plugin) {
	name := p.Name()
	if _, taken := plugins[name]; taken || name == "" {
		panic(fmt.Sprintf("ipam: the plugin name %q is empty or taken", name))
	}
	plugins[name] = p
}

// Get returns the plugin of a name.
func Get(name string) (Plugin, bool) {
	p, ok := plugins[name]
	return p, ok
}

// Names are the names of all plugins, sorted.
func Names() []string { return slices.Sorted(maps.Keys(plugins)) }
