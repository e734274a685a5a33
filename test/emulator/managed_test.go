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

const eks = "eks.amazonaws.com"

// TestHiddenENIsTakeTheirPlace asserts that a hidden ENI shows only to requests that
// include managed resources, on both sides of the attachment, and occupies its device
// index all the same.
func TestHiddenENIsTakeTheirPlace(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	instanceID := *w.run(subnetID, types.InstanceTypeM5Large).InstanceId
	id := w.eni(subnetID)
	w.attach(id, instanceID, 1)
	assert.Assert(t, w.server.SetManaged("us-east-1", id, eks, true))

	for _, included := range []bool{false, true} {
		want := 0
		if included {
			want = 1
		}
		found := must(w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{
			Filters: []types.Filter{by("operator.principal", eks)}, IncludeManagedResources: &included,
		})).NetworkInterfaces
		assert.Equal(t, len(found), want)
		instance := must(w.DescribeInstances(w.ctx(), &ec2.DescribeInstancesInput{
			InstanceIds: []string{instanceID}, IncludeManagedResources: &included,
		})).Reservations[0].Instances[0]
		assert.Equal(t, len(instance.NetworkInterfaces), 1+want)
	}
	_, err := w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}})
	assertAPIError(t, err, "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '"+id+"' does not exist")
	other := w.eni(subnetID)
	_, err = w.AttachNetworkInterface(w.ctx(), &ec2.AttachNetworkInterfaceInput{
		NetworkInterfaceId: &other, InstanceId: &instanceID, DeviceIndex: aws.Int32(1),
	})
	assertAPIError(t, err, "InvalidParameterValue", "Instance '"+instanceID+"' already has an interface attached at device index '1'.")

	out := must(w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{
		NetworkInterfaceIds: []string{id}, IncludeManagedResources: aws.Bool(true),
	}))
	assert.DeepEqual(t, out.NetworkInterfaces[0].Operator,
		&types.OperatorResponse{Managed: aws.Bool(true), HiddenByDefault: aws.Bool(true), Principal: aws.String(eks)}, exportedOnly)
	assert.Assert(t, w.server.SetManaged("us-east-1", id, "", false))
	assert.DeepEqual(t, w.describe(id).Operator, &types.OperatorResponse{Managed: aws.Bool(false), HiddenByDefault: aws.Bool(false)}, exportedOnly)
}

func TestHiddenInstances(t *testing.T) {
	w := newWorld(t, unthrottled())
	id := *w.run(w.subnet("10.0.0.0/24"), types.InstanceTypeM5Large).InstanceId
	assert.Assert(t, w.server.SetManaged("us-east-1", id, eks, true))
	assert.Assert(t, !w.server.SetManaged("us-east-1", noInstance, eks, true))
	assert.Equal(t, len(must(w.DescribeInstances(w.ctx(), &ec2.DescribeInstancesInput{})).Reservations), 0)
	_, err := w.DescribeInstances(w.ctx(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	assertAPIError(t, err, "InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
	out := must(w.DescribeInstances(w.ctx(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}, IncludeManagedResources: aws.Bool(true)}))
	assert.Equal(t, *out.Reservations[0].Instances[0].Operator.Principal, eks)
}

// TestCreateAnswersWithoutHiddenByDefault: only Describe answers carry it.
func TestCreateAnswersWithoutHiddenByDefault(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	created := w.create(&ec2.CreateNetworkInterfaceInput{SubnetId: &subnetID})
	assert.DeepEqual(t, created.Operator, &types.OperatorResponse{Managed: aws.Bool(false)}, exportedOnly)
}
