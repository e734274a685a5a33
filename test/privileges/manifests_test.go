/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package privileges

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/eni-operator/eni-operator/test/controlplane"
)

// manifests are what kustomize makes of a folder of config.
func manifests(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	root, err := controlplane.RepositoryRoot()
	assert.NilError(t, err)
	program := filepath.Join(root, "build", "tools", "kustomize")
	if _, err := os.Stat(program); err != nil {
		t.Fatal("kustomize is missing: run `make tools`")
	}
	command := exec.Command(program, "build", filepath.Join(root, folder))
	command.Stderr = os.Stderr
	output, err := command.Output()
	assert.NilError(t, err)
	var all []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(output), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return all
		}
		assert.NilError(t, err)
		all = append(all, object)
	}
}
