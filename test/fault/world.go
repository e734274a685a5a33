/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/eni-operator/eni-operator/test/cluster"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// Options of a World.
type Options struct {
	// Nodes is the size of the fleet: at least 4, so that each kind of node is
	// in it.
	Nodes int
	// Seed decides which calls meet which fault.
	Seed uint64
	// Probability of each class for each call to which it applies, in (0, 1/6].
	Probability float64
	// Kills has the operator killed once in each phase of the disturbed play, and
	// started again.
	Kills bool
	// Operator is the operator's binary.
	Operator string
	// Folder receives the operators' logs, and EC2's call log of a play that did
	// not end as it should.
	Folder string
	// Tell, if set, receives how far the run is, in lines.
	Tell func(line string)
}

func (o *Options) tell(format string, arguments ...any) {
	if o.Tell != nil {
		o.Tell(fmt.Sprintf(format, arguments...))
	}
}

// World is a control plane on which the scenario is played.
type World struct {
	options Options
	kube    kubernetes
}

// NewWorld starts a control plane. Stop it in the end.
func NewWorld(ctx context.Context, options Options) (*World, error) {
	if err := os.MkdirAll(options.Folder, 0o750); err != nil {
		return nil, err
	}
	kube, err := cluster.Start(ctx)
	if err != nil {
		return nil, err
	}
	return &World{options: options, kube: kubernetes{kube}}, nil
}

// Stop ends the control plane.
func (w *World) Stop() error { return w.kube.Stop() }

// Undisturbed plays the scenario without faults: what it ends in then is what it
// must end in with them.
func (w *World) Undisturbed(ctx context.Context) (Play, error) {
	w.options.tell("Undisturbed:")
	return w.play(ctx, "undisturbed", 0)
}

// Disturbed plays the scenario with faults.
func (w *World) Disturbed(ctx context.Context) (Play, error) {
	w.options.tell("With %g %% of each class:", 100*w.options.Probability)
	return w.play(ctx, "disturbed", w.options.Probability)
}

// total is the number of disturbed calls.
func (p *Play) total() int {
	total := 0
	for _, counts := range p.Injected {
		for _, count := range counts {
			total += count
		}
	}
	return total
}

// Verdict is an error if anything leaked or differs, or if a class of faults never
// came up although there were to be some.
func (p *Play) Verdict(disturbed bool) error {
	var failed []error
	if len(p.Leaks) > 0 {
		failed = append(failed, fmt.Errorf("%d leaks", len(p.Leaks)))
	}
	if len(p.Differences) > 0 {
		failed = append(failed, fmt.Errorf("%d differences", len(p.Differences)))
	}
	for _, class := range Classes() {
		if disturbed && len(p.Injected[class]) == 0 {
			failed = append(failed, fmt.Errorf("no call met %q: the run says nothing about it", class))
		}
	}
	return errors.Join(failed...)
}

// WriteFindings writes what leaked and what differs, at most so many of each.
func (p *Play) WriteFindings(w io.Writer, most int) {
	for _, lines := range [][]string{p.Leaks, p.Differences} {
		for _, line := range lines[:min(most, len(lines))] {
			fmt.Fprintln(w, line)
		}
		if more := len(lines) - most; more > 0 {
			fmt.Fprintf(w, "and %d more\n", more)
		}
	}
}

// WriteInjected writes how many calls met faults, by class and action, and what EC2
// refused besides.
func (p *Play) WriteInjected(w io.Writer) {
	const row = "%-22s %-34s %d\n"
	for _, class := range Classes() {
		counts := p.Injected[class]
		for _, action := range slices.Sorted(maps.Keys(counts)) {
			fmt.Fprintf(w, row, class, action, counts[action])
		}
	}
	for _, call := range slices.Sorted(maps.Keys(p.Refused)) {
		fmt.Fprintf(w, row, "refused by EC2 itself", call, p.Refused[call])
	}
	fmt.Fprintf(w, "disturbed %d of %d calls\n", p.total(), p.Calls)
}

// WriteSummary writes the one line that tells all.
func (p *Play) WriteSummary(w io.Writer, options Options) {
	fmt.Fprintf(w, "fault run: %d nodes, seed %d, injected %d, leaks %d, differences %d\n",
		options.Nodes, options.Seed, p.total(), len(p.Leaks), len(p.Differences))
}

// callLines writes EC2's call log down, a line of JSON for each call.
func callLines(calls []emulator.Call) string {
	var lines strings.Builder
	for i := range calls {
		line, err := json.Marshal(calls[i])
		if err != nil {
			return err.Error()
		}
		lines.Write(line)
		lines.WriteByte('\n')
	}
	return lines.String()
}

// DefaultProbability is that of each class, unless told otherwise.
const DefaultProbability = 0.05

// Repeat is the command that plays the same again.
func (o *Options) Repeat() string {
	if o.Probability == DefaultProbability && !o.Kills {
		return fmt.Sprintf("make test-fault NODES=%d SEED=%d", o.Nodes, o.Seed)
	}
	return fmt.Sprintf("build/bin/fault-run --nodes=%d --seed=%d --probability=%g --kills=%t", o.Nodes, o.Seed, o.Probability, o.Kills)
}

// NewSeed is a seed that is easy to write down.
func NewSeed() uint64 { return uint64(time.Now().UnixNano()/int64(time.Millisecond)) % 1_000_000 } //nolint:gosec // positive
