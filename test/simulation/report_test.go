/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tally sums up what was played.
type tally struct {
	began time.Time

	mu      sync.Mutex
	played  int
	virtual time.Duration
	// shortest is how long the shortest history lasted.
	shortest time.Duration
	counts   map[string]int // by adversary
	broken   []record
	// failures are stories that could not be played to their end.
	failures []string
}

// add takes in a history.
func (all *tally) add(one record) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.played++
	all.virtual += one.Virtual
	if all.shortest == 0 || one.Virtual < all.shortest {
		all.shortest = one.Virtual
	}
	for _, name := range one.Played {
		all.counts[name]++
	}
	if all.played%historiesPerProcess == 0 {
		fmt.Fprintf(os.Stderr, "%d histories, %s of cluster life so far\n", all.played, all.virtual.Round(time.Minute))
	}
	if len(one.Broken) == 0 {
		return
	}
	all.broken = append(all.broken, one)
	fmt.Fprintf(os.Stderr, "history %d, of seed %d, broke: %s\n", all.played, one.Seed, one.Broken[0])
	if err := save(one); err != nil {
		all.failures = append(all.failures, err.Error())
	}
}

// enough reports whether no further history is to begin.
func (all *tally) enough() bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	switch {
	case (len(all.broken) > 0 || len(all.failures) > 0) && !*survey:
		return true
	case *seeds > 0:
		return all.played >= *seeds
	}
	return time.Since(all.began) >= *duration
}

// print tells how it went.
func (all *tally) print(t *testing.T) {
	t.Helper()
	t.Logf("%d histories, %s of cluster life, %s at least each, in %s\n%s", all.played, all.virtual.Round(time.Minute),
		all.shortest.Round(time.Minute), time.Since(all.began).Round(time.Second), all.table())
	for _, failure := range all.failures {
		t.Error(failure)
	}
	switch {
	case *survey:
		all.printSurvey(t)
	case len(all.broken) > 0:
		t.Error(explain(t, all.broken[0]))
	}
}

// table says in how many histories each adversary did something.
func (all *tally) table() string {
	var out strings.Builder
	for _, a := range adversaries() {
		fmt.Fprintf(&out, "%-10s %-45s %6d\n", a.theme, a.name, all.counts[a.name])
	}
	for _, mode := range endings[1:] {
		fmt.Fprintf(&out, "%-10s %-45s %6d\n", "ending", endingName(mode), all.counts[endingName(mode)])
	}
	return out.String()
}

// printSurvey lists what was broken, by promise.
func (all *tally) printSurvey(t *testing.T) {
	t.Helper()
	found := map[string][]string{}
	for _, one := range all.broken {
		for _, b := range one.Broken {
			found[b.Promise] = append(found[b.Promise], fmt.Sprintf("seed %d %s %s", one.Seed, at(b.At), b.What))
		}
	}
	for _, promise := range slices.Sorted(maps.Keys(found)) {
		t.Errorf("%s (%d):\n  %s", promise, len(found[promise]), strings.Join(found[promise], "\n  "))
	}
}

// save writes a story that broke a promise to a file.
func save(one record) error {
	if *stories == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(*stories, fmt.Sprint(one.Seed)), []byte(one.text()), 0o600)
}

// explain shrinks a story that broke a promise, and tells it.
func explain(t *testing.T, one record) string {
	t.Helper()
	s := makeUp(one.Seed)
	whole, first := len(s.Steps), one.Broken[0]
	// What comes later has no part in it.
	s.Steps = slices.DeleteFunc(s.Steps, func(later step) bool { return later.At > first.At })
	small, smallest := shrink(t, s, one, first.Promise)
	var out strings.Builder
	fmt.Fprintf(&out, "seed %d broke promises; play it again with -args -seed=%d\n", one.Seed, one.Seed)
	fmt.Fprintf(&out, "the whole story has %d steps, this one %d:\n\n%s\nthe whole story broke:\n", whole, len(small.Steps), smallest.text())
	for _, b := range one.Broken {
		fmt.Fprintln(&out, b)
	}
	return out.String()
}

// shrink leaves out steps for as long as the same promise is broken.
func shrink(t *testing.T, s story, one record, promise string) (story, record) {
	t.Helper()
	end := time.Now().Add(*shrinks)
	try := func(candidate story) bool {
		for range 2 { // The schedule differs a little each time.
			if time.Now().After(end) {
				return false
			}
			if o := playStory(t, candidate, promise); o.broke(promise) {
				s, one = candidate, o
				return true
			}
		}
		return false
	}
	for chunk := len(s.Steps) / 2; chunk >= 1; chunk /= 2 {
		for from := 0; from < len(s.Steps); {
			shorter := s
			shorter.Steps = slices.Delete(slices.Clone(s.Steps), from, min(from+chunk, len(s.Steps)))
			if !try(shorter) {
				from += chunk
			}
		}
	}
	return s, one
}
