/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// asItShouldBe is the status of an ENI that is as it should be.
func asItShouldBe() *v1alpha1.ElasticNetworkInterface {
	eni := settled().eni
	eni.Spec.AddressCount = 2
	eni.Status.Addresses = []v1alpha1.Address{"10.0.0.5", "10.0.0.6"}
	eni.Status.Attachment = &v1alpha1.Attachment{ID: "eni-attach-1", InstanceID: instanceA}
	eni.Status.SubnetCIDR = "10.0.0.0/24"
	return eni
}

// TestConditions derives them from what is known, and from what was decided or
// went wrong.
func TestConditions(t *testing.T) {
	for _, test := range []struct {
		name     string
		change   func(eni *v1alpha1.ElasticNetworkInterface, o *observation)
		decision decision
		err      error
		want     string // Created, Attached, AddressesAssigned, Ready
	}{
		{
			name: "all is well", decision: decision{reason: v1alpha1.ReasonReady},
			want: "True Created, True Attached, True Assigned, True Ready",
		},
		{
			name: "not created", decision: decision{reason: v1alpha1.ReasonCreating},
			change: func(eni *v1alpha1.ElasticNetworkInterface, _ *observation) {
				eni.Status = v1alpha1.ElasticNetworkInterfaceStatus{}
			},
			want: "False Creating, False Creating, False Creating, False Creating",
		},
		{
			name: "attaching", decision: decision{reason: v1alpha1.ReasonAttaching},
			change: func(eni *v1alpha1.ElasticNetworkInterface, _ *observation) { eni.Status.Attachment = nil },
			want:   "True Created, False Attaching, True Assigned, False Attaching",
		},
		{
			name: "assigning", decision: decision{reason: v1alpha1.ReasonAssigning},
			change: func(eni *v1alpha1.ElasticNetworkInterface, _ *observation) { eni.Spec.AddressCount = 3 },
			want:   "True Created, True Attached, False Assigning, False Assigning",
		},
		{
			name: "too few prefixes", decision: decision{reason: v1alpha1.ReasonAssigning},
			change: func(eni *v1alpha1.ElasticNetworkInterface, _ *observation) { eni.Spec.PrefixCount = 1 },
			want:   "True Created, True Attached, False Assigning, False Assigning",
		},
		{
			name: "gone", decision: decision{reason: v1alpha1.ReasonNotFound},
			change: func(_ *v1alpha1.ElasticNetworkInterface, o *observation) { o.presence = gone },
			want:   "False NotFound, False NotFound, False NotFound, False NotFound",
		},
		{
			name: "foreign", decision: decision{reason: v1alpha1.ReasonNotOwned},
			change: func(_ *v1alpha1.ElasticNetworkInterface, o *observation) { o.ownership = foreign },
			want:   "False NotOwned, False NotOwned, False NotOwned, False NotOwned",
		},
		{
			name: "no CIDR", decision: decision{reason: v1alpha1.ReasonReady}, err: &noCIDRError{subnetID: "subnet-a"},
			change: func(eni *v1alpha1.ElasticNetworkInterface, _ *observation) { eni.Status.SubnetCIDR = "" },
			want:   "True Created, True Attached, True Assigned, False InProgress",
		},
		{
			name: "deleting", decision: decision{reason: v1alpha1.ReasonDeleting},
			change: func(eni *v1alpha1.ElasticNetworkInterface, _ *observation) { eni.DeletionTimestamp = ago(0) },
			want:   "True Created, True Attached, True Assigned, False Deleting",
		},
		{
			name: "paused, and well", decision: pausedDecision,
			want: "True Created, True Attached, True Assigned, True Paused",
		},
		{
			name: "paused, and not attached", decision: pausedDecision,
			change: func(eni *v1alpha1.ElasticNetworkInterface, _ *observation) { eni.Status.Attachment = nil },
			want:   "True Created, False Paused, True Assigned, False Paused",
		},
		{
			name: "a failure that hurts nobody", decision: decision{reason: v1alpha1.ReasonReady}, err: errors.New("no tags today"),
			want: "True Created, True Attached, True Assigned, True EC2Error",
		},
		{
			name: "no slot", decision: decision{reason: v1alpha1.ReasonAttaching}, err: &noSlotError{instanceID: instanceA},
			change: func(eni *v1alpha1.ElasticNetworkInterface, _ *observation) { eni.Status.Attachment = nil },
			want:   "True Created, False NoFreeDeviceIndex, True Assigned, False NoFreeDeviceIndex",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			eni, o := asItShouldBe(), settled()
			eni.Generation = 7
			if test.change != nil {
				test.change(eni, &o)
			}
			test.decision.message = "why"
			setConditions(eni, o, test.decision, test.err)
			var got []string
			for _, kind := range []string{
				v1alpha1.ConditionCreated, v1alpha1.ConditionAttached, v1alpha1.ConditionAddressesAssigned, v1alpha1.ConditionReady,
			} {
				got = append(got, condition(eni, kind))
				c := meta.FindStatusCondition(eni.Status.Conditions, kind)
				assert.Equal(t, c.ObservedGeneration, int64(7))
				assert.Assert(t, c.Status == metav1.ConditionTrue || c.Message != "", "%s does not say why", kind)
			}
			assert.Equal(t, strings.Join(got, ", "), test.want)
		})
	}
}

func TestStates(t *testing.T) {
	attached := func(status *v1alpha1.ElasticNetworkInterfaceStatus) { status.Attachment = &v1alpha1.Attachment{} }
	for _, test := range []struct {
		name     string
		status   func(status *v1alpha1.ElasticNetworkInterfaceStatus)
		observe  func(o *observation)
		decision decision
		want     v1alpha1.ENIState
	}{
		{"nothing yet", unknownID, nil, decision{action: actNothing}, v1alpha1.ENIPending},
		{"recorded", func(s *v1alpha1.ElasticNetworkInterfaceStatus) { s.NetworkInterfaceID = "" }, nil, decision{action: actCreate}, v1alpha1.ENICreating},
		{"created", nil, nil, decision{action: actAttach, reason: v1alpha1.ReasonAttaching}, v1alpha1.ENIAttaching},
		{"no instance", nil, nil, decision{action: actNothing, reason: v1alpha1.ReasonNodeUnknown}, v1alpha1.ENIAvailable},
		{"attached", attached, nil, decision{action: actNothing, reason: v1alpha1.ReasonReady}, v1alpha1.ENIAttached},
		{"in use", attached, nil, decision{action: actWait, reason: v1alpha1.ReasonWaitingForDrain}, v1alpha1.ENIAttached},
		{"detaching", attached, nil, decision{action: actDetach, detaching: true, reason: v1alpha1.ReasonDeleting}, v1alpha1.ENIDetaching},
		{"moving", attached, nil, decision{action: actDetach, detaching: true, reason: v1alpha1.ReasonInProgress}, v1alpha1.ENIDetaching},
		{"retained where it is", attached, nil, decision{action: actSetTags, reason: v1alpha1.ReasonDeleting}, v1alpha1.ENIAttached},
		{"detached", nil, func(o *observation) { o.actual.attachment = nil }, decision{action: actDelete, reason: v1alpha1.ReasonDeleting}, v1alpha1.ENIDeleting},
		{"deleted outside the operator", nil, func(o *observation) { o.presence, o.actual = gone, actual{} }, decision{action: actNothing, reason: v1alpha1.ReasonNotFound}, v1alpha1.ENILost},
		{
			"a read failed", func(s *v1alpha1.ElasticNetworkInterfaceStatus) { attached(s); s.State = v1alpha1.ENIDetaching }, nil,
			decision{}, v1alpha1.ENIDetaching,
		},
		{"the first read failed", unknownID, nil, decision{}, v1alpha1.ENIPending},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := settled()
			if test.status != nil {
				test.status(&o.eni.Status)
			}
			if test.observe != nil {
				test.observe(&o)
			}
			setState(o.eni, o, test.decision)
			assert.Equal(t, o.eni.Status.State, test.want)
		})
	}
}

func unknownID(status *v1alpha1.ElasticNetworkInterfaceStatus) {
	*status = v1alpha1.ElasticNetworkInterfaceStatus{}
}

func TestTransitionsAreTheLast(t *testing.T) {
	o := settled()
	o.eni.Status.State = v1alpha1.ENIPending
	for n := range 15 {
		o.now = start.Add(time.Duration(n) * time.Minute)
		reason := v1alpha1.ReasonNodeUnknown // Available
		if n%2 == 1 {
			reason = v1alpha1.ReasonAttaching
		}
		for range 2 { // a state that stays is no transition
			setState(o.eni, o, decision{action: actNothing, reason: reason})
		}
	}
	transitions := o.eni.Status.Transitions
	assert.Equal(t, len(transitions), maxTransitions)
	assert.Equal(t, transitions[9].State, v1alpha1.ENIAvailable)
	assert.Assert(t, transitions[9].At.Time.Equal(start.Add(14*time.Minute)))
	assert.Assert(t, transitions[0].At.Time.Equal(start.Add(5*time.Minute)))
}

func TestExplain(t *testing.T) {
	for _, test := range []struct {
		err    error
		reason string
		text   string
	}{
		{&noSlotError{instanceID: instanceA}, v1alpha1.ReasonNoFreeDeviceIndex, "lower minDeviceIndex"},
		{&noCIDRError{subnetID: "subnet-a"}, v1alpha1.ReasonInProgress, "subnet-a"},
		{&subnetFullError{subnetID: "subnet-a", cause: errors.New("x")}, v1alpha1.ReasonSubnetExhausted, "next candidate subnet"},
		{errors.New("something"), v1alpha1.ReasonEC2Error, "something"},
	} {
		for _, err := range []error{test.err, fmt.Errorf("wrapped: %w", test.err)} {
			reason, text := explain(err)
			assert.Equal(t, reason, test.reason)
			assert.Assert(t, strings.Contains(text, test.text), text)
		}
	}
}

// TestAReasonedErrorIsReportedInItsOwnWords: what was being done is for the log.
func TestAReasonedErrorIsReportedInItsOwnWords(t *testing.T) {
	own := &noSlotError{instanceID: "i-1"}
	reason, text := explain(fmt.Errorf("attaching eni-1: %w", own))
	assert.Equal(t, reason, own.reason())
	assert.Equal(t, text, own.Error())
}
