/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package policy turns ENIPolicies and Nodes into one ENIPool per node, and reports
// in a policy's status which Nodes it governs and which pools are ready.
package policy

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/elapsed"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/pkg/store"
)

const (
	nodeControllerName   = "node"
	policyControllerName = "policy"
)

// Options of the policy controllers; see the operator's flags.
type Options struct {
	// StartupTaintPrefix begins the keys of the taints that the operator removes.
	StartupTaintPrefix string
	// NodeGoneGrace is how long a missing Node is waited for.
	NodeGoneGrace time.Duration
	// IdleReleaseAfter is how long an empty pool without a policy is kept, if its policy
	// did not say.
	IdleReleaseAfter time.Duration
	// Concurrency is how many nodes are worked on at once.
	Concurrency int
	// Events takes what was stored.
	Events events.Publisher
	// Controller holds what all controllers have in common, such as the backoff.
	Controller controller.Options
}

// cacheLag is how long the cache is given to show what Kubernetes itself shows already.
const cacheLag = time.Second

// cloud is what the controllers ask of the inventory.
type cloud interface {
	WaitForSync(ctx context.Context) error
	RefreshInstance(ctx context.Context, id string) (ec2.Instance, inventory.Presence, error)
	Trust() inventory.Trust
	SubscribeTrust(notify func(inventory.Trust))
}

// NodeReconciler keeps one pool for each node that a policy selects.
type NodeReconciler struct {
	client    client.Client
	live      client.Reader
	inventory cloud
	clock     clock.PassiveClock
	watch     *elapsed.Watch
	abandoned abandoned
	options   Options
	conflicts store.Conflicts
}

// +kubebuilder:rbac:groups=networking.eni-operator.dev,resources=enipolicies,verbs=list;watch
// +kubebuilder:rbac:groups=networking.eni-operator.dev,resources=enipolicies/status,verbs=update
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;patch

// Reconcile brings one node's pool in line with the policy that governs the node.
func (r *NodeReconciler) Reconcile(ctx context.Context, request reconcile.Request) (ctrl.Result, error) {
	o, node, err := r.observe(ctx, request.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	decided := plan(o)
	if decided.action == deletePool {
		latest, err := r.confirm(ctx, o)
		if err != nil {
			return ctrl.Result{}, err
		}
		if plan(latest).action != deletePool {
			decided = decision{action: awaitNode, wait: cacheLag}
		}
	}
	if err := r.act(ctx, o, decided); err != nil {
		return r.conflicts.Settle(ctx, nodeControllerName, request, ctrl.Result{}, err)
	}
	if node != nil && removesTaint(o, decided) {
		err = r.untaint(ctx, node, o.winner.Spec.StartupTaint)
	}
	return r.conflicts.Settle(ctx, nodeControllerName, request, ctrl.Result{RequeueAfter: decided.wait}, err)
}

func (r *NodeReconciler) act(ctx context.Context, o observation, d decision) error {
	logger := log.FromContext(ctx)
	switch d.action {
	case createPool:
		logger.Info("Creating pool", "instance", d.spec.InstanceID, "policy", d.spec.PolicyName)
		if err := r.client.Create(ctx, buildPool(d.spec)); client.IgnoreAlreadyExists(err) != nil {
			return fmt.Errorf("creating the pool of node %s: %w", d.spec.NodeName, err)
		}
	case updatePool:
		after := o.pool.DeepCopy()
		after.Spec = d.spec
		if _, err := store.Update(ctx, r.client, o.pool, after); err != nil {
			return fmt.Errorf("updating pool %s: %w", o.pool.Name, err)
		}
	case deletePool:
		logger.Info("Deleting pool", "instance", o.pool.Spec.InstanceID, "node", o.sighting(), "missingFor", o.missingFor,
			"terminated", o.terminated, "absent", o.absent)
		err := r.client.Delete(ctx, o.pool, client.Preconditions{UID: &o.pool.UID, ResourceVersion: &o.pool.ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting pool %s: %w", o.pool.Name, err)
		}
		r.abandoned.pools.Delete(o.pool.UID)
	case keepPool, awaitNode:
	}
	return nil
}

func buildPool(spec v1alpha1.ENIPoolSpec) *v1alpha1.ENIPool {
	return &v1alpha1.ENIPool{
		ObjectMeta: metav1.ObjectMeta{
			Name:       spec.NodeName,
			Finalizers: []string{v1alpha1.Finalizer},
			Labels:     v1alpha1.OperatorLabels(),
		},
		Spec: spec,
	}
}

// untaint removes a policy's startup taint from a Node.
func (r *NodeReconciler) untaint(ctx context.Context, node *corev1.Node, key string) error {
	after := node.DeepCopy()
	after.Spec.Taints = nil
	for _, taint := range node.Spec.Taints {
		if taint.Key != key {
			after.Spec.Taints = append(after.Spec.Taints, taint)
		}
	}
	if len(after.Spec.Taints) == len(node.Spec.Taints) {
		return nil
	}
	log.FromContext(ctx).Info("Removing startup taint", "taint", key)
	if err := r.client.Patch(ctx, after, client.MergeFromWithOptions(node, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("removing startup taint %s from Node %s: %w", key, node.Name, err)
	}
	return nil
}
