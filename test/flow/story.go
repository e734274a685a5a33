/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package flow

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

const (
	policyName   = "general"
	startupTaint = "eni-operator.dev/not-ready"
)

// Policy is what the platform team writes.
func Policy() *v1alpha1.ENIPolicy {
	selected := map[string]v1alpha1.TagValue{"role": "pods"}
	policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: policyName}}
	policy.Spec.NodeSelector = metav1.LabelSelector{MatchLabels: map[string]string{"pool": policyName}}
	policy.Spec.ENITemplate = v1alpha1.ENITemplate{
		SubnetSelectorTerms:        []v1alpha1.SubnetSelectorTerm{{Tags: selected}},
		SecurityGroupSelectorTerms: []v1alpha1.SecurityGroupSelectorTerm{{Tags: selected}},
		Shared: &v1alpha1.SharedBounds{
			MinimumIPs: 2, MaximumIPs: 8,
			Cooldown: &metav1.Duration{Duration: 200 * time.Millisecond}, IdleReleaseAfter: &metav1.Duration{Duration: time.Second},
		},
		Exclusive:    &v1alpha1.ExclusiveBounds{Minimum: 1, Maximum: 1},
		StartupTaint: startupTaint,
		Tags:         map[string]v1alpha1.TagValue{"team": "payments", "stage": "test"},
	}
	return policy
}

// Join has two nodes join under a policy, and returns when they may be used.
func (w *World) Join() {
	w.t.Helper()
	w.create(Policy())
	for range 2 {
		w.AddNode("m5.large")
	}
	w.AwaitPools()
	for _, name := range w.nodes {
		Eventually(w.t, name+" loses its startup taint", func() error {
			node := &corev1.Node{}
			if err := w.Get(w.t.Context(), client.ObjectKey{Name: name}, node); err != nil {
				return err
			}
			if slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool { return taint.Key == startupTaint }) {
				return errors.New("it is still there")
			}
			return nil
		})
	}
}

// AwaitPools waits until the pool of every node is ready.
func (w *World) AwaitPools() {
	w.t.Helper()
	for _, name := range w.nodes {
		Eventually(w.t, "the pool of "+name+" is ready", func() error { return w.poolReady(name) })
	}
}

func (w *World) poolReady(node string) error {
	pool := &v1alpha1.ENIPool{}
	if err := w.Get(w.t.Context(), client.ObjectKey{Name: node}, pool); err != nil {
		return err
	}
	ready := meta.FindStatusCondition(pool.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != pool.Generation {
		return fmt.Errorf("its condition is %+v", ready)
	}
	return nil
}

// Claim makes a claim on the first node.
func (w *World) Claim(name string, mode v1alpha1.Mode, lease time.Duration) *v1alpha1.ENIClaim {
	w.t.Helper()
	claim := &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Spec:       v1alpha1.ENIClaimSpec{NodeName: w.nodes[0], Mode: mode},
	}
	if lease > 0 {
		claim.Spec.Lease = &v1alpha1.ClaimLease{Duration: metav1.Duration{Duration: lease}}
	}
	w.create(claim)
	return claim
}

// Bind makes claims of both modes, more than the pool keeps, and waits until they
// are bound.
func (w *World) Bind() {
	w.t.Helper()
	claims := []*v1alpha1.ENIClaim{w.Claim("router-0", v1alpha1.ModeExclusive, 0)}
	for i := range 4 {
		claims = append(claims, w.Claim(fmt.Sprintf("web-%d", i), v1alpha1.ModeShared, 0))
	}
	for _, claim := range claims {
		w.awaitPhase(claim, v1alpha1.ClaimBound)
	}
}

func (w *World) awaitPhase(claim *v1alpha1.ENIClaim, phase v1alpha1.ClaimPhase) {
	w.t.Helper()
	Eventually(w.t, fmt.Sprintf("claim %s is %s", claim.Name, phase), func() error {
		if err := w.Get(w.t.Context(), client.ObjectKeyFromObject(claim), claim); err != nil {
			return err
		}
		if claim.Status.Phase != phase {
			return fmt.Errorf("it is %q: %+v", claim.Status.Phase, claim.Status.Conditions)
		}
		return nil
	})
}

// Holding is what a bound claim holds, as its status says and as EC2 has it.
type Holding struct {
	Claim, UID, Address, ENI, AttachmentID, Instance string
}

// Holdings are all that claims hold. They fail where EC2 has it otherwise.
func (w *World) Holdings() []Holding {
	w.t.Helper()
	claims := &v1alpha1.ENIClaimList{}
	assert.NilError(w.t, w.List(w.t.Context(), claims))
	enis, err := w.ours(w.t.Context())
	assert.NilError(w.t, err)
	var all []Holding
	for i := range claims.Items {
		claim := &claims.Items[i]
		if claim.Status.Phase != v1alpha1.ClaimBound {
			continue
		}
		held := Holding{Claim: claim.Name, UID: string(claim.UID), Address: claim.Status.Address, ENI: claim.Status.NetworkInterfaceID}
		for j := range enis {
			if aws.ToString(enis[j].NetworkInterfaceId) != held.ENI || enis[j].Attachment == nil {
				continue
			}
			for _, address := range enis[j].PrivateIpAddresses {
				if aws.ToString(address.PrivateIpAddress) == held.Address {
					held.AttachmentID, held.Instance = aws.ToString(enis[j].Attachment.AttachmentId), aws.ToString(enis[j].Attachment.InstanceId)
				}
			}
		}
		assert.Assert(w.t, held.AttachmentID != "", "claim %s holds %s of %s, which EC2 does not have attached", held.Claim, held.Address, held.ENI)
		all = append(all, held)
	}
	slices.SortFunc(all, func(a, b Holding) int { return cmp.Compare(a.Claim, b.Claim) })
	return all
}

// Change walks through what happens to a pool in its life: a lease that runs out, a
// released address, surplus that goes back, other tags, and an ENI that a person
// makes.
func (w *World) Change() {
	w.t.Helper()
	kept := w.Claim("leased-1", v1alpha1.ModeShared, time.Hour)
	w.awaitPhase(w.Claim("leased-0", v1alpha1.ModeShared, time.Second), v1alpha1.ClaimExpired)
	w.awaitPhase(kept, v1alpha1.ClaimBound)
	w.update(kept, func(claim client.Object) { claim.(*v1alpha1.ENIClaim).Spec.Lease = nil })
	for _, name := range []string{"leased-0", "leased-1", "web-2", "web-3"} {
		w.remove(&v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name}})
	}
	Eventually(w.t, "the pool shrinks to what is held", func() error {
		pool := &v1alpha1.ENIPool{}
		if err := w.Get(w.t.Context(), client.ObjectKey{Name: w.nodes[0]}, pool); err != nil {
			return err
		}
		if pool.Status.Shared == nil || pool.Status.Shared.Capacity != 2 || pool.Status.Shared.Allocated != 2 {
			return fmt.Errorf("it has %+v", pool.Status.Shared)
		}
		return nil
	})
	w.update(Policy(), func(policy client.Object) {
		policy.(*v1alpha1.ENIPolicy).Spec.Tags = map[string]v1alpha1.TagValue{"team": "search"}
	})
	Eventually(w.t, "all ENIs have the tags of the policy", func() error {
		enis, err := w.ours(w.t.Context())
		if err != nil {
			return err
		}
		for i := range enis {
			tags := map[string]string{}
			for _, tag := range enis[i].TagSet {
				tags[*tag.Key] = *tag.Value
			}
			if _, stage := tags["stage"]; stage || tags["team"] != "search" {
				return fmt.Errorf("%s has %v", *enis[i].NetworkInterfaceId, tags)
			}
		}
		return nil
	})
	firewall := &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: "firewall"},
		Spec:       v1alpha1.ElasticNetworkInterfaceSpec{NodeName: w.AddNode("m5.large"), Mode: v1alpha1.ModeExclusive, AddressCount: 1},
	}
	w.create(firewall)
	w.AwaitENI(firewall)
	w.remove(firewall)
}

// AwaitENI waits until an ENI is ready.
func (w *World) AwaitENI(eni *v1alpha1.ElasticNetworkInterface) {
	w.t.Helper()
	Eventually(w.t, "ENI "+eni.Name+" is ready", func() error {
		if err := w.Get(w.t.Context(), client.ObjectKeyFromObject(eni), eni); err != nil {
			return err
		}
		ready := meta.FindStatusCondition(eni.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != eni.Generation {
			return fmt.Errorf("its condition is %+v", ready)
		}
		return nil
	})
}

// update changes an object, anew while others write it too.
func (w *World) update(object client.Object, change func(client.Object)) {
	w.t.Helper()
	Eventually(w.t, "an update of "+object.GetName()+" is taken", func() error {
		if err := w.Get(w.t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change(object)
		return w.Update(w.t.Context(), object)
	})
}

// remove deletes an object and waits until it is gone.
func (w *World) remove(object client.Object) {
	w.t.Helper()
	assert.NilError(w.t, client.IgnoreNotFound(w.Delete(w.t.Context(), object)))
	w.AwaitGone(object)
}

// AwaitGone waits until Kubernetes does not have an object any more.
func (w *World) AwaitGone(object client.Object) {
	w.t.Helper()
	Eventually(w.t, object.GetName()+" is gone", func() error {
		err := w.Get(w.t.Context(), client.ObjectKeyFromObject(object), object)
		if err == nil {
			return errors.New("it is there")
		}
		return client.IgnoreNotFound(err)
	})
}

// AwaitNothingLeft waits until there is nothing of ours in Kubernetes and EC2.
func (w *World) AwaitNothingLeft() {
	w.t.Helper()
	for _, list := range []client.ObjectList{
		&v1alpha1.ENIPolicyList{}, &v1alpha1.ENIPoolList{}, &v1alpha1.ElasticNetworkInterfaceList{}, &v1alpha1.ENIClaimList{},
	} {
		w.awaitNone(list)
	}
	enis, err := w.ours(w.t.Context())
	assert.NilError(w.t, err)
	assert.Equal(w.t, len(enis), 0)
}

func (w *World) awaitNone(list client.ObjectList) {
	w.t.Helper()
	Eventually(w.t, fmt.Sprintf("there is nothing in the %T", list), func() error {
		if err := w.List(w.t.Context(), list); err != nil {
			return err
		}
		if left := meta.LenList(list); left > 0 {
			return fmt.Errorf("%d are left", left)
		}
		return nil
	})
}
