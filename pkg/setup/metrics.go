/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"context"
	"errors"
	"net/http"
	"os"

	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/pkg/metrics"
	"github.com/eni-operator/eni-operator/pkg/options"
)

// metricsDepth is how many events may wait to be counted: those of 100 nodes that
// join. It takes microseconds to count one.
const metricsDepth = 1024

// addMetrics has metrics made of events, of the cache and of the operator's own
// state.
func addMetrics(
	ctx context.Context, mgr ctrl.Manager, inv *inventory.Inventory, api ec2.Client, bus *events.Bus, clk clock.PassiveClock, o options.Options,
) (*metrics.Tracker, error) {
	tracker := metrics.NewTracker(clk)
	sources := metrics.Sources{
		Clock: clk, Bus: bus, Inventory: inv, Elected: mgr.Elected(), PerNode: o.PerNodeMetrics, SnapshotSize: sizeOf(o.SnapshotPath),
	}
	sources.EC2, _ = api.(ec2.Meter)
	var err error
	if sources.ENIs, err = watched(ctx, mgr, &v1alpha1.ElasticNetworkInterface{}, tracker); err != nil {
		return nil, err
	}
	if sources.Pools, err = watched(ctx, mgr, &v1alpha1.ENIPool{}, tracker); err != nil {
		return nil, err
	}
	if sources.Claims, err = watched(ctx, mgr, &v1alpha1.ENIClaim{}, tracker); err != nil {
		return nil, err
	}
	metrics.Scrape(sources)
	bus.Handle("metrics", metricsDepth, events.Filter{}, tracker.Hear)
	return tracker, nil
}

// watched is where the cache keeps the objects of a kind: a scrape must not copy a
// whole cluster.
func watched(ctx context.Context, mgr ctrl.Manager, kind client.Object, tracker *metrics.Tracker) (toolscache.Store, error) {
	informer, err := mgr.GetCache().GetInformer(ctx, kind, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, err
	}
	if _, err := informer.AddEventHandler(tracker.Handler()); err != nil {
		return nil, err
	}
	shared, ok := informer.(toolscache.SharedInformer)
	if !ok {
		return nil, errors.New("the cache's informers have no store")
	}
	return shared.GetStore(), nil
}

// sizeOf returns how large a file is, if there is one.
func sizeOf(path string) func() (int64, bool) {
	return func() (int64, bool) {
		info, err := os.Stat(path)
		if path == "" || err != nil {
			return 0, false
		}
		return info.Size(), true
	}
}

// reviewsPerSecond bounds how often the API server is asked who somebody is that asks for
// metrics, and whether they may: anybody who reaches the port can ask with another token each
// time. A scraper's answer is kept for a minute.
const reviewsPerSecond = 5

// authorized is the filter before metrics and debug endpoints.
func authorized(config *rest.Config, httpClient *http.Client) (metricsserver.Filter, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = reviewsPerSecond, 2*reviewsPerSecond
	return filters.WithAuthenticationAndAuthorization(config, httpClient)
}
