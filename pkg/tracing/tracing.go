/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package tracing makes OpenTelemetry spans of what the operator does. It is off
// unless the standard OTEL_* variables turn it on, and then costs nothing.
//
// Reconciles follow upon each other through Kubernetes, so that the context of a span
// goes along as an annotation (W3C traceparent) on what one controller writes for the
// next; no write is made for its sake.
package tracing

import (
	"context"
	"errors"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// scope is the name of the instrumentation.
const scope = "github.com/eni-operator/eni-operator"

// tracer makes the spans; nil while tracing is off.
var tracer atomic.Pointer[trace.Tracer]

// Use has a provider make the spans of this process; nil turns tracing off.
func Use(provider trace.TracerProvider) {
	if provider == nil {
		tracer.Store(nil)
		return
	}
	made := provider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))
	tracer.Store(&made)
}

// On says whether spans are made. Ask it before gathering what only a span needs.
func On() bool { return tracer.Load() != nil }

// Start begins a span, as a child of the context's; while tracing is off, one that
// records nothing.
func Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	using := tracer.Load()
	if using == nil {
		return ctx, noop.Span{}
	}
	return (*using).Start(ctx, name, options...)
}

// Note sets attributes of the context's span, which are asked for only if it records.
func Note(ctx context.Context, attributes func() []attribute.KeyValue) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(attributes()...)
	}
}

// Link says that the context's span has to do with another.
func Link(ctx context.Context, other trace.SpanContext) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() && other.IsValid() {
		span.AddLink(trace.Link{SpanContext: other})
	}
}

// Fail notes what a span ended with. Nil changes nothing.
func Fail(span trace.Span, err error) {
	if err == nil || !span.IsRecording() {
		return
	}
	span.SetStatus(codes.Error, err.Error())
	span.SetAttributes(ErrorType(err))
}

// coded is an error with a code of EC2's.
type coded interface{ ErrorCode() string }

// ErrorType is the attribute error.type: EC2's error code where there is one.
func ErrorType(err error) attribute.KeyValue {
	var api coded
	switch {
	case errors.As(err, &api):
		return semconv.ErrorTypeKey.String(api.ErrorCode())
	case errors.Is(err, context.DeadlineExceeded):
		return semconv.ErrorTypeKey.String("timeout")
	case errors.Is(err, context.Canceled):
		return semconv.ErrorTypeKey.String("canceled")
	default:
		return semconv.ErrorTypeOther
	}
}

// Annotate puts the context's span on an object that is about to be written, for
// whoever reconciles it next.
func Annotate(ctx context.Context, object client.Object) {
	if !On() || !trace.SpanContextFromContext(ctx).IsValid() {
		return
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.TraceparentAnnotation] = carrier["traceparent"]
	object.SetAnnotations(annotations)
}

// AnnotatedOn is the span that an object carries; not valid if it has none.
func AnnotatedOn(ctx context.Context, object client.Object) trace.SpanContext {
	carrier := propagation.MapCarrier{"traceparent": object.GetAnnotations()[v1alpha1.TraceparentAnnotation]}
	ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{}) // not the context's own
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(ctx, carrier))
}
