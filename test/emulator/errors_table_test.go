/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// errorTest is a call that must fail.
type errorTest struct {
	name      string
	call      func(*stage) error
	code      string
	message   string
	messageOf func(*stage) string // in place of message, where ids are in it
	// prepares tells that the call has to change the scene before it fails.
	prepares bool
}

const invalidDescription = "Invalid interface description. " +
	"Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"

var errorTests = []errorTest{
	{
		name: "describing an unknown ENI",
		call: func(s *stage) error {
			return s.tryDescribe(ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{s.loose, noENI}})
		},
		code:    "InvalidNetworkInterfaceID.NotFound",
		message: "The networkInterface ID '" + noENI + "' does not exist",
	},
	{
		name: "describing a malformed ENI id",
		call: func(s *stage) error {
			return s.tryDescribe(ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{"x"}})
		},
		code:    "InvalidNetworkInterfaceId.Malformed",
		message: `Invalid id: "x" (expecting "eni-...")`,
	},
	{
		name:      "deleting an attached ENI",
		call:      func(s *stage) error { return s.tryDelete(s.attached) },
		code:      "InvalidParameterValue",
		messageOf: func(s *stage) string { return "Network interface '" + s.attached + "' is currently in use." },
	},
	{
		name: "attaching at a taken device index",
		call: func(s *stage) error { return s.tryAttach(s.loose, s.instance, 1) },
		code: "InvalidParameterValue",
		messageOf: func(s *stage) string {
			return "Instance '" + s.instance + "' already has an interface attached at device index '1'."
		},
	},
	{
		name:      "attaching what is attached",
		call:      func(s *stage) error { return s.tryAttach(s.attached, s.instance, 2) },
		code:      "InvalidNetworkInterface.InUse",
		messageOf: func(s *stage) string { return "Interface: [" + s.attached + "] in use." },
	},
	{
		name: "attaching more ENIs than the type has",
		call: func(s *stage) error {
			s.attach(s.loose, s.instance, 2)
			assertDeleted(s, s.looseInOtherZone)
			return s.tryAttach(s.eni(s.subnet), s.instance, 3)
		},
		code:     "AttachmentLimitExceeded",
		message:  "Interface count 4 exceeds the limit for t3.medium",
		prepares: true,
	},
	{
		name:    "attaching across zones",
		call:    func(s *stage) error { return s.tryAttach(s.looseInOtherZone, s.instance, 2) },
		code:    "InvalidParameterCombination",
		message: "You may not attach a network interface to an instance if they are not in the same availability zone",
	},
	{
		name: "attaching to a terminated instance",
		call: func(s *stage) error {
			must(s.TerminateInstances(s.ctx(), &ec2.TerminateInstancesInput{InstanceIds: []string{s.instance}}))
			return s.tryAttach(s.loose, s.instance, 2)
		},
		code:      "IncorrectState",
		messageOf: func(s *stage) string { return "Instance '" + s.instance + "' is not 'running' or 'stopped'." },
		prepares:  true,
	},
	{
		name:    "attaching to an unknown instance",
		call:    func(s *stage) error { return s.tryAttach(s.loose, noInstance, 2) },
		code:    "InvalidInstanceID.NotFound",
		message: "The instance ID '" + noInstance + "' does not exist",
	},
	{
		name:    "attaching an unknown ENI",
		call:    func(s *stage) error { return s.tryAttach(noENI, s.instance, 2) },
		code:    "InvalidNetworkInterfaceID.NotFound",
		message: "The networkInterface ID '" + noENI + "' does not exist",
	},
	{
		name:    "detaching an unknown attachment",
		call:    func(s *stage) error { return s.tryDetach(noAttachment) },
		code:    "InvalidAttachmentID.NotFound",
		message: "The interface attachment '" + noAttachment + "' does not exist.",
	},
	{
		name:    "detaching the primary ENI",
		call:    func(s *stage) error { return s.tryDetach(s.primaryAttachment) },
		code:    "OperationNotPermitted",
		message: "The network interface at device index 0 and networkCard index 0 cannot be detached.",
	},
	{
		name: "creating in an unknown subnet",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{SubnetId: aws.String(noSubnet)})
		},
		code:    "InvalidSubnetID.NotFound",
		message: "The subnet ID '" + noSubnet + "' does not exist",
	},
	{
		name:    "creating with an unknown security group",
		call:    func(s *stage) error { return s.tryCreate(ec2.CreateNetworkInterfaceInput{Groups: []string{noGroup}}) },
		code:    "InvalidGroup.NotFound",
		message: "The security group '" + noGroup + "' does not exist",
	},
	{
		name: "creating with too many security groups",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{Groups: []string{noGroup, noGroup, noGroup, noGroup, noGroup, noGroup}})
		},
		code:    "SecurityGroupsPerInterfaceLimitExceeded",
		message: "The maximum number of security groups per interface has been reached.",
	},
	{
		name:     "creating more ENIs than the zone's quota",
		call:     func(s *stage) error { s.eni(s.subnet); return s.tryCreate(ec2.CreateNetworkInterfaceInput{}) },
		code:     "NetworkInterfaceLimitExceeded",
		message:  "The maximum number of network interfaces has been reached.",
		prepares: true,
	},
	{
		name: "creating with a reserved tag key",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{TagSpecifications: tagged(tag("aws:x", ""))})
		},
		code:    "InvalidParameterValue",
		message: "Tag keys starting with 'aws:' are reserved for internal use",
	},
	{
		name: "creating with tags for another resource type",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance}}})
		},
		code:    "InvalidParameterValue",
		message: "'instance' is not a valid taggable resource type for this operation.",
	},
	{
		name: "creating with a description that EC2 does not take",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{Description: aws.String("the node's")})
		},
		code: "InvalidParameterValue", message: invalidDescription,
	},
	{
		name: "creating with a description that is too long",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{Description: aws.String(strings.Repeat("x", 256))})
		},
		code: "InvalidParameterValue", message: invalidDescription,
	},
	{
		name: "modifying to a description that EC2 does not take",
		call: func(s *stage) error {
			return s.tryModify(ec2.ModifyNetworkInterfaceAttributeInput{Description: &types.AttributeValue{Value: aws.String("100 %")}})
		},
		code: "InvalidParameterValue", message: invalidDescription,
	},
	{
		name: "creating with a group of another VPC",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{Groups: []string{s.foreignGroup}})
		},
		code: "InvalidParameterValue",
		messageOf: func(s *stage) string {
			return "Security group " + s.foreignGroup + " and subnet " + s.subnet + " belong to different networks."
		},
	},
	{
		name: "modifying to a group of another VPC",
		call: func(s *stage) error {
			return s.tryModify(ec2.ModifyNetworkInterfaceAttributeInput{Groups: []string{s.foreignGroup}})
		},
		code: "InvalidGroup.NotFound", message: "You have specified two resources that belong to different networks.",
	},
	{
		name: "running with a group of another VPC",
		call: func(s *stage) error {
			_, err := s.RunInstances(s.ctx(), &ec2.RunInstancesInput{
				ImageId: aws.String(image), MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: &s.subnet, SecurityGroupIds: []string{s.foreignGroup},
			})
			return err
		},
		code: "InvalidParameter",
		messageOf: func(s *stage) string {
			return "Security group " + s.foreignGroup + " and subnet " + s.subnet + " belong to different networks."
		},
	},
	{
		name:    "modifying nothing",
		call:    func(s *stage) error { return s.tryModify(ec2.ModifyNetworkInterfaceAttributeInput{}) },
		code:    "InvalidParameterCombination",
		message: "No attributes specified.",
	},
	{
		name: "modifying two attributes",
		call: func(s *stage) error {
			return s.tryModify(ec2.ModifyNetworkInterfaceAttributeInput{
				Description:     &types.AttributeValue{Value: aws.String("x")},
				SourceDestCheck: &types.AttributeBooleanValue{Value: aws.Bool(false)},
			})
		},
		code:    "InvalidParameterCombination",
		message: "Fields for multiple attribute types specified: sourceDestCheck, description",
	},
	{
		name: "modifying the attachment of another ENI",
		call: func(s *stage) error {
			return s.tryModify(ec2.ModifyNetworkInterfaceAttributeInput{
				NetworkInterfaceId: &s.loose,
				Attachment:         &types.NetworkInterfaceAttachmentChanges{AttachmentId: &s.attachment, DeleteOnTermination: aws.Bool(true)},
			})
		},
		code:      "InvalidAttachmentID.NotFound",
		messageOf: func(s *stage) string { return "The interface attachment '" + s.attachment + "' does not exist." },
	},
	{
		name: "tagging an unknown ENI",
		call: func(s *stage) error { return s.tryTag(noENI, tag("a", "b")) },
		code: "InvalidNetworkInterfaceID.NotFound", message: "The networkInterface ID '" + noENI + "' does not exist",
	},
	{
		name: "tagging what has no kind",
		call: func(s *stage) error { return s.tryTag("thing-1", tag("a", "b")) },
		code: "InvalidID", message: "The ID 'thing-1' is not valid",
	},
	{
		name: "tagging with a long key",
		call: func(s *stage) error { return s.tryTag(s.loose, tag(strings.Repeat("k", 129), "")) },
		code: "InvalidParameterValue", message: "Tag key exceeds the maximum length of 128 characters",
	},
	{
		name: "tagging with a long value",
		call: func(s *stage) error { return s.tryTag(s.loose, tag("k", strings.Repeat("v", 257))) },
		code: "InvalidParameterValue", message: "Tag value exceeds the maximum length of 256 characters",
	},
	{
		name: "tagging more than the quota",
		call: func(s *stage) error { return s.tryTag(s.loose, manyTags(51)...) },
		code: "TagLimitExceeded", message: "The maximum number of Tags for a resource has been reached.",
	},
	{
		name: "describing by an unknown filter",
		call: func(s *stage) error {
			return s.tryDescribe(ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{by("colour", "blue")}})
		},
		code: "InvalidParameterValue", message: "The filter 'colour' is invalid",
	},
	{
		name: "describing by too many filter values",
		call: func(s *stage) error {
			return s.tryDescribe(ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{by("network-interface-id", make([]string, 201)...)}})
		},
		code: "FilterLimitExceeded", message: "The maximum number of filter values specified on a single call is 200",
	},
	{
		name: "describing ids in pages",
		call: func(s *stage) error {
			return s.tryDescribe(ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{s.loose}, MaxResults: aws.Int32(5)})
		},
		code: "InvalidParameterCombination", message: "The parameter NetworkInterfaceIds cannot be used with the parameter MaxResults",
	},
	{
		name: "describing in pages that are too small",
		call: func(s *stage) error {
			return s.tryDescribe(ec2.DescribeNetworkInterfacesInput{MaxResults: aws.Int32(4)})
		},
		code: "InvalidParameterValue", message: "Value ( 4 ) for parameter maxResults is invalid. Expecting a value greater than 5.",
	},
	{
		name: "describing in pages that are too large",
		call: func(s *stage) error {
			return s.tryDescribe(ec2.DescribeNetworkInterfacesInput{MaxResults: aws.Int32(1001)})
		},
		code: "InvalidParameterValue", message: "Value ( 1001 ) for parameter maxResults is invalid. Expecting a value less than or equal to 1000.",
	},
	{
		name: "describing with a token of nowhere",
		call: func(s *stage) error {
			return s.tryDescribe(ec2.DescribeNetworkInterfacesInput{NextToken: aws.String("x")})
		},
		code: "InvalidParameterValue", message: "Value ( x ) for parameter NextToken is invalid. The token is invalid.",
	},
	{
		name: "describing an unknown instance type",
		call: func(s *stage) error {
			_, err := s.DescribeInstanceTypes(s.ctx(), &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"m5.large", "x"}})
			return err
		},
		code: "InvalidInstanceType", message: "The following supplied instance types do not exist: [x]",
	},
	{
		name: "describing unknown instances",
		call: func(s *stage) error {
			_, err := s.DescribeInstances(s.ctx(), &ec2.DescribeInstancesInput{InstanceIds: []string{noInstance, s.instance, "i-00000000"}})
			return err
		},
		code: "InvalidInstanceID.NotFound", message: "The instance IDs '" + noInstance + ", i-00000000' do not exist",
	},
	{
		name: "deleting a subnet in use",
		call: func(s *stage) error {
			_, err := s.DeleteSubnet(s.ctx(), &ec2.DeleteSubnetInput{SubnetId: &s.subnet})
			return err
		},
		code:      "DependencyViolation",
		messageOf: func(s *stage) string { return "The subnet '" + s.subnet + "' has dependencies and cannot be deleted." },
	},
	{
		name: "a dry run",
		call: func(s *stage) error { return s.tryCreate(ec2.CreateNetworkInterfaceInput{DryRun: aws.Bool(true)}) },
		code: "DryRunOperation", message: "Request would have succeeded, but DryRun flag is set.",
	},
	{
		name: "a dry run of a call that would fail",
		call: func(s *stage) error {
			_, err := s.DeleteNetworkInterface(s.ctx(), &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &s.attached, DryRun: aws.Bool(true)})
			return err
		},
		code:    "DryRunOperation",
		message: "Request would have succeeded, but DryRun flag is set.",
	},
	{
		name:    "detaching a malformed attachment id",
		call:    func(s *stage) error { return s.tryDetach("x") },
		code:    "InvalidNetworkInterfaceAttachmentId.Malformed",
		message: `Invalid id: "x" (expecting "eni-attach-...")`,
	},
	{
		name: "creating with an empty list of tags",
		call: func(s *stage) error { return s.tryCreate(ec2.CreateNetworkInterfaceInput{TagSpecifications: tagged()}) },
		code: "InvalidParameter", message: "Tag specification must have at least one tag",
	},
	{
		name: "modifying an attribute that is not emulated",
		call: func(s *stage) error {
			return s.tryModify(ec2.ModifyNetworkInterfaceAttributeInput{AssociatePublicIpAddress: aws.Bool(true)})
		},
		code: "UnknownParameter", message: "The parameter AssociatePublicIpAddress is not recognized",
	},
	{
		name: "running with an ENI that exists and goes with the instance",
		call: func(s *stage) error {
			return s.tryRunWith(types.InstanceNetworkInterfaceSpecification{
				DeviceIndex: aws.Int32(0), NetworkInterfaceId: &s.loose, DeleteOnTermination: aws.Bool(true),
			})
		},
		code:    "InvalidParameterCombination",
		message: "A network interface may not specify both a network interface ID and delete on termination as true",
	},
	{
		name: "running with tags for ENIs of which none is new",
		call: func(s *stage) error {
			return s.tryRunWith(types.InstanceNetworkInterfaceSpecification{DeviceIndex: aws.Int32(0), NetworkInterfaceId: &s.loose})
		},
		code:    "InvalidParameterValue",
		message: "You cannot specify tags for network interfaces if there are no network interfaces being created by the request",
	},
	{
		name: "stopping a terminated instance",
		call: func(s *stage) error {
			must(s.TerminateInstances(s.ctx(), &ec2.TerminateInstancesInput{InstanceIds: []string{s.instance}}))
			s.describeInstance(s.instance)
			_, err := s.StopInstances(s.ctx(), &ec2.StopInstancesInput{InstanceIds: []string{s.instance}})
			return err
		},
		code: "IncorrectInstanceState",
		messageOf: func(s *stage) string {
			return "This instance '" + s.instance + "' is not in a state from which it can be stopped."
		},
		prepares: true,
	},
	{
		name: "an action that is not emulated",
		call: func(s *stage) error {
			_, err := s.DescribeImages(s.ctx(), &ec2.DescribeImagesInput{})
			return err
		},
		code: "InvalidAction", message: "The action DescribeImages is not valid for this web service.",
	},
}

func assertDeleted(s *stage, eniID string) {
	s.t.Helper()
	if err := s.tryDelete(eniID); err != nil {
		s.t.Fatal(err)
	}
}

func tagged(tags ...types.Tag) []types.TagSpecification {
	return []types.TagSpecification{{ResourceType: types.ResourceTypeNetworkInterface, Tags: tags}}
}

func manyTags(count int) []types.Tag {
	var tags []types.Tag
	for n := range count {
		tags = append(tags, tag("k"+strings.Repeat("x", n), ""))
	}
	return tags
}

func by(name string, values ...string) types.Filter {
	return types.Filter{Name: &name, Values: values}
}
