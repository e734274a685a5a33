/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// renew is the one call of a holder, which names neither an object's version nor anything
// but the time.
func (s *scenario) renew(claim *v1alpha1.ENIClaim) error {
	now := time.Now().UTC().Format(time.RFC3339Nano)
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"lease":{"renewTime":%q}}}`, now))
	return s.Patch(s.t.Context(), claim.DeepCopy(), patch)
}

// bindLeased makes a claim with a lease, and waits until it is bound.
func (s *scenario) bindLeased(node, name string, mode v1alpha1.Mode, duration time.Duration) *v1alpha1.ENIClaim {
	s.t.Helper()
	claim := s.claimOn(node, name, mode)
	claim.Spec.Lease = &v1alpha1.ClaimLease{Duration: metav1.Duration{Duration: duration}}
	s.create(claim)
	s.awaitBound(claim)
	return claim
}

func (s *scenario) awaitExpired(claim *v1alpha1.ENIClaim, meanwhile func() error) {
	s.t.Helper()
	eventually(s.t, "claim "+claim.Name+" expires", func() error {
		return first(meanwhile(), s.Get(s.t.Context(), key(claim), claim),
			differ("phase", claim.Status.Phase, v1alpha1.ClaimExpired),
			conditionIs(claim.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonExpired))
	})
	assert.Equal(s.t, claim.Status.Address, "")
}

// TestLeases: of two claims with the same lease one is renewed.
func TestLeases(t *testing.T) {
	t.Parallel()
	const duration = 8 * time.Second
	s := shared.tell(t, "leases")
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(2, 8), exclusive(1, 1)))
	s.awaitReady(node)
	kept := s.bindLeased(node, "kept", v1alpha1.ModeShared, duration)
	dropped := s.bindLeased(node, "dropped", v1alpha1.ModeShared, duration)
	router := s.bindLeased(node, "router", v1alpha1.ModeExclusive, duration)
	forever := s.bind(node, v1alpha1.ModeShared, "forever")[0]

	s.awaitExpired(dropped, func() error { return s.renew(kept) })
	s.awaitExpired(router, func() error { return s.renew(kept) })
	s.awaitEvent("dropped", v1alpha1.ReasonExpired, "not renewed in time", "goes back to the pool")
	s.awaitPool(node, "has back what expired", func(pool *v1alpha1.ENIPool) error {
		return first(s.renew(kept), differ("shared", *pool.Status.Shared, v1alpha1.SharedStatus{Capacity: 3, Allocated: 2, Free: 1, Desired: 2}),
			differ("exclusive", *pool.Status.Exclusive, v1alpha1.ExclusiveStatus{Capacity: 1, Free: 1, Desired: 1}))
	})
	for _, claim := range []*v1alpha1.ENIClaim{kept, forever} {
		was := claim.Status.Address
		s.awaitBound(claim)
		assert.Equal(t, claim.Status.Address, was)
	}

	t.Run("an expired claim never binds again, and gives its name back", func(t *testing.T) {
		assert.NilError(t, s.renew(dropped))
		s.bind(node, v1alpha1.ModeShared, "next")
		assert.NilError(t, s.Get(t.Context(), key(dropped), dropped))
		assert.Equal(t, dropped.Status.Phase, v1alpha1.ClaimExpired)
		expired := dropped.UID
		s.remove(t.Context(), dropped)
		s.awaitGone(t.Context(), dropped)
		again := s.bindLeased(node, "dropped", v1alpha1.ModeShared, time.Hour)
		assert.Assert(t, again.UID != expired)
	})
	t.Run("a renewal is not answered by a write", func(t *testing.T) {
		long := s.bindLeased(node, "long", v1alpha1.ModeShared, time.Hour)
		before := long.Status
		assert.NilError(t, s.renew(long))
		s.bind(node, v1alpha1.ModeShared, "after") // The pool has looked at its claims.
		assert.NilError(t, s.Get(t.Context(), key(long), long))
		assert.DeepEqual(t, long.Status, before)
		assert.Assert(t, long.Generation > long.Status.ObservedGeneration)
	})
}

func TestLeaseIsChanged(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "lease-changes")
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(2, 4)))
	s.awaitReady(node)
	claim := s.bindLeased(node, "web-0", v1alpha1.ModeShared, time.Hour)
	s.update(claim, func() { claim.Spec.Lease = nil })
	s.update(claim, func() { claim.Spec.Lease = &v1alpha1.ClaimLease{Duration: metav1.Duration{Duration: time.Second}} })
	s.awaitExpired(claim, func() error { return nil })
}

// aLeaseCountsAnewAfterEachFailover: no operator lives long enough to see the lease
// run out, though all of them together do.
func aLeaseCountsAnewAfterEachFailover(t *testing.T) {
	const duration, life = 9 * time.Second, 4 * time.Second
	w := newWorldApart(t, emulator.Timings{})
	o := startOperator(t, w, w.http.URL)
	o.awaitReady()
	s := w.tell(t, "lease-failover")
	node, _ := s.machine("t3.medium")
	s.create(s.policy(sharing(2, 4)))
	s.awaitReady(node)
	claim := s.bindLeased(node, "web-0", v1alpha1.ModeShared, duration)
	begun := time.Now()
	for time.Since(begun) <= duration+2*time.Second { // The grace is one of them.
		time.Sleep(life)
		o.kill()
		o = startOperator(t, w, w.http.URL)
		o.awaitReady()
	}
	assert.Assert(t, claim.Spec.Lease.RenewTime == nil)
	s.awaitBound(claim)

	s.awaitExpired(claim, func() error { return nil })
	s.end()
}

// TestDocumentedRenewal runs the command of docs/leases.md as it stands there.
func TestDocumentedRenewal(t *testing.T) {
	t.Parallel()
	root, err := controlplane.RepositoryRoot()
	assert.NilError(t, err)
	page, err := os.ReadFile(filepath.Join(root, "docs", "leases.md"))
	assert.NilError(t, err)
	command := regexp.MustCompile(`(?m)^kubectl patch eniclaim .*$`).FindString(string(page))
	assert.Assert(t, command != "")
	kubectl, err := controlplane.Binary("kubectl")
	assert.NilError(t, err)

	s := shared.tell(t, "shop")
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(2, 4)))
	s.awaitReady(node)
	claim := s.bindLeased(node, "web-0", v1alpha1.ModeShared, time.Hour)
	shell := exec.CommandContext(t.Context(), "sh", "-c", command)
	shell.Env = append(os.Environ(), "KUBECONFIG="+s.Plane.KubeconfigPath, "PATH="+filepath.Dir(kubectl)+":"+os.Getenv("PATH"))
	output, err := shell.CombinedOutput()
	assert.NilError(t, err, string(output))
	assert.NilError(t, s.Get(t.Context(), key(claim), claim))
	assert.Assert(t, claim.Spec.Lease.RenewTime != nil)
}
