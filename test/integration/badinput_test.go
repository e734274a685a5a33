/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"testing"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// awaitPolicy waits until the scenario's policy has a condition, and returns its
// message.
func (s *scenario) awaitPolicy(kind string, status metav1.ConditionStatus, reason string) string {
	s.t.Helper()
	policy := s.policy()
	eventually(s.t, "the policy says "+reason, func() error {
		return first(s.Get(s.t.Context(), key(policy), policy), conditionIs(policy.Status.Conditions, kind, status, reason))
	})
	return messageOf(policy.Status.Conditions, kind)
}

func TestNodeWithoutProviderIDIsToldAndHeals(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "no-provider-id")
	instance := s.launch("t3.medium", s.home)
	node := s.nodeName(0)
	s.registerAs(node, "")
	s.create(s.policy(sharing(2, 4)))

	message := s.awaitPolicy(v1alpha1.ConditionNodesUsable, metav1.ConditionFalse, v1alpha1.ReasonProviderIDMissing)
	s.says(message, node, "aws:///<zone>/<instance-id>", "cloud controller manager")
	s.awaitPolicy(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProviderIDMissing)
	s.awaitEvent(s.name, v1alpha1.ReasonProviderIDMissing, node)

	registered := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}
	s.update(registered, func() { registered.Spec.ProviderID = "aws:///" + zoneA + "/" + instance })
	s.awaitReady(node)
	s.awaitPolicy(v1alpha1.ConditionNodesUsable, metav1.ConditionTrue, v1alpha1.ReasonAllUsable)
	s.awaitPolicy(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

func TestNodeThatIsRegisteredAgainWithoutProviderIDKeepsEverything(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "unnamed-again")
	node, instance := s.machine("m5.large")
	s.create(s.policy(sharing(3, 9)))
	before := s.awaitReady(node)
	claim := s.bind(node, v1alpha1.ModeShared, "web")[0]

	s.unregister(node)
	s.registerAs(node, "")
	s.says(s.awaitPolicy(v1alpha1.ConditionNodesUsable, metav1.ConditionFalse, v1alpha1.ReasonNodeWithoutInstance), node, "keeps what it has")
	s.awaitPool(node, "is suspended", func(pool *v1alpha1.ENIPool) error {
		return differ("suspended", pool.Spec.NodeGoneSince != nil, true)
	})
	s.awaitBound(claim)

	registered := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}
	s.update(registered, func() { registered.Spec.ProviderID = "aws:///" + zoneA + "/" + instance })
	after := s.awaitPool(node, "goes on", func(pool *v1alpha1.ENIPool) error {
		return differ("suspended", pool.Spec.NodeGoneSince != nil, false)
	})
	assert.Equal(t, after.UID, before.UID)
	s.awaitBound(claim)
	s.awaitPolicy(v1alpha1.ConditionNodesUsable, metav1.ConditionTrue, v1alpha1.ReasonAllUsable)
}

func TestOfTwoNodesOfOneInstanceTheFirstKeepsItsPool(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "two-names")
	node, instance := s.machine("m5.large")
	s.create(s.policy(sharing(3, 9)))
	s.awaitReady(node)
	second := s.nodeName(1)
	s.register(second, instance)

	s.says(s.awaitPolicy(v1alpha1.ConditionNodesUsable, metav1.ConditionFalse, v1alpha1.ReasonInstanceTaken), second+" ("+node+")")
	pool := &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: second}}
	assert.Assert(t, apierrors.IsNotFound(s.Get(t.Context(), key(pool), pool)))
	s.bind(node, v1alpha1.ModeShared, "web")

	t.Log("Without the second Node all is well again")
	s.unregister(second)
	s.awaitPolicy(v1alpha1.ConditionNodesUsable, metav1.ConditionTrue, v1alpha1.ReasonAllUsable)
}

func TestNodeWithMalformedProviderIDIsTold(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "bad-provider-id")
	s.registerAs(s.nodeName(0), "aws:///us-east-1a/i-none")
	s.create(s.policy(sharing(2, 4)))
	s.says(s.awaitPolicy(v1alpha1.ConditionNodesUsable, metav1.ConditionFalse, v1alpha1.ReasonProviderIDMissing), s.nodeName(0))
}

func TestNodesThatAreNoInstancesAreSkippedAndCounted(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "no-instances")
	s.registerAs(s.nodeName(0), "aws:///us-east-1a/0123456789-fargate/fargate-ip-10-0-1-2.ec2.internal")
	s.registerAs(s.nodeName(1), "eks-hybrid:///us-west-2/cluster/mi-0123456789abcdef0")
	s.create(s.policy(sharing(2, 4)))
	node, _ := s.machine("t3.medium") // comes last: when its pool is ready, the others were looked at
	s.awaitReady(node)

	s.awaitPolicy(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	message := s.awaitPolicy(v1alpha1.ConditionNodesUsable, metav1.ConditionTrue, v1alpha1.ReasonNodesSkipped)
	s.says(message, s.nodeName(0), s.nodeName(1), "no EC2 instances")
	policy := s.policy()
	assert.NilError(t, s.Get(t.Context(), key(policy), policy))
	assert.Equal(t, policy.Status.Nodes, int32(1))
	assert.Equal(t, policy.Status.SkippedNodes, int32(2))
	events := &eventsv1.EventList{}
	assert.NilError(t, s.List(t.Context(), events))
	for i := range events.Items {
		event := &events.Items[i]
		assert.Assert(t, event.Regarding.Name != s.nodeName(0) && event.Regarding.Name != s.nodeName(1) && event.Regarding.Name != s.name, "%s", event.Note)
	}
}

func TestUnknownInstanceIsToldAndHeals(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "unknown-instance")
	const unknown = "i-0fffffffffffffff0"
	node := s.nodeName(0)
	s.register(node, unknown)
	s.create(s.policy(sharing(2, 4)))

	message := s.awaitCondition(node, v1alpha1.ConditionInstanceFound, metav1.ConditionFalse, v1alpha1.ReasonInstanceNotFound)
	s.says(message, unknown, "Check the Node's spec.providerID", "AWS_REGION")
	s.awaitCondition(node, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInstanceNotFound)
	s.awaitEvent(node, v1alpha1.ReasonInstanceNotFound, unknown)
	assert.Equal(t, len(s.resources(t.Context())), 0)

	s.unregister(node)
	s.register(node, s.launch("t3.medium", s.home))
	s.awaitPool(node, "is of the right instance", func(pool *v1alpha1.ENIPool) error {
		return differ("still unknown", pool.Spec.InstanceID == unknown, false)
	})
	s.awaitReady(node)
}

func TestMissingSubnetIsToldAndHeals(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "no-subnet")
	node, _ := s.machine("t3.medium")
	elsewhere := s.subnet(zoneB, "7.0/24", nil)
	policy := s.policy(sharing(2, 4), func(spec *v1alpha1.ENIPolicySpec) {
		spec.SubnetSelectorTerms = []v1alpha1.SubnetSelectorTerm{{ID: "subnet-0fffffffffffffff0"}, {ID: elsewhere.id}}
	})
	s.create(policy)
	message := s.awaitCondition(node, v1alpha1.ConditionNetworkResolved, metav1.ConditionFalse, v1alpha1.ReasonSubnetNotFound)
	s.says(message, "subnetSelectorTerms of policy no-subnet", s.vpc, zoneA)
	s.awaitCondition(node, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSubnetNotFound)
	s.awaitEvent(node, v1alpha1.ReasonSubnetNotFound, "subnetSelectorTerms")
	assert.Equal(t, len(s.resources(t.Context())), 0)

	s.update(policy, func() { policy.Spec.SubnetSelectorTerms = []v1alpha1.SubnetSelectorTerm{{ID: s.home.id}} })
	s.awaitReady(node)
}

func TestMissingSecurityGroupIsToldAndHealsWhenItIsMade(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "no-group")
	node, _ := s.machine("t3.medium")
	s.create(s.policy(sharing(2, 4), func(spec *v1alpha1.ENIPolicySpec) {
		spec.SecurityGroupSelectorTerms = []v1alpha1.SecurityGroupSelectorTerm{{Name: "pods"}}
	}))
	message := s.awaitCondition(node, v1alpha1.ConditionNetworkResolved, metav1.ConditionFalse, v1alpha1.ReasonSecurityGroupNotFound)
	s.says(message, "securityGroupSelectorTerms of policy no-group", s.vpc)
	s.awaitEvent(node, v1alpha1.ReasonSecurityGroupNotFound, "securityGroupSelectorTerms")

	group := s.securityGroup("pods", nil)
	s.awaitReady(node)
	_, _, groupIDs := s.actualENI(node, v1alpha1.ModeShared)
	assert.DeepEqual(t, groupIDs, []string{group})
}

func TestENIOfAPersonOnAnUnknownNodeWaits(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "own-no-node")
	eni := &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: "own-no-node"}, Spec: v1alpha1.ElasticNetworkInterfaceSpec{NodeName: s.nodeName(0)},
	}
	s.create(eni)
	s.awaitENI(eni, "waits", func() error {
		return conditionIs(eni.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNodeUnknown)
	})
	s.says(messageOf(eni.Status.Conditions, v1alpha1.ConditionReady), s.nodeName(0), "spec.providerID")
	s.machine("t3.medium")
	s.awaitENI(eni, "is ready", func() error {
		return conditionIs(eni.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	})
}

func TestPausedENIIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "paused")
	node, _ := s.machine("m5.large")
	other, _ := s.machine("m5.large")
	policy := s.policy(sharing(2, 9))
	s.create(policy)
	s.awaitReady(node)
	s.awaitReady(other)
	eni := &s.resourcesOf(node, v1alpha1.ModeShared)[0]
	s.annotate(eni, v1alpha1.PausedAnnotation, "true")
	s.awaitENI(eni, "says that it is paused", func() error {
		return conditionIs(eni.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonPaused)
	})
	id := eni.Status.NetworkInterfaceID

	s.update(policy, func() {
		policy.Spec.Shared.MinimumIPs = 5
		policy.Spec.Tags = map[string]v1alpha1.TagValue{"team": "payments"}
	})
	s.awaitPool(other, "has grown", func(pool *v1alpha1.ENIPool) error { return differ("capacity", pool.Status.Shared.Capacity, int32(5)) })
	s.awaitENI(eni, "has seen its new spec", func() error {
		return first(differ("observedGeneration", eni.Status.ObservedGeneration, eni.Generation), differ("count", eni.Spec.AddressCount, int32(5)),
			differ("tagged", eni.Spec.Tags["team"], v1alpha1.TagValue("payments")))
	})
	s.says(messageOf(eni.Status.Conditions, v1alpha1.ConditionAddressesAssigned), v1alpha1.PausedAnnotation)
	assert.Equal(t, len(s.operatorCalls("AssignPrivateIpAddresses", id)), 0)
	assert.Equal(t, len(s.operatorCalls("CreateTags", id)), 0)

	s.annotate(eni, v1alpha1.PausedAnnotation, "false")
	s.awaitPool(node, "has grown", func(pool *v1alpha1.ENIPool) error { return differ("capacity", pool.Status.Shared.Capacity, int32(5)) })
}

func TestPausedPoolServesNobody(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "paused-pool")
	node, _ := s.machine("m5.large")
	other, _ := s.machine("m5.large")
	policy := s.policy(sharing(2, 9))
	s.create(policy)
	s.awaitReady(other)
	pool := s.awaitReady(node)
	s.annotate(pool, v1alpha1.PausedAnnotation, "true")

	claim := s.claimOn(node, "waits", v1alpha1.ModeShared)
	s.create(claim)
	s.update(policy, func() { policy.Spec.Shared.MinimumIPs = 5 })
	s.awaitPool(other, "has grown", func(pool *v1alpha1.ENIPool) error { return differ("capacity", pool.Status.Shared.Capacity, int32(5)) })
	s.bind(other, v1alpha1.ModeShared, "served")
	assert.Equal(t, s.resourcesOf(node, v1alpha1.ModeShared)[0].Spec.AddressCount, int32(2))
	assert.NilError(t, s.Get(t.Context(), key(claim), claim))
	assert.Equal(t, claim.Status.Address, "")

	s.annotate(pool, v1alpha1.PausedAnnotation, "false")
	s.awaitBound(claim)
}

func TestDescribeFailuresOfOneSubnetAreTold(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "no-describe")
	node, _ := s.machine("t3.medium")
	heal := s.disturb(emulator.Fault{Action: "DescribeSubnets", Params: in("Filter.1.Value.1", "denied"), Code: "UnauthorizedOperation", Status: 403,
		Message: "You are not authorized to perform this operation."})
	s.subnet(zoneA, "5.0/24", map[string]string{"role": "denied"})
	s.create(s.policy(sharing(2, 4), func(spec *v1alpha1.ENIPolicySpec) {
		spec.SubnetSelectorTerms = []v1alpha1.SubnetSelectorTerm{{Tags: map[string]v1alpha1.TagValue{"role": "denied"}}}
	}))
	message := s.awaitCondition(node, v1alpha1.ConditionNetworkResolved, metav1.ConditionFalse, v1alpha1.ReasonUnauthorized)
	s.says(message, "Allow ec2:DescribeSubnets for the operator's IAM identity")
	s.awaitEvent(node, v1alpha1.ReasonUnauthorized, "ec2:DescribeSubnets")
	s.backsOff("DescribeSubnets", "denied")
	heal()
	s.awaitReady(node)
}
