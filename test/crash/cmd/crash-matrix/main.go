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
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/eni-operator/eni-operator/test/cluster"
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

// wishes are the command's flags.
type wishes struct {
	paths    []string
	points   string
	list     bool
	worlds   int
	slowEC2  bool
	snapshot bool
	operator string
	folder   string
}

func parse() wishes {
	var w wishes
	pflag.StringSliceVar(&w.paths, "path", crash.Paths(), "Paths to run.")
	pflag.StringVar(&w.points, "point", "", `Run only points whose text contains this, as in "after EC2 Attach".`)
	pflag.BoolVar(&w.list, "list", false, "Record the points and list them, without a crash.")
	pflag.IntVar(&w.worlds, "worlds", 3, "Control planes to run points on at the same time.")
	pflag.BoolVar(&w.slowEC2, "slow-ec2", false, "Let EC2 be slow and stale on all paths.")
	pflag.BoolVar(&w.snapshot, "snapshot", false, "Let the operator begin with a snapshot.")
	pflag.StringVar(&w.operator, "operator", "", "The operator's binary. Unset: it is built from this working tree.")
	pflag.StringVar(&w.folder, "logs", filepath.Join("build", "crash"), "Folder for the operator's logs; it is emptied first.")
	pflag.Parse()
	return w
}

func run(ctx context.Context) (err error) {
	w := parse()
	if err := os.RemoveAll(w.folder); err != nil {
		return err
	}
	options := crash.Options{Folder: w.folder, Operator: w.operator, Snapshot: w.snapshot, SlowEC2: w.slowEC2}
	if options.Operator == "" {
		if options.Operator, err = cluster.BuildOperator(ctx, w.folder); err != nil {
			return err
		}
	}
	matrix, err := crash.NewMatrix(ctx, options, w.worlds)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, matrix.Stop()) }()

	points, err := record(ctx, matrix, w)
	if err != nil || w.list {
		return err
	}
	crash.WriteHeader(os.Stdout)
	results := matrix.Run(ctx, points, func(result crash.Result) { crash.WriteRow(os.Stdout, result) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failed := crash.WriteSummary(os.Stdout, results); failed > 0 {
		return fmt.Errorf("%d points failed; the operator's logs are in %s", failed, w.folder)
	}
	return nil
}

// record returns the points that are wanted, and prints them if that is all.
func record(ctx context.Context, matrix *crash.Matrix, w wishes) ([]crash.Point, error) {
	points, err := matrix.Record(ctx, w.paths)
	if err != nil {
		return nil, err
	}
	points = slices.DeleteFunc(points, func(p crash.Point) bool { return !strings.Contains(p.String(), w.points) })
	if w.list {
		for _, point := range points {
			fmt.Println(point)
		}
	}
	return points, nil
}
