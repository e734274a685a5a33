/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package lease

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// beatsPerGrace is how many reads must fail, one after the other, before
// Kubernetes counts as out of reach: one lost answer is no outage.
const beatsPerGrace = 4

func beatInterval(grace time.Duration) time.Duration { return grace / beatsPerGrace }

// pulse knows since when Kubernetes can be reached. Whoever could not reach it could
// not renew either, and this process would not have seen it; so an outage that is
// longer than the grace begins all counts anew, and a shorter one is what the grace
// is for. A process that was stopped for a while has missed its beats too.
type pulse struct {
	live  client.Reader
	clock clock.WithTicker
	grace time.Duration

	mu sync.Mutex
	// since is when Kubernetes was reached after the last outage, and last when it
	// was reached last. Before the first beat both are zero.
	since, last time.Time
}

var _ manager.LeaderElectionRunnable = (*pulse)(nil)

// NeedLeaderElection says that only who counts needs a pulse.
func (p *pulse) NeedLeaderElection() bool { return true }

// Start reads until ctx ends.
func (p *pulse) Start(ctx context.Context) error {
	p.beat(ctx)
	ticker := p.clock.NewTicker(beatInterval(p.grace))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
			p.beat(ctx)
		}
	}
}

// beat reads something small from Kubernetes itself, and notes when the answer
// came.
func (p *pulse) beat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, beatInterval(p.grace))
	defer cancel()
	if err := p.live.Get(ctx, types.NamespacedName{Name: metav1.NamespaceSystem}, &corev1.Namespace{}); err != nil {
		return
	}
	now := p.clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.IsZero() || now.Sub(p.last) > p.grace {
		p.since = now
	}
	p.last = now
}

// reached returns since when Kubernetes has been within reach without an outage,
// and whether it still is.
func (p *pulse) reached(now time.Time) (since time.Time, still bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.since, !p.last.IsZero() && now.Sub(p.last) <= p.grace
}
