/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import "net/http"

// DocumentedFaults returns a fault for each code of EC2's documentation that the
// emulator never answers by itself, on an action that may meet it. A client that knows
// only the usual spelling of an error can be tested with them.
func DocumentedFaults() []Fault {
	const notThere = "The networkInterface ID 'eni-0000000000000dead' does not exist"
	return []Fault{
		{Action: "DetachNetworkInterface", Code: "InvalidNetworkInterface.NotFound", Message: notThere},
		{Action: "CreateNetworkInterface", Code: "InvalidSubnet", Message: "The subnet ID is not valid."},
		{Action: "CreateNetworkInterface", Code: "InvalidSubnetId.NotFound", Message: "The subnet ID 'subnet-0000000000000dead' does not exist"},
		{Action: "AssignPrivateIpAddresses", Code: "Resource.AlreadyAssigned", Message: "10.0.0.9 is already assigned."},
		{Action: "CreateNetworkInterface", Code: "TagPolicyViolation", Message: "The tag policy does not allow the specified value for the tag key."},
		{Action: "AttachNetworkInterface", Code: "RetryableError", Message: "The request can be retried.", Status: http.StatusInternalServerError},
		{Action: "CreateNetworkInterface", Code: "ResourceLimitExceeded", Message: "You have exceeded an Amazon EC2 resource limit."},
		{Action: "CreateTags", Code: "InvalidTagKey.Malformed", Message: "The specified tag key is not valid."},
		{Action: "AssignPrivateIpAddresses", Code: "InvalidRequest", Message: "The request is not valid."},
		{Action: "ModifyNetworkInterfaceAttribute", Code: "InvalidCharacter", Message: "A specified character is invalid."},
	}
}
