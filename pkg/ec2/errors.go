/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"
	"errors"
	"net/http"
	"strings"

	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Class says what an EC2 error means for who made the call.
type Class string

const (
	// ClassThrottled: the action's rate limit is reached; the same call later.
	ClassThrottled Class = "Throttled"
	// ClassNotFound: EC2 does not know an id, or not yet.
	ClassNotFound Class = "NotFound"
	// ClassCapacity: the subnet has too few free addresses; another may do.
	ClassCapacity Class = "Capacity"
	// ClassQuota: a limit of the account or the instance is reached.
	ClassQuota Class = "Quota"
	// ClassConflict: something is not in the state that the call needs (attached,
	// in use, starting); look, then decide anew.
	ClassConflict Class = "Conflict"
	// ClassUnauthorized: the IAM identity may not make the call.
	ClassUnauthorized Class = "Unauthorized"
	// ClassTerminal: EC2 refuses the parameters; only other ones help.
	ClassTerminal Class = "Terminal"
	// ClassRetryable: an error that passes, an outage included.
	ClassRetryable Class = "Retryable"
	// ClassNotLeader: the call was not sent, because this replica may not lead any
	// more. Say nothing and write nothing: it is another's turn, or will be ours again.
	ClassNotLeader Class = "NotLeader"
	// ClassRefused: the operator itself did not send the call; the error has its own
	// reason and remedy.
	ClassRefused Class = "Refused"
)

// Error codes that decisions elsewhere name.
const (
	CodeIdempotentParameterMismatch = "IdempotentParameterMismatch"
	CodeInsufficientFreeAddresses   = "InsufficientFreeAddressesInSubnet"
	CodeInsufficientCidrBlocks      = "InsufficientCidrBlocks"
	CodeInvalidParameterValue       = "InvalidParameterValue"
	CodeAddressInUse                = "InvalidIPAddress.InUse"
	CodeAttachmentLimit             = "AttachmentLimitExceeded"
)

// classes is the only place that knows EC2's error codes.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
var classes = map[string]Class{
	"RequestLimitExceeded": ClassThrottled,
	"Throttling":           ClassThrottled,
	"ThrottlingException":  ClassThrottled,

	"InvalidNetworkInterfaceID.NotFound": ClassNotFound,
	"InvalidInstanceID.NotFound":         ClassNotFound,
	"InvalidAttachmentID.NotFound":       ClassNotFound,
	"InvalidSubnetID.NotFound":           ClassNotFound,
	"InvalidGroup.NotFound":              ClassNotFound,
	// Spellings of the API reference.
	"InvalidNetworkInterface.NotFound":              ClassNotFound,
	"InvalidSubnet":                                 ClassNotFound,
	"InvalidSubnetId.NotFound":                      ClassNotFound,
	"InvalidNetworkInterfaceAttachmentId.Malformed": ClassTerminal,

	CodeInsufficientFreeAddresses: ClassCapacity,
	CodeInsufficientCidrBlocks:    ClassCapacity,

	"NetworkInterfaceLimitExceeded":           ClassQuota,
	CodeAttachmentLimit:                       ClassQuota,
	"PrivateIpAddressLimitExceeded":           ClassQuota,
	"SecurityGroupsPerInterfaceLimitExceeded": ClassQuota,
	"TagLimitExceeded":                        ClassQuota,
	"ResourceLimitExceeded":                   ClassQuota,

	"InvalidNetworkInterface.InUse": ClassConflict,
	CodeAddressInUse:                ClassConflict,
	"Resource.AlreadyAssigned":      ClassConflict,
	"IncorrectState":                ClassConflict,
	"IncorrectInstanceState":        ClassConflict,
	"DependencyViolation":           ClassConflict,
	CodeIdempotentParameterMismatch: ClassConflict,

	"UnauthorizedOperation":       ClassUnauthorized,
	"AuthFailure":                 ClassUnauthorized,
	"OptInRequired":               ClassUnauthorized,
	"Blocked":                     ClassUnauthorized,
	"UnrecognizedClientException": ClassUnauthorized,
	"InvalidClientTokenId":        ClassUnauthorized,
	"ExpiredToken":                ClassUnauthorized,
	"SignatureDoesNotMatch":       ClassUnauthorized,
	"PendingVerification":         ClassUnauthorized,
	// STS's, whom the SDK asks for credentials first.
	"AccessDenied":          ClassUnauthorized,
	"AccessDeniedException": ClassUnauthorized,
	"ExpiredTokenException": ClassUnauthorized,
	"InvalidIdentityToken":  ClassUnauthorized,

	"RequestExpired":      ClassRetryable,
	"ConcurrentTagAccess": ClassRetryable,
	"RetryableError":      ClassRetryable,
	// The SDK's own name for an answer without a code, such as a proxy's.
	"UnknownError": ClassRetryable,

	CodeInvalidParameterValue:             ClassTerminal,
	"InvalidParameterCombination":         ClassTerminal,
	"InvalidParameter":                    ClassTerminal,
	"MissingParameter":                    ClassTerminal,
	"UnknownParameter":                    ClassTerminal,
	"InvalidNetworkInterfaceId.Malformed": ClassTerminal,
	"InvalidNetworkInterfaceID.Malformed": ClassTerminal,
	"InvalidInstanceID.Malformed":         ClassTerminal,
	"InvalidSubnetID.Malformed":           ClassTerminal,
	"InvalidGroupId.Malformed":            ClassTerminal,
	"InvalidGroupID.Malformed":            ClassTerminal,
	"InvalidSecurityGroupID.NotFound":     ClassNotFound,
	"OperationNotPermitted":               ClassTerminal,
	"InvalidInstanceType":                 ClassTerminal,
	"TagPolicyViolation":                  ClassTerminal,
	"InvalidTagKey.Malformed":             ClassTerminal,
	"InvalidRequest":                      ClassTerminal,
	"InvalidCharacter":                    ClassTerminal,
	"UnsupportedOperation":                ClassTerminal,
}

// notSentError is a call that gave up before it was sent.
type notSentError struct{ cause error }

func (e *notSentError) Error() string { return "waiting for the EC2 rate limit: " + e.cause.Error() }
func (e *notSentError) Unwrap() error { return e.cause }

// Unsent reports that the call was not sent.
func (*notSentError) Unsent() bool { return true }

// notLeaderError is a write that the gate refused.
type notLeaderError struct{ cause error }

func (e *notLeaderError) Error() string { return "not sent to EC2: " + e.cause.Error() }
func (e *notLeaderError) Unwrap() error { return e.cause }

// Unsent reports that the call was not sent.
func (*notLeaderError) Unsent() bool { return true }

// unsent is an error of a call that was never sent, so that its outcome is known.
type unsent interface {
	error
	Unsent() bool
}

// reasoned is an error with a condition's reason of its own. Its text names the remedy.
type reasoned interface {
	error
	Reason() string
}

// NotLeader says that a gate kept a write back; see WithGate.
func NotLeader(err error) bool {
	var refused *notLeaderError
	return errors.As(err, &refused)
}

// Classify tells the class of an error of a Client. Codes that it does not know
// are ClassTerminal for a 4xx answer, else ClassRetryable.
func Classify(err error) Class {
	if NotLeader(err) {
		return ClassNotLeader
	}
	var own reasoned
	if errors.As(err, &own) {
		return ClassRefused
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ClassRetryable
	}
	if Capacity(err) != NoShortage {
		return ClassCapacity
	}
	if class, ok := classes[api.ErrorCode()]; ok {
		return class
	}
	if status := httpStatus(err); status >= http.StatusBadRequest && status < http.StatusInternalServerError {
		return ClassTerminal
	}
	return ClassRetryable
}

// UnknownID reports whether an error says that nothing in EC2 has the id that was asked
// for: EC2 does not find it, or gives no id of such a form to anything.
func UnknownID(err error) bool {
	return Classify(err) == ClassNotFound || strings.HasSuffix(Code(err), ".Malformed")
}

// Code returns EC2's error code, or "" where EC2 did not answer.
func Code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// Action returns the API action that failed, as in CreateNetworkInterface, or
// "" where none was called.
func Action(err error) string {
	var operation *smithy.OperationError
	if errors.As(err, &operation) {
		return operation.Operation()
	}
	return ""
}

// Unclear says that the call may have had its effect: it was sent, and the answer
// was lost or says nothing about it. Look before acting again.
func Unclear(err error) bool {
	var never unsent
	if err == nil || (errors.As(err, &never) && never.Unsent()) {
		return false
	}
	if Code(err) == "" {
		return true
	}
	return Classify(err) == ClassRetryable && httpStatus(err) >= http.StatusInternalServerError
}

// Cancelled says that the caller's context ended, not the call.
func Cancelled(err error) bool {
	return errors.Is(err, context.Canceled)
}

func httpStatus(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}
