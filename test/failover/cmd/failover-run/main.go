/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Command failover-run takes the lead away from the operator under load, many times
// over, and fails if a replica writes to EC2 that does not lead, if anything is made
// twice or leaks, or if a failover takes longer than promised.
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
	"github.com/eni-operator/eni-operator/test/failover"
	"github.com/eni-operator/eni-operator/test/fault"
)

// releaseBound is within what time a leader that is told to stop gives the lease back.
const releaseBound = time.Second

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "failover-run:", err)
		os.Exit(1)
	}
}

func parse() failover.Options {
	options := failover.Options{Tell: func(line string) { fmt.Fprintln(os.Stderr, line) }}
	stops := pflag.Int("stops", 50, "How many leaders are stopped past their lease and woken.")
	kills := pflag.Int("kills", 10, "How many leaders are killed.")
	terms := pflag.Int("terms", 10, "How many leaders are told to stop.")
	pflag.IntVar(&options.Nodes, "nodes", 20, "Size of the fleet.")
	pflag.Uint64Var(&options.Seed, "seed", fault.NewSeed(), "Decides the order of the rounds, their moments, and the load.")
	pflag.DurationVar(&options.Durations.Lease, "lease-duration", failover.DefaultDurations.Lease, "The operator's --leader-elect-lease-duration.")
	pflag.DurationVar(&options.Durations.Renew, "renew-deadline", failover.DefaultDurations.Renew, "The operator's --leader-elect-renew-deadline.")
	pflag.DurationVar(&options.Durations.Retry, "retry-period", failover.DefaultDurations.Retry, "The operator's --leader-elect-retry-period.")
	pflag.StringVar(&options.Operator, "operator", "", "Path of the operator's binary (default: built from this working tree).")
	pflag.StringVar(&options.Folder, "logs", filepath.Join("build", "failover"), "Folder for the operators' logs; it is emptied first.")
	pflag.Parse()
	options.Rounds = map[failover.Kind]int{failover.Stopped: *stops, failover.Killed: *kills, failover.Terminated: *terms}
	return options
}

func run(ctx context.Context) (err error) {
	options := parse()
	fmt.Printf("seed %d; to repeat: make test-failover SEED=%d NODES=%d\n", options.Seed, options.Seed, options.Nodes)
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\nthe logs are in %s", err, options.Folder)
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
	result, err := failover.Run(ctx, options)
	result.Write(os.Stdout, options)
	return errors.Join(err, verdict(&result, options))
}

func verdict(result *failover.Result, options failover.Options) error {
	var failed []error
	if len(result.Fouls) > 0 {
		failed = append(failed, fmt.Errorf("%d fouls", len(result.Fouls)))
	}
	if longest, bound := result.Longest(failover.Killed), options.Durations.Bound(); longest > bound {
		failed = append(failed, fmt.Errorf("a failover after SIGKILL took %s, more than %s", longest, bound))
	}
	if slowest := result.SlowestRelease(); slowest > releaseBound {
		failed = append(failed, fmt.Errorf("the lease was released %s after SIGTERM, more than %s", slowest, releaseBound))
	}
	return errors.Join(failed...)
}
