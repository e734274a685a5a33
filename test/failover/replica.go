/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package failover

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// auditInterval is short enough for leaks to be found while a run lasts.
const auditInterval = 5 * time.Second

// settings are the operator's flags but those of the election. Waits are short, so
// that there is always something to write.
var settings = []string{
	"--cluster-name=" + clusterName,
	"--leader-elect-namespace=" + namespace,
	"--metrics-bind-address=0",
	"--health-probe-bind-address=0",
	"--log-level=debug",
	"--cooldown=1s",
	"--idle-release-after=2s",
	"--node-gone-grace=10s",
	"--visibility-window=2s",
	"--retry-base-delay=100ms",
	"--retry-max-delay=5s",
	"--audit-interval=" + auditInterval.String(),
	"--gc-interval=" + auditInterval.String(),
	"--gc-grace=5s",
	"--batch-window=20ms",
	"--busy-batch-window=500ms",
	"--network-ttl=5s",
}

// replica is one of the operator's processes.
type replica struct {
	process *controlplane.Process
	// key is the access key id that it signs with.
	key     string
	logFile string
}

// startReplica starts a further replica.
func (s *stage) startReplica() (*replica, error) {
	s.started++
	r := &replica{
		key:     fmt.Sprintf("AKIAREPLICA%04d", s.started),
		logFile: filepath.Join(s.options.Folder, fmt.Sprintf("replica-%04d.log", s.started)),
	}
	durations := s.options.Durations
	r.process = &controlplane.Process{
		Path: s.options.Operator, LogFile: r.logFile, StopTimeout: 30 * time.Second,
		Args: append(slices.Clone(settings), "--kubeconfig="+s.kube.Plane.KubeconfigPath,
			"--leader-elect-lease-duration="+durations.Lease.String(), "--leader-elect-renew-deadline="+durations.Renew.String(),
			"--leader-elect-retry-period="+durations.Retry.String()),
		Env: emulator.Environment(s.cloud.server.URL, region, r.key),
	}
	s.replicas = append(s.replicas, r)
	return r, r.process.Start()
}

// logged says whether the replica has logged a text.
func (r *replica) logged(text string) bool {
	content, err := os.ReadFile(r.logFile)
	return err == nil && bytes.Contains(content, []byte(text))
}

// leads says whether the replica has been elected. Whoever loses the lead ends.
func (r *replica) leads() bool { return r.logged("Successfully acquired lease") }

// warm says whether the replica could take over: it has read EC2, and its watches
// have begun.
func (r *replica) warm() bool {
	return r.logged("Attempting to acquire leader lease") && r.logged("EC2 is reachable and our ENIs are known")
}

func (r *replica) ended() bool {
	select {
	case <-r.process.Done():
		return true
	default:
		return false
	}
}

// end kills a replica if it still runs.
func (r *replica) end() {
	if r.process.Done() == nil || r.ended() {
		return
	}
	_ = r.process.Signal(syscall.SIGKILL) // It fails only if there is no process any more.
	<-r.process.Done()
}
