/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Command mutants changes the product in one place after another, and expects a
// test to fail each time. It prints a table, and fails if too few were found.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/eni-operator/eni-operator/test/mutants"
)

// guarded are the files whose conditions decide about evidence, ownership and the
// brake.
var guarded = []string{
	"controllers/*/plan*.go", "controllers/pool/*.go", "controllers/eni/controller.go", "controllers/eni/observe.go", "controllers/eni/others.go",
	"controllers/garbagecollection/*.go", "controllers/policy/observe.go",
	"pkg/ec2/transport.go", "pkg/elapsed/*.go", "pkg/election/*.go", "pkg/inventory/*.go", "pkg/setup/brake.go", "pkg/uninstall/uninstall.go",
}

// mostUnfound is which part of the valid mechanical mutants may survive.
const mostUnfound = 0.2

// settings are the command's flags.
type settings struct {
	defects    bool
	named      bool
	mechanical int
	only       string
	histories  int
	parallel   int
	seed       uint64
	list       bool
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var s settings
	pflag.BoolVar(&s.defects, "defects", true, "Try the defects, each of which takes one mending out.")
	pflag.BoolVar(&s.named, "named", true, "Run the tests that the defects name.")
	pflag.IntVar(&s.mechanical, "mechanical", -1, "How many mechanical mutants to try, chosen at random; -1: all.")
	pflag.StringVar(&s.only, "only", "", "Try only mutants whose name matches this regular expression.")
	pflag.IntVar(&s.histories, "histories", 40, "How many histories the simulation plays of a mutant at most; 0: none.")
	pflag.IntVar(&s.parallel, "parallel", 2, "How many mechanical mutants are tried at the same time.")
	pflag.Uint64Var(&s.seed, "seed", uint64(time.Now().UnixNano()), "Chooses the mechanical mutants.") //nolint:gosec // any number will do
	pflag.BoolVar(&s.list, "list", false, "List the mutants and try none.")
	pflag.Parse()

	repository, err := root(ctx)
	if err != nil {
		return err
	}
	defects, mechanical, err := collect(ctx, repository, s)
	if err != nil {
		return err
	}
	fmt.Printf("%d defects, %d mechanical mutants, seed %d\n", len(defects), len(mechanical), s.seed)
	if s.list {
		for _, m := range slices.Concat(defects, mechanical) {
			fmt.Printf("%s  %s\n", m.Name, m.What)
		}
		return nil
	}
	return errors.Join(tryDefects(ctx, repository, defects, s), tryMechanical(ctx, repository, mechanical, s))
}

func root(ctx context.Context) (string, error) {
	output, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(output))), nil
}

func collect(ctx context.Context, repository string, s settings) (defects, mechanical []mutants.Mutant, err error) {
	if s.defects {
		if defects, err = mutants.Defects(ctx, repository, "test/mutants/defects"); err != nil {
			return nil, nil, err
		}
	}
	if mechanical, err = generated(repository); err != nil {
		return nil, nil, err
	}

	only, err := regexp.Compile(s.only)
	if err != nil {
		return nil, nil, fmt.Errorf("reading --only: %w", err)
	}
	other := func(m mutants.Mutant) bool { return !only.MatchString(m.Name) }
	defects = slices.DeleteFunc(defects, other)
	mechanical = slices.DeleteFunc(mechanical, other)
	if s.mechanical >= 0 && s.mechanical < len(mechanical) {
		dice := rand.New(rand.NewPCG(s.seed, 0)) //nolint:gosec // no secret
		dice.Shuffle(len(mechanical), func(a, b int) { mechanical[a], mechanical[b] = mechanical[b], mechanical[a] })
		mechanical = mechanical[:s.mechanical]
	}
	return defects, mechanical, nil
}

func generated(repository string) ([]mutants.Mutant, error) {
	seen := map[string]bool{}
	var all []mutants.Mutant
	for _, pattern := range guarded {
		files, err := filepath.Glob(filepath.Join(repository, filepath.FromSlash(pattern)))
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", pattern, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || seen[file] {
				continue
			}
			seen[file] = true
			relative, err := filepath.Rel(repository, file)
			if err != nil {
				return nil, fmt.Errorf("naming %s: %w", file, err)
			}
			found, err := mutants.Mechanical(repository, filepath.ToSlash(relative))
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	return all, nil
}

// tryDefects expects the named tests, or the simulation, to find each defect, and
// prints a table of what found it.
func tryDefects(ctx context.Context, repository string, list []mutants.Mutant, s settings) error {
	if len(list) == 0 {
		return nil
	}
	count := map[mutants.Verdict]int{}
	bySimulation := 0
	fmt.Println("| defect | what comes back | named test | simulation |\n|---|---|---|---|")
	for _, m := range list {
		named, simulated, err := tryDefect(ctx, repository, m, s)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %s | %s %s | %s %s |\n", m.Name, m.What, named.Verdict, named.By, simulated.Verdict, simulated.By)
		if simulated.Verdict == mutants.Found {
			bySimulation++
			named.Verdict = mutants.Found
		}
		count[named.Verdict]++
	}
	fmt.Printf("\ndefects: %d, found: %d, by the simulation: %d\n", len(list), count[mutants.Found], bySimulation)
	if unfound := len(list) - count[mutants.Found]; unfound > 0 && s.named {
		return fmt.Errorf("%d defects were not found by any test", unfound)
	}
	return nil
}

// tryDefect runs the tests that a defect names, and the simulation, on it.
func tryDefect(ctx context.Context, repository string, m mutants.Mutant, s settings) (named, simulated mutants.Result, err error) {
	named.Verdict = untried
	simulated.Verdict = untried
	if s.named {
		if err := mutants.Confirm(ctx, repository, m); err != nil {
			return named, simulated, err
		}
		if named, err = mutants.Try(ctx, repository, m, []mutants.Check{mutants.UnitTests{Timeout: 3 * time.Minute}}); err != nil {
			return named, simulated, err
		}
	}
	if s.histories > 0 {
		check := mutants.Simulation{Histories: s.histories, Timeout: 20 * time.Minute}
		simulated, err = mutants.Try(ctx, repository, m, []mutants.Check{check})
	}
	return named, simulated, err
}

// untried stands in the table for tests that were not run.
const untried mutants.Verdict = "not tried"

// tryMechanical runs the tests of their packages on mechanical mutants, some at a time.
func tryMechanical(ctx context.Context, repository string, list []mutants.Mutant, s settings) error {
	checks := []mutants.Check{mutants.UnitTests{Timeout: 5 * time.Minute}}
	if s.histories > 0 {
		checks = append(checks, mutants.Simulation{Histories: s.histories, Timeout: 20 * time.Minute})
	}
	var (
		mu     sync.Mutex
		failed []error
		group  sync.WaitGroup
	)
	count := map[mutants.Verdict]int{}
	places := make(chan struct{}, max(s.parallel, 1))
	for _, m := range list {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() {
			defer func() { <-places }()
			result, err := mutants.Try(ctx, repository, m, checks)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, err)
				return
			}
			count[result.Verdict]++
			fmt.Printf("%-9s %s  %s  %s\n", result.Verdict, m.Name, m.What, result.By)
		})
	}
	group.Wait()
	verdict := sumUp(count) // Of those that were tried, if it was interrupted.
	if len(failed) > 0 {
		return failed[0]
	}
	return verdict
}

// sumUp fails if too many mechanical mutants survived.
func sumUp(count map[mutants.Verdict]int) error {
	valid := count[mutants.Found] + count[mutants.Survived]
	fmt.Printf("mechanical mutants: %d, found: %d, survived: %d, invalid: %d\n",
		valid, count[mutants.Found], count[mutants.Survived], count[mutants.Invalid])
	if valid > 0 && float64(count[mutants.Survived]) > mostUnfound*float64(valid) {
		return fmt.Errorf("%d of %d mechanical mutants survived, more than %.0f %%", count[mutants.Survived], valid, 100*mostUnfound)
	}
	return nil
}
