/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package bundle

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"gotest.tools/v3/assert"
)

// kustomize is what kustomize makes of a folder of config.
func kustomize(t *testing.T, folder string) []byte {
	t.Helper()
	program := repository(t, "build", "tools", "kustomize")
	if _, err := os.Stat(program); err != nil {
		t.Fatal("kustomize is missing: run `make tools`")
	}
	command := exec.Command(program, "build", repository(t, folder))
	command.Stderr = os.Stderr
	output, err := command.Output()
	assert.NilError(t, err)
	return output
}

// generate runs the generator of bundles.
func generate(t *testing.T, output string, flags ...string) {
	t.Helper()
	command := exec.Command("go", append([]string{
		"run", "./hack/bundle", "--output", output,
	}, flags...)...)
	command.Dir = repository(t)
	command.Stdin = bytes.NewReader(kustomize(t, "config/manifests"))
	said, err := command.CombinedOutput()
	assert.NilError(t, err, string(said))
}
