/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/audit"
)

// actualENI is the only ENI of a node and mode, as EC2 has it.
func (s *scenario) actualENI(node string, mode v1alpha1.Mode) (eni v1alpha1.ElasticNetworkInterface, subnetID string, groupIDs []string) {
	s.t.Helper()
	enis := s.resourcesOf(node, mode)
	assert.Equal(s.t, len(enis), 1)
	actual := s.eni(s.t.Context(), enis[0].Status.NetworkInterfaceID)
	return enis[0], aws.ToString(actual.SubnetId), audit.SecurityGroups(*actual)
}

func TestSubnetAndGroupsAreThePrimaryENIsByDefault(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "defaults")
	s.subnet(zoneA, "2.0/24", nil)
	s.securityGroup("unused", nil)
	node, _ := s.machine("t3.medium")
	s.create(s.policy(sharing(1, 4)))
	s.awaitReady(node)
	_, subnetID, groupIDs := s.actualENI(node, v1alpha1.ModeShared)
	assert.Equal(t, subnetID, s.home.id)
	assert.DeepEqual(t, groupIDs, []string{s.group})
}

func TestSelectorTermsFindSubnetsAndGroups(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "terms")
	pods := s.subnet(zoneA, "2.0/24", map[string]string{"role": "pods", "tier": "one"})
	s.subnet(zoneA, "3.0/24", map[string]string{"role": "nodes", "tier": "one"})
	s.subnet(zoneB, "4.0/23", map[string]string{"role": "pods", "tier": "one"}) // larger, but elsewhere
	labelled := s.securityGroup("labelled", map[string]string{"role": "pods"})
	byName := s.securityGroup("pods", nil)
	node, _ := s.machine("t3.medium")
	policy := s.policy(sharing(1, 4), func(spec *v1alpha1.ENIPolicySpec) {
		spec.SubnetSelectorTerms = []v1alpha1.SubnetSelectorTerm{{Tags: map[string]v1alpha1.TagValue{"role": "pods", "tier": "*"}}}
		spec.SecurityGroupSelectorTerms = []v1alpha1.SecurityGroupSelectorTerm{{Name: "pods"}, {Tags: map[string]v1alpha1.TagValue{"role": "pods"}}}
	})
	s.create(policy)
	s.awaitReady(node)
	eni, subnetID, groupIDs := s.actualENI(node, v1alpha1.ModeShared)
	assert.Equal(t, subnetID, pods.id)
	assert.DeepEqual(t, groupIDs, sorted(labelled, byName))

	t.Log("Other groups come in place, another subnet with another ENI")
	s.update(policy, func() {
		policy.Spec.SecurityGroupSelectorTerms = []v1alpha1.SecurityGroupSelectorTerm{{ID: s.group}}
	})
	eventually(t, "the groups are changed", func() error {
		_, _, groupIDs := s.actualENI(node, v1alpha1.ModeShared)
		return differ("groups", groupIDs, []string{s.group})
	})
	claim := s.bind(node, v1alpha1.ModeShared, "web")[0]
	assert.Equal(t, claim.Status.NetworkInterfaceID, eni.Status.NetworkInterfaceID)
	s.update(policy, func() { policy.Spec.SubnetSelectorTerms = []v1alpha1.SubnetSelectorTerm{{ID: s.home.id}} })
	s.awaitPool(node, "drains the ENI", func(pool *v1alpha1.ENIPool) error {
		at := slices.IndexFunc(pool.Status.ENIs, func(e v1alpha1.PoolENI) bool { return e.State == v1alpha1.PoolENIDraining })
		return differ("draining", at >= 0 && pool.Status.ENIs[at].Name == eni.Name, true)
	})
	next := s.bind(node, v1alpha1.ModeShared, "next")[0]
	assert.Equal(t, next.Status.SubnetCIDR, s.home.cidr)
	s.awaitBound(claim)
	s.remove(t.Context(), claim)
	s.awaitGone(t.Context(), claim)
	s.awaitGone(t.Context(), &eni)
}

func TestTagsFollowThePolicyInPlace(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "tags")
	node, _ := s.machine("t3.medium")
	policy := s.policy(exclusive(1, 1), func(spec *v1alpha1.ENIPolicySpec) {
		spec.Tags = map[string]v1alpha1.TagValue{"team": "payments", "stage": "test"}
	})
	s.create(policy)
	s.awaitReady(node)
	eni, _, _ := s.actualENI(node, v1alpha1.ModeExclusive)
	id := eni.Status.NetworkInterfaceID
	_, err := s.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: tagged("network-interface", map[string]string{"note": "mine"})[0].Tags})
	assert.NilError(t, err)

	s.update(policy, func() { policy.Spec.Tags = map[string]v1alpha1.TagValue{"team": "billing", "cost": "4711"} })
	eventually(t, "the tags are changed", func() error {
		tags := audit.Tags(*s.eni(t.Context(), id))
		_, stage := tags["stage"]
		return first(differ("team", tags["team"], "billing"), differ("cost", tags["cost"], "4711"), differ("has stage", stage, false),
			differ("a person's own tag", tags["note"], "mine"), differ("owner", tags["networking.eni-operator.dev/uid"], string(eni.UID)))
	})
	assert.Equal(t, len(s.operatorCalls("CreateNetworkInterface", s.home.id)), 1)
}

func TestDeviceIndexesBelowTheMinimumAndOfOthersStayFree(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "device-index")
	node, instance := s.machine("m5.xlarge") // four ENIs
	stranger := s.stranger(instance, 3)

	s.create(s.policy(sharing(0, 1), exclusive(1, 4), func(spec *v1alpha1.ENIPolicySpec) { // with sharing only for its short cooldown
		spec.MinDeviceIndex = ptr.To[int32](2)
	}))
	s.awaitReady(node)
	claim := s.bind(node, v1alpha1.ModeExclusive, "router")[0]
	assert.Equal(t, *claim.Status.DeviceIndex, int32(2))
	second := s.claimOn(node, "second", v1alpha1.ModeExclusive)
	s.create(second)
	s.awaitPending(second, v1alpha1.ReasonInstanceFull)
	s.says(messageOf(second.Status.Conditions, v1alpha1.ConditionReady), "m5.xlarge", "a claim must be released first")
	assert.Equal(t, len(s.ours(t.Context())), 1)

	t.Log("The stranger leaves, and its place is taken")
	s.letGo(stranger)
	delete(s.foreign, stranger)
	s.awaitBound(second)
	assert.Equal(t, *second.Status.DeviceIndex, int32(3))
}

func TestPrefixesGiveSixteenAddressesEach(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "prefixes")
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(20, 40), func(spec *v1alpha1.ENIPolicySpec) {
		spec.Shared.AddressType = v1alpha1.AddressTypeIPv4Prefix
		spec.Shared.WarmIPs = 16
	}))
	pool := s.awaitReady(node)
	assert.DeepEqual(t, pool.Status.Shared, &v1alpha1.SharedStatus{Capacity: 32, Free: 32, Desired: 32}) // 20 rounded up, 40 down
	eni := s.resourcesOf(node, v1alpha1.ModeShared)[0]
	actual := s.eni(t.Context(), eni.Status.NetworkInterfaceID)
	assert.Equal(t, len(audit.Prefixes(*actual)), 2)
	assert.Equal(t, len(audit.Secondaries(*actual)), 0)

	claims := s.bind(node, v1alpha1.ModeShared, "web-0", "web-1", "web-2")
	for _, claim := range claims {
		assert.Assert(t, inside(audit.Prefixes(*actual), claim.Status.Address), "%s is in none of %v", claim.Status.Address, audit.Prefixes(*actual))
		assert.Equal(t, claim.Status.SubnetCIDR, s.home.cidr)
		assert.Equal(t, claim.Status.PrefixLength, int32(24))
	}
	released := claims[0].Status.Address
	s.remove(t.Context(), claims[0])
	s.awaitGone(t.Context(), claims[0])
	wanted := v1alpha1.Address(released)
	again := s.claimOn(node, "again", v1alpha1.ModeShared)
	again.Spec.Address = &wanted
	s.create(again)
	s.awaitBound(again)
}

func TestPrefixesOnATypeWithoutNitro(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "no-nitro")
	node, _ := s.machine("m4.large")
	s.create(s.policy(sharing(16, 32), func(spec *v1alpha1.ENIPolicySpec) { spec.Shared.AddressType = v1alpha1.AddressTypeIPv4Prefix }))
	message := s.awaitCondition(node, v1alpha1.ConditionCapacityAvailable, metav1.ConditionFalse, v1alpha1.ReasonInstanceTypeLimit)
	s.says(message, "m4.large carries no prefixes", "Set addressType: IPv4")
	assert.Equal(t, len(s.ours(t.Context())), 0)
}

func TestPolicyThatAsksForMoreThanTheTypeHoldsGetsWhatFits(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "too-much")
	node, _ := s.machine("t3.medium") // three ENIs of six addresses
	large, _ := s.machine("m5.4xlarge")
	s.create(s.policy(sharing(30, 40), exclusive(1, 2)))

	message := s.awaitCondition(node, v1alpha1.ConditionCapacityAvailable, metav1.ConditionFalse, v1alpha1.ReasonInstanceTypeLimit)
	s.says(message, "t3.medium", "the pool gets 5 addresses and 1 exclusive ENIs", "Lower the minimum, or select larger instances")
	s.awaitPool(node, "has what fits", func(pool *v1alpha1.ENIPool) error {
		return first(differ("addresses", pool.Status.Shared.Capacity, int32(5)), differ("ENIs", pool.Status.Exclusive.Capacity, int32(1)))
	})
	s.awaitEvent(node, v1alpha1.ReasonInstanceTypeLimit, "t3.medium")
	s.bind(node, v1alpha1.ModeShared, "web-0", "web-1", "web-2", "web-3", "web-4")
	late := s.claimOn(node, "late", v1alpha1.ModeShared)
	s.create(late)
	s.awaitPending(late, v1alpha1.ReasonInstanceFull)

	pool := s.awaitReady(large)
	assert.NilError(t, conditionIs(pool.Status.Conditions, v1alpha1.ConditionCapacityAvailable, metav1.ConditionTrue, v1alpha1.ReasonFits))

	t.Log("A policy that asks for less heals it")
	policy := s.policy()
	s.update(policy, func() { policy.Spec.Shared.MinimumIPs = 5 })
	s.awaitReady(node)
	s.awaitCondition(node, v1alpha1.ConditionCapacityAvailable, metav1.ConditionTrue, v1alpha1.ReasonFits)
}

func TestSurplusGoesBackToTheSubnet(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "surplus")
	node, _ := s.machine("m5.large")
	policy := s.policy(sharing(6, 9))
	s.create(policy)
	s.awaitReady(node)
	claims := s.bind(node, v1alpha1.ModeShared, "web-0", "web-1")

	s.update(policy, func() {
		policy.Spec.Shared.MinimumIPs = 3
		policy.Spec.Shared.IdleReleaseAfter = &metav1.Duration{Duration: 100 * time.Millisecond}
	})
	s.awaitPool(node, "has shrunk", func(pool *v1alpha1.ENIPool) error {
		return differ("shared", *pool.Status.Shared, v1alpha1.SharedStatus{Capacity: 3, Allocated: 2, Free: 1, Desired: 3})
	})
	eventually(t, "EC2 has the others", func() error {
		eni := s.resourcesOf(node, v1alpha1.ModeShared)[0]
		return differ("addresses", len(audit.Secondaries(*s.eni(t.Context(), eni.Status.NetworkInterfaceID))), 3)
	})
	for _, claim := range claims {
		s.awaitBound(claim)
	}
}
