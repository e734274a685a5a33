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
	"github.com/eni-operator/eni-operator/test/emulator"
)

// leaks are the ENIs of ours in EC2 that no resource stands for.
func leaks(seen view) []string {
	named := map[string]bool{}
	for i := range seen.resources {
		named[seen.resources[i].Status.NetworkInterfaceID] = true
	}
	var leaked []string
	for id, actual := range seen.ours {
		if !named[id] {
			leaked = append(leaked, fmt.Sprintf("leaked: no resource stands for %s, made for %s", id, tagsOf(actual)[opec2.TagName]))
		}
	}
	slices.Sort(leaked)
	return leaked
}

// collected are the ENIs that were still there when the collector set out to delete
// them. To a stale read the others still were.
func collected(all []collection, calls []emulator.Call) []string {
	var leaked []string
	counted := map[string]bool{}
	for _, c := range all {
		if !counted[c.id] && slices.ContainsFunc(calls, func(call emulator.Call) bool {
			return call.Action == "DeleteNetworkInterface" && call.ErrorCode == "" &&
				slices.Contains(call.ResourceIDs, c.id) && !call.Time.Before(c.when)
		}) {
			counted[c.id] = true
			leaked = append(leaked, fmt.Sprintf("leaked: %s, until the collector deleted it", c.id))
		}
	}
	return leaked
}

// unsound are the promises that are broken now, whatever the scenario asks for.
func (s *stage) unsound(seen view) []string {
	return slices.Concat(s.oneToOne(seen), heldOnce(seen), s.foreignUntouched(seen), s.referee.report())
}

// oneToOne tells of resources that do not stand for one ENI in EC2 of their own,
// or say otherwise of it than EC2.
func (s *stage) oneToOne(seen view) []string {
	var wrong []string
	stands := map[string]string{}
	for i := range seen.resources {
		resource := &seen.resources[i]
		id := resource.Status.NetworkInterfaceID
		actual, ok := seen.ours[id]
		if !ok {
			wrong = append(wrong, fmt.Sprintf("resource %s stands for no ENI in EC2: %q", resource.Name, id))
			continue
		}
		if other, twice := stands[id]; twice {
			wrong = append(wrong, fmt.Sprintf("%s has two resources: %s and %s", id, other, resource.Name))
		}
		stands[id] = resource.Name
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
	status, tags := resource.Status, tagsOf(actual)
	differ("own tags", tags, s.tagsFor(resource, tags[opec2.TagCreatedAt], userTags(actual)))
	_, err := time.Parse(time.RFC3339, tags[opec2.TagCreatedAt])
	differ("created-at tag", err, nil)
	differ("macAddress", status.MACAddress, aws.ToString(actual.MacAddress))
	differ("subnetID", status.SubnetID, aws.ToString(actual.SubnetId))
	differ("primaryAddress", status.PrimaryAddress, aws.ToString(actual.PrivateIpAddress))
	differ("addresses", texts(status.Addresses), secondaries(actual))
	differ("addressCount", int(status.AddressCount), len(secondaries(actual)))
	differ("securityGroupIDs", texts(status.SecurityGroupIDs), groupsOf(actual, func(g types.GroupIdentifier) *string { return g.GroupId }))
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
	differ("deleteOnTermination", at.DeleteOnTermination, aws.ToBool(to.DeleteOnTermination))
	return lines
}

// tagsFor are all the tags that an ENI should carry.
func (s *stage) tagsFor(resource *v1alpha1.ElasticNetworkInterface, createdAt string, users map[string]string) map[string]string {
	users[opec2.TagCreatedAt] = createdAt
	for key, value := range map[string]string{
		opec2.TagCluster: clusterName, opec2.TagClusterUID: s.kube.uid, opec2.TagName: resource.Name, opec2.TagUID: string(resource.UID),
		opec2.TagNode: resource.Spec.NodeName, opec2.TagDeletionPolicy: string(v1alpha1.DeletionPolicyDelete), opec2.TagNoManage: "true",
	} {
		users[key] = value
	}
	return users
}

// heldOnce tells of claims that hold nothing of their own, or not what the pools
// have written down for them, or what EC2 does not have.
func heldOnce(seen view) []string {
	recorded := recordedHolders(seen)
	var wrong []string
	holder := map[string]string{} // by what is held
	bound := 0
	for i := range seen.claims {
		c := &seen.claims[i]
		if c.Status.Phase != v1alpha1.ClaimBound {
			continue
		}
		bound++
		what := c.Status.Address
		if c.Spec.Mode == v1alpha1.ModeExclusive {
			what = c.Status.NetworkInterfaceID
		}
		if other, twice := holder[what]; twice {
			wrong = append(wrong, fmt.Sprintf("%s is held by the claims %s and %s", what, other, c.Name))
		}
		holder[what] = c.Name
		if recorded[what] != string(c.UID) {
			wrong = append(wrong, fmt.Sprintf("claim %s holds %s, which its pool has for %q", c.Name, what, recorded[what]))
		}
		actual, there := seen.ours[c.Status.NetworkInterfaceID]
		if !there || !slices.Contains(append(secondaries(actual), aws.ToString(actual.PrivateIpAddress)), c.Status.Address) {
			wrong = append(wrong, fmt.Sprintf("claim %s holds %s of %s, which EC2 does not have",
				c.Name, c.Status.Address, c.Status.NetworkInterfaceID))
		}
	}
	if len(recorded) != bound {
		wrong = append(wrong, fmt.Sprintf("the pools have %d holders, and %d claims are bound", len(recorded), bound))
	}
	return wrong
}

// recordedHolders are the UIDs of the claims that the pools have written down, by
// what they hold.
func recordedHolders(seen view) map[string]string {
	recorded := map[string]string{}
	for i := range seen.pools {
		for _, entry := range seen.pools[i].Status.Addresses {
			if entry.State == v1alpha1.HolderAllocated && entry.Claim != nil {
				recorded[string(entry.Address)] = string(entry.Claim.UID)
			}
		}
		for _, entry := range seen.pools[i].Status.ENIs {
			if entry.Claim != nil {
				recorded[entry.NetworkInterfaceID] = string(entry.Claim.UID)
			}
		}
	}
	return recorded
}

// foreignUntouched tells of ENIs of others that are not as they were found.
func (s *stage) foreignUntouched(seen view) []string {
	var wrong []string
	for id, before := range s.cloud.foreign {
		if is, was := asJSON(seen.others[id]), asJSON(before); is != was {
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

// texts are a list of the API as plain sorted strings.
func texts[S ~string](values []S) []string {
	list := make([]string, 0, len(values))
	for _, value := range values {
		list = append(list, string(value))
	}
	slices.Sort(list)
	return list
}
