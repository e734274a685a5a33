/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package setup puts the operator together: the manager, the inventory and the
// controllers.
package setup

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/controllers/eni"
	"github.com/eni-operator/eni-operator/controllers/garbagecollection"
	"github.com/eni-operator/eni-operator/controllers/lease"
	"github.com/eni-operator/eni-operator/controllers/policy"
	"github.com/eni-operator/eni-operator/controllers/pool"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/election"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/pkg/metrics"
	"github.com/eni-operator/eni-operator/pkg/options"
	"github.com/eni-operator/eni-operator/pkg/store"
	"github.com/eni-operator/eni-operator/webhooks"
)

// Scheme returns the kinds that the operator reads and writes.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return scheme, v1alpha1.AddToScheme(scheme)
}

// assembly is what New puts the operator together from, beside its options.
type assembly struct {
	// clock is the wall clock, by which everything is stamped.
	clock   clock.WithTicker
	wrap    func(events.Handler) events.Handler
	manager func(*ctrl.Options)
}

// Change has New put another operator together than the one that is shipped.
type Change func(*assembly)

// WithHandlers replaces what the subscribers of the event bus do with events.
func WithHandlers(wrap func(events.Handler) events.Handler) Change {
	return func(a *assembly) { a.wrap = wrap }
}

// WithClock replaces the wall clock.
func WithClock(clk clock.WithTicker) Change {
	return func(a *assembly) { a.clock = clk }
}

// WithManager changes the settings of the manager, such as its log or its webhook server.
func WithManager(change func(*ctrl.Options)) Change {
	return func(a *assembly) { a.manager = change }
}

func assemble(changes []Change) assembly {
	a := assembly{clock: clock.RealClock{}, manager: func(*ctrl.Options) {}}
	for _, change := range changes {
		change(&a)
	}
	return a
}

// New returns a manager that runs the whole operator once it is started. It reads
// the cluster's identity from Kubernetes, and makes no EC2 call yet. The fence is
// opened and shut by the election; the EC2 client should ask it.
func New(
	ctx context.Context, config *rest.Config, api ec2.Client, fence *election.Fence, o options.Options, changes ...Change,
) (ctrl.Manager, error) {
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = o.KubeAPIQPS, o.KubeAPIBurst
	a := assemble(changes)
	bus := newBus(a)
	settings := managerOptions(scheme, o)
	seen := &store.Seen{}
	settings.NewClient = seen.NewClient
	settings.NewCache = endingWith(ctx, cache.New)
	settings.Metrics.ExtraHandlers = debugHandlers(bus, o)
	a.manager(&settings)
	mgr, err := newServingManager(ctx, config, fence, settings, o)
	if err != nil {
		return nil, err
	}
	if err := mgr.Add(seen); err != nil {
		return nil, err
	}
	if err := indexKinds(ctx, mgr); err != nil {
		return nil, err
	}
	clusterUID, err := clusterUID(ctx, mgr.GetAPIReader())
	if err != nil {
		return nil, err
	}
	forecast := ec2.NewForecast(api, a.clock)
	inv := newInventory(mgr, api, forecast, a, clusterUID, o)
	return mgr, addParts(ctx, mgr, api, inv, forecast, bus, a, clusterUID, o)
}

// newInventory returns the picture of EC2 that all parts share.
func newInventory(
	mgr ctrl.Manager, api ec2.Client, forecast *ec2.Forecast, a assembly, clusterUID string, o options.Options,
) *inventory.Inventory {
	settings := inventory.Options{
		ClusterUID: clusterUID, VisibilityWindow: o.VisibilityWindow, BatchWindow: o.BatchWindow,
		BusyBatchWindow: o.BusyBatchWindow, NetworkTTL: o.NetworkTTL, Elected: mgr.Elected(), Batched: metrics.Batched, Clock: a.clock,
		CreateWait: func() time.Duration { return forecast.Wait(ec2.ActionCreate) },
	}
	if o.EC2Brake {
		settings.Expected = expectation(mgr.GetClient())
	}
	inv := inventory.New(api, settings)
	logTrust(inv, ctrl.Log.WithName("inventory"))
	return inv
}

// addParts adds what works with the inventory to the manager.
func addParts(
	ctx context.Context, mgr ctrl.Manager, api ec2.Client, inv *inventory.Inventory, forecast *ec2.Forecast, bus *events.Bus,
	a assembly, clusterUID string, o options.Options,
) error {
	if err := addSnapshotter(mgr, inv, bus, a.clock, clusterUID, o.SnapshotPath); err != nil {
		return err
	}
	if err := mgr.Add(newAuditor(inv, mgr.Elected(), o.AuditInterval, ctrl.Log.WithName("inventory"))); err != nil {
		return err
	}
	tracker, err := addSubscribers(ctx, mgr, inv, api, bus, a.clock, o)
	if err != nil {
		return err
	}
	if err := addControllers(mgr, inv, bus, tracker, a.clock, forecast, clusterUID, o); err != nil {
		return err
	}
	if err := addCollector(mgr, inv, clusterUID, o); err != nil {
		return err
	}
	if err := addWebhooks(ctx, mgr, inv, o); err != nil {
		return err
	}
	return addProbes(mgr, inv, o)
}

func newBus(a assembly) *events.Bus {
	bus := events.NewBus(a.clock, ctrl.Log.WithName("events"))
	if a.wrap != nil {
		bus.Wrap(a.wrap)
	}
	return bus
}

func managerOptions(scheme *runtime.Scheme, o options.Options) ctrl.Options {
	server := metricsserver.Options{
		BindAddress: o.MetricsBindAddress, SecureServing: o.MetricsSecure, TLSOpts: []func(*tls.Config){onlyHTTP1},
		CertDir: o.MetricsCertPath, CertName: certName, KeyName: keyName,
	}
	if o.MetricsSecure {
		server.FilterProvider = authorized
	}
	return ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       server,
		HealthProbeBindAddress:        o.HealthProbeBindAddress,
		PprofBindAddress:              o.PprofBindAddress,
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              leaderLease,
		LeaderElectionNamespace:       o.LeaderElectNamespace,
		LeaseDuration:                 &o.LeaderElectLeaseDuration,
		RenewDeadline:                 &o.LeaderElectRenewDeadline,
		RetryPeriod:                   &o.LeaderElectRetryPeriod,
		LeaderElectionReleaseOnCancel: true, // main ends right after Start.
		GracefulShutdownTimeout:       ptr.To(stopTimeout),
		// A standby has read everything when it takes over.
		Controller: ctrlconfig.Controller{EnableWarmup: ptr.To(true)},
		// A decision is made on what the decisions before it wrote.
		Client: client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: ptr.To(true)}},
		Cache: cache.Options{
			// slimClaim checks the type itself: a kind that is listed below must be served already,
			// and requireKinds has a clearer error for one that is not.
			DefaultTransform: slimClaim,
			ByObject: map[client.Object]cache.ByObject{
				&corev1.Node{}:      {Transform: slimNode},
				&corev1.Namespace{}: {Transform: slimNamespace},
			},
		},
	}
}

// clusterUID is who this cluster is: the UID of its namespace kube-system.
func clusterUID(ctx context.Context, reader client.Reader) (string, error) {
	namespace := &corev1.Namespace{}
	if err := reader.Get(ctx, types.NamespacedName{Name: metav1.NamespaceSystem}, namespace); err != nil {
		return "", fmt.Errorf("reading namespace %s, whose UID marks this cluster's ENIs: %w", metav1.NamespaceSystem, err)
	}
	return string(namespace.UID), nil
}

func addControllers(
	mgr ctrl.Manager, inv *inventory.Inventory, bus *events.Bus, tracker *metrics.Tracker, clk clock.WithTicker,
	forecast *ec2.Forecast, clusterUID string, o options.Options,
) error {
	settings := func() controller.Options {
		return controller.Options{RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
			o.RetryBaseDelay, o.RetryMaxDelay)}
	}
	err := policy.SetupWithManager(mgr, inv, clk, policy.Options{
		StartupTaintPrefix: o.StartupTaintPrefix, NodeGoneGrace: o.NodeGoneGrace, IdleReleaseAfter: o.IdleReleaseAfter, Concurrency: o.NodeConcurrency, Events: bus, Controller: settings(),
	})
	if err != nil {
		return err
	}
	err = pool.SetupWithManager(mgr, inv, clk, pool.Options{
		MinDeviceIndex: o.MinDeviceIndex, IdleReleaseAfter: o.IdleReleaseAfter,
		Cooldown: o.Cooldown, NodeGoneGrace: o.NodeGoneGrace, Forecast: forecast,
		Concurrency: o.PoolConcurrency, Events: bus, Controller: settings(),
	})
	if err != nil {
		return err
	}
	err = lease.SetupWithManager(mgr, clk, lease.Options{
		Grace: o.LeaseGrace, Concurrency: o.PoolConcurrency, Events: bus, Controller: settings(),
	})
	if err != nil {
		return err
	}
	return eni.SetupWithManager(mgr, inv, clk, eni.Options{
		Identity:       eni.Identity{Cluster: o.ClusterName, ClusterUID: clusterUID, NoManage: o.VPCCNINoManage},
		MinDeviceIndex: o.MinDeviceIndex, CreateRecordMaxAge: o.CreateRecordMaxAge, VisibilityWindow: o.VisibilityWindow,
		ForceDetachAfter: o.ForceDetachAfter,
		Concurrency:      o.ENIConcurrency, Events: bus, Looked: tracker.Looked, Controller: settings(),
	})
}

// recorderDepth is how many events may wait to become Kubernetes Events: those of
// 100 nodes that join. It takes microseconds to hand one on.
const recorderDepth = 1024

// addSubscribers has metrics and Kubernetes Events made of what the controllers
// publish, and runs the bus.
func addSubscribers(
	ctx context.Context, mgr ctrl.Manager, inv *inventory.Inventory, api ec2.Client, bus *events.Bus, clk clock.PassiveClock, o options.Options,
) (*metrics.Tracker, error) {
	bus.Handle("kubernetes", recorderDepth, events.Filter{}, events.Recorder(mgr.GetEventRecorder("eni-operator")))
	tracker, err := addMetrics(ctx, mgr, inv, api, bus, clk, o)
	if err != nil {
		return nil, err
	}
	return tracker, mgr.Add(bus)
}

func addCollector(mgr ctrl.Manager, inv *inventory.Inventory, clusterUID string, o options.Options) error {
	if o.GCInterval == 0 {
		return nil
	}
	return garbagecollection.SetupWithManager(mgr, inv, garbagecollection.Options{
		Cluster: o.ClusterName, ClusterUID: clusterUID, Interval: o.GCInterval, Grace: o.GCGrace, DryRun: o.GCDryRun,
	})
}

func addWebhooks(ctx context.Context, mgr ctrl.Manager, inv *inventory.Inventory, o options.Options) error {
	if !o.EnableWebhooks {
		return nil
	}
	return webhooks.SetupWithManager(ctx, mgr, webhooks.Options{
		MinDeviceIndex: o.MinDeviceIndex, StartupTaintPrefix: o.StartupTaintPrefix, InstanceType: limitsOf(inv),
	})
}

// limitsOf are the limits of instance types as EC2 told them, or else as they are
// published: a replica that does not lead has not asked.
func limitsOf(inv *inventory.Inventory) func(string) (ec2.InstanceType, bool) {
	return func(name string) (ec2.InstanceType, bool) {
		if known, ok := inv.KnownInstanceType(name); ok {
			return known, true
		}
		return ec2.PublishedLimits(name)
	}
}
