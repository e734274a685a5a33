/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func fromNetworkInterface(in *types.NetworkInterface) NetworkInterface {
	if in == nil {
		return NetworkInterface{}
	}
	out := NetworkInterface{
		ID:               aws.ToString(in.NetworkInterfaceId),
		MACAddress:       aws.ToString(in.MacAddress),
		VPCID:            aws.ToString(in.VpcId),
		SubnetID:         aws.ToString(in.SubnetId),
		AvailabilityZone: aws.ToString(in.AvailabilityZone),
		Description:      aws.ToString(in.Description),
		PrimaryAddress:   aws.ToString(in.PrivateIpAddress),
		SecurityGroups:   groupIDs(in.Groups),
		Tags:             fromTags(in.TagSet),
		Attachment:       fromAttachment(in.Attachment),
	}
	for _, address := range in.PrivateIpAddresses {
		if !aws.ToBool(address.Primary) {
			out.Addresses = append(out.Addresses, aws.ToString(address.PrivateIpAddress))
		}
	}
	for _, prefix := range in.Ipv4Prefixes {
		out.Prefixes = append(out.Prefixes, aws.ToString(prefix.Ipv4Prefix))
	}
	sorted(out.Addresses)
	sorted(out.Prefixes)
	return out
}

func fromAttachment(in *types.NetworkInterfaceAttachment) *Attachment {
	if in == nil {
		return nil
	}
	return &Attachment{
		ID:         aws.ToString(in.AttachmentId),
		InstanceID: aws.ToString(in.InstanceId),
		Slot: Slot{
			NetworkCardIndex: aws.ToInt32(in.NetworkCardIndex),
			DeviceIndex:      aws.ToInt32(in.DeviceIndex),
		},
		Status:              string(in.Status),
		DeleteOnTermination: aws.ToBool(in.DeleteOnTermination),
	}
}

func fromInstance(in *types.Instance) Instance {
	out := Instance{
		ID:             aws.ToString(in.InstanceId),
		Type:           string(in.InstanceType),
		VPCID:          aws.ToString(in.VpcId),
		SubnetID:       aws.ToString(in.SubnetId),
		SecurityGroups: groupIDs(in.SecurityGroups),
		Interfaces:     make(map[string]Slot, len(in.NetworkInterfaces)),
	}
	if in.State != nil {
		out.State = string(in.State.Name)
	}
	if in.Placement != nil {
		out.AvailabilityZone = aws.ToString(in.Placement.AvailabilityZone)
	}
	for i := range in.NetworkInterfaces {
		eni := &in.NetworkInterfaces[i]
		if eni.Attachment == nil {
			continue
		}
		slot := Slot{
			NetworkCardIndex: aws.ToInt32(eni.Attachment.NetworkCardIndex),
			DeviceIndex:      aws.ToInt32(eni.Attachment.DeviceIndex),
		}
		out.Interfaces[aws.ToString(eni.NetworkInterfaceId)] = slot
		if slot == (Slot{}) {
			out.Primary = fromPrimary(in, eni)
			out.SubnetID = out.Primary.SubnetID
			out.SecurityGroups = out.Primary.SecurityGroups
		}
	}
	return out
}

// fromPrimary takes the primary ENI from what EC2 tells of its instance.
func fromPrimary(instance *types.Instance, in *types.InstanceNetworkInterface) NetworkInterface {
	out := NetworkInterface{
		ID:             aws.ToString(in.NetworkInterfaceId),
		MACAddress:     aws.ToString(in.MacAddress),
		VPCID:          aws.ToString(in.VpcId),
		SubnetID:       aws.ToString(in.SubnetId),
		Description:    aws.ToString(in.Description),
		PrimaryAddress: aws.ToString(in.PrivateIpAddress),
		SecurityGroups: groupIDs(in.Groups),
		Attachment: &Attachment{
			ID:                  aws.ToString(in.Attachment.AttachmentId),
			InstanceID:          aws.ToString(instance.InstanceId),
			Status:              string(in.Attachment.Status),
			DeleteOnTermination: aws.ToBool(in.Attachment.DeleteOnTermination),
		},
	}
	if instance.Placement != nil {
		out.AvailabilityZone = aws.ToString(instance.Placement.AvailabilityZone)
	}
	for _, address := range in.PrivateIpAddresses {
		if !aws.ToBool(address.Primary) {
			out.Addresses = append(out.Addresses, aws.ToString(address.PrivateIpAddress))
		}
	}
	for _, prefix := range in.Ipv4Prefixes {
		out.Prefixes = append(out.Prefixes, aws.ToString(prefix.Ipv4Prefix))
	}
	out.Addresses, out.Prefixes = sorted(out.Addresses), sorted(out.Prefixes)
	return out
}

func fromInstanceType(in *types.InstanceTypeInfo) InstanceType {
	out := InstanceType{
		Name:  string(in.InstanceType),
		Nitro: in.Hypervisor == types.InstanceTypeHypervisorNitro || aws.ToBool(in.BareMetal),
	}
	info := in.NetworkInfo
	if info == nil {
		return out
	}
	out.MaxENIs = aws.ToInt32(info.MaximumNetworkInterfaces)
	out.IPv4PerENI = aws.ToInt32(info.Ipv4AddressesPerInterface)
	for _, card := range info.NetworkCards {
		out.CardENIs = append(out.CardENIs, plainENIs(card))
	}
	if len(out.CardENIs) == 0 {
		out.CardENIs = []int32{out.MaxENIs}
	}
	return out
}

// plainENIs is how many ENIs of the plain type a network card takes: some take EFA-only
// ones alone.
func plainENIs(card types.NetworkCardInfo) int32 {
	if len(card.InterfaceTypes) > 0 && !slices.Contains(card.InterfaceTypes, types.NetworkCardInterfaceTypeInterface) {
		return 0
	}
	return aws.ToInt32(card.MaximumNetworkInterfaces)
}

func fromSubnet(in *types.Subnet) Subnet {
	out := Subnet{
		ID:               aws.ToString(in.SubnetId),
		VPCID:            aws.ToString(in.VpcId),
		AvailabilityZone: aws.ToString(in.AvailabilityZone),
		FreeAddresses:    aws.ToInt32(in.AvailableIpAddressCount),
	}
	// A subnet without an IPv4 CIDR keeps the zero value: callers ask IsValid.
	out.CIDR, _ = netip.ParsePrefix(aws.ToString(in.CidrBlock))
	return out
}

func groupIDs(groups []types.GroupIdentifier) []string {
	ids := make([]string, 0, len(groups))
	for _, group := range groups {
		ids = append(ids, aws.ToString(group.GroupId))
	}
	return sorted(ids)
}

func fromTags(tags []types.Tag) map[string]string {
	out := make(map[string]string, len(tags))
	for _, tag := range tags {
		out[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return out
}

func toTags(tags map[string]string) []types.Tag {
	out := make([]types.Tag, 0, len(tags))
	for key, value := range tags {
		out = append(out, types.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	// EC2 compares the parameters of repeated calls; a fixed order leaves no doubt.
	sortTags(out)
	return out
}

func toFilters(filters []Filter) []types.Filter {
	out := make([]types.Filter, 0, len(filters))
	for _, filter := range filters {
		values := make([]string, 0, len(filter.Values))
		for _, value := range filter.Values {
			values = append(values, escapeFilterValue(value))
		}
		out = append(out, types.Filter{Name: aws.String(filter.Name), Values: values})
	}
	return out
}

// escapeFilterValue takes the meaning of wildcards away from a value: a tag
// value of "a*" is to match itself alone.
var escapeFilterValue = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace
