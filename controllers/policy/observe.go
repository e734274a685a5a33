/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package policy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/index"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

// observe reads all that a decision about one node's pool depends on, and returns its
// Node as the cache has it, or nil.
func (r *NodeReconciler) observe(ctx context.Context, name string) (observation, *corev1.Node, error) {
	o := observation{
		node: nodeState{name: name}, now: r.clock.Now(), grace: r.options.NodeGoneGrace, idleAfter: r.options.IdleReleaseAfter,
		distrusted: r.inventory.Trust().Broken, taintPrefix: r.options.StartupTaintPrefix,
	}
	node, err := readNode(ctx, r.client, name)
	if err != nil {
		return o, nil, err
	}
	if node != nil {
		o.node = stateOf(node)
	}

	pool := &v1alpha1.ENIPool{}
	err = r.client.Get(ctx, client.ObjectKey{Name: name}, pool)
	if client.IgnoreNotFound(err) != nil {
		return o, nil, fmt.Errorf("reading pool %s: %w", name, err)
	}
	if err == nil {
		o.pool = pool
	}
	if err := r.observeNamesakes(ctx, &o, node); err != nil {
		return o, nil, err
	}
	if err := r.observeLeftover(ctx, &o); err != nil {
		return o, nil, err
	}
	r.count(&o)
	err = r.observeInstance(ctx, &o)
	return o, node, err
}

// observeLeftover looks for ENIs whose pool is not there. Kubernetes itself is asked about
// each, since a pool goes right after its last ENI. Those of the Node's own instance come
// first: its pool takes them over.
func (r *NodeReconciler) observeLeftover(ctx context.Context, o *observation) error {
	if o.pool != nil {
		return nil
	}
	enis := &v1alpha1.ElasticNetworkInterfaceList{}
	err := r.client.List(ctx, enis, client.MatchingFields{index.PoolName: o.node.name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("listing the ENIs of pool %s: %w", o.node.name, err)
	}
	for i := range enis.Items {
		eni := &v1alpha1.ElasticNetworkInterface{}
		err := r.live.Get(ctx, client.ObjectKeyFromObject(&enis.Items[i]), eni)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("reading ENI %s, whose pool is not there: %w", enis.Items[i].Name, err)
		}
		ofPool := err == nil && eni.Spec.PoolName == o.node.name && eni.Spec.NodeName == o.node.name
		if ofPool && (o.leftover == nil || eni.Spec.InstanceID == o.node.instanceID) {
			o.leftover = eni
		}
	}
	return nil
}

// readNode reads a Node; nil if there is none.
func readNode(ctx context.Context, reader client.Reader, name string) (*corev1.Node, error) {
	node := &corev1.Node{}
	err := reader.Get(ctx, client.ObjectKey{Name: name}, node)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading Node %s: %w", name, err)
	default:
		return node, nil
	}
}

func stateOf(node *corev1.Node) nodeState {
	id, kind := ec2.ParseProviderID(node.Spec.ProviderID)
	return nodeState{name: node.Name, exists: true, instanceID: id, notEC2: kind == ec2.ProviderIDOther}
}

// observeNamesakes reads which policy governs the Node, and whether another Node stands
// for the same instance as the Node or its pool.
func (r *NodeReconciler) observeNamesakes(ctx context.Context, o *observation, node *corev1.Node) error {
	if o.pool != nil && o.pool.Spec.InstanceID != o.node.instanceID {
		others, err := r.nodesOf(ctx, o.pool.Spec.InstanceID)
		if err != nil {
			return err
		}
		for i := range others {
			o.elsewhere = cmp.Or(o.elsewhere, others[i].Name)
		}
	}
	if node == nil {
		return nil
	}
	policies, err := rankedPolicies(ctx, r.client)
	if err != nil {
		return err
	}
	o.winner = v1alpha1.Governing(policies, node.Labels)
	if o.pool != nil {
		o.policyDeleted = r.abandoned.note(o.pool, policies)
	}
	if o.node.instanceID == "" {
		return nil
	}

	nodes, err := r.nodesOf(ctx, o.node.instanceID)
	if err != nil {
		return err
	}
	pools := &v1alpha1.ENIPoolList{}
	if err := r.client.List(ctx, pools, client.MatchingFields{index.InstanceID: o.node.instanceID}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the pools of instance %s: %w", o.node.instanceID, err)
	}
	o.keeper = keeperOf(pointers(pools.Items), pointers(nodes), policies, o.node.name)
	return nil
}

func rankedPolicies(ctx context.Context, reader client.Reader) ([]v1alpha1.ENIPolicy, error) {
	list := &v1alpha1.ENIPolicyList{}
	if err := reader.List(ctx, list); err != nil {
		return nil, fmt.Errorf("listing the policies: %w", err)
	}
	v1alpha1.RankPolicies(list.Items)
	return list.Items, nil
}

// abandoned remembers the pools whose policy was deleted, by their UIDs: their spec does
// not name it any more.
type abandoned struct{ pools sync.Map }

// note reports whether the policy that governed a pool was deleted.
func (a *abandoned) note(pool *v1alpha1.ENIPool, policies []v1alpha1.ENIPolicy) bool {
	if pool.Spec.PolicyName == "" {
		_, deleted := a.pools.Load(pool.UID)
		return deleted
	}
	exists := slices.ContainsFunc(policies, func(policy v1alpha1.ENIPolicy) bool {
		return policy.Name == pool.Spec.PolicyName && policy.DeletionTimestamp.IsZero()
	})
	if exists {
		a.pools.Delete(pool.UID)
	} else {
		a.pools.Store(pool.UID, true)
	}
	return !exists
}

// nodesOf are the Nodes that name an instance. They are the cache's own: not to be
// changed.
func (r *NodeReconciler) nodesOf(ctx context.Context, instanceID string) ([]corev1.Node, error) {
	nodes := &corev1.NodeList{}
	if err := r.client.List(ctx, nodes, client.MatchingFields{index.ProviderInstance: instanceID}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the Nodes of instance %s: %w", instanceID, err)
	}
	return nodes.Items, nil
}

func pointers[T any](items []T) []*T {
	to := make([]*T, 0, len(items))
	for i := range items {
		to = append(to, &items[i])
	}
	return to
}

// keeperOf returns the other Node that keeps an instance which a Node names too; ""
// if this one does. The pools and Nodes are those of the instance. The Node that has a
// pool keeps the instance, that of the oldest one if there are several; else the oldest
// Node that a policy governs does.
func keeperOf(pools []*v1alpha1.ENIPool, nodes []*corev1.Node, ranked []v1alpha1.ENIPolicy, name string) string {
	var claimants []client.Object
	for _, pool := range pools {
		claimants = append(claimants, pool)
	}
	if len(pools) == 0 && len(nodes) > 1 {
		for _, node := range nodes {
			if v1alpha1.Governing(ranked, node.Labels) != nil {
				claimants = append(claimants, node)
			}
		}
	}
	if len(claimants) == 0 {
		return ""
	}
	first := slices.MinFunc(claimants, func(a, b client.Object) int {
		madeA, madeB := a.GetCreationTimestamp(), b.GetCreationTimestamp()
		return cmp.Or(madeA.Compare(madeB.Time), strings.Compare(a.GetName(), b.GetName()))
	}).GetName()
	if first == name {
		return ""
	}
	return first
}

// count adds how long this process has seen what is waited for.
func (r *NodeReconciler) count(o *observation) {
	missing, empty := "missing/"+o.node.name, "empty/"+o.node.name
	if o.pool == nil {
		r.watch.Forget(missing)
		r.watch.Forget(empty)
		return
	}
	if o.sighting() == nodeMissing {
		o.missingFor = r.watch.Since(missing, string(o.pool.UID))
	} else {
		r.watch.Forget(missing)
	}
	unneeded := o.pool.Spec.PolicyName == "" || o.sighting() == nodeElsewhere
	if unneeded && !o.pool.Status.InUse() {
		o.emptyFor = r.watch.Since(empty, string(o.pool.UID))
	} else {
		r.watch.Forget(empty)
	}
}

// observeInstance asks EC2 about the instance of a pool that is suspended.
func (r *NodeReconciler) observeInstance(ctx context.Context, o *observation) error {
	waiting := o.pool != nil && o.pool.DeletionTimestamp.IsZero() && o.pool.Spec.NodeGoneSince != nil
	if !waiting || o.sighting() == nodeHere {
		return nil
	}
	if err := r.inventory.WaitForSync(ctx); err != nil {
		return fmt.Errorf("waiting for the first read of EC2: %w", err)
	}
	_, state, err := r.inventory.RefreshInstance(ctx, o.pool.Spec.InstanceID)
	if err != nil {
		return fmt.Errorf("reading instance %s: %w", o.pool.Spec.InstanceID, err)
	}
	o.terminated = state == inventory.Gone
	o.absent = state == inventory.Absent
	return nil
}

// confirm reads once more what a deletion rests on: the Node and the policies from
// Kubernetes itself, and whether EC2 is still believed. What EC2 says of the instance was
// read a moment ago.
func (r *NodeReconciler) confirm(ctx context.Context, o observation) (observation, error) {
	o.distrusted = r.inventory.Trust().Broken
	node, err := readNode(ctx, r.live, o.node.name)
	if err != nil {
		return o, err
	}
	if node == nil {
		o.node = nodeState{name: o.node.name}
		return o, nil
	}
	o.node = stateOf(node)
	if o.sighting() != nodeHere {
		return o, nil
	}
	policies, err := rankedPolicies(ctx, r.live)
	o.winner = v1alpha1.Governing(policies, node.Labels)
	return o, err
}
