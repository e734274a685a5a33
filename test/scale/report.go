/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// mergeReport puts the results of this run in the place of those that the file
// holds of the same rows and number of nodes, and keeps all others.
func mergeReport(path string, results []result) error {
	if len(results) == 0 {
		return nil
	}
	var before []result
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(content, &before); err != nil {
			return fmt.Errorf("%s is not a report, and is left alone: %w", path, err)
		}
	}
	merged, err := json.MarshalIndent(merge(before, results), "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(merged, '\n'), 0o644)
}

// merge replaces rows as a whole, so that no metric outlives the program that
// measured it.
func merge(before, results []result) []result {
	type key struct {
		row   string
		nodes int
	}
	fresh := map[key]bool{}
	for _, r := range results {
		fresh[key{r.Row, r.Nodes}] = true
	}
	merged := []result{}
	for _, r := range before {
		if !fresh[key{r.Row, r.Nodes}] {
			merged = append(merged, r)
		}
	}
	return append(merged, results...)
}
