/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"net/netip"
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestChoiceIsVacant: EC2 takes every address that is chosen, until there is none.
func TestChoiceIsVacant(t *testing.T) {
	w := newWorld(t, emulator.Options{Rising: true})
	small := first(t, w.ec2("CreateSubnet", "VpcId", w.vpc, "AvailabilityZone", region+"a", "CidrBlock", "10.0.1.0/26"), "subnetId")
	w.ec2("CreateNetworkInterface", "SubnetId", small, "SecondaryPrivateIpAddressCount", "8") // somebody else's
	w.ec2("CreateNetworkInterface", "SubnetId", small, "Ipv4PrefixCount", "1")
	reads := w.server.Counts()["DescribeNetworkInterfaces"].Calls

	const left = 64 - 5 - 9 - 1 - 16
	prefixes, err := w.ChoosePrefixes(w.ctx, small, 1)
	assert.NilError(t, err)
	w.ec2("CreateNetworkInterface", "SubnetId", small, "PrivateIpAddress", netip.MustParsePrefix(prefixes[0]).Addr().Next().String())
	var chosen []string
	for range 3 {
		some, err := w.ChooseAddresses(w.ctx, small, 10)
		assert.NilError(t, err)
		chosen = append(chosen, some...)
	}
	assert.Equal(t, len(chosen), left-16, "all that the prefix leaves")
	for _, address := range chosen {
		w.ec2("CreateNetworkInterface", "SubnetId", small, "PrivateIpAddress", address)
	}
	slices.Sort(chosen)
	assert.Equal(t, len(slices.Compact(chosen)), left-16, "none twice")
	assert.Equal(t, w.server.Counts()["DescribeNetworkInterfaces"].Calls, reads+1, "the subnet is read once")

	w.ForgetOccupancy(small)
	again, err := w.ChooseAddresses(w.ctx, small, 20)
	assert.NilError(t, err)
	assert.Equal(t, len(again), 15, "those of the prefix but the one that was taken")
	none, err := w.ChoosePrefixes(w.ctx, small, 1)
	assert.NilError(t, err)
	assert.Equal(t, len(none), 0)
}
