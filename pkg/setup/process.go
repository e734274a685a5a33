/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"fmt"
	"io"

	"github.com/go-logr/logr"
	"go.uber.org/zap/zapcore"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/eni-operator/eni-operator/pkg/options"
)

// Logging sends the log of the process, libraries included, to a writer.
func Logging(out io.Writer, o options.Options) error {
	level, err := zapcore.ParseLevel(o.LogLevel)
	if err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	var logger logr.Logger
	if o.LogFormat == "console" {
		logger = zap.New(zap.WriteTo(out), zap.Level(level), zap.ConsoleEncoder())
	} else {
		logger = zap.New(zap.WriteTo(out), zap.Level(level), zap.JSONEncoder())
	}
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	return nil
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
