/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package webhooks

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// +kubebuilder:webhook:path=/validate-networking-eni-operator-dev-v1alpha1-enipolicy,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,groups=networking.eni-operator.dev,resources=enipolicies,verbs=create;update;delete,versions=v1alpha1,name=enipolicies.networking.eni-operator.dev,admissionReviewVersions=v1

type policyValidator struct{ *world }

var _ admission.Validator[*v1alpha1.ENIPolicy] = (*policyValidator)(nil)

// ValidateCreate judges a new policy.
func (p *policyValidator) ValidateCreate(ctx context.Context, policy *v1alpha1.ENIPolicy) (admission.Warnings, error) {
	return p.validate(ctx, nil, policy)
}

// ValidateUpdate judges what an edit changes for the worse.
func (p *policyValidator) ValidateUpdate(ctx context.Context, before, after *v1alpha1.ENIPolicy) (admission.Warnings, error) {
	if !after.DeletionTimestamp.IsZero() || equality.Semantic.DeepEqual(before.Spec, after.Spec) {
		return nil, nil
	}
	return p.validate(ctx, before, after)
}

func (p *policyValidator) validate(ctx context.Context, before, after *v1alpha1.ENIPolicy) (admission.Warnings, error) {
	found, err := confirmed(ctx, p.world, func(ctx context.Context, reader client.Reader) (verdict, error) {
		view, err := p.view(ctx, reader, after)
		return judgePolicy(view, before, after), err
	})
	if err != nil {
		return nil, err
	}
	return found.answer("ENIPolicy", after.Name)
}

// ValidateDelete keeps a policy while claims hold something by it.
func (p *policyValidator) ValidateDelete(ctx context.Context, policy *v1alpha1.ENIPolicy) (admission.Warnings, error) {
	if mayBeDeleted(policy) {
		return nil, nil
	}
	pools, err := p.poolsOf(ctx, policy.Name)
	if err != nil {
		return nil, err
	}
	held, err := p.held(ctx, pools)
	if err != nil || len(held) == 0 {
		return nil, err
	}
	return nil, forbidDeletion("enipolicies", policy.Name, whyKeepPolicy(held))
}

func whyKeepPolicy(held []heldPool) string {
	var holders []v1alpha1.ClaimReference
	nodes := make([]string, 0, len(held))
	for _, pool := range held {
		holders = append(holders, pool.holders...)
		nodes = append(nodes, pool.node)
	}
	return fmt.Sprintf("%d claims are bound by this policy (%s) on %s. %s", len(holders), shownClaims(holders), nodesWord(nodes), deletionRemedy)
}

// policyView is what a verdict on a policy depends on.
type policyView struct {
	// policies are all that are not being deleted.
	policies []v1alpha1.ENIPolicy
	nodes    []corev1.Node
	// pools that the policy governs.
	pools   []v1alpha1.ENIPool
	options Options
}

func (p *policyValidator) view(ctx context.Context, reader client.Reader, policy *v1alpha1.ENIPolicy) (policyView, error) {
	view := policyView{options: p.options}
	var err error
	if view.policies, err = policies(ctx, reader); err != nil {
		return view, err
	}
	if view.nodes, err = p.nodes(ctx); err != nil {
		return view, err
	}
	view.pools, err = p.poolsOf(ctx, policy.Name)
	return view, err
}

var (
	specPath         = field.NewPath("spec")
	nodeSelectorPath = specPath.Child("nodeSelector")
)

// judgePolicy judges a policy and, unless it is new, what it was before: an edit is
// refused for what it makes worse, not for what has been so.
func judgePolicy(view policyView, before, after *v1alpha1.ENIPolicy) verdict {
	var v verdict
	v.judgeSelector(&after.Spec.NodeSelector, nodeSelectorPath)
	v.judgeSelector(after.Spec.ClaimNamespaceSelector, specPath.Child("claimNamespaceSelector"))
	v.judgeTaint(view.options.StartupTaintPrefix, before, after)
	if len(v.refusals) > 0 {
		return v // What a broken selector selects says nothing.
	}
	for i := range view.policies {
		if other := &view.policies[i]; other.Name != after.Name && other.Spec.Priority == after.Spec.Priority {
			v.judgeOverlap(view.nodes, before, after, other)
		}
	}
	if before != nil {
		v.judgeLowering(view.pools, before, after)
	}
	v.judgeMinimum(view, after)
	return v
}

// judgeTaint refuses a taint's key that no taint can have, or that is not the operator's to
// remove. One that the policy had before is no reason to refuse another edit.
func (v *verdict) judgeTaint(prefix string, before, after *v1alpha1.ENIPolicy) {
	key := after.Spec.StartupTaint
	if key == "" || before != nil && before.Spec.StartupTaint == key {
		return
	}
	problems := validation.IsQualifiedName(key)
	if why := v1alpha1.WhyKeepTaint(key, prefix); why != "" && len(problems) == 0 {
		problems = []string{why}
	}
	for _, problem := range problems {
		v.refuse(field.Invalid(specPath.Child("startupTaint"), key, problem))
	}
}

// judgeOverlap judges two policies of one priority: none says which governs a Node
// that both select, but for their age.
func (v *verdict) judgeOverlap(nodes []corev1.Node, before, after, other *v1alpha1.ENIPolicy) {
	added := selectedByBoth(nodes, after, other)
	var kept []string
	if before != nil && before.Spec.Priority == other.Spec.Priority {
		had := map[string]bool{}
		for _, node := range selectedByBoth(nodes, before, other) {
			had[node] = true
		}
		isKept := func(node string) bool { return had[node] }
		kept = slices.DeleteFunc(slices.Clone(added), func(node string) bool { return !isKept(node) })
		added = slices.DeleteFunc(added, isKept)
	}
	const remedy = "give one of the two another priority, or change nodeSelector so that no Node fits both"
	switch {
	case len(added) > 0:
		v.refuse(field.Invalid(specPath.Child("priority"), after.Spec.Priority,
			fmt.Sprintf("policy %s has the same priority and selects %s too: %s", other.Name, nodesWord(added), remedy)))
	case len(kept) > 0:
		v.warn(specPath.Child("priority"), "policy %s has the same priority and selects %s too, so the older of the two governs: %s",
			other.Name, nodesWord(kept), remedy)
	case compatible(&after.Spec.NodeSelector, &other.Spec.NodeSelector):
		v.warn(specPath.Child("priority"), "policy %s has the same priority, and a Node could fit both: %s", other.Name, remedy)
	}
}

// selectedByBoth are the names of Nodes that two policies select, but for those that
// are no instances.
func selectedByBoth(nodes []corev1.Node, a, b *v1alpha1.ENIPolicy) []string {
	selectA, selectB := a.NodeMatcher(), b.NodeMatcher()
	var names []string
	for i := range nodes {
		node := &nodes[i]
		_, kind := ec2.ParseProviderID(node.Spec.ProviderID)
		if kind != ec2.ProviderIDOther && selectA(node.Labels) && selectB(node.Labels) {
			names = append(names, node.Name)
		}
	}
	return names
}

// judgeLowering warns of a maximum that goes below what claims hold.
func (v *verdict) judgeLowering(pools []v1alpha1.ENIPool, before, after *v1alpha1.ENIPolicy) {
	sharedBefore, sharedAfter := mostShared(&before.Spec.ENITemplate), mostShared(&after.Spec.ENITemplate)
	exclusiveBefore, exclusiveAfter := mostExclusive(&before.Spec.ENITemplate), mostExclusive(&after.Spec.ENITemplate)
	var shared, exclusive []string
	for i := range pools {
		status := &pools[i].Status
		if held := status.Shared; held != nil && sharedAfter < sharedBefore && held.Allocated > sharedAfter {
			shared = append(shared, fmt.Sprintf("%s (%d)", pools[i].Name, held.Allocated))
		}
		if held := status.Exclusive; held != nil && exclusiveAfter < exclusiveBefore && held.Allocated > exclusiveAfter {
			exclusive = append(exclusive, fmt.Sprintf("%s (%d)", pools[i].Name, held.Allocated))
		}
	}
	const consequence = "nothing is taken from them; only what is free goes, and the rest as claims are released"
	if len(shared) > 0 {
		v.warn(specPath.Child("shared", "maximumIPs"), "%d addresses are fewer than claims hold on %s: %s", sharedAfter, nodesWord(shared), consequence)
	}
	if len(exclusive) > 0 {
		v.warn(specPath.Child("exclusive", "maximum"), "%d ENIs are fewer than claims hold on %s: %s", exclusiveAfter, nodesWord(exclusive), consequence)
	}
}

// mostShared is the maximum of addresses, in whole prefixes where they are the unit.
func mostShared(template *v1alpha1.ENITemplate) int32 {
	if template.Shared == nil {
		return 0
	}
	unit := template.AddressUnit()
	return template.Shared.MaximumIPs / unit * unit
}

func mostExclusive(template *v1alpha1.ENITemplate) int32 {
	if template.Exclusive == nil {
		return 0
	}
	return template.Exclusive.Maximum
}
