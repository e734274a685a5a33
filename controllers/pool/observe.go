/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/index"
)

// observe reads all that a decision depends on. What EC2 does not tell becomes a
// trouble, and an error to try again by, but never stops what does not need it.
// Only when Kubernetes fails is there no observation.
func (r *Reconciler) observe(ctx context.Context, pool *v1alpha1.ENIPool) (observation, error) {
	o := observation{now: r.clock.Now(), idleAfter: r.options.IdleReleaseAfter, restFor: r.options.Cooldown, lowestSlot: r.lowestSlot(pool)}
	for _, read := range []func(context.Context, *v1alpha1.ENIPool, *observation) error{
		r.countNodeless, r.observeENIs, r.observeUnrecorded, r.observeClaims, r.observeUnnamed, r.observeElsewhere, r.confirmENIs, r.observeNode,
	} {
		if err := read(ctx, pool, &o); err != nil {
			return observation{}, err
		}
	}
	o.pool = pool
	o.refused = r.refusals.recall(pool.Name, o.enis, o.now)
	o.emptyFor = r.empty.elapsed(pool.Name, emptyENIs(pool), o.now)
	if o.distrust != nil {
		return o, nil
	}
	ec2Err := r.observeEC2(ctx, &o)
	if err := r.confirmNodeGone(ctx, &o); err != nil {
		return observation{}, err
	}
	if o.nodeGone {
		o.suspended = nil
	}
	return o, ec2Err
}

func (r *Reconciler) lowestSlot(pool *v1alpha1.ENIPool) int32 {
	if pool.Spec.MinDeviceIndex != nil {
		return *pool.Spec.MinDeviceIndex
	}
	return r.options.MinDeviceIndex
}

// observeENIs reads the node's ENIs: from the cache, or live where the record is lost and
// nothing else names those that the cache does not show.
func (r *Reconciler) observeENIs(ctx context.Context, pool *v1alpha1.ENIPool, o *observation) error {
	reader := client.Reader(r.client)
	if pool.Status.PoolUID != pool.UID {
		reader = r.live
	}
	list := &v1alpha1.ElasticNetworkInterfaceList{}
	if err := reader.List(ctx, list, client.MatchingFields{index.NodeName: pool.Spec.NodeName}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the ENIs of node %s: %w", pool.Spec.NodeName, err)
	}
	o.otherNames = map[string]bool{}
	o.moved = map[string]bool{}
	o.resourceIDs = map[string]bool{}
	o.resourceUIDs = map[string]bool{}
	for i := range list.Items {
		eni := &list.Items[i]
		o.resourceIDs[eni.Status.NetworkInterfaceID] = true
		o.resourceUIDs[string(eni.UID)] = true
		switch {
		case pool.Owns(eni):
			o.enis = append(o.enis, *eni.DeepCopy())
			o.moved[eni.Name] = r.moved(eni, pool.Spec.InstanceID)
			continue
		case eni.Spec.InstanceID != "" && eni.Spec.InstanceID != pool.Spec.InstanceID:
		case eni.Primary():
			o.primary.taken = true
		default:
			o.otherENIs++
		}
		o.otherNames[eni.Name] = true
	}
	slices.SortFunc(o.enis, func(a, b v1alpha1.ElasticNetworkInterface) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// observeClaims reads the node's claims: from the cache, or live where the record
// is lost and only they know who holds what.
func (r *Reconciler) observeClaims(ctx context.Context, pool *v1alpha1.ENIPool, o *observation) error {
	reader := client.Reader(r.client)
	if pool.Status.PoolUID != pool.UID {
		reader = r.live
	}
	list := &v1alpha1.ENIClaimList{}
	if err := reader.List(ctx, list, client.MatchingFields{index.NodeName: pool.Spec.NodeName}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the claims of node %s: %w", pool.Spec.NodeName, err)
	}
	return r.takeClaims(ctx, pool, list.Items, o)
}

// takeClaims makes claims those of the observation, with what is to be read of each.
func (r *Reconciler) takeClaims(ctx context.Context, pool *v1alpha1.ENIPool, claims []v1alpha1.ENIClaim, o *observation) error {
	o.claims = nil
	o.allowed = map[string]bool{}
	q := lineUp(pool, claims)
	looked := q.look(r.queueLimit, r.rounds.Add(1), o.now)
	o.queued, o.queueRecheck = map[types.UID]bool{}, q.recheck()
	for _, claim := range looked {
		o.queued[claim.UID] = true
	}
	for _, claim := range slices.Concat(q.taken, looked) {
		o.claims = append(o.claims, *claim.DeepCopy())
		if _, known := o.allowed[claim.Namespace]; known {
			continue
		}
		allowed, err := r.namespaceAllowed(ctx, pool, claim.Namespace)
		if err != nil {
			return err
		}
		o.allowed[claim.Namespace] = allowed
	}
	return r.observeVanished(ctx, pool, o)
}

func (r *Reconciler) namespaceAllowed(ctx context.Context, pool *v1alpha1.ENIPool, name string) (bool, error) {
	if pool.Spec.AdmitsAll() {
		return true, nil
	}
	namespace := &corev1.Namespace{}
	err := r.client.Get(ctx, types.NamespacedName{Name: name}, namespace)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading namespace %s: %w", name, err)
	}
	return pool.Spec.Admits(namespace.Labels), nil
}

// observeVanished asks Kubernetes itself about holders that the cache does not
// show: only their absence there frees what they hold.
func (r *Reconciler) observeVanished(ctx context.Context, pool *v1alpha1.ENIPool, o *observation) error {
	cached := map[types.UID]bool{}
	for i := range o.claims {
		cached[o.claims[i].UID] = true
	}
	o.vanished = map[string]bool{}
	for _, holder := range pool.Status.Holders() {
		if cached[holder.UID] {
			continue
		}
		claim := &v1alpha1.ENIClaim{}
		err := r.live.Get(ctx, types.NamespacedName{Namespace: holder.Namespace, Name: holder.Name}, claim)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("reading claim %s/%s, which the cache does not show: %w", holder.Namespace, holder.Name, err)
		}
		if apierrors.IsNotFound(err) || claim.UID != holder.UID {
			o.vanished[string(holder.UID)] = true
		}
	}
	return nil
}

// observeNode reads whether the Node stands for the pool's instance. While it does not,
// or EC2 is not believed, the pool is suspended.
func (r *Reconciler) observeNode(ctx context.Context, pool *v1alpha1.ENIPool, o *observation) error {
	if trust := r.inventory.Trust(); trust.Broken {
		o.distrust = &trouble{condition: v1alpha1.ConditionEC2Trusted, reason: trust.Reason, message: trust.Message}
		o.suspended = o.distrust
		return nil
	}
	if !pool.DeletionTimestamp.IsZero() {
		return nil
	}
	node := &corev1.Node{}
	err := r.client.Get(ctx, client.ObjectKey{Name: pool.Spec.NodeName}, node)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading node %s: %w", pool.Spec.NodeName, err)
	}
	if err != nil {
		node = nil
	}
	o.suspended = suspension(pool, node)
	return nil
}

// suspension returns why a pool waits for its Node, or nil. A Node that the cache does not
// show yet is missing only once the policy controller has noted it.
func suspension(pool *v1alpha1.ENIPool, node *corev1.Node) *trouble {
	waits := func(reason, format string, args ...any) *trouble {
		message := fmt.Sprintf(format, args...) + ". The pool keeps what it has and hands out nothing."
		return &trouble{condition: v1alpha1.ConditionReady, reason: reason, message: message}
	}
	if node != nil {
		switch id := instanceOf(node); id {
		case pool.Spec.InstanceID:
		case "":
			return waits(v1alpha1.ReasonNodeWithoutInstance, "Node %s names no EC2 instance in spec.providerID at the moment", node.Name)
		default:
			return waits(v1alpha1.ReasonNodeMissing, "Node %s stands for instance %s now, not for %s", node.Name, id, pool.Spec.InstanceID)
		}
	}
	if pool.Spec.NodeGoneSince != nil {
		return waits(v1alpha1.ReasonNodeMissing, "Node %s is missing, or was until a moment ago", pool.Spec.NodeName)
	}
	return nil
}

// instanceOf returns the instance that a Node names, or nothing.
func instanceOf(node *corev1.Node) string {
	id, kind := ec2.ParseProviderID(node.Spec.ProviderID)
	if kind != ec2.ProviderIDInstance {
		return ""
	}
	return id
}

// countNodeless counts for how long this process has seen no Node that stands for the
// pool's instance. A Node of the pool's name that names no instance may still be the one.
func (r *Reconciler) countNodeless(ctx context.Context, pool *v1alpha1.ENIPool, o *observation) error {
	spec := &pool.Spec
	naming := &corev1.NodeList{}
	if err := r.client.List(ctx, naming, client.MatchingFields{index.ProviderInstance: spec.InstanceID}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the Nodes of instance %s: %w", spec.InstanceID, err)
	}
	node := &corev1.Node{}
	err := r.client.Get(ctx, client.ObjectKey{Name: spec.NodeName}, node)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading node %s: %w", spec.NodeName, err)
	}
	unnamed := err == nil && instanceOf(node) == ""
	if unnamed || len(naming.Items) > 0 {
		r.nodeless.Forget(pool.Name)
		return nil
	}
	o.nodelessFor = r.nodeless.Since(pool.Name, string(pool.UID))
	return nil
}

// confirmNodeGone asks Kubernetes itself about the Node where the pool is being deleted,
// or EC2 does not know the instance: only if no Node names the instance, under whatever
// name, is what claims hold of no use to anybody. A Node of the pool's name that names no
// instance may still be the one. While EC2 knows the instance the Node may come back
// within the grace, also if a person deleted the pool (docs/protocols.md#who-a-node-is).
func (r *Reconciler) confirmNodeGone(ctx context.Context, o *observation) error {
	asked := !o.pool.DeletionTimestamp.IsZero() || o.instanceAbsent
	if o.nodeGone || !asked {
		return nil
	}

	gone, reason, err := r.noNodeNames(ctx, &o.pool.Spec)
	if err != nil || !gone {
		return err
	}
	if left := r.options.NodeGoneGrace - o.nodelessFor; left > 0 && !o.instanceAbsent {
		o.graceLeft = left
		return nil
	}
	o.nodeGone = true
	o.goneReason = reason
	return nil
}

// noNodeNames reports by live reads whether no Node stands for a pool's instance, and
// why.
func (r *Reconciler) noNodeNames(ctx context.Context, spec *v1alpha1.ENIPoolSpec) (gone bool, reason string, err error) {
	node := &corev1.Node{}
	err = r.live.Get(ctx, client.ObjectKey{Name: spec.NodeName}, node)
	if client.IgnoreNotFound(err) != nil {
		return false, "", fmt.Errorf("reading node %s: %w", spec.NodeName, err)
	}
	id := instanceOf(node)
	exists := err == nil
	if exists && (id == "" || id == spec.InstanceID) {
		return false, "", nil
	}
	renamed, err := index.NodeNaming(ctx, r.client, r.live, spec.InstanceID)
	if err != nil || renamed != "" {
		return false, "", err
	}

	if exists {
		return true, fmt.Sprintf("Node %s stands for instance %s now; what %s held is gone with it", node.Name, id, spec.InstanceID), nil
	}
	return true, fmt.Sprintf("Node %s is gone, and what it held with it", spec.NodeName), nil
}
