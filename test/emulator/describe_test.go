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
	"gotest.tools/v3/assert"
)

// find lists the descriptions of the ENIs that pass filters.
func (w *world) find(filters ...types.Filter) []string {
	w.t.Helper()
	found := []string{}
	for _, eni := range must(w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{Filters: filters})).NetworkInterfaces {
		found = append(found, *eni.Description)
	}
	return found
}

func TestFilters(t *testing.T) {
	w := newWorld(t, inOrder())
	subnetID := w.subnet("10.0.0.0/24")
	instanceID := *w.run(subnetID, types.InstanceTypeM5Large).InstanceId
	create := func(description string, tags ...types.Tag) types.NetworkInterface {
		input := &ec2.CreateNetworkInterfaceInput{SubnetId: &subnetID, Description: &description}
		if len(tags) > 0 {
			input.TagSpecifications = tagged(tags...)
		}
		return w.create(input)
	}
	one := create("one", tag("team", "red"), tag("stage", "prod"))
	create("two", tag("team", "reddish"))
	create("three*", tag("team", "blue"))
	w.attach(*one.NetworkInterfaceId, instanceID, 1)

	for _, test := range []struct {
		name    string
		filters []types.Filter
		want    []string
	}{
		{"by id", []types.Filter{by("network-interface-id", *one.NetworkInterfaceId, noENI)}, []string{"one"}},
		{"by an unknown id", []types.Filter{by("network-interface-id", noENI)}, []string{}},
		{"by instance, with its primary ENI", []types.Filter{by("attachment.instance-id", instanceID)}, []string{"", "one"}},
		{"by device index", []types.Filter{by("attachment.device-index", "1")}, []string{"one"}},
		{"by attachment status", []types.Filter{by("attachment.status", "attached"), by("attachment.device-index", "1")}, []string{"one"}},
		{"by delete on termination", []types.Filter{by("attachment.delete-on-termination", "true")}, []string{""}},
		{"by status", []types.Filter{by("status", "available")}, []string{"two", "three*"}},
		{"by address", []types.Filter{by("addresses.private-ip-address", *one.PrivateIpAddress)}, []string{"one"}},
		{"by MAC address", []types.Filter{by("mac-address", *one.MacAddress)}, []string{"one"}},
		{"by zone", []types.Filter{by("availability-zone", "us-east-1b")}, []string{}},
		{"by tag", []types.Filter{by("tag:team", "red")}, []string{"one"}},
		{"by either of two tags' values", []types.Filter{by("tag:team", "red", "blue")}, []string{"one", "three*"}},
		{"by two tags", []types.Filter{by("tag:team", "red*"), by("tag:stage", "prod")}, []string{"one"}},
		{"by a tag that none has", []types.Filter{by("tag:owner", "*")}, []string{}},
		{"by tag key", []types.Filter{by("tag-key", "st?ge")}, []string{"one"}},
		{"with a star", []types.Filter{by("tag:team", "red*")}, []string{"one", "two"}},
		{"with a question mark", []types.Filter{by("description", "t?o")}, []string{"two"}},
		{"with an escaped star", []types.Filter{by("description", `three\*`)}, []string{"three*"}},
		{"by what the emulator has none of", []types.Filter{by("association.public-ip", "*")}, []string{}},
		{"by case", []types.Filter{by("description", "ONE")}, []string{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.DeepEqual(t, w.find(test.filters...), test.want)
		})
	}
}

func TestPagination(t *testing.T) {
	w := newWorld(t, inOrder())
	subnetID := w.subnet("10.0.0.0/24")
	var want []string
	for range 12 {
		want = append(want, w.eni(subnetID))
	}
	var got []string
	pages := 0
	paginator := ec2.NewDescribeNetworkInterfacesPaginator(w, &ec2.DescribeNetworkInterfacesInput{
		Filters: []types.Filter{by("subnet-id", subnetID)}, MaxResults: aws.Int32(5),
	})
	for paginator.HasMorePages() {
		page := must(paginator.NextPage(w.ctx()))
		pages++
		for _, eni := range page.NetworkInterfaces {
			got = append(got, *eni.NetworkInterfaceId)
		}
	}
	assert.DeepEqual(t, got, want)
	assert.Equal(t, pages, 3)
}

// TestPaginationWhileDeleting asserts that what exists all the time is listed
// once, whatever goes away between pages.
func TestPaginationWhileDeleting(t *testing.T) {
	w := newWorld(t, inOrder())
	subnetID := w.subnet("10.0.0.0/24")
	var ids []string
	for range 10 {
		ids = append(ids, w.eni(subnetID))
	}
	first := must(w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{MaxResults: aws.Int32(5)}))
	for _, id := range []string{ids[0], ids[4], ids[6]} {
		must(w.DeleteNetworkInterface(w.ctx(), &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &id}))
	}
	second := must(w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{MaxResults: aws.Int32(5), NextToken: first.NextToken}))
	var rest []string
	for _, eni := range second.NetworkInterfaces {
		rest = append(rest, *eni.NetworkInterfaceId)
	}
	assert.DeepEqual(t, rest, []string{ids[5], ids[7], ids[8], ids[9]})
	assert.Assert(t, second.NextToken == nil)
}

func TestNextTokenBelongsToItsListing(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	for range 6 {
		w.eni(subnetID)
	}
	first := must(w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{MaxResults: aws.Int32(5)}))
	_, err := w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{
		MaxResults: aws.Int32(5), NextToken: first.NextToken, Filters: []types.Filter{by("status", "in-use")},
	})
	assertAPIError(t, err, "InvalidParameterValue", "Value ( "+*first.NextToken+" ) for parameter NextToken is invalid. The token is invalid.")
}

func TestManyENIsDemandPagination(t *testing.T) {
	options := inOrder()
	options.Limits.UnpaginatedENIs = 2
	w := newWorld(t, options)
	subnetID := w.subnet("10.0.0.0/24")
	for range 3 {
		w.eni(subnetID)
	}
	for filter, narrows := range map[string]bool{
		"attachment.instance-id": true, "group-id": true, "mac-address": true, "private-dns-name": true,
		"private-ip-address": true, "subnet-id": true, "vpc-id": true, "status": false, "tag-key": false, "attachment.status": false,
	} {
		_, err := w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{by(filter, "*")}})
		if narrows {
			assert.NilError(t, err, filter)
			continue
		}
		assertAPIError(t, err, "OperationNotPermitted", "The number of network interfaces is too large. Use pagination, or one of the "+
			"filters attachment.instance-id, group-id, mac-address, private-dns-name, private-ip-address, subnet-id and vpc-id.")
	}
	assert.Equal(t, len(w.find(by("subnet-id", subnetID))), 3)
	assert.Equal(t, len(must(w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{MaxResults: aws.Int32(5)})).NetworkInterfaces), 3)
}

func TestDescribeInstanceTypes(t *testing.T) {
	w := newWorld(t, unthrottled())
	for _, test := range []struct {
		kind                   types.InstanceType
		enis, addresses, cards int32
		architecture           types.ArchitectureType
	}{
		{"t3.medium", 3, 6, 1, "x86_64"},
		{"t4g.small", 3, 4, 1, "arm64"},
		{"m5.large", 3, 10, 1, "x86_64"},
		{"m5.xlarge", 4, 15, 1, "x86_64"},
		{"m5.4xlarge", 8, 30, 1, "x86_64"},
		{"c5.18xlarge", 15, 50, 1, "x86_64"},
		{"c6i.32xlarge", 15, 50, 1, "x86_64"},
		{"p4d.24xlarge", 60, 50, 4, "x86_64"},
		{"g5g.xlarge", 4, 15, 1, "arm64"},
	} {
		t.Run(string(test.kind), func(t *testing.T) {
			out := must(w.DescribeInstanceTypes(w.ctx(), &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{test.kind}}))
			info := out.InstanceTypes[0].NetworkInfo
			assert.Equal(t, *info.MaximumNetworkInterfaces, test.enis)
			assert.Equal(t, *info.Ipv4AddressesPerInterface, test.addresses)
			assert.Equal(t, *info.Ipv6AddressesPerInterface, test.addresses)
			assert.Equal(t, *info.MaximumNetworkCards, test.cards)
			assert.Equal(t, len(info.NetworkCards), int(test.cards))
			assert.DeepEqual(t, out.InstanceTypes[0].ProcessorInfo.SupportedArchitectures, []types.ArchitectureType{test.architecture})
		})
	}
}

func TestDescribeInstanceTypesByFilter(t *testing.T) {
	w := newWorld(t, unthrottled())
	none := must(w.DescribeInstanceTypes(w.ctx(), &ec2.DescribeInstanceTypesInput{Filters: []types.Filter{by("instance-type", "x")}}))
	assert.Equal(t, len(none.InstanceTypes), 0)

	var found []string
	paginator := ec2.NewDescribeInstanceTypesPaginator(w, &ec2.DescribeInstanceTypesInput{Filters: []types.Filter{by("instance-type", "m5*")}})
	for paginator.HasMorePages() {
		for _, info := range must(paginator.NextPage(w.ctx())).InstanceTypes {
			found = append(found, string(info.InstanceType))
		}
	}
	assert.Assert(t, slices.Contains(found, "m5.large"))
	assert.Assert(t, slices.Contains(found, "m5dn.metal"))
	assert.Assert(t, !slices.Contains(found, "m6i.large"))
}

func TestTags(t *testing.T) {
	w := newWorld(t, inOrder())
	id := w.eni(w.subnet("10.0.0.0/24"))
	must(w.CreateTags(w.ctx(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: []types.Tag{tag("a", "1"), tag("b", "2"), tag("c", "")}}))
	must(w.CreateTags(w.ctx(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: []types.Tag{tag("a", "3")}}))
	assert.DeepEqual(t, w.describe(id).TagSet, []types.Tag{tag("a", "3"), tag("b", "2"), tag("c", "")}, exportedOnly)

	must(w.DeleteTags(w.ctx(), &ec2.DeleteTagsInput{Resources: []string{id}, Tags: []types.Tag{tag("a", "1"), {Key: aws.String("b")}}}))
	assert.DeepEqual(t, w.describe(id).TagSet, []types.Tag{tag("a", "3"), tag("c", "")}, exportedOnly)

	described := must(w.DescribeTags(w.ctx(), &ec2.DescribeTagsInput{Filters: []types.Filter{by("resource-type", "network-interface"), by("key", "a")}}))
	assert.Equal(t, len(described.Tags), 1)
	assert.Equal(t, *described.Tags[0].ResourceId, id)

	must(w.DeleteTags(w.ctx(), &ec2.DeleteTagsInput{Resources: []string{id}}))
	assert.Equal(t, len(w.describe(id).TagSet), 0)
}
