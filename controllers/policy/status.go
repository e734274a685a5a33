/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/index"
	"github.com/eni-operator/eni-operator/pkg/store"
)

// StatusReconciler says in a policy's status what became of it.
type StatusReconciler struct {
	client    client.Client
	events    events.Publisher
	conflicts store.Conflicts
}

// findings are what a policy's status tells.
type findings struct {
	selectorError error
	governed      []string
	unusable      []*corev1.Node
	// outranked are the policy's Nodes that a stronger policy governs, and by whom.
	outranked  map[string]string
	readyPools int32
}

// Reconcile brings one policy's status up to date.
func (r *StatusReconciler) Reconcile(ctx context.Context, request reconcile.Request) (ctrl.Result, error) {
	policy := &v1alpha1.ENIPolicy{}
	if err := r.client.Get(ctx, request.NamespacedName, policy); err != nil {
		return r.conflicts.Settle(ctx, policyControllerName, request, ctrl.Result{}, client.IgnoreNotFound(err))
	}
	found, err := r.find(ctx, policy)
	if err != nil {
		return ctrl.Result{}, err
	}
	after := policy.DeepCopy()
	setConditions(after, found)
	wrote, err := store.UpdateStatus(ctx, r.client, r.events, policy, after)
	if wrote && err == nil {
		r.announce(policy, after, found)
	}
	return r.conflicts.Settle(ctx, policyControllerName, request, ctrl.Result{}, client.IgnoreNotFound(err))
}

func (r *StatusReconciler) find(ctx context.Context, policy *v1alpha1.ENIPolicy) (findings, error) {
	found := findings{outranked: map[string]string{}}
	_, found.selectorError = metav1.LabelSelectorAsSelector(&policy.Spec.NodeSelector)
	policies, nodes := &v1alpha1.ENIPolicyList{}, &corev1.NodeList{}
	if err := r.client.List(ctx, policies, client.UnsafeDisableDeepCopy); err != nil {
		return found, err
	}
	if err := r.client.List(ctx, nodes, client.UnsafeDisableDeepCopy); err != nil {
		return found, err
	}
	v1alpha1.RankPolicies(policies.Items)
	for i := range nodes.Items {
		found.judge(policy, policies.Items, &nodes.Items[i])
	}
	pools := &v1alpha1.ENIPoolList{}
	if err := r.client.List(ctx, pools, client.MatchingFields{index.PolicyName: policy.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return found, err
	}
	found.countReady(pools.Items)
	return found, nil
}

// countReady counts the pools of governed Nodes that are ready. A pool whose Node
// is missing, or stands for another instance, is none of those.
func (f *findings) countReady(pools []v1alpha1.ENIPool) {
	governed := map[string]bool{}
	for _, node := range f.governed {
		governed[node] = true
	}
	for i := range pools {
		pool := &pools[i]
		if governed[pool.Name] && pool.DeletionTimestamp.IsZero() && pool.Spec.NodeGoneSince == nil && ready(pool) {
			f.readyPools++
		}
	}
}

// judge sorts a Node in: governed by this policy, by a stronger one, or unusable.
func (f *findings) judge(policy *v1alpha1.ENIPolicy, ranked []v1alpha1.ENIPolicy, node *corev1.Node) {
	_, kind := ec2.ParseProviderID(node.Spec.ProviderID)
	if kind == ec2.ProviderIDOther || !policy.Selects(node.Labels) {
		return
	}
	switch winner := v1alpha1.Governing(ranked, node.Labels); {
	case winner != nil && winner.Name != policy.Name:
		f.outranked[node.Name] = winner.Name
	case kind == ec2.ProviderIDUnusable:
		f.unusable = append(f.unusable, node)
	default:
		f.governed = append(f.governed, node.Name)
	}
}

// setConditions is the only place that builds a policy's status.
func setConditions(policy *v1alpha1.ENIPolicy, f findings) {
	status := &policy.Status
	status.ObservedGeneration = policy.Generation
	status.Nodes = int32(len(f.governed)) //nolint:gosec // a cluster's Nodes
	status.ReadyPools = f.readyPools
	set := func(kind string, state bool, reason, message string) {
		condition := metav1.Condition{
			Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: policy.Generation,
		}
		if state {
			condition.Status = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&status.Conditions, condition)
	}
	if len(f.unusable) > 0 {
		set(v1alpha1.ConditionNodesUsable, false, v1alpha1.ReasonProviderIDMissing, unusableMessage(f.unusable))
	} else {
		set(v1alpha1.ConditionNodesUsable, true, v1alpha1.ReasonAllUsable, "")
	}
	if len(f.outranked) > 0 {
		set(v1alpha1.ConditionOverlapping, true, v1alpha1.ReasonOutranked, outrankedMessage(f.outranked))
	} else {
		set(v1alpha1.ConditionOverlapping, false, v1alpha1.ReasonNoOverlap, "")
	}
	isReady, reason, message := readiness(f)
	set(v1alpha1.ConditionReady, isReady, reason, message)
}

func readiness(f findings) (isReady bool, reason, message string) {
	governed := len(f.governed)
	switch {
	case f.selectorError != nil:
		return false, v1alpha1.ReasonInvalidSelector, "spec.nodeSelector: " + f.selectorError.Error()
	case len(f.unusable) > 0:
		return false, v1alpha1.ReasonProviderIDMissing, unusableMessage(f.unusable)
	case governed == 0:
		return true, v1alpha1.ReasonNoNodes, "spec.nodeSelector selects no Node that this policy governs"
	case int(f.readyPools) < governed:
		return false, v1alpha1.ReasonPoolsNotReady, fmt.Sprintf("%d of %d pools hold their minimum", f.readyPools, governed)
	default:
		return true, v1alpha1.ReasonReady, ""
	}
}

// namesShown is how many names a message lists.
const namesShown = 5

func shown(names []string) string {
	slices.Sort(names)
	if len(names) > namesShown {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:namesShown], ", "), len(names)-namesShown)
	}
	return strings.Join(names, ", ")
}

func unusableMessage(nodes []*corev1.Node) string {
	var names []string
	for _, node := range nodes {
		names = append(names, node.Name)
	}
	return fmt.Sprintf("spec.providerID of Node %s names no EC2 instance. It should read aws:///<zone>/<instance-id>; "+
		"the AWS cloud controller manager sets it.", shown(names))
}

func outrankedMessage(outranked map[string]string) string {
	var names []string
	for node, winner := range outranked {
		names = append(names, fmt.Sprintf("%s (%s)", node, winner))
	}
	return "Policies with a higher rank govern Nodes that this one selects: " + shown(names)
}

// announce tells people what changed, once it is stored.
func (r *StatusReconciler) announce(before, after *v1alpha1.ENIPolicy, f findings) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionNodesUsable)
	is := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionNodesUsable)
	if is.Status == metav1.ConditionTrue || (was != nil && was.Message == is.Message) {
		return
	}
	r.events.Publish(events.Warning(events.PolicyNodesUnusable, after, f.unusable[0], is.Reason, "Select", is.Message))
}

func ready(pool *v1alpha1.ENIPool) bool {
	return meta.IsStatusConditionTrue(pool.Status.Conditions, v1alpha1.ConditionReady)
}
