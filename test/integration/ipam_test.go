/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// TestAddressesStraightFromEC2: with the plugin aws a pool holds what claims hold.
func TestAddressesStraightFromEC2(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "ipam-aws")
	node, _ := s.machine("m5.large")
	before := s.freeAddresses(t.Context(), s.home.id)
	straight := func(spec *v1alpha1.ENIPolicySpec) {
		spec.IPAM = "aws"
		spec.Shared.WarmIPs = 8
		spec.Shared.IdleReleaseAfter = &metav1.Duration{Duration: time.Hour}
	}
	policy := s.policy(sharing(4, 20), straight)
	s.create(policy)
	holds := func(want v1alpha1.SharedStatus) {
		t.Helper()
		s.awaitPool(node, "holds what claims hold", func(pool *v1alpha1.ENIPool) error {
			if pool.Status.Shared == nil {
				return differ("shared", pool.Status.Shared, &want)
			}
			return differ("shared", *pool.Status.Shared, want)
		})
	}
	s.awaitReady(node)
	holds(v1alpha1.SharedStatus{})
	assert.Equal(t, len(s.resources(t.Context())), 0)
	assert.Equal(t, s.freeAddresses(t.Context(), s.home.id), before)

	claims := s.bind(node, v1alpha1.ModeShared, "web-0", "web-1", "web-2")
	holds(v1alpha1.SharedStatus{Capacity: 3, Allocated: 3, Desired: 3})
	assert.Equal(t, s.freeAddresses(t.Context(), s.home.id), before-3-1) // The ENI has an address of its own.

	s.remove(t.Context(), claims[0])
	s.awaitGone(t.Context(), claims[0])
	holds(v1alpha1.SharedStatus{Capacity: 2, Allocated: 2, Desired: 2})
	eventually(t, "the address is back in the subnet", func() error {
		return differ("free addresses", s.freeAddresses(t.Context(), s.home.id), before-2-1)
	})
	next := s.bind(node, v1alpha1.ModeShared, "web-3")
	holds(v1alpha1.SharedStatus{Capacity: 3, Allocated: 3, Desired: 3})

	for _, claim := range append(next, claims[1:]...) {
		s.remove(t.Context(), claim)
	}
	holds(v1alpha1.SharedStatus{})
	eventually(t, "all addresses but the ENI's own are back", func() error {
		return differ("free addresses", s.freeAddresses(t.Context(), s.home.id), before-1)
	})
	s.update(policy, func() { policy.Spec.Shared.IdleReleaseAfter.Duration = 100 * time.Millisecond })
	eventually(t, "the empty ENI is gone as well", func() error {
		return differ("free addresses", s.freeAddresses(t.Context(), s.home.id), before)
	})
}

// TestPluginIsChanged: claims keep what they hold.
func TestPluginIsChanged(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "ipam-changes")
	node, _ := s.machine("m5.large")
	policy := s.policy(sharing(4, 20))
	s.create(policy)
	s.awaitReady(node)
	claim := s.bind(node, v1alpha1.ModeShared, "web-0")[0]
	address := claim.Status.Address
	capacityIs := func(want int32) {
		t.Helper()
		s.awaitPool(node, "has another size", func(pool *v1alpha1.ENIPool) error { return differ("capacity", pool.Status.Shared.Capacity, want) })
		s.awaitBound(claim)
		assert.Equal(t, claim.Status.Address, address)
	}
	capacityIs(4)
	s.update(policy, func() {
		policy.Spec.IPAM = "aws"
		policy.Spec.Shared.IdleReleaseAfter.Duration = 100 * time.Millisecond
	})
	capacityIs(1)
	s.update(policy, func() { policy.Spec.IPAM = "shared" })
	capacityIs(4)
}
