/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"
	uberzap "go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/eni-operator/eni-operator/pkg/logging"
	"github.com/eni-operator/eni-operator/pkg/options"
)

// level is that of the process's log. Requests to logLevelPath change it: each replica
// has its own, so that one can be looked at closely while the others stay quiet.
var level = uberzap.NewAtomicLevel()

// logLevelPath of the metrics server answers GET, and PUT of the form level=debug or of
// the JSON {"level":"debug"}.
const logLevelPath = "/debug/log-level"

// heapGrowth is by how many percent of what is in use the heap grows until Go collects
// its garbage. Go's own 100 would have twice as much memory resident as the caches
// hold; collecting more often took a millisecond more of a processor for each node of a join.
const heapGrowth = 50

// heapShare is how much of the container's memory limit Go may take before it collects its
// garbage as often as it has to. The rest is for what Go does not count.
const heapShare = 0.9

// Memory keeps the process small, and below the limit of its container, unless GOGC and
// GOMEMLIMIT say how it should be.
func Memory() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(heapGrowth)
	}
	limitMemory(memlimit.FromCgroup)
}

// limitMemory takes a limit over. Where there is none, nothing bounds the process.
func limitMemory(limit memlimit.Provider) {
	_, _ = memlimit.SetGoMemLimitWithOpts(memlimit.WithRatio(heapShare), memlimit.WithProvider(limit))
}

// Logging sends the log of the process, libraries included, to a writer.
func Logging(out io.Writer, o options.Options) error {
	parsed, err := zapcore.ParseLevel(o.LogLevel)
	if err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	level.SetLevel(parsed)
	logger := newLogger(out, o)
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	return nil
}

// newLogger writes what the level lets through.
func newLogger(out io.Writer, o options.Options) logr.Logger {
	encoder := zap.JSONEncoder()
	if o.LogFormat == "console" {
		encoder = zap.ConsoleEncoder()
	}
	return zap.New(zap.WriteTo(out), zap.Level(level), encoder, zap.RawZapOpts(uberzap.WrapCore(logging.Causes)))
}

// Kubernetes returns the configuration of a kubeconfig file, or of the pod's own
// service account.
func Kubernetes(o options.Options) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("no way to Kubernetes: set --kubeconfig or KUBECONFIG, or run in a pod: %w", err)
	}
	return config, nil
}

// Run runs a manager until ctx ends. What does not end with it in time ends with the
// process, and is no failure: a server waits for connections on which nothing was asked
// yet, and the API server keeps some of those.
func Run(ctx context.Context, manager ctrl.Manager) error {
	err := manager.Start(ctx)
	if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		ctrl.Log.Info("Ending before everything has stopped", "cause", err.Error())
		return nil
	}
	return err
}
