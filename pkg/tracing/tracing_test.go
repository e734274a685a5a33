/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/tracing"
	"github.com/eni-operator/eni-operator/pkg/tracing/tracingtest"
)

var request = reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: "web-0"}}

// refusal is an error as EC2's are.
type refusal struct{ code string }

func (r *refusal) Error() string     { return "refused: " + r.code }
func (r *refusal) ErrorCode() string { return r.code }

// TestOff: nothing is recorded, annotated or allocated.
func TestOff(t *testing.T) {
	asked := false
	wrapped := tracing.Reconciler("ENIClaim", reconcile.Func(func(context.Context, reconcile.Request) (ctrl.Result, error) {
		return ctrl.Result{}, nil
	}), func(context.Context, reconcile.Request) tracing.Origin { asked = true; return tracing.Origin{} })
	ctx, eni := t.Context(), &v1alpha1.ElasticNetworkInterface{}
	assert.Equal(t, testing.AllocsPerRun(100, func() {
		_, _ = wrapped.Reconcile(ctx, request)
		inner, span := tracing.Start(ctx, "name")
		tracing.Note(inner, func() []attribute.KeyValue { asked = true; return nil })
		tracing.Link(inner, trace.SpanContext{})
		tracing.Annotate(inner, eni)
		tracing.Fail(span, context.Canceled)
		span.End()
	}), 0.0)
	assert.Assert(t, !asked && len(eni.Annotations) == 0)
}

// TestReconciler: a reconcile is a span below its origin, its log lines and its error
// name it, and what it writes carries it on.
func TestReconciler(t *testing.T) {
	spans := tracingtest.Record(t)
	_, asker := tracing.Start(t.Context(), "asker")
	_, other := tracing.Start(t.Context(), "other")
	var said []string
	ctx := log.IntoContext(t.Context(), funcr.New(func(_, line string) { said = append(said, line) }, funcr.Options{}))
	failure := fmt.Errorf("creating: %w", &refusal{"InsufficientFreeAddressesInSubnet"})
	written := &v1alpha1.ElasticNetworkInterface{}
	wrapped := tracing.Reconciler("ENIClaim", reconcile.Func(func(ctx context.Context, _ reconcile.Request) (ctrl.Result, error) {
		log.FromContext(ctx).Info("Working")
		tracing.Annotate(ctx, written)
		return ctrl.Result{}, failure
	}), func(context.Context, reconcile.Request) tracing.Origin {
		return tracing.Origin{Parent: asker.SpanContext(), Links: []trace.Link{{SpanContext: other.SpanContext()}}}
	})
	_, err := wrapped.Reconcile(ctx, request)
	assert.Assert(t, errors.Is(err, failure) && err.Error() == failure.Error())

	span := spans.Only("Reconcile ENIClaim")
	assert.Equal(t, span.Parent.SpanID(), asker.SpanContext().SpanID())
	assert.Equal(t, span.Links[0].SpanContext.SpanID(), other.SpanContext().SpanID())
	assert.Equal(t, span.Status.Code, codes.Error)
	for key, want := range map[attribute.Key]string{
		"error.type": "InsufficientFreeAddressesInSubnet", "k8s.namespace.name": "shop", tracing.ObjectKind: "ENIClaim", tracing.ObjectName: "web-0",
	} {
		assert.Equal(t, tracingtest.Value(span, key), want, "%s", key)
	}
	ids := []any{"traceID", span.SpanContext.TraceID().String(), "spanID", span.SpanContext.SpanID().String()}
	assert.DeepEqual(t, tracing.LogValues(fmt.Errorf("wrapped: %w", err)), ids)
	assert.Assert(t, strings.Contains(said[0], ids[1].(string)) && strings.Contains(said[0], ids[3].(string)), said[0])
	assert.Assert(t, tracing.AnnotatedOn(t.Context(), written).Equal(span.SpanContext.WithRemote(true)), "%v", written.Annotations)
}

// TestTerminalErrors stay what they are to controller-runtime.
func TestTerminalErrors(t *testing.T) {
	tracingtest.Record(t)
	wrapped := tracing.Reconciler("Node", reconcile.Func(func(context.Context, reconcile.Request) (ctrl.Result, error) {
		return ctrl.Result{}, reconcile.TerminalError(errors.New("no"))
	}), nil)
	_, err := wrapped.Reconcile(t.Context(), request)
	assert.Assert(t, errors.Is(err, reconcile.TerminalError(nil)))
}

func TestAnnotationsOfOthers(t *testing.T) {
	for _, value := range []string{"", "nonsense", "00-00000000000000000000000000000000-0000000000000000-01", strings.Repeat("a", 1<<16)} {
		eni := &v1alpha1.ElasticNetworkInterface{}
		eni.Annotations = map[string]string{v1alpha1.TraceparentAnnotation: value}
		assert.Assert(t, !tracing.AnnotatedOn(t.Context(), eni).IsValid())
	}
}

// TestCollectorThatIsDown holds up nobody, and is complained about once.
func TestCollectorThatIsDown(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "50")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
	complained := make(chan string, 1000)
	logger := funcr.New(func(_, line string) {
		if strings.Contains(line, "Traces are lost") {
			complained <- line
		}
	}, funcr.Options{})
	stop, err := tracing.FromEnvironment(t.Context(), logger, "test")
	assert.NilError(t, err)
	t.Cleanup(stop)
	for range 20_000 { // more than its queue holds
		_, span := tracing.Start(t.Context(), "name")
		span.End()
	}
	select {
	case <-complained:
	case <-time.After(30 * time.Second):
		t.Fatal("nobody was told")
	}
	stop()
	assert.Equal(t, len(complained), 0, "it was said again")
	assert.Assert(t, !tracing.On())
}

func TestVariables(t *testing.T) {
	for name, row := range map[string]struct {
		variables map[string]string
		on        bool
		refused   string
	}{
		"none":                 {},
		"endpoint":             {variables: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}, on: true},
		"endpoint of traces":   {variables: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://127.0.0.1:4317"}, on: true},
		"exporter":             {variables: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, on: true},
		"exporter over HTTP":   {variables: map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, on: true},
		"no exporter":          {variables: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_TRACES_EXPORTER": "none"}},
		"disabled":             {variables: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_SDK_DISABLED": "true"}},
		"endpoint without URL": {variables: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, refused: "OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL"},
		"unknown exporter":     {variables: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, refused: "OTEL_TRACES_EXPORTER: must be otlp or none"},
		"unknown protocol":     {variables: map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "udp"}, refused: "OTEL_EXPORTER_OTLP_PROTOCOL: must be"},
		"broken resource":      {variables: map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_RESOURCE_ATTRIBUTES": "nonsense"}, refused: "OTEL_RESOURCE_ATTRIBUTES"},
	} {
		t.Run(name, func(t *testing.T) {
			for key, value := range row.variables {
				t.Setenv(key, value)
			}
			stop, err := tracing.FromEnvironment(t.Context(), log.FromContext(t.Context()), "test")
			defer stop()
			if row.refused != "" {
				assert.ErrorContains(t, err, row.refused)
			} else {
				assert.NilError(t, err)
			}
			assert.Equal(t, tracing.On(), row.on)
		})
	}
}
