/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Command plot draws what `make bench` measured against the number of nodes, and
// puts the figures into docs/performance.md. `make plot` runs it.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// result is an entry of build/bench.json; see test/scale.
type result struct {
	Row    string   `json:"row"`
	Nodes  int      `json:"nodes"`
	Metric string   `json:"metric"`
	Value  float64  `json:"value"`
	Unit   string   `json:"unit"`
	Floor  *float64 `json:"floor"`
	Ratio  *float64 `json:"ratio"`
	Goal   *float64 `json:"goal"`
	Least  bool     `json:"least"`
	Met    *bool    `json:"met"`
}

func main() {
	report := flag.String("report", "build/bench.json", "What make bench measured.")
	page := flag.String("page", "docs/performance.md", "The page that takes the figures; the drawings land beside it.")
	flag.Parse()
	if err := run(*report, *page); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func run(report, page string) error {
	content, err := os.ReadFile(report)
	if err != nil {
		return fmt.Errorf("%w (run: make bench)", err)
	}
	var results []result
	if err := json.Unmarshal(content, &results); err != nil {
		return fmt.Errorf("%s: %w", report, err)
	}
	for _, c := range charts() {
		if err := c.draw(results, filepath.Join(filepath.Dir(page), "performance", c.file)); err != nil {
			return fmt.Errorf("%s: %w", c.file, err)
		}
	}
	return fill(page, table(results))
}

// The page's figures stand between these lines.
const (
	begin = "<!-- figures: made by `make plot` -->"
	end   = "<!-- end of the figures -->"
)

var errNoPlace = errors.New("has no place for the figures: the lines " + begin + " and " + end)

// fill replaces the page's figures.
func fill(page, figures string) error {
	content, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(content), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s %w", page, errNoPlace)
	}
	return os.WriteFile(page, []byte(before+begin+"\n"+figures+end+after), 0o644)
}

// table has a line for each metric that has a floor or a goal, and a column for each
// number of nodes.
func table(results []result) string {
	type key struct{ row, metric string }
	var keys []key
	var sizes []int
	values := map[key]map[int]result{}
	for _, r := range results {
		if r.Goal == nil && r.Floor == nil {
			continue
		}
		k := key{r.Row, r.Metric}
		if values[k] == nil {
			values[k] = map[int]result{}
			keys = append(keys, k)
		}
		values[k][r.Nodes] = r
		if !slices.Contains(sizes, r.Nodes) {
			sizes = append(sizes, r.Nodes)
		}
	}
	slices.Sort(sizes)
	slices.SortStableFunc(keys, func(a, b key) int { return cmp.Compare(a.row, b.row) })
	var text strings.Builder
	text.WriteString("| row | figure |")
	for _, size := range sizes {
		fmt.Fprintf(&text, " %d nodes |", size)
	}
	text.WriteString("\n|---|---|" + strings.Repeat("---|", len(sizes)) + "\n")
	for _, k := range keys {
		fmt.Fprintf(&text, "| %s | %s |", k.row, k.metric)
		for _, size := range sizes {
			fmt.Fprintf(&text, " %s |", cell(values[k], size))
		}
		text.WriteString("\n")
	}
	return text.String()
}

// cell shows a value, its ratio to the floor, and the goal; a missed goal in bold.
func cell(of map[int]result, size int) string {
	r, measured := of[size]
	if !measured {
		return ""
	}
	text := number(r.Value)
	if r.Unit != "" {
		text += " " + r.Unit
	}
	if r.Ratio != nil {
		text += fmt.Sprintf(" = %s × floor", number(*r.Ratio))
	}
	if r.Goal != nil {
		sign := "≤"
		if r.Least {
			sign = "≥"
		}
		text += fmt.Sprintf(" (%s %s)", sign, number(*r.Goal))
	}
	if r.Met != nil && !*r.Met {
		text = "**" + text + "**"
	}
	return text
}

func number(value float64) string { return strconv.FormatFloat(value, 'g', 4, 64) }
