/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/options"
	"github.com/eni-operator/eni-operator/pkg/setup"
	"github.com/eni-operator/eni-operator/test/controlplane"
)

// settings are the operator's flags in all tests: nothing waits longer than it has
// to, and everything else is as it is for users.
func settings(more ...string) []string {
	return append([]string{
		"--cluster-name=" + clusterName,
		"--leader-elect=false",
		"--metrics-bind-address=0",
		"--health-probe-bind-address=0",
		"--log-format=console",
		"--visibility-window=300ms",
		"--retry-base-delay=" + retryBaseDelay.String(),
		"--retry-max-delay=2s",
		"--audit-interval=1s",
		"--gc-interval=1s",
		"--lease-grace=1s",
		"--batch-window=5ms",
		"--network-ttl=200ms",
		"--kube-api-qps=-1",
	}, more...)
}

// logTo sends what this process logs, its operator included, to a file. It comes
// before anything that logs.
func logTo(file string) error {
	o, err := options.Parse(settings(), nil)
	if err != nil {
		return err
	}
	log, err := os.Create(file)
	if err != nil {
		return err
	}
	return setup.Logging(log, o)
}

// startInProcess starts the operator as main.go does, in this process.
func startInProcess(w *world) (stop func(), err error) {
	o, err := options.Parse(settings(), nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := os.Setenv("AWS_ENDPOINT_URL_EC2", w.http.URL); err != nil {
		cancel()
		return nil, err
	}
	client, err := ec2.NewClient(ctx, noLimits())
	if err != nil {
		cancel()
		return nil, err
	}
	manager, err := setup.New(ctx, w.Plane.Config, client, nil, o)
	if err != nil {
		cancel()
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := manager.Start(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "the operator ended:", err)
		}
	}()
	return func() { cancel(); <-ended }, nil
}

// noLimits let a process with many scenarios write faster than one cluster may.
func noLimits() ec2.Limits {
	return ec2.Limits{Default: ec2.Limit{Bucket: 1000, PerSecond: 1000}}
}

// operator is the operator as a child process.
type operator struct {
	t       *testing.T
	process *controlplane.Process
	health  string
	logFile string
}

// startOperator runs the operator's binary. Flags given last win over those of
// settings.
func startOperator(t *testing.T, w *world, endpoint string, flags ...string) *operator {
	t.Helper()
	return startOperatorWith(t, w, endpoint, nil, flags...)
}

// startOperatorWith is the same with further environment variables.
func startOperatorWith(t *testing.T, w *world, endpoint string, more []string, flags ...string) *operator {
	t.Helper()
	binary, err := operatorBinary()
	assert.NilError(t, err)
	o := &operator{t: t, health: freeAddress(t)}
	logs := filepath.Join(scratch, strings.ReplaceAll(t.Name(), "/", "_"))
	assert.NilError(t, os.MkdirAll(logs, 0o750))
	o.logFile = filepath.Join(logs, strings.ReplaceAll(o.health, ":", "_")+".log")
	environment := append(awsEnvironment(endpoint), more...)
	environment = append(environment, "ENI_OPERATOR_HEALTH_PROBE_BIND_ADDRESS=0.0.0.0:1", "ENI_OPERATOR_KUBECONFIG="+w.Plane.KubeconfigPath)
	o.process = &controlplane.Process{
		Path: binary, Args: append(settings("--health-probe-bind-address="+o.health), flags...),
		Env: environment, LogFile: o.logFile,
	}
	assert.NilError(t, o.process.Start())
	t.Cleanup(func() { _ = o.process.Stop() })
	return o
}

// kill ends the operator as a crash does.
func (o *operator) kill() {
	o.t.Helper()
	assert.NilError(o.t, o.process.Signal(syscall.SIGKILL))
	<-o.process.Done()
}

// probe asks one of the operator's health endpoints: its HTTP status, or 0 if
// nobody answers, and the answer.
func (o *operator) probe(path string) (status int, body string) {
	request, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, "http://"+o.health+path, http.NoBody)
	assert.NilError(o.t, err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	assert.NilError(o.t, err)
	return response.StatusCode, string(text)
}

// awaitReady returns when the operator is ready, and has read EC2 and believes it.
func (o *operator) awaitReady() {
	o.t.Helper()
	eventually(o.t, "the operator is ready", func() error {
		status, body := o.probe("/readyz?verbose")
		return differ("/readyz?verbose "+body, status, http.StatusOK)
	})
}

// log is what the operator has logged so far.
func (o *operator) log() string {
	content, err := os.ReadFile(o.logFile)
	assert.NilError(o.t, err)
	return string(content)
}

// freeAddress is a port on loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
