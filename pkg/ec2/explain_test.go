/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

func TestExplainNamesTheMissingPermission(t *testing.T) {
	for message, want := range map[string]string{
		"You are not authorized to perform this operation.":                                                                        "Allow ec2:CreateNetworkInterface for",
		"You are not authorized to perform this operation. User: u is not authorized to perform: ec2:CreateTags on resource: arn…": "Allow ec2:CreateTags for",
	} {
		reason, text := Explain(&smithy.OperationError{
			ServiceID: "EC2", OperationName: "CreateNetworkInterface",
			Err: &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: message},
		})
		assert.Equal(t, reason, v1alpha1.ReasonUnauthorized)
		assert.Assert(t, strings.Contains(text, want), text)
	}
}
