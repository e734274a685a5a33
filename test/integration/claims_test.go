/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"fmt"
	"testing"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

func TestExclusiveENIsAreNeverShared(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "exclusive")
	node, _ := s.machine("m5.4xlarge") // eight ENIs
	s.create(s.policy(sharing(4, 8), exclusive(1, 4)))
	s.awaitReady(node)

	var claims []*v1alpha1.ENIClaim
	for i := range 6 {
		claim := s.claimOn(node, fmt.Sprintf("router-%d", i), v1alpha1.ModeExclusive)
		s.create(claim)
		claims = append(claims, claim)
	}
	s.bind(node, v1alpha1.ModeShared, "web-0", "web-1")
	s.awaitPool(node, "is at its maximum", func(pool *v1alpha1.ENIPool) error {
		return differ("exclusive", *pool.Status.Exclusive, v1alpha1.ExclusiveStatus{Capacity: 4, Allocated: 4, Desired: 4})
	})
	bound, waiting := s.sortClaims(claims)
	assert.Equal(t, len(bound), 4)
	for _, claim := range waiting {
		s.awaitPending(claim, v1alpha1.ReasonPoolAtMaximum)
	}

	t.Log("Each release serves one that waits")
	for _, claim := range bound[:2] {
		s.remove(t.Context(), claim)
		s.awaitGone(t.Context(), claim)
	}
	for _, claim := range waiting {
		s.awaitBound(claim)
	}
	assert.Equal(t, len(s.resourcesOf(node, v1alpha1.ModeExclusive)), 4)
}

// sortClaims waits until the pool's record has reached all claims, and parts them.
func (s *scenario) sortClaims(claims []*v1alpha1.ENIClaim) (bound, waiting []*v1alpha1.ENIClaim) {
	s.t.Helper()
	eventually(s.t, "every claim says where it is", func() error { return s.heldOnce(s.t.Context()) })
	for _, claim := range claims {
		assert.NilError(s.t, s.Get(s.t.Context(), key(claim), claim))
		if claim.Status.Phase == v1alpha1.ClaimBound {
			bound = append(bound, claim)
		} else {
			waiting = append(waiting, claim)
		}
	}
	return bound, waiting
}

func TestManyClaimsAtOnceEachGetAnAddressOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "crowd")
	node, _ := s.machine("m5.xlarge") // three more ENIs of fourteen addresses
	s.create(s.policy(sharing(2, 30)))
	var claims []*v1alpha1.ENIClaim
	for i := range 30 {
		claim := s.claimOn(node, fmt.Sprintf("web-%d", i), v1alpha1.ModeShared)
		s.create(claim)
		claims = append(claims, claim)
	}
	for _, claim := range claims {
		s.awaitBound(claim)
	}
	late := s.claimOn(node, "late", v1alpha1.ModeShared)
	s.create(late)
	s.awaitPending(late, v1alpha1.ReasonPoolAtMaximum)
	s.says(messageOf(late.Status.Conditions, v1alpha1.ConditionReady), "Policy crowd allows no more on this node")

	t.Log("Half of them go and as many others come")
	for _, claim := range claims[:15] {
		s.remove(t.Context(), claim)
	}
	s.awaitBound(late)
	for i := range 14 {
		s.bind(node, v1alpha1.ModeShared, fmt.Sprintf("next-%d", i))
	}
	assert.NilError(t, s.heldOnce(t.Context()))
}

func TestClaimForOneAddress(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "fixed")
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(4, 9)))
	s.awaitReady(node)
	eni := s.resourcesOf(node, v1alpha1.ModeShared)[0]
	claimFor := func(name string, address v1alpha1.Address) *v1alpha1.ENIClaim {
		claim := s.claimOn(node, name, v1alpha1.ModeShared)
		claim.Spec.Address = ptr.To(address)
		s.create(claim)
		return claim
	}

	wanted := eni.Status.Addresses[2]
	holder := claimFor("holder", wanted)
	s.awaitBound(holder)
	assert.Equal(t, holder.Status.Address, string(wanted))

	second := claimFor("second", wanted)
	s.awaitPending(second, v1alpha1.ReasonAddressInUse)
	s.says(messageOf(second.Status.Conditions, v1alpha1.ConditionReady), string(wanted), "fixed/holder")
	stray := claimFor("stray", "192.0.2.1")
	s.awaitPending(stray, v1alpha1.ReasonAddressNotInPool)
	primary := claimFor("primary", v1alpha1.Address(eni.Status.PrimaryAddress))
	s.awaitPending(primary, v1alpha1.ReasonAddressNotInPool)

	s.remove(t.Context(), holder)
	s.awaitBound(second)
	assert.Equal(t, second.Status.Address, string(wanted))
}

func TestClaimNamespaceSelector(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "namespaces")
	node, _ := s.machine("t3.medium")
	s.create(s.policy(sharing(2, 4), func(spec *v1alpha1.ENIPolicySpec) {
		spec.ClaimNamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"may-claim": "yes"}}
	}))
	s.awaitReady(node)
	claim := s.claimOn(node, "web", v1alpha1.ModeShared)
	s.create(claim)
	s.awaitPending(claim, v1alpha1.ReasonNamespaceNotAllowed)
	s.says(messageOf(claim.Status.Conditions, v1alpha1.ConditionReady), "claimNamespaceSelector")

	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	s.update(namespace, func() { namespace.Labels["may-claim"] = "yes" })
	s.awaitBound(claim)

	t.Log("A namespace that may no longer claim keeps what it has")
	s.update(namespace, func() { delete(namespace.Labels, "may-claim") })
	late := s.claimOn(node, "late", v1alpha1.ModeShared)
	s.create(late)
	s.awaitPending(late, v1alpha1.ReasonNamespaceNotAllowed)
	s.awaitBound(claim)
}

func TestClaimForWhatIsNotOffered(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "not-offered")
	node, _ := s.machine("t3.medium")
	unknown := s.claimOn("nowhere.ec2.internal", "unknown", v1alpha1.ModeShared)
	s.create(unknown)
	s.awaitPending(unknown, v1alpha1.ReasonNoPool)
	s.says(messageOf(unknown.Status.Conditions, v1alpha1.ConditionReady), "nowhere.ec2.internal has no pool", "selected by an ENIPolicy")

	s.create(s.policy(sharing(2, 4)))
	claim := s.claimOn(node, "router", v1alpha1.ModeExclusive)
	s.create(claim)
	s.awaitPending(claim, v1alpha1.ReasonModeNotOffered)

	policy := s.policy()
	s.update(policy, func() { policy.Spec.Exclusive = &v1alpha1.ExclusiveBounds{Maximum: 1} })
	s.awaitBound(claim)
	s.remove(t.Context(), unknown)
	s.awaitGone(t.Context(), unknown)
}

func TestDeletedNamespaceGivesEverythingBack(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "emptied")
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(3, 9), exclusive(1, 1)))
	s.awaitReady(node)
	s.bind(node, v1alpha1.ModeShared, "web-0", "web-1")
	s.bind(node, v1alpha1.ModeExclusive, "router")

	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	s.remove(t.Context(), namespace)
	s.awaitGone(t.Context(), namespace)
	s.awaitPool(node, "has everything back", func(pool *v1alpha1.ENIPool) error {
		return first(differ("shared", *pool.Status.Shared, v1alpha1.SharedStatus{Capacity: 3, Free: 3, Desired: 3}),
			differ("exclusive", *pool.Status.Exclusive, v1alpha1.ExclusiveStatus{Capacity: 1, Free: 1, Desired: 1}))
	})
}

func TestStrongestPolicyGoverns(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "priority")
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(3, 9)))
	s.awaitReady(node)
	enis := s.resources(t.Context())

	strong := s.policy(sharing(5, 9), func(spec *v1alpha1.ENIPolicySpec) { spec.Priority = 10 })
	strong.Name = "priority-strong"
	s.create(strong)
	pool := s.awaitPool(node, "is of the stronger policy", func(pool *v1alpha1.ENIPool) error {
		return first(differ("policy", pool.Spec.PolicyName, strong.Name), differ("addresses", pool.Status.Shared.Capacity, int32(5)))
	})
	weak := s.policy()
	eventually(t, "the weaker policy says so", func() error {
		return first(s.Get(t.Context(), key(weak), weak),
			conditionIs(weak.Status.Conditions, v1alpha1.ConditionOverlapping, metav1.ConditionTrue, v1alpha1.ReasonOutranked))
	})
	s.says(messageOf(weak.Status.Conditions, v1alpha1.ConditionOverlapping), node, strong.Name)

	s.remove(t.Context(), strong)
	s.awaitPool(node, "is of the weaker policy again", func(back *v1alpha1.ENIPool) error {
		return first(differ("policy", back.Spec.PolicyName, weak.Name), differ("UID", back.UID, pool.UID))
	})
	assert.Equal(t, s.resources(t.Context())[0].UID, enis[0].UID)
}
