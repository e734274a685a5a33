/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// writeTable shows the results to people.
func writeTable(out io.Writer, results []result) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ROW\tNODES\tMETRIC\tVALUE\tUNIT\tFLOOR\tRATIO\tGOAL\tMET")
	for _, r := range results {
		goal := "-"
		switch {
		case r.Goal != nil && r.Ratio != nil:
			goal = "ratio ≤ " + number(r.Goal)
		case r.Goal != nil && r.Least:
			goal = "≥ " + number(r.Goal)
		case r.Goal != nil:
			goal = "≤ " + number(r.Goal)
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			r.Row, r.Nodes, r.Metric, number(&r.Value), r.Unit, number(r.Floor), number(r.Ratio), goal, verdict(r.Met))
	}
	_ = table.Flush()
}

// number writes three decimals at most.
func number(value *float64) string {
	if value == nil {
		return "-"
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(*value, 'f', 3, 64), 64)
	if err != nil {
		return "?"
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

func verdict(met *bool) string {
	switch {
	case met == nil:
		return "-"
	case *met:
		return "yes"
	default:
		return "NO"
	}
}
