/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package bundle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/operator-framework/operator-registry/alpha/declcfg"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/bundle/catalog"
)

func TestCatalogIsWrittenAndReadBack(t *testing.T) {
	csv := readCSV(t)
	config, err := catalog.Build(catalog.Bundle{Folder: repository(t, "bundle")})
	assert.NilError(t, err)
	packages, err := declcfg.ConvertToModel(*config)
	assert.NilError(t, err)
	assert.NilError(t, packages.Validate())

	offered := packages["eni-operator"]
	assert.Assert(t, offered != nil)
	assert.Equal(t, offered.DefaultChannel.Name, "candidate")
	head, err := offered.DefaultChannel.Head()
	assert.NilError(t, err)
	assert.Equal(t, head.Name, csv.Name)
	assert.Equal(t, len(head.PropertiesP.GVKs), 4)
	files, err := os.ReadDir(repository(t, "bundle", "manifests"))
	assert.NilError(t, err)
	assert.Equal(t, len(head.Objects), len(files))
}

// TestNextVersionUpgradesThisOne makes the bundle of the next version, as the next
// release will, and a channel of both.
func TestNextVersionUpgradesThisOne(t *testing.T) {
	csv := readCSV(t)
	next := csv.Spec.Version
	next.Minor++
	folder := t.TempDir()
	generate(t, folder, "--version", next.String(), "--replaces", csv.Spec.Version.String(), "--image", "example.com/eni-operator:next")
	assert.DeepEqual(t, validate(t, filepath.Join(folder, "bundle")), []string(nil))

	config, err := catalog.Build(
		catalog.Bundle{Folder: repository(t, "bundle")},
		catalog.Bundle{Folder: filepath.Join(folder, "bundle")},
	)
	assert.NilError(t, err)
	packages, err := declcfg.ConvertToModel(*config)
	assert.NilError(t, err)
	assert.NilError(t, packages.Validate())
	head, err := packages["eni-operator"].DefaultChannel.Head()
	assert.NilError(t, err)
	assert.Equal(t, head.Name, "eni-operator.v"+next.String())
	assert.Equal(t, head.Replaces, csv.Name)
	assert.Equal(t, head.SkipRange, ">=0.1.0 <"+next.String())
}

func TestGeneratorGivesTheSameBytesTwice(t *testing.T) {
	folders := [2]string{t.TempDir(), t.TempDir()}
	for _, folder := range folders {
		generate(t, folder, "--version", "1.2.3", "--image", "example.com/eni-operator:v1.2.3")
	}
	contents := [2]map[string]string{}
	for i, folder := range folders {
		contents[i] = map[string]string{}
		assert.NilError(t, filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			contents[i][strings.TrimPrefix(path, folder)] = string(content)
			return err
		}))
	}
	assert.DeepEqual(t, contents[0], contents[1])
	assert.Assert(t, len(contents[0]) > 10)
}
