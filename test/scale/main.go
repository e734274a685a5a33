/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

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

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/eni-operator/eni-operator/test/controlplane"
)

// settings are the command line.
type settings struct {
	nodes    int
	rows     []string
	operator string
	// stuck is the operator with subscribers that are stuck.
	stuck  string
	report string
	// profiles is where the operator's profiles go, if anywhere.
	profiles    string
	leaderElect bool
}

func main() {
	log.SetLogger(logr.Discard()) // what the libraries have to say stays off the screen
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	s, err := parse(arguments)
	if err != nil {
		return err
	}
	if err := s.complete(); err != nil {
		return err
	}
	results, err := measure(ctx, s)
	fmt.Println()
	writeTable(os.Stdout, results)
	// What was measured before a failure is kept: it says where the run broke off.
	return errors.Join(err, mergeReport(s.report, results))
}

func parse(arguments []string) (settings, error) {
	var s settings
	flags := pflag.NewFlagSet("scale", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.IntVar(&s.nodes, "nodes", 50, "How many nodes the fleet has.")
	flags.StringSliceVar(&s.rows, "rows", rowNames(), "Which rows to measure.")
	flags.StringVar(&s.operator, "operator", "", "Path of the operator's binary (default: the repository's build/bin/eni-operator).")
	flags.StringVar(&s.stuck, "stuck-operator", "", "Path of that with stuck subscribers (default: the repository's build/bin/stuck-operator).")
	flags.StringVar(&s.report, "report", "", "File to merge the results into (default: the repository's build/bench.json).")
	flags.StringVar(&s.profiles, "profiles", "", "Folder for profiles of the processor and the heap during each join (default: none, since they cost time).")
	flags.BoolVar(&s.leaderElect, "leader-elect", true, "Run the operator with leader election, as it is shipped.")
	if err := flags.Parse(arguments); err != nil {
		return s, err
	}
	err := s.validate(flags.Args())
	return s, err
}

func (s *settings) validate(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unknown argument %q", rest[0])
	}
	for _, name := range s.rows {
		if !slices.Contains(rowNames(), name) {
			return fmt.Errorf("--rows: there is no row %q, only %s", name, strings.Join(rowNames(), ", "))
		}
	}
	for _, f := range fleets() {
		if len(f.asked(s.rows)) > 0 && (s.nodes < 1 || s.nodes > f.mostNodes()) {
			return fmt.Errorf("--nodes: must be 1 to %d", f.mostNodes())
		}
	}
	return nil
}

// complete fills in the paths that the repository has a place for.
func (s *settings) complete() error {
	if s.operator != "" && s.report != "" && s.stuck != "" {
		return nil
	}
	root, err := controlplane.RepositoryRoot()
	if err != nil {
		return err
	}
	if s.operator == "" {
		s.operator = filepath.Join(root, "build", "bin", "eni-operator")
	}
	if s.stuck == "" {
		s.stuck = filepath.Join(root, "build", "bin", "stuck-operator")
	}
	if s.report == "" {
		s.report = filepath.Join(root, "build", "bench.json")
	}
	return nil
}
