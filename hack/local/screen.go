package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// screen writes for people. On a terminal the table is redrawn in place;
// elsewhere each change is a line.
type screen struct {
	out      io.Writer
	terminal *os.File // nil where the output is none
	colours  bool
	started  time.Time

	drawn int      // lines of the table that stand above the cursor
	table []string // the last one
	lines map[string]string
	order []string
}

const (
	bold   = "\x1b[1m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
	// clearBelow takes the number of lines to go up.
	clearBelow = "\x1b[%dA\x1b[J"

	indent = "  "
)

func newScreen(out *os.File) *screen {
	s := &screen{out: out, started: time.Now(), lines: map[string]string{}}
	if term.IsTerminal(int(out.Fd())) {
		s.terminal = out
		s.colours = os.Getenv("NO_COLOR") == ""
	}
	return s
}

// heading begins a chapter.
func (s *screen) heading(number, of int, title string) {
	fmt.Fprintf(s.out, "\n%s\n", s.paint(bold, fmt.Sprintf("%d/%d %s", number, of, title)))
}

// line writes a line of a chapter.
func (s *screen) line(format string, args ...any) {
	s.text(fmt.Sprintf(format, args...))
}

// done writes a line about something that holds.
func (s *screen) done(format string, args ...any) {
	s.text(s.paint(green, "✓ ") + fmt.Sprintf(format, args...))
}

// text writes several lines, indented.
func (s *screen) text(text string) {
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintln(s.out, strings.TrimRight(indent+line, " "))
	}
}

// show brings the table up to date.
func (s *screen) show(rows []row, missing []string) {
	s.table = layout(rows, s.paintState)
	if s.terminal == nil {
		s.showChanges(rows)
		return
	}
	s.redraw(append(s.table, s.progress(missing)))
}

// settle leaves the last table standing, all of it.
func (s *screen) settle() {
	if s.drawn > 0 {
		fmt.Fprintf(s.out, clearBelow, s.drawn)
	} else {
		fmt.Fprintln(s.out)
	}
	s.text(strings.Join(s.table, "\n"))
	s.drawn, s.table = 0, nil
}

// redraw replaces the lines drawn last, as far as they fit on the terminal: what
// has scrolled away cannot be drawn again.
func (s *screen) redraw(lines []string) {
	width, height, err := term.GetSize(int(s.terminal.Fd()))
	if err != nil {
		width, height = 80, 24
	}
	if len(lines) >= height {
		lines = append(lines[:max(1, height-3)], "…", lines[len(lines)-1])
	}
	var frame strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&frame, clearBelow, s.drawn)
	}
	for _, line := range lines {
		frame.WriteString(fit(indent+line, width) + "\n")
	}
	s.drawn = len(lines)
	_, _ = io.WriteString(s.out, frame.String())
}

// showChanges writes a line for each row whose state changed, and for each that
// is gone.
func (s *screen) showChanges(rows []row) {
	current := make(map[string]string, len(rows))
	var order []string
	for _, r := range rows {
		name := strings.TrimSpace(r.name)
		current[name] = r.state
		order = append(order, name)
		if s.lines[name] != r.state {
			s.change(name, strings.TrimRight(fmt.Sprintf("%-16s  %-18s  %s", r.kind, r.state, r.details), " "))
		}
	}
	for _, name := range s.order {
		if _, stays := current[name]; !stays {
			s.change(name, "gone")
		}
	}
	s.lines, s.order = current, order
}

func (s *screen) change(name, what string) {
	fmt.Fprintf(s.out, "%s%7s  %-26s  %s\n", indent, seconds(time.Since(s.started)), name, what)
}

func (s *screen) progress(missing []string) string {
	if len(missing) == 0 {
		return seconds(time.Since(s.started))
	}
	return fmt.Sprintf("%s, waiting for %d: %s", seconds(time.Since(s.started)), len(missing), strings.Join(missing, "; "))
}

func (s *screen) paintState(r row, padded string) string {
	if r.ready {
		return s.paint(green, padded)
	}
	return s.paint(yellow, padded)
}

func (s *screen) paint(colour, text string) string {
	if !s.colours {
		return text
	}
	return colour + text + reset
}

// fit cuts a line at the terminal's width, where it would wrap and count as two.
func fit(line string, width int) string {
	var visible int
	escape := false
	for i, r := range line {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		case visible == width-1:
			return line[:i] + reset
		default:
			visible++
		}
	}
	return line
}
