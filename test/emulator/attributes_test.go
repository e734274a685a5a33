/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestResettingAnENI asserts that a reset restores what a new ENI has.
func TestResettingAnENI(t *testing.T) {
	w := newWorld(t, unthrottled())
	id := w.eni(w.subnet("10.0.0.0/24"))
	off := &types.AttributeBooleanValue{Value: aws.Bool(false)}
	must(w.ModifyNetworkInterfaceAttribute(w.ctx(), &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &id, SourceDestCheck: off}))
	assert.Equal(t, *w.describe(id).SourceDestCheck, false)
	must(w.ResetNetworkInterfaceAttribute(w.ctx(), &ec2.ResetNetworkInterfaceAttributeInput{NetworkInterfaceId: &id, SourceDestCheck: aws.String("true")}))
	assert.Equal(t, *w.describe(id).SourceDestCheck, true)
}

// TestSubnetAttributes asserts that a value which is not emulated is refused, and that
// what a subnet has already can be asked for.
func TestSubnetAttributes(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	for _, test := range []struct {
		name          string
		pairs         []string
		code, message string
	}{
		{"no public addresses", []string{"MapPublicIpOnLaunch.Value", "false"}, "", ""},
		{"names by address", []string{"PrivateDnsHostnameTypeOnLaunch", "ip-name"}, "", ""},
		{"public addresses", []string{"MapPublicIpOnLaunch.Value", "true"},
			"UnsupportedOperation", "The value 'true' of MapPublicIpOnLaunch.Value is not supported"},
		{"IPv6 addresses", []string{"AssignIpv6AddressOnCreation.Value", "true"},
			"UnsupportedOperation", "The value 'true' of AssignIpv6AddressOnCreation.Value is not supported"},
		{"two at a time", []string{"MapPublicIpOnLaunch.Value", "false", "EnableDns64.Value", "false"},
			"InvalidParameterCombination", "Only one subnet attribute may be modified at a time"},
		{"nothing", nil, "MissingParameter", "The request must contain the parameter attribute"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, got := post(w.server, "", form("ModifySubnetAttribute", append([]string{"SubnetId", subnetID}, test.pairs...)...))
			assert.Equal(t, got.Code, test.code)
			assert.Equal(t, got.Message, test.message)
		})
	}
}

// TestENIAttributesThatAreNotEmulated asserts that each is refused by name.
func TestENIAttributesThatAreNotEmulated(t *testing.T) {
	w := newWorld(t, unthrottled())
	id := w.eni(w.subnet("10.0.0.0/24"))
	for _, parameter := range []string{
		"AssociatePublicIpAddress", "ConnectionTrackingSpecification.TcpEstablishedTimeout", "EnaSrdSpecification.EnaSrdEnabled",
		"EnablePrimaryIpv6", "AssociatedSubnetId.1",
	} {
		t.Run(parameter, func(t *testing.T) {
			_, got := post(w.server, "", form("ModifyNetworkInterfaceAttribute", "NetworkInterfaceId", id, parameter, "1"))
			assert.Equal(t, got.Code, "UnknownParameter")
			assert.Equal(t, got.Message, "The parameter "+parameter+" is not recognized")
		})
	}
}

// TestActionsThatAreNotEmulated asserts that each is refused by name.
func TestActionsThatAreNotEmulated(t *testing.T) {
	server := emulator.New(unthrottled())
	for _, action := range []string{
		"AllocateAddress", "AssociateAddress", "AssignIpv6Addresses", "UnassignIpv6Addresses", "CreateLaunchTemplate", "CreateVolume",
	} {
		t.Run(action, func(t *testing.T) {
			_, got := post(server, "", form(action))
			assert.Equal(t, got.Code, "InvalidAction")
			assert.Equal(t, got.Message, "The action "+action+" is not valid for this web service.")
		})
	}
}

// TestPlacesOfZones asserts that zones and Regions name where they are.
func TestPlacesOfZones(t *testing.T) {
	for _, test := range []struct {
		region, longName, country, part string
	}{
		{"us-east-1", "US East (N. Virginia) 1", "United States of America", "Virginia"},
		{"eu-central-1", "Europe (Frankfurt) 1", "Germany", "Hesse"},
		{"xx-nowhere-1", "xx-nowhere-1 1", "xx-nowhere-1", "xx-nowhere-1"},
	} {
		t.Run(test.region, func(t *testing.T) {
			w := newWorld(t, unthrottled())
			zones := must(w.client(test.region).DescribeAvailabilityZones(w.ctx(), &ec2.DescribeAvailabilityZonesInput{
				Filters: []types.Filter{by("group-long-name", test.longName)},
			})).AvailabilityZones
			assert.Equal(t, *zones[0].GroupLongName, test.longName)
			assert.Equal(t, *zones[0].Geography[0].Name, test.country)
			assert.Equal(t, *zones[0].SubGeography[0].Name, test.part)
			assert.Assert(t, zones[0].Messages != nil)
		})
	}
	w := newWorld(t, unthrottled())
	regions := must(w.DescribeRegions(w.ctx(), &ec2.DescribeRegionsInput{RegionNames: []string{"eu-west-1"}})).Regions
	assert.Equal(t, *regions[0].Geography[0].Name, "Ireland")
}
