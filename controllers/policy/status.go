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
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/store"
)

// StatusReconciler keeps the status of policies.
type StatusReconciler struct {
	client    client.Client
	inventory cloud
	// taintPrefix begins the keys of the taints that the operator removes.
	taintPrefix string
	events      events.Publisher
	conflicts   store.Conflicts
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
	policies, nodes, pools := &v1alpha1.ENIPolicyList{}, &corev1.NodeList{}, &v1alpha1.ENIPoolList{}
	for _, list := range []client.ObjectList{policies, nodes, pools} {
		if err := r.client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return findings{}, fmt.Errorf("listing what the status of policy %s depends on: %w", policy.Name, err)
		}
	}
	v1alpha1.RankPolicies(policies.Items)
	found := judge(policy, policies.Items, nodes.Items, pools.Items)
	found.trust = r.inventory.Trust()
	if key := policy.Spec.StartupTaint; key != "" {
		found.taintKept = v1alpha1.WhyKeepTaint(key, r.taintPrefix)
	}
	return found, nil
}

// setConditions is the only place that builds a policy's status.
func setConditions(policy *v1alpha1.ENIPolicy, f findings) {
	status := &policy.Status
	status.ObservedGeneration = policy.Generation
	status.Nodes = int32(len(f.governed))       //nolint:gosec // a cluster's Nodes
	status.SkippedNodes = int32(len(f.skipped)) //nolint:gosec // a cluster's Nodes
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
	usable, reason, message := usability(f)
	set(v1alpha1.ConditionNodesUsable, usable, reason, message)
	if len(f.outranked) > 0 {
		set(v1alpha1.ConditionOverlapping, true, v1alpha1.ReasonOutranked, outrankedMessage(f.outranked))
	} else {
		set(v1alpha1.ConditionOverlapping, false, v1alpha1.ReasonNoOverlap, "")
	}
	if f.trust.Broken {
		set(v1alpha1.ConditionEC2Trusted, false, f.trust.Reason, f.trust.Message)
	} else {
		set(v1alpha1.ConditionEC2Trusted, true, v1alpha1.ReasonEC2Agrees, "")
	}
	isReady, reason, message := readiness(f)
	set(v1alpha1.ConditionReady, isReady, reason, message)
}

// usability reports whether every selected Node can have a pool. Where several things
// are wrong, the reason is that of the first.
func usability(f findings) (usable bool, reason, message string) {
	var reasons, messages []string
	add := func(reason, message string, nodes []string) {
		if len(nodes) > 0 {
			reasons = append(reasons, reason)
			messages = append(messages, fmt.Sprintf(message, shown(nodes)))
		}
	}
	add(v1alpha1.ReasonProviderIDMissing, "spec.providerID of Node %s names no EC2 instance. It should read aws:///<zone>/<instance-id>; "+
		"the AWS cloud controller manager sets it.", f.unnamed)
	add(v1alpha1.ReasonNodeWithoutInstance, "Node %s names no EC2 instance at the moment. Its pool keeps what it has and hands out nothing "+
		"until spec.providerID is there again; the AWS cloud controller manager sets it.", f.suspended)
	add(v1alpha1.ReasonInstanceTaken, "Another Node keeps the instance that these name: %s. Delete the Node that is not the instance's, "+
		"and its pool if it stays.", pairs(f.duplicates))
	if len(reasons) > 0 {
		return false, reasons[0], strings.Join(messages, " ")
	}
	if len(f.skipped) > 0 {
		return true, v1alpha1.ReasonNodesSkipped, skippedMessage(f.skipped)
	}
	return true, v1alpha1.ReasonAllUsable, ""
}

func readiness(f findings) (isReady bool, reason, message string) {
	usable, usableReason, usableMessage := usability(f)
	governed := len(f.governed)
	switch {
	case f.selectorError != nil:
		return false, v1alpha1.ReasonInvalidSelector, "spec.nodeSelector: " + f.selectorError.Error()
	case f.taintKept != "":
		return false, v1alpha1.ReasonStartupTaintNotAllowed, "spec.startupTaint: " + f.taintKept
	case !usable:
		return false, usableReason, usableMessage
	case governed == 0 && len(f.skipped) > 0:
		return true, v1alpha1.ReasonNoNodes, skippedMessage(f.skipped)
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

func skippedMessage(skipped []string) string {
	return fmt.Sprintf("%d selected Nodes are no EC2 instances and can have no ENIs, so they are skipped: %s", len(skipped), shown(skipped))
}

func outrankedMessage(outranked map[string]string) string {
	return "Policies with a higher rank govern Nodes that this one selects: " + shown(pairs(outranked))
}

// pairs are Nodes, each with what is so of it.
func pairs(of map[string]string) []string {
	names := make([]string, 0, len(of))
	for node, what := range of {
		names = append(names, fmt.Sprintf("%s (%s)", node, what))
	}
	return names
}

// announce publishes what people should look at, once it is stored.
func (r *StatusReconciler) announce(before, after *v1alpha1.ENIPolicy, f findings) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionNodesUsable)
	is := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionNodesUsable)
	if is.Status == metav1.ConditionFalse && (was == nil || was.Message != is.Message) {
		r.events.Publish(events.Warning(events.PolicyNodesUnusable, after, f.troubled, is.Reason, "Select", is.Message))
	}

	was = meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionEC2Trusted)
	is = meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionEC2Trusted)
	switch {
	case is.Status == metav1.ConditionFalse && (was == nil || was.Status != is.Status || was.Reason != is.Reason):
		r.events.Publish(events.Warning(events.PolicyEC2Distrusted, after, nil, is.Reason, "Compare", is.Message))
	case is.Status == metav1.ConditionTrue && was != nil && was.Status == metav1.ConditionFalse:
		r.events.Publish(events.Note(events.PolicyEC2Trusted, after, is.Reason, "Compare", "EC2 shows again what this cluster has there"))
	}
}

func ready(pool *v1alpha1.ENIPool) bool {
	return meta.IsStatusConditionTrue(pool.Status.Conditions, v1alpha1.ConditionReady)
}
