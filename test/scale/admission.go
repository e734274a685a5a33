/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/controlplane"
)

const (
	// admissionRate is how many dry runs are begun a second, whatever becomes of those
	// before.
	admissionRate = 200
	admissionTime = 30 * time.Second
	// policyEvery: of so many dry runs one is of a policy, whose verdict takes all Nodes;
	// the others are of claims.
	policyEvery = 10
	// webhookMetric is the API server's own measurement of what it waits for a webhook.
	webhookMetric = "apiserver_admission_webhook_admission_duration_seconds_bucket"
)

// admission measures what the webhooks cost whoever applies something: the same dry
// runs, in an open loop, without and with them.
func (b *bench) admission(ctx context.Context, s *sheet) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	if err := b.stopOperator(); err != nil {
		return err
	}
	hooks, err := prepareWebhooks()
	if err != nil {
		return err
	}
	defer func() { _ = hooks.Cleanup() }()
	if err := b.startOperator(ctx, "--enable-webhooks", "--webhook-host="+hooks.LocalServingHost,
		fmt.Sprintf("--webhook-port=%d", hooks.LocalServingPort), "--webhook-cert-path="+hooks.LocalServingCertDir); err != nil {
		return err
	}
	if err := b.awaitQuiet(ctx); err != nil {
		return err
	}
	without, err := b.dryRuns(ctx, "without webhooks")
	if err != nil {
		return err
	}
	if err := hooks.Install(b.cluster.plane.Config); err != nil {
		return err
	}
	defer b.removeWebhooks(context.WithoutCancel(ctx), hooks)
	before, err := b.webhookTimes(ctx)
	if err != nil {
		return err
	}
	with, err := b.dryRuns(ctx, "with webhooks")
	if err != nil {
		return err
	}
	after, err := b.webhookTimes(ctx)
	if err != nil {
		return err
	}
	s.add("dry runs a second", admissionRate, "")
	s.add("dry run without webhooks, p50", 1000*seconds(percentile(without, 50)), "ms")
	s.add("dry run without webhooks, p99", 1000*seconds(percentile(without, 99)), "ms")
	s.add("dry run with webhooks, p50", 1000*seconds(percentile(with, 50)), "ms")
	s.add("dry run with webhooks, p99", 1000*seconds(percentile(with, 99)), "ms")
	s.goal("p99 with webhooks, as a multiple of without", seconds(percentile(with, 99))/seconds(percentile(without, 99)), "", admissionRatioGoal)
	s.goal("webhook, p99 by the API server", 1000*after.since(before).quantile(0.99), "ms", admissionGoal)
	return nil
}

// prepareWebhooks chooses an address for the webhooks, and makes a certificate and the
// configuration that ships, with both in it. It installs nothing.
func prepareWebhooks() (*envtest.WebhookInstallOptions, error) {
	root, err := controlplane.RepositoryRoot()
	if err != nil {
		return nil, err
	}
	hooks := &envtest.WebhookInstallOptions{
		Paths: []string{filepath.Join(root, "config", "webhook", "manifests.yaml")}, LocalServingHost: "127.0.0.1", MaxTime: time.Minute,
		PollInterval: glance,
	}
	err = hooks.PrepWithoutInstalling()
	return hooks, err
}

func (b *bench) removeWebhooks(ctx context.Context, hooks *envtest.WebhookInstallOptions) {
	for _, hook := range hooks.ValidatingWebhooks {
		if err := b.cluster.Delete(ctx, hook); err != nil {
			say("removing the webhooks: %v", err)
		}
	}
}

// dryRuns begins dry runs at a steady rate, and returns how long each took from when it
// was due, sorted.
func (b *bench) dryRuns(ctx context.Context, what string) ([]time.Duration, error) {
	say("admission: %d dry runs a second for %s, %s; machine: %s", admissionRate, admissionTime, what, machineLoad())
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		took    []time.Duration
		failed  error
	)
	nodes := b.cloud.nodeNames()
	ticker := time.NewTicker(time.Second / admissionRate)
	defer ticker.Stop()
	began := time.Now()
	for i := range int(admissionRate * admissionTime / time.Second) {
		due := began.Add(time.Duration(i) * time.Second / admissionRate)
		for time.Now().Before(due) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-ticker.C:
			}
		}
		running.Go(func() {
			err := b.cluster.Create(ctx, dryRunOf(i, nodes), client.DryRunAll)
			mu.Lock()
			defer mu.Unlock()
			took, failed = append(took, time.Since(due)), errors.Join(failed, err)
		})
	}
	running.Wait()
	slices.Sort(took)
	return took, failed
}

// dryRunOf is what is applied as one of the dry runs.
func dryRunOf(number int, nodes []string) client.Object {
	if number%policyEvery == 0 {
		policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("dry-%d", number)}}
		policy.Spec.Priority = 1
		policy.Spec.Shared = &v1alpha1.SharedBounds{MinimumIPs: 1, MaximumIPs: maximumIPs}
		return policy
	}
	return &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: fmt.Sprintf("dry-%d", number)},
		Spec:       v1alpha1.ENIClaimSpec{NodeName: nodes[number%len(nodes)], Mode: v1alpha1.ModeShared},
	}
}

// histogram counts observations up to each bound, in seconds.
type histogram map[float64]float64

// webhookTimes are what the API server measured of our webhooks so far.
func (b *bench) webhookTimes(ctx context.Context) (histogram, error) {
	direct, err := kubernetes.NewForConfig(b.cluster.plane.Config)
	if err != nil {
		return nil, err
	}
	text, err := direct.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	return readHistogram(string(text), webhookMetric, v1alpha1.GroupVersion.Group)
}

// readHistogram adds up the buckets of a metric whose labels mention a word.
func readHistogram(text, metric, word string) (histogram, error) {
	found := histogram{}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, metric+"{") || !strings.Contains(line, word) {
			continue
		}
		_, rest, _ := strings.Cut(line, `le="`)
		bound, rest, bounded := strings.Cut(rest, `"`)
		at, count := strings.LastIndexByte(rest, ' '), 0.0
		most, err := strconv.ParseFloat(bound, 64)
		if err == nil && at >= 0 {
			count, err = strconv.ParseFloat(strings.TrimSpace(rest[at:]), 64)
		}
		if err != nil || !bounded || at < 0 {
			return nil, fmt.Errorf("unexpected metric %q: %w", line, err)
		}
		found[most] += count
	}
	return found, nil
}

func (h histogram) since(before histogram) histogram {
	made := histogram{}
	for bound, count := range h {
		made[bound] = count - before[bound]
	}
	return made
}

// quantile is in seconds, interpolated within a bucket as Prometheus does it; not a
// number if nothing was observed.
func (h histogram) quantile(q float64) float64 {
	bounds := make([]float64, 0, len(h))
	for bound := range h {
		bounds = append(bounds, bound)
	}
	slices.Sort(bounds)
	if len(bounds) == 0 || h[bounds[len(bounds)-1]] == 0 {
		return math.NaN()
	}
	rank := q * h[bounds[len(bounds)-1]]
	lower, below := 0.0, 0.0
	for _, bound := range bounds {
		if count := h[bound]; count >= rank {
			if math.IsInf(bound, 1) {
				return lower
			}
			return lower + (bound-lower)*(rank-below)/(count-below)
		}
		lower, below = bound, h[bound]
	}
	return lower
}
