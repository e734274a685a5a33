/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// The ENI Operator manages the AWS Elastic Network Interfaces and IP pools of
// every node of a Kubernetes cluster from one place.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/metrics"
	"github.com/eni-operator/eni-operator/pkg/options"
	"github.com/eni-operator/eni-operator/pkg/setup"
	"github.com/eni-operator/eni-operator/pkg/tracing"
	"github.com/eni-operator/eni-operator/pkg/version"
)

func main() {
	o, err := options.FromProcess()
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	if err == nil && o.Version {
		fmt.Println(version.String())
		return
	}
	if err == nil {
		err = run(ctrl.SetupSignalHandler(), o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "eni-operator:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options.Options) error {
	setup.Memory()
	if err := setup.Logging(os.Stderr, o); err != nil {
		return err
	}
	ctrl.Log.Info("Starting the ENI operator", "version", version.String())
	stopTracing, err := tracing.FromEnvironment(ctx, ctrl.Log.WithName("tracing"), o.ClusterName)
	if err != nil {
		return err
	}
	defer stopTracing()
	config, err := setup.Kubernetes(o)
	if err != nil {
		return err
	}
	if o.Uninstall == options.UninstallDelete {
		return setup.UninstallDelete(ctx, config, o)
	}
	limits, err := ec2.DefaultLimits().With(o.EC2Limits)
	if err != nil {
		return fmt.Errorf("--ec2-limits: %w", err)
	}
	fence := setup.Fence(o)
	client, err := ec2.NewClient(ctx, limits, ec2.WithObserver(metrics.EC2{}), ec2.WithGate(fence.Check))
	if err != nil {
		return err
	}
	if o.Uninstall == options.UninstallAbandon {
		return setup.UninstallAbandon(ctx, config, client, fence, o)
	}
	manager, err := setup.New(ctx, config, client, fence, o)
	if err != nil {
		return err
	}
	return setup.Run(ctx, manager)
}
