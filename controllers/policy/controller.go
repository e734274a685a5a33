/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package policy turns ENIPolicies and Nodes into one ENIPool per node, and says
// in a policy's status what became of it.
package policy

import (
	"context"
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
	// NodeGoneGrace is how long a missing Node is waited for.
	NodeGoneGrace time.Duration
	// Concurrency is how many nodes are worked on at once.
	Concurrency int
	// Events takes what was stored.
	Events events.Publisher
	// Controller holds what all controllers have in common, such as the backoff.
	Controller controller.Options
}

// NodeReconciler keeps one pool for each node that a policy selects.
type NodeReconciler struct {
	client    client.Client
	inventory *inventory.Inventory
	clock     clock.PassiveClock
	options   Options
	conflicts store.Conflicts
}

// +kubebuilder:rbac:groups=networking.eni-operator.dev,resources=enipolicies,verbs=list;watch
// +kubebuilder:rbac:groups=networking.eni-operator.dev,resources=enipolicies/status,verbs=update
// +kubebuilder:rbac:groups="",resources=nodes,verbs=patch

// Reconcile brings one node's pool in line with the policy that governs the node.
func (r *NodeReconciler) Reconcile(ctx context.Context, request reconcile.Request) (ctrl.Result, error) {
	o, node, err := r.observe(ctx, request.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	decided := plan(o)
	if err := r.act(ctx, o, decided); err != nil {
		return r.conflicts.Settle(ctx, nodeControllerName, request, ctrl.Result{}, err)
	}
	if node != nil {
		err = r.untaint(ctx, o, node)
	}
	return r.conflicts.Settle(ctx, nodeControllerName, request, ctrl.Result{RequeueAfter: decided.wait}, err)
}

func (r *NodeReconciler) observe(ctx context.Context, name string) (observation, *corev1.Node, error) {
	o := observation{node: nodeState{name: name}, now: r.clock.Now(), grace: r.options.NodeGoneGrace}
	node := &corev1.Node{}
	err := r.client.Get(ctx, client.ObjectKey{Name: name}, node)
	if client.IgnoreNotFound(err) != nil {
		return o, nil, err
	}
	if err != nil {
		node = nil
	} else {
		o.node = stateOf(node)
	}
	pool := &v1alpha1.ENIPool{}
	err = r.client.Get(ctx, client.ObjectKey{Name: name}, pool)
	if client.IgnoreNotFound(err) != nil {
		return o, nil, err
	}
	if err == nil {
		o.pool = pool
	}
	if node != nil {
		if o.winner, err = r.winner(ctx, node); client.IgnoreNotFound(err) != nil {
			return o, nil, err
		}
	}
	err = r.observeInstance(ctx, &o)
	return o, node, err
}

// observeInstance asks EC2 about the instance of a node that is missing.
func (r *NodeReconciler) observeInstance(ctx context.Context, o *observation) error {
	waiting := o.pool != nil && o.pool.DeletionTimestamp.IsZero() && o.pool.Spec.NodeGoneSince != nil
	if !waiting || o.node.instanceID == o.pool.Spec.InstanceID {
		return nil
	}
	if err := r.inventory.WaitForSync(ctx); err != nil {
		return err
	}
	_, state, err := r.inventory.RefreshInstance(ctx, o.pool.Spec.InstanceID)
	o.instanceGone = state == inventory.Gone
	return err
}

func stateOf(node *corev1.Node) nodeState {
	state := nodeState{name: node.Name, exists: true}
	if id, kind := ec2.ParseProviderID(node.Spec.ProviderID); kind == ec2.ProviderIDInstance {
		state.instanceID = id
	}
	return state
}

// winner returns the policy that governs a Node, or nil.
func (r *NodeReconciler) winner(ctx context.Context, node *corev1.Node) (*v1alpha1.ENIPolicy, error) {
	list := &v1alpha1.ENIPolicyList{}
	if err := r.client.List(ctx, list); err != nil {
		return nil, err
	}
	v1alpha1.RankPolicies(list.Items)
	return v1alpha1.Governing(list.Items, node.Labels), nil
}

func (r *NodeReconciler) act(ctx context.Context, o observation, d decision) error {
	logger := log.FromContext(ctx)
	switch d.action {
	case createPool:
		logger.Info("Creating pool", "instance", d.spec.InstanceID, "policy", d.spec.PolicyName)
		return client.IgnoreAlreadyExists(r.client.Create(ctx, buildPool(d.spec)))
	case updatePool:
		after := o.pool.DeepCopy()
		after.Spec = d.spec
		_, err := store.Update(ctx, r.client, o.pool, after)
		return err
	case deletePool:
		logger.Info("Deleting pool", "instance", o.pool.Spec.InstanceID)
		return client.IgnoreNotFound(r.client.Delete(ctx, o.pool,
			client.Preconditions{UID: &o.pool.UID, ResourceVersion: &o.pool.ResourceVersion}))
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

// untaint removes the policy's startup taint from a node whose pool is ready.
func (r *NodeReconciler) untaint(ctx context.Context, o observation, node *corev1.Node) error {
	if o.winner == nil || o.winner.Spec.StartupTaint == "" || o.pool == nil || !ready(o.pool) {
		return nil
	}
	after := node.DeepCopy()
	after.Spec.Taints = nil
	for _, taint := range node.Spec.Taints {
		if taint.Key != o.winner.Spec.StartupTaint {
			after.Spec.Taints = append(after.Spec.Taints, taint)
		}
	}
	if len(after.Spec.Taints) == len(node.Spec.Taints) {
		return nil
	}
	log.FromContext(ctx).Info("Removing startup taint", "taint", o.winner.Spec.StartupTaint)
	return r.client.Patch(ctx, after, client.MergeFromWithOptions(node, client.MergeFromWithOptimisticLock{}))
}
