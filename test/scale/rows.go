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

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// row is one group of measurements on a fleet.
type row struct {
	name    string
	measure func(*bench, context.Context, *sheet) error
}

// fleet is what the nodes are, and the rows that are measured on them, in order.
type fleet struct {
	kind types.InstanceType
	// minimumIPs is what one new ENI carries besides its own primary address.
	minimumIPs int32
	// minDeviceIndex of the policy: 0 lets pools use the primary ENIs.
	minDeviceIndex int32
	rows           []row
}

// fleets are those of one run. Of each, the first row finds none of it there.
func fleets() []fleet {
	return []fleet{
		{types.InstanceTypeM5Large, 9, 1, []row{
			{"join", (*bench).join},
			{"trickle", (*bench).trickle},
			{"restart", (*bench).restart},
			{"failover", (*bench).failover},
			{"rest", (*bench).rest},
			{"churn", (*bench).churn},
			{"shrink", (*bench).shrink}, // and nothing is left
		}},
		{types.InstanceTypeM5Large, 9, 0, []row{
			{"join-primary", (*bench).joinPrimary},
		}},
		{types.InstanceTypeM5Large, 9, 1, []row{
			{"cost", (*bench).cost},
		}},
		{types.InstanceTypeM5Large, 9, 1, []row{
			{"stuck", (*bench).stuck},
		}},
		{types.InstanceTypeM54xlarge, 29, 1, []row{
			{"burst", (*bench).burst},
			{"admission", (*bench).admission},
		}},
		{types.InstanceTypeM54xlarge, 29, 1, []row{
			{"memory", (*bench).memory},
		}},
		{types.InstanceTypeM5Large, 9, 1, []row{
			{"hostile", (*bench).hostile},
		}},
	}
}

// mostNodes is what the zones' subnets hold: a node takes the primary addresses of
// two ENIs besides its minimum.
func (f fleet) mostNodes() int {
	const subnetSize = 65_531
	return len(zones)*(subnetSize/(int(f.minimumIPs)+2)) - spares
}

// asked are the fleet's rows among the names.
func (f fleet) asked(names []string) []row {
	return slices.DeleteFunc(slices.Clone(f.rows), func(r row) bool { return !slices.Contains(names, r.name) })
}

func rowNames() []string {
	var names []string
	for _, f := range fleets() {
		for _, r := range f.rows {
			names = append(names, r.name)
		}
	}
	return names
}

// measure runs the rows asked for, and returns what was measured until an error.
func measure(ctx context.Context, s settings) ([]result, error) {
	var results []result
	for _, f := range fleets() {
		found, err := f.measure(ctx, s)
		results = append(results, found...)
		if err != nil {
			return results, err
		}
	}
	return results, nil
}

// measure runs the fleet's rows that are asked for, and then looks for leaks.
func (f fleet) measure(ctx context.Context, s settings) (results []result, err error) {
	rows := f.asked(s.rows)
	if len(rows) == 0 {
		return nil, nil
	}
	b, err := start(ctx, s, f)
	if b != nil {
		defer func() { b.stop(err == nil) }()
	}
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
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
