/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"k8s.io/utils/ptr"
)

// result is one measured value.
type result struct {
	Row    string  `json:"row"`
	Nodes  int     `json:"nodes"`
	Metric string  `json:"metric"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	// Floor is the least that the value could be, and Ratio the value by it.
	Floor *float64 `json:"floor"`
	Ratio *float64 `json:"ratio"`
	// Goal is the most that the ratio may be or, without one, the value; or the
	// least, if Least is set.
	Goal  *float64 `json:"goal"`
	Least bool     `json:"least,omitempty"`
	// Met is null without a goal.
	Met *bool `json:"met"`
}

// sheet collects the results of one row.
type sheet struct {
	row     string
	nodes   int
	results []result
}

// add reports a value that no goal is set for.
func (s *sheet) add(metric string, value float64, unit string) {
	s.results = append(s.results, result{Row: s.row, Nodes: s.nodes, Metric: metric, Value: round(value), Unit: unit})
}

// goal reports a value that should not be above the goal.
func (s *sheet) goal(metric string, value float64, unit string, most float64) {
	s.judge(metric, value, unit, &most)
}

// judge reports a value that should not be above the goal, if there is one.
func (s *sheet) judge(metric string, value float64, unit string, most *float64) {
	s.add(metric, value, unit)
	if most != nil {
		r := &s.results[len(s.results)-1]
		r.Goal, r.Met = most, ptr.To(value <= *most)
	}
}

// atLeast reports a value that should not be below the goal.
func (s *sheet) atLeast(metric string, value float64, unit string, least float64) {
	s.add(metric, value, unit)
	r := &s.results[len(s.results)-1]
	r.Goal, r.Least, r.Met = &least, true, ptr.To(value >= least)
}

// timed reports a time beside its floor; the goal, if any, is for their ratio.
func (s *sheet) timed(metric string, took, floor time.Duration, most *float64) {
	s.add(metric, seconds(took), "s")
	ratio := seconds(took) / seconds(floor)
	r := &s.results[len(s.results)-1]
	r.Floor, r.Ratio = ptr.To(round(seconds(floor))), ptr.To(round(ratio))
	if most != nil {
		r.Goal, r.Met = most, ptr.To(ratio <= *most)
	}
}

func seconds(d time.Duration) float64 { return d.Seconds() }

// round keeps what a reader can use.
func round(value float64) float64 { return math.Round(value*10_000) / 10_000 }

// percentile is the nearest rank in a sorted list: at least so many percent are
// not above it. Of nothing it is zero.
func percentile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*percent + 99) / 100
	return sorted[max(rank-1, 0)]
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
