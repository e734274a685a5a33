package controlplane

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	folderPrefix = "eni-operator-controlplane-"
	lockName     = "lock"
)

// folder is the temporary folder of one control plane. Its lock is held while
// the process lives, so that others can tell what a killed one left.
type folder struct {
	path string
	lock *os.File
}

// newFolder makes a folder, after removing those of killed processes.
func newFolder() (*folder, error) {
	removeAbandoned()
	path, err := os.MkdirTemp("", folderPrefix)
	if err != nil {
		return nil, err
	}
	lock, err := newLock(path)
	if err != nil {
		return nil, err
	}
	return &folder{path: path, lock: lock}, nil
}

// newLock gives the lock its name only when it is held: a folder without one
// is just being made.
func newLock(dir string) (*os.File, error) {
	lock, err := os.CreateTemp(dir, lockName)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, err
	}
	return lock, os.Rename(lock.Name(), filepath.Join(dir, lockName))
}

// removeAbandoned does what it can: what it leaves only takes up space.
func removeAbandoned() {
	locks, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*", lockName))
	for _, path := range locks {
		lock, err := os.Open(path)
		if err != nil {
			continue // its owner was faster, or is another user
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
		_ = lock.Close()
	}
}

func (f *folder) remove() error {
	defer func() { _ = f.lock.Close() }()
	return os.RemoveAll(f.path)
}

func (f *folder) mkdir(name string) (string, error) {
	path := filepath.Join(f.path, name)
	return path, os.Mkdir(path, 0o700)
}

// write writes a new file, whose name is made from pattern as by os.CreateTemp.
func (f *folder) write(pattern string, content []byte) (string, error) {
	file, err := os.CreateTemp(f.path, pattern)
	if err != nil {
		return "", err
	}
	if _, err := file.Write(content); err != nil {
		return "", err
	}
	return file.Name(), file.Close()
}

// guarded returns a program that runs the one at path, and ends with this
// process, for starters that cannot set what Process sets.
func (f *folder) guarded(path string) (string, error) {
	if !guardAvailable() {
		return path, nil
	}
	// The inner shell covers a parent that ended before the guard stood.
	script := fmt.Sprintf("#!/bin/sh\nexec setpriv --pdeathsig KILL /bin/sh -c '[ $PPID = %d ] && exec \"$0\" \"$@\"' '%s' \"$@\"\n",
		os.Getpid(), strings.ReplaceAll(path, "'", `'\''`))
	guarded := filepath.Join(f.path, filepath.Base(path)+".sh")
	return guarded, os.WriteFile(guarded, []byte(script), 0o700)
}
