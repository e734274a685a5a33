/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package garbagecollection deletes leaked ENIs: those that carry our cluster's
// tags in EC2 while no resource in Kubernetes stands for them. It uses the ENIs
// that the inventory's sweeps show, and reads none itself.
package garbagecollection

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/attribute"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/pkg/metrics"
	"github.com/eni-operator/eni-operator/pkg/tracing"
	"github.com/eni-operator/eni-operator/pkg/uninstall"
)

// Options of the collector; see the operator's flags.
type Options struct {
	// Cluster is the cluster's name, and ClusterUID the UID of kube-system: both
	// must be in an ENI's tags.
	Cluster    string
	ClusterUID string
	// Interval is the shortest time between two collections.
	Interval time.Duration
	// Grace is how old an ENI without a resource becomes before it is leaked.
	Grace time.Duration
	// DryRun reports leaked ENIs and deletes none.
	DryRun bool
}

// Collector deletes leaked ENIs.
type Collector struct {
	cache     client.Reader
	live      client.Reader
	inventory *inventory.Inventory
	options   Options
	log       logr.Logger

	// sweeps holds the latest sweep that was not looked at yet.
	sweeps chan inventory.Swept
	// last is the sweep of the last collection, and seen what it found.
	last time.Time
	seen map[string]sighting
}

var _ manager.LeaderElectionRunnable = (*Collector)(nil)

// +kubebuilder:rbac:groups=networking.eni-operator.dev,resources=elasticnetworkinterfaces,verbs=get;list;watch

// SetupWithManager adds the collector to a manager.
func SetupWithManager(mgr ctrl.Manager, inv *inventory.Inventory, options Options) error {
	return mgr.Add(newCollector(mgr.GetClient(), mgr.GetAPIReader(), inv, options, mgr.GetLogger().WithName("garbagecollection")))
}

// newCollector returns a collector that hears of the inventory's sweeps. Its first
// reader may be a cache, the second must be Kubernetes itself.
func newCollector(cache, live client.Reader, inv *inventory.Inventory, options Options, log logr.Logger) *Collector {
	c := &Collector{
		cache: cache, live: live, inventory: inv, options: options, log: log,
		sweeps: make(chan inventory.Swept, 1), seen: map[string]sighting{},
	}
	inv.SubscribeSweeps(c.hear)
	return c
}

// NeedLeaderElection says that only the leader deletes.
func (c *Collector) NeedLeaderElection() bool { return true }

// hear keeps a sweep for the collector. A later sweep replaces one that it has not
// come to yet.
func (c *Collector) hear(swept inventory.Swept) {
	select {
	case <-c.sweeps:
	default:
	}
	select {
	case c.sweeps <- swept:
	default:
	}
}

// Start collects after sweeps until ctx ends.
func (c *Collector) Start(ctx context.Context) error {
	c.log.Info("Looking for leaked ENIs after the sweeps of EC2", "interval", c.options.Interval,
		"grace", c.options.Grace, "dryRun", c.options.DryRun)
	for {
		select {
		case <-ctx.Done():
			return nil
		case swept := <-c.sweeps:
			if err := c.collect(ctx, swept); err != nil && ctx.Err() == nil {
				c.log.Error(err, "Asking Kubernetes for its ENIs failed; nothing is deleted before it answers")
			}
		}
	}
}

// collect looks for leaked ENIs in what a sweep showed. Where some are to go,
// Kubernetes itself is asked right before, and the decision made anew.
func (c *Collector) collect(ctx context.Context, swept inventory.Swept) (err error) {
	if swept.At.Sub(c.last) < c.options.Interval {
		return nil
	}
	ctx, span := tracing.Start(ctx, tracing.SpanCollect)
	defer span.End()
	defer func() { tracing.Fail(span, err) }()
	in := input{
		identity: identity{cluster: c.options.Cluster, clusterUID: c.options.ClusterUID},
		enis:     candidatesOf(swept.ENIs), seen: c.seen, now: swept.At,
		grace: c.options.Grace, dryRun: c.options.DryRun,
	}
	decided, err := c.decide(ctx, in)
	if err != nil {
		return err
	}
	tracing.Note(ctx, func() []attribute.KeyValue { return []attribute.KeyValue{tracing.Leaked.Int(len(decided.findings))} })
	c.last, c.seen = swept.At, decided.seen
	about := c.loggers(swept.ENIs, decided)
	report(decided, in.seen, about)
	c.act(ctx, decided, about)
	return nil
}

// decide plans by the cache, and by Kubernetes itself if anything is to go.
func (c *Collector) decide(ctx context.Context, in input) (decision, error) {
	var err error
	if in.resources, err = cached(ctx, c.cache); err != nil {
		return decision{}, err
	}
	if decided := plan(in); !decided.due() {
		return decided, nil
	}
	if in.uninstalling, err = uninstall.UnderWay(ctx, c.live); err != nil {
		return decision{}, err
	}
	if in.resources, err = stored(ctx, c.live); err != nil {
		return decision{}, err
	}
	return plan(in), nil
}

// act deletes what was decided. What EC2 refuses for one ENI does not keep it from
// the others; any other failure ends it until the next sweep.
func (c *Collector) act(ctx context.Context, decided decision, about map[string]logr.Logger) {
	ctx = ec2.WithPriority(ctx, ec2.PriorityBackground, "")
	for _, f := range decided.findings {
		if f.verdict != verdictDelete {
			continue
		}
		tried := c.seen[f.id]
		tried.tries++
		c.seen[f.id] = tried
		about[f.id].Info("Deleting leaked ENI", "reason", f.reason, "age", f.age, "attempt", tried.tries)
		err := c.inventory.Delete(ctx, inventory.Ref{ID: f.id, UID: string(f.uid)})
		if err == nil {
			metrics.LeakedENIsDeleted.Inc()
			continue
		}
		if ec2.NotLeader(err) || ec2.Cancelled(err) || inventory.Distrusted(err) {
			return
		}
		reason, message := ec2.Explain(err)
		about[f.id].Error(err, "Leaked ENI was not deleted", "reason", reason, "message", message)
		if !ofThisENI(err) {
			return
		}
	}
}

// ofThisENI says whether an error is about the ENI and not about EC2 or us: it is
// gone already, or attached after all.
func ofThisENI(err error) bool {
	if inventory.NotOwned(err) {
		return true
	}
	switch ec2.Classify(err) {
	case ec2.ClassNotFound, ec2.ClassConflict, ec2.ClassTerminal:
		return true
	default:
		return false
	}
}
