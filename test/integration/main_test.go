/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/eni-operator/eni-operator/test/controlplane"
)

// shared is the world of most scenarios, and its operator is in this process.
var shared *world

// apart starts the world of the scenarios that bring an operator of their own,
// when the first of them asks for it.
var apart = sync.OnceValues(func() (*controlplane.ControlPlane, error) {
	return controlplane.Start(context.Background(), controlplane.Options{WithoutControllerManager: true})
})

// operatorBinary builds the operator when the first scenario needs it as a process.
var operatorBinary = sync.OnceValues(buildOperator)

// scratch is a folder for logs and binaries. It stays if a test fails.
var scratch string

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(max(scenariosAtOnce, runtime.GOMAXPROCS(0)))); err != nil {
		os.Exit(refuse(err))
	}
	os.Exit(run(m))
}

// scenariosAtOnce is more than there are processors on a small machine: scenarios
// wait most of the time.
const scenariosAtOnce = 6

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "eni-operator-integration-"); err != nil {
		return refuse(err)
	}
	for key, value := range awsEnvironment("http://127.0.0.1:1") {
		if err := os.Setenv(key, value); err != nil {
			return refuse(err)
		}
	}
	if err := logTo(filepath.Join(scratch, "operator.log")); err != nil {
		return refuse(err)
	}
	stop, err := startSharedWorld()
	defer stop()
	if err != nil {
		return refuse(err)
	}
	code := m.Run()
	if fouls := shared.touched(); len(fouls) > 0 {
		code = refuse(fmt.Errorf("at the end of the run the call log shows: %q", fouls))
	}
	if code == 0 {
		_ = os.RemoveAll(scratch)
	} else {
		fmt.Fprintln(os.Stderr, "The operators' logs are in", scratch)
	}
	return code
}

func refuse(err error) int {
	fmt.Fprintln(os.Stderr, "test/integration:", err)
	return 1
}

// startSharedWorld starts the control plane, the emulator and the operator that
// most scenarios share. The function returned stops whatever was started.
func startSharedWorld() (stop func(), err error) {
	stops := []func(){}
	stop = func() {
		for i := range stops {
			stops[len(stops)-1-i]()
		}
	}
	plane, err := controlplane.Start(context.Background(), controlplane.Options{})
	if err != nil {
		return stop, err
	}
	stops = append(stops, func() { _ = plane.Stop() }, stopApart)
	cloud := newCloud(sharedTimings())
	stops = append(stops, cloud.stop)
	shared, err = newWorld(plane, cloud)
	if err != nil {
		return stop, err
	}
	stops = append(stops, shared.stop)
	stopOperator, err := startInProcess(shared)
	if err == nil {
		stops = append(stops, stopOperator)
	}
	return stop, err
}

// stopApart stops the second control plane if there is one; asking for it starts
// it, so what asked is remembered.
func stopApart() {
	if !apartStarted.Load() {
		return
	}
	if plane, err := apart(); err == nil {
		_ = plane.Stop()
	}
}

// patience is how long anything is waited for. It is much longer than anything
// takes, since the machine may be busy, and says nothing about speed.
const patience = 90 * time.Second

// glance is the pause between two looks.
const glance = 50 * time.Millisecond

// retryBaseDelay is the operators' shortest pause after a failure.
const retryBaseDelay = 200 * time.Millisecond
