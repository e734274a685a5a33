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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eni-operator/eni-operator/test/cluster"
	"github.com/eni-operator/eni-operator/test/controlplane"
)

// shared is the world of most scenarios, and its operator is in this process.
var shared *world

// apart are the control planes of the scenarios that bring an operator of their own.
var apart planes

// planes are control planes by the test whose scenarios take turns on one. Each is
// started when the first of them asks for it.
type planes struct {
	mu      sync.Mutex
	running map[string]*controlplane.ControlPlane
}

// of is the control plane of a test, which asks for it from one scenario at a time.
func (p *planes) of(test string) (*controlplane.ControlPlane, error) {
	p.mu.Lock()
	plane := p.running[test]
	p.mu.Unlock()
	if plane != nil {
		return plane, nil
	}
	plane, err := controlplane.Start(context.Background(), controlplane.Options{WithoutControllerManager: true})
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		p.running = map[string]*controlplane.ControlPlane{}
	}
	p.running[test] = plane
	return plane, nil
}

func (p *planes) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, plane := range p.running {
		_ = plane.Stop()
	}
}

// operatorBinary builds the operator when the first scenario needs it as a process.
var operatorBinary = sync.OnceValues(func() (string, error) {
	return cluster.BuildOperator(context.Background(), scratch)
})

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
	for _, entry := range awsEnvironment("http://127.0.0.1:1") {
		key, value, _ := strings.Cut(entry, "=")
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
	stops = append(stops, func() { _ = plane.Stop() }, apart.stop)
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

// patience is how long anything is waited for. It is much longer than anything
// takes, since the machine may be busy, and says nothing about speed.
const patience = 90 * time.Second

// glance is the pause between two looks.
const glance = 50 * time.Millisecond

// retryBaseDelay is the operators' shortest pause after a failure.
const retryBaseDelay = 200 * time.Millisecond
