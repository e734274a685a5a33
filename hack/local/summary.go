package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// stopwatch notes after how long each row of the table was ready for the first
// time.
type stopwatch struct {
	started time.Time
	stopped bool
	total   time.Duration
	ready   map[string]time.Duration // by the row's name
	kinds   map[string]string
}

func (w *stopwatch) start() {
	*w = stopwatch{started: time.Now(), ready: map[string]time.Duration{}, kinds: map[string]string{}}
}

func (w *stopwatch) stop() {
	w.total, w.stopped = time.Since(w.started), true
}

func (w *stopwatch) observe(rows []row) {
	if w.stopped {
		return
	}
	for _, r := range rows {
		name := strings.TrimSpace(r.name)
		if _, known := w.ready[name]; r.ready && !known {
			w.ready[name] = time.Since(w.started)
			w.kinds[name] = r.kind
		}
	}
}

// summary tells the times of the nodes one by one, and of the other kinds the
// first and the last.
func (w *stopwatch) summary() []string {
	lines := []string{"TIME TO READY, from applying the policy"}
	first, last := map[string]time.Duration{}, map[string]time.Duration{}
	for _, name := range slices.Sorted(maps.Keys(w.ready)) {
		kind, after := w.kinds[name], w.ready[name]
		if strings.HasPrefix(kind, "node") {
			lines = append(lines, fmt.Sprintf("%-28s %s (%s)", name, seconds(after), strings.TrimPrefix(kind, "node, ")))
			continue
		}
		if earliest, known := first[kind]; !known || after < earliest {
			first[kind] = after
		}
		last[kind] = max(last[kind], after)
	}
	for _, kind := range slices.Sorted(maps.Keys(first)) {
		lines = append(lines, fmt.Sprintf("%-28s first %s, last %s", kind+"s", seconds(first[kind]), seconds(last[kind])))
	}
	return append(lines, fmt.Sprintf("%-28s %s", "everything", seconds(w.total)))
}

func (s *story) summarise(context.Context) error {
	s.screen.text(strings.Join(s.watch.summary(), "\n"))
	s.screen.line("")
	s.screen.text(strings.Join(report(totals(byOperator(s.cloud.emulator.Calls()))), "\n"))
	s.screen.line("")
	s.screen.done("All of it held, in %s", seconds(time.Since(s.screen.started)))
	return nil
}
