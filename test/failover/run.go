/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package failover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/test/audit"
)

// Kind is how a leader is lost.
type Kind string

const (
	// Stopped past its lease and then woken, as with SIGSTOP and SIGCONT.
	Stopped Kind = "SIGSTOP"
	// Killed without a chance to say so.
	Killed Kind = "SIGKILL"
	// Terminated as by a rollout, with the time to give the lease back.
	Terminated Kind = "SIGTERM"
)

// Durations are the election's flags of the same names.
type Durations struct{ Lease, Renew, Retry time.Duration }

// DefaultDurations are the operator's defaults.
var DefaultDurations = Durations{Lease: 15 * time.Second, Renew: 10 * time.Second, Retry: time.Second}

// Bound is the longest that a failover may take after SIGKILL: the lease runs out,
// both of the standby's looks at it come as late as client-go's jitter lets them (a
// wait is up to 2.2 times the period), and a second to act.
func (d Durations) Bound() time.Duration { return d.Lease + 2*22*d.Retry/10 + time.Second }

// Options of a run.
type Options struct {
	// Nodes is the size of the fleet.
	Nodes int
	// Seed decides the order of the rounds, their moments, and the load.
	Seed uint64
	// Rounds are how many leaders are lost in which way.
	Rounds    map[Kind]int
	Durations Durations
	// Operator is the operator's binary.
	Operator string
	// Folder receives the operators' logs.
	Folder string
	// Tell, if set, receives how far the run is, in lines.
	Tell func(line string)
}

func (o *Options) tell(format string, arguments ...any) {
	if o.Tell != nil {
		o.Tell(fmt.Sprintf(format, arguments...))
	}
}

// Round is what became of losing one leader.
type Round struct {
	Kind Kind
	// Took is from the signal to the successor's first EC2 write.
	Took time.Duration
	// Released is from SIGTERM to the lease being given back.
	Released time.Duration
}

// Result is what became of a run.
type Result struct {
	Rounds []Round
	// Fouls are writes of replicas that had lost the lead, and promises broken.
	Fouls []string
	// Lost counts leaders that lost the lead by themselves, since the machine was
	// too busy to renew in time.
	Lost int
	// Writes and Calls are the replicas' calls of EC2.
	Writes, Calls int
	// ENIs and Claims are how many there were in the end.
	ENIs, Claims int
}

// Run loses leaders until all rounds are played, and audits what is left.
func Run(ctx context.Context, options Options) (result Result, err error) {
	s, err := newStage(ctx, options)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	loadCtx, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	loaded := make(chan error, 1)
	go func() { loaded <- s.load.run(loadCtx) }()

	for i, kind := range order(options.Rounds, s.rng) {
		round, err := s.round(ctx, kind)
		for errors.Is(err, errCastLost) {
			round, err = s.round(ctx, kind)
		}
		if err != nil {
			return s.result, fmt.Errorf("round %d (%s): %w", i+1, kind, err)
		}
		s.result.Rounds = append(s.result.Rounds, round)
		options.tell("%3d %s: the successor wrote after %s%s", i+1, kind, round.Took.Round(10*time.Millisecond), round.details())
	}
	stopLoad()
	if err := <-loaded; err != nil {
		return s.result, err
	}
	options.tell("the load ends; auditing")
	return s.result, s.conclude(ctx)
}

func (r *Round) details() string {
	if r.Kind != Terminated {
		return ""
	}
	return fmt.Sprintf("; the lease was released after %s", r.Released.Round(time.Millisecond))
}

// order shuffles the rounds.
func order(rounds map[Kind]int, rng *rand.Rand) []Kind {
	var all []Kind
	for _, kind := range slices.Sorted(maps.Keys(rounds)) {
		for range rounds[kind] {
			all = append(all, kind)
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// Longest is the longest failover of a kind.
func (r *Result) Longest(kind Kind) time.Duration {
	var longest time.Duration
	for _, round := range r.Rounds {
		if round.Kind == kind {
			longest = max(longest, round.Took)
		}
	}
	return longest
}

// SlowestRelease is the longest time from SIGTERM to the lease being given back.
func (r *Result) SlowestRelease() time.Duration {
	var slowest time.Duration
	for _, round := range r.Rounds {
		slowest = max(slowest, round.Released)
	}
	return slowest
}

// Write writes what is found, and a line for each kind.
func (r *Result) Write(w io.Writer, options Options) {
	for _, foul := range r.Fouls {
		fmt.Fprintln(w, foul)
	}
	for _, kind := range slices.Sorted(maps.Keys(options.Rounds)) {
		fmt.Fprintf(w, "%s: %d failovers, the longest %s", kind, options.Rounds[kind], r.Longest(kind).Round(10*time.Millisecond))
		switch kind {
		case Killed:
			bound := options.Durations.Bound()
			fmt.Fprintf(w, ", %.2f of the bound of %s", r.Longest(kind).Seconds()/bound.Seconds(), bound)
		case Terminated:
			fmt.Fprintf(w, "; the lease was released after %s at most", r.SlowestRelease().Round(time.Millisecond))
		case Stopped:
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "failover run: %d nodes, seed %d, %d EC2 calls, %d of them writes, %d leaders lost by themselves; in the end %d ENIs, %d claims, %d fouls\n",
		options.Nodes, options.Seed, r.Calls, r.Writes, r.Lost, r.ENIs, r.Claims, len(r.Fouls))
}

// collectedLeaks are the ENIs that a replica's collector had to delete.
func (s *stage) collectedLeaks() ([]string, error) {
	calls := s.cloud.emulator.Calls()
	var leaked []string
	for _, r := range s.replicas {
		collections, err := audit.Collections(r.logFile)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		leaked = append(leaked, audit.Collected(collections, calls)...)
	}
	return leaked, nil
}
