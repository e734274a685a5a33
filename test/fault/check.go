/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package fault

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	opec2 "github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/audit"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// unsound are the promises that are broken now, whatever the scenario asks for.
func (s *stage) unsound(seen view) []string {
	return slices.Concat(s.pairs(seen), audit.HeldTwice(seen.View), s.foreignUntouched(seen), s.referee.Fouls())
}

// pairs tells of resources that do not stand for one ENI in EC2 of their own, or say
// otherwise of it than EC2.
func (s *stage) pairs(seen view) []string {
	wrong := audit.Unpaired(seen.View)
	for i := range seen.Resources {
		resource := &seen.Resources[i]
		id := resource.Status.NetworkInterfaceID
		actual, ok := seen.Ours[id]
		if !ok {
			continue
		}
		for _, line := range s.disagreements(resource, actual) {
			wrong = append(wrong, fmt.Sprintf("ENI %s (%s): %s", resource.Name, id, line))
		}
	}
	return wrong
}

// disagreements are what a resource and EC2 say differently of an ENI.
func (s *stage) disagreements(resource *v1alpha1.ElasticNetworkInterface, actual types.NetworkInterface) []string {
	var lines []string
	differ := func(what string, got, want any) {
		if !reflect.DeepEqual(got, want) {
			lines = append(lines, fmt.Sprintf("%s: %v, not %v", what, got, want))
		}
	}
	status, tags := resource.Status, audit.Tags(actual)
	differ("own tags", tags, s.tagsFor(resource, tags[opec2.TagCreatedAt], userTags(actual)))
	_, err := time.Parse(time.RFC3339, tags[opec2.TagCreatedAt])
	differ("created-at tag", err, nil)
	differ("macAddress", status.MACAddress, aws.ToString(actual.MacAddress))
	differ("subnetID", status.SubnetID, aws.ToString(actual.SubnetId))
	differ("primaryAddress", status.PrimaryAddress, aws.ToString(actual.PrivateIpAddress))
	differ("addresses", audit.Texts(status.Addresses), audit.Secondaries(actual))
	differ("addressCount", int(status.AddressCount), len(audit.Secondaries(actual)))
	differ("securityGroupIDs", audit.Texts(status.SecurityGroupIDs), groupsOf(actual, func(g types.GroupIdentifier) *string { return g.GroupId }))
	differ("release", len(resource.Spec.Release), 0)
	at, to := status.Attachment, actual.Attachment
	if at == nil || to == nil {
		differ("attached", at != nil, to != nil)
		return lines
	}
	differ("attachment status in EC2", to.Status, types.AttachmentStatusAttached)
	differ("attachment", at.ID, aws.ToString(to.AttachmentId))
	differ("instance", at.InstanceID, aws.ToString(to.InstanceId))
	differ("instance of its node", at.InstanceID, s.cloud.instances[resource.Spec.NodeName])
	differ("device index", at.DeviceIndex, aws.ToInt32(to.DeviceIndex))
	differ("network card", at.NetworkCardIndex, aws.ToInt32(to.NetworkCardIndex))
	differ("deleteOnTermination", resource.Spec.DeletionPolicy != v1alpha1.DeletionPolicyRetain, aws.ToBool(to.DeleteOnTermination))
	return lines
}

// tagsFor are all the tags that an ENI should carry.
func (s *stage) tagsFor(resource *v1alpha1.ElasticNetworkInterface, createdAt string, users map[string]string) map[string]string {
	users[opec2.TagCreatedAt] = createdAt
	for key, value := range map[string]string{
		opec2.TagCluster: clusterName, opec2.TagClusterUID: s.kube.UID, opec2.TagName: resource.Name, opec2.TagUID: string(resource.UID),
		opec2.TagNode: resource.Spec.NodeName, opec2.TagDeletionPolicy: string(v1alpha1.DeletionPolicyDelete), opec2.TagNoManage: "true",
	} {
		users[key] = value
	}
	return users
}

// foreignUntouched tells of ENIs of others that are not as they were found.
func (s *stage) foreignUntouched(seen view) []string {
	var wrong []string
	for id, before := range s.cloud.foreign {
		if is, was := audit.Text(seen.others[id]), audit.Text(before); is != was {
			wrong = append(wrong, fmt.Sprintf("%s is not ours and has changed\n  is:  %s\n  was: %s", id, is, was))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// foreignNamed tells of calls that could have changed an ENI of others.
func (s *stage) foreignNamed(calls []emulator.Call) []string {
	of := map[string]string{}
	for id, eni := range s.cloud.foreign {
		of[id] = id
		if eni.Attachment != nil {
			of[aws.ToString(eni.Attachment.AttachmentId)] = id
		}
	}
	var wrong []string
	for _, call := range calls {
		for _, named := range call.ResourceIDs {
			if id, foreign := of[named]; foreign && call.Mutating {
				wrong = append(wrong, fmt.Sprintf("%s is not ours and was named in %s (call %d)", id, call.Action, call.Seq))
			}
		}
	}
	return wrong
}
