package controlplane

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"
)

// parentVariable makes the test binary act as the parent that is killed.
const parentVariable = "CONTROLPLANE_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentVariable) != "" {
		beParent()
	}
	os.Exit(runWithOwnTempDir(m))
}

// runWithOwnTempDir keeps the folders of other packages' control planes out of
// assertNothingLeft.
func runWithOwnTempDir(m *testing.M) int {
	dir, err := os.MkdirTemp("", "controlplane-test-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	_ = os.Setenv("TMPDIR", dir)
	return m.Run()
}

// beParent starts a control plane and one more child, says so, and waits for the
// end.
func beParent() {
	plane, err := Start(context.Background(), Options{CRDs: noCRDs})
	if err == nil {
		err = (&Process{Path: "/bin/sleep", Args: []string{"600"}}).Start()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(plane.folder.path)
	select {}
}

func TestKilledParentLeavesNothing(t *testing.T) {
	assert.Assert(t, guardAvailable(), "setpriv of util-linux is missing")
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"=yes")
	parent.Stderr = os.Stderr
	stdout, err := parent.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, parent.Start())
	lines := bufio.NewScanner(stdout)
	assert.Assert(t, lines.Scan())
	dir := lines.Text()
	started := children(t, parent.Process.Pid)
	assert.Equal(t, len(started), 4, "etcd, kube-apiserver, kube-controller-manager and sleep")

	assert.NilError(t, parent.Process.Kill())
	_ = parent.Wait()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		for _, pid := range started {
			if running(pid) {
				return poll.Continue("process %d is left: %s", pid, commandLine(pid))
			}
		}
		return poll.Success()
	})

	_, err = os.Stat(dir)
	assert.NilError(t, err)
	next, err := newFolder()
	assert.NilError(t, err)
	assert.NilError(t, next.remove())
	_, err = os.Stat(dir)
	assert.ErrorIs(t, err, os.ErrNotExist, "the next control plane removes what the killed one left")
}

// children are the processes whose parent is pid.
func children(t *testing.T, pid int) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	assert.NilError(t, err)
	var pids []int
	for _, file := range files {
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		assert.NilError(t, err)
		if state, parent := stat(child); parent == pid && state != "Z" {
			pids = append(pids, child)
		}
	}
	return pids
}

// running tells whether a process does anything still: one that nobody waits
// for stays as a zombie.
func running(pid int) bool {
	state, _ := stat(pid)
	return state != "" && state != "Z"
}

// stat returns a process's state and parent, see proc(5).
func stat(pid int) (state string, parent int) {
	content, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return "", 0
	}
	afterName := string(content[strings.LastIndexByte(string(content), ')')+1:])
	_, _ = fmt.Sscan(afterName, &state, &parent)
	return state, parent
}

func procFile(pid int, name string) string {
	return fmt.Sprintf("/proc/%d/%s", pid, name)
}
