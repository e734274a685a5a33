/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Command fault-run plays a scenario with the operator, first undisturbed and then
// with a part of its EC2 calls going wrong, and fails if that makes a difference.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/eni-operator/eni-operator/test/cluster"
	"github.com/eni-operator/eni-operator/test/fault"
)

// mostFindings is how many leaks and differences are printed.
const mostFindings = 20

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fault-run:", err)
		os.Exit(1)
	}
}

func parse() fault.Options {
	options := fault.Options{Tell: func(line string) { fmt.Fprintln(os.Stderr, line) }}
	pflag.IntVar(&options.Nodes, "nodes", 200, "Size of the fleet.")
	pflag.Uint64Var(&options.Seed, "seed", fault.NewSeed(), "Decides which calls meet which fault.")
	pflag.Float64Var(&options.Probability, "probability", fault.DefaultProbability, "Part of the calls that each class of faults strikes.")
	pflag.BoolVar(&options.Kills, "kills", false, "Kill the operator once in each phase of the disturbed play, and start it again.")
	pflag.StringVar(&options.Operator, "operator", "", "Path of the operator's binary (default: built from this working tree).")
	pflag.StringVar(&options.Folder, "logs", filepath.Join("build", "fault"), "Folder for the operators' logs; it is emptied first.")
	pflag.Parse()
	return options
}

func run(ctx context.Context) (err error) {
	options := parse()
	fmt.Printf("seed %d; to repeat: %s\n", options.Seed, options.Repeat())
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\nthe logs are in %s; to repeat: %s", err, options.Folder, options.Repeat())
		}
	}()
	if err := os.RemoveAll(options.Folder); err != nil {
		return err
	}
	if options.Operator == "" {
		if options.Operator, err = cluster.BuildOperator(ctx, options.Folder); err != nil {
			return err
		}
	}
	world, err := fault.NewWorld(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, world.Stop()) }()

	undisturbed, err := world.Undisturbed(ctx)
	if err != nil {
		return err
	}
	if err := undisturbed.Verdict(false); err != nil {
		undisturbed.WriteFindings(os.Stdout, mostFindings)
		return fmt.Errorf("already without faults: %w", err)
	}
	disturbed, err := world.Disturbed(ctx)
	if err != nil {
		return err
	}
	disturbed.WriteFindings(os.Stdout, mostFindings)
	disturbed.WriteInjected(os.Stdout)
	fmt.Printf("undisturbed in %s, disturbed in %s\n", undisturbed.Took.Round(time.Second), disturbed.Took.Round(time.Second))
	disturbed.WriteSummary(os.Stdout, options)
	return disturbed.Verdict(true)
}
