/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// rowFormat is a line of the table: path, side, call, result, time.
const rowFormat = "%-18s %-6s %-46s %-11s %s\n"

// WriteHeader writes the head of the table of results.
func WriteHeader(w io.Writer) {
	fmt.Fprintf(w, rowFormat, "PATH", "KILLED", "CALL", "RESULT", "TIME")
}

// WriteRow writes a result as a line of the table, and below it what was wrong.
func WriteRow(w io.Writer, r Result) {
	verdict := "ok"
	switch {
	case r.Err != nil:
		verdict = "FAILED"
	case !r.Reached:
		verdict = "not reached"
	}
	fmt.Fprintf(w, rowFormat, r.Point.Path, r.Point.Side, r.Point.Call, verdict, r.Took.Round(100*time.Millisecond))
	if r.Err != nil {
		fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(r.Err.Error(), "\n", "\n    "))
	}
}

// WriteSummary writes how many points there were and how many failed, and returns
// the latter. Points that were not reached are none.
func WriteSummary(w io.Writer, results []Result) (failed int) {
	points, missed := map[Point]bool{}, 0
	for _, r := range results {
		switch {
		case r.Err != nil:
			failed++
			points[r.Point] = true
		case r.Reached:
			points[r.Point] = true
		default:
			missed++
		}
	}
	if missed > 0 {
		fmt.Fprintf(w, "recorded but not reached again, and not counted: %d\n", missed)
	}
	fmt.Fprintf(w, "crash points: %d, failed: %d\n", len(points), failed)
	return failed
}
