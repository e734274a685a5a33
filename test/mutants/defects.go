/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package mutants

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Defects returns the mutants of the patches in a folder of the repository. A patch
// begins with lines of the form "key: value": "defect" says what comes back with it,
// and "tests" holds arguments of go test, as in "./controllers/pool -run ^TestX$".
func Defects(ctx context.Context, repository, folder string) ([]Mutant, error) {
	patches, err := filepath.Glob(filepath.Join(repository, filepath.FromSlash(folder), "*.patch"))
	if err != nil {
		return nil, fmt.Errorf("listing the patches in %s: %w", folder, err)
	}

	var found []Mutant
	for _, patch := range patches {
		m, err := defect(ctx, repository, patch)
		if err != nil {
			return nil, err
		}
		found = append(found, m)
	}
	return found, nil
}

func defect(ctx context.Context, repository, patch string) (Mutant, error) {
	content, err := os.ReadFile(patch) //nolint:gosec // a file of the repository
	if err != nil {
		return Mutant{}, fmt.Errorf("reading %s: %w", patch, err)
	}

	m := Mutant{Name: strings.TrimSuffix(filepath.Base(patch), ".patch"), Files: map[string][]byte{}}
	var paths []string
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, len(content)+1)
	for lines.Scan() {
		line := lines.Text()
		if value, ok := strings.CutPrefix(line, "defect: "); ok {
			m.What = value
		}
		if value, ok := strings.CutPrefix(line, "tests: "); ok {
			m.Tests = strings.Fields(value)
		}
		if path, ok := strings.CutPrefix(line, "+++ b/"); ok {
			paths = append(paths, path)
		}
	}
	if m.What == "" || len(m.Tests) == 0 || len(paths) == 0 {
		return Mutant{}, fmt.Errorf("%s: a patch needs the lines \"defect: …\" and \"tests: …\", and a change", patch)
	}
	err = m.apply(ctx, repository, patch, paths)
	return m, err
}

// apply applies a patch to copies of the files that it changes.
func (m *Mutant) apply(ctx context.Context, repository, patch string, paths []string) error {
	scratch, err := os.MkdirTemp("", "patch-")
	if err != nil {
		return fmt.Errorf("making a folder for %s: %w", m.Name, err)
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // a temporary folder

	for _, path := range paths {
		if err := copyFile(filepath.Join(repository, path), filepath.Join(scratch, path)); err != nil {
			return fmt.Errorf("copying a file that %s changes: %w", m.Name, err)
		}
	}
	command := exec.CommandContext(ctx, "git", "apply", "--recount", patch) //nolint:gosec // a file of the repository
	command.Dir = scratch
	command.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(scratch))
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s does not apply to the code as it is; make it again: %w\n%s", m.Name, err, output)
	}

	for _, path := range paths {
		changed, err := os.ReadFile(filepath.Join(scratch, path)) //nolint:gosec // written above
		if err != nil {
			return fmt.Errorf("reading what %s changed: %w", m.Name, err)
		}
		m.Files[path] = changed
	}
	return nil
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from) //nolint:gosec // a file of the repository
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}
