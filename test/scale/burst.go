/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

const (
	// claimsPerNode is less than what a pool holds: no EC2 call is needed.
	claimsPerNode = 25
	// clients is how many writes the bench has under way at once.
	clients = 50

	burstNamespace = "burst"
	bareNamespace  = "bare"
)

// burst measures how fast many claims are bound that come all at once, beside a
// client that does nothing but the same writes.
func (b *bench) burst(ctx context.Context, s *sheet) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	nodes := b.cloud.nodeNames()
	watcher, err := b.cluster.watchClaims(ctx, burstNamespace)
	if err != nil {
		return err
	}
	defer watcher.stop()
	before, err := b.look()
	if err != nil {
		return err
	}
	from := b.audit.offset
	made := claimsFor(burstNamespace, nodes)
	began := time.Now()
	asked, bound, err := b.bindAll(ctx, made, watcher)
	if err != nil {
		return err
	}
	took := latest(bound).Sub(began)
	after, err := b.look()
	if err != nil {
		return err
	}
	served, err := b.audit.rounds(from, nodeOfClaim(made))
	if err != nil {
		return err
	}
	bare, err := b.bareTime(ctx, claimsFor(bareNamespace, nodes))
	if err != nil {
		return err
	}
	reportBurst(s, took, bare, times(asked, bound))
	reportBurstWrites(s, len(made), before, after, served)
	return nil
}

// bareTime is how long the bare client takes, which has the machine for itself.
func (b *bench) bareTime(ctx context.Context, claims []*v1alpha1.ENIClaim) (time.Duration, error) {
	if err := b.stopOperator(); err != nil {
		return 0, err
	}
	return b.cluster.bare(ctx, claims)
}

// bindAll makes claims, and returns when each was asked for and bound, once the
// operator is at rest.
func (b *bench) bindAll(ctx context.Context, claims []*v1alpha1.ENIClaim, watcher *claimWatch) (asked, bound map[string]time.Time, err error) {
	say("burst: %d claims on %d nodes at once; machine: %s", len(claims), b.settings.nodes, machineLoad())
	asked, err = b.cluster.each(claims, func(claim *v1alpha1.ENIClaim) error { return b.cluster.Create(ctx, claim) })
	if err != nil {
		return nil, nil, err
	}
	if bound, err = watcher.await(ctx, len(claims), b.operator.alive); err != nil {
		return nil, nil, err
	}
	if err := b.awaitQuiet(ctx); err != nil {
		return nil, nil, err
	}
	return asked, bound, b.heldOnce(ctx)
}

func reportBurst(s *sheet, took, bare time.Duration, waits []time.Duration) {
	claims := float64(len(waits))
	s.add("claims bound a second", claims/seconds(took), "claims")
	s.add("the same writes of a bare client", claims/seconds(bare), "claims")
	s.atLeast("rate, as a part of the bare client's", seconds(bare)/seconds(took), "", burstRatioGoal)
	s.add("time from create to bound, p50", seconds(percentile(waits, 50)), "s")
	s.add("time from create to bound, p99", seconds(percentile(waits, 99)), "s")
}

func reportBurstWrites(s *sheet, claims int, before, after look, r rounds) {
	made := after.writes.since(before.writes)
	s.goal("writes per claim", float64(made.of("eniclaims"))/float64(claims), "writes", 2)
	s.goal("pool writes without a new claim", float64(r.idle), "writes", 0)
	s.add("pool writes per node", float64(r.writes)/float64(s.nodes), "writes")
	for _, kind := range made.kinds() {
		s.add(kind, float64(made[kind]), "writes")
	}
	s.add("conflicts", float64(made[conflicts]), "writes")
	s.goal("events", float64(made[eventWrites]), "writes", 0)
	s.goal("EC2 calls", float64(after.calls.since(before.calls).total()), "calls", 0)
	s.add("CPU of the operator per claim", 1000*seconds(after.cpu-before.cpu)/float64(claims), "ms")
	s.add("peak memory of the operator", after.memory, "MiB")
}

// nodeNames are the names of the fleet's Nodes.
func (c *cloud) nodeNames() []string {
	var names []string
	for _, instance := range c.fleet {
		names = append(names, nodeName(instance))
	}
	return names
}

// claimsFor are claims on all nodes in turn.
func claimsFor(namespace string, nodes []string) []*v1alpha1.ENIClaim {
	var claims []*v1alpha1.ENIClaim
	for i := range claimsPerNode {
		for j, node := range nodes {
			claims = append(claims, &v1alpha1.ENIClaim{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("claim-%d-%d", j, i)},
				Spec:       v1alpha1.ENIClaimSpec{NodeName: node, Mode: v1alpha1.ModeShared},
			})
		}
	}
	return claims
}

// nodeOfClaim is the node of each claim, by its namespace and name.
func nodeOfClaim(claims []*v1alpha1.ENIClaim) map[string]string {
	nodes := map[string]string{}
	for _, claim := range claims {
		nodes[client.ObjectKeyFromObject(claim).String()] = claim.Spec.NodeName
	}
	return nodes
}

// each does something with all claims, with many under way at once, and returns
// when it began with each, by name.
func (c *cluster) each(claims []*v1alpha1.ENIClaim, do func(*v1alpha1.ENIClaim) error) (map[string]time.Time, error) {
	var (
		workers sync.WaitGroup
		mu      sync.Mutex
		failed  error
		began   = map[string]time.Time{}
		queue   = make(chan *v1alpha1.ENIClaim)
	)
	for range clients {
		workers.Go(func() {
			for claim := range queue {
				now := time.Now()
				err := do(claim)
				mu.Lock()
				began[claim.Name] = now
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	for _, claim := range claims {
		queue <- claim
	}
	close(queue)
	workers.Wait()
	return began, failed
}

// bare is how long the writes of claims that are bound take without an operator:
// creation, finalizer and status.
func (c *cluster) bare(ctx context.Context, claims []*v1alpha1.ENIClaim) (time.Duration, error) {
	if err := c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: bareNamespace}}); err != nil {
		return 0, err
	}
	example, err := c.boundClaim(ctx)
	if err != nil {
		return 0, err
	}
	say("burst: the same writes by a bare client; machine: %s", machineLoad())
	began := time.Now()
	_, err = c.each(claims, func(claim *v1alpha1.ENIClaim) error {
		if err := c.Create(ctx, claim); err != nil {
			return err
		}
		before := claim.DeepCopy()
		claim.Finalizers = []string{v1alpha1.Finalizer}
		if err := c.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			return err
		}
		claim.Status = example.Status
		return c.Status().Update(ctx, claim)
	})
	return time.Since(began), err
}

// boundClaim is one of the burst's.
func (c *cluster) boundClaim(ctx context.Context) (*v1alpha1.ENIClaim, error) {
	list := &v1alpha1.ENIClaimList{}
	if err := c.List(ctx, list, client.InNamespace(burstNamespace), client.Limit(1)); err != nil {
		return nil, err
	}
	return &list.Items[0], nil
}

// heldOnce is an error if two claims of the burst hold the same.
func (b *bench) heldOnce(ctx context.Context) error {
	list := &v1alpha1.ENIClaimList{}
	if err := b.cluster.List(ctx, list, client.InNamespace(burstNamespace)); err != nil {
		return err
	}
	holder := map[string]string{}
	for i := range list.Items {
		claim := &list.Items[i]
		// The zones' VPCs have addresses of their own.
		held := claim.Status.NetworkInterfaceID + " " + claim.Status.Address
		if other, twice := holder[held]; twice {
			return fmt.Errorf("%s is held by %s and %s", held, other, claim.Name)
		}
		holder[held] = claim.Name
	}
	return nil
}

// claimWatch notes when each claim of a namespace was first seen bound.
type claimWatch struct {
	stop  func()
	mu    sync.Mutex
	bound map[string]time.Time
}

// watchClaims makes a namespace and watches the claims in it. The API server ends a
// watch that lags behind a burst; this one goes on where it ended.
func (c *cluster) watchClaims(ctx context.Context, namespace string) (*claimWatch, error) {
	made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := c.Create(ctx, made); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, made.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return c.Watch(ctx, &v1alpha1.ENIClaimList{}, &client.ListOptions{Namespace: namespace, Raw: &options})
		},
	})
	if err != nil {
		cancel()
		return nil, err
	}
	w := &claimWatch{stop: cancel, bound: map[string]time.Time{}}
	go func() {
		for event := range watcher.ResultChan() {
			w.see(event, time.Now())
		}
	}()
	return w, nil
}

func (w *claimWatch) see(event watch.Event, now time.Time) {
	claim, ok := event.Object.(*v1alpha1.ENIClaim)
	if !ok || claim.Status.Phase != v1alpha1.ClaimBound {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.bound[claim.Name]; !known {
		w.bound[claim.Name] = now
	}
}

// await returns when so many claims are bound, and since when.
func (w *claimWatch) await(ctx context.Context, claims int, alive func() error) (map[string]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, burstTimeout(claims))
	defer cancel()
	told := time.Now()
	for {
		w.mu.Lock()
		bound := len(w.bound)
		w.mu.Unlock()
		if bound == claims {
			return w.bound, nil
		}
		if err := alive(); err != nil {
			return nil, err
		}
		if time.Since(told) > tellEvery {
			say("  %d of %d claims are bound", bound, claims)
			told = time.Now()
		}
		if !pause(ctx, glance) {
			return nil, fmt.Errorf("only %d of %d claims are bound: %w", bound, claims, ctx.Err())
		}
	}
}

// burstTimeout tells a slow run from one that stands still.
func burstTimeout(claims int) time.Duration {
	return 2*time.Minute + time.Duration(claims)*100*time.Millisecond
}

func latest(times map[string]time.Time) time.Time {
	var last time.Time
	for _, at := range times {
		if at.After(last) {
			last = at
		}
	}
	return last
}

// times are what each took, in order.
func times(began, ended map[string]time.Time) []time.Duration {
	var took []time.Duration
	for name, at := range began {
		took = append(took, ended[name].Sub(at))
	}
	slices.Sort(took)
	return took
}
