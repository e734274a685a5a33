/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
)

// TestSlotsPerENI fills an attached ENI with addresses or prefixes, up to the
// limit of the instance's type and one beyond.
func TestSlotsPerENI(t *testing.T) {
	for _, test := range []struct {
		kind  types.InstanceType
		limit int32 // with the primary address
	}{
		{types.InstanceTypeT3Medium, 6},
		{types.InstanceTypeM5Large, 10},
		{types.InstanceTypeM5Xlarge, 15},
	} {
		for name, input := range map[string]func(int32) ec2.AssignPrivateIpAddressesInput{"addresses": count, "prefixes": prefixCount} {
			t.Run(string(test.kind)+" "+name, func(t *testing.T) {
				w := newWorld(t, unthrottled())
				subnetID := w.subnet("10.0.0.0/22")
				instanceID := *w.run(subnetID, test.kind).InstanceId
				id := w.eni(subnetID)
				w.attach(id, instanceID, 1)
				assert.Equal(t, len(w.assign(id, input(test.limit-1))), int(test.limit-1))
				more := input(1)
				more.NetworkInterfaceId = &id
				_, err := w.AssignPrivateIpAddresses(w.ctx(), &more)
				assertAPIError(t, err, "PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
			})
		}
	}
}

func TestAttachingChecksTheSlotsOfTheENI(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/22")
	small := *w.run(subnetID, types.InstanceTypeT3Medium).InstanceId
	xen := *w.run(subnetID, types.InstanceTypeM4Large).InstanceId
	tooFull := w.create(&ec2.CreateNetworkInterfaceInput{SubnetId: &subnetID, SecondaryPrivateIpAddressCount: aws.Int32(6)})
	prefixed := w.create(&ec2.CreateNetworkInterfaceInput{SubnetId: &subnetID, Ipv4PrefixCount: aws.Int32(1)})
	attach := func(eni types.NetworkInterface, instanceID string) error {
		_, err := w.AttachNetworkInterface(w.ctx(), &ec2.AttachNetworkInterfaceInput{
			NetworkInterfaceId: eni.NetworkInterfaceId, InstanceId: &instanceID, DeviceIndex: aws.Int32(1),
		})
		return err
	}
	assertAPIError(t, attach(tooFull, small), "PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
	assertAPIError(t, attach(prefixed, xen), "UnsupportedOperation", "The instance type 'm4.large' does not support IPv4 prefixes")
	assert.NilError(t, attach(prefixed, small))
}

func TestDeviceIndexesAreUniquePerNetworkCard(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/22")
	instanceID := *w.run(subnetID, types.InstanceTypeP4d24xlarge).InstanceId
	attach := func(card, device int32) error {
		_, err := w.AttachNetworkInterface(w.ctx(), &ec2.AttachNetworkInterfaceInput{
			NetworkInterfaceId: aws.String(w.eni(subnetID)), InstanceId: &instanceID,
			DeviceIndex: &device, NetworkCardIndex: &card,
		})
		return err
	}
	for device := range int32(15) {
		assert.NilError(t, attach(1, device))
	}
	assertAPIError(t, attach(1, 15), "AttachmentLimitExceeded", "Interface count 16 exceeds the limit for p4d.24xlarge")
	assertAPIError(t, attach(4, 1), "InvalidParameterValue", "Network card index '4' is not valid for p4d.24xlarge")
	assertAPIError(t, attach(0, 0), "InvalidParameterValue",
		"Instance '"+instanceID+"' already has an interface attached at device index '0'.")
	assert.NilError(t, attach(3, 0))
}
