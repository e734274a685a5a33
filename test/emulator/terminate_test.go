/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// assertWithoutNetwork asserts that an instance shows nothing of its network but its
// ENIs as stubs.
func assertWithoutNetwork(t *testing.T, i types.Instance, stubs int) {
	t.Helper()
	assert.Assert(t, i.SubnetId == nil)
	assert.Assert(t, i.VpcId == nil)
	assert.Assert(t, i.PrivateIpAddress == nil)
	assert.Equal(t, len(i.SecurityGroups), 0)
	assert.Equal(t, len(i.NetworkInterfaces), stubs)
	for _, eni := range i.NetworkInterfaces {
		assert.DeepEqual(t, eni, types.InstanceNetworkInterface{
			NetworkInterfaceId: eni.NetworkInterfaceId, OwnerId: eni.OwnerId, Status: types.NetworkInterfaceStatusInUse, Attachment: eni.Attachment,
		}, exportedOnly)
		assert.Assert(t, eni.Attachment.AttachmentId != nil)
	}
}

// TestTerminatingAStoppedInstance: the answer says that it is terminated, but it goes
// on to show as stopped, without its network.
func TestTerminatingAStoppedInstance(t *testing.T) {
	options := unthrottled()
	options.Timings.TerminateStopped = fixed(10 * time.Second)
	w := newWorld(t, options)
	subnetID := w.subnet("10.0.0.0/24")
	instance := w.run(subnetID, types.InstanceTypeM5Large)
	id, ids := *instance.InstanceId, []string{*instance.InstanceId}
	loose := w.eni(subnetID)
	w.describeInstance(id)
	must(w.StopInstances(w.ctx(), &ec2.StopInstancesInput{InstanceIds: ids}))
	assert.Equal(t, *w.describeInstance(id).SubnetId, subnetID)
	for range 2 {
		answer := must(w.TerminateInstances(w.ctx(), &ec2.TerminateInstancesInput{InstanceIds: ids})).TerminatingInstances[0]
		assert.Equal(t, answer.CurrentState.Name, types.InstanceStateNameTerminated)
	}

	shown := w.describeInstance(id)
	assert.Equal(t, shown.State.Name, types.InstanceStateNameStopped)
	assertWithoutNetwork(t, shown, 1)
	assert.Equal(t, len(must(w.DescribeInstances(w.ctx(), &ec2.DescribeInstancesInput{
		Filters: []types.Filter{by("vpc-id", *instance.VpcId)},
	})).Reservations), 0)
	_, err := w.StartInstances(w.ctx(), &ec2.StartInstancesInput{InstanceIds: ids})
	assertAPIError(t, err, "IncorrectInstanceState", "The instance '"+id+"' is not in a state from which it can be started.")
	device := int32(1)
	_, err = w.AttachNetworkInterface(w.ctx(), &ec2.AttachNetworkInterfaceInput{NetworkInterfaceId: &loose, InstanceId: &id, DeviceIndex: &device})
	assertAPIError(t, err, "IncorrectState", "Instance '"+id+"' is not 'running' or 'stopped'.")

	w.clock.Step(5 * time.Second)
	shown = w.describeInstance(id)
	assert.Equal(t, shown.State.Name, types.InstanceStateNameShuttingDown)
	assertWithoutNetwork(t, shown, 0)
	w.clock.Step(5 * time.Second)
	shown = w.describeInstance(id)
	assert.Equal(t, shown.State.Name, types.InstanceStateNameTerminated)
	assertWithoutNetwork(t, shown, 0)
	assert.Equal(t, w.free(subnetID), int32(250))
}

// TestTerminatingARunningInstance: it shows its network for a while, then its ENIs
// detach.
func TestTerminatingARunningInstance(t *testing.T) {
	options := unthrottled()
	options.Timings = emulator.Timings{TerminateInstance: fixed(30 * time.Second)}
	w := newWorld(t, options)
	subnetID := w.subnet("10.0.0.0/24")
	id := *w.run(subnetID, types.InstanceTypeM5Large).InstanceId
	w.describeInstance(id)
	answer := must(w.TerminateInstances(w.ctx(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})).TerminatingInstances[0]
	assert.Equal(t, answer.CurrentState.Name, types.InstanceStateNameShuttingDown)
	w.clock.Step(20*time.Second - 1)
	shown := w.describeInstance(id)
	assert.Equal(t, *shown.SubnetId, subnetID)
	assert.Equal(t, len(shown.SecurityGroups), 1)
	assert.Equal(t, *shown.NetworkInterfaces[0].SubnetId, subnetID)
	w.clock.Step(1)
	shown = w.describeInstance(id)
	assert.Equal(t, shown.State.Name, types.InstanceStateNameShuttingDown)
	assertWithoutNetwork(t, shown, 1)
	assert.Equal(t, shown.NetworkInterfaces[0].Attachment.Status, types.AttachmentStatusDetaching)
	w.clock.Step(10 * time.Second)
	assert.Equal(t, w.describeInstance(id).State.Name, types.InstanceStateNameTerminated)
}
