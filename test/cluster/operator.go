/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package cluster

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/controlplane"
)

// BuildOperator compiles the operator of this working tree into a folder. It links
// only what has changed since the last test of this tree did.
func BuildOperator(ctx context.Context, folder string) (path string, err error) {
	root, err := controlplane.RepositoryRoot()
	if err != nil {
		return "", err
	}
	if path, err = filepath.Abs(filepath.Join(folder, "eni-operator")); err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return "", err
	}
	kept, unlock, err := lockBinary(root)
	if err != nil {
		return "", err
	}
	defer unlock()
	command := exec.CommandContext(ctx, "go", "build", "-o", kept, ".")
	command.Dir = root
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the operator: %w\n%s", err, output)
	}
	return path, copyFile(kept, path)
}

// lockBinary is where the last operator of a tree is kept, for one process at a time.
// Trees may share a build folder.
func lockBinary(root string) (path string, unlock func(), err error) {
	tree := fnv.New32a()
	_, _ = tree.Write([]byte(root)) // It never fails.
	folder := filepath.Join(root, "build", "test-operator", fmt.Sprintf("%08x", tree.Sum32()))
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return "", nil, err
	}
	lock, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", nil, err
	}
	unlock = func() { _ = lock.Close() } // which unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		unlock()
		return "", nil, fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	return filepath.Join(folder, "eni-operator"), unlock, nil
}

// copyFile copies a program.
func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// LogFolder is a folder for what the operators of a test log. It stays if the test
// fails, unlike t.TempDir.
func LogFolder(t *testing.T, name string) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "eni-operator-"+name+"-") //nolint:usetesting // t.TempDir does not stay
	assert.NilError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("The operators' logs are in", folder)
		} else {
			assert.Check(t, os.RemoveAll(folder))
		}
	})
	return folder
}
