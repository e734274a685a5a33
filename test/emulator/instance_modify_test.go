/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestChangingTheTypeOfAnInstance needs the instance stopped, and room on the other
// type for what is attached.
func TestChangingTheTypeOfAnInstance(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	id := *w.run(subnetID, types.InstanceTypeM5Xlarge).InstanceId
	for device := range int32(3) {
		w.attach(w.eni(subnetID), id, device+1)
	}
	change := func(kind string) error {
		_, err := w.ModifyInstanceAttribute(w.ctx(), &ec2.ModifyInstanceAttributeInput{
			InstanceId: &id, InstanceType: &types.AttributeValue{Value: &kind},
		})
		return err
	}
	assertAPIError(t, change("m5.4xlarge"), "IncorrectInstanceState", "The instance '"+id+"' is not in the 'stopped' state.")
	must(w.StopInstances(w.ctx(), &ec2.StopInstancesInput{InstanceIds: []string{id}}))
	w.describeInstance(id)
	assertAPIError(t, change("m5.large"), "AttachmentLimitExceeded", "Interface count 4 exceeds the limit for m5.large")
	assertAPIError(t, change("x"), "InvalidParameterValue", "Invalid value 'x' for InstanceType.")
	assert.NilError(t, change("m5.4xlarge"))
	assert.Equal(t, w.describeInstance(id).InstanceType, types.InstanceTypeM54xlarge)
}

func TestChangingTheGroupsOfAnInstance(t *testing.T) {
	w := newWorld(t, unthrottled())
	instance := w.run(w.subnet("10.0.0.0/24"), types.InstanceTypeM5Large)
	group := w.group(*instance.VpcId, "one")
	must(w.ModifyInstanceAttribute(w.ctx(), &ec2.ModifyInstanceAttributeInput{InstanceId: instance.InstanceId, Groups: []string{group}}))
	assert.Equal(t, *w.describe(*instance.NetworkInterfaces[0].NetworkInterfaceId).Groups[0].GroupId, group)
}

// TestAttachingThatHangs asserts that an attachment stays attaching until the
// instance is let go, and that it can be detached before that.
func TestAttachingThatHangs(t *testing.T) {
	options := unthrottled()
	options.Timings.Attach = fixed(time.Second)
	w := newWorld(t, options)
	subnetID := w.subnet("10.0.0.0/24")
	id := *w.run(subnetID, types.InstanceTypeM5Xlarge).InstanceId
	w.describeInstance(id)
	assert.Assert(t, w.server.SetHanging("us-east-1", id, true))
	assert.Assert(t, !w.server.SetHanging("us-east-1", noInstance, true))
	early, late, detached := w.eni(subnetID), w.eni(subnetID), w.eni(subnetID)
	w.attach(early, id, 1)
	attachment := w.attach(detached, id, 2)
	w.clock.Step(time.Hour)
	assert.Equal(t, w.describe(early).Attachment.Status, types.AttachmentStatusAttaching)
	must(w.DetachNetworkInterface(w.ctx(), &ec2.DetachNetworkInterfaceInput{AttachmentId: &attachment}))
	assert.Equal(t, w.describe(detached).Status, types.NetworkInterfaceStatusAvailable)
	w.attach(late, id, 3)
	assert.Assert(t, w.server.SetHanging("us-east-1", id, false))
	assert.Equal(t, w.describe(early).Attachment.Status, types.AttachmentStatusAttached)
	assert.Equal(t, w.describe(late).Attachment.Status, types.AttachmentStatusAttaching)
	w.clock.Step(time.Second)
	assert.Equal(t, w.describe(late).Attachment.Status, types.AttachmentStatusAttached)
}

// TestNetworkCardsByOption replaces the cards of a type by one that takes ENIs and
// one that takes none.
func TestNetworkCardsByOption(t *testing.T) {
	options := unthrottled()
	options.Cards = map[string][]emulator.NetworkCard{
		"m5.large": {{Interfaces: 3, Types: []string{"interface", "efa"}}, {Interfaces: 1, Types: []string{"efa-only"}}},
	}
	w := newWorld(t, options)
	out := must(w.DescribeInstanceTypes(w.ctx(), &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"m5.large"}}))
	info := out.InstanceTypes[0].NetworkInfo
	assert.Equal(t, *info.MaximumNetworkInterfaces, int32(4))
	assert.DeepEqual(t, info.NetworkCards, []types.NetworkCardInfo{
		{NetworkCardIndex: aws.Int32(0), MaximumNetworkInterfaces: aws.Int32(3), InterfaceTypes: []types.NetworkCardInterfaceType{"interface", "efa"}},
		{NetworkCardIndex: aws.Int32(1), MaximumNetworkInterfaces: aws.Int32(1), InterfaceTypes: []types.NetworkCardInterfaceType{"efa-only"}},
	}, exportedOnly)
	subnetID := w.subnet("10.0.0.0/24")
	id, eniID := *w.run(subnetID, types.InstanceTypeM5Large).InstanceId, w.eni(subnetID)
	_, err := w.AttachNetworkInterface(w.ctx(), &ec2.AttachNetworkInterfaceInput{
		NetworkInterfaceId: &eniID, InstanceId: &id, DeviceIndex: aws.Int32(1), NetworkCardIndex: aws.Int32(1),
	})
	assertAPIError(t, err, "InvalidParameterCombination", "Network card index '1' of m5.large does not take interfaces of type 'interface'")
}
