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

// TestShapeOfAnENI: an ENI names who asked for it, does not echo the token, and has DNS
// names in the default VPC only.
func TestShapeOfAnENI(t *testing.T) {
	w := newWorld(t, unthrottled())
	out := must(w.CreateNetworkInterface(w.ctx(), &ec2.CreateNetworkInterfaceInput{
		SubnetId: aws.String(w.subnet("10.0.0.0/24")), SecondaryPrivateIpAddressCount: aws.Int32(1), ClientToken: aws.String("t"),
	}))
	assert.Assert(t, out.ClientToken == nil)
	assert.Equal(t, *out.NetworkInterface.RequesterId, "AIDAAKIDTEST")
	assert.Assert(t, out.NetworkInterface.PrivateDnsName == nil)
	assert.Assert(t, out.NetworkInterface.PrivateIpAddresses[0].PrivateDnsName == nil)
	assert.Equal(t, *out.NetworkInterface.PrivateIpAddresses[1].PrivateDnsName, "")

	subnets := must(w.DescribeSubnets(w.ctx(), &ec2.DescribeSubnetsInput{Filters: []types.Filter{by("default-for-az", "true")}})).Subnets
	named := w.create(&ec2.CreateNetworkInterfaceInput{SubnetId: subnets[0].SubnetId})
	assert.Assert(t, *named.PrivateDnsName != "")
	assert.Equal(t, *named.PrivateIpAddresses[0].PrivateDnsName, *named.PrivateDnsName)
	assert.Equal(t, len(w.find(by("requester-id", "AIDAAKIDTEST"))), 2)
}

// TestShapesOfNetworks looks at what Create and Describe show differently.
func TestShapesOfNetworks(t *testing.T) {
	w := newWorld(t, unthrottled())
	vpc := must(w.CreateVpc(w.ctx(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})).Vpc
	assert.Assert(t, vpc.Ipv6CidrBlockAssociationSet != nil)
	described := must(w.DescribeVpcs(w.ctx(), &ec2.DescribeVpcsInput{VpcIds: []string{*vpc.VpcId}})).Vpcs[0]
	assert.Equal(t, described.BlockPublicAccessStates.InternetGatewayBlockMode, types.BlockPublicAccessModeOff)
	subnet := must(w.CreateSubnet(w.ctx(), &ec2.CreateSubnetInput{VpcId: vpc.VpcId, CidrBlock: aws.String("10.0.0.0/24")})).Subnet
	assert.Equal(t, *subnet.MapCustomerOwnedIpOnLaunch, false)
	assert.Equal(t, subnet.PrivateDnsNameOptionsOnLaunch.HostnameType, types.HostnameTypeIpName)
	assert.Assert(t, subnet.BlockPublicAccessStates == nil)
	subnets := must(w.DescribeSubnets(w.ctx(), &ec2.DescribeSubnetsInput{SubnetIds: []string{*subnet.SubnetId}})).Subnets
	assert.Equal(t, subnets[0].BlockPublicAccessStates.InternetGatewayBlockMode, types.BlockPublicAccessModeOff)

	group := must(w.DescribeSecurityGroups(w.ctx(), &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{by("vpc-id", *vpc.VpcId)}})).SecurityGroups[0]
	assert.Equal(t, *group.IpPermissions[0].UserIdGroupPairs[0].GroupId, *group.GroupId)
	assert.Assert(t, group.IpPermissionsEgress[0].Ipv6Ranges != nil)
}

// TestShapeOfAnInstance launches with parameters that have no part in the network.
func TestShapeOfAnInstance(t *testing.T) {
	w := newWorld(t, unthrottled())
	out := must(w.RunInstances(w.ctx(), &ec2.RunInstancesInput{
		ImageId: aws.String(image), MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		MetadataOptions:     &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateRequired},
		IamInstanceProfile:  &types.IamInstanceProfileSpecification{Name: aws.String("node")},
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(20)}}},
		UserData:            aws.String("eA=="),
	}))
	i := out.Instances[0]
	assert.Equal(t, *i.SourceDestCheck, true)
	assert.Equal(t, i.MetadataOptions.HttpTokens, types.HttpTokensStateRequired)
	assert.Equal(t, i.RootDeviceType, types.DeviceTypeEbs)
	must(w.TerminateInstances(w.ctx(), &ec2.TerminateInstancesInput{InstanceIds: []string{*i.InstanceId}}))
	assert.Assert(t, w.describeInstance(*i.InstanceId).SourceDestCheck == nil)
}
