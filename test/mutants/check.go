/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package mutants

import (
	"context"
	"fmt"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Check runs tests on a mutant.
type Check interface {
	// Try returns the verdict of the tests, and words on how they came to it.
	Try(ctx context.Context, repository, overlay string, m Mutant) (Verdict, string)
}

// packages returns the folders of a mutant's files, as arguments of go's commands.
func packages(m Mutant) []string {
	var folders []string
	for file := range m.Files {
		folders = append(folders, "./"+path.Dir(file))
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}

// goCommand runs a go command in the repository, and returns what it printed.
func goCommand(ctx context.Context, repository string, arguments ...string) (output []byte, err error) {
	command := exec.CommandContext(ctx, "go", arguments...) //nolint:gosec // arguments of our own
	command.Dir = repository
	return command.CombinedOutput()
}

// UnitTests are the tests that a mutant names, or else those of its packages.
type UnitTests struct {
	// Timeout ends tests that a mutant makes wait for ever; that counts as a failure.
	Timeout time.Duration
}

// cheap leaves out what a mutant's tests need not be built with.
var cheap = []string{"-vet=off", "-ldflags=-s -w"}

var (
	failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)
	unbuilt    = regexp.MustCompile(`(?m)^FAIL\s.*\[(build|setup) failed\]$`)
	noTests    = regexp.MustCompile(`(?m)^ok\s+(\S+)\s.*\[no tests to run\]$`)
)

// Try implements Check.
func (u UnitTests) Try(ctx context.Context, repository, overlay string, m Mutant) (verdict Verdict, detail string) {
	tests := m.Tests
	if len(tests) == 0 {
		tests = append(packages(m), "-failfast")
	}
	arguments := append([]string{"test", "-overlay", overlay, "-count=1", "-timeout", u.Timeout.String()}, cheap...)
	output, err := goCommand(ctx, repository, append(arguments, tests...)...)
	failed := names(failedTest.FindAllSubmatch(output, -1))
	switch {
	case err == nil:
		return Survived, ""
	case unbuilt.Match(output):
		return Invalid, "it does not compile"
	case len(failed) == 0:
		return Found, "a test that panicked or did not end"
	default:
		return Found, strings.Join(failed, ", ")
	}
}

// names returns the first groups of what a pattern found, each once.
func names(found [][][]byte) []string {
	var all []string
	for _, match := range found {
		if name := string(match[1]); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// Confirm makes sure that the tests which a mutant names are there, in each of the
// packages, and pass without it: only then does their failure mean anything.
func Confirm(ctx context.Context, repository string, m Mutant) error {
	output, err := goCommand(ctx, repository, slices.Concat([]string{"test"}, cheap, m.Tests)...)
	if err != nil {
		return fmt.Errorf("%s: its tests fail without it too: %w\n%s", m.Name, err, output)
	}
	if without := noTests.FindSubmatch(output); without != nil {
		return fmt.Errorf("%s: no test in %s is named %q", m.Name, without[1], m.Tests)
	}
	return nil
}

// Simulation plays new histories of whole clusters until one breaks a promise that
// the product keeps in the same history.
type Simulation struct {
	// Histories is how many are played at most.
	Histories int
	// Timeout ends the simulation of a mutant.
	Timeout time.Duration
}

var (
	playedHistories = regexp.MustCompile(`(\d+) histories`)
	brokenSeed      = regexp.MustCompile(`seed (\d+) broke promises`)
	stoodStill      = regexp.MustCompile(`virtual time stands still`)
)

// Try implements Check. A history in which the product breaks a promise too says nothing
// about the mutant, so that others follow it.
func (s Simulation) Try(ctx context.Context, repository, overlay string, _ Mutant) (verdict Verdict, detail string) {
	var also []string
	for played := 0; played < s.Histories; {
		output, err := s.play(ctx, repository, "-overlay", overlay, "-args", "-seeds", strconv.Itoa(s.Histories-played), "-shrink=0s")
		if err == nil {
			break
		}
		seed := brokenSeed.FindSubmatch(output)
		if seed == nil {
			return Invalid, whyUnplayed(output)
		}

		count := 1
		if found := playedHistories.FindSubmatch(output); found != nil {
			count, _ = strconv.Atoi(string(found[1]))
		}
		played += max(count, 1)
		if _, err := s.play(ctx, repository, "-args", "-seed", string(seed[1]), "-shrink=0s"); err == nil {
			return Found, fmt.Sprintf("after %d histories, seed %s", played, seed[1])
		}
		also = append(also, string(seed[1]))
	}

	detail = fmt.Sprintf("not in %d histories", s.Histories)
	if len(also) > 0 {
		detail += "; the product breaks a promise too in seeds " + strings.Join(also, ", ")
	}
	return Survived, detail
}

// whyUnplayed says why the simulation ended without a broken promise.
func whyUnplayed(output []byte) string {
	switch {
	case unbuilt.Match(output):
		return "it does not compile"
	case stoodStill.Match(output):
		return "virtual time stood still"
	}
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	return "the simulation did not end: " + lines[len(lines)-1]
}

func (s Simulation) play(ctx context.Context, repository string, arguments ...string) (output []byte, err error) {
	own, args := arguments, []string(nil)
	if at := slices.Index(arguments, "-args"); at >= 0 {
		own, args = arguments[:at], arguments[at:]
	}
	fixed := []string{"-count=1", "-timeout", s.Timeout.String(), "-run", "^TestSimulation$", "./test/simulation"}
	return goCommand(ctx, repository, slices.Concat([]string{"test"}, cheap, own, fixed, args)...)
}
