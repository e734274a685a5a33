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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eni-operator/eni-operator/test/cluster"
	"github.com/eni-operator/eni-operator/test/controlplane"
)

// shared is the world of most scenarios, and its operator is in this process.
var shared *world

// planesApart is how many control planes there are for the scenarios that bring an
// operator of their own. One after the other they take as long as all others together.
const planesApart = 2

// planeApart is one of them; it is started when the first scenario gets it.
type planeApart struct{ *controlplane.ControlPlane }

// apart are those that no scenario is using.
var apart = make(chan *planeApart, planesApart)

// operatorBinary builds the operator when the first scenario needs it as a process.
var operatorBinary = sync.OnceValues(func() (string, error) {
	return cluster.BuildOperator(context.Background(), scratch)
})

// scratch is a folder for logs and binaries. It stays if a test fails.
var scratch string

func TestMain(m *testing.M) {
	flag.Parse()
	// The shared world has seats, and whoever needs none begins at once.
	if err := flag.Set("test.parallel", "1000"); err != nil {
		os.Exit(refuse(err))
	}
	for range planesApart {
		apart <- &planeApart{}
	}
	os.Exit(run(m))
}

// seats are those of the scenarios that the shared world plays at the same time: more
// than there are processors on a small machine, since scenarios wait most of the time.
var seats = make(chan struct{}, max(5, runtime.GOMAXPROCS(0)))

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

// stopApart stops the control planes apart, which no scenario has any more.
func stopApart() {
	for range planesApart {
		if plane := <-apart; plane.ControlPlane != nil {
			_ = plane.Stop()
		}
	}
}

// patience is how long anything is waited for. It is much longer than anything
// takes, since the machine may be busy, and says nothing about speed.
const patience = 90 * time.Second

// glance is the pause between two looks.
const glance = 50 * time.Millisecond

// retryBaseDelay is the operators' shortest pause after a failure.
const retryBaseDelay = 200 * time.Millisecond
