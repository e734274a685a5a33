/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package tracing

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Origin is what made a reconcile necessary.
type Origin struct {
	// Parent is the span that asked for it; not valid if none did.
	Parent trace.SpanContext
	// Links are the others that it serves, or served.
	Links []trace.Link
}

// Reconciler makes a span of every reconcile of a kind. The origin is asked before
// each, and only while tracing is on; it may be nil.
func Reconciler(kind string, next reconcile.Reconciler, origin func(context.Context, reconcile.Request) Origin) reconcile.Reconciler {
	if origin == nil {
		origin = func(context.Context, reconcile.Request) Origin { return Origin{} }
	}
	return &traced{kind: kind, next: next, origin: origin}
}

type traced struct {
	kind   string
	next   reconcile.Reconciler
	origin func(context.Context, reconcile.Request) Origin
}

// Reconcile has the next one reconcile.
func (t *traced) Reconcile(ctx context.Context, request reconcile.Request) (ctrl.Result, error) {
	if !On() {
		return t.next.Reconcile(ctx, request)
	}
	ctx, span := t.start(ctx, request)
	defer span.End()
	result, err := t.next.Reconcile(ctx, request)
	if result.RequeueAfter > 0 && span.IsRecording() {
		span.SetAttributes(RequeueAfter.Float64(result.RequeueAfter.Seconds()))
	}
	Fail(span, err)
	return result, withSpan(err, span.SpanContext())
}

func (t *traced) start(ctx context.Context, request reconcile.Request) (context.Context, trace.Span) {
	from := t.origin(ctx, request)
	if from.Parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, from.Parent)
	}
	ctx, span := Start(ctx, ReconcileOf(t.kind), trace.WithLinks(from.Links...), trace.WithAttributes(Object(t.kind, request.Namespace, request.Name)...))
	if span.SpanContext().IsSampled() {
		ctx = log.IntoContext(ctx, log.FromContext(ctx).WithValues(logValues(span.SpanContext())...))
	}
	return ctx, span
}

// Object are the attributes that name an object; the namespace may be empty.
func Object(kind, namespace, name string) []attribute.KeyValue {
	attributes := []attribute.KeyValue{ObjectKind.String(kind), ObjectName.String(name)}
	if namespace != "" {
		attributes = append(attributes, semconv.K8SNamespaceName(namespace))
	}
	return attributes
}

// logValues are the keys of log lines that name a span.
func logValues(span trace.SpanContext) []any {
	return []any{"traceID", span.TraceID().String(), "spanID", span.SpanID().String()}
}

// spanError is an error that knows during which span it came up: whoever logs it is
// not inside of the span any more.
type spanError struct {
	error
	span trace.SpanContext
}

func (e *spanError) Unwrap() error { return e.error }

func withSpan(err error, span trace.SpanContext) error {
	if err == nil || !span.IsSampled() {
		return err
	}
	return &spanError{error: err, span: span}
}

// LogValues are the keys and values that tell, in a log line about an error, during
// which span it came up: none if tracing is off.
func LogValues(err error) []any {
	var during *spanError
	if !errors.As(err, &during) {
		return nil
	}
	return logValues(during.span)
}
