/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
)

// Matrix runs points in several worlds at the same time.
type Matrix struct {
	worlds []*World
}

// NewMatrix starts this many worlds. Stop them in the end.
func NewMatrix(ctx context.Context, options Options, worlds int) (*Matrix, error) {
	m := &Matrix{}
	folder := options.Folder
	for i := range worlds {
		options.Folder = filepath.Join(folder, fmt.Sprintf("world-%d", i))
		world, err := NewWorld(ctx, options)
		if err != nil {
			return nil, errors.Join(err, m.Stop())
		}
		m.worlds = append(m.worlds, world)
	}
	return m, nil
}

// Stop ends all worlds.
func (m *Matrix) Stop() error {
	var failed []error
	for _, world := range m.worlds {
		failed = append(failed, world.Stop())
	}
	return errors.Join(failed...)
}

// Record runs paths undisturbed, and returns the points that they make.
func (m *Matrix) Record(ctx context.Context, paths []string) ([]Point, error) {
	recorded, failed := make([][]Point, len(paths)), make([]error, len(paths))
	m.each(len(paths), func(world *World, i int) { recorded[i], failed[i] = world.Record(ctx, paths[i]) })
	var points []Point
	for _, made := range recorded {
		points = append(points, made...)
	}
	return points, errors.Join(failed...)
}

// Run kills the operator at every point, and tells about each in the order of the
// points.
func (m *Matrix) Run(ctx context.Context, points []Point, tell func(Result)) []Result {
	results, done := make([]Result, len(points)), make([]chan struct{}, len(points))
	for i := range done {
		done[i] = make(chan struct{})
	}
	go m.each(len(points), func(world *World, i int) {
		results[i] = world.Crash(ctx, points[i])
		close(done[i])
	})
	for i := range points {
		<-done[i]
		tell(results[i])
	}
	return results
}

// each hands numbers out to the worlds, in order, and returns when all are done.
func (m *Matrix) each(count int, do func(world *World, i int)) {
	numbers := make(chan int)
	var busy sync.WaitGroup
	for _, world := range m.worlds {
		busy.Go(func() {
			for i := range numbers {
				do(world, i)
			}
		})
	}
	for i := range count {
		numbers <- i
	}
	close(numbers)
	busy.Wait()
}
