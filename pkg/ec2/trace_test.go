/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/pkg/tracing"
	"github.com/eni-operator/eni-operator/pkg/tracing/tracingtest"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestCallsAreTraced: what a call waited for, and what EC2 said.
func TestCallsAreTraced(t *testing.T) {
	server := emulator.New(emulator.Options{Throttling: emulator.Throttling{Off: true}})
	client := connect(t, server, Limits{Default: Limit{Bucket: 1 + reserve, PerSecond: 20}})
	subnet := aSubnet(t, client)
	spans := tracingtest.Record(t)
	server.AddFault(emulator.Fault{Action: ActionCreate, Code: "InsufficientFreeAddressesInSubnet", Status: http.StatusBadRequest, Count: 1})
	ctx, caller := tracing.Start(t.Context(), "caller")
	ctx = WithAttempt(WithPriority(ctx, PriorityUrgent, "node-a"), 3)
	for range 2 {
		_, _ = client.CreateNetworkInterface(ctx, CreateInput{SubnetID: subnet.ID, ClientToken: "token"})
	}
	caller.End()

	calls := spans.Named("EC2/CreateNetworkInterface")
	assert.Equal(t, len(calls), 2)
	for i, want := range []map[attribute.Key]string{
		{"error.type": "InsufficientFreeAddressesInSubnet", "http.response.status_code": "400"},
		{"error.type": "", "http.response.status_code": "200"},
	} {
		assert.Equal(t, calls[i].Parent.SpanID(), caller.SpanContext().SpanID())
		assert.Equal(t, calls[i].SpanKind, trace.SpanKindClient)
		assert.Equal(t, len(calls[i].Events), 1)
		assert.Equal(t, calls[i].Events[0].Name, tracing.EventSent)
		want["rpc.system.name"], want["rpc.method"], want["cloud.region"] = "aws-api", "EC2/CreateNetworkInterface", "us-east-1"
		want["k8s.node.name"], want[tracing.Priority], want[tracing.Attempt] = "node-a", "urgent", "3"
		for key, value := range want {
			assert.Equal(t, tracingtest.Value(calls[i], key), value, "%s", key)
		}
		assert.Assert(t, tracingtest.Value(calls[i], "aws.request_id") != "")
	}
	waited := calls[1].Events[0].Time.Sub(calls[1].StartTime)
	assert.Assert(t, waited > 10*time.Millisecond, "the bucket was empty, and the call waited %s", waited)
}

// TestCallsThatAreNotSent have no event that says so, and no answer.
func TestCallsThatAreNotSent(t *testing.T) {
	_, client := newEmulator(t)
	spans := tracingtest.Record(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.DescribeSubnets(ctx)
	assert.ErrorIs(t, err, context.Canceled)
	for _, span := range spans.Named("EC2/DescribeSubnets") {
		assert.Equal(t, len(span.Events), 0)
		assert.Equal(t, tracingtest.Value(span, "error.type"), "canceled")
	}
}

// TestBatchesAreLinked with those that they are read for, both ways.
func TestBatchesAreLinked(t *testing.T) {
	spans := tracingtest.Record(t)
	batcher := NewBatcher(func() Window { return Window{Idle: time.Hour, Most: time.Hour} }, 2,
		func(ctx context.Context, keys []string) (map[string]int, error) {
			_, span := tracing.Start(ctx, "read")
			span.End()
			return map[string]int{keys[0]: 1, keys[1]: 2}, nil
		})
	var callers sync.WaitGroup
	for _, key := range []string{"a", "b"} {
		callers.Go(func() {
			ctx, span := tracing.Start(t.Context(), "caller "+key)
			defer span.End()
			_, _, err := batcher.Get(ctx, key)
			assert.Check(t, err)
		})
	}
	callers.Wait()
	batch := spans.Only(tracing.SpanBatch)
	assert.Assert(t, !batch.Parent.IsValid())
	assert.Equal(t, tracingtest.Value(batch, tracing.BatchKeys), "2")
	assert.Equal(t, spans.Only("read").Parent.SpanID(), batch.SpanContext.SpanID())
	linked := map[trace.SpanID]bool{}
	for _, link := range batch.Links {
		linked[link.SpanContext.SpanID()] = true
	}
	for _, name := range []string{"caller a", "caller b"} {
		caller := spans.Only(name)
		assert.Assert(t, linked[caller.SpanContext.SpanID()], name)
		assert.Equal(t, caller.Links[0].SpanContext.SpanID(), batch.SpanContext.SpanID())
	}
}
