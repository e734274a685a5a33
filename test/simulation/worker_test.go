/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// historiesPerProcess bounds what goroutines that stay behind may gather.
const historiesPerProcess = 25

// marker begins the lines of a worker that are records.
const marker = "record "

// work plays histories and writes each down.
func work(t *testing.T) {
	for played := 0; played < historiesPerProcess && played < *seeds; played++ {
		seed := newSeed()
		fmt.Printf("%sbegin %d\n", marker, seed)
		raw, err := json.Marshal(playSeed(t, seed, ""))
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Printf("%s%s\n", marker, raw)
	}
}

// playInProcesses has several processes play, one for each core.
func (all *tally) playInProcesses(t *testing.T) {
	t.Helper()
	var group sync.WaitGroup
	for range *processes {
		group.Go(func() {
			for !all.enough() {
				all.spawn(t)
			}
		})
	}
	group.Wait()
}

// spawn runs one worker and takes in its records.
func (all *tally) spawn(t *testing.T) {
	share := historiesPerProcess
	if *seeds > 0 {
		share = max(1, min(share, (*seeds-all.count())/(*processes)))
	}
	command := exec.Command(os.Args[0], "-test.run=^TestSimulation$", "-test.timeout=0", "-worker", fmt.Sprintf("-seeds=%d", share))
	var trouble bytes.Buffer
	command.Stderr = &trouble
	out, err := command.StdoutPipe()
	if err != nil {
		t.Error(err)
		return
	}
	if err := command.Start(); err != nil {
		t.Error(err)
		return
	}
	begun, told := "", bytes.Buffer{}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		line, isRecord := strings.CutPrefix(lines.Text(), marker)
		seed, begins := strings.CutPrefix(line, "begin ")
		switch {
		case !isRecord:
			told.WriteString(line + "\n")
		case begins:
			begun = seed
		default:
			var one record
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Error(err)
			}
			begun = ""
			all.add(one)
			if all.enough() {
				_ = command.Process.Kill()
			}
		}
	}
	if err := command.Wait(); err != nil && !all.enough() {
		all.fail(fmt.Sprintf("the process that played seed %s: %v\n%s\n%s", begun, err, beginning(told.String()), beginning(trouble.String())))
	}
}

func (all *tally) count() int {
	all.mu.Lock()
	defer all.mu.Unlock()
	return all.played
}

func (all *tally) fail(why string) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.failures = append(all.failures, why)
}

// beginning cuts a long text off.
func beginning(text string) string {
	const most = 20_000
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
