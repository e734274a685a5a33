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

// statusPending is a status that EC2 answers but the SDK does not list.
const statusPending = types.NetworkInterfaceStatus("pending")

// fixed is a span without jitter.
func fixed(d time.Duration) emulator.Span { return emulator.Span{Min: d, Max: d} }

func TestENIPassesThroughItsStates(t *testing.T) {
	options := unthrottled()
	options.Timings = emulator.Timings{
		CreateENI:     fixed(time.Second),
		Attach:        fixed(2 * time.Second),
		Detach:        fixed(3 * time.Second),
		StartInstance: fixed(5 * time.Second),
	}
	w := newWorld(t, options)
	subnetID := w.subnet("10.0.0.0/24")
	instance := w.run(subnetID, types.InstanceTypeM5Large)
	assert.Equal(t, instance.State.Name, types.InstanceStateNamePending)
	w.clock.Step(5 * time.Second)
	assert.Equal(t, w.describeInstance(*instance.InstanceId).State.Name, types.InstanceStateNameRunning)

	created := w.create(&ec2.CreateNetworkInterfaceInput{SubnetId: &subnetID})
	id := *created.NetworkInterfaceId
	assert.Equal(t, created.Status, statusPending)
	w.clock.Step(time.Second - 1)
	assert.Equal(t, w.describe(id).Status, statusPending)
	w.clock.Step(1)
	assert.Equal(t, w.describe(id).Status, types.NetworkInterfaceStatusAvailable)

	attachmentID := w.attach(id, *instance.InstanceId, 1)
	attached := w.describe(id)
	assert.Equal(t, attached.Status, types.NetworkInterfaceStatusInUse)
	assert.Equal(t, attached.Attachment.Status, types.AttachmentStatusAttaching)
	w.clock.Step(2 * time.Second)
	attached = w.describe(id)
	assert.Equal(t, attached.Attachment.Status, types.AttachmentStatusAttached)
	assert.Equal(t, *attached.Attachment.DeleteOnTermination, false)

	_, err := w.DetachNetworkInterface(w.ctx(), &ec2.DetachNetworkInterfaceInput{AttachmentId: &attachmentID, Force: aws.Bool(true)})
	assert.NilError(t, err)
	assert.Equal(t, w.describe(id).Attachment.Status, types.AttachmentStatusDetaching)
	w.clock.Step(3 * time.Second)
	detached := w.describe(id)
	assert.Equal(t, detached.Status, types.NetworkInterfaceStatusAvailable)
	assert.Assert(t, detached.Attachment == nil)

	_, err = w.DeleteNetworkInterface(w.ctx(), &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &id})
	assert.NilError(t, err)
	_, err = w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}})
	assertAPIError(t, err, "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '"+id+"' does not exist")
}
