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

func TestRunInstancesInTheDefaultVPC(t *testing.T) {
	w := newWorld(t, inOrder())
	out := must(w.RunInstances(w.ctx(), &ec2.RunInstancesInput{
		ImageId: aws.String(image), InstanceType: types.InstanceTypeM5Large,
		MinCount: aws.Int32(1), MaxCount: aws.Int32(2),
		Placement: &types.Placement{AvailabilityZone: aws.String("us-east-1b")},
		TagSpecifications: []types.TagSpecification{
			{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{tag("Name", "node")}},
			{ResourceType: types.ResourceTypeNetworkInterface, Tags: []types.Tag{tag("Name", "primary")}},
		},
	}))
	assert.Equal(t, len(out.Instances), 2)
	i := out.Instances[1]
	assert.Equal(t, *i.AmiLaunchIndex, int32(1))
	assert.Equal(t, *i.Placement.AvailabilityZone, "us-east-1b")
	assert.Equal(t, *i.PrivateIpAddress, "172.31.16.5")
	assert.Equal(t, *i.PrivateDnsName, "ip-172-31-16-5.ec2.internal")
	assert.DeepEqual(t, i.Tags, []types.Tag{tag("Name", "node")}, exportedOnly)
	assert.Equal(t, *i.SecurityGroups[0].GroupName, "default")
	assert.Equal(t, *i.NetworkInterfaces[0].Attachment.DeleteOnTermination, true)
	primary := w.describe(*i.NetworkInterfaces[0].NetworkInterfaceId)
	assert.DeepEqual(t, primary.TagSet, []types.Tag{tag("Name", "primary")}, exportedOnly)
}

func TestPrivateDNSNameNamesTheRegion(t *testing.T) {
	w := newWorld(t, inOrder())
	w.Client = w.client("ap-southeast-2")
	subnetID := w.subnet("10.0.1.0/24")
	assert.Equal(t, *w.run(subnetID, types.InstanceTypeM5Large).PrivateDnsName, "ip-10-0-1-4.ap-southeast-2.compute.internal")
}

func TestRunInstancesWithNetworkInterfaces(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	existing := w.eni(subnetID)
	out := must(w.RunInstances(w.ctx(), &ec2.RunInstancesInput{
		ImageId: aws.String(image), InstanceType: types.InstanceTypeM5Large, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		NetworkInterfaces: []types.InstanceNetworkInterfaceSpecification{
			{DeviceIndex: aws.Int32(1), NetworkInterfaceId: &existing},
			{
				DeviceIndex: aws.Int32(0), SubnetId: &subnetID, PrivateIpAddress: aws.String("10.0.0.50"),
				SecondaryPrivateIpAddressCount: aws.Int32(2), DeleteOnTermination: aws.Bool(false), Description: aws.String("first"),
			},
		},
	}))
	i := out.Instances[0]
	assert.Equal(t, *i.PrivateIpAddress, "10.0.0.50")
	assert.Equal(t, len(i.NetworkInterfaces), 2)
	assert.Equal(t, *i.NetworkInterfaces[0].Description, "first")
	assert.Equal(t, len(i.NetworkInterfaces[0].PrivateIpAddresses), 3)
	assert.Equal(t, *i.NetworkInterfaces[1].NetworkInterfaceId, existing)

	must(w.TerminateInstances(w.ctx(), &ec2.TerminateInstancesInput{InstanceIds: []string{*i.InstanceId}}))
	assert.Equal(t, len(w.find(by("status", "available"))), 2)
}

func TestRunInstancesThatCannotBePlacedChangesNothing(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/28") // 11 addresses
	run := func(least, most, secondary int32) error {
		nic := types.InstanceNetworkInterfaceSpecification{DeviceIndex: aws.Int32(0), SubnetId: &subnetID}
		if secondary > 0 {
			nic.SecondaryPrivateIpAddressCount = &secondary
		}
		_, err := w.RunInstances(w.ctx(), &ec2.RunInstancesInput{
			ImageId: aws.String(image), InstanceType: types.InstanceTypeM5Large, MinCount: &least, MaxCount: &most,
			NetworkInterfaces: []types.InstanceNetworkInterfaceSpecification{nic},
		})
		return err
	}
	assertAPIError(t, run(12, 12, 0), "InsufficientFreeAddressesInSubnet",
		"The specified subnet does not have enough free addresses to satisfy the request.")
	assertAPIError(t, run(1, 1, 10), "PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
	assert.Equal(t, w.free(subnetID), int32(11))
	assert.Equal(t, len(must(w.DescribeInstances(w.ctx(), &ec2.DescribeInstancesInput{})).Reservations), 0)

	assert.NilError(t, run(2, 20, 2)) // room for three with three addresses each
	assert.Equal(t, w.free(subnetID), int32(2))
}

func TestInstancePassesThroughItsStates(t *testing.T) {
	options := unthrottled()
	options.Timings = emulator.Timings{
		StartInstance: fixed(5 * time.Second), StopInstance: fixed(6 * time.Second), TerminateInstance: fixed(7 * time.Second),
	}
	w := newWorld(t, options)
	launched := w.run(w.subnet("10.0.0.0/24"), types.InstanceTypeM5Large)
	id, ids := *launched.InstanceId, []string{*launched.InstanceId}
	state := func() types.InstanceStateName { return w.describeInstance(id).State.Name }

	_, err := w.StopInstances(w.ctx(), &ec2.StopInstancesInput{InstanceIds: ids})
	assertAPIError(t, err, "IncorrectInstanceState", "The instance '"+id+"' is not in a state from which it can be stopped.")
	w.clock.Step(5 * time.Second)
	assert.Equal(t, state(), types.InstanceStateNameRunning)
	assert.Equal(t, w.describeInstance(id).NetworkInterfaces[0].Attachment.Status, types.AttachmentStatusAttached)

	stopping := must(w.StopInstances(w.ctx(), &ec2.StopInstancesInput{InstanceIds: ids})).StoppingInstances[0]
	assert.Equal(t, stopping.PreviousState.Name, types.InstanceStateNameRunning)
	assert.Equal(t, stopping.CurrentState.Name, types.InstanceStateNameStopping)
	w.clock.Step(6 * time.Second)
	assert.Equal(t, state(), types.InstanceStateNameStopped)

	must(w.StartInstances(w.ctx(), &ec2.StartInstancesInput{InstanceIds: ids}))
	assert.Equal(t, state(), types.InstanceStateNamePending)
	must(w.TerminateInstances(w.ctx(), &ec2.TerminateInstancesInput{InstanceIds: ids}))
	w.clock.Step(5 * time.Second)
	assert.Equal(t, state(), types.InstanceStateNameShuttingDown, "the boot that was under way must not come through")
	w.clock.Step(2 * time.Second)
	assert.Equal(t, state(), types.InstanceStateNameTerminated)

	again := must(w.TerminateInstances(w.ctx(), &ec2.TerminateInstancesInput{InstanceIds: ids})).TerminatingInstances[0]
	assert.Equal(t, again.PreviousState.Name, types.InstanceStateNameTerminated)
	w.clock.Step(time.Hour)
	_, err = w.DescribeInstances(w.ctx(), &ec2.DescribeInstancesInput{InstanceIds: ids})
	assertAPIError(t, err, "InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
}

func TestTerminatingReleasesENIs(t *testing.T) {
	options := unthrottled()
	options.Timings.TerminateInstance = fixed(time.Minute)
	w := newWorld(t, options)
	subnetID := w.subnet("10.0.0.0/24")
	instanceID := *w.run(subnetID, types.InstanceTypeM5Large).InstanceId
	goes, stays := w.eni(subnetID), w.eni(subnetID)
	attachmentID := w.attach(goes, instanceID, 1)
	w.attach(stays, instanceID, 2)
	must(w.ModifyNetworkInterfaceAttribute(w.ctx(), &ec2.ModifyNetworkInterfaceAttributeInput{
		NetworkInterfaceId: &goes,
		Attachment:         &types.NetworkInterfaceAttachmentChanges{AttachmentId: &attachmentID, DeleteOnTermination: aws.Bool(true)},
	}))
	must(w.TerminateInstances(w.ctx(), &ec2.TerminateInstancesInput{InstanceIds: []string{instanceID}}))
	assert.Equal(t, w.describe(goes).Status, types.NetworkInterfaceStatusInUse)
	w.clock.Step(time.Minute)
	all := must(w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{})).NetworkInterfaces
	assert.Equal(t, len(all), 1)
	assert.Equal(t, *all[0].NetworkInterfaceId, stays)
	assert.Equal(t, all[0].Status, types.NetworkInterfaceStatusAvailable)
	assert.Equal(t, w.free(subnetID), int32(250))
	gone := w.describeInstance(instanceID)
	assert.Equal(t, len(gone.NetworkInterfaces), 0)
	assert.Assert(t, gone.PrivateIpAddress == nil)
}

// TestAttachmentShowsFromBothSides compares DescribeInstances with
// DescribeNetworkInterfaces in each state of an attachment.
func TestAttachmentShowsFromBothSides(t *testing.T) {
	options := unthrottled()
	options.Timings = emulator.Timings{Attach: fixed(time.Second), Detach: fixed(time.Second)}
	options.Stale.Detachments = time.Second
	w := newWorld(t, options)
	subnetID := w.subnet("10.0.0.0/24")
	instanceID := *w.run(subnetID, types.InstanceTypeM5Large).InstanceId
	w.clock.Step(time.Second)
	id := w.eni(subnetID)
	attachmentID := w.attach(id, instanceID, 2)
	check := func(want types.AttachmentStatus) {
		t.Helper()
		eni, enis := w.describe(id), w.describeInstance(instanceID).NetworkInterfaces
		if want == "" {
			assert.Equal(t, len(enis), 1)
			assert.Assert(t, eni.Attachment == nil)
			return
		}
		assert.Equal(t, len(enis), 2)
		assert.Equal(t, eni.Attachment.Status, want)
		assert.DeepEqual(t, *enis[1].Attachment, types.InstanceNetworkInterfaceAttachment{
			AttachTime: eni.Attachment.AttachTime, AttachmentId: &attachmentID, DeleteOnTermination: aws.Bool(false),
			DeviceIndex: aws.Int32(2), NetworkCardIndex: aws.Int32(0), Status: want,
		}, exportedOnly)
		assert.Equal(t, *enis[1].PrivateIpAddress, *eni.PrivateIpAddress)
		assert.Equal(t, *enis[1].MacAddress, *eni.MacAddress)
	}
	check(types.AttachmentStatusAttaching)
	w.clock.Step(time.Second)
	check(types.AttachmentStatusAttached)
	must(w.DetachNetworkInterface(w.ctx(), &ec2.DetachNetworkInterfaceInput{AttachmentId: &attachmentID}))
	check(types.AttachmentStatusDetaching)
	w.clock.Step(time.Second)
	check(types.AttachmentStatusDetaching) // gone, but reads are stale
	w.clock.Step(time.Second)
	check("")
}
