/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"cmp"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// assign assigns and returns the new addresses and prefixes.
func (w *world) assign(eniID string, input ec2.AssignPrivateIpAddressesInput) []string {
	w.t.Helper()
	input.NetworkInterfaceId = &eniID
	out, err := w.AssignPrivateIpAddresses(w.ctx(), &input)
	assert.NilError(w.t, err)
	assigned := []string{}
	for _, address := range out.AssignedPrivateIpAddresses {
		assigned = append(assigned, *address.PrivateIpAddress)
	}
	for _, prefix := range out.AssignedIpv4Prefixes {
		assigned = append(assigned, *prefix.Ipv4Prefix)
	}
	return assigned
}

// slots lists an ENI's addresses, the primary one first, and its prefixes.
func slots(eni types.NetworkInterface) []string {
	var all []string
	for _, address := range eni.PrivateIpAddresses {
		all = append(all, *address.PrivateIpAddress)
	}
	for _, prefix := range eni.Ipv4Prefixes {
		all = append(all, *prefix.Ipv4Prefix)
	}
	return all
}

func count(n int32) ec2.AssignPrivateIpAddressesInput {
	return ec2.AssignPrivateIpAddressesInput{SecondaryPrivateIpAddressCount: &n}
}

func prefixCount(n int32) ec2.AssignPrivateIpAddressesInput {
	return ec2.AssignPrivateIpAddressesInput{Ipv4PrefixCount: &n}
}

func names(addresses ...string) ec2.AssignPrivateIpAddressesInput {
	return ec2.AssignPrivateIpAddressesInput{PrivateIpAddresses: addresses}
}

func TestAssigningByCountIsAdditive(t *testing.T) {
	w := newWorld(t, inOrder())
	id := w.eni(w.subnet("10.0.0.0/24"))
	assert.DeepEqual(t, w.assign(id, count(2)), []string{"10.0.0.5", "10.0.0.6"})
	assert.DeepEqual(t, w.assign(id, count(2)), []string{"10.0.0.7", "10.0.0.8"})
	assert.DeepEqual(t, w.assign(id, prefixCount(1)), []string{"10.0.0.16/28"})
	assert.DeepEqual(t, w.assign(id, prefixCount(1)), []string{"10.0.0.32/28"})
	assert.DeepEqual(t, slots(w.describe(id)),
		[]string{"10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8", "10.0.0.16/28", "10.0.0.32/28"})
}

func TestAssigningByNameIsIdempotent(t *testing.T) {
	w := newWorld(t, inOrder())
	id := w.eni(w.subnet("10.0.0.0/24"))
	assert.DeepEqual(t, w.assign(id, names("10.0.0.10", "10.0.0.9")), []string{"10.0.0.9", "10.0.0.10"})
	assert.DeepEqual(t, w.assign(id, names("10.0.0.11", "10.0.0.9", "10.0.0.11")), []string{"10.0.0.9", "10.0.0.11"})
	assert.DeepEqual(t, w.assign(id, names("10.0.0.9")), []string{"10.0.0.9"})
	assert.DeepEqual(t, w.assign(id, names("10.0.0.4")), []string{"10.0.0.4"}) // its own primary address
	assert.DeepEqual(t, slots(w.describe(id)), []string{"10.0.0.4", "10.0.0.10", "10.0.0.9", "10.0.0.11"})
	prefix := ec2.AssignPrivateIpAddressesInput{Ipv4Prefixes: []string{"10.0.0.64/28"}}
	assert.DeepEqual(t, w.assign(id, prefix), []string{"10.0.0.64/28"})
	assert.DeepEqual(t, w.assign(id, prefix), []string{"10.0.0.64/28"})
}

func TestReassigningMovesASecondaryAddress(t *testing.T) {
	w := newWorld(t, inOrder())
	subnetID := w.subnet("10.0.0.0/24")
	from, to := w.eni(subnetID), w.eni(subnetID)
	w.assign(from, names("10.0.0.9"))
	move := names("10.0.0.9")
	move.AllowReassignment = aws.Bool(true)
	assert.DeepEqual(t, w.assign(to, move), []string{"10.0.0.9"})
	assert.DeepEqual(t, slots(w.describe(from)), []string{"10.0.0.4"})
	assert.DeepEqual(t, slots(w.describe(to)), []string{"10.0.0.5", "10.0.0.9"})
	assert.Equal(t, w.free(subnetID), int32(251-3))
}

func TestCreatingWithSlots(t *testing.T) {
	for _, test := range []struct {
		name  string
		input ec2.CreateNetworkInterfaceInput
		want  []string
	}{
		{name: "plain", want: []string{"10.0.0.4"}},
		{
			name:  "with a primary address",
			input: ec2.CreateNetworkInterfaceInput{PrivateIpAddress: aws.String("10.0.0.100")},
			want:  []string{"10.0.0.100"},
		},
		{
			name: "with addresses by name",
			input: ec2.CreateNetworkInterfaceInput{PrivateIpAddresses: []types.PrivateIpAddressSpecification{
				{PrivateIpAddress: aws.String("10.0.0.60")},
				{PrivateIpAddress: aws.String("10.0.0.50"), Primary: aws.Bool(true)},
			}},
			want: []string{"10.0.0.50", "10.0.0.60"},
		},
		{
			name: "with secondary addresses by name only",
			input: ec2.CreateNetworkInterfaceInput{PrivateIpAddresses: []types.PrivateIpAddressSpecification{
				{PrivateIpAddress: aws.String("10.0.0.60")},
			}},
			want: []string{"10.0.0.4", "10.0.0.60"},
		},
		{
			name: "with a primary address and a count",
			input: ec2.CreateNetworkInterfaceInput{
				PrivateIpAddress: aws.String("10.0.0.50"), SecondaryPrivateIpAddressCount: aws.Int32(2),
			},
			want: []string{"10.0.0.50", "10.0.0.4", "10.0.0.5"},
		},
		{
			name: "with prefixes by name",
			input: ec2.CreateNetworkInterfaceInput{Ipv4Prefixes: []types.Ipv4PrefixSpecificationRequest{
				{Ipv4Prefix: aws.String("10.0.0.32/28")},
			}},
			want: []string{"10.0.0.4", "10.0.0.32/28"},
		},
		{
			name:  "with prefixes by count",
			input: ec2.CreateNetworkInterfaceInput{Ipv4PrefixCount: aws.Int32(2)},
			want:  []string{"10.0.0.4", "10.0.0.16/28", "10.0.0.32/28"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, inOrder())
			subnetID := w.subnet("10.0.0.0/24")
			test.input.SubnetId = &subnetID
			created := w.create(&test.input)
			assert.DeepEqual(t, slots(created), test.want)
			assert.Equal(t, *created.PrivateIpAddress, test.want[0])
			assert.DeepEqual(t, slots(w.describe(*created.NetworkInterfaceId)), test.want)
		})
	}
}

func TestSubnetAccounting(t *testing.T) {
	w := newWorld(t, inOrder())
	subnetID := w.subnet("10.0.0.0/26")
	assert.Equal(t, w.free(subnetID), int32(64-5))
	id := w.eni(subnetID)
	w.assign(id, count(3))
	assert.Equal(t, w.free(subnetID), int32(59-4))
	w.assign(id, prefixCount(1))
	assert.Equal(t, w.free(subnetID), int32(55-16))
	must(w.UnassignPrivateIpAddresses(w.ctx(), &ec2.UnassignPrivateIpAddressesInput{
		NetworkInterfaceId: &id, PrivateIpAddresses: []string{"10.0.0.5"}, Ipv4Prefixes: []string{"10.0.0.16/28"},
	}))
	assert.Equal(t, w.free(subnetID), int32(39+17))
	must(w.DeleteNetworkInterface(w.ctx(), &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &id}))
	assert.Equal(t, w.free(subnetID), int32(59))
}

// TestSubnetExhaustion asserts which of EC2's three errors tells that a subnet
// has too little.
func TestSubnetExhaustion(t *testing.T) {
	const few, none = 3, 0
	for _, test := range []struct {
		name     string
		free     int32
		scarcity emulator.Scarcity
		call     func(*world, string) error
		code     string
		message  string
	}{
		{
			name: "creating in a full subnet", free: none,
			call:    func(w *world, subnetID string) error { return w.tryCreateIn(subnetID, 0) },
			code:    "InsufficientFreeAddressesInSubnet",
			message: "The specified subnet does not have enough free addresses to satisfy the request.",
		},
		{
			name: "creating with more addresses than there are", free: few,
			call:    func(w *world, subnetID string) error { return w.tryCreateIn(subnetID, few) },
			code:    "InsufficientFreeAddressesInSubnet",
			message: "The specified subnet does not have enough free addresses to satisfy the request.",
		},
		{
			name: "creating with more addresses than there are, the other code", free: few,
			scarcity: emulator.Scarcity{CountAboveFree: emulator.CodeInvalidParameterValue},
			call:     func(w *world, subnetID string) error { return w.tryCreateIn(subnetID, few) },
			code:     "InvalidParameterValue",
			message:  "There aren't sufficient free Ipv4 addresses or prefixes",
		},
		{
			name: "assigning in a full subnet", free: none,
			call:    func(w *world, _ string) error { return w.tryAssignToFirst(count(1)) },
			code:    "InsufficientFreeAddressesInSubnet",
			message: "The specified subnet does not have enough free addresses to satisfy the request.",
		},
		{
			name: "assigning more addresses than there are", free: few,
			call:    func(w *world, _ string) error { return w.tryAssignToFirst(count(few + 1)) },
			code:    "InsufficientFreeAddressesInSubnet",
			message: "The specified subnet does not have enough free addresses to satisfy the request.",
		},
		{
			name: "assigning more addresses than there are, the other code", free: few,
			scarcity: emulator.Scarcity{CountAboveFree: emulator.CodeInvalidParameterValue},
			call:     func(w *world, _ string) error { return w.tryAssignToFirst(count(few + 1)) },
			code:     "InvalidParameterValue",
			message:  "There aren't sufficient free Ipv4 addresses or prefixes",
		},
		{
			name: "assigning a prefix with too few addresses", free: few,
			call:    func(w *world, _ string) error { return w.tryAssignToFirst(prefixCount(1)) },
			code:    "InvalidParameterValue",
			message: "There aren't sufficient free Ipv4 addresses or prefixes",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			options := unthrottled()
			options.Limits.Scarcity = test.scarcity
			w := newWorld(t, options)
			subnetID := w.subnet("10.0.0.0/27") // 27 addresses
			w.assign(w.eni(subnetID), count(26-test.free))
			assert.Equal(t, w.free(subnetID), test.free)
			assertAPIError(t, test.call(w, subnetID), test.code, test.message)
			assert.Equal(t, w.free(subnetID), test.free)
		})
	}
}

func (w *world) tryCreateIn(subnetID string, secondary int32) error {
	input := &ec2.CreateNetworkInterfaceInput{SubnetId: &subnetID}
	if secondary > 0 {
		input.SecondaryPrivateIpAddressCount = &secondary
	}
	_, err := w.CreateNetworkInterface(w.ctx(), input)
	return err
}

func (w *world) tryAssignToFirst(input ec2.AssignPrivateIpAddressesInput) error {
	input.NetworkInterfaceId = must(w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{})).NetworkInterfaces[0].NetworkInterfaceId
	_, err := w.AssignPrivateIpAddresses(w.ctx(), &input)
	return err
}

// TestPrefixShortageOnCreate asks for a prefix in a subnet without a free block, of
// which most is free.
func TestPrefixShortageOnCreate(t *testing.T) {
	for _, test := range []struct {
		code, message string
	}{
		{"", "There aren't sufficient free Ipv4 addresses or prefixes"},
		{emulator.CodeInsufficientCIDRBlocks, "The specified subnet does not have enough free cidr blocks to satisfy the request."},
	} {
		t.Run(test.code, func(t *testing.T) {
			options := unthrottled()
			options.Limits.Scarcity.PrefixShortage = test.code
			w := newWorld(t, options)
			subnetID := w.subnet("10.0.0.0/25")
			w.fragment(w.eni(subnetID))
			before := w.free(subnetID)
			_, err := w.CreateNetworkInterface(w.ctx(), &ec2.CreateNetworkInterfaceInput{SubnetId: &subnetID, Ipv4PrefixCount: aws.Int32(1)})
			assertAPIError(t, err, cmp.Or(test.code, "InvalidParameterValue"), test.message)
			assert.Equal(t, w.free(subnetID), before)
		})
	}
}

// fragment puts one address into each block of 10.0.0.0/25.
func (w *world) fragment(eniID string) {
	for block := range 8 {
		w.assign(eniID, names(fmt.Sprintf("10.0.0.%d", block*16+8)))
	}
}

// TestFragmentation puts one address into each /28 of a subnet: most of it is
// free, and no prefix can be had.
func TestFragmentation(t *testing.T) {
	w := newWorld(t, inOrder())
	subnetID := w.subnet("10.0.0.0/25")
	id := w.eni(subnetID)
	w.fragment(id)
	assert.Equal(t, w.free(subnetID), int32(128-5-9))
	_, err := w.AssignPrivateIpAddresses(w.ctx(), &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: &id, Ipv4PrefixCount: aws.Int32(1)})
	assertAPIError(t, err, "InsufficientCidrBlocks", "The specified subnet does not have enough free cidr blocks to satisfy the request.")

	must(w.UnassignPrivateIpAddresses(w.ctx(), &ec2.UnassignPrivateIpAddressesInput{
		NetworkInterfaceId: &id, PrivateIpAddresses: []string{"10.0.0.56"},
	}))
	assert.DeepEqual(t, w.assign(id, prefixCount(1)), []string{"10.0.0.48/28"})
	_, err = w.AssignPrivateIpAddresses(w.ctx(), &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: &id, Ipv4PrefixCount: aws.Int32(2)})
	assertAPIError(t, err, "InsufficientCidrBlocks", "The specified subnet does not have enough free cidr blocks to satisfy the request.")
}

func TestReleasedAddressesRest(t *testing.T) {
	w := newWorld(t, inOrder())
	id := w.eni(w.subnet("10.0.0.0/24"))
	assert.DeepEqual(t, w.assign(id, count(1)), []string{"10.0.0.5"})
	must(w.UnassignPrivateIpAddresses(w.ctx(), &ec2.UnassignPrivateIpAddressesInput{
		NetworkInterfaceId: &id, PrivateIpAddresses: []string{"10.0.0.5"},
	}))
	assert.DeepEqual(t, w.assign(id, count(1)), []string{"10.0.0.6"})
}
