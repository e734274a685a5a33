/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// poolWatch notes when each pool first held its minimum.
type poolWatch struct {
	stop    context.CancelFunc
	minimum int32
	mu      sync.Mutex
	ready   map[string]time.Time
}

// watchPools watches until it is stopped.
func watchPools(ctx context.Context, c *cluster, minimum int32) *poolWatch {
	ctx, cancel := context.WithCancel(ctx)
	w := &poolWatch{stop: cancel, minimum: minimum, ready: map[string]time.Time{}}
	go func() {
		for ctx.Err() == nil {
			w.follow(ctx, c)
			pause(ctx, glance)
		}
	}()
	return w
}

// follow reads one watch to its end. A new one begins with the pools as they are.
func (w *poolWatch) follow(ctx context.Context, c *cluster) {
	events, err := c.Watch(ctx, &v1alpha1.ENIPoolList{})
	if err != nil {
		return
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		if pool, ok := event.Object.(*v1alpha1.ENIPool); ok && w.full(pool) {
			w.note(pool.Name, time.Now())
		}
	}
}

func (w *poolWatch) full(pool *v1alpha1.ENIPool) bool {
	return pool.Status.Shared != nil && pool.Status.Shared.Capacity >= w.minimum &&
		meta.IsStatusConditionTrue(pool.Status.Conditions, v1alpha1.ConditionReady)
}

func (w *poolWatch) note(name string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.ready[name]; !known {
		w.ready[name] = now
	}
}

// forget has all pools begin anew.
func (w *poolWatch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.ready)
}

// readyAt returns when each of the nodes' pools was ready, for those that are.
func (w *poolWatch) readyAt(nodes []string) map[string]time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := map[string]time.Time{}
	for _, node := range nodes {
		if when, ok := w.ready[node]; ok {
			at[node] = when
		}
	}
	return at
}

// tellEvery is how often a long wait is told about.
const tellEvery = 15 * time.Second

// await returns when all of the nodes' pools are ready, and since when.
func (w *poolWatch) await(ctx context.Context, nodes []string, alive func() error) (map[string]time.Time, error) {
	told := time.Now()
	for {
		ready := w.readyAt(nodes)
		if len(ready) == len(nodes) {
			return ready, nil
		}
		if err := alive(); err != nil {
			return nil, err
		}
		if time.Since(told) > tellEvery {
			say("  %d of %d pools hold their minimum", len(ready), len(nodes))
			told = time.Now()
		}
		if !pause(ctx, glance) {
			return nil, fmt.Errorf("only %d of %d pools hold their minimum: %w", len(ready), len(nodes), ctx.Err())
		}
	}
}
