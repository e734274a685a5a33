/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
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

// SetupWithManager adds the controller to a manager.
func SetupWithManager(mgr ctrl.Manager, inv *inventory.Inventory, clk clock.PassiveClock, options Options) error {
	r := &Reconciler{
		queueLimit: newQueueLimit(),
		client:     mgr.GetClient(), live: mgr.GetAPIReader(), inventory: inv,
		events: options.Events, clock: clk, forecast: options.Forecast, options: options,
		nodeless: elapsed.New(clk),
	}
	settings := options.Controller
	settings.MaxConcurrentReconciles = options.Concurrency
	settings.LogConstructor = logging.For(mgr.GetLogger(), controllerName, "pool", "node")
	return ctrl.NewControllerManagedBy(mgr).
		Named(controllerName).
		For(&v1alpha1.ENIPool{}).
		Watches(&v1alpha1.ElasticNetworkInterface{}, handler.EnqueueRequestsFromMapFunc(poolOfENI)).
		Watches(&v1alpha1.ENIClaim{}, handler.EnqueueRequestsFromMapFunc(nodeOfClaim),
			builder.WithPredicates(predicate.Or(r.written.ByOthers(), changedButForRenewals()))).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(r.poolsOfNode), builder.WithPredicates(instanceChanged())).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.nodesOfNamespace),
			builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WatchesRawSource(r.instanceChanges()).
		WithOptions(settings).
		Complete(tracing.Reconciler(tracing.KindPool, r, r.origin))
}

func named(name string) []reconcile.Request {
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: name}}}
}

func poolOfENI(_ context.Context, object client.Object) []reconcile.Request {
	eni, ok := object.(*v1alpha1.ElasticNetworkInterface)
	if !ok {
		return nil
	}
	if eni.Spec.PoolName == "" {
		return named(eni.Spec.NodeName) // It takes a slot of the node's.
	}
	return named(eni.Spec.PoolName)
}

// poolsOfNode returns the pool that has a Node's name, and those of the instance that the
// Node names: a Node of another name keeps what they have.
func (r *Reconciler) poolsOfNode(ctx context.Context, object client.Object) []reconcile.Request {
	requests := named(object.GetName())
	node, ok := object.(*corev1.Node)
	if !ok {
		return requests
	}
	if id := instanceOf(node); id != "" {
		requests = append(requests, r.listed(ctx, client.MatchingFields{index.InstanceID: id})...)
	}
	return requests
}

// instanceChanged passes Nodes that appear, go, or name another instance than before.
func instanceChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*corev1.Node)
		after, okAfter := e.ObjectNew.(*corev1.Node)
		return okBefore && okAfter && instanceOf(before) != instanceOf(after)
	}}
}

func nodeOfClaim(_ context.Context, object client.Object) []reconcile.Request {
	claim, ok := object.(*v1alpha1.ENIClaim)
	if !ok {
		return nil
	}
	return named(claim.Spec.NodeName)
}

// changedButForRenewals passes claims that are deleted, or whose spec changes, but for the
// lease: holders renew all the time, and what that means is not for the pool.
func changedButForRenewals() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*v1alpha1.ENIClaim)
		after, okAfter := e.ObjectNew.(*v1alpha1.ENIClaim)
		if !okBefore || !okAfter || before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero() || before.UID != after.UID {
			return true
		}
		was, is := before.Spec, after.Spec
		was.Lease, is.Lease = nil, nil
		return !equality.Semantic.DeepEqual(was, is)
	}}
}

// nodesOfNamespace are the nodes with claims of a namespace, whose labels may let
// it claim now, or no longer.
func (r *Reconciler) nodesOfNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	claims := &v1alpha1.ENIClaimList{}
	if err := r.client.List(ctx, claims, client.InNamespace(namespace.GetName())); err != nil {
		log.FromContext(ctx).Error(err, "Listing the claims of a namespace", "namespace", namespace.GetName())
		return nil
	}
	var requests []reconcile.Request
	for i := range claims.Items {
		requests = append(requests, named(claims.Items[i].Spec.NodeName)...)
	}
	return requests
}

// instanceChanges enqueues the pools of instances that a read found different, and all
// pools and nodes with claims when EC2 becomes trusted or distrusted. The queue itself removes duplicates, so
// that nothing is dropped however many there are.
func (r *Reconciler) instanceChanges() source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		add := func(requests []reconcile.Request) {
			for _, request := range requests {
				queue.Add(request)
			}
		}
		r.inventory.Subscribe(func(change inventory.Change) {
			switch {
			case change.Network: // A pool does not store its VPC.
				add(r.listed(ctx))
			case change.InstanceID != "":
				add(r.listed(ctx, client.MatchingFields{index.InstanceID: change.InstanceID}))
			}
		})
		r.inventory.SubscribeTrust(func(inventory.Trust) { add(r.everyNode(ctx)) })
		return nil
	})
}

// everyNode returns the requests for all nodes that have a pool, or that claims name: a claim
// may outlive its pool.
func (r *Reconciler) everyNode(ctx context.Context) []reconcile.Request {
	requests := r.listed(ctx)
	claims := &v1alpha1.ENIClaimList{}
	if err := r.client.List(ctx, claims, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "Failed to list claims")
		return requests
	}
	nodes := map[string]bool{}
	for i := range claims.Items {
		nodes[claims.Items[i].Spec.NodeName] = true
	}
	for _, node := range slices.Sorted(maps.Keys(nodes)) {
		requests = append(requests, named(node)...)
	}
	return requests
}

// listed returns the requests for the pools that the options select.
func (r *Reconciler) listed(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	pools := &v1alpha1.ENIPoolList{}
	if err := r.client.List(ctx, pools, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		log.FromContext(ctx).Error(err, "Failed to list pools")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(pools.Items))
	for i := range pools.Items {
		requests = append(requests, named(pools.Items[i].Name)...)
	}
	return requests
}
