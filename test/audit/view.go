/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package audit looks whether Kubernetes and EC2 keep the operator's promises, for
// all tests that run it as a process: one resource one ENI, nothing leaked, nothing
// held twice.
package audit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	opec2 "github.com/eni-operator/eni-operator/pkg/ec2"
)

// View is what there is, as Kubernetes and EC2 tell it.
type View struct {
	// Ours are the ENIs in EC2 that carry our cluster's UID.
	Ours      map[string]types.NetworkInterface
	Resources []v1alpha1.ElasticNetworkInterface
	Pools     []v1alpha1.ENIPool
	Claims    []v1alpha1.ENIClaim
}

// Leaks are the ENIs of ours in EC2 that no resource stands for.
func Leaks(seen View) []string {
	named := map[string]bool{}
	for i := range seen.Resources {
		named[seen.Resources[i].Status.NetworkInterfaceID] = true
	}
	var leaked []string
	for id, actual := range seen.Ours {
		if !named[id] {
			leaked = append(leaked, fmt.Sprintf("leaked: no resource stands for %s, made for %s", id, Tags(actual)[opec2.TagName]))
		}
	}
	slices.Sort(leaked)
	return leaked
}

// HeldTwice tells of claims that hold nothing of their own, or not what the pools
// have written down for them, or what EC2 does not have.
func HeldTwice(seen View) []string {
	recorded := recordedHolders(seen)
	var wrong []string
	holder := map[string]string{} // by what is held
	bound := 0
	for i := range seen.Claims {
		c := &seen.Claims[i]
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
		actual, there := seen.Ours[c.Status.NetworkInterfaceID]
		if !there || !slices.Contains(append(Secondaries(actual), aws.ToString(actual.PrivateIpAddress)), c.Status.Address) {
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
func recordedHolders(seen View) map[string]string {
	recorded := map[string]string{}
	for i := range seen.Pools {
		for _, entry := range seen.Pools[i].Status.Addresses {
			if entry.State == v1alpha1.HolderAllocated && entry.Claim != nil {
				recorded[string(entry.Address)] = string(entry.Claim.UID)
			}
		}
		for _, entry := range seen.Pools[i].Status.ENIs {
			if entry.Claim != nil {
				recorded[entry.NetworkInterfaceID] = string(entry.Claim.UID)
			}
		}
	}
	return recorded
}

// Unpaired tells of resources that do not stand for one ENI in EC2 of their own.
func Unpaired(seen View) []string {
	var wrong []string
	stands := map[string]string{}
	for i := range seen.Resources {
		resource := &seen.Resources[i]
		id := resource.Status.NetworkInterfaceID
		if _, ok := seen.Ours[id]; !ok {
			wrong = append(wrong, fmt.Sprintf("resource %s stands for no ENI in EC2: %q", resource.Name, id))
			continue
		}
		if other, twice := stands[id]; twice {
			wrong = append(wrong, fmt.Sprintf("%s has two resources: %s and %s", id, other, resource.Name))
		}
		stands[id] = resource.Name
	}
	return wrong
}

// Tags are an ENI's tags.
func Tags(eni types.NetworkInterface) map[string]string {
	tags := make(map[string]string, len(eni.TagSet))
	for _, tag := range eni.TagSet {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return tags
}

// Secondaries are an ENI's secondary addresses, sorted.
func Secondaries(eni types.NetworkInterface) []string {
	addresses := []string{}
	for _, address := range eni.PrivateIpAddresses {
		if !aws.ToBool(address.Primary) {
			addresses = append(addresses, aws.ToString(address.PrivateIpAddress))
		}
	}
	slices.Sort(addresses)
	return addresses
}

// Prefixes are an ENI's /28 prefixes, sorted.
func Prefixes(eni types.NetworkInterface) []string {
	prefixes := make([]string, 0, len(eni.Ipv4Prefixes))
	for _, prefix := range eni.Ipv4Prefixes {
		prefixes = append(prefixes, aws.ToString(prefix.Ipv4Prefix))
	}
	slices.Sort(prefixes)
	return prefixes
}

// SecurityGroups are the ids of an ENI's security groups, sorted.
func SecurityGroups(eni types.NetworkInterface) []string {
	ids := make([]string, 0, len(eni.Groups))
	for _, group := range eni.Groups {
		ids = append(ids, aws.ToString(group.GroupId))
	}
	slices.Sort(ids)
	return ids
}

// Texts are a list of the API as plain sorted strings.
func Texts[S ~string](values []S) []string {
	texts := make([]string, 0, len(values))
	for _, value := range values {
		texts = append(texts, string(value))
	}
	slices.Sort(texts)
	return texts
}

// Text writes an ENI down for comparing with what it was: EC2 answers the lists in
// it in any order.
func Text(eni types.NetworkInterface) string {
	eni.Groups = slices.SortedFunc(slices.Values(eni.Groups), func(a, b types.GroupIdentifier) int {
		return cmp.Compare(aws.ToString(a.GroupId), aws.ToString(b.GroupId))
	})
	eni.PrivateIpAddresses = slices.SortedFunc(slices.Values(eni.PrivateIpAddresses), func(a, b types.NetworkInterfacePrivateIpAddress) int {
		return cmp.Compare(aws.ToString(a.PrivateIpAddress), aws.ToString(b.PrivateIpAddress))
	})
	eni.TagSet = slices.SortedFunc(slices.Values(eni.TagSet), func(a, b types.Tag) int {
		return cmp.Compare(aws.ToString(a.Key), aws.ToString(b.Key))
	})
	text, err := json.Marshal(eni)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
