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
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

var (
	seeds     = flag.Int("seeds", 0, "how many histories to play; 0: as many as fit into -duration")
	oneSeed   = flag.Uint64("seed", 0, "the only history to play; 0: others each time")
	duration  = flag.Duration("duration", 40*time.Second, "how long histories are played")
	processes = flag.Int("processes", 1, "how many processes play at the same time")
	shrinks   = flag.Duration("shrink", 2*time.Minute, "how long a story that broke a promise may be made shorter")
	survey    = flag.Bool("survey", false, "go on after a broken promise, shrink nothing, and list everything at the end")
	stories   = flag.String("stories", "", "folder to which stories that broke a promise are written")
	logFile   = flag.String("log", "", "file for the operator's log, in virtual time")
	worker    = flag.Bool("worker", false, "be one of several processes: write what happens to standard output as JSON")
)

// garbage is how much may gather, in percent of what is in use: there is memory enough,
// and a history leaves little behind.
const garbage = 400

func TestMain(m *testing.M) {
	flag.Parse()
	runtime.GOMAXPROCS(1) // As few schedules as can be.
	debug.SetGCPercent(garbage)
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
	logErrorsAtOnce()
	os.Exit(m.Run())
}

// logErrorsAtOnce drops the pause after an error of client-go's own: it keeps the last
// error's time for the whole process, in real time at first and in that of another
// history later, and would hold up a watch for years of virtual time.
func logErrorsAtOnce() {
	utilruntime.ErrorHandlers = utilruntime.ErrorHandlers[:1]
}

// playing is the seed that is played, or 0.
var playing atomic.Uint64

// standstill is how long virtual time may stand still: somebody waits for a mutex,
// which virtual time does not know, while its owner waits for time to pass.
const standstill = 2 * time.Minute

// watchdog ends the process, with all goroutines, when virtual time stands still.
func watchdog() {
	for {
		before := heartbeat.Load()
		time.Sleep(standstill)
		if seed := playing.Load(); seed != 0 && heartbeat.Load() == before {
			stacks := make([]byte, 32<<20)
			all := string(stacks[:runtime.Stack(stacks, true)])
			file := filepath.Join(os.TempDir(), fmt.Sprintf("standstill-%d.txt", seed))
			if err := os.WriteFile(file, []byte(all), 0o600); err != nil {
				file = err.Error()
			}
			fmt.Fprintf(os.Stderr, "virtual time stands still in the story of seed %d: all goroutines are in %s\n%s", seed, file, awake(all))
			os.Exit(3)
		}
	}
}

// awake are the goroutines of a dump that keep virtual time from going on: those of a
// bubble that are not durably blocked. They wait for a mutex, or run.
func awake(dump string) string {
	var found []string
	for _, one := range strings.Split(dump, "\n\n") {
		head, _, _ := strings.Cut(one, "\n")
		if strings.Contains(head, "synctest bubble") && !strings.Contains(head, "(durable)") {
			found = append(found, one)
		}
	}
	return strings.Join(found, "\n\n")
}

// TestSimulation plays histories.
func TestSimulation(t *testing.T) {
	go watchdog()
	all := &tally{began: time.Now(), counts: map[string]int{}}
	switch {
	case *worker:
		work(t)
		return
	case *oneSeed != 0:
		one := playSeed(t, *oneSeed, "")
		t.Log("\n" + strings.Join(one.Lines, "\n"))
		all.add(one)
	case *processes > 1:
		all.playInProcesses(t)
	default:
		all.playHere(t)
	}
	all.print(t)
}

// playHere plays histories in this process.
func (all *tally) playHere(t *testing.T) {
	for !all.enough() {
		all.add(playSeed(t, newSeed(), ""))
	}
}

// newSeed is a seed that was not played before, in all likelihood.
func newSeed() uint64 { return 1 + rand.Uint64N(1<<40) }

// playSeed plays the story of a seed.
func playSeed(t *testing.T, seed uint64, until string) record {
	t.Helper()
	return playStory(t, makeUp(seed), until)
}

func playStory(t *testing.T, s story, until string) record {
	t.Helper()
	playing.Store(s.Seed)
	defer playing.Store(0)
	return play(t, s, until)
}
