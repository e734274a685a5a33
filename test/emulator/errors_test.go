/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// Identifiers that are well-formed and belong to nothing.
const (
	noENI        = "eni-0000000000000dead"
	noInstance   = "i-0000000000000dead"
	noSubnet     = "subnet-0000000000000dead"
	noGroup      = "sg-0000000000000dead"
	noAttachment = "eni-attach-0000000000000dead"
)

// stage is the scene of the error tests: a t3.medium in 10.0.0.0/24 with one
// ENI attached at device index 1, one more ENI, and one in another zone.
type stage struct {
	*world
	subnet, otherSubnet     string
	instance                string
	primaryAttachment       string
	attached, attachment    string
	loose, looseInOtherZone string
	attachedIP, looseIP     string
	primaryIP, foreignGroup string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	options := inOrder()
	options.Limits = emulator.Limits{ENIsPerZone: 4}
	s := &stage{world: newWorld(t, options)}
	vpc := must(s.CreateVpc(s.ctx(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})).Vpc.VpcId
	s.subnet = *must(s.CreateSubnet(s.ctx(), &ec2.CreateSubnetInput{
		VpcId: vpc, CidrBlock: aws.String("10.0.0.0/24"), AvailabilityZone: aws.String("us-east-1a"),
	})).Subnet.SubnetId
	s.otherSubnet = *must(s.CreateSubnet(s.ctx(), &ec2.CreateSubnetInput{
		VpcId: vpc, CidrBlock: aws.String("10.0.1.0/24"), AvailabilityZone: aws.String("us-east-1b"),
	})).Subnet.SubnetId
	instance := s.run(s.subnet, types.InstanceTypeT3Medium)
	s.instance = *instance.InstanceId
	s.primaryIP = *instance.PrivateIpAddress
	other := must(s.CreateVpc(s.ctx(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})).Vpc.VpcId
	s.foreignGroup = s.group(*other, "foreign")
	s.primaryAttachment = *instance.NetworkInterfaces[0].Attachment.AttachmentId
	attached := s.create(&ec2.CreateNetworkInterfaceInput{SubnetId: &s.subnet})
	s.attached, s.attachedIP = *attached.NetworkInterfaceId, *attached.PrivateIpAddress
	s.attachment = s.attach(s.attached, s.instance, 1)
	loose := s.create(&ec2.CreateNetworkInterfaceInput{SubnetId: &s.subnet})
	s.loose, s.looseIP = *loose.NetworkInterfaceId, *loose.PrivateIpAddress
	s.looseInOtherZone = s.eni(s.otherSubnet)
	return s
}

func (s *stage) tryAttach(eniID, instanceID string, device int32) error {
	_, err := s.AttachNetworkInterface(s.ctx(), &ec2.AttachNetworkInterfaceInput{
		NetworkInterfaceId: &eniID, InstanceId: &instanceID, DeviceIndex: &device, NetworkCardIndex: aws.Int32(0),
	})
	return err
}

func (s *stage) tryDetach(attachmentID string) error {
	_, err := s.DetachNetworkInterface(s.ctx(), &ec2.DetachNetworkInterfaceInput{AttachmentId: &attachmentID})
	return err
}

func (s *stage) tryDelete(eniID string) error {
	_, err := s.DeleteNetworkInterface(s.ctx(), &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &eniID})
	return err
}

func (s *stage) tryCreate(input ec2.CreateNetworkInterfaceInput) error {
	if input.SubnetId == nil {
		input.SubnetId = &s.subnet
	}
	_, err := s.CreateNetworkInterface(s.ctx(), &input)
	return err
}

func (s *stage) tryAssign(input ec2.AssignPrivateIpAddressesInput) error {
	if input.NetworkInterfaceId == nil {
		input.NetworkInterfaceId = &s.attached
	}
	_, err := s.AssignPrivateIpAddresses(s.ctx(), &input)
	return err
}

func (s *stage) tryUnassign(addresses ...string) error {
	_, err := s.UnassignPrivateIpAddresses(s.ctx(), &ec2.UnassignPrivateIpAddressesInput{
		NetworkInterfaceId: &s.attached, PrivateIpAddresses: addresses,
	})
	return err
}

func (s *stage) tryModify(input ec2.ModifyNetworkInterfaceAttributeInput) error {
	if input.NetworkInterfaceId == nil {
		input.NetworkInterfaceId = &s.attached
	}
	_, err := s.ModifyNetworkInterfaceAttribute(s.ctx(), &input)
	return err
}

func (s *stage) tryDescribe(input ec2.DescribeNetworkInterfacesInput) error {
	_, err := s.DescribeNetworkInterfaces(s.ctx(), &input)
	return err
}

func (s *stage) tryRunWith(nic types.InstanceNetworkInterfaceSpecification) error {
	_, err := s.RunInstances(s.ctx(), &ec2.RunInstancesInput{
		ImageId: aws.String(image), MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		NetworkInterfaces: []types.InstanceNetworkInterfaceSpecification{nic}, TagSpecifications: tagged(tag("a", "b")),
	})
	return err
}

func (s *stage) tryTag(id string, tags ...types.Tag) error {
	_, err := s.CreateTags(s.ctx(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: tags})
	return err
}

func tag(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }

// TestErrors asserts that every refused call answers with EC2's code and text,
// and changes nothing.
func TestErrors(t *testing.T) {
	for _, test := range slices.Concat(errorTests, addressErrorTests) {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t)
			before := s.snapshot()
			err := test.call(s)
			message := test.message
			if test.messageOf != nil {
				message = test.messageOf(s)
			}
			assertAPIError(t, err, test.code, message)
			if !test.prepares {
				assert.DeepEqual(t, s.snapshot(), before, exportedOnly)
			}
		})
	}
}

// exportedOnly compares the SDK's types by their exported fields.
var exportedOnly = cmp.FilterPath(func(p cmp.Path) bool {
	field, ok := p.Last().(cmp.StructField)
	return ok && field.Name() == "noSmithyDocumentSerde"
}, cmp.Ignore())

// snapshot is all that can be seen of resources.
func (s *stage) snapshot() []any {
	s.t.Helper()
	return []any{
		must(s.DescribeNetworkInterfaces(s.ctx(), &ec2.DescribeNetworkInterfacesInput{})).NetworkInterfaces,
		must(s.DescribeInstances(s.ctx(), &ec2.DescribeInstancesInput{})).Reservations,
		must(s.DescribeSubnets(s.ctx(), &ec2.DescribeSubnetsInput{})).Subnets,
		must(s.DescribeSecurityGroups(s.ctx(), &ec2.DescribeSecurityGroupsInput{})).SecurityGroups,
		must(s.DescribeVpcs(s.ctx(), &ec2.DescribeVpcsInput{})).Vpcs,
	}
}
