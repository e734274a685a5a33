/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import "net/url"

// handler executes an action. It is called with the Region's lock held.
type handler func(*region, *request) (result, error)

// action is an action of EC2's API.
type action struct {
	handle handler
	// mutating actions can change state.
	mutating bool
	bucket   Bucket
	// plain, where set, takes the place of bucket for requests with neither a
	// filter nor pagination.
	plain Bucket
	// instances, where set, counts the tokens that a request takes from
	// instanceBucket in addition.
	instances      func(url.Values) int
	instanceBucket Bucket
}

func read(handle handler) action { return action{handle: handle, bucket: reads} }

// list is a read that costs more with neither a filter nor pagination.
func list(handle handler) action { return action{handle: handle, bucket: reads, plain: plainReads} }

func write(handle handler, bucket Bucket) action {
	return action{handle: handle, mutating: true, bucket: bucket}
}

// actions is what the emulator implements. Any other action is answered with
// InvalidAction.
var actions = map[string]action{
	"DescribeAvailabilityZones":         read(describeAvailabilityZones),
	"DescribeInstanceAttribute":         read(describeInstanceAttribute),
	"DescribeInstanceStatus":            read(describeInstanceStatus),
	"DescribeInstanceTypes":             read(describeInstanceTypes),
	"DescribeInstances":                 list(describeInstances),
	"DescribeNetworkInterfaceAttribute": read(describeNetworkInterfaceAttribute),
	"DescribeNetworkInterfaces":         list(describeNetworkInterfaces),
	"DescribeRegions":                   read(describeRegions),
	"DescribeSecurityGroups":            list(describeSecurityGroups),
	"DescribeSubnets":                   read(describeSubnets),
	"DescribeTags":                      read(describeTags),
	"DescribeVpcs":                      read(describeVPCs),
	"GetSubnetCidrReservations":         read(getSubnetReservations),

	"AssignPrivateIpAddresses":        write(assignPrivateIPAddresses, networkWrites),
	"AttachNetworkInterface":          write(attachNetworkInterface, otherWrites),
	"CreateNetworkInterface":          write(createNetworkInterface, networkWrites),
	"CreateSecurityGroup":             write(createSecurityGroup, otherWrites),
	"CreateSubnet":                    write(createSubnet, otherWrites),
	"CreateSubnetCidrReservation":     write(createSubnetReservation, otherWrites),
	"CreateTags":                      write(createTags, tagWrites),
	"CreateVpc":                       write(createVPC, otherWrites),
	"DeleteNetworkInterface":          write(deleteNetworkInterface, networkWrites),
	"DeleteSecurityGroup":             write(deleteSecurityGroup, otherWrites),
	"DeleteSubnet":                    write(deleteSubnet, otherWrites),
	"DeleteSubnetCidrReservation":     write(deleteSubnetReservation, otherWrites),
	"DeleteTags":                      write(deleteTags, tagWrites),
	"DeleteVpc":                       write(deleteVPC, otherWrites),
	"DetachNetworkInterface":          write(detachNetworkInterface, otherWrites),
	"ModifyInstanceAttribute":         write(modifyInstanceAttribute, otherWrites),
	"ModifyNetworkInterfaceAttribute": write(modifyNetworkInterfaceAttribute, networkWrites),
	"ModifySubnetAttribute":           write(modifySubnetAttribute, otherWrites),
	"ResetNetworkInterfaceAttribute":  write(resetNetworkInterfaceAttribute, otherWrites),
	"UnassignPrivateIpAddresses":      write(unassignPrivateIPAddresses, networkWrites),

	"StartInstances": {
		handle: startInstances, mutating: true, bucket: starts,
		instances: instanceCount, instanceBucket: started,
	},
	"StopInstances": {
		handle: stopInstances, mutating: true, bucket: otherWrites,
		instances: instanceCount, instanceBucket: stopped,
	},
	"RunInstances": {
		handle: runInstances, mutating: true, bucket: launches,
		instances: launchCount, instanceBucket: launched,
	},
	"TerminateInstances": {
		handle: terminateInstances, mutating: true, bucket: terminations,
		instances: instanceCount, instanceBucket: terminated,
	},
}
