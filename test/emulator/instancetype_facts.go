/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"regexp"
	"slices"
	"strings"

	vpclimits "github.com/aws/amazon-vpc-resource-controller-k8s/pkg/aws/vpc"
)

// furtherTypes are types of EC2 that the table of limits lacks.
var furtherTypes = map[string]*vpclimits.VPCLimits{
	"hpc6a.48xlarge":  nitroLimits(50, 2),
	"hpc6id.32xlarge": nitroLimits(50, 1, 1),
	"hpc7a.12xlarge":  nitroLimits(50, 2, 2),
	"hpc7a.24xlarge":  nitroLimits(50, 2, 2),
	"hpc7a.48xlarge":  nitroLimits(50, 2, 2),
	"hpc7a.96xlarge":  nitroLimits(50, 2, 2),
	"hpc8a.96xlarge":  nitroLimits(50, 2, 2),
	"trn2.3xlarge":    nitroLimits(15, 2),
	"trn2.48xlarge":   nitroLimits(50, slices.Repeat([]int64{2}, 16)...),
}

// nitroLimits are the limits of a type by the number of ENIs on each network card.
func nitroLimits(addresses int, perCard ...int64) *vpclimits.VPCLimits {
	limits := &vpclimits.VPCLimits{IPv4PerInterface: addresses, Hypervisor: "nitro"}
	for index, interfaces := range perCard {
		limits.Interface += int(interfaces)
		limits.NetworkCards = append(limits.NetworkCards, vpclimits.NetworkCard{
			NetworkCardIndex: int64(index), MaximumNetworkInterfaces: interfaces,
		})
	}
	return limits
}

var (
	// previousFamilies are those that EC2 no longer counts as the current generation.
	previousFamilies = []string{
		"a1", "c1", "c3", "c4", "c5", "c6gn", "d2", "g5", "i2", "m1", "m2", "m3", "m4", "m5", "m6i", "r3", "r4", "r5", "r6i", "t1",
	}
	// xenFamiliesWithENA are the families without Nitro whose types can have an Elastic
	// Network Adapter.
	xenFamiliesWithENA = []string{"f1", "h1", "i3", "p3", "r4", "x1", "x1e"}
	// familiesWithoutIPv6 are those whose ENIs have IPv4 addresses only.
	familiesWithoutIPv6 = []string{"c1", "m1", "m2", "m3", "t1"}
	// burstableFamilies earn credits for their processors.
	burstableFamilies = []string{"t2", "t3", "t3a", "t4g"}
	// typesWith32Bits run i386 as well.
	typesWith32Bits = []string{
		"c1.medium", "c3.large", "m1.medium", "m1.small", "t1.micro", "t2.medium", "t2.micro", "t2.nano", "t2.small",
	}
	// graviton matches the families of Arm processors: a g after the generation,
	// and the first generation a1.
	graviton = regexp.MustCompile(`^(a1|[a-z]+[0-9]+[a-z]*g[a-z0-9-]*)\.`)
)

func (t *instanceType) family() string {
	family, _, _ := strings.Cut(t.id, ".")
	return family
}

// nitro reports whether the type can have prefixes.
func (t *instanceType) nitro() bool {
	return t.limits.Hypervisor == "nitro" || t.limits.IsBareMetal
}

// hypervisor is empty for bare metal.
func (t *instanceType) hypervisor() string { return t.limits.Hypervisor }

func (t *instanceType) currentGeneration() bool {
	return !slices.Contains(previousFamilies, t.family())
}

func (t *instanceType) burstable() bool { return slices.Contains(burstableFamilies, t.family()) }

// architectures are those that the type runs, the oldest first.
func (t *instanceType) architectures() []string {
	switch {
	case graviton.MatchString(t.id):
		return []string{"arm64"}
	case t.family() == "mac1":
		return []string{"x86_64_mac"}
	case strings.HasPrefix(t.id, "mac"):
		return []string{"arm64_mac"}
	case slices.Contains(typesWith32Bits, t.id):
		return []string{"i386", "x86_64"}
	}
	return []string{"x86_64"}
}

// architecture is that of an instance of the type.
func (t *instanceType) architecture() string {
	all := t.architectures()
	return all[len(all)-1]
}

// ipv6PerInterface is the number of IPv6 addresses that an ENI can have.
func (t *instanceType) ipv6PerInterface() int {
	if slices.Contains(familiesWithoutIPv6, t.family()) {
		return 0
	}
	return t.limits.IPv4PerInterface
}

// enaSupport is whether the type can have, or needs, an Elastic Network Adapter.
func (t *instanceType) enaSupport() string {
	switch {
	case t.nitro():
		return "required"
	case t.id == "m4.16xlarge", slices.Contains(xenFamiliesWithENA, t.family()):
		return "supported"
	}
	return "unsupported"
}
