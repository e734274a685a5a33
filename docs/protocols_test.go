/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package docs holds the pages to the code that they are about.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

const root = ".."

// anchors are the headings of a page, as links name them.
func anchors(t *testing.T, page string) map[string]bool {
	t.Helper()
	content, err := os.ReadFile(page)
	assert.NilError(t, err)
	found := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(content), -1) {
		words := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		found[strings.ReplaceAll(words, " ", "-")] = true
	}
	return found
}

// TestEverySectionNamesTestsThatExist: a protocol without one is a wish.
func TestEverySectionNamesTestsThatExist(t *testing.T) {
	content, err := os.ReadFile("protocols.md")
	assert.NilError(t, err)
	sections := strings.Split(string(content), "\n### ")[1:]
	assert.Assert(t, len(sections) >= 30, "%d sections", len(sections))
	for _, section := range sections {
		title, _, _ := strings.Cut(section, "\n")
		named := regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(section, -1)
		assert.Check(t, len(named) > 0, "%s names no test", title)
		for _, test := range named {
			assert.Check(t, defines(t, test[1], test[2]), "%s: there is no %s in %s", title, test[2], test[1])
		}
	}
}

// TestEveryAttackNamesTestsThatExist: make test-attacks runs what the table names.
func TestEveryAttackNamesTestsThatExist(t *testing.T) {
	content, err := os.ReadFile("security.md")
	assert.NilError(t, err)
	_, table, found := strings.Cut(string(content), "\n## Attacks")
	assert.Assert(t, found)
	rows := 0
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| who ") {
			continue
		}
		rows++
		named := regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(line, -1)
		assert.Check(t, len(named) > 0, "no test: %s", line)
		for _, test := range named {
			assert.Check(t, defines(t, test[1], test[2]), "there is no %s in %s", test[2], test[1])
		}
	}
	assert.Assert(t, rows >= 15, "%d attacks", rows)
}

func defines(t *testing.T, folder, test string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	assert.NilError(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		assert.NilError(t, err)
		if strings.Contains(string(content), "\nfunc "+test+"(") {
			return true
		}
	}
	return false
}

// TestTheCodeRefersToSectionsThatExist: by their anchors.
func TestTheCodeRefersToSectionsThatExist(t *testing.T) {
	known, seen := anchors(t, "protocols.md"), 0
	reference := regexp.MustCompile(`docs/protocols\.md#([a-z0-9-]+)`)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // a file of this repository
		if err != nil {
			return err
		}
		for _, found := range reference.FindAllStringSubmatch(string(content), -1) {
			seen++
			assert.Check(t, known[found[1]], "%s refers to #%s", path, found[1])
		}
		return nil
	})
	assert.NilError(t, err)
	assert.Assert(t, seen > 0)
}
