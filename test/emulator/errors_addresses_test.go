/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// addressErrorTests are the calls that must fail for the addresses or prefixes that
// they ask for.
var addressErrorTests = []errorTest{
	{
		name: "creating with an address outside the subnet",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{PrivateIpAddress: aws.String("10.0.9.9")})
		},
		code:    "InvalidParameterValue",
		message: "Address does not fall within the subnet's address range",
	},
	{
		name: "creating with a reserved address",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{PrivateIpAddress: aws.String("10.0.0.1")})
		},
		code:    "InvalidParameterValue",
		message: "Address is in subnet's reserved address range",
	},
	{
		name: "creating with an address in use",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{PrivateIpAddress: &s.looseIP})
		},
		code:    "InvalidIPAddress.InUse",
		message: "The specified address is already in use.",
	},
	{
		name: "creating with more addresses than any type takes",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{SecondaryPrivateIpAddressCount: aws.Int32(64)})
		},
		code:    "PrivateIpAddressLimitExceeded",
		message: "Number of private addresses will exceed limit.",
	},
	{
		name: "creating with addresses and prefixes",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{SecondaryPrivateIpAddressCount: aws.Int32(1), Ipv4PrefixCount: aws.Int32(1)})
		},
		code: "InvalidParameterValue",
		message: "You can specify one and only one secondaryPrivateIpAddressCount or secondaryPrivateIpAddressCount " +
			"or ipv4Prefixes or ipv4PrefixCount.",
	},
	{
		name: "creating with a named secondary address and a count",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{
				PrivateIpAddresses:             []types.PrivateIpAddressSpecification{{PrivateIpAddress: aws.String("10.0.0.200")}},
				SecondaryPrivateIpAddressCount: aws.Int32(1),
			})
		},
		code: "InvalidParameterValue",
		message: "You can specify one and only one secondaryPrivateIpAddressCount or secondaryPrivateIpAddressCount " +
			"or ipv4Prefixes or ipv4PrefixCount.",
	},
	{
		name: "creating with an address twice",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{PrivateIpAddresses: []types.PrivateIpAddressSpecification{
				{PrivateIpAddress: aws.String("10.0.0.200")}, {PrivateIpAddress: aws.String("10.0.0.200")},
			}})
		},
		code: "InvalidParameterValue", message: "Duplicate private IP address.",
	},
	{
		name: "creating with the primary address among the secondary ones",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{
				PrivateIpAddress:   aws.String("10.0.0.200"),
				PrivateIpAddresses: []types.PrivateIpAddressSpecification{{PrivateIpAddress: aws.String("10.0.0.200")}},
			})
		},
		code: "InvalidParameterValue", message: "address value can't be both primary and secondary",
	},
	{
		name: "creating with what is no address",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{PrivateIpAddress: aws.String("garbage")})
		},
		code: "InvalidParameterValue", message: "invalid value for parameter address: garbage",
	},
	{
		name: "creating with a count of none",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{SecondaryPrivateIpAddressCount: aws.Int32(0)})
		},
		code:    "InvalidParameterValue",
		message: "Value (0) for parameter secondaryPrivateIpAddressCount is invalid. Value must be a positive number.",
	},
	{
		name: "assigning a reserved address",
		call: func(s *stage) error {
			return s.tryAssign(ec2.AssignPrivateIpAddressesInput{PrivateIpAddresses: []string{"10.0.0.1"}})
		},
		code: "InvalidParameterValue", message: "Address 10.0.0.1 is in subnet's reserved range.",
	},
	{
		name: "assigning what is no address",
		call: func(s *stage) error {
			return s.tryAssign(ec2.AssignPrivateIpAddressesInput{PrivateIpAddresses: []string{"garbage"}})
		},
		code: "InvalidParameterValue", message: "invalid value for parameter address: garbage",
	},
	{
		name: "unassigning nothing",
		call: func(s *stage) error { return s.tryUnassign() },
		code: "MissingParameter", message: "One of privateIpAddresses or ipv4Prefixes must be specified.",
	},
	{
		name: "creating with IPv6 addresses",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{Ipv6AddressCount: aws.Int32(1)})
		},
		code:    "UnknownParameter",
		message: "The parameter Ipv6AddressCount is not recognized",
	},
	{
		name: "assigning more addresses than the type takes",
		call: func(s *stage) error {
			return s.tryAssign(ec2.AssignPrivateIpAddressesInput{SecondaryPrivateIpAddressCount: aws.Int32(6)})
		},
		code:    "PrivateIpAddressLimitExceeded",
		message: "Number of private addresses will exceed limit.",
	},
	{
		name: "assigning an address outside the subnet",
		call: func(s *stage) error {
			return s.tryAssign(ec2.AssignPrivateIpAddressesInput{PrivateIpAddresses: []string{"10.0.1.9"}})
		},
		code:    "InvalidParameterValue",
		message: "Address does not fall within the subnet's address range",
	},
	{
		name: "assigning an address of another ENI",
		call: func(s *stage) error {
			return s.tryAssign(ec2.AssignPrivateIpAddressesInput{PrivateIpAddresses: []string{s.looseIP}})
		},
		code:      "InvalidParameterValue",
		messageOf: func(s *stage) string { return "[" + s.looseIP + "] assigned, but move is not allowed." },
	},
	{
		name: "moving the primary address of another ENI",
		call: func(s *stage) error {
			return s.tryAssign(ec2.AssignPrivateIpAddressesInput{PrivateIpAddresses: []string{s.looseIP}, AllowReassignment: aws.Bool(true)})
		},
		code:    "InvalidParameterValue",
		message: "secondary-addresses",
	},
	{
		name: "assigning several addresses of other ENIs",
		call: func(s *stage) error {
			return s.tryAssign(ec2.AssignPrivateIpAddressesInput{PrivateIpAddresses: []string{s.looseIP, "10.0.0.200", s.primaryIP}})
		},
		code: "InvalidParameterValue",
		messageOf: func(s *stage) string {
			return "[" + s.looseIP + ", " + s.primaryIP + "] assigned, but move is not allowed."
		},
	},
	{
		name:    "assigning nothing",
		call:    func(s *stage) error { return s.tryAssign(ec2.AssignPrivateIpAddressesInput{}) },
		code:    "InvalidParameter",
		message: "One of privateIpAddressSet or privateIpAddressCount or ipv4PrefixSet or ipv4PrefixCount must be specified.",
	},
	{
		name: "assigning addresses and prefixes",
		call: func(s *stage) error {
			return s.tryAssign(ec2.AssignPrivateIpAddressesInput{SecondaryPrivateIpAddressCount: aws.Int32(1), Ipv4PrefixCount: aws.Int32(1)})
		},
		code: "InvalidParameterCombination",
		message: "You may specify one and only one of privateIpAddressSet or secondaryPrivateIpAddressCount " +
			"or ipv4Prefixes or ipv4PrefixCount, but not more than one of them.",
	},
	{
		name: "unassigning a foreign address",
		call: func(s *stage) error { return s.tryUnassign(s.looseIP) },
		code: "InvalidParameterValue",
		messageOf: func(s *stage) string {
			return "Some of the specified addresses are not assigned to interface " + s.attached
		},
	},
	{
		name: "unassigning the primary address",
		call: func(s *stage) error { return s.tryUnassign(s.attachedIP) },
		code: "InvalidParameterValue",
		messageOf: func(s *stage) string {
			return "Value (" + s.attachedIP + ") for parameter privateIpAddress is invalid. " +
				"The primary IP address of an interface cannot be unassigned."
		},
	},
	{
		name: "assigning a count of none",
		call: func(s *stage) error {
			return s.tryAssign(ec2.AssignPrivateIpAddressesInput{SecondaryPrivateIpAddressCount: aws.Int32(0)})
		},
		code:    "InvalidParameterValue",
		message: "Value (0) for parameter secondaryPrivateIpAddressCount is invalid. Value must be a positive number.",
	},
	{
		name: "creating with a negative count",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{SecondaryPrivateIpAddressCount: aws.Int32(-1)})
		},
		code:    "InvalidParameterValue",
		message: "Value (-1) for parameter secondaryPrivateIpAddressCount is invalid. Value must be a positive number.",
	},
	{
		name: "creating with two primary addresses",
		call: func(s *stage) error {
			return s.tryCreate(ec2.CreateNetworkInterfaceInput{
				PrivateIpAddress:   aws.String("10.0.0.200"),
				PrivateIpAddresses: []types.PrivateIpAddressSpecification{{PrivateIpAddress: aws.String("10.0.0.201"), Primary: aws.Bool(true)}},
			})
		},
		code: "InvalidParameterValue", message: "Only one primary private IP address can be specified.",
	},
}
