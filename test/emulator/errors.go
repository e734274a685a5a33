/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// apiError is an error as EC2 answers it.
type apiError struct {
	Code    string
	Message string
	// Status is the HTTP status code.
	Status int
	// unreadable: the request could not be parsed.
	unreadable bool
}

func (e *apiError) Error() string {
	return e.Code + ": " + e.Message
}

// fail returns an error with HTTP status 400, the status of nearly all of
// EC2's errors.
func fail(code, format string, args ...any) error {
	return &apiError{Code: code, Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest}
}

func invalidValue(format string, args ...any) error {
	return fail(CodeInvalidParameterValue, format, args...)
}

func invalidCombination(format string, args ...any) error {
	return fail("InvalidParameterCombination", format, args...)
}

func missingParameter(name string) error {
	return &apiError{
		Code: "MissingParameter", Message: "The request must contain the parameter " + name,
		Status: http.StatusBadRequest, unreadable: true,
	}
}

// unreadable is the error for a parameter that is not of its kind, such as a number.
func unreadable(format string, args ...any) error {
	return &apiError{
		Code: CodeInvalidParameterValue, Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest, unreadable: true,
	}
}

func unknownParameter(name string) error {
	return &apiError{
		Code: "UnknownParameter", Message: fmt.Sprintf("The parameter %s is not recognized", name),
		Status: http.StatusBadRequest, unreadable: true,
	}
}

// dryRunOutcome is the answer of a dry run that passed the check of permissions,
// which is all that EC2 looks at, once the request could be parsed: err is what the
// request would have met.
func dryRunOutcome(err error) error {
	var known *apiError
	if errors.As(err, &known) && known.unreadable {
		return err
	}
	return dryRunSucceeded()
}

func invalidAction(name string) error {
	return fail("InvalidAction", "The action %s is not valid for this web service.", name)
}

func dryRunSucceeded() error {
	return &apiError{
		Code:    "DryRunOperation",
		Message: "Request would have succeeded, but DryRun flag is set.",
		Status:  http.StatusPreconditionFailed,
	}
}

const codeThrottled = "RequestLimitExceeded"

func throttled() error {
	return &apiError{
		Code:    codeThrottled,
		Message: "Request limit exceeded.",
		Status:  http.StatusServiceUnavailable,
	}
}

func eniNotFound(id string) error {
	return fail("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", id)
}

func attachmentNotFound(id string) error {
	if !wellFormed("eni-attach", id) {
		return malformed("InvalidNetworkInterfaceAttachmentId.Malformed", "eni-attach", id)
	}
	return fail("InvalidAttachmentID.NotFound", "The interface attachment '%s' does not exist.", id)
}

func instanceNotFound(ids ...string) error {
	noun, verb := "ID", "does"
	if len(ids) > 1 {
		noun, verb = "IDs", "do"
	}
	return fail("InvalidInstanceID.NotFound", "The instance %s '%s' %s not exist", noun, strings.Join(ids, ", "), verb)
}

func subnetFull() error {
	return fail(CodeInsufficientFreeAddresses,
		"The specified subnet does not have enough free addresses to satisfy the request.")
}

func addressLimitExceeded() error {
	return fail("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
}

func unsupported(format string, args ...any) error {
	return fail("UnsupportedOperation", format, args...)
}

// firstError returns the first error that is not nil.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func eniInUse(id string) error {
	return fail("InvalidNetworkInterface.InUse", "Interface: [%s] in use.", id)
}

func differentZones() error {
	return invalidCombination("You may not attach a network interface to an instance " +
		"if they are not in the same availability zone")
}
