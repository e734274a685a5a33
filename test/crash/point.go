/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash

import (
	"fmt"
	"strings"
)

// Call is a request of the operator that can change something, or that EC2
// counts.
type Call struct {
	// Name is the verb and what it is about: "EC2 AttachNetworkInterface",
	// "PUT enipools/status".
	Name string
	// Number counts the calls of this name on the path, from 1.
	Number int
}

func (c Call) String() string { return fmt.Sprintf("%s #%d", c.Name, c.Number) }

// Side says whether a call has its effect before the operator dies.
type Side string

const (
	// Before discards the request.
	Before Side = "before"
	// After lets the request have its effect and withholds the answer.
	After Side = "after"
)

// Point is a moment at which the operator is killed.
type Point struct {
	// Path is the name of one of Paths.
	Path string
	// Call is the call at which the operator dies.
	Call Call
	// Side of the call.
	Side Side
}

func (p Point) String() string { return fmt.Sprintf("%s: %s %s", p.Path, p.Side, p.Call) }

// slug is the point as a file name.
func (p Point) slug() string {
	return strings.NewReplacer(": ", "_", " ", "_", "/", "-", "#", "").Replace(p.String())
}

// pointsOf are both sides of every call of a path.
func pointsOf(path string, calls []Call) []Point {
	points := make([]Point, 0, 2*len(calls))
	for _, call := range calls {
		points = append(points, Point{path, call, Before}, Point{path, call, After})
	}
	return points
}
