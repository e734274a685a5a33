/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"errors"
	"testing"

	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// A refused creation is tried again and again; what people see of it must not
// swing between the trouble and the next attempt.
func TestNextAttemptKeepsTheReasonOfTheLast(t *testing.T) {
	eni := &v1alpha1.ElasticNetworkInterface{}
	ready := func() string {
		return meta.FindStatusCondition(eni.Status.Conditions, v1alpha1.ConditionReady).Reason
	}
	first := decision{action: actRecord, reason: v1alpha1.ReasonCreating, record: v1alpha1.CreationRecord{Attempt: 1}}
	setConditions(eni, observation{eni: eni}, first, nil)
	assert.Equal(t, ready(), v1alpha1.ReasonCreating)

	refused := decision{action: actCreate, reason: v1alpha1.ReasonCreating}
	setConditions(eni, observation{eni: eni}, refused, &subnetFullError{subnetID: "subnet-1", cause: errors.New("full")})
	assert.Equal(t, ready(), v1alpha1.ReasonSubnetExhausted)

	next := decision{action: actRecord, reason: v1alpha1.ReasonCreating, record: v1alpha1.CreationRecord{Attempt: 2}}
	setConditions(eni, observation{eni: eni}, next, nil)
	assert.Equal(t, ready(), v1alpha1.ReasonSubnetExhausted)
}
