/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package mutants

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// TestDefectsApply to the code as it is, and the tests that they name are there.
func TestDefectsApply(t *testing.T) {
	repository, err := filepath.Abs("../..")
	assert.NilError(t, err)
	defects, err := Defects(t.Context(), repository, "test/mutants/defects")
	assert.NilError(t, err)
	assert.Assert(t, len(defects) > 0)

	for _, defect := range defects {
		folders, pattern, found := strings.Cut(strings.Join(defect.Tests, " "), " -run ")
		assert.Assert(t, found, "%s: %q", defect.Name, defect.Tests)
		for _, folder := range strings.Fields(folders) {
			assert.Assert(t, hasTest(t, filepath.Join(repository, folder), pattern), "%s: %s has no test %s", defect.Name, folder, pattern)
		}
	}
}

var testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// hasTest reports whether a folder has a test whose name matches.
func hasTest(t *testing.T, folder, pattern string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	assert.NilError(t, err)
	wanted := regexp.MustCompile(pattern)
	for _, file := range files {
		content, err := os.ReadFile(file) //nolint:gosec // a file of the repository
		assert.NilError(t, err)
		for _, match := range testFunction.FindAllSubmatch(content, -1) {
			if wanted.Match(match[1]) {
				return true
			}
		}
	}
	return false
}

// TestMechanical: the conditions, operands and guards of a file each make a mutant.
func TestMechanical(t *testing.T) {
	repository := t.TempDir()
	const source = `package a

func f(a, b bool) error {
	if err := permit(a); err != nil {
		return err
	}
	if err := r.permit(a); err != nil {
		return err
	}
	if err := r.other(); err != nil {
		return err
	}
	if a && b {
		return nil
	}
	return nil
}

func g(a bool) bool { return a }
`
	assert.NilError(t, os.WriteFile(filepath.Join(repository, "a.go"), []byte(source), 0o600))
	found, err := Mechanical(repository, "a.go")
	assert.NilError(t, err)

	var what []string
	for _, m := range found {
		what = append(what, m.What)
	}
	assert.DeepEqual(t, what, []string{"ignored: r.permit(a)", "negated: a && b", "removed: a", "removed: b", "negated: a"})
}
