/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package ipamtest tests IPAM plugins against the contract in package ipam.
package ipamtest

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ipam"
)

// TestPlugin asks a plugin many questions, and fails where an answer breaks the
// contract.
func TestPlugin(t *testing.T, plugin ipam.Plugin) {
	t.Helper()
	for _, part := range []struct {
		name  string
		check func(ipam.Plugin) error
	}{
		{"the name can be written into a policy", checkName},
		{"the size covers the demand", checkSize},
		{"an allocation is one of the free addresses", checkAllocate},
		{"every claim is served while there are free addresses", checkServesAll},
		{"a released address is kept or returned", checkRelease},
	} {
		t.Run(part.name, func(t *testing.T) {
			if err := part.check(plugin); err != nil {
				t.Error(err)
			}
		})
	}
}

var validName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

func checkName(p ipam.Plugin) error {
	if name := p.Name(); !validName.MatchString(name) || p.Name() != name {
		return fmt.Errorf("the name is %q; it must be a DNS label, and always the same", name)
	}
	return nil
}

// someCounts are small, at the edges of a /28, and as large as bounds get.
var someCounts = []int32{0, 1, 2, 8, 15, 16, 17, 60, 1024}

func checkSize(p ipam.Plugin) error {
	for _, minimum := range someCounts {
		for _, warm := range someCounts {
			for _, allocated := range someCounts {
				for _, pending := range someCounts {
					b := ipam.Bounds{Minimum: minimum, Warm: warm, Maximum: 1024}
					d := ipam.Demand{Allocated: allocated, Pending: pending, Resting: (allocated + warm) % 5}
					if err := checkOneSize(p, b, d); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func checkOneSize(p ipam.Plugin, b ipam.Bounds, d ipam.Demand) error {
	size := p.Size(b, d)
	switch idle := p.Size(b, ipam.Demand{}); {
	case size != p.Size(b, d):
		return fmt.Errorf("Size(%+v, %+v) is not always the same", b, d)
	case size.Minimum < 0 || size.Minimum > b.Maximum:
		return fmt.Errorf("Size(%+v, %+v).Minimum is %d", b, d, size.Minimum)
	case size.Minimum != idle.Minimum:
		return fmt.Errorf("Size(%+v, %+v).Minimum is %d, and %d without demand: it must not depend on it", b, d, size.Minimum, idle.Minimum)
	case size.Desired < size.Minimum:
		return fmt.Errorf("Size(%+v, %+v).Desired is %d, below its Minimum %d", b, d, size.Desired, size.Minimum)
	case size.Desired < d.Allocated+d.Pending+d.Resting:
		return fmt.Errorf("Size(%+v, %+v).Desired is %d: claims wait for ever", b, d, size.Desired)
	case size.Desired > math.MaxInt32/2:
		return fmt.Errorf("Size(%+v, %+v).Desired is %d", b, d, size.Desired)
	}
	return nil
}

// Candidates are so many free addresses on a few ENIs.
func Candidates(count int) []ipam.Candidate {
	free := make([]ipam.Candidate, 0, count)
	for i := range count {
		free = append(free, ipam.Candidate{Address: v1alpha1.Address(fmt.Sprintf("10.0.%d.%d", i/250, i%250+1)), ENI: fmt.Sprintf("i-%d", i/3)})
	}
	return free
}

// Claim is the claim of a number.
func Claim(number int) v1alpha1.ClaimReference {
	name := fmt.Sprintf("web-%d", number)
	return v1alpha1.ClaimReference{Namespace: "shop", Name: name, UID: types.UID("uid-of-" + name)}
}

func checkAllocate(p ipam.Plugin) error {
	for _, count := range []int{0, 1, 2, 5, 17, 300} {
		for number := range 20 {
			free, claim := Candidates(count), Claim(number)
			index, ok := p.AllocateIP(claim, free)
			if !slices.Equal(free, Candidates(count)) {
				return fmt.Errorf("AllocateIP changes the addresses that it is shown")
			}
			if again, okAgain := p.AllocateIP(claim, free); again != index || okAgain != ok {
				return fmt.Errorf("AllocateIP(%s, %d addresses) is %d, and then %d", claim.Name, count, index, again)
			}
			if ok && (index < 0 || index >= count) {
				return fmt.Errorf("AllocateIP(%s, %d addresses) is %d", claim.Name, count, index)
			}
		}
	}
	return nil
}

// checkServesAll: a plugin may prefer, but what is free and kept from every claim is
// of no use to anybody.
func checkServesAll(p ipam.Plugin) error {
	free := Candidates(40)
	for number := range 40 {
		index, ok := p.AllocateIP(Claim(number), free)
		if !ok {
			return fmt.Errorf("AllocateIP gives %s nothing while %d addresses are free", Claim(number).Name, len(free))
		}
		free = slices.Delete(free, index, index+1)
	}
	return nil
}

func checkRelease(p ipam.Plugin) error {
	for _, candidate := range Candidates(40) {
		got := p.ReleaseIP(candidate)
		if got != ipam.Keep && got != ipam.Return {
			return fmt.Errorf("ReleaseIP(%s) is %d: Keep and Return are all there is", candidate.Address, got)
		}
		if p.ReleaseIP(candidate) != got {
			return fmt.Errorf("ReleaseIP(%s) is not always the same", candidate.Address)
		}
	}
	return nil
}
