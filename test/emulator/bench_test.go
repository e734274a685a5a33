/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"strconv"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// BenchmarkDescribeTenENIs reads ten ENIs by their ids, the commonest call of a
// simulation.
func BenchmarkDescribeTenENIs(b *testing.B) {
	f := &fleet{server: emulator.New(unthrottled())}
	subnetID := f.defaultSubnet(b, "us-east-1a")
	query := form("DescribeNetworkInterfaces")
	for n := range 10 {
		eniID := f.call(b, form("CreateNetworkInterface", "SubnetId", subnetID, "SecondaryPrivateIpAddressCount", "9",
			"TagSpecification.1.ResourceType", "network-interface",
			"TagSpecification.1.Tag.1.Key", "owner", "TagSpecification.1.Tag.1.Value", "pool",
			"TagSpecification.1.Tag.2.Key", "cluster", "TagSpecification.1.Tag.2.Value", "one")).ENI
		query.Set("NetworkInterfaceId."+strconv.Itoa(n+1), eniID)
	}
	for b.Loop() {
		assert.Equal(b, len(f.call(b, query).ENIs), 10)
	}
}
