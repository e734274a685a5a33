/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// Explain returns the condition reason of a failed call, and a sentence that
// says what failed and what to do.
func Explain(err error) (reason, message string) {
	var own reasoned
	if errors.As(err, &own) {
		return own.Reason(), Message(own)
	}
	what := whatFailed(err)
	switch Classify(err) {
	case ClassThrottled:
		return v1alpha1.ReasonThrottled, what + ". It is tried again."
	case ClassNotFound:
		return v1alpha1.ReasonNotFound, what + ". Name one that exists; it is tried again."
	case ClassCapacity:
		return explainCapacity(err, what)
	case ClassQuota:
		return v1alpha1.ReasonQuotaExceeded, what + ". Ask for less, or have the quota raised."
	case ClassUnauthorized:
		return v1alpha1.ReasonUnauthorized, fmt.Sprintf("%s. Allow ec2:%s for the operator's IAM identity.", what, missingAction(err))
	case ClassTerminal:
		return v1alpha1.ReasonInvalidParameter, what + ". Change what the spec asks for."
	default:
		return v1alpha1.ReasonEC2Error, what + ". It is tried again."
	}
}

// whatFailed names the call, EC2's text and its code.
func whatFailed(err error) string {
	what := Message(err)
	if action := Action(err); action != "" {
		what = fmt.Sprintf("EC2 %s: %s", action, what)
	}
	if code := Code(err); code != "" {
		what = fmt.Sprintf("%s (%s)", what, code)
	}
	return what
}

// explainCapacity distinguishes a subnet that is full from one that is fragmented.
func explainCapacity(err error, what string) (reason, message string) {
	if Capacity(err) == Fragmented {
		return v1alpha1.ReasonSubnetFragmented, what + ". The subnet has no free block of 16 addresses: " +
			"add a subnet to subnetSelectorTerms, or reserve a CIDR of this one for prefixes."
	}
	return v1alpha1.ReasonSubnetExhausted, what + ". Add a subnet with free addresses to subnetSelectorTerms, or free some."
}

// refusedAction finds the action in IAM's refusals. It may be another than the one
// that was called: creating with tags needs CreateTags too.
var refusedAction = regexp.MustCompile(`not authorized to perform: ec2:([A-Za-z0-9]+)`)

// missingAction is the IAM action that an unauthorised call lacks, as far as EC2 says.
func missingAction(err error) string {
	if named := refusedAction.FindStringSubmatch(Message(err)); named != nil {
		return named[1]
	}
	return Action(err)
}
