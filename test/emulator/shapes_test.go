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
	assert.Assert(t, out.NetworkInterface.PublicDnsName == nil)
	assert.Equal(t, *w.describe(*out.NetworkInterface.NetworkInterfaceId).PublicDnsName, "")
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

// TestMembersOfAnInstance asserts that each member is there which EC2 shows of every
// instance.
func TestMembersOfAnInstance(t *testing.T) {
	w := newWorld(t, unthrottled())
	id := *w.run(w.subnet("10.0.0.0/24"), types.InstanceTypeM5Large).InstanceId
	i := w.describeInstance(id)
	for _, test := range []struct {
		member  string
		present bool
	}{
		{"blockDeviceMapping", i.BlockDeviceMappings != nil},
		{"capacityReservationSpecification", i.CapacityReservationSpecification.CapacityReservationPreference == "open"},
		{"currentInstanceBootMode", i.CurrentInstanceBootMode == "uefi"},
		{"enclaveOptions", !*i.EnclaveOptions.Enabled},
		{"hibernationOptions", !*i.HibernationOptions.Configured},
		{"hypervisor", i.Hypervisor == "xen"},
		{"maintenanceOptions", i.MaintenanceOptions.AutoRecovery == "default" && i.MaintenanceOptions.RebootMigration == "default"},
		{"metadataOptions", i.MetadataOptions.State == "applied"},
		{"networkPerformanceOptions", i.NetworkPerformanceOptions.BandwidthWeighting == "default"},
		{"operator", !*i.Operator.Managed && !*i.Operator.HiddenByDefault},
		{"placement.groupName", *i.Placement.GroupName == ""},
		{"platformDetails", *i.PlatformDetails == "Linux/UNIX"},
		{"privateDnsNameOptions", i.PrivateDnsNameOptions.HostnameType == "ip-name"},
		{"productCodes", i.ProductCodes != nil},
		{"rootDeviceName", *i.RootDeviceName == "/dev/xvda"},
		{"rootDeviceType", i.RootDeviceType == "ebs"},
		{"secondaryInterfaceSet", i.SecondaryInterfaces != nil},
		{"sourceDestCheck", *i.SourceDestCheck},
		{"usageOperation", *i.UsageOperation == "RunInstances"},
		{"usageOperationUpdateTime", i.UsageOperationUpdateTime.Equal(*i.LaunchTime)},
	} {
		t.Run(test.member, func(t *testing.T) { assert.Assert(t, test.present) })
	}
	must(w.TerminateInstances(w.ctx(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))
	assert.Assert(t, w.describeInstance(id).SourceDestCheck == nil)
}

// TestProcessorsOfAnInstance shows those that were asked for.
func TestProcessorsOfAnInstance(t *testing.T) {
	w := newWorld(t, unthrottled())
	plain, err := w.launchWith(ec2.RunInstancesInput{})
	assert.NilError(t, err)
	assert.Assert(t, plain.CpuOptions == nil)
	special, err := w.launchWith(ec2.RunInstancesInput{CpuOptions: &types.CpuOptionsRequest{CoreCount: aws.Int32(2), ThreadsPerCore: aws.Int32(1)}})
	assert.NilError(t, err)
	assert.Equal(t, *special.CpuOptions.CoreCount, int32(2))
	assert.Equal(t, *special.CpuOptions.ThreadsPerCore, int32(1))
}
