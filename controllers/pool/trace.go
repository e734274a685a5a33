/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/index"
	"github.com/eni-operator/eni-operator/pkg/tracing"
)

// waits are the spans of the claims that wait, by node and claim. Nothing of them is
// stored: after a failover those that wait get new ones.
type waits struct {
	mu     sync.Mutex
	byNode map[string]map[types.UID]trace.Span
}

// origin is the oldest claim that waits for a round, linked with all others.
func (r *Reconciler) origin(ctx context.Context, request reconcile.Request) tracing.Origin {
	claims := &v1alpha1.ENIClaimList{}
	if err := r.client.List(ctx, claims, client.MatchingFields{index.NodeName: request.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return tracing.Origin{} // The round itself will tell.
	}
	waiting := r.waits.of(ctx, request.Name, claims.Items, r.clock.Now())
	if len(waiting) == 0 {
		return tracing.Origin{}
	}
	from := tracing.Origin{Parent: waiting[0].SpanContext()}
	for _, other := range waiting[1:] {
		from.Links = append(from.Links, trace.Link{SpanContext: other.SpanContext()})
	}
	return from
}

// of are the spans of the claims that wait for a node's pool, the oldest claim's
// first. It begins those of new claims, and ends those of claims that wait no more.
func (w *waits) of(ctx context.Context, node string, claims []v1alpha1.ENIClaim, now time.Time) []trace.Span {
	w.mu.Lock()
	defer w.mu.Unlock()
	pending := slices.DeleteFunc(slices.Clone(claims), func(claim v1alpha1.ENIClaim) bool { return !waiting(&claim) })
	slices.SortFunc(pending, func(a, b v1alpha1.ENIClaim) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.UID, b.UID))
	})
	before, after := w.byNode[node], make(map[types.UID]trace.Span, len(pending))
	spans := make([]trace.Span, 0, len(pending))
	for i := range pending {
		span, known := before[pending[i].UID]
		if !known {
			span = begin(ctx, &pending[i], now)
		}
		after[pending[i].UID] = span
		spans = append(spans, span)
	}
	for uid, span := range before {
		if _, waits := after[uid]; !waits {
			span.End() // Deleted while it waited.
		}
	}
	w.keep(node, after)
	return spans
}

// keep replaces the spans of a node; w.mu is held.
func (w *waits) keep(node string, spans map[types.UID]trace.Span) {
	if len(spans) == 0 {
		delete(w.byNode, node)
		return
	}
	if w.byNode == nil {
		w.byNode = map[string]map[types.UID]trace.Span{}
	}
	w.byNode[node] = spans
}

func waiting(claim *v1alpha1.ENIClaim) bool {
	return claim.DeletionTimestamp.IsZero() && (claim.Status.Phase == "" || claim.Status.Phase == v1alpha1.ClaimPending)
}

// begin begins the span of a claim: when it was made or, where that tells less than
// the moment in which it is first seen, since Kubernetes knows whole seconds, then.
func begin(ctx context.Context, claim *v1alpha1.ENIClaim, now time.Time) trace.Span {
	since := now
	if made := claim.CreationTimestamp.Time; !made.IsZero() && now.Sub(made) > time.Second {
		since = made
	}
	attributes := append(tracing.Object(tracing.KindClaim, claim.Namespace, claim.Name),
		semconv.K8SNodeName(claim.Spec.NodeName), tracing.Mode.String(string(claim.Spec.Mode)))
	ctx = trace.ContextWithRemoteSpanContext(ctx, tracing.AnnotatedOn(ctx, claim))
	_, span := tracing.Start(ctx, tracing.SpanClaim, trace.WithTimestamp(since), trace.WithAttributes(attributes...))
	return span
}

// told ends the span of a claim that was told what it holds, or that it will hold
// nothing; one that waits on is linked with the round that did not help it.
func (w *waits) told(ctx context.Context, claim *v1alpha1.ENIClaim) {
	if !tracing.On() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	span, known := w.byNode[claim.Spec.NodeName][claim.UID]
	if !known {
		return
	}
	round := trace.SpanContextFromContext(ctx)
	if round.TraceID() != span.SpanContext().TraceID() {
		span.AddLink(trace.Link{SpanContext: round})
	}
	if waiting(claim) {
		return
	}
	delete(w.byNode[claim.Spec.NodeName], claim.UID)
	span.SetAttributes(tracing.ClaimPhase.String(string(claim.Status.Phase)))
	if claim.Status.NetworkInterfaceID != "" {
		span.SetAttributes(tracing.ENIID.String(claim.Status.NetworkInterfaceID))
	}
	if claim.Status.Address != "" {
		span.SetAttributes(tracing.ClaimAddress.String(claim.Status.Address))
	}
	span.End()
}

// noteRound says in the span of a round what the pool wants and has.
func noteRound(ctx context.Context, o observation) {
	tracing.Note(ctx, func() []attribute.KeyValue {
		status, ready, cidrs := &o.pool.Status, 0, []string(nil)
		for i := range o.enis {
			if meta.IsStatusConditionTrue(o.enis[i].Status.Conditions, v1alpha1.ConditionReady) {
				ready++
			}
			if cidr := o.enis[i].Status.SubnetCIDR; cidr != "" {
				cidrs = append(cidrs, cidr)
			}
		}
		slices.Sort(cidrs)
		attributes := []attribute.KeyValue{
			semconv.K8SNodeName(o.pool.Spec.NodeName), tracing.Ready.Bool(meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionReady)),
			tracing.PoolENIs.Int(len(o.enis)), tracing.PoolReadyENIs.Int(ready), tracing.PoolSubnetCIDRs.StringSlice(slices.Compact(cidrs)),
		}
		if shared := status.Shared; shared != nil {
			attributes = append(attributes, tracing.SharedDesired.Int(int(shared.Desired)),
				tracing.SharedActual.Int(int(shared.Capacity)), tracing.SharedAllocated.Int(int(shared.Allocated)))
		}
		if exclusive := status.Exclusive; exclusive != nil {
			attributes = append(attributes, tracing.ExclusiveDesired.Int(int(exclusive.Desired)), tracing.ExclusiveActual.Int(int(exclusive.Capacity)))
		}
		return attributes
	})
}
