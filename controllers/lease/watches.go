/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package lease

import (
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/logging"
	"github.com/eni-operator/eni-operator/pkg/tracing"
)

// SetupWithManager adds the controller to a manager.
func SetupWithManager(mgr ctrl.Manager, clk clock.WithTicker, options Options) error {
	r := &Reconciler{
		client: mgr.GetClient(), live: mgr.GetAPIReader(), events: options.Events,
		clock: clk, counts: newCounts(), grace: options.Grace,
		pulse: &pulse{live: mgr.GetAPIReader(), clock: clk, grace: options.Grace},
	}
	if err := mgr.Add(r.pulse); err != nil {
		return err
	}
	settings := options.Controller
	settings.MaxConcurrentReconciles = options.Concurrency
	settings.LogConstructor = logging.For(mgr.GetLogger(), controllerName, "claim")
	return ctrl.NewControllerManagedBy(mgr).
		Named(controllerName).
		For(&v1alpha1.ENIClaim{}, builder.WithPredicates(leased())).
		WithOptions(settings).
		Complete(tracing.Reconciler(tracing.KindLease, r, nil))
}

// leased accepts the claims that have a lease, or had one until now.
func leased() predicate.Predicate {
	has := func(object client.Object) bool {
		claim, ok := object.(*v1alpha1.ENIClaim)
		return ok && claim.Spec.Lease != nil
	}
	return predicate.Funcs{
		CreateFunc:  func(e event.CreateEvent) bool { return has(e.Object) },
		UpdateFunc:  func(e event.UpdateEvent) bool { return has(e.ObjectOld) || has(e.ObjectNew) },
		DeleteFunc:  func(e event.DeleteEvent) bool { return has(e.Object) },
		GenericFunc: func(e event.GenericEvent) bool { return has(e.Object) },
	}
}
