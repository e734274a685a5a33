/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/eni-operator/eni-operator/test/promises"
)

var (
	seeds    = flag.Int("seeds", 0, "histories to play; 0: as many as fit into -duration")
	oneSeed  = flag.Uint64("seed", 0, "the history to play; 0: others each time")
	duration = flag.Duration("duration", 40*time.Second, "how long histories are played")
	shrinks  = flag.Duration("shrink", 2*time.Minute, "how long a failing story may be made shorter")
	survey   = flag.Bool("survey", false, "go on after a failure, do not shrink, and print what was found at the end")
	logFile  = flag.String("log", "", "file for the operator's log, in virtual time")
)

func TestMain(m *testing.M) {
	flag.Parse()
	runtime.GOMAXPROCS(1) // As few schedules as can be.
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			_ = os.Unsetenv(name) // What the account of whoever runs the tests needs.
		}
	}
	log := logr.Discard()
	if *logFile != "" {
		out, err := os.Create(*logFile)
		if err != nil {
			panic(err)
		}
		log = funcr.NewJSON(func(text string) { fmt.Fprintln(out, text) }, funcr.Options{LogTimestamp: true, TimestampFormat: "15:04:05.000"})
	}
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	go watchdog()
	os.Exit(m.Run())
}

// playing is the seed that is played.
var playing atomic.Uint64

// standstill is how long virtual time may stand still: somebody waits for a mutex,
// which virtual time does not know, while its owner waits for time to pass.
const standstill = time.Minute

// watchdog ends the process, with all goroutines, when virtual time stands still.
func watchdog() {
	for {
		before := heartbeat.Load()
		time.Sleep(standstill)
		if heartbeat.Load() == before {
			stacks := make([]byte, 8<<20)
			fmt.Fprintf(os.Stderr, "virtual time stands still in the story of seed %d\n%s", playing.Load(), stacks[:runtime.Stack(stacks, true)])
			os.Exit(3)
		}
	}
}

// TestSimulation plays histories.
func TestSimulation(t *testing.T) {
	played, virtual, began := 0, time.Duration(0), time.Now()
	found := map[string][]string{}
	counts := map[string]int{}
	for time.Since(began) < *duration || *seeds > 0 || *oneSeed > 0 {
		seed := *oneSeed
		if seed == 0 {
			seed = rand.Uint64N(1 << 40)
		}
		playing.Store(seed)
		s := tell(seed)
		result := play(t, s, "")
		if *oneSeed > 0 {
			t.Log("\n" + strings.Join(result.Lines, "\n"))
		}
		played++
		virtual += result.Virtual
		for name := range result.Played {
			counts[name]++
		}
		if len(result.Violations) > 0 && !*survey {
			report(t, s, result)
			break
		}
		for _, v := range result.Violations {
			found[v.Promise] = append(found[v.Promise], fmt.Sprintf("seed %d %s %s", seed, at(v.At.Sub(result.start)), v.What))
		}
		if played == *seeds || *oneSeed > 0 {
			break
		}
	}
	t.Logf("%d histories, %s of cluster life in %s\n%s", played, virtual.Round(time.Minute), time.Since(began).Round(time.Second), table(counts, played))
	for promise, what := range found {
		t.Errorf("%s (%d):\n  %s", promise, len(what), strings.Join(what, "\n  "))
	}
}

// table says in how many histories each adversary did something.
func table(counts map[string]int, played int) string {
	var out strings.Builder
	for _, a := range adversaries() {
		if counts[a.name] == 0 && played < 100 {
			continue
		}
		fmt.Fprintf(&out, "%-12s %-45s %5d of %d\n", a.theme, a.name, counts[a.name], played)
	}
	return out.String()
}

// report shrinks a story that broke a promise, and tells it.
func report(t *testing.T, s story, result outcome) {
	t.Helper()
	first := result.Violations[0]
	small, smallest := shrink(t, s, result, first.Promise)
	var out strings.Builder
	fmt.Fprintf(&out, "seed %d broke a promise; play it again with -args -seed=%d\n\n", s.Seed, s.Seed)
	fmt.Fprintf(&out, "the whole story (%d steps) broke:\n", len(s.Steps))
	for _, v := range result.Violations {
		fmt.Fprintf(&out, "  %s  %s\n", at(v.At.Sub(result.start)), v)
	}
	fmt.Fprintf(&out, "\na shorter story (%d steps):\n", len(small.Steps))
	for _, line := range smallest.Lines {
		fmt.Fprintf(&out, "  %s\n", line)
	}
	for _, v := range smallest.Violations {
		fmt.Fprintf(&out, "  %s  %s\n", at(v.At.Sub(smallest.start)), v)
	}
	t.Error(out.String())
}

// shrink leaves out steps for as long as the same promise is broken.
func shrink(t *testing.T, s story, result outcome, promise string) (story, outcome) {
	t.Helper()
	end := time.Now().Add(*shrinks)
	broke := func(o outcome) bool {
		return slices.ContainsFunc(o.Violations, func(v promises.Violation) bool { return v.Promise == promise })
	}
	try := func(candidate story) bool {
		for range 2 { // The schedule differs a little each time.
			if time.Now().After(end) {
				return false
			}
			if o := play(t, candidate, promise); broke(o) {
				s, result = candidate, o
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
	return s, result
}
