/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/eni-operator/eni-operator/pkg/tracing"
)

// traceCalls makes a span of each attempt of a call: from its joining the queue of
// its action to the end of its answer. It comes before the limiter.
func traceCalls(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("Trace",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
			middleware.FinalizeOutput, middleware.Metadata, error,
		) {
			if !tracing.On() {
				return next.HandleFinalize(ctx, in)
			}
			ctx, span := startCall(ctx)
			defer span.End()
			out, metadata, err := next.HandleFinalize(ctx, in)
			noteAnswer(span, metadata, err)
			return out, metadata, err
		}), "ActionLimiter", middleware.Before)
}

func startCall(ctx context.Context) (context.Context, trace.Span) {
	name, c := tracing.CallOf(awsmiddleware.GetOperationName(ctx)), callOf(ctx)
	attributes := []attribute.KeyValue{
		semconv.RPCSystemNameKey.String("aws-api"), semconv.RPCMethod(name), semconv.CloudRegion(awsmiddleware.GetRegion(ctx)),
		tracing.Priority.String(c.priority.String()),
	}
	if c.node != "" {
		attributes = append(attributes, semconv.K8SNodeName(c.node))
	}
	if c.attempt > 0 {
		attributes = append(attributes, tracing.Attempt.Int(int(c.attempt)))
	}
	return tracing.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
}

// noteSent tells the call's span that the call has waited long enough, and is sent.
func noteSent(ctx context.Context, waited time.Duration) {
	if !tracing.On() {
		return // The span is another's.
	}
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.AddEvent(tracing.EventSent)
		span.SetAttributes(tracing.Wait.Float64(waited.Seconds()))
	}
}

func noteAnswer(span trace.Span, metadata middleware.Metadata, err error) {
	if !span.IsRecording() {
		return
	}
	if id, ok := awsmiddleware.GetRequestIDMetadata(metadata); ok {
		span.SetAttributes(semconv.AWSRequestID(id))
	}
	if response, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response); ok {
		span.SetAttributes(semconv.HTTPResponseStatusCode(response.StatusCode))
	}
	tracing.Fail(span, err)
}
