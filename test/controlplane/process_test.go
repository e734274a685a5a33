package controlplane

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"
)

func TestProcessStops(t *testing.T) {
	process := startShell(t, `trap 'echo stopping; exit 3' TERM; echo "$GREETING"; while true; do sleep 0.05; done`)
	waitForLog(t, process, "hello\n")
	assert.NilError(t, process.Stop())
	assertExitCode(t, process, 3)
	waitForLog(t, process, "hello\nstopping\n")
	assert.NilError(t, process.Stop())
	assert.ErrorIs(t, process.Signal(syscall.SIGUSR1), os.ErrProcessDone)
}

func TestProcessIsKilledWhenItDoesNotStop(t *testing.T) {
	process := startShell(t, `trap '' TERM; echo ready; while true; do sleep 0.05; done`)
	process.StopTimeout = 100 * time.Millisecond
	waitForLog(t, process, "ready\n")
	assert.Error(t, process.Stop(), "sh did not stop within 100ms and was killed")
	assertExitCode(t, process, -1)
}

func TestProcessEndsByItself(t *testing.T) {
	process := startShell(t, "exit 0")
	select {
	case <-process.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("Done was not closed")
	}
	assert.NilError(t, process.Wait())
}

func TestProcessThatDoesNotExist(t *testing.T) {
	process := &Process{Path: filepath.Join(t.TempDir(), "nothing")}
	assert.ErrorIs(t, process.Start(), os.ErrNotExist)
	assert.NilError(t, process.Stop())
}

func startShell(t *testing.T, script string) *Process {
	t.Helper()
	process := &Process{
		Path:    "/bin/sh",
		Args:    []string{"-c", script},
		Env:     []string{"GREETING=hello"},
		LogFile: filepath.Join(t.TempDir(), "log"),
	}
	assert.NilError(t, process.Start())
	t.Cleanup(func() { _ = process.Stop() })
	return process
}

func waitForLog(t *testing.T, process *Process, want string) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		got, err := os.ReadFile(process.LogFile)
		if err == nil && string(got) == want {
			return poll.Success()
		}
		return poll.Continue("got %q (%v), want %q", got, err, want)
	})
}

func assertExitCode(t *testing.T, process *Process, want int) {
	t.Helper()
	exit, ok := errors.AsType[*exec.ExitError](process.Wait())
	assert.Assert(t, ok, "got %v", process.Wait())
	assert.Equal(t, exit.ExitCode(), want)
}

// assertNothingLeft checks that this process has neither children nor temporary
// folders any more.
func assertNothingLeft(t *testing.T) {
	t.Helper()
	for _, child := range children(t, os.Getpid()) {
		t.Errorf("process %d is left: %s", child, commandLine(child))
	}
	folders, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	assert.NilError(t, err)
	for _, folder := range folders {
		t.Errorf("%s is left", folder)
	}
}

func commandLine(pid int) string {
	content, err := os.ReadFile(procFile(pid, "cmdline"))
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(string(content), "\x00", " ")
}
