/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"gotest.tools/v3/assert"
)

// collector is an OpenTelemetry collector that keeps all spans in memory: operators
// find it by the standard variables.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer
	address string

	mu    sync.Mutex
	spans []*span
}

// span is a span, or an event of one, with its attributes as text.
type span struct {
	name       string
	id, parent string
	trace      string
	took       time.Duration
	failed     bool
	attributes map[string]string
	events     []*span
	links      []string // ids of spans
	resource   map[string]string
}

// startCollector starts a collector that ends with the test.
func startCollector(t *testing.T) *collector {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	c := &collector{address: listener.Addr().String()}
	server := grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return c
}

// environment is what an operator needs to send its spans here, soon and all of them.
func (c *collector) environment() []string {
	return []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.address, "OTEL_RESOURCE_ATTRIBUTES=team=platform",
		"OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_BSP_MAX_QUEUE_SIZE=100000",
	}
}

// Export takes spans.
func (c *collector) Export(_ context.Context, request *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		whose := attributeTexts(resource.GetResource().GetAttributes())
		for _, scope := range resource.GetScopeSpans() {
			for _, received := range scope.GetSpans() {
				c.spans = append(c.spans, spanOf(received, whose))
			}
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

func spanOf(received *tracev1.Span, whose map[string]string) *span {
	s := &span{
		name: received.GetName(), id: hex.EncodeToString(received.GetSpanId()), parent: hex.EncodeToString(received.GetParentSpanId()),
		trace: hex.EncodeToString(received.GetTraceId()), failed: received.GetStatus().GetCode() == tracev1.Status_STATUS_CODE_ERROR,
		took:       time.Duration(received.GetEndTimeUnixNano() - received.GetStartTimeUnixNano()), //nolint:gosec // a difference of times
		attributes: attributeTexts(received.GetAttributes()), resource: whose,
	}
	for _, event := range received.GetEvents() {
		s.events = append(s.events, &span{name: event.GetName(), attributes: attributeTexts(event.GetAttributes())})
	}
	for _, link := range received.GetLinks() {
		s.links = append(s.links, hex.EncodeToString(link.GetSpanId()))
	}
	return s
}

func attributeTexts(attributes []*commonv1.KeyValue) map[string]string {
	found := make(map[string]string, len(attributes))
	for _, attribute := range attributes {
		found[attribute.GetKey()] = attributeText(attribute.GetValue())
	}
	return found
}

func attributeText(value *commonv1.AnyValue) string {
	switch v := value.GetValue().(type) {
	case *commonv1.AnyValue_StringValue:
		return v.StringValue
	case *commonv1.AnyValue_IntValue:
		return fmt.Sprint(v.IntValue)
	case *commonv1.AnyValue_DoubleValue:
		return fmt.Sprint(v.DoubleValue)
	case *commonv1.AnyValue_BoolValue:
		return fmt.Sprint(v.BoolValue)
	case *commonv1.AnyValue_ArrayValue:
		var parts []string
		for _, part := range v.ArrayValue.GetValues() {
			parts = append(parts, attributeText(part))
		}
		return strings.Join(parts, ",")
	default:
		return ""
	}
}

// traces are all spans that were collected.
type traces struct {
	t     *testing.T
	spans []*span
	byID  map[string]*span
}

// collected are the spans so far.
func (c *collector) collected(t *testing.T) traces {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := traces{t: t, spans: slices.Clone(c.spans), byID: map[string]*span{}}
	for _, s := range found.spans {
		found.byID[s.id] = s
	}
	return found
}

// in are the same spans for another test.
func (f traces) in(t *testing.T) *traces {
	f.t = t
	return &f
}

// has says whether a span, or an event, has a name and these attributes, as in
// error.type=IncorrectState; an attribute without a value must be there.
func (s *span) has(name string, attributes ...string) bool {
	if s == nil || s.name != name {
		return false
	}
	for _, wanted := range attributes {
		key, value, valued := strings.Cut(wanted, "=")
		if got, there := s.attributes[key]; !there || (valued && got != value) {
			return false
		}
	}
	return true
}

// event returns the span's events of a name with these attributes.
func (s *span) event(name string, attributes ...string) []*span {
	return slices.DeleteFunc(slices.Clone(s.events), func(e *span) bool { return !e.has(name, attributes...) })
}

// all are the spans of a name with these attributes.
func (f *traces) all(name string, attributes ...string) []*span {
	return slices.DeleteFunc(slices.Clone(f.spans), func(s *span) bool { return !s.has(name, attributes...) })
}

// some are those; there must be one at least.
func (f *traces) some(name string, attributes ...string) []*span {
	f.t.Helper()
	found := f.all(name, attributes...)
	assert.Assert(f.t, len(found) > 0, "no span %s has %q; those of that name: %s", name, attributes, f.named(name))
	return found
}

func (f *traces) named(name string) string {
	var said []string
	for _, s := range f.all(name) {
		said = append(said, fmt.Sprint(s.attributes))
	}
	return strings.Join(said, "\n")
}

// line is a span's line of ancestors by name, itself first, as in "a < b < c".
func (f *traces) line(s *span) string {
	names := []string{s.name}
	for up := f.byID[s.parent]; up != nil; up = f.byID[up.parent] {
		names = append(names, up.name)
	}
	return strings.Join(names, " < ")
}

// descend are the spans that have this line of ancestors, and these attributes.
func (f *traces) descend(line string, attributes ...string) []*span {
	f.t.Helper()
	name, _, _ := strings.Cut(line, " < ")
	var found []*span
	lines := map[string]int{}
	for _, s := range f.some(name, attributes...) {
		if is := f.line(s); is == line {
			found = append(found, s)
		} else {
			lines[is]++
		}
	}
	assert.Assert(f.t, len(found) > 0, "no span %s with %q has the ancestors %s; they have %v", name, attributes, line, lines)
	return found
}

// number is the value of an attribute that is one.
func number(t *testing.T, s *span, attribute string) int {
	t.Helper()
	value, err := strconv.Atoi(s.attributes[attribute])
	assert.NilError(t, err)
	return value
}
