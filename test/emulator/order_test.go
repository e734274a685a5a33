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

// TestAddressesAreScattered asserts that neither addresses nor prefixes come in
// rising order, that the seed decides, and that reads have no part in it.
func TestAddressesAreScattered(t *testing.T) {
	choose := func(seed uint64, reads int) []string {
		options := unthrottled()
		options.Seed = seed
		w := newWorld(t, options)
		id := w.eni(w.subnet("10.0.0.0/22"))
		for range reads {
			w.describe(id)
		}
		return append(w.assign(id, count(10)), w.assign(id, prefixCount(10))...)
	}
	chosen := choose(1, 0)
	assert.Assert(t, !slices.IsSorted(chosen[:10]), "%v", chosen)
	assert.Assert(t, !slices.IsSorted(chosen[10:]), "%v", chosen)
	assert.DeepEqual(t, choose(1, 7), chosen)
	assert.Assert(t, !slices.Equal(choose(2, 0), chosen))
}

// TestScatterFragmentsASubnet asserts that a subnet of which a quarter is used has
// hardly a block left.
func TestScatterFragmentsASubnet(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	id := w.eni(subnetID)
	w.assign(id, count(59))
	_, err := w.AssignPrivateIpAddresses(w.ctx(), &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: &id, Ipv4PrefixCount: aws.Int32(4)})
	assertAPIError(t, err, "InsufficientCidrBlocks", "The specified subnet does not have enough free cidr blocks to satisfy the request.")
	assert.Equal(t, w.free(subnetID), int32(251-60))
}

// TestPagesMayBeShort reads six ENIs in pages of five until one of the listings has
// a page that is short and not the last.
func TestPagesMayBeShort(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	for range 6 {
		w.eni(subnetID)
	}
	short := false
	for range 20 {
		seen := make(map[string]bool)
		pages := ec2.NewDescribeNetworkInterfacesPaginator(w, &ec2.DescribeNetworkInterfacesInput{MaxResults: aws.Int32(5)})
		for pages.HasMorePages() {
			page := must(pages.NextPage(w.ctx()))
			assert.Assert(t, len(page.NetworkInterfaces) > 0)
			short = short || pages.HasMorePages() && len(page.NetworkInterfaces) < 5
			for _, eni := range page.NetworkInterfaces {
				assert.Assert(t, !seen[*eni.NetworkInterfaceId])
				seen[*eni.NetworkInterfaceId] = true
			}
		}
		assert.Equal(t, len(seen), 6)
	}
	assert.Assert(t, short)
}

// TestOrderIsArbitrary asserts that the ids of a request and the tags of a resource
// come back in different orders.
func TestOrderIsArbitrary(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	ids := []string{w.eni(subnetID), w.eni(subnetID), w.eni(subnetID)}
	must(w.CreateTags(w.ctx(), &ec2.CreateTagsInput{Resources: ids[:1], Tags: []types.Tag{tag("a", "1"), tag("b", "2"), tag("c", "3")}}))
	rowOrders, tagOrders := make(map[string]bool), make(map[string]bool)
	for range 30 {
		var rows, keys string
		for _, eni := range must(w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: ids})).NetworkInterfaces {
			rows += *eni.NetworkInterfaceId
			for _, tag := range eni.TagSet {
				keys += *tag.Key
			}
		}
		rowOrders[rows], tagOrders[keys] = true, true
	}
	assert.Assert(t, len(rowOrders) > 1)
	assert.Assert(t, len(tagOrders) > 1)
}
