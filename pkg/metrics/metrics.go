/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package metrics holds every metric of the operator. They are in
// controller-runtime's registry, beside its own.
//
// Names begin with what they are about: eni_ (ENIs), eni_claim_ (claims), ip_pool_
// (pools) and eni_operator_ (the operator's own work). Labels are bounded: by the
// API's enumerations, the actions and error codes of EC2 that pkg/ec2 knows, and what
// a platform team makes few of: policies, zones and subnets. Names of nodes and other
// objects label only what --per-node-metrics adds.
//
// docs/metrics.md lists all of them; a test compares it with the code.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Metric describes a metric.
type Metric struct {
	Name, Type, Help string
	Labels           []string
}

// catalog is every metric, in the order of this package's files.
var catalog []Metric

// Catalog returns every metric of the operator.
func Catalog() []Metric { return catalog }

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	catalog = append(catalog, Metric{Name: name, Type: "counter", Help: help, Labels: labels})
	vector := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	metrics.Registry.MustRegister(vector)
	if len(labels) == 0 {
		vector.WithLabelValues() // So that it is 0, and not missing, until it counts.
	}
	return vector
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	catalog = append(catalog, Metric{Name: name, Type: "gauge", Help: help, Labels: labels})
	vector := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	metrics.Registry.MustRegister(vector)
	if len(labels) == 0 {
		vector.WithLabelValues()
	}
	return vector
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	catalog = append(catalog, Metric{Name: name, Type: "histogram", Help: help, Labels: labels})
	vector := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	metrics.Registry.MustRegister(vector)
	return vector
}

// scraped describes a metric whose value is read when it is asked for.
type scraped struct {
	description *prometheus.Desc
	kind        prometheus.ValueType
}

// scrapes are all of them.
var scrapes []scraped

func scrapedGauge(name, help string, labels ...string) scraped {
	return newScraped("gauge", prometheus.GaugeValue, name, help, labels)
}

func scrapedCounter(name, help string, labels ...string) scraped {
	return newScraped("counter", prometheus.CounterValue, name, help, labels)
}

func newScraped(kind string, value prometheus.ValueType, name, help string, labels []string) scraped {
	catalog = append(catalog, Metric{Name: name, Type: kind, Help: help, Labels: labels})
	s := scraped{description: prometheus.NewDesc(name, help, labels, nil), kind: value}
	scrapes = append(scrapes, s)
	return s
}

// is is one value of the metric.
func (s scraped) is(value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(s.description, s.kind, value, labels...)
}

// Buckets of durations, in seconds.
var (
	// lifeBuckets are for what EC2 takes part in: seconds on a good day, minutes where
	// a fleet waits for its rate limits.
	lifeBuckets = []float64{1, 2, 3, 5, 8, 13, 21, 34, 60, 120, 300, 600, 1800, 3600}
	// bindBuckets are for what people wait for.
	bindBuckets = []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}
	// callBuckets are for one call.
	callBuckets = []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	// waitBuckets are for a place in a queue; a fleet may wait for minutes.
	waitBuckets = []float64{.001, .1, .5, 1, 5, 15, 30, 60, 120, 300, 900}
)
