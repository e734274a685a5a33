/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package webhooks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// TestWhatClaimsLeaveIsNotInUse: a policy, a pool and an ENI are kept for claims that
// stay, and not for those that are being deleted, whose address is on its way back.
func TestWhatClaimsLeaveIsNotInUse(t *testing.T) {
	for _, row := range []struct {
		name    string
		staying []string
		leaving []string
		gone    bool
		node    *corev1.Node
		kept    bool
	}{
		{name: "nobody holds anything"},
		{name: "a claim stays", staying: []string{"web"}, kept: true},
		{name: "a claim is being deleted", leaving: []string{"web"}},
		{name: "one of two stays", staying: []string{"db"}, leaving: []string{"web"}, kept: true},
		{name: "the Node is gone", staying: []string{"web"}, gone: true},
		{name: "the Node stands for another instance", staying: []string{"web"}, gone: true, node: nodeOn("aws:///us-east-1a/i-0123456789abcdef1")},
		{name: "the Node names no instance at the moment", staying: []string{"web"}, gone: true, node: nodeOn(""), kept: true},
		{name: "the Node is back, and its pool does not know yet", staying: []string{"web"}, gone: true, node: nodeOn(onEC2), kept: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := heldWorld(t, row.staying, row.leaving, row.gone, row.node)
			for kind, err := range deletions(t, w) {
				if !row.kept {
					assert.NilError(t, err, kind)
					continue
				}
				assert.Assert(t, apierrors.IsForbidden(err), "%s: %v", kind, err)
				assert.ErrorContains(t, err, fmt.Sprintf("1 claims %s", map[string]string{
					"policy": "are bound by this policy (shop/" + row.staying[0] + ") on Node node", "pool": "hold addresses or ENIs of this pool (shop/" + row.staying[0] + ")",
					"ENI": "use this ENI (shop/" + row.staying[0] + ")",
				}[kind]))
			}
		})
	}
}

const onEC2 = "aws:///us-east-1a/i-0123456789abcdef0"

func nodeOn(providerID string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: corev1.NodeSpec{ProviderID: providerID}}
}

// heldWorld has a policy with one pool, of whose one ENI claims hold an address each.
func heldWorld(t *testing.T, staying, leaving []string, gone bool, node *corev1.Node) *world {
	t.Helper()
	pool := &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: v1alpha1.ENIPoolSpec{
		NodeName: "node", InstanceID: "i-0123456789abcdef0", PolicyName: "policy",
	}}
	if gone {
		pool.Spec.NodeGoneSince = new(metav1.Time)
		*pool.Spec.NodeGoneSince = metav1.Now()
	}
	objects := []client.Object{pool}
	if node != nil {
		objects = append(objects, node)
	}
	for i, name := range append(append([]string(nil), staying...), leaving...) {
		claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name)}, Spec: v1alpha1.ENIClaimSpec{NodeName: "node"}}
		if i >= len(staying) {
			claim.DeletionTimestamp, claim.Finalizers = new(metav1.Time), []string{v1alpha1.Finalizer}
			*claim.DeletionTimestamp = metav1.Now()
		}
		objects = append(objects, claim)
		pool.Status.Addresses = append(pool.Status.Addresses, v1alpha1.PoolAddress{
			Address: v1alpha1.Address(fmt.Sprintf("10.0.0.%d", 9+i)), ENIName: "eni", State: v1alpha1.HolderAllocated,
			Claim: &v1alpha1.ClaimReference{Namespace: "shop", Name: name, UID: claim.UID},
		})
	}
	return worldOf(t, objects...)
}

// deletions are the verdicts on deleting each of what heldWorld has.
func deletions(t *testing.T, w *world) map[string]error {
	t.Helper()
	pool, err := find(t.Context(), w.live, named("node"), &v1alpha1.ENIPool{})
	assert.NilError(t, err)
	eni := &v1alpha1.ElasticNetworkInterface{ObjectMeta: metav1.ObjectMeta{Name: "eni"}, Spec: v1alpha1.ElasticNetworkInterfaceSpec{PoolName: "node"}}
	verdicts := map[string]error{}
	_, verdicts["policy"] = (&policyValidator{w}).ValidateDelete(t.Context(), &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: "policy"}})
	_, verdicts["pool"] = (&poolValidator{w}).ValidateDelete(t.Context(), pool)
	_, verdicts["ENI"] = (&eniValidator{world: w}).ValidateDelete(t.Context(), eni)
	return verdicts
}

// TestReservedAddressesAreWarnedOf: a claim that asks for what another namespace released is
// told that it waits, and not who had it.
func TestReservedAddressesAreWarnedOf(t *testing.T) {
	const address = "10.0.0.9"
	policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: "policy"}}
	policy.Spec.Shared = &v1alpha1.SharedBounds{MaximumIPs: 20}
	for _, row := range []struct {
		name      string
		namespace string
		state     v1alpha1.HolderState
		reserves  time.Duration
		warned    bool
	}{
		{"reserved for another", "market", v1alpha1.HolderReserved, time.Minute, true},
		{"rests, and will be", "market", v1alpha1.HolderCooling, time.Minute, true},
		{"rests, and will not be", "market", v1alpha1.HolderCooling, 0, false},
		{"its own", "shop", v1alpha1.HolderReserved, time.Minute, false},
		{"on its way back", "market", v1alpha1.HolderReleasing, time.Minute, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			pool := &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: v1alpha1.ENIPoolSpec{NodeName: "node", InstanceID: "i-0123456789abcdef0"}}
			pool.Spec.Shared = &v1alpha1.SharedBounds{ReserveAfterRelease: &metav1.Duration{Duration: row.reserves}}
			pool.Status.Addresses = []v1alpha1.PoolAddress{{Address: address, ENIName: "eni", State: row.state,
				Claim: &v1alpha1.ClaimReference{Namespace: "shop", Name: "payroll", UID: "u"}}}
			w := worldOf(t, pool, nodeOn(onEC2), policy.DeepCopy())
			claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: row.namespace, Name: "another"}}
			claim.Spec = v1alpha1.ENIClaimSpec{NodeName: "node", Mode: v1alpha1.ModeShared, Address: ptr.To(v1alpha1.Address(address))}
			warnings, err := (&claimValidator{w}).ValidateCreate(t.Context(), claim)
			assert.NilError(t, err)
			if !row.warned {
				assert.Equal(t, len(warnings), 0, "%v", warnings)
				return
			}
			assert.Equal(t, len(warnings), 1)
			assert.Assert(t, strings.Contains(warnings[0], "is reserved for the namespace that released it"), warnings[0])
			assert.Assert(t, !strings.Contains(warnings[0], "payroll"))
		})
	}
}

// TestTheEarlierInstancesPoolJudgesNoClaim: what claims hold of a pool that serves another
// instance says nothing about the Node as it is now.
func TestTheEarlierInstancesPoolJudgesNoClaim(t *testing.T) {
	const address = "10.0.0.9"
	policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: "policy"}}
	policy.Spec.Shared = &v1alpha1.SharedBounds{MaximumIPs: 20}
	for _, row := range []struct {
		name    string
		node    *corev1.Node
		refused bool
	}{
		{"the Node stands for the pool's instance", nodeOn(onEC2), true},
		{"the Node stands for another instance", nodeOn("aws:///us-east-1a/i-0123456789abcdef1"), false},
		{"the Node names no instance at the moment", nodeOn(""), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := heldWorld(t, []string{"web"}, nil, false, row.node)
			assert.NilError(t, w.cached.(client.Client).Create(t.Context(), policy.DeepCopy()))
			claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "another"}}
			claim.Spec = v1alpha1.ENIClaimSpec{NodeName: "node", Mode: v1alpha1.ModeShared, Address: ptr.To(v1alpha1.Address(address))}
			_, err := (&claimValidator{w}).ValidateCreate(t.Context(), claim)
			assert.Equal(t, err != nil, row.refused, "%v", err)
			if row.refused {
				assert.ErrorContains(t, err, "is held by claim web")
			}
		})
	}
}

// TestReplicaThatCannotReadRefusesOnlyWhatFailsClosed asserts that a read that fails is
// the same as no answer: what is ignored on failure is accepted, with a warning.
func TestReplicaThatCannotReadRefusesOnlyWhatFailsClosed(t *testing.T) {
	w := heldWorld(t, []string{"web"}, nil, false, nodeOn(onEC2))
	pool, err := find(t.Context(), w.live, named("node"), &v1alpha1.ENIPool{})
	assert.NilError(t, err)
	failing := interceptor.NewClient(w.live.(client.WithWatch), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return apierrors.NewInternalError(errors.New("etcdserver: request timed out"))
		},
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			return apierrors.NewInternalError(errors.New("etcdserver: request timed out"))
		},
	})
	w = &world{cached: failing, live: failing, options: w.options}
	eni := &v1alpha1.ElasticNetworkInterface{ObjectMeta: metav1.ObjectMeta{Name: "eni"}, Spec: v1alpha1.ElasticNetworkInterfaceSpec{PoolName: "node", NodeName: "node"}}
	moved := eni.DeepCopy()
	moved.Spec.NodeName = "another"
	for what, validate := range map[string]func() (admission.Warnings, error){
		"the deletion of a pool": func() (admission.Warnings, error) { return (&poolValidator{w}).ValidateDelete(t.Context(), pool) },
		"the deletion of an ENI": func() (admission.Warnings, error) { return (&eniValidator{world: w}).ValidateDelete(t.Context(), eni) },
		"the edit of an ENI": func() (admission.Warnings, error) {
			return (&eniValidator{world: w}).ValidateUpdate(t.Context(), eni, moved)
		},
	} {
		warnings, err := validate()
		assert.NilError(t, err, what)
		assert.Equal(t, len(warnings), 1, what)
		assert.Assert(t, strings.Contains(warnings[0], "etcdserver: request timed out"), warnings[0])
	}
	policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: "policy"}}
	for what, validate := range map[string]func() (admission.Warnings, error){
		"the deletion of a policy": func() (admission.Warnings, error) { return (&policyValidator{w}).ValidateDelete(t.Context(), policy) },
		"a new ENI":                func() (admission.Warnings, error) { return (&eniValidator{world: w}).ValidateCreate(t.Context(), eni) },
	} {
		_, err := validate()
		assert.ErrorContains(t, err, "etcdserver: request timed out", what)
	}
}

// TestARefusalThatCannotBeConfirmedStands, and names its own reason: an error about the
// operator's own account does not help the person who made the claim.
func TestARefusalThatCannotBeConfirmedStands(t *testing.T) {
	w := heldWorld(t, nil, nil, false, nodeOn("aws:///us-east-1a/fargate-ip-10-0-1-2"))
	w.live = interceptor.NewClient(w.live.(client.WithWatch), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return apierrors.NewForbidden(corev1.Resource("nodes"), "node", errors.New("the operator's account cannot get nodes"))
		},
	})
	claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: v1alpha1.ENIClaimSpec{NodeName: "node"}}
	_, err := (&claimValidator{w}).ValidateCreate(t.Context(), claim)
	assert.ErrorContains(t, err, "this Node is no EC2 instance")
}

// TestClaimsAreBounded: nothing of a claim needs more, and each replica keeps all of it.
func TestClaimsAreBounded(t *testing.T) {
	for name, row := range map[string]struct {
		change func(claim *v1alpha1.ENIClaim)
		said   string
	}{
		"as people make them": {func(claim *v1alpha1.ENIClaim) {
			claim.Annotations = map[string]string{"note": strings.Repeat("x", 8<<10)}
		}, ""},
		"a long annotation": {
			func(claim *v1alpha1.ENIClaim) {
				claim.Annotations = map[string]string{"note": strings.Repeat("x", 16<<10)}
			}, "metadata: Forbidden",
		},
		"many finalizers": {func(claim *v1alpha1.ENIClaim) { claim.Finalizers = make([]string, 9) }, "metadata.finalizers: Too many"},
		"many owners":     {func(claim *v1alpha1.ENIClaim) { claim.OwnerReferences = make([]metav1.OwnerReference, 9) }, "metadata.ownerReferences: Too many"},
	} {
		t.Run(name, func(t *testing.T) {
			w := heldWorld(t, nil, nil, false, nil)
			claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: v1alpha1.ENIClaimSpec{NodeName: "later"}}
			row.change(claim)
			_, err := (&claimValidator{w}).ValidateCreate(t.Context(), claim)
			if row.said == "" {
				assert.NilError(t, err)
				return
			}
			assert.ErrorContains(t, err, row.said)
		})
	}
}

// TestWhatATerminatedInstanceTookIsNotInUse: also while its Node is there.
func TestWhatATerminatedInstanceTookIsNotInUse(t *testing.T) {
	w := heldWorld(t, []string{"web"}, nil, false, nodeOn(""))
	pool, err := find(t.Context(), w.live, named("node"), &v1alpha1.ENIPool{})
	assert.NilError(t, err)
	pool.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionInstanceFound, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonInstanceTerminated, LastTransitionTime: metav1.Now(),
	}}
	assert.NilError(t, w.cached.(client.Client).Update(t.Context(), pool))
	for kind, err := range deletions(t, w) {
		assert.NilError(t, err, kind)
	}
}
