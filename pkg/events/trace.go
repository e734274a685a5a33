/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package events

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/eni-operator/eni-operator/pkg/tracing"
)

// trace notes what was stored in the span of the reconcile that stored it.
func trace(ctx context.Context, happened []Event) {
	span := oteltrace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	for i := range happened {
		span.AddEvent(string(happened[i].Type), oteltrace.WithAttributes(happened[i].attributes(time.Now())...))
	}
}

// attributes are what a span says of an event.
func (e *Event) attributes(now time.Time) []attribute.KeyValue {
	attributes := tracing.Object(e.Object.Kind, e.Object.Namespace, e.Object.Name)
	if !e.Object.Created.IsZero() {
		attributes = append(attributes, tracing.AgeSeconds.Float64(max(now.Sub(e.Object.Created).Seconds(), 0)))
	}
	text := func(key attribute.Key, value string) {
		if value != "" {
			attributes = append(attributes, key.String(value))
		}
	}
	text(semconv.K8SNodeNameKey, e.Node)
	text(tracing.ENIName, e.ENI)
	text(tracing.ENIID, e.ENIID)
	switch after := e.After.(type) {
	case ENIState:
		text(tracing.Mode, string(after.Mode))
		text(tracing.Reason, after.Reason)
		text(tracing.ENIState, string(after.State))
		text(semconv.ErrorTypeKey, e.refusal(after))
		attributes = append(attributes, e.eniAttributes(after, now)...)
	case PoolState:
		text(tracing.Reason, after.Reason)
		attributes = append(attributes, after.attributes()...)
	case ClaimState:
		text(tracing.Mode, string(after.Mode))
		text(tracing.Reason, after.Reason)
		text(tracing.ClaimPhase, string(after.Phase))
		text(tracing.ClaimAddress, after.Address)
	case PolicyState:
		text(tracing.Reason, after.Reason)
		attributes = append(attributes, tracing.Ready.Bool(after.Ready))
	}
	return attributes
}

// refusal is the code of the attempt that EC2 refused, if the event is about that.
func (e *Event) refusal(after ENIState) string {
	if e.Type != ENICreationRefused {
		return ""
	}
	return after.ErrorCode
}

func (e *Event) eniAttributes(after ENIState, now time.Time) []attribute.KeyValue {
	attributes := []attribute.KeyValue{tracing.Ready.Bool(after.Ready), tracing.ENIAddresses.Int(int(after.AddressCount))}
	if after.DeviceIndex != nil {
		attributes = append(attributes, tracing.DeviceIndex.Int(int(*after.DeviceIndex)))
	}
	if after.Attempt > 0 {
		attributes = append(attributes, tracing.Attempt.Int(int(after.Attempt)))
	}
	if before, ok := e.Before.(ENIState); ok && e.Type == ENIStateChanged && !before.Since.IsZero() {
		attributes = append(attributes, tracing.ENIStateSeconds.Float64(max(now.Sub(before.Since).Seconds(), 0)))
	}
	return attributes
}

func (s PoolState) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{
		tracing.Ready.Bool(s.Ready), tracing.PoolENIs.Int(int(s.ENIs)),
		tracing.SharedDesired.Int(int(s.Shared.Desired)), tracing.SharedActual.Int(int(s.Shared.Capacity)),
		tracing.SharedAllocated.Int(int(s.Shared.Allocated)),
		tracing.ExclusiveDesired.Int(int(s.Exclusive.Desired)), tracing.ExclusiveActual.Int(int(s.Exclusive.Capacity)),
		tracing.EvictedAddresses.Int(int(s.EvictedAddresses)), tracing.EvictedENIs.Int(int(s.EvictedENIs)),
	}
}
