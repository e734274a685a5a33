/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

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
	s.says(messageOf(second.Status.Conditions, v1alpha1.ConditionReady), string(wanted), "claim holder")
	stray := claimFor("stray", "192.0.2.1")
	s.awaitPending(stray, v1alpha1.ReasonAddressNotInPool)
	primary := claimFor("primary", v1alpha1.Address(eni.Status.PrimaryAddress))
	s.awaitPending(primary, v1alpha1.ReasonAddressNotInPool)

	s.remove(t.Context(), holder)
	s.awaitBound(second)
	assert.Equal(t, second.Status.Address, string(wanted))
}

func TestClaimForAnAddressThatRests(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "resting")
	node, _ := s.machine("m5.large")
	policy := s.policy(sharing(4, 9), func(spec *v1alpha1.ENIPolicySpec) {
		spec.Shared.Cooldown = &metav1.Duration{Duration: time.Hour}
	})
	s.create(policy)
	s.awaitReady(node)
	holder := s.bind(node, v1alpha1.ModeShared, "holder")[0]
	address := holder.Status.Address
	s.remove(t.Context(), holder)
	s.awaitGone(t.Context(), holder)

	claim := s.claimOn(node, "too-soon", v1alpha1.ModeShared)
	claim.Spec.Address = ptr.To(v1alpha1.Address(address))
	s.create(claim)
	s.awaitPending(claim, v1alpha1.ReasonAddressCooling)
	s.says(messageOf(claim.Status.Conditions, v1alpha1.ConditionReady), address, "released a moment ago")
	other := s.bind(node, v1alpha1.ModeShared, "any")[0]
	assert.Assert(t, other.Status.Address != address)

	s.update(policy, func() { policy.Spec.Shared.Cooldown = &metav1.Duration{Duration: 100 * time.Millisecond} })
	s.awaitBound(claim)
	assert.Equal(t, claim.Status.Address, address)
}

// TestAnAddressIsNotTakenByName: a tenant who asks again and again for the address of another
// does not get it when that one's claim is made anew, as in a rolling restart.
func TestAnAddressIsNotTakenByName(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "snatched")
	node, _ := s.machine("m5.large")
	policy := s.policy(sharing(4, 9))
	s.create(policy)
	s.awaitReady(node)
	holder := s.bind(node, v1alpha1.ModeShared, "db")[0]
	address := v1alpha1.Address(holder.Status.Address)
	other := s.namespace + "-other"
	s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other}})
	s.remove(t.Context(), holder)

	thief := s.claimOn(node, "thief", v1alpha1.ModeShared)
	thief.Namespace, thief.Spec.Address = other, &address
	s.create(thief)
	s.awaitGone(t.Context(), holder)
	s.awaitPending(thief, v1alpha1.ReasonAddressReserved)
	s.says(messageOf(thief.Status.Conditions, v1alpha1.ConditionReady), string(address), "reserved until", "another namespace")

	again := s.claimOn(node, "db", v1alpha1.ModeShared)
	again.Spec.Address = &address
	s.create(again)
	s.awaitBound(again)
	assert.Equal(t, again.Status.Address, string(address))

	t.Log("Nobody's for ever: without a reservation it is the next one's")
	s.update(policy, func() { policy.Spec.Shared.ReserveAfterRelease = &metav1.Duration{} })
	s.remove(t.Context(), again)
	s.awaitBound(thief)
	assert.Equal(t, thief.Status.Address, string(address))
}

func TestMaximumBelowWhatIsAllocatedTakesNothingAway(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "lowered")
	node, _ := s.machine("m5.large")
	policy := s.policy(sharing(4, 9), exclusive(0, 2))
	s.create(policy)
	s.awaitReady(node)
	held := append(s.bind(node, v1alpha1.ModeShared, "web-0", "web-1", "web-2", "web-3", "web-4"), s.bind(node, v1alpha1.ModeExclusive, "router")...)
	before := make([]v1alpha1.ENIClaimStatus, len(held))
	for i, claim := range held {
		before[i] = claim.Status
	}

	s.update(policy, func() {
		policy.Spec.Shared.MinimumIPs, policy.Spec.Shared.MaximumIPs = 1, 3
		policy.Spec.Shared.IdleReleaseAfter = &metav1.Duration{Duration: 100 * time.Millisecond}
	})
	late := s.claimOn(node, "late", v1alpha1.ModeShared)
	s.create(late)
	s.awaitPending(late, v1alpha1.ReasonPoolAtMaximum)
	s.says(messageOf(late.Status.Conditions, v1alpha1.ConditionReady), "Policy lowered allows no more on this node")
	s.awaitPool(node, "has only what is held", func(pool *v1alpha1.ENIPool) error {
		return differ("shared", *pool.Status.Shared, v1alpha1.SharedStatus{Capacity: 5, Allocated: 5, Desired: 3})
	})
	for i, claim := range held {
		s.awaitBound(claim)
		assert.DeepEqual(t, claim.Status, before[i])
	}

	t.Log("Who waits is served once the maximum has room")
	for _, claim := range held[:3] {
		s.remove(t.Context(), claim)
	}
	s.awaitBound(late)
	s.awaitPool(node, "is within its maximum", func(pool *v1alpha1.ENIPool) error {
		return differ("within", pool.Status.Shared.Capacity <= 3, true)
	})
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

	early := s.claimOn(node, "early", v1alpha1.ModeShared)
	s.create(early)
	s.awaitPending(early, v1alpha1.ReasonNoPool)
	s.says(messageOf(early.Status.Conditions, v1alpha1.ConditionReady), node+" has no pool", "selected by an ENIPolicy")

	s.create(s.policy(sharing(2, 4)))
	s.awaitBound(early)
	claim := s.claimOn(node, "router", v1alpha1.ModeExclusive)
	s.create(claim)
	s.awaitPending(claim, v1alpha1.ReasonModeNotOffered)
	s.says(messageOf(claim.Status.Conditions, v1alpha1.ConditionReady), "Policy not-offered offers no mode Exclusive")

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

// TestWhatPeopleWriteOnAClaimStays: the operator keeps a part of each claim in its caches, and
// writes finalizers and statuses by that.
func TestWhatPeopleWriteOnAClaimStays(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "claim-metadata")
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(2, 4)))
	s.awaitReady(node)
	claim := s.claimOn(node, "web-0", v1alpha1.ModeShared)
	claim.Labels = map[string]string{"app": "web"}
	claim.Annotations = map[string]string{"example.com/note": "mine"}
	claim.Finalizers = []string{"example.com/first"}
	s.create(claim)
	s.awaitBound(claim)
	assert.DeepEqual(t, claim.Labels, map[string]string{"app": "web"})
	assert.Equal(t, claim.Annotations["example.com/note"], "mine")
	assert.DeepEqual(t, claim.Finalizers, []string{"example.com/first", v1alpha1.Finalizer})

	s.remove(t.Context(), claim)
	eventually(t, "the operator lets go of it, and others do not", func() error {
		if err := s.Get(t.Context(), key(claim), claim); err != nil {
			return err
		}
		return differ("finalizers", strings.Join(claim.Finalizers, " "), "example.com/first")
	})
	s.update(claim, func() { claim.Finalizers = nil })
}
