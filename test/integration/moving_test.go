/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
