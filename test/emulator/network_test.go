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

// group creates a security group in a VPC.
func (w *world) group(vpcID, name string) string {
	w.t.Helper()
	return *must(w.CreateSecurityGroup(w.ctx(), &ec2.CreateSecurityGroupInput{
		VpcId: &vpcID, GroupName: &name, Description: aws.String("for a test"),
	})).GroupId
}

func TestModifyingAnENI(t *testing.T) {
	w := newWorld(t, unthrottled())
	id := w.eni(w.subnet("10.0.0.0/24"))
	vpcID := *w.describe(id).VpcId
	one, two := w.group(vpcID, "one"), w.group(vpcID, "two")
	modify := func(input ec2.ModifyNetworkInterfaceAttributeInput) {
		t.Helper()
		input.NetworkInterfaceId = &id
		must(w.ModifyNetworkInterfaceAttribute(w.ctx(), &input))
	}
	groups := func() []string {
		var names []string
		for _, group := range w.describe(id).Groups {
			names = append(names, *group.GroupName)
		}
		return names
	}
	assert.DeepEqual(t, groups(), []string{"default"})
	modify(ec2.ModifyNetworkInterfaceAttributeInput{Groups: []string{one, two}})
	assert.DeepEqual(t, groups(), []string{"one", "two"})
	modify(ec2.ModifyNetworkInterfaceAttributeInput{Groups: []string{two}})
	assert.DeepEqual(t, groups(), []string{"two"})
	assert.Equal(t, len(w.find(by("group-id", two))), 1)
	assert.Equal(t, len(w.find(by("group-name", "one"))), 0)

	modify(ec2.ModifyNetworkInterfaceAttributeInput{Description: &types.AttributeValue{Value: aws.String("new")}})
	modify(ec2.ModifyNetworkInterfaceAttributeInput{SourceDestCheck: &types.AttributeBooleanValue{Value: aws.Bool(false)}})
	assert.Equal(t, *w.describe(id).Description, "new")
	assert.Equal(t, *w.describe(id).SourceDestCheck, false)

	attribute := func(name types.NetworkInterfaceAttribute) *ec2.DescribeNetworkInterfaceAttributeOutput {
		t.Helper()
		return must(w.DescribeNetworkInterfaceAttribute(w.ctx(), &ec2.DescribeNetworkInterfaceAttributeInput{
			NetworkInterfaceId: &id, Attribute: name,
		}))
	}
	assert.Equal(t, *attribute("description").Description.Value, "new")
	assert.Equal(t, *attribute("sourceDestCheck").SourceDestCheck.Value, false)
	assert.Equal(t, *attribute("groupSet").Groups[0].GroupId, two)
	assert.Assert(t, attribute("attachment").Attachment == nil)
}

func TestNetworksAreTakenDownFromInsideOut(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	vpcID := *must(w.DescribeSubnets(w.ctx(), &ec2.DescribeSubnetsInput{SubnetIds: []string{subnetID}})).Subnets[0].VpcId
	groupID := w.group(vpcID, "one")
	id := *w.create(&ec2.CreateNetworkInterfaceInput{SubnetId: &subnetID, Groups: []string{groupID}}).NetworkInterfaceId
	deleteGroup := func() error {
		_, err := w.DeleteSecurityGroup(w.ctx(), &ec2.DeleteSecurityGroupInput{GroupId: &groupID})
		return err
	}
	deleteVPC := func() error {
		_, err := w.DeleteVpc(w.ctx(), &ec2.DeleteVpcInput{VpcId: &vpcID})
		return err
	}
	assertAPIError(t, deleteGroup(), "DependencyViolation", "resource "+groupID+" has a dependent object")
	assertAPIError(t, deleteVPC(), "DependencyViolation", "The vpc '"+vpcID+"' has dependencies and cannot be deleted.")
	must(w.DeleteNetworkInterface(w.ctx(), &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &id}))
	must(w.DeleteSubnet(w.ctx(), &ec2.DeleteSubnetInput{SubnetId: &subnetID}))
	assert.NilError(t, deleteGroup())
	assert.NilError(t, deleteVPC())
	assertAPIError(t, deleteVPC(), "InvalidVpcID.NotFound", "The vpc ID '"+vpcID+"' does not exist")
	assert.Equal(t, len(must(w.DescribeSecurityGroups(w.ctx(), &ec2.DescribeSecurityGroupsInput{
		Filters: []types.Filter{by("vpc-id", vpcID)},
	})).SecurityGroups), 0)
}

func TestSubnetRanges(t *testing.T) {
	for _, test := range []struct {
		name, cidr, zone string
		code, message    string
	}{
		{name: "inside", cidr: "10.0.1.0/24"},
		{name: "with host bits", cidr: "10.0.1.7/24"},
		{name: "in a zone", cidr: "10.0.1.0/24", zone: "us-east-1c"},
		{name: "outside", cidr: "10.1.0.0/24", code: "InvalidSubnet.Range", message: "The CIDR '10.1.0.0/24' is invalid."},
		{name: "too small", cidr: "10.0.1.0/29", code: "InvalidSubnet.Range", message: "The CIDR '10.0.1.0/29' is invalid."},
		{name: "larger than its VPC", cidr: "10.0.0.0/15", code: "InvalidSubnet.Range", message: "The CIDR '10.0.0.0/15' is invalid."},
		{name: "overlapping", cidr: "10.0.0.0/20", code: "InvalidSubnet.Conflict", message: "The CIDR '10.0.0.0/20' conflicts with another subnet"},
		{
			name: "no block", cidr: "ten", code: "InvalidParameterValue",
			message: "Value (ten) for parameter cidrBlock is invalid. This is not a valid CIDR block.",
		},
		{
			name: "in no zone", cidr: "10.0.1.0/24", zone: "us-east-1z", code: "InvalidParameterValue",
			message: "Value (us-east-1z) for parameter availabilityZone is invalid. " +
				"Subnets can currently only be created in the following availability zones: " +
				"us-east-1a, us-east-1b, us-east-1c, us-east-1d, us-east-1e, us-east-1f.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, unthrottled())
			vpcID := must(w.CreateVpc(w.ctx(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})).Vpc.VpcId
			must(w.CreateSubnet(w.ctx(), &ec2.CreateSubnetInput{VpcId: vpcID, CidrBlock: aws.String("10.0.0.0/24")}))
			input := &ec2.CreateSubnetInput{VpcId: vpcID, CidrBlock: &test.cidr}
			if test.zone != "" {
				input.AvailabilityZone = &test.zone
			}
			created, err := w.CreateSubnet(w.ctx(), input)
			if test.code != "" {
				assertAPIError(t, err, test.code, test.message)
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, *created.Subnet.CidrBlock, "10.0.1.0/24")
			assert.Equal(t, *created.Subnet.AvailableIpAddressCount, int32(251))
			if test.zone != "" {
				assert.Equal(t, *created.Subnet.AvailabilityZone, test.zone)
			}
		})
	}
}

func TestInstanceFilters(t *testing.T) {
	w := newWorld(t, inOrder())
	subnetID := w.subnet("10.0.0.0/24")
	small, large := w.run(subnetID, types.InstanceTypeT4gSmall), w.run(subnetID, types.InstanceTypeM5Large)
	id := w.create(&ec2.CreateNetworkInterfaceInput{SubnetId: &subnetID, Ipv4PrefixCount: aws.Int32(1)}).NetworkInterfaceId
	w.attach(*id, *large.InstanceId, 1)
	for _, test := range []struct {
		filter types.Filter
		want   []string
	}{
		{by("instance-type", "t4g.*"), []string{*small.InstanceId}},
		{by("architecture", "x86_64"), []string{*large.InstanceId}},
		{by("private-ip-address", *large.PrivateIpAddress), []string{*large.InstanceId}},
		{by("private-dns-name", *small.PrivateDnsName), []string{*small.InstanceId}},
		{by("instance-state-name", "running"), []string{*small.InstanceId, *large.InstanceId}},
		{by("instance-state-code", "48"), nil},
		{by("instance.group-name", "default"), []string{*small.InstanceId, *large.InstanceId}},
		{by("network-interface.network-interface-id", *id), []string{*large.InstanceId}},
		{by("network-interface.ipv4-prefixes.ipv4-prefix", "10.0.0.16/28"), []string{*large.InstanceId}},
		{by("network-interface.attachment.device-index", "1"), []string{*large.InstanceId}},
		{by("network-interface.association.public-ip", "*"), nil},
		{by("monitoring-state", "enabled"), nil},
	} {
		t.Run(*test.filter.Name, func(t *testing.T) {
			var found []string
			for _, reservation := range must(w.DescribeInstances(w.ctx(), &ec2.DescribeInstancesInput{Filters: []types.Filter{test.filter}})).Reservations {
				for _, instance := range reservation.Instances {
					found = append(found, *instance.InstanceId)
				}
			}
			assert.DeepEqual(t, found, test.want)
		})
	}
}
