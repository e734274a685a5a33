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
	"time"
)

// Check runs tests on a mutant.
type Check interface {
	// Fails reports whether a test failed, and which.
	Fails(ctx context.Context, repository, overlay string, m Mutant) (failed bool, detail string)
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

func compiles(ctx context.Context, repository, overlay string, m Mutant) bool {
	arguments := append([]string{"build", "-overlay", overlay}, packages(m)...)
	command := exec.CommandContext(ctx, "go", arguments...) //nolint:gosec // arguments of our own
	command.Dir = repository
	return command.Run() == nil
}

// UnitTests are the tests that a mutant names, or else those of its packages.
type UnitTests struct {
	// Timeout ends tests that a mutant makes wait for ever; that counts as a failure.
	Timeout time.Duration
}

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// Fails implements Check.
func (u UnitTests) Fails(ctx context.Context, repository, overlay string, m Mutant) (failed bool, detail string) {
	arguments := []string{"test", "-overlay", overlay, "-count=1", "-failfast", "-timeout", u.Timeout.String()}
	if len(m.Tests) > 0 {
		arguments = append(arguments, m.Tests...)
	} else {
		arguments = append(arguments, packages(m)...)
	}
	command := exec.CommandContext(ctx, "go", arguments...) //nolint:gosec // arguments of our own
	command.Dir = repository
	output, err := command.CombinedOutput()
	if err == nil {
		return false, ""
	}

	names := failedTest.FindAllSubmatch(output, -1)
	if len(names) == 0 {
		return true, "a test that panicked or did not end"
	}
	return true, string(names[len(names)-1][1])
}

// Simulation plays new histories of whole clusters until one fails.
type Simulation struct {
	// Histories is how many are played at most.
	Histories int
	// Timeout ends the simulation of a mutant.
	Timeout time.Duration
}

var playedHistories = regexp.MustCompile(`(\d+) histories`)

// Fails implements Check.
func (s Simulation) Fails(ctx context.Context, repository, overlay string, _ Mutant) (failed bool, detail string) {
	command := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-count=1", "-timeout", s.Timeout.String(), //nolint:gosec // numbers
		"-run", "^TestSimulation$", "./test/simulation", "-args", "-seeds", strconv.Itoa(s.Histories), "-shrink=0s")
	command.Dir = repository
	output, err := command.CombinedOutput()
	if err == nil {
		return false, ""
	}

	played := "?"
	if found := playedHistories.FindSubmatch(output); found != nil {
		played = string(found[1])
	}
	return true, fmt.Sprintf("simulation, history %s", played)
}
