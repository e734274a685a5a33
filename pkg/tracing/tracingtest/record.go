/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package tracingtest keeps the spans of a test in memory.
package tracingtest

import (
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/eni-operator/eni-operator/pkg/tracing"
)

// Recorder has the spans that have ended since it was made.
type Recorder struct {
	t        testing.TB
	exporter *tracetest.InMemoryExporter
}

// Record turns tracing on until the test ends. It is for the whole process: a test
// that records must not be parallel with others.
func Record(t testing.TB) *Recorder {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	tracing.Use(sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)))
	t.Cleanup(func() { tracing.Use(nil) })
	return &Recorder{t: t, exporter: exporter}
}

// Named are the spans of a name, the first that ended first.
func (r *Recorder) Named(name string) tracetest.SpanStubs {
	return slices.DeleteFunc(r.exporter.GetSpans(), func(span tracetest.SpanStub) bool { return span.Name != name })
}

// Only is the one span of a name that there must be.
func (r *Recorder) Only(name string) tracetest.SpanStub {
	r.t.Helper()
	spans := r.Named(name)
	if len(spans) != 1 {
		r.t.Fatalf("%d spans are called %q", len(spans), name)
	}
	return spans[0]
}

// Reset forgets the spans so far.
func (r *Recorder) Reset() { r.exporter.Reset() }

// Value is what a span says of a key, as text; "" if nothing.
func Value(span tracetest.SpanStub, key attribute.Key) string { return ValueOf(span.Attributes, key) }

// ValueOf is what attributes say of a key, as text; "" if nothing.
func ValueOf(attributes []attribute.KeyValue, key attribute.Key) string {
	for _, pair := range attributes {
		if pair.Key == key {
			return pair.Value.String()
		}
	}
	return ""
}
