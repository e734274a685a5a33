/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package fault

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/eni-operator/eni-operator/test/controlplane"
)

// The operator's waits, short enough for many of them to be in a run.
const (
	cooldown         = time.Second
	idleReleaseAfter = 2 * time.Second
	auditInterval    = 2 * time.Second
)

var settings = []string{
	"--cluster-name=" + clusterName,
	"--leader-elect=false",
	"--metrics-bind-address=0",
	"--health-probe-bind-address=0",
	"--log-level=debug",
	"--cooldown=" + cooldown.String(),
	"--idle-release-after=" + idleReleaseAfter.String(),
	"--node-gone-grace=10s",
	"--retry-base-delay=100ms",
	"--retry-max-delay=5s",
	"--audit-interval=" + auditInterval.String(),
	"--gc-interval=" + auditInterval.String(),
	"--gc-grace=5s",
	"--batch-window=20ms",
	"--busy-batch-window=500ms",
	"--network-ttl=5s",
	"--kube-api-qps=-1",
}

// operator is the operator's process.
type operator struct {
	process *controlplane.Process
	logFile string
}

// startOperator starts the binary with our settings; further flags win over them.
func startOperator(binary, logFile string, environment []string, flags ...string) (*operator, error) {
	o := &operator{logFile: logFile, process: &controlplane.Process{
		Path: binary, Args: append(slices.Clone(settings), flags...),
		Env: environment, LogFile: logFile, StopTimeout: 30 * time.Second,
	}}
	return o, o.process.Start()
}

// crash kills the operator with SIGKILL and starts it again.
func (o *operator) crash() error {
	if err := o.process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-o.process.Done()
	o.process = &controlplane.Process{
		Path: o.process.Path, Args: o.process.Args, Env: o.process.Env, LogFile: o.logFile, StopTimeout: o.process.StopTimeout,
	}
	return o.process.Start()
}

// alive is an error if the operator has ended by itself.
func (o *operator) alive() error {
	select {
	case <-o.process.Done():
		return fmt.Errorf("the operator has ended by itself: %w", errors.Join(o.process.Wait()))
	default:
		return nil
	}
}
