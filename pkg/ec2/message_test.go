/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	smithy "github.com/aws/smithy-go"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

func refusal(code, message string) error {
	return fmt.Errorf("wrapped: %w", &smithy.OperationError{
		ServiceID: "EC2", OperationName: "AttachNetworkInterface", Err: &smithy.GenericAPIError{Code: code, Message: message},
	})
}

// TestMessagesAreTheSameEachTime, or each try would be a write and an event.
func TestMessagesAreTheSameEachTime(t *testing.T) {
	for name, text := range map[string]func(random string) error{
		"encoded": func(random string) error {
			return refusal("UnauthorizedOperation", "You are not authorized to perform: ec2:AttachNetworkInterface. "+
				"Encoded authorization failure message: "+strings.Repeat(random, 100))
		},
		"request id": func(random string) error {
			return errors.New("operation error EC2: AttachNetworkInterface, https response error StatusCode: 0, RequestID: " + random + ", canceled")
		},
		"request id in words": func(random string) error {
			return refusal("InternalError", "An error occurred (Request ID: "+random+")")
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, one := Explain(text("0a1b2c3d-0000"))
			_, other := Explain(text("9f8e7d6c-1111"))
			assert.Equal(t, one, other)
			assert.Assert(t, !strings.Contains(one, "Encoded") && !strings.Contains(one, "0a1b2c3d"), one)
		})
	}
}

func TestMessagesFitIntoAnEvent(t *testing.T) {
	_, message := Explain(refusal("UnauthorizedOperation", strings.Repeat("ü", 3000)))
	assert.Assert(t, len(message) <= MaxMessage, "%d", len(message))
	assert.Assert(t, utf8.ValidString(message))
	assert.Equal(t, Cut("short", 10), "short")
}

func TestCapacity(t *testing.T) {
	for _, test := range []struct {
		code, message string
		want          Shortage
		reason        string
	}{
		{CodeInsufficientFreeAddresses, "Insufficient free addresses in subnet.", Exhausted, v1alpha1.ReasonSubnetExhausted},
		{CodeInsufficientCidrBlocks, "The specified subnet does not have enough free cidr blocks to satisfy the request.", Fragmented, v1alpha1.ReasonSubnetFragmented},
		{CodeInvalidParameterValue, "There aren't sufficient free Ipv4 addresses or prefixes", Exhausted, v1alpha1.ReasonSubnetExhausted},
		{CodeInvalidParameterValue, "Invalid interface description.", NoShortage, v1alpha1.ReasonInvalidParameter},
		{"", "lost", NoShortage, v1alpha1.ReasonEC2Error},
	} {
		err := refusal(test.code, test.message)
		assert.Equal(t, Capacity(err), test.want, test.message)
		reason, _ := Explain(err)
		if test.code != "" {
			assert.Equal(t, reason, test.reason)
			assert.Equal(t, Classify(err) == ClassCapacity, test.want != NoShortage)
		}
	}
	assert.Equal(t, Capacity(nil), NoShortage)
}
