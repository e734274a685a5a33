/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash

import (
	"fmt"
	"slices"
	"sync"
	"syscall"

	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// settings are the operator's flags. Waits are short; nothing but the operator's
// own path heals, so that there is no leader election, no collector and no audit.
var settings = []string{
	"--cluster-name=" + clusterName,
	"--leader-elect=false",
	"--metrics-bind-address=0",
	"--health-probe-bind-address=0",
	"--log-level=debug",
	"--visibility-window=2s",
	"--retry-base-delay=100ms",
	"--retry-max-delay=1s",
	"--audit-interval=1h",
	"--gc-interval=0",
	"--batch-window=5ms",
	"--network-ttl=1s",
	"--kube-api-qps=-1",
}

// operator is the operator as a process that can be killed and started again.
type operator struct {
	binary     string
	flags      []string
	kubeconfig string
	endpoint   string
	logFile    string

	mu      sync.Mutex
	process *controlplane.Process
	killed  bool
}

func (o *operator) start() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.killed = false
	o.process = &controlplane.Process{
		Path: o.binary, Args: slices.Concat(settings, []string{"--kubeconfig=" + o.kubeconfig}, o.flags),
		Env: emulator.Environment(o.endpoint, region, operatorKey), LogFile: o.logFile,
	}
	return o.process.Start()
}

// kill ends the operator as a crash does, and returns when it is dead.
func (o *operator) kill() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.process == nil {
		return
	}
	o.killed = true
	_ = o.process.Signal(syscall.SIGKILL) // It fails only if there is no process any more.
	<-o.process.Done()
}

// ended is an error if the operator has ended without having been killed.
func (o *operator) ended() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case <-o.process.Done():
	default:
		return nil
	}
	if o.killed {
		return nil
	}
	return fmt.Errorf("the operator has ended by itself: %w", o.process.Wait())
}
