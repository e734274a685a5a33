/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package policy

import (
	"context"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/elapsed"
	"github.com/eni-operator/eni-operator/pkg/index"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/pkg/logging"
	"github.com/eni-operator/eni-operator/pkg/tracing"
)

// statusDelay gathers what happens to a policy's nodes and pools, so that a large
// fleet's start writes its status once a second and not once a node.
const statusDelay = time.Second

// SetupWithManager adds both controllers to a manager.
func SetupWithManager(mgr ctrl.Manager, inv *inventory.Inventory, clk clock.PassiveClock, options Options) error {
	nodes := &NodeReconciler{
		client: mgr.GetClient(), live: mgr.GetAPIReader(), inventory: inv, clock: clk, watch: elapsed.New(clk), options: options,
	}
	settings := options.Controller
	settings.MaxConcurrentReconciles = options.Concurrency
	settings.LogConstructor = logging.For(mgr.GetLogger(), nodeControllerName, "node")
	err := ctrl.NewControllerManagedBy(mgr).
		Named(nodeControllerName).
		For(&corev1.Node{}, builder.WithPredicates(nodeChanged())).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(nodes.namesakesOfNode), builder.WithPredicates(nodeChanged())).
		Watches(&v1alpha1.ENIPool{}, handler.EnqueueRequestsFromMapFunc(nodes.namesakesOfPool)).
		Watches(&v1alpha1.ENIPolicy{}, handler.EnqueueRequestsFromMapFunc(nodes.allNodes),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(settings).
		Complete(tracing.Reconciler(tracing.KindNode, nodes, nil))
	if err != nil {
		return err
	}
	status := &StatusReconciler{client: mgr.GetClient(), inventory: inv, taintPrefix: options.StartupTaintPrefix, events: options.Events}
	settings = options.Controller
	settings.LogConstructor = logging.For(mgr.GetLogger(), policyControllerName, "policy")
	return ctrl.NewControllerManagedBy(mgr).
		Named(policyControllerName).
		For(&v1alpha1.ENIPolicy{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.ENIPolicy{}, later(status.allPolicies), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Node{}, later(status.allPolicies), builder.WithPredicates(nodeChanged())).
		Watches(&v1alpha1.ENIPool{}, later(policyOfPool)).
		WatchesRawSource(status.trustChanges()).
		WithOptions(settings).
		Complete(tracing.Reconciler(tracing.KindPolicy, status, nil))
}

// trustChanges requests all policies each time that EC2 becomes trusted or distrusted.
// The queue keeps one request of each, so that none can be dropped.
func (r *StatusReconciler) trustChanges() source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		r.inventory.SubscribeTrust(func(inventory.Trust) {
			for _, request := range r.allPolicies(ctx, nil) {
				queue.Add(request)
			}
		})
		return nil
	})
}

// nodeChanged accepts what decides which policy and which instance a Node has, and the
// taints that are ours to remove.
func nodeChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*corev1.Node)
		after, okAfter := e.ObjectNew.(*corev1.Node)
		return okBefore && okAfter && (before.Spec.ProviderID != after.Spec.ProviderID ||
			!maps.Equal(before.Labels, after.Labels) || before.UID != after.UID ||
			!slices.EqualFunc(before.Spec.Taints, after.Spec.Taints, func(a, b corev1.Taint) bool { return a.Key == b.Key }))
	}}
}

// allNodes are the Nodes, and the pools whose Nodes are gone.
func (r *NodeReconciler) allNodes(ctx context.Context, _ client.Object) []reconcile.Request {
	nodes, pools := &corev1.NodeList{}, &v1alpha1.ENIPoolList{}
	if err := r.client.List(ctx, nodes, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "Listing the nodes")
	}
	if err := r.client.List(ctx, pools, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "Listing the pools")
	}
	names := map[string]bool{}
	for i := range nodes.Items {
		names[nodes.Items[i].Name] = true
	}
	for i := range pools.Items {
		names[pools.Items[i].Name] = true
	}
	return requestsFor(maps.Keys(names))
}

// namesakesOfNode are the pools and Nodes that share a Node's instance.
func (r *NodeReconciler) namesakesOfNode(ctx context.Context, object client.Object) []reconcile.Request {
	node, ok := object.(*corev1.Node)
	if !ok {
		return nil
	}
	return r.namesakes(ctx, "", stateOf(node).instanceID)
}

// namesakesOfPool are a pool's Node and the others that share its instance.
func (r *NodeReconciler) namesakesOfPool(ctx context.Context, object client.Object) []reconcile.Request {
	pool, ok := object.(*v1alpha1.ENIPool)
	if !ok {
		return nil
	}
	return r.namesakes(ctx, pool.Name, pool.Spec.InstanceID)
}

func (r *NodeReconciler) namesakes(ctx context.Context, name, instanceID string) []reconcile.Request {
	names := map[string]bool{}
	if name != "" {
		names[name] = true
	}
	if instanceID == "" {
		return requestsFor(maps.Keys(names))
	}
	nodes, err := r.nodesOf(ctx, instanceID)
	if err != nil {
		log.FromContext(ctx).Error(err, "Failed to list the Nodes of an instance", "instance", instanceID)
	}
	for i := range nodes {
		names[nodes[i].Name] = true
	}
	pools := &v1alpha1.ENIPoolList{}
	if err := r.client.List(ctx, pools, client.MatchingFields{index.InstanceID: instanceID}, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "Failed to list the pools of an instance", "instance", instanceID)
	}
	for i := range pools.Items {
		names[pools.Items[i].Name] = true
	}
	return requestsFor(maps.Keys(names))
}

func (r *StatusReconciler) allPolicies(ctx context.Context, _ client.Object) []reconcile.Request {
	policies := &v1alpha1.ENIPolicyList{}
	if err := r.client.List(ctx, policies, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "Listing the policies")
		return nil
	}
	names := map[string]bool{}
	for i := range policies.Items {
		names[policies.Items[i].Name] = true
	}
	return requestsFor(maps.Keys(names))
}

func policyOfPool(_ context.Context, object client.Object) []reconcile.Request {
	pool, ok := object.(*v1alpha1.ENIPool)
	if !ok || pool.Spec.PolicyName == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: pool.Spec.PolicyName}}}
}

func requestsFor(names func(func(string) bool)) []reconcile.Request {
	var requests []reconcile.Request
	for name := range names {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
	}
	return requests
}

// later puts requests on the queue after statusDelay; those that are on it
// already stay one.
func later(requests handler.MapFunc) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(ctx context.Context, q queue, objects ...client.Object) {
		for _, object := range objects {
			for _, request := range requests(ctx, object) {
				q.AddAfter(request, statusDelay)
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { add(ctx, q, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { add(ctx, q, e.ObjectOld, e.ObjectNew) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { add(ctx, q, e.Object) },
	}
}
