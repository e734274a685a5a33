/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/tracing"
	"github.com/eni-operator/eni-operator/pkg/tracing/tracingtest"
)

// made is a claim that was made so long before the start.
func made(name string, before time.Duration) v1alpha1.ENIClaim {
	return v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(start.Add(-before))},
		Spec:       v1alpha1.ENIClaimSpec{NodeName: "node-a", Mode: v1alpha1.ModeShared},
	}
}

// TestSpansOfClaims: each has one span from its making to its being told, whatever the
// number of rounds; the oldest comes first.
func TestSpansOfClaims(t *testing.T) {
	spans := tracingtest.Record(t)
	w := &waits{}
	young, old, deleted := made("young", time.Minute), made("old", time.Hour), made("deleted", 0)
	first := w.of(t.Context(), "node-a", []v1alpha1.ENIClaim{young, old, deleted}, start)
	assert.Equal(t, len(first), 3)
	ids := func(all []trace.Span) (ids []trace.SpanID) {
		for _, span := range all {
			ids = append(ids, span.SpanContext().SpanID())
		}
		return ids
	}
	assert.DeepEqual(t, ids(w.of(t.Context(), "node-a", []v1alpha1.ENIClaim{deleted, young, old}, start)), ids(first))
	assert.Equal(t, len(w.of(t.Context(), "node-b", nil, start)), 0, "another node's")

	t.Log("One is deleted while it waits, one is bound by a round of the other's trace")
	assert.DeepEqual(t, ids(w.of(t.Context(), "node-a", []v1alpha1.ENIClaim{young, old}, start)), ids(first[:2]))
	gone := spans.Only(tracing.SpanClaim)
	assert.Equal(t, tracingtest.Value(gone, tracing.ObjectName), "deleted")
	assert.Equal(t, tracingtest.Value(gone, tracing.ClaimPhase), "")
	spans.Reset()
	ctx, round := tracing.Start(trace.ContextWithSpanContext(t.Context(), first[0].SpanContext()), "round")
	young.Status = v1alpha1.ENIClaimStatus{Phase: v1alpha1.ClaimBound, Address: "10.0.0.9", NetworkInterfaceID: "eni-1"}
	old.Status.Phase = v1alpha1.ClaimPending
	w.told(ctx, &young)
	w.told(ctx, &old)
	w.told(ctx, &young)
	bound := spans.Only(tracing.SpanClaim)
	assert.Equal(t, tracingtest.Value(bound, tracing.ClaimAddress), "10.0.0.9")
	assert.Equal(t, tracingtest.Value(bound, tracing.ENIID), "eni-1")
	assert.Equal(t, tracingtest.Value(bound, tracing.ClaimPhase), "Bound")
	assert.Equal(t, bound.Links[0].SpanContext.SpanID(), round.SpanContext().SpanID())
	assert.Assert(t, bound.StartTime.Equal(start.Add(-time.Minute)))
	assert.DeepEqual(t, ids(w.of(t.Context(), "node-a", []v1alpha1.ENIClaim{young, old}, start)), ids(first[:1]))

	w.of(t.Context(), "node-a", nil, start)
	assert.Equal(t, len(w.byNode), 0)
}

// TestClaimsOfATrace: a claim goes on with the trace of whoever made it.
func TestClaimsOfATrace(t *testing.T) {
	spans := tracingtest.Record(t)
	ctx, pod := tracing.Start(t.Context(), "pod")
	claim := made("web", 0)
	tracing.Annotate(ctx, &claim)
	w := &waits{}
	w.of(t.Context(), "node-a", []v1alpha1.ENIClaim{claim}, start)
	w.of(t.Context(), "node-a", nil, start)
	assert.Equal(t, spans.Only(tracing.SpanClaim).Parent.SpanID(), pod.SpanContext().SpanID())
}
