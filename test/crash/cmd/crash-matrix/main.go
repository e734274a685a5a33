/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Command crash-matrix kills the operator at every call of every path, prints
// what became of each, and fails if any did not heal.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/eni-operator/eni-operator/test/crash"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash-matrix:", err)
		os.Exit(1)
	}
}

// selection says which points are wanted.
type selection struct {
	paths []string
	calls string
	list  bool
}

func run(ctx context.Context) (err error) {
	var chosen selection
	pflag.StringSliceVar(&chosen.paths, "path", crash.Paths(), "Paths to run.")
	pflag.StringVar(&chosen.calls, "point", "", `Run only points whose text contains this, as in "after EC2 Attach".`)
	pflag.BoolVar(&chosen.list, "list", false, "Record the points and list them, without a crash.")
	folder := pflag.String("logs", filepath.Join("build", "crash"), "Folder for the operator's logs; it is emptied first.")
	pflag.Parse()

	if err := os.RemoveAll(*folder); err != nil {
		return err
	}
	binary, err := crash.BuildOperator(ctx, *folder)
	if err != nil {
		return err
	}
	world, err := crash.NewWorld(ctx, crash.Options{Operator: binary, Folder: *folder})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, world.Stop()) }()
	return matrix(ctx, world, chosen)
}

func matrix(ctx context.Context, world *crash.World, chosen selection) error {
	crash.WriteHeader(os.Stdout)
	var results []crash.Result
	for _, path := range chosen.paths {
		points, err := world.Record(ctx, path)
		if err != nil {
			return err
		}
		for _, point := range points {
			if !strings.Contains(point.String(), chosen.calls) {
				continue
			}
			if chosen.list {
				fmt.Println(point)
				continue
			}
			result := world.Crash(ctx, point)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			crash.WriteRow(os.Stdout, result)
			results = append(results, result)
		}
	}
	if failed := crash.WriteSummary(os.Stdout, results); failed > 0 {
		return fmt.Errorf("%d points failed", failed)
	}
	return nil
}
