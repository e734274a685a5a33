/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package iam

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// anyResource is the resource of an action that knows none of its own.
const anyResource = "*"

// globalKeys are there in every request.
var globalKeys = []string{"aws:RequestedRegion", "ec2:Region"}

// keysOf are the condition keys that EC2 has for a kind of resource that is there.
var keysOf = map[string][]string{
	"network-interface": {"aws:ResourceTag/", "ec2:ResourceTag/", "ec2:Subnet", "ec2:Vpc", "ec2:NetworkInterfaceID"},
	"instance":          {"aws:ResourceTag/", "ec2:ResourceTag/", "ec2:InstanceID", "ec2:InstanceProfile", "ec2:InstanceType"},
	"subnet":            {"aws:ResourceTag/", "ec2:ResourceTag/", "ec2:SubnetID", "ec2:Vpc"},
	"security-group":    {"aws:ResourceTag/", "ec2:ResourceTag/", "ec2:SecurityGroupID", "ec2:Vpc"},
}

// tagKeys are those of a request that writes tags.
var tagKeys = []string{"aws:RequestTag/", "aws:TagKeys"}

// reference has, by action and kind of resource, the condition keys that the action adds to
// those of the resource. Actions without a kind know no resources.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
var reference = map[string]map[string][]string{
	"ec2:DescribeInstances":         {anyResource: nil},
	"ec2:DescribeInstanceTypes":     {anyResource: nil},
	"ec2:DescribeNetworkInterfaces": {anyResource: nil},
	"ec2:DescribeSecurityGroups":    {anyResource: nil},
	"ec2:DescribeSubnets":           {anyResource: nil},

	"ec2:CreateNetworkInterface":          {"network-interface": tagKeys, "subnet": nil, "security-group": nil},
	"ec2:DeleteNetworkInterface":          {"network-interface": nil},
	"ec2:AttachNetworkInterface":          {"network-interface": nil, "instance": nil},
	"ec2:DetachNetworkInterface":          {"network-interface": nil, "instance": nil},
	"ec2:ModifyNetworkInterfaceAttribute": {"network-interface": nil, "instance": nil, "security-group": nil, "subnet": nil},
	"ec2:AssignPrivateIpAddresses":        {"network-interface": nil},
	"ec2:UnassignPrivateIpAddresses":      {"network-interface": nil},
	"ec2:CreateTags":                      {"network-interface": append([]string{"ec2:CreateAction"}, tagKeys...)},
	"ec2:DeleteTags":                      {"network-interface": tagKeys},
}

// Mistakes are what of a policy EC2's reference does not know: actions, kinds of resources that
// an action does not act on, and condition keys that no request for them has, so that the
// statement could never apply.
func (p Policy) Mistakes() []string {
	var found []string
	for _, s := range p.Statement {
		for _, action := range s.Action {
			kinds, known := reference[action]
			if !known {
				found = append(found, fmt.Sprintf("%s: %s is not in the reference", s.Sid, action))
				continue
			}
			if s.actsOn(kinds) == 0 {
				found = append(found, fmt.Sprintf("%s: %s acts on none of %s", s.Sid, action, strings.Join(s.Resource, ", ")))
			}
		}
		for _, resource := range s.Resource {
			found = append(found, s.unknownKeys(resource)...)
		}
	}
	return found
}

// kindOf is the kind of resource that an ARN, or a pattern of one, is of.
func kindOf(arn string) string {
	if arn == anyResource {
		return anyResource
	}
	parts := strings.SplitN(arn, ":", 6)
	kind, _, _ := strings.Cut(parts[len(parts)-1], "/")
	return kind
}

func (s Statement) actsOn(kinds map[string][]string) (count int) {
	for _, resource := range s.Resource {
		if _, ok := kinds[kindOf(resource)]; ok {
			count++
		}
	}
	return count
}

// unknownKeys are the condition keys that none of the statement's actions has for a resource.
func (s Statement) unknownKeys(resource string) []string {
	kind := kindOf(resource)
	has := slices.Concat(globalKeys, keysOf[kind])
	used := false
	for _, action := range s.Action {
		if keys, ok := reference[action][kind]; ok {
			used = true
			has = append(has, keys...)
		}
	}
	if !used {
		return []string{fmt.Sprintf("%s: none of its actions acts on %s", s.Sid, resource)}
	}
	var unknown []string
	for _, keys := range s.Condition {
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			known := slices.ContainsFunc(has, func(name string) bool {
				return key == name || (strings.HasSuffix(name, "/") && strings.HasPrefix(key, name))
			})
			if !known {
				unknown = append(unknown, fmt.Sprintf("%s: no request has %s for %s", s.Sid, key, resource))
			}
		}
	}
	return unknown
}
