/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Result is what became of a point.
type Result struct {
	Point Point
	// Reached says whether the operator was killed. Runs differ in how often a
	// status is written, so that a recorded call may not come again.
	Reached bool
	// Err is what was wrong in the end; nil: nothing.
	Err error
	// Took is the time of the run, from its preparation to its last check.
	Took time.Duration
}

// attempts is how often a point is tried until it is reached.
const attempts = 3

// Paths are the names of all paths.
func Paths() []string {
	names := make([]string, 0, len(paths))
	for _, p := range paths {
		names = append(names, p.name)
	}
	return names
}

func pathNamed(name string) (path, error) {
	at := slices.IndexFunc(paths, func(p path) bool { return p.name == name })
	if at < 0 {
		return path{}, fmt.Errorf("there is no path %q; there are %q", name, Paths())
	}
	return paths[at], nil
}

// Record runs a path undisturbed, and returns the points that it makes.
func (w *World) Record(ctx context.Context, name string) (points []Point, err error) {
	p, err := pathNamed(name)
	if err != nil {
		return nil, err
	}
	s, err := w.newStage(ctx, p, "undisturbed_"+p.name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.begin(ctx, p, nil); err != nil {
		return nil, err
	}
	if err := s.settle(ctx, p.after); err != nil {
		return nil, fmt.Errorf("path %s, undisturbed: %w", p.name, err)
	}
	return pointsOf(p.name, s.gate.seen()), nil
}

// Crash kills the operator at a point and starts it again. If the point is not
// reached, it tries again a few times.
func (w *World) Crash(ctx context.Context, point Point) Result {
	begun := time.Now()
	result := Result{Point: point}
	for range attempts {
		result.Reached, result.Err = w.crash(ctx, point)
		if result.Reached || result.Err != nil {
			break
		}
	}
	result.Took = time.Since(begun)
	return result
}

func (w *World) crash(ctx context.Context, point Point) (reached bool, err error) {
	p, err := pathNamed(point.Path)
	if err != nil {
		return false, err
	}
	s, err := w.newStage(ctx, p, point.slug())
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.begin(ctx, p, &point); err != nil {
		return false, err
	}
	if reached, err = s.await(ctx, p.after, s.gate.fired); err != nil || !reached {
		return reached, err
	}
	if err := s.operator.start(); err != nil {
		return true, err
	}
	return true, s.settle(ctx, p.after)
}

// begin brings the stage to where a path begins, and lets it begin under the eyes
// of the gate.
func (s *stage) begin(ctx context.Context, p path, target *Point) error {
	for _, step := range p.from {
		if err := step(ctx, s); err != nil {
			return fmt.Errorf("preparing path %s: %w", p.name, err)
		}
	}
	if p.before != nil {
		if err := s.operator.start(); err != nil {
			return err
		}
		if err := s.settle(ctx, *p.before); err != nil {
			return fmt.Errorf("before path %s: %w", p.name, err)
		}
	}
	s.gate.watch(target)
	return p.act(ctx, s)
}
