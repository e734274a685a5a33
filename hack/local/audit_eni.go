package main

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

const addressesPerPrefix = 16 // a /28

// eni compares an ENI's status with the ENI that it names.
func (a *audit) eni(eni *v1alpha1.ElasticNetworkInterface) {
	subject, status := "ENI "+eni.Name, &eni.Status
	actual, exists := a.enis[status.NetworkInterfaceID]
	a.same(subject, "exists in EC2 as "+status.NetworkInterfaceID, true, exists)
	if !exists {
		return
	}
	var groups []string
	for _, group := range actual.Groups {
		groups = append(groups, aws.ToString(group.GroupId))
	}
	a.same(subject, "MAC address", status.MACAddress, aws.ToString(actual.MacAddress))
	a.same(subject, "VPC", status.VPCID, aws.ToString(actual.VpcId))
	a.same(subject, "zone", status.AvailabilityZone, aws.ToString(actual.AvailabilityZone))
	a.same(subject, "subnet", status.SubnetID, aws.ToString(actual.SubnetId))
	a.same(subject, "subnet's CIDR", status.SubnetCIDR, a.ec2.subnetCIDRs[aws.ToString(actual.SubnetId)])
	a.same(subject, "security groups", sorted(status.SecurityGroupIDs), sorted(groups))
	a.addresses(subject, status, actual)
	a.attachment(subject, eni, actual)
	a.tags(subject, eni, actual)
}

func (a *audit) addresses(subject string, status *v1alpha1.ElasticNetworkInterfaceStatus, actual types.NetworkInterface) {
	var prefixes []string
	for _, prefix := range actual.Ipv4Prefixes {
		prefixes = append(prefixes, aws.ToString(prefix.Ipv4Prefix))
	}
	offered := len(secondaries(actual)) + addressesPerPrefix*len(prefixes)
	a.same(subject, "primary address", status.PrimaryAddress, aws.ToString(actual.PrivateIpAddress))
	a.same(subject, "addresses", sorted(status.Addresses), secondaries(actual))
	a.same(subject, "prefixes", sorted(status.Prefixes), sorted(prefixes))
	a.same(subject, "number of addresses", status.AddressCount, int32(offered))
}

// attachment compares the attachment, also with the instance that the pool
// names.
func (a *audit) attachment(subject string, eni *v1alpha1.ElasticNetworkInterface, actual types.NetworkInterface) {
	a.same(subject, "status in EC2", types.NetworkInterfaceStatusInUse, actual.Status)
	if eni.Status.Attachment == nil || actual.Attachment == nil {
		a.same(subject, "attached", eni.Status.Attachment != nil, actual.Attachment != nil)
		return
	}
	a.same(subject, "attachment", *eni.Status.Attachment, v1alpha1.Attachment{
		ID:               aws.ToString(actual.Attachment.AttachmentId),
		InstanceID:       aws.ToString(actual.Attachment.InstanceId),
		DeviceIndex:      aws.ToInt32(actual.Attachment.DeviceIndex),
		NetworkCardIndex: aws.ToInt32(actual.Attachment.NetworkCardIndex),
	})
	ends := eni.Spec.DeletionPolicy != v1alpha1.DeletionPolicyRetain
	a.same(subject, "ends with its instance", ends, aws.ToBool(actual.Attachment.DeleteOnTermination))
	a.same(subject, "attachment's status", types.AttachmentStatusAttached, actual.Attachment.Status)
	for _, pool := range a.kubernetes.on(eni.Spec.NodeName).pools {
		a.same(subject, "the node's instance", pool.Spec.InstanceID, aws.ToString(actual.Attachment.InstanceId))
	}
}

// tags compares the marks of ownership, and the user's own tags.
func (a *audit) tags(subject string, eni *v1alpha1.ElasticNetworkInterface, actual types.NetworkInterface) {
	wanted := map[string]string{
		tagCluster:        clusterName,
		tagClusterUID:     a.clusterUID,
		tagName:           eni.Name,
		tagUID:            string(eni.UID),
		tagNode:           eni.Spec.NodeName,
		tagDeletionPolicy: string(eni.Spec.DeletionPolicy),
		tagNoManage:       "true",
	}
	for key, value := range eni.Spec.Tags {
		wanted[key] = string(value)
	}
	tags := tagsOf(actual.TagSet)
	for key, value := range wanted {
		a.same(subject, "tag "+key, value, tags[key])
	}
	a.same(subject, "tag "+tagCreatedAt+" is set", true, tags[tagCreatedAt] != "")
}
