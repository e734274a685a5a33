/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"net/http"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestDocumentedFaults asserts that each can be met, with its code and text.
func TestDocumentedFaults(t *testing.T) {
	for _, fault := range emulator.DocumentedFaults() {
		t.Run(fault.Code, func(t *testing.T) {
			server := emulator.New(unthrottled())
			server.AddFault(fault)
			status, got := post(server, "", form(fault.Action))
			assert.Equal(t, got.Code, fault.Code)
			assert.Equal(t, got.Message, fault.Message)
			assert.Assert(t, status == http.StatusBadRequest || status == fault.Status)
		})
	}
}
