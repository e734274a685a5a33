/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/tracing"
)

// asked is which span's request this process works on, by the ENI's name. An ENI lives
// for months: what is done for it later is not a part of what asked for it.
type asked struct {
	mu sync.Mutex
	by map[string]trace.SpanID
}

// follows says whether a reconcile works on what a span asked for: it is new, or was
// begun by this process and is not done.
func (a *asked) follows(name string, span trace.SpanContext, fresh bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by[name] == span.SpanID() {
		return true
	}
	if !fresh {
		return false
	}
	if a.by == nil {
		a.by = map[string]trace.SpanID{}
	}
	a.by[name] = span.SpanID()
	return true
}

// done forgets what was asked of an ENI, which is at rest now.
func (a *asked) done(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.by, name)
}

// origin is the pool's round that asked for what a reconcile does.
func (r *Reconciler) origin(ctx context.Context, request reconcile.Request) tracing.Origin {
	eni := &v1alpha1.ElasticNetworkInterface{}
	if err := r.client.Get(ctx, request.NamespacedName, eni, client.UnsafeDisableDeepCopy); err != nil {
		return tracing.Origin{} // The reconcile itself will tell.
	}
	span := tracing.AnnotatedOn(ctx, eni)
	switch {
	case !span.IsValid():
		return tracing.Origin{}
	case r.asked.follows(request.Name, span, unanswered(eni)):
		return tracing.Origin{Parent: span}
	default:
		return tracing.Origin{Links: []trace.Link{{SpanContext: span}}}
	}
}

// unanswered says whether an ENI's status does not show yet what its spec asks for.
func unanswered(eni *v1alpha1.ElasticNetworkInterface) bool {
	if !eni.DeletionTimestamp.IsZero() {
		return eni.Spec.Drained // By its pool, which then deleted it; else a person did.
	}
	return eni.Status.ObservedGeneration < eni.Generation || !everReady(eni)
}

// note says in the span of a reconcile what has become of the ENI.
func note(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, done *progress) {
	tracing.Note(ctx, func() []attribute.KeyValue {
		status := &eni.Status
		attributes := []attribute.KeyValue{
			semconv.K8SNodeName(eni.Spec.NodeName), tracing.Mode.String(string(eni.Spec.Mode)),
			tracing.ENIState.String(string(status.State)), tracing.ENIAddresses.Int(int(status.AddressCount)),
			tracing.Ready.Bool(meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionReady)),
			tracing.Observations.Int(done.looks), tracing.Transitions.Int(len(status.Transitions)),
		}
		if status.NetworkInterfaceID != "" {
			attributes = append(attributes, tracing.ENIID.String(status.NetworkInterfaceID))
		}
		if status.Attachment != nil {
			attributes = append(attributes, tracing.DeviceIndex.Int(int(status.Attachment.DeviceIndex)))
		}
		if status.Creation != nil {
			attributes = append(attributes, tracing.Attempt.Int(int(status.Creation.Attempt)))
		}
		return attributes
	})
}
