/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// addressesPerPrefix is the size of a /28 (EC2 delegates no other).
const addressesPerPrefix = 16

func tagsOf(eni types.NetworkInterface) map[string]string {
	tags := make(map[string]string, len(eni.TagSet))
	for _, tag := range eni.TagSet {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return tags
}

// secondaries are an ENI's secondary addresses, sorted.
func secondaries(eni types.NetworkInterface) []string {
	addresses := []string{}
	for _, address := range eni.PrivateIpAddresses {
		if !aws.ToBool(address.Primary) {
			addresses = append(addresses, aws.ToString(address.PrivateIpAddress))
		}
	}
	slices.Sort(addresses)
	return addresses
}

func prefixesOf(eni types.NetworkInterface) []string {
	list := make([]string, 0, len(eni.Ipv4Prefixes))
	for _, prefix := range eni.Ipv4Prefixes {
		list = append(list, aws.ToString(prefix.Ipv4Prefix))
	}
	slices.Sort(list)
	return list
}

func groupsOf(eni types.NetworkInterface) []string {
	list := make([]string, 0, len(eni.Groups))
	for _, group := range eni.Groups {
		list = append(list, aws.ToString(group.GroupId))
	}
	slices.Sort(list)
	return list
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

// strangeTags are the tags that are not the operator's own.
func strangeTags(tags map[string]string) map[string]string {
	strange := map[string]string{}
	for key, value := range tags {
		if !strings.HasPrefix(key, "networking.eni-operator.dev/") && key != "node.k8s.amazonaws.com/no_manage" {
			strange[key] = value
		}
	}
	return strange
}

// userTags are the tags that a resource asks for.
func userTags(resource *v1alpha1.ElasticNetworkInterface) map[string]string {
	tags := map[string]string{}
	for key, value := range resource.Spec.Tags {
		tags[key] = string(value)
	}
	return tags
}
