/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package tracing

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
)

// The standard variables that the SDK and the exporters do not read by themselves.
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
const (
	disabledVariable       = "OTEL_SDK_DISABLED"
	exporterVariable       = "OTEL_TRACES_EXPORTER"
	endpointVariable       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpointVariable = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	protocolVariable       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	tracesProtocolVariable = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	resourceVariable       = "OTEL_RESOURCE_ATTRIBUTES"
)

// Protocols of the exporter.
const (
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
)

// flushTimeout bounds what is left to be sent at the end: a collector that does not
// answer must not hold up the end of the process.
const flushTimeout = 3 * time.Second

// FromEnvironment turns tracing on if the process's OTEL_* variables say so. The
// function returned sends what is left, and turns it off. It fails on a variable that
// it cannot use, and names it; whether the collector is there does not matter.
func FromEnvironment(ctx context.Context, log logr.Logger, cluster string) (stop func(), err error) {
	protocol, err := wanted(os.Getenv)
	if err != nil || protocol == "" {
		return func() {}, err
	}
	described, err := describe(ctx, cluster)
	if err != nil {
		return func() {}, err
	}
	otel.SetErrorHandler(&complaints{log: log})
	exporter, err := newExporter(ctx, protocol)
	if err != nil {
		return func() {}, fmt.Errorf("exporting traces by %s: %w", protocol, err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(described))
	Use(provider)
	log.Info("Tracing", "protocol", protocol, "endpoint", cmp.Or(os.Getenv(tracesEndpointVariable), os.Getenv(endpointVariable)))
	return func() {
		Use(nil)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.Info("Some traces were not sent", "cause", err.Error())
		}
	}, nil
}

// wanted is the protocol by which traces are exported; "" if they are not.
func wanted(getenv func(string) string) (protocol string, err error) {
	if off, _ := strconv.ParseBool(getenv(disabledVariable)); off {
		return "", nil
	}
	endpoint := cmp.Or(getenv(tracesEndpointVariable), getenv(endpointVariable))
	switch exporter := getenv(exporterVariable); {
	case exporter == "none" || (exporter == "" && endpoint == ""):
		return "", nil
	case exporter != "" && exporter != "otlp":
		return "", fmt.Errorf("%s: must be otlp or none, not %q", exporterVariable, exporter)
	}
	for _, variable := range []string{tracesEndpointVariable, endpointVariable} {
		if err := checkEndpoint(variable, getenv(variable)); err != nil {
			return "", err
		}
	}
	protocol = cmp.Or(getenv(tracesProtocolVariable), getenv(protocolVariable), protocolGRPC)
	if protocol != protocolGRPC && protocol != protocolHTTP {
		return "", fmt.Errorf("%s: must be %s or %s, not %q", protocolVariable, protocolGRPC, protocolHTTP, protocol)
	}
	return protocol, nil
}

// checkEndpoint refuses what the exporter would pass over in silence.
func checkEndpoint(variable, value string) error {
	if value == "" {
		return nil
	}
	parsed, err := url.Parse(value)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return fmt.Errorf("%s: must be a URL such as http://collector.observability:4317, not %q", variable, value)
	}
	return nil
}

func newExporter(ctx context.Context, protocol string) (*otlptrace.Exporter, error) {
	if protocol == protocolHTTP {
		return otlptracehttp.New(ctx)
	}
	return otlptracegrpc.New(ctx)
}

// describe says whose spans they are. What OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES say wins.
func describe(ctx context.Context, cluster string) (*resource.Resource, error) {
	attributes := []attribute.KeyValue{
		semconv.ServiceName("eni-operator"), semconv.CloudProviderAWS, semconv.K8SClusterName(cluster),
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		attributes = append(attributes, semconv.ServiceVersion(build.Main.Version))
	}
	if host, err := os.Hostname(); err == nil { // the pod's name
		attributes = append(attributes, semconv.ServiceInstanceID(host))
	}
	described, err := resource.New(ctx,
		resource.WithTelemetrySDK(), resource.WithAttributes(attributes...), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", resourceVariable, err)
	}
	return described, nil
}

// complaintInterval is how often at most the log says that traces are not sent.
const complaintInterval = 5 * time.Minute

// complaints logs what is wrong with the export, but not at each span.
type complaints struct {
	log logr.Logger

	mu     sync.Mutex
	last   time.Time
	silent int
}

// Handle logs an error of the SDK's, or counts it until the next may be logged.
func (c *complaints) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.last) < complaintInterval {
		c.silent++
		return
	}
	c.log.Info("Traces are lost: look whether the collector can be reached", "cause", err.Error(), "failuresBefore", c.silent)
	c.last, c.silent = time.Now(), 0
}
