/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/audit"
)

// unregister deletes a Node.
func (s *scenario) unregister(node string) {
	s.t.Helper()
	s.remove(s.t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}})
}

func TestNodeAndInstanceGoneTakeTheirENIsAndClaimsAlong(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "node-gone")
	free := s.freeAddresses(t.Context(), s.home.id)
	node, instance := s.machine("m5.large")
	s.create(s.policy(sharing(3, 9), exclusive(1, 1)))
	s.awaitReady(node)
	claims := append(s.bind(node, v1alpha1.ModeShared, "web"), s.bind(node, v1alpha1.ModeExclusive, "router")...)
	pool, err := s.pool(node)
	assert.NilError(t, err)

	s.terminate(t.Context(), instance)
	s.unregister(node)

	s.awaitGone(t.Context(), pool)
	for _, claim := range claims {
		s.awaitClaim(claim, v1alpha1.ClaimLost, metav1.ConditionFalse, v1alpha1.ReasonNodeGone)
		assert.Equal(t, claim.Status.Address, "")
		s.says(messageOf(claim.Status.Conditions, v1alpha1.ConditionReady), "Delete this claim and make a new one")
	}
	assert.Equal(t, len(s.resources(t.Context())), 0)
	assert.Equal(t, len(s.ours(t.Context())), 0)
	assert.Equal(t, s.freeAddresses(t.Context(), s.home.id), free)
}

func TestTerminatedInstanceWithoutNodeDeletion(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "terminated")
	node, instance := s.machine("t3.medium")
	s.create(s.policy(sharing(2, 4)))
	s.awaitReady(node)
	claim := s.bind(node, v1alpha1.ModeShared, "web")[0]

	s.terminate(t.Context(), instance)
	message := s.awaitCondition(node, v1alpha1.ConditionInstanceFound, metav1.ConditionFalse, v1alpha1.ReasonInstanceTerminated)
	s.says(message, instance)
	s.awaitClaim(claim, v1alpha1.ClaimLost, metav1.ConditionFalse, v1alpha1.ReasonNodeGone)
	eventually(t, "its ENIs are gone", func() error { return differ("ENIs", len(s.resources(t.Context())), 0) })
}

func TestNodeThatComesBackForTheSameInstanceKeepsEverything(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "node-back")
	node, instance := s.machine("m5.large")
	s.create(s.policy(sharing(3, 9), exclusive(1, 1)))
	before := s.awaitReady(node)
	claims := append(s.bind(node, v1alpha1.ModeShared, "web"), s.bind(node, v1alpha1.ModeExclusive, "router")...)
	enis := s.resources(t.Context())
	eventually(t, "everything agrees", func() error { return s.consistent(t.Context()) })
	calls := s.changesOf(enis)

	s.unregister(node)
	s.awaitPool(node, "misses its Node", func(pool *v1alpha1.ENIPool) error {
		return differ("missing", pool.Spec.NodeGoneSince != nil, true)
	})
	s.register(node, instance)
	after := s.awaitPool(node, "has its Node back", func(pool *v1alpha1.ENIPool) error {
		return differ("missing", pool.Spec.NodeGoneSince != nil, false)
	})

	assert.Equal(t, after.UID, before.UID)
	for _, claim := range claims {
		was := claim.Status
		s.awaitBound(claim)
		assert.DeepEqual(t, claim.Status, was)
	}
	now := s.resources(t.Context())
	assert.Equal(t, len(now), len(enis))
	for i := range now {
		assert.Equal(t, now[i].UID, enis[i].UID)
		assert.Equal(t, now[i].Status.NetworkInterfaceID, enis[i].Status.NetworkInterfaceID)
	}
	s.bind(node, v1alpha1.ModeShared, "another")
	assert.DeepEqual(t, s.changesOf(enis), calls)
}

// changesOf are the operator's calls that could change any of some ENIs, or their
// attachments.
func (s *scenario) changesOf(enis []v1alpha1.ElasticNetworkInterface) []string {
	var actions []string
	for i := range enis {
		status := enis[i].Status
		actions = append(actions, s.mutationsOf(status.NetworkInterfaceID)...)
		actions = append(actions, s.mutationsOf(status.Attachment.ID)...)
	}
	return actions
}

func TestAnotherInstanceUnderTheSameNameWaitsForTheOldPool(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "same-name")
	node, instance := s.machine("m5.large")
	s.create(s.policy(sharing(3, 9)))
	old := s.awaitReady(node)
	claim := s.bind(node, v1alpha1.ModeShared, "web")[0]

	successor := s.launch("t3.medium", s.home)
	s.unregister(node)
	s.register(node, successor)
	pool := s.awaitPool(node, "misses its instance", func(pool *v1alpha1.ENIPool) error {
		return differ("missing", pool.Spec.NodeGoneSince != nil, true)
	})
	assert.Equal(t, pool.Spec.InstanceID, instance, "the old pool is there as long as its instance may be")
	s.awaitBound(claim)

	s.terminate(t.Context(), instance)
	s.awaitPool(node, "is a new one", func(pool *v1alpha1.ENIPool) error {
		return differ("instanceID", pool.Spec.InstanceID, successor)
	})
	now := s.awaitReady(node)
	assert.Assert(t, now.UID != old.UID)
	assert.Equal(t, now.Status.InstanceType, "t3.medium")
	s.awaitClaim(claim, v1alpha1.ClaimLost, metav1.ConditionFalse, v1alpha1.ReasonNodeGone)
	s.bind(node, v1alpha1.ModeShared, "web-again")
}

func TestPolicyDeletedWhileClaimsAreBound(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "policy-deleted")
	node, _ := s.machine("m5.large")
	soonGone := func(spec *v1alpha1.ENIPolicySpec) {
		spec.Shared.IdleReleaseAfter = &metav1.Duration{Duration: 100 * time.Millisecond}
	}
	s.create(s.policy(sharing(3, 9), exclusive(1, 1), soonGone))
	pool := s.awaitReady(node)
	claim := s.bind(node, v1alpha1.ModeShared, "web")[0]

	s.remove(t.Context(), s.policy())
	message := s.awaitCondition(node, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDraining)
	s.says(message, "the pool goes when its last claim is released")
	eventually(t, "the ENI that nobody holds is gone", func() error {
		return differ("exclusive ENIs", len(s.resourcesOf(node, v1alpha1.ModeExclusive)), 0)
	})
	late := s.claimOn(node, "late", v1alpha1.ModeShared)
	s.create(late)
	s.awaitPending(late, v1alpha1.ReasonPoolDraining)
	s.awaitBound(claim)
	assert.NilError(t, s.consistent(t.Context()))

	s.remove(t.Context(), claim)
	s.awaitGone(t.Context(), claim)
	s.awaitGone(t.Context(), pool)
	s.awaitPending(late, v1alpha1.ReasonNoPool)
	s.says(messageOf(late.Status.Conditions, v1alpha1.ConditionReady), node, "selected by an ENIPolicy")

	t.Log("A policy that comes back serves who waits")
	s.create(s.policy(sharing(3, 9)))
	s.awaitBound(late)
}

func TestPoolDeletedWhileClaimsAreBoundSaysInUse(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "pool-deleted")
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(3, 9), exclusive(1, 1)))
	pool := s.awaitReady(node)
	old := pool.UID
	claims := append(s.bind(node, v1alpha1.ModeShared, "web"), s.bind(node, v1alpha1.ModeExclusive, "router")...)

	s.remove(t.Context(), pool)
	message := s.awaitCondition(node, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInUse)
	s.says(message, "1 addresses and 1 ENIs are released")
	s.awaitEvent(node, v1alpha1.ReasonInUse, "released by their claims")
	for _, claim := range claims {
		s.awaitBound(claim)
		assert.Assert(t, s.eni(t.Context(), claim.Status.NetworkInterfaceID).Attachment != nil)
	}

	for _, claim := range claims {
		s.remove(t.Context(), claim)
		s.awaitGone(t.Context(), claim)
	}
	s.awaitPool(node, "is a new one", func(pool *v1alpha1.ENIPool) error { return differ("same", pool.UID == old, false) })
	s.awaitReady(node)
}

func TestENIDeletedWhileInUseWaitsForItsClaim(t *testing.T) {
	t.Parallel()
	for _, mode := range []v1alpha1.Mode{v1alpha1.ModeShared, v1alpha1.ModeExclusive} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := shared.tell(t, map[v1alpha1.Mode]string{v1alpha1.ModeShared: "eni-deleted-shared", v1alpha1.ModeExclusive: "eni-deleted-whole"}[mode])
			node, _ := s.machine("m5.large")
			s.create(s.policy(sharing(3, 9), exclusive(1, 1)))
			s.awaitReady(node)
			claim := s.bind(node, mode, "holder")[0]
			eni := &s.resourcesOf(node, mode)[0]
			id := eni.Status.NetworkInterfaceID
			assert.Equal(t, claim.Status.NetworkInterfaceID, id)

			s.remove(t.Context(), eni)
			s.awaitENI(eni, "waits", func() error {
				return conditionIs(eni.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonWaitingForDrain)
			})
			s.says(messageOf(eni.Status.Conditions, v1alpha1.ConditionReady), "detached when they are released")
			s.awaitBound(claim)
			assert.Equal(t, len(s.operatorCalls("DetachNetworkInterface", eni.Status.Attachment.ID)), 0)

			s.remove(t.Context(), claim)
			s.awaitGone(t.Context(), claim)
			eventually(t, "the ENI is gone", func() error { return differ("gone", s.eni(t.Context(), id) == nil, true) })
			s.awaitReady(node)
			replaced := s.bind(node, mode, "heir")[0]
			assert.Assert(t, replaced.Status.NetworkInterfaceID != id)
		})
	}
}

func TestENIOfAPersonIsCreatedAttachedAndDeleted(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "own-eni")
	node, instance := s.machine("m5.large")
	eni := &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: "own-eni"},
		Spec:       v1alpha1.ElasticNetworkInterfaceSpec{NodeName: node, AddressCount: 2, Description: "firewall appliance"},
	}
	s.create(eni)
	ready := func() error {
		return first(differ("observedGeneration", eni.Status.ObservedGeneration, eni.Generation),
			conditionIs(eni.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady))
	}
	s.awaitENI(eni, "is ready", ready)
	actual := s.eni(t.Context(), eni.Status.NetworkInterfaceID)
	assert.Equal(t, *actual.Attachment.InstanceId, instance)
	assert.Equal(t, *actual.Description, "firewall appliance")
	assert.Equal(t, *actual.SubnetId, s.home.id)
	assert.DeepEqual(t, audit.SecurityGroups(*actual), []string{s.group})
	assert.Equal(t, len(audit.Secondaries(*actual)), 2)

	t.Log("It grows by count and shrinks by name")
	s.update(eni, func() { eni.Spec.AddressCount = 4 })
	s.awaitENI(eni, "has four addresses", func() error { return first(ready(), differ("addresses", len(eni.Status.Addresses), 4)) })
	given := eni.Status.Addresses[1]
	s.update(eni, func() {
		eni.Spec.AddressCount = 3
		eni.Spec.Release = []v1alpha1.AddressOrPrefix{v1alpha1.AddressOrPrefix(given)}
	})
	s.awaitENI(eni, "has three addresses", func() error { return first(ready(), differ("addresses", len(eni.Status.Addresses), 3)) })
	assert.Assert(t, !contains(audit.Texts(eni.Status.Addresses), string(given)))
	eventually(t, "everything agrees", func() error { return s.consistent(t.Context()) })

	t.Log("It leaves room for a pool beside it")
	s.create(s.policy(exclusive(1, 4)))
	pool := s.awaitReady(node)
	assert.Equal(t, pool.Status.ENICount, int32(1))

	id := eni.Status.NetworkInterfaceID
	s.remove(t.Context(), eni)
	s.awaitGone(t.Context(), eni)
	assert.Assert(t, s.eni(t.Context(), id) == nil)
}

func TestRetainedENIStaysInEC2(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "retained")
	node, _ := s.machine("t3.medium")
	s.create(s.policy(exclusive(1, 1), func(spec *v1alpha1.ENIPolicySpec) { spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain }))
	pool := s.awaitReady(node)
	eni := s.resources(t.Context())[0]
	id := eni.Status.NetworkInterfaceID

	s.remove(t.Context(), s.policy())
	s.awaitGone(t.Context(), pool)
	s.awaitGone(t.Context(), &eni)
	kept := s.eni(t.Context(), id)
	assert.Assert(t, kept != nil && kept.Attachment != nil, "the ENI is as it was")
	assert.Equal(t, audit.Tags(*kept)["networking.eni-operator.dev/deletion-policy"], "Retain")
	s.letGo(id)
}
