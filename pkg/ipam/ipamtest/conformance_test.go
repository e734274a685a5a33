/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ipamtest

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ipam"
)

// broken is the plugin shared with one thing wrong.
type broken struct {
	ipam.Plugin
	name     func() string
	size     func(ipam.Bounds, ipam.Demand) ipam.Size
	allocate func(v1alpha1.ClaimReference, []ipam.Candidate) (int, bool)
	release  func(ipam.Candidate) ipam.Disposition
}

func (b broken) Name() string {
	if b.name != nil {
		return b.name()
	}
	return b.Plugin.Name()
}

func (b broken) Size(bounds ipam.Bounds, demand ipam.Demand) ipam.Size {
	if b.size != nil {
		return b.size(bounds, demand)
	}
	return b.Plugin.Size(bounds, demand)
}

func (b broken) AllocateIP(claim v1alpha1.ClaimReference, free []ipam.Candidate) (int, bool) {
	if b.allocate != nil {
		return b.allocate(claim, free)
	}
	return b.Plugin.AllocateIP(claim, free)
}

func (b broken) ReleaseIP(c ipam.Candidate) ipam.Disposition {
	if b.release != nil {
		return b.release(c)
	}
	return b.Plugin.ReleaseIP(c)
}

// TestConformanceFindsWhatIsBroken: a test that finds nothing is worth nothing.
func TestConformanceFindsWhatIsBroken(t *testing.T) {
	calls := 0
	for _, row := range []struct {
		name   string
		plugin broken
		check  func(ipam.Plugin) error
		words  string
	}{
		{"no name", broken{name: func() string { return "" }}, checkName, "must be a DNS label"},
		{"a name in capitals", broken{name: func() string { return "AWS" }}, checkName, "must be a DNS label"},
		{"a size below the demand", broken{size: func(_ ipam.Bounds, d ipam.Demand) ipam.Size { return ipam.Size{Desired: d.Allocated} }},
			checkSize, "claims wait for ever"},
		{"a size that forgets what rests", broken{size: func(_ ipam.Bounds, d ipam.Demand) ipam.Size { return ipam.Size{Desired: d.Allocated + d.Pending} }},
			checkSize, "claims wait for ever"},
		{"a negative minimum", broken{size: func(ipam.Bounds, ipam.Demand) ipam.Size { return ipam.Size{Minimum: -1, Desired: 9999} }},
			checkSize, "Minimum is -1"},
		{"a minimum that depends on the demand", broken{size: func(_ ipam.Bounds, d ipam.Demand) ipam.Size {
			return ipam.Size{Minimum: d.Allocated, Desired: 9999}
		}}, checkSize, "must not depend on it"},
		{"a size below its minimum", broken{size: func(ipam.Bounds, ipam.Demand) ipam.Size { return ipam.Size{Minimum: 1} }}, checkSize, "below its Minimum"},
		{"a size that remembers", broken{size: func(ipam.Bounds, ipam.Demand) ipam.Size { calls++; return ipam.Size{Desired: int32(10000 + calls)} }},
			checkSize, "not always the same"},
		{"an address that is none of them", broken{allocate: func(_ v1alpha1.ClaimReference, free []ipam.Candidate) (int, bool) { return len(free), true }},
			checkAllocate, "is 0"},
		{"an allocation that remembers", broken{allocate: func(_ v1alpha1.ClaimReference, free []ipam.Candidate) (int, bool) {
			calls++
			return calls % max(len(free), 1), len(free) > 0
		}}, checkAllocate, "and then"},
		{"an allocation that writes into what it is shown", broken{allocate: func(_ v1alpha1.ClaimReference, free []ipam.Candidate) (int, bool) {
			for i := range free {
				free[i].ENI = ""
			}
			return 0, len(free) > 0
		}}, checkAllocate, "changes the addresses"},
		{"an allocation that keeps some to itself", broken{allocate: func(_ v1alpha1.ClaimReference, free []ipam.Candidate) (int, bool) {
			return 0, len(free) > 3
		}}, checkServesAll, "nothing while 3 addresses are free"},
		{"a third thing to do with an address", broken{release: func(ipam.Candidate) ipam.Disposition { return 2 }}, checkRelease, "all there is"},
		{"a release that remembers", broken{release: func(ipam.Candidate) ipam.Disposition { calls++; return ipam.Disposition(calls % 2) }},
			checkRelease, "not always the same"},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.plugin.Plugin, _ = ipam.Get(ipam.Shared)
			assert.ErrorContains(t, row.check(row.plugin), row.words)
		})
	}
}
