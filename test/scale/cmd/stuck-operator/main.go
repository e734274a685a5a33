/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// stuck-operator is the operator with subscribers of the event bus that take one
// event and never come back, for the bench to show that nobody else minds.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/metrics"
	"github.com/eni-operator/eni-operator/pkg/options"
	"github.com/eni-operator/eni-operator/pkg/setup"
)

func main() {
	o, err := options.FromProcess()
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(ctrl.SetupSignalHandler(), o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stuck-operator:", err)
		os.Exit(1)
	}
}

// run does what the operator's main does.
func run(ctx context.Context, o options.Options) error {
	setup.Memory()
	if err := setup.Logging(os.Stderr, o); err != nil {
		return err
	}
	config, err := setup.Kubernetes(o)
	if err != nil {
		return err
	}
	fence := setup.Fence(o)
	client, err := ec2.NewClient(ctx, ec2.DefaultLimits(), ec2.WithObserver(metrics.EC2{}), ec2.WithGate(fence.Check))
	if err != nil {
		return err
	}
	manager, err := setup.New(ctx, config, client, fence, o, setup.WithHandlers(func(events.Handler) events.Handler {
		return func(ctx context.Context, _ events.Event) { <-ctx.Done() }
	}))
	if err != nil {
		return err
	}
	return setup.Run(ctx, manager)
}
