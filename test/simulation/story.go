/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"math/rand/v2"
	"slices"
	"time"
)

// step is one thing that happens in a story. What it does depends on what there is
// then, and on its own seed alone: a step can be left out without changing the draws
// of the others.
type step struct {
	At        time.Duration
	Adversary string
	Seed      uint64
}

// story is a history of a cluster.
type story struct {
	Seed  uint64
	Steps []step
	// Length is when the adversaries end.
	Length time.Duration
	// End is what comes after everything has settled.
	End ending
}

// adversary is something that happens to a cluster. It returns what it did, for
// people, or nothing where there was nothing to do.
type adversary struct {
	theme, name string
	// weight is how often it is played, in proportion to the others.
	weight int
	play   func(w *world, rng *rand.Rand) string
}

// adversaries are all that there are.
func adversaries() []adversary { return slices.Concat(usual(), further()) }

// usual are the adversaries of a story's plot.
func usual() []adversary {
	return slices.Concat(claimants(), consoles(), hosts(), clocks(), failovers(), networks(), clouds(), subnets(), admissions(), statuses(), policies())
}

// further are the adversaries that come on top of the plot. They are drawn apart from
// it: a seed keeps its plot when some are added here.
func further() []adversary {
	return slices.Concat(omissions(), backups(), machines(), moves(), reservations(), shortages(), corrections())
}

func adversaryNamed(name string) adversary {
	for _, a := range adversaries() {
		if a.name == name {
			return a
		}
	}
	panic("no adversary " + name)
}

// makeUp makes up the story of a seed: its plot, and what comes on top of it, among which
// are the adversaries that a plot seldom has.
func makeUp(seed uint64) story {
	s := plot(seed)
	s.End = endingOf(seed)
	rng := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // repeatable, not secret
	s.stretch(5*time.Hour + time.Duration(rng.Int64N(int64(2*time.Hour))))
	themes := map[string]bool{}
	names := []string{"omissions", "backups", "backups", "machines", "moves", "moves", "reservations", "shortages", "shortages", "corrections", "rare", "rare"}
	for range rng.IntN(6) {
		themes[names[rng.IntN(len(names))]] = true
	}
	var cast []adversary
	total := 0
	for _, a := range further() {
		if themes[a.theme] {
			cast = append(cast, a)
			total += a.weight
		}
	}
	for _, a := range usual() {
		if themes["rare"] && a.weight == 1 {
			cast = append(cast, a)
			total += a.weight
		}
	}
	if total == 0 {
		return s
	}
	for range 1 + rng.IntN(10) {
		a := drawn(cast, rng.IntN(total))
		when := 4*time.Minute + time.Duration(rng.Int64N(int64(s.Length-4*time.Minute)))
		if rng.IntN(3) == 0 { // close to another step
			when = s.Steps[rng.IntN(len(s.Steps))].At + time.Duration(rng.Int64N(int64(2*time.Minute)))
		}
		s.Steps = append(s.Steps, step{At: when, Adversary: a.name, Seed: rng.Uint64()})
	}
	s.sort()
	return s
}

// drawn is the adversary at a place among several, of which each takes its weight.
func drawn(cast []adversary, place int) adversary {
	for _, a := range cast {
		if place -= a.weight; place < 0 {
			return a
		}
	}
	panic("no adversary at this place")
}

// stretch has a story last longer: pauses get longer, and what comes close together stays so.
func (s *story) stretch(length time.Duration) {
	const together = 2 * time.Minute
	factor := float64(length) / float64(s.Length)
	var before, at time.Duration
	for i := range s.Steps {
		pause := s.Steps[i].At - before
		before = s.Steps[i].At
		if pause > together {
			pause = time.Duration(float64(pause) * factor)
		}
		at += pause
		s.Steps[i].At = at
	}
	s.Length = length
}

func (s *story) sort() {
	slices.SortStableFunc(s.Steps, func(a, b step) int { return int(a.At - b.At) })
}

// plot makes up a story of the usual adversaries.
func plot(seed uint64) story {
	rng := rand.New(rand.NewPCG(seed, 5)) //nolint:gosec // repeatable, not secret
	// Each story is about a few themes, so that what they do can meet.
	var cast []adversary
	total := 0
	themes := map[string]bool{"claims": true}
	names := []string{"console", "nodes", "clocks", "failover", "network", "cloud", "subnets", "admission", "statuses", "policies"}
	for range 1 + rng.IntN(4) {
		themes[names[rng.IntN(len(names))]] = true
	}
	for _, a := range usual() {
		if themes[a.theme] {
			cast = append(cast, a)
			total += a.weight
		}
	}
	s := story{Seed: seed, Length: time.Hour + time.Duration(rng.Int64N(int64(4*time.Hour)))}
	steps := 12 + rng.IntN(30)
	// Demand comes first, so that there is something to lose.
	for i := range 3 {
		s.Steps = append(s.Steps, step{At: time.Duration(i+1) * 2 * time.Minute, Adversary: "claims are made", Seed: rng.Uint64()})
	}
	for range steps {
		a := drawn(cast, rng.IntN(total))
		s.Steps = append(s.Steps, step{At: 8*time.Minute + time.Duration(rng.Int64N(int64(s.Length-8*time.Minute))), Adversary: a.name, Seed: rng.Uint64()})
	}
	// Some come close together.
	for i := range s.Steps {
		if i > 3 && rng.IntN(3) == 0 {
			s.Steps[i].At = s.Steps[i-1].At + time.Duration(rng.Int64N(int64(2*time.Minute)))
		}
	}
	s.sort()
	return s
}
