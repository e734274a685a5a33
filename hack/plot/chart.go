/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// chart is one drawing over the number of nodes, both axes logarithmic: what grows
// with the fleet is a straight line at 45 degrees, what does not is level.
type chart struct {
	file, title, unit string
	lines             []line
}

// line is one metric of a row, or its floor.
type line struct {
	name, row, metric string
	floor             bool
}

func charts() []chart {
	const joinTime = "time until every pool has its minimum"
	return []chart{
		{"join.svg", "A fleet that joins at once", "seconds", []line{
			{"new ENIs", "join", joinTime, false},
			{"floor of EC2's buckets for new ENIs", "join", joinTime, true},
			{"primary ENIs too", "join-primary", joinTime, false},
		}},
		{"memory.svg", "The operator's memory, peak", "MiB", []line{
			{"joining", "join", "peak memory of the operator", false},
			{"restarting", "restart", "peak memory of the operator", false},
		}},
		{"restart.svg", "A restart", "seconds; calls", []line{
			{"seconds from exec to the first EC2 write for a new Node", "restart", "exec to first EC2 write for a late Node", false},
			{"EC2 reads", "restart", "EC2 reads", false},
			{"seconds of CPU", "restart", "CPU", false},
		}},
		{"shrink.svg", "A fleet whose policy is deleted", "seconds", []line{
			{"until no ENI is left", "shrink", "time from the policy's deletion until no ENI is left", false},
			{"floor of EC2's buckets", "shrink", "time from the policy's deletion until no ENI is left", true},
		}},
	}
}

// draw writes the chart, unless nothing of it was measured.
func (c chart) draw(results []result, path string) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.title, "nodes", c.unit
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.Y.Tick.Marker = plot.LogTicks{Prec: -1}
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	var sizes []float64
	for i, l := range c.lines {
		points := l.points(results)
		if len(points) == 0 {
			continue
		}
		for _, point := range points {
			sizes = append(sizes, point.X)
		}
		drawn, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		drawn.Color, dots.Color = plotutil.Color(i), plotutil.Color(i)
		drawn.Dashes, dots.Shape = plotutil.Dashes(i), plotutil.Shape(i)
		p.Add(drawn, dots)
		p.Legend.Add(l.name, drawn, dots)
	}
	if len(sizes) == 0 {
		return nil
	}
	p.X.Tick.Marker = ticksAt(sizes)
	p.Y.Max *= 3 // room for the legend
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return p.Save(16*vg.Centimeter, 10*vg.Centimeter, path)
}

// points of the line, by the number of nodes. A logarithm has no place for nothing.
func (l line) points(results []result) plotter.XYs {
	var points plotter.XYs
	for _, r := range results {
		value := &r.Value
		if l.floor {
			value = r.Floor
		}
		if r.Row == l.row && r.Metric == l.metric && value != nil && *value > 0 {
			points = append(points, plotter.XY{X: float64(r.Nodes), Y: *value})
		}
	}
	slices.SortFunc(points, func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) })
	return points
}

// ticksAt labels the numbers of nodes that were measured.
func ticksAt(sizes []float64) plot.ConstantTicks {
	slices.Sort(sizes)
	var ticks plot.ConstantTicks
	for _, size := range slices.Compact(sizes) {
		ticks = append(ticks, plot.Tick{Value: size, Label: strconv.Itoa(int(size))})
	}
	return ticks
}
