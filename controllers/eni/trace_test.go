/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/tracing"
	"github.com/eni-operator/eni-operator/pkg/tracing/tracingtest"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestOrigin: what is done for an ENI belongs to the round that asked for it, failures
// in between included, until it is done; what comes later is only linked with it.
func TestOrigin(t *testing.T) {
	spans := tracingtest.Record(t)
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	request := reconcile.Request{NamespacedName: types.NamespacedName{Name: eniName}}
	parent := func() trace.SpanID { return w.reconciler.origin(t.Context(), request).Parent.SpanID() }
	ask := func(name string) trace.SpanContext {
		ctx, round := tracing.Start(context.Background(), name)
		defer round.End()
		w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
			eni.Spec.AddressCount++
			tracing.Annotate(ctx, eni)
		})
		return round.SpanContext()
	}
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{Mode: v1alpha1.ModeShared})
	assert.Assert(t, !parent().IsValid(), "nobody asked")

	creating := ask("create")
	w.server.AddFault(emulator.Fault{Action: "AttachNetworkInterface", Code: "IncorrectState", Status: 400, Count: 1})
	assert.Equal(t, parent(), creating.SpanID())
	_, err := w.once()
	assert.ErrorContains(t, err, "IncorrectState")
	assert.Equal(t, parent(), creating.SpanID(), "it was created, and is not attached")
	w.mustSettle()
	settled := w.reconciler.origin(t.Context(), request)
	assert.Assert(t, !settled.Parent.IsValid())
	assert.Equal(t, settled.Links[0].SpanContext.SpanID(), creating.SpanID())

	growing := ask("grow")
	w.server.AddFault(emulator.Fault{Action: "AssignPrivateIpAddresses", Code: "RequestLimitExceeded", Status: 503, Count: 1})
	assert.Equal(t, parent(), growing.SpanID())
	_, err = w.once()
	assert.ErrorContains(t, err, "RequestLimitExceeded")
	assert.Equal(t, parent(), growing.SpanID(), "it is tried again for the same round")
	w.settle()
	assert.Assert(t, !parent().IsValid())

	w.restart()
	assert.Assert(t, !parent().IsValid(), "another process takes nothing for unfinished that is done")
	w.delete()
	assert.Assert(t, !parent().IsValid(), "a person deleted it, and not that round")
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Drained = true })
	assert.Equal(t, parent(), growing.SpanID())
	assert.Assert(t, len(spans.Named("EC2/CreateNetworkInterface")) > 0)
}
