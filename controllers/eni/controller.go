/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package eni turns ElasticNetworkInterface resources into ENIs: it creates,
// attaches, fills, changes, detaches and deletes them, one resource one ENI.
package eni

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/elapsed"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/index"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/pkg/logging"
	"github.com/eni-operator/eni-operator/pkg/store"
	"github.com/eni-operator/eni-operator/pkg/tracing"
	"github.com/eni-operator/eni-operator/pkg/uninstall"
)

const controllerName = "eni"

// Options of the ENI controller; see the operator's flags.
type Options struct {
	Identity Identity
	// MinDeviceIndex is for ENIs whose spec has none.
	MinDeviceIndex int32
	// CreateRecordMaxAge is the age from which a creation record is not replayed
	// any more, since EC2 may have forgotten its client token.
	CreateRecordMaxAge time.Duration
	VisibilityWindow   time.Duration
	// ForceDetachAfter is how long a detach may take before it is forced.
	ForceDetachAfter time.Duration
	// Concurrency is how many ENIs are worked on at once. One whose call waits for EC2's
	// rate limit is not among them: it is requeued for its turn.
	Concurrency int
	// Events takes what was stored.
	Events events.Publisher
	// Looked hears of each observation of an ENI that was not ready yet; it may be nil.
	Looked func(uid types.UID)
	// Controller holds what all controllers have in common, such as the backoff.
	Controller controller.Options
}

// Reconciler reconciles ElasticNetworkInterfaces.
type Reconciler struct {
	client    client.Client
	live      client.Reader
	inventory *inventory.Inventory
	events    events.Publisher
	clock     clock.PassiveClock
	options   Options
	conflicts store.Conflicts
	told      told
	written   store.Written
	asked     asked
	memory    memory
	// refusedCards are shared by the ENIs of an instance.
	refusedCards refusedCards
	// definitions remembers for a moment whether CRDs of ours are being deleted.
	definitions uninstall.Check

	// paused are the requests that wait in EC2's queue; see retries.
	paused sync.Map

	watchOnce sync.Once
	changing  *elapsed.Watch
	unseen    *elapsed.Watch
}

// watch is how long each ENI has been changing.
func (r *Reconciler) watch() *elapsed.Watch {
	r.startWatches()
	return r.changing
}

// absences is how long EC2 has not shown each ENI, without a statement that it is gone.
func (r *Reconciler) absences() *elapsed.Watch {
	r.startWatches()
	return r.unseen
}

func (r *Reconciler) startWatches() {
	r.watchOnce.Do(func() {
		r.changing = elapsed.New(r.clock)
		r.unseen = elapsed.New(r.clock)
	})
}

// +kubebuilder:rbac:groups=networking.eni-operator.dev,resources=elasticnetworkinterfaces,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=networking.eni-operator.dev,resources=elasticnetworkinterfaces/status,verbs=update
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// SetupWithManager adds the controller to a manager.
func SetupWithManager(mgr ctrl.Manager, inv *inventory.Inventory, clk clock.PassiveClock, options Options) error {
	r := &Reconciler{
		client: mgr.GetClient(), live: mgr.GetAPIReader(), inventory: inv,
		events: options.Events, clock: clk, options: options,
	}
	settings := options.Controller
	settings.MaxConcurrentReconciles = options.Concurrency
	settings.RateLimiter = retries{settings.RateLimiter, &r.paused}
	settings.LogConstructor = logging.For(mgr.GetLogger(), controllerName, "eni")
	return ctrl.NewControllerManagedBy(mgr).
		Named(controllerName).
		For(&v1alpha1.ElasticNetworkInterface{}, builder.WithPredicates(
			predicate.Or(r.written.ByOthers(), predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(r.ownENIsOfNode), builder.WithPredicates(providerIDChanged())).
		WatchesRawSource(r.changes()).
		WithOptions(settings).
		Complete(tracing.Reconciler(tracing.KindENI, r, r.origin))
}

// maxSteps bounds the actions of one reconcile: create, attach, addresses,
// groups, tags, termination, each with a look between.
const maxSteps = 12

// Reconcile brings one ENI closer to what its resource says.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (ctrl.Result, error) {
	if err := r.inventory.WaitForSync(ctx); err != nil {
		return ctrl.Result{}, err
	}
	eni := &v1alpha1.ElasticNetworkInterface{}
	if r.inventory.Trust().Broken {
		return ctrl.Result{}, nil // Each change of that brings all ENIs up.
	}
	if err := r.client.Get(ctx, request.NamespacedName, eni); err != nil {
		r.told.forget(request.Name)
		r.memory.forget(request.Name)
		r.watch().Forget(request.Name)
		r.absences().Forget(request.Name)
		r.asked.done(request.Name)
		return r.conflicts.Settle(ctx, controllerName, request, ctrl.Result{}, client.IgnoreNotFound(err))
	}
	ctx = log.IntoContext(ctx, log.FromContext(ctx).WithValues("node", eni.Spec.NodeName))
	if eni.DeletionTimestamp.IsZero() {
		if _, err := store.AddFinalizer(ctx, r.client, eni); err != nil {
			return r.conflicts.Settle(ctx, controllerName, request, ctrl.Result{}, client.IgnoreNotFound(err))
		}
	}
	if r.told.changed(eni) {
		r.inventory.ChangedByOthers(eni.Status.NetworkInterfaceID)
	}
	result, err := r.run(ctx, eni.DeepCopy())
	if err == nil && result.RequeueAfter == 0 {
		r.asked.done(request.Name)
	}
	return r.conflicts.Settle(ctx, controllerName, request, result, err)
}

// run observes, plans and acts until there is nothing more to do now. The status
// is stored after every step, errors included.
func (r *Reconciler) run(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface) (ctrl.Result, error) {
	done := &progress{stored: eni.DeepCopy()}
	defer func() { note(ctx, eni, done) }()
	for range maxSteps {
		done.looks++
		r.looked(eni)
		observed, err := r.observe(ctx, eni, done)
		if err != nil {
			return ctrl.Result{}, r.report(ctx, eni, done, observed, decision{}, err)
		}
		if paused(eni) {
			return ctrl.Result{}, r.report(ctx, eni, done, observed, pausedDecision, nil)
		}
		decided := plan(observed)
		if decided.action == actLetGo {
			if again, err := r.letGo(ctx, eni, done, observed, decided); !again {
				return ctrl.Result{}, err
			}
			continue
		}
		calls, pause := r.admit(ctx, eni, decided, done)
		if pause > 0 {
			r.paused.Store(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(eni)}, true)
			return ctrl.Result{RequeueAfter: pause}, r.reportQueued(ctx, eni, done, observed, decided, pause)
		}
		acted := r.act(calls, eni, observed, decided, done)
		if err := r.report(ctx, eni, done, observed, announced(observed, decided, acted), acted); err != nil {
			return ctrl.Result{}, err
		}
		if decided.action == actNothing || decided.action == actWait {
			return ctrl.Result{RequeueAfter: decided.wait}, nil
		}
	}
	return ctrl.Result{RequeueAfter: attachPoll}, nil
}

// letGo removes the finalizer, unless EC2 has an ENI that carries the resource's UID: that
// one is taken over, and to be observed again.
func (r *Reconciler) letGo(
	ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, done *progress, o observation, d decision,
) (again bool, err error) {
	left, err := r.leftBehind(ctx, o)
	if err != nil {
		return false, r.report(ctx, eni, done, o, d, err)
	}
	if left != "" {
		eni.Status.NetworkInterfaceID = left
		done.looked = false
		return true, nil
	}
	if err := store.RemoveFinalizer(ctx, r.client, r.events, eni); err != nil {
		return false, fmt.Errorf("removing the finalizer of ENI %s: %w", eni.Name, err)
	}
	r.forget(o)
	return false, nil
}

// leftBehind returns the id of an ENI in EC2 that carries the resource's UID, or "",
// before the resource is let go whose status names an ENI that is gone or another's:
// the status may have been edited. What this process deleted itself is known.
func (r *Reconciler) leftBehind(ctx context.Context, o observation) (string, error) {
	named := o.eni.Status.NetworkInterfaceID
	mistaken := named != "" && !o.mayBeOurs() && !r.memory.deletedWithin(o.eni, o.now, r.options.VisibilityWindow)
	if !mistaken || o.eni.Primary() {
		return "", nil
	}
	found, err := r.inventory.LookByOwner(ctx, string(o.eni.UID))
	if err != nil {
		return "", fmt.Errorf("looking for another ENI of this resource than %s: %w", named, err)
	}
	found = slices.DeleteFunc(found, func(eni ec2.NetworkInterface) bool { return eni.ID == named })
	if len(found) == 0 {
		return "", nil
	}
	return slices.MinFunc(found, inventory.AdoptFirst).ID, nil
}

// announced is a decision with the words of what comes next, where that saves a write
// of the status.
func announced(o observation, d decision, acted error) decision {
	if acted == nil && d.action == actCreate {
		d.reason = v1alpha1.ReasonAttaching
		d.message = attachingTo(o.instanceID)
	}
	return d
}

// looked tells of an observation on the way to being ready.
func (r *Reconciler) looked(eni *v1alpha1.ElasticNetworkInterface) {
	if r.options.Looked != nil && eni.DeletionTimestamp.IsZero() && !everReady(eni) {
		r.options.Looked(eni.UID)
	}
}

// everReady says whether an ENI was ready at some time: whoever looked at it then
// stored its state.
func everReady(eni *v1alpha1.ElasticNetworkInterface) bool {
	if meta.IsStatusConditionTrue(eni.Status.Conditions, v1alpha1.ConditionReady) {
		return true
	}
	return slices.ContainsFunc(eni.Status.Transitions, func(t v1alpha1.StateTransition) bool { return t.State == v1alpha1.ENIAttached })
}

var pausedDecision = decision{action: actNothing, reason: v1alpha1.ReasonPaused,
	message: "Nothing is changed while the annotation " + v1alpha1.PausedAnnotation + " is true"}

func paused(object client.Object) bool {
	return object.GetAnnotations()[v1alpha1.PausedAnnotation] == "true"
}

// ownENIsOfNode maps a Node to the ENIs that people made for it; a pool's ENIs
// name their instance themselves.
func (r *Reconciler) ownENIsOfNode(ctx context.Context, node client.Object) []reconcile.Request {
	list := &v1alpha1.ElasticNetworkInterfaceList{}
	if err := r.client.List(ctx, list, client.MatchingFields{index.NodeName: node.GetName()}); err != nil {
		log.FromContext(ctx).Error(err, "Listing the ENIs of a node", "node", node.GetName())
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if list.Items[i].Spec.InstanceID == "" {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: list.Items[i].Name}})
		}
	}
	return requests
}

func providerIDChanged() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, okBefore := e.ObjectOld.(*corev1.Node)
			after, okAfter := e.ObjectNew.(*corev1.Node)
			return okBefore && okAfter && before.Spec.ProviderID != after.Spec.ProviderID
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// changes enqueues the resources of ENIs that a read found different, and all of them
// when EC2 becomes trusted or distrusted. The queue itself removes duplicates, so that
// nothing is dropped however many there are.
func (r *Reconciler) changes() source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		add := func(requests []reconcile.Request) {
			for _, request := range requests {
				queue.Add(request)
			}
		}
		r.inventory.Subscribe(func(change inventory.Change) { add(r.resourcesOf(ctx, change)) })
		r.inventory.SubscribeTrust(func(inventory.Trust) { add(r.listed(ctx)) })
		return nil
	})
}

// resourcesOf returns the resources that a change concerns: by name or, for a primary
// ENI, by the id in the status.
func (r *Reconciler) resourcesOf(ctx context.Context, change inventory.Change) []reconcile.Request {
	switch {
	case change.OwnerName != "":
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: change.OwnerName}}}
	case change.InstanceID == "" || change.ENIID == "":
		return nil
	}
	return r.listed(ctx, client.MatchingFields{index.NetworkInterfaceID: change.ENIID})
}

// listed returns the requests for the resources that the options select.
func (r *Reconciler) listed(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	list := &v1alpha1.ElasticNetworkInterfaceList{}
	if err := r.client.List(ctx, list, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		log.FromContext(ctx).Error(err, "Failed to list ENI resources that changed in EC2")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}

// forget drops what is kept in memory for an ENI that is let go.
func (r *Reconciler) forget(o observation) {
	r.inventory.FreeSlot(o.instanceID, o.eni.Status.NetworkInterfaceID)
	r.inventory.ForgetENI(o.eni.Status.NetworkInterfaceID)
}

var _ reconcile.Reconciler = (*Reconciler)(nil)

func instanceOf(node *corev1.Node) string {
	id, kind := ec2.ParseProviderID(node.Spec.ProviderID)
	if kind != ec2.ProviderIDInstance {
		return ""
	}
	return id
}
