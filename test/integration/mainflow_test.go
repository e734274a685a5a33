/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/audit"
)

func TestPolicyBecomesPoolsENIsAndBoundClaims(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "main-flow")
	freeBefore := s.freeAddresses(t.Context(), s.home.id)
	node, instance := s.machine("m5.large")
	other, _ := s.machine("t3.medium")
	s.create(s.policy(sharing(5, 9), exclusive(1, 1), func(spec *v1alpha1.ENIPolicySpec) {
		spec.Tags = map[string]v1alpha1.TagValue{"team": "payments"}
	}))

	s.awaitReady(other)
	pool := s.awaitReady(node)
	assert.Equal(t, pool.Spec.InstanceID, instance)
	assert.Equal(t, pool.Spec.PolicyName, "main-flow")
	assert.Equal(t, pool.Status.InstanceType, "m5.large")
	assert.DeepEqual(t, pool.Status.Shared, &v1alpha1.SharedStatus{Capacity: 5, Free: 5, Desired: 5})
	assert.DeepEqual(t, pool.Status.Exclusive, &v1alpha1.ExclusiveStatus{Capacity: 1, Free: 1, Desired: 1})
	assert.Equal(t, pool.Status.ENICount, int32(2))
	eventually(t, "the policy counts its pools", func() error {
		policy := s.policy()
		if err := s.Get(t.Context(), key(policy), policy); err != nil {
			return err
		}
		return first(
			differ("nodes", policy.Status.Nodes, int32(2)), differ("readyPools", policy.Status.ReadyPools, int32(2)),
			conditionIs(policy.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady),
		)
	})

	claims := append(s.bind(node, v1alpha1.ModeShared, "web-0", "web-1", "web-2"), s.bind(node, v1alpha1.ModeExclusive, "router")...)
	for _, claim := range claims {
		s.checkClaim(claim)
	}
	s.checkTags(node)
	s.awaitPool(node, "counts the claims", func(pool *v1alpha1.ENIPool) error {
		return first(differ("shared", *pool.Status.Shared, v1alpha1.SharedStatus{Capacity: 5, Allocated: 3, Free: 2, Desired: 5}),
			differ("exclusive", *pool.Status.Exclusive, v1alpha1.ExclusiveStatus{Capacity: 1, Allocated: 1, Desired: 1}))
	})
	s.checkCallsPerENI()

	t.Log("A released address rests and is free again")
	released := claims[0].Status.Address
	s.remove(t.Context(), claims[0])
	s.awaitGone(t.Context(), claims[0])
	s.awaitPool(node, "has it back", func(pool *v1alpha1.ENIPool) error {
		return differ("shared", *pool.Status.Shared, v1alpha1.SharedStatus{Capacity: 5, Allocated: 2, Free: 3, Desired: 5})
	})
	again := s.claimOn(node, "web-3", v1alpha1.ModeShared)
	wanted := v1alpha1.Address(released)
	again.Spec.Address = &wanted
	s.create(again)
	s.awaitBound(again)
	assert.Equal(t, again.Status.Address, released)

	t.Log("A released ENI rests and is free again")
	whole := claims[3].Status.NetworkInterfaceID
	s.remove(t.Context(), claims[3])
	s.awaitGone(t.Context(), claims[3])
	heir := s.bind(node, v1alpha1.ModeExclusive, "heir")[0]
	assert.Equal(t, heir.Status.NetworkInterfaceID, whole)

	t.Log("Without policy and claims everything goes")
	assert.NilError(t, s.consistent(t.Context()))
	enis := s.resources(t.Context())
	s.takeDown(t.Context())
	for _, eni := range enis {
		id := eni.Status.NetworkInterfaceID
		assert.Equal(t, len(s.operatorCalls("DetachNetworkInterface", eni.Status.Attachment.ID)), 1, "%s detached", id)
		assert.Equal(t, len(s.operatorCalls("DeleteNetworkInterface", id)), 1, "%s deleted", id)
	}
	primaries := int32(2)
	assert.Equal(t, s.freeAddresses(t.Context(), s.home.id), freeBefore-primaries*addressesOfPrimary)
}

// checkClaim compares every field of a bound claim's status with EC2.
func (s *scenario) checkClaim(claim *v1alpha1.ENIClaim) {
	s.t.Helper()
	status := claim.Status
	actual := s.eni(s.t.Context(), status.NetworkInterfaceID)
	assert.Assert(s.t, actual != nil, "claim %s holds %s, which EC2 does not know", claim.Name, status.NetworkInterfaceID)
	if claim.Spec.Mode == v1alpha1.ModeExclusive {
		assert.Equal(s.t, status.Address, aws.ToString(actual.PrivateIpAddress))
	} else {
		assert.Assert(s.t, contains(audit.Secondaries(*actual), status.Address), "%s has not %s", status.NetworkInterfaceID, status.Address)
	}
	home := netip.MustParsePrefix(s.home.cidr)
	assert.Equal(s.t, status.SubnetCIDR, s.home.cidr)
	assert.Equal(s.t, status.PrefixLength, int32(home.Bits()))
	assert.Equal(s.t, status.Gateway, home.Addr().Next().String())
	assert.Equal(s.t, status.MACAddress, aws.ToString(actual.MacAddress))
	assert.Equal(s.t, *status.DeviceIndex, aws.ToInt32(actual.Attachment.DeviceIndex))
	assert.Equal(s.t, *status.NetworkCardIndex, aws.ToInt32(actual.Attachment.NetworkCardIndex))
	assert.Equal(s.t, status.ENIName, audit.Tags(*actual)["networking.eni-operator.dev/name"])
	assert.Equal(s.t, status.ObservedGeneration, claim.Generation)
	assert.Assert(s.t, status.BoundAt != nil)
}

// checkTags holds the ENIs of a node to the tags that a user can rely on.
func (s *scenario) checkTags(node string) {
	s.t.Helper()
	for _, resource := range s.resources(s.t.Context()) {
		if resource.Spec.NodeName != node {
			continue
		}
		tags := audit.Tags(*s.eni(s.t.Context(), resource.Status.NetworkInterfaceID))
		createdAt := tags["networking.eni-operator.dev/created-at"]
		assert.Equal(s.t, createdAt, resource.Status.Creation.StartedAt.UTC().Format("2006-01-02T15:04:05Z07:00"))
		assert.DeepEqual(s.t, tags, map[string]string{
			"networking.eni-operator.dev/cluster":         clusterName,
			"networking.eni-operator.dev/cluster-uid":     s.UID,
			"networking.eni-operator.dev/name":            resource.Name,
			"networking.eni-operator.dev/uid":             string(resource.UID),
			"networking.eni-operator.dev/node":            node,
			"networking.eni-operator.dev/created-at":      createdAt,
			"networking.eni-operator.dev/deletion-policy": "Delete",
			"node.k8s.amazonaws.com/no_manage":            "true",
			"team":                                        "payments",
		})
	}
}

// checkCallsPerENI says that an ENI costs one call of each kind, and no more.
func (s *scenario) checkCallsPerENI() {
	s.t.Helper()
	for _, eni := range s.resources(s.t.Context()) {
		id := eni.Status.NetworkInterfaceID
		eventually(s.t, "ENI "+eni.Name+" is finished", func() error {
			return differ("modifications", len(s.operatorCalls("ModifyNetworkInterfaceAttribute", id)), 1)
		})
		assert.DeepEqual(s.t, s.mutationsOf(id), []string{
			"CreateNetworkInterface", "AttachNetworkInterface", "ModifyNetworkInterfaceAttribute",
		})
	}
}

func TestStartupTaintIsRemovedOnceThePoolIsReady(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "startup-taint")
	taints := []corev1.Taint{
		{Key: "eni-operator.dev/not-ready", Effect: corev1.TaintEffectNoExecute},
		{Key: "dedicated", Value: "router", Effect: corev1.TaintEffectNoSchedule},
	}
	node := s.nodeName(0)
	s.registerAs(node, "aws:///"+zoneA+"/"+s.launch("t3.medium", s.home), taints...)
	s.create(s.policy(sharing(2, 4), func(spec *v1alpha1.ENIPolicySpec) { spec.StartupTaint = taints[0].Key }))

	s.awaitReady(node)
	eventually(t, "only the startup taint is gone", func() error {
		registered := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}
		if err := s.Get(t.Context(), key(registered), registered); err != nil {
			return err
		}
		var keys []string
		for _, taint := range registered.Spec.Taints {
			keys = append(keys, taint.Key)
		}
		slices.Sort(keys)
		return differ("taints", keys, []string{"dedicated", corev1.TaintNodeNotReady}) // the API server's own is the second
	})
}
