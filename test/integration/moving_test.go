/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"gotest.tools/v3/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// awaitMoved waits until an ENI is attached to an instance, and checks that it is
// the same ENI, which was detached once and attached once more.
func (s *scenario) awaitMoved(before *v1alpha1.ElasticNetworkInterface, instance string) {
	s.t.Helper()
	after := before.DeepCopy()
	s.awaitENI(after, "is moved", func() error {
		if after.Status.Attachment == nil {
			return differ("attached", false, true)
		}
		return first(differ("instance", after.Status.Attachment.InstanceID, instance),
			conditionIs(after.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady))
	})
	was, is := before.Status, after.Status
	assert.DeepEqual(s.t, []any{is.NetworkInterfaceID, is.MACAddress, is.PrimaryAddress, is.Addresses, is.SubnetID},
		[]any{was.NetworkInterfaceID, was.MACAddress, was.PrimaryAddress, was.Addresses, was.SubnetID})
	actual := s.eni(s.t.Context(), is.NetworkInterfaceID)
	assert.Equal(s.t, aws.ToString(actual.Attachment.InstanceId), instance)
	assert.Equal(s.t, aws.ToString(actual.MacAddress), was.MACAddress)
	assert.Equal(s.t, len(s.operatorCalls("DetachNetworkInterface", was.Attachment.ID)), 1)
	assert.Equal(s.t, len(s.operatorCalls("AttachNetworkInterface", is.NetworkInterfaceID)), 2)
	assert.Equal(s.t, len(s.operatorCalls("DeleteNetworkInterface", is.NetworkInterfaceID)), 0)
}

func TestENIMovesToAnotherNodeOfItsZone(t *testing.T) {
	t.Parallel()
	for _, mode := range []v1alpha1.Mode{v1alpha1.ModeShared, v1alpha1.ModeExclusive} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := shared.tell(t, map[v1alpha1.Mode]string{v1alpha1.ModeShared: "move-shared", v1alpha1.ModeExclusive: "move-whole"}[mode])
			node, _ := s.machine("m5.large")
			target, instance := s.machine("m5.large")
			eni := s.person(node, "eni", within(2), func(spec *v1alpha1.ElasticNetworkInterfaceSpec) { spec.Mode = mode })
			s.awaitENIReady(eni)
			eventually(t, "everything agrees", func() error { return s.consistent(t.Context()) })
			before := eni.DeepCopy()
			s.update(eni, func() { eni.Spec.NodeName = target })
			s.awaitMoved(before, instance)
		})
	}
}

func TestENIDoesNotMoveToAnotherZone(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "move-zone")
	node, _ := s.machine("m5.large")
	target := s.nodeName(1)
	s.registerAs(target, "aws:///"+zoneB+"/"+s.launch("m5.large", s.subnet(zoneB, "9.0/24", nil)))
	eni := s.person(node, "eni", within(2))
	s.awaitENIReady(eni)
	at := eni.Status.Attachment.ID

	s.update(eni, func() { eni.Spec.NodeName = target })
	s.awaitENI(eni, "says why it does not move", func() error {
		return first(differ("observedGeneration", eni.Status.ObservedGeneration, eni.Generation),
			conditionIs(eni.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidParameter))
	})
	s.says(messageOf(eni.Status.Conditions, v1alpha1.ConditionReady), zoneA, zoneB, target)
	s.awaitEvent(eni.Name, v1alpha1.ReasonInvalidParameter, zoneB)
	assert.Equal(t, len(s.operatorCalls("DetachNetworkInterface", at)), 0)

	s.update(eni, func() { eni.Spec.NodeName = node })
	s.awaitENIReady(eni)
	assert.Equal(t, eni.Status.Attachment.ID, at, "it never left")
}

// TestENIOfAPoolDoesNotMove: claims may hold it, and pools make others where they
// are needed.
func TestENIOfAPoolDoesNotMove(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "move-pool")
	node, _ := s.machine("m5.large")
	target, instance := s.machine("m5.large")
	s.create(s.policy(sharing(2, 4), exclusive(1, 1)))
	s.awaitReady(node)
	s.awaitReady(target)
	claims := append(s.bind(node, v1alpha1.ModeShared, "web"), s.bind(node, v1alpha1.ModeExclusive, "router")...)
	eventually(t, "everything agrees", func() error { return s.consistent(t.Context()) })
	mutations := s.changesOf(s.resources(t.Context()))
	for _, eni := range s.resources(t.Context()) {
		if eni.Spec.NodeName != node {
			continue
		}
		patch := client.MergeFrom(eni.DeepCopy())
		eni.Spec.NodeName, eni.Spec.InstanceID = target, instance
		err := s.Patch(t.Context(), &eni, patch)
		assert.Assert(t, apierrors.IsInvalid(err), "%v", err)
		s.says(err.Error(), "spec.nodeName", "spec.instanceID", "the pools make others where they are needed")
	}
	for _, claim := range claims {
		s.awaitBound(claim)
	}
	assert.DeepEqual(t, s.changesOf(s.resources(t.Context())), mutations)
}
