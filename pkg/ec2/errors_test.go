/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestEveryErrorHasAClass has every code of EC2 that the operator may meet, as it
// comes over the wire.
func TestEveryErrorHasAClass(t *testing.T) {
	for _, test := range []struct {
		code    string
		status  int // 400 if 0
		class   Class
		unclear bool
		reason  string
	}{
		{code: "RequestLimitExceeded", status: 503, class: ClassThrottled, reason: v1alpha1.ReasonThrottled},
		{code: "InvalidNetworkInterfaceID.NotFound", class: ClassNotFound, reason: v1alpha1.ReasonNotFound},
		{code: "InvalidInstanceID.NotFound", class: ClassNotFound, reason: v1alpha1.ReasonNotFound},
		{code: "InvalidAttachmentID.NotFound", class: ClassNotFound, reason: v1alpha1.ReasonNotFound},
		{code: "InvalidSubnetID.NotFound", class: ClassNotFound, reason: v1alpha1.ReasonNotFound},
		{code: "InvalidGroup.NotFound", class: ClassNotFound, reason: v1alpha1.ReasonNotFound},
		{code: "InvalidNetworkInterfaceId.Malformed", class: ClassTerminal, reason: v1alpha1.ReasonInvalidParameter},
		{code: "InvalidParameterValue", class: ClassTerminal, reason: v1alpha1.ReasonInvalidParameter},
		{code: "InvalidParameterCombination", class: ClassTerminal, reason: v1alpha1.ReasonInvalidParameter},
		{code: "MissingParameter", class: ClassTerminal, reason: v1alpha1.ReasonInvalidParameter},
		{code: "OperationNotPermitted", class: ClassTerminal, reason: v1alpha1.ReasonInvalidParameter},
		{code: "InvalidInstanceType", class: ClassTerminal, reason: v1alpha1.ReasonInvalidParameter},
		{code: "InvalidNetworkInterface.InUse", class: ClassConflict, reason: v1alpha1.ReasonEC2Error},
		{code: "InvalidIPAddress.InUse", class: ClassConflict, reason: v1alpha1.ReasonEC2Error},
		{code: "IncorrectState", class: ClassConflict, reason: v1alpha1.ReasonEC2Error},
		{code: "IdempotentParameterMismatch", class: ClassConflict, reason: v1alpha1.ReasonEC2Error},
		{code: "AttachmentLimitExceeded", class: ClassQuota, reason: v1alpha1.ReasonQuotaExceeded},
		{code: "PrivateIpAddressLimitExceeded", class: ClassQuota, reason: v1alpha1.ReasonQuotaExceeded},
		{code: "SecurityGroupsPerInterfaceLimitExceeded", class: ClassQuota, reason: v1alpha1.ReasonQuotaExceeded},
		{code: "NetworkInterfaceLimitExceeded", class: ClassQuota, reason: v1alpha1.ReasonQuotaExceeded},
		{code: "TagLimitExceeded", class: ClassQuota, reason: v1alpha1.ReasonQuotaExceeded},
		{code: "InsufficientFreeAddressesInSubnet", class: ClassCapacity, reason: v1alpha1.ReasonSubnetExhausted},
		{code: "InsufficientCidrBlocks", class: ClassCapacity, reason: v1alpha1.ReasonSubnetFragmented},
		{code: "UnauthorizedOperation", status: 403, class: ClassUnauthorized, reason: v1alpha1.ReasonUnauthorized},
		{code: "AuthFailure", status: 401, class: ClassUnauthorized, reason: v1alpha1.ReasonUnauthorized},
		{code: "AccessDenied", status: 403, class: ClassUnauthorized, reason: v1alpha1.ReasonUnauthorized},
		{code: "RequestExpired", class: ClassRetryable, reason: v1alpha1.ReasonEC2Error},
		{code: "InvalidNetworkInterface.NotFound", class: ClassNotFound, reason: v1alpha1.ReasonNotFound},
		{code: "InvalidSubnet", class: ClassNotFound, reason: v1alpha1.ReasonNotFound},
		{code: "Resource.AlreadyAssigned", class: ClassConflict, reason: v1alpha1.ReasonEC2Error},
		{code: "ResourceLimitExceeded", class: ClassQuota, reason: v1alpha1.ReasonQuotaExceeded},
		{code: "RetryableError", class: ClassRetryable, reason: v1alpha1.ReasonEC2Error},
		{code: "TagPolicyViolation", class: ClassTerminal, reason: v1alpha1.ReasonInvalidParameter},
		{code: "InvalidTagKey.Malformed", class: ClassTerminal, reason: v1alpha1.ReasonInvalidParameter},
		// Codes that nobody has told us of.
		{code: "SomethingNew", class: ClassTerminal, reason: v1alpha1.ReasonInvalidParameter},
		{code: "SomethingNew", status: 500, class: ClassRetryable, unclear: true, reason: v1alpha1.ReasonEC2Error},
		{code: "InternalError", status: 500, class: ClassRetryable, unclear: true, reason: v1alpha1.ReasonEC2Error},
		{code: "Unavailable", status: 503, class: ClassRetryable, unclear: true, reason: v1alpha1.ReasonEC2Error},
		{code: "ServiceUnavailable", status: 503, class: ClassRetryable, unclear: true, reason: v1alpha1.ReasonEC2Error},
	} {
		t.Run(fmt.Sprint(test.code, test.status), func(t *testing.T) {
			server, client := newEmulator(t)
			server.AddFault(emulator.Fault{Action: "DeleteNetworkInterface", Code: test.code, Status: test.status, Message: "Some text."})
			err := client.DeleteNetworkInterface(t.Context(), "eni-0123456789abcdef0")
			assert.Equal(t, Classify(err), test.class)
			assert.Equal(t, Code(err), test.code)
			assert.Equal(t, Unclear(err), test.unclear)
			assert.Equal(t, Action(err), "DeleteNetworkInterface")
			assert.Equal(t, server.Counts()["DeleteNetworkInterface"].Calls, 1, "a single attempt")
			reason, message := Explain(fmt.Errorf("wrapped: %w", err))
			assert.Equal(t, reason, test.reason)
			for _, part := range []string{"DeleteNetworkInterface", "Some text.", test.code} {
				assert.Assert(t, strings.Contains(message, part), message)
			}
			if test.class == ClassUnauthorized {
				assert.Assert(t, strings.Contains(message, "Allow ec2:DeleteNetworkInterface"), message)
			}
		})
	}
}

// TestAnswersThatAreNone: what is not EC2's answer says nothing of the effect, and
// above all not that nothing is there.
func TestAnswersThatAreNone(t *testing.T) {
	for _, test := range []struct {
		name    string
		answer  http.HandlerFunc
		unclear bool
	}{
		{"the connection is cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		{"an empty success", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }, true},
		{"an empty failure", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, true},
		{"a page of a proxy", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write([]byte("<html><body>Bad gateway</body></html>"))
		}, true},
		{"a refusal of a proxy", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte("<html><body>Blocked</body></html>"))
		}, false},
		{"half an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`<CreateNetworkInterfaceResponse><networkInterface>`))
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := connect(t, test.answer, plenty)
			eni, err := client.CreateNetworkInterface(t.Context(), CreateInput{SubnetID: "subnet-1", ClientToken: "a"})
			assert.Assert(t, err != nil, "an ENI from nothing: %+v", eni)
			assert.Equal(t, Unclear(err), test.unclear)
			assert.Equal(t, Classify(err), ClassRetryable)
			enis, err := client.DescribeNetworkInterfaces(t.Context())
			assert.Assert(t, err != nil, "no ENIs, from nothing: %v", enis)
			_, message := Explain(err)
			assert.Assert(t, strings.Contains(message, "DescribeNetworkInterfaces"), message)
		})
	}
}

// TestACallThatIsNeverAnsweredEnds, and frees the worker that waits for it.
func TestACallThatIsNeverAnsweredEnds(t *testing.T) {
	hold := make(chan struct{})
	client := connect(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }), plenty)
	defer close(hold)
	client.limiter.callTimeout = time.Millisecond
	err := client.DeleteNetworkInterface(t.Context(), "eni-0123456789abcdef0")
	assert.Assert(t, errors.Is(err, context.DeadlineExceeded) && !Cancelled(err))
	assert.Assert(t, Unclear(err), "it may have had its effect")
}

func TestWhatWasNotSentIsClear(t *testing.T) {
	server := emulator.New(emulator.Options{})
	client := connect(t, server, Limits{Default: Limit{Bucket: 1, PerSecond: 1e-9}})
	assert.Equal(t, Classify(client.DeleteNetworkInterface(t.Context(), "eni-0123456789abcdef0")), ClassNotFound)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { left <- client.DeleteNetworkInterface(ctx, "eni-0123456789abcdef0") }()
	for waiting(client) == 0 {
		runtime.Gosched()
	}
	cancel()
	err := <-left
	assert.Assert(t, errors.Is(err, context.Canceled) && Cancelled(err))
	assert.Assert(t, !Unclear(err))
	assert.Equal(t, Classify(err), ClassRetryable)
	assert.Equal(t, server.Counts()["DeleteNetworkInterface"].Calls, 1)
}

func TestErrorsThatAreNotOfEC2(t *testing.T) {
	assert.Assert(t, !Unclear(nil))
	err := errors.New("the API server is away")
	assert.Equal(t, Code(err)+Action(err), "")
	reason, message := Explain(err)
	assert.Equal(t, reason, v1alpha1.ReasonEC2Error)
	assert.Equal(t, message, "the API server is away. It is tried again.")
}
