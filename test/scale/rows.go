/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
)

// row is one group of measurements on the fleet.
type row struct {
	name    string
	measure func(*bench, context.Context, *sheet) error
}

// rows are in the order in which one run measures them: the first makes the fleet
// join, the others need it settled.
func rows() []row {
	return []row{
		{"join", (*bench).join},
		{"restart", (*bench).restart},
		{"rest", (*bench).rest},
	}
}

func rowNames() []string {
	var names []string
	for _, r := range rows() {
		names = append(names, r.name)
	}
	return names
}

// measure runs the rows asked for on one fleet, and then looks for leaks. It
// returns what was measured until an error.
func measure(ctx context.Context, s settings) (results []result, err error) {
	b, err := start(ctx, s)
	if b != nil {
		defer func() { b.stop(err == nil) }()
	}
	if err != nil {
		return nil, err
	}
	for _, r := range rows() {
		if !slices.Contains(s.rows, r.name) {
			continue
		}
		found := sheet{row: r.name, nodes: s.nodes}
		err := r.measure(b, ctx, &found)
		results = append(results, found.results...)
		if err != nil {
			return results, fmt.Errorf("row %s: %w", r.name, err)
		}
	}
	return results, b.findLeaks(ctx)
}

// say tells how far the run is.
func say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
}
