/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/eni-operator/eni-operator/pkg/tracing"
)

// Batcher collects the keys that callers ask for within a short window and reads
// them with one call. A caller that gives up leaves; the others get their answer.
type Batcher[V any] struct {
	window func() Window
	max    int
	fetch  func(ctx context.Context, keys []string) (map[string]V, error)

	mu   sync.Mutex
	open *batch[V]
	// crowded is when the last batch that had more than one key was read.
	crowded time.Time
}

// Window is how long a batch stays open.
type Window struct {
	// Idle closes it when no caller has joined for so long, unless it follows closely
	// upon one that many had joined.
	Idle time.Duration
	// Most closes it so long after the first caller.
	Most time.Duration
}

type batch[V any] struct {
	keys map[string]struct{}
	// joined is when the last caller did.
	joined time.Time
	full   chan struct{}
	done   chan struct{}
	found  map[string]V
	err    error
	// callers are the spans that the batch is read for, and span is its own.
	callers []trace.Link
	span    trace.SpanContext
}

// MaxBatch is how many ids one Describe call may name (EC2: 200 filter values).
const MaxBatch = 200

// batchTimeout bounds one batched read, its wait for the limiter included.
const batchTimeout = 5 * time.Minute

// NewBatcher returns a batcher that calls fetch with at most max keys at a time,
// when the window closes or when max is reached; window is asked again meanwhile.
// What fetch does not return is not found.
func NewBatcher[V any](window func() Window, max int, fetch func(context.Context, []string) (map[string]V, error)) *Batcher[V] {
	return &Batcher[V]{window: window, max: max, fetch: fetch}
}

// Get reads one key. The answer is never older than the call to Get.
func (b *Batcher[V]) Get(ctx context.Context, key string) (value V, found bool, err error) {
	joined := b.join(key, trace.SpanContextFromContext(ctx))
	select {
	case <-ctx.Done():
		return value, false, ctx.Err()
	case <-joined.done:
		tracing.Link(ctx, joined.span)
		value, found = joined.found[key]
		return value, found, joined.err
	}
}

func (b *Batcher[V]) join(key string, caller trace.SpanContext) *batch[V] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		b.open = &batch[V]{keys: map[string]struct{}{}, full: make(chan struct{}), done: make(chan struct{})}
		go b.run(b.open)
	}
	joined := b.open
	joined.keys[key], joined.joined = struct{}{}, time.Now()
	if caller.IsSampled() {
		joined.callers = append(joined.callers, trace.Link{SpanContext: caller})
	}
	if len(joined.keys) == b.max {
		b.open = nil
		close(joined.full)
	}
	return joined
}

func (b *Batcher[V]) run(batch *batch[V]) {
	defer close(batch.done)
	b.gather(batch)

	b.mu.Lock()
	if b.open == batch {
		b.open = nil
	}
	if len(batch.keys) > 1 {
		b.crowded = time.Now()
	}
	keys := make([]string, 0, len(batch.keys))
	for key := range batch.keys {
		keys = append(keys, key)
	}
	b.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	ctx, span := tracing.Start(ctx, tracing.SpanBatch, trace.WithLinks(batch.callers...))
	defer span.End()
	if span.IsRecording() {
		span.SetAttributes(tracing.BatchKeys.Int(len(keys)))
	}
	batch.span = span.SpanContext()
	batch.found, batch.err = b.fetch(ctx, sorted(keys))
	tracing.Fail(span, batch.err)
}

// windowStep is how often a batch looks whether its window became shorter.
const windowStep = 50 * time.Millisecond

// gather waits for more keys. The window is looked at again and again: once what
// made it long is over, nobody should wait for its end.
func (b *Batcher[V]) gather(batch *batch[V]) {
	began, crowded := time.Now(), b.lastCrowded()
	for {
		window := b.window()
		left := window.Most - time.Since(began)
		if began.Sub(crowded) > window.Most {
			left = min(left, window.Idle-time.Since(b.lastJoined(batch)))
		}
		if left <= 0 {
			return
		}
		select {
		case <-time.After(min(left, windowStep)):
		case <-batch.full:
			return
		}
	}
}

func (b *Batcher[V]) lastCrowded() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.crowded
}

func (b *Batcher[V]) lastJoined(batch *batch[V]) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return batch.joined
}
