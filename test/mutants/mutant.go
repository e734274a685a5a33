/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package mutants

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Mutant is a changed copy of some of the product's files.
type Mutant struct {
	// Name identifies the mutant in the report.
	Name string
	// What is changed, for people.
	What string
	// Files are the changed contents, by path in the repository.
	Files map[string][]byte
	// Tests are the arguments of the go test command that should find it.
	Tests []string
}

// Verdict is how the tests took a mutant.
type Verdict string

const (
	// Found: a test failed.
	Found Verdict = "found"
	// Survived: all tests passed.
	Survived Verdict = "SURVIVED"
	// Invalid: the changed code does not compile, or the tests could not be run on it,
	// so it says nothing.
	Invalid Verdict = "invalid"
)

// writeOverlay stores a mutant's files in a folder, and returns the path of the
// overlay that go's commands take.
func (m Mutant) writeOverlay(repository, folder string) (string, error) {
	replace := make(map[string]string, len(m.Files))
	for path, content := range m.Files {
		target := filepath.Join(folder, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
			return "", fmt.Errorf("making the folder of %s: %w", path, err)
		}
		if err := os.WriteFile(target, content, 0o600); err != nil {
			return "", fmt.Errorf("writing the changed copy of %s: %w", path, err)
		}
		replace[filepath.Join(repository, filepath.FromSlash(path))] = target
	}

	encoded, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("encoding the overlay of %s: %w", m.Name, err)
	}

	overlay := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(overlay, encoded, 0o600); err != nil {
		return "", fmt.Errorf("writing the overlay of %s: %w", m.Name, err)
	}
	return overlay, nil
}

// Result is what came of one mutant.
type Result struct {
	Mutant  Mutant
	Verdict Verdict
	// By says which test found it, or how it survived.
	By string
}

// Try runs the checks on a mutant, one after the other, until one of them finds it.
func Try(ctx context.Context, repository string, m Mutant, checks []Check) (Result, error) {
	folder, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return Result{}, fmt.Errorf("making a folder for mutant %s: %w", m.Name, err)
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder

	overlay, err := m.writeOverlay(repository, folder)
	if err != nil {
		return Result{}, err
	}

	result := Result{Mutant: m, Verdict: Survived}
	for _, check := range checks {
		result.Verdict, result.By = check.Try(ctx, repository, overlay, m)
		if ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		if result.Verdict != Survived {
			return result, nil
		}
	}
	return result, nil
}
