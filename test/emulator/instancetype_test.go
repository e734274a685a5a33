/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
)

// typeFacts are what DescribeInstanceTypes shows of a type.
type typeFacts struct {
	current, burstable bool
	ena                types.EnaSupport
	ipv6               int32
	architectures      []types.ArchitectureType
	// cards are the numbers of ENIs on each network card.
	cards []int32
}

func TestFactsOfInstanceTypes(t *testing.T) {
	x86 := []types.ArchitectureType{"x86_64"}
	i386 := []types.ArchitectureType{"i386", "x86_64"}
	w := newWorld(t, unthrottled())
	for _, test := range []struct {
		name string
		kind types.InstanceType
		want typeFacts
	}{
		{"a Nitro type needs ENA", "t3.nano", typeFacts{true, true, "required", 2, x86, []int32{2}}},
		{"an older Nitro type is of a previous generation", "m5.large", typeFacts{false, false, "required", 10, x86, []int32{3}}},
		{"a family of its own is not of a previous generation", "m5d.large", typeFacts{true, false, "required", 10, x86, []int32{3}}},
		{"bare metal needs ENA", "m6g.metal", typeFacts{true, false, "required", 50, []types.ArchitectureType{"arm64"}, []int32{15}}},
		{"a Xen type can have ENA", "i3.large", typeFacts{true, false, "supported", 10, x86, []int32{3}}},
		{"the largest m4 can have ENA", "m4.16xlarge", typeFacts{false, false, "supported", 30, x86, []int32{8}}},
		{"the other m4 cannot", "m4.large", typeFacts{false, false, "unsupported", 10, x86, []int32{2}}},
		{"the first Xen types have no IPv6", "m3.large", typeFacts{false, false, "unsupported", 0, x86, []int32{3}}},
		{"small Xen types run i386", "t2.micro", typeFacts{true, true, "unsupported", 2, i386, []int32{2}}},
		{"an Intel Mac", "mac1.metal", typeFacts{true, false, "required", 30, []types.ArchitectureType{"x86_64_mac"}, []int32{8}}},
		{"an Apple silicon Mac", "mac2.metal", typeFacts{true, false, "required", 30, []types.ArchitectureType{"arm64_mac"}, []int32{8}}},
		{"a high-performance type with one card", "hpc6a.48xlarge", typeFacts{true, false, "required", 50, x86, []int32{2}}},
		{"a high-performance type with one ENI a card", "hpc6id.32xlarge", typeFacts{true, false, "required", 50, x86, []int32{1, 1}}},
		{"a high-performance type of the seventh generation", "hpc7a.12xlarge", typeFacts{true, false, "required", 50, x86, []int32{2, 2}}},
		{"another size of it", "hpc7a.24xlarge", typeFacts{true, false, "required", 50, x86, []int32{2, 2}}},
		{"its third size", "hpc7a.48xlarge", typeFacts{true, false, "required", 50, x86, []int32{2, 2}}},
		{"its largest size", "hpc7a.96xlarge", typeFacts{true, false, "required", 50, x86, []int32{2, 2}}},
		{"a high-performance type of the eighth generation", "hpc8a.96xlarge", typeFacts{true, false, "required", 50, x86, []int32{2, 2}}},
		{"a small Trainium type", "trn2.3xlarge", typeFacts{true, false, "required", 15, x86, []int32{2}}},
		{"a Trainium type with 16 cards", "trn2.48xlarge", typeFacts{
			true, false, "required", 50, x86, []int32{2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			info := must(w.DescribeInstanceTypes(w.ctx(), &ec2.DescribeInstanceTypesInput{
				InstanceTypes: []types.InstanceType{test.kind},
			})).InstanceTypes[0]
			assert.Equal(t, *info.CurrentGeneration, test.want.current)
			assert.Equal(t, *info.BurstablePerformanceSupported, test.want.burstable)
			assert.Equal(t, info.NetworkInfo.EnaSupport, test.want.ena)
			assert.Equal(t, *info.NetworkInfo.Ipv6AddressesPerInterface, test.want.ipv6)
			assert.Equal(t, *info.NetworkInfo.Ipv6Supported, test.want.ipv6 > 0)
			assert.DeepEqual(t, info.ProcessorInfo.SupportedArchitectures, test.want.architectures)
			assert.Equal(t, int(*info.NetworkInfo.MaximumNetworkCards), len(test.want.cards))
			var cards []int32
			for _, card := range info.NetworkInfo.NetworkCards {
				cards = append(cards, *card.MaximumNetworkInterfaces)
			}
			assert.DeepEqual(t, cards, test.want.cards)
		})
	}
}

// TestInstanceTypesByWhatTheyAre looks for types by the facts above.
func TestInstanceTypesByWhatTheyAre(t *testing.T) {
	w := newWorld(t, unthrottled())
	for _, test := range []struct {
		filter string
		// The filter has the first value of one kind and the second of the other.
		value, other string
		one, another types.InstanceType
	}{
		{"current-generation", "true", "false", "m5d.large", "m5.large"},
		{"burstable-performance-supported", "true", "false", "t3.nano", "m5.large"},
		{"network-info.ena-support", "supported", "unsupported", "m4.16xlarge", "m4.large"},
		{"network-info.ipv6-supported", "true", "false", "m4.large", "m3.large"},
		{"network-info.ipv6-addresses-per-interface", "10", "0", "m4.large", "m3.large"},
		{"processor-info.supported-architecture", "i386", "arm64_mac", "t2.nano", "mac2.metal"},
		{"network-info.maximum-network-cards", "16", "2", "trn2.48xlarge", "hpc7a.96xlarge"},
	} {
		t.Run(test.filter, func(t *testing.T) {
			both := []types.InstanceType{test.one, test.another}
			for n, value := range []string{test.value, test.other} {
				out := must(w.DescribeInstanceTypes(w.ctx(), &ec2.DescribeInstanceTypesInput{
					InstanceTypes: both, Filters: []types.Filter{by(test.filter, value)},
				}))
				assert.Equal(t, len(out.InstanceTypes), 1)
				assert.Equal(t, out.InstanceTypes[0].InstanceType, both[n])
			}
		})
	}
}
