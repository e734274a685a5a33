/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/election"
	"github.com/eni-operator/eni-operator/pkg/options"
	"github.com/eni-operator/eni-operator/pkg/uninstall"
)

// UninstallDelete has everything of the operator's deleted by the operator that runs. It asks
// nothing of EC2 itself, and needs no credentials for it.
func UninstallDelete(ctx context.Context, config *rest.Config, o options.Options) error {
	u, err := uninstaller(config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.UninstallTimeout)
	defer cancel()
	return u.Delete(ctx)
}

// UninstallAbandon lets go of everything in Kubernetes and leaves the ENIs in EC2. It takes
// the operator's lease, so that the operator must have been stopped.
func UninstallAbandon(ctx context.Context, config *rest.Config, api ec2.Client, fence *election.Fence, o options.Options) error {
	u, err := uninstaller(config)
	if err != nil {
		return err
	}
	u.EC2 = api
	if u.ClusterUID, err = clusterUID(ctx, u.Client); err != nil {
		return err
	}
	return asLeader(ctx, config, fence, o, u.Abandon)
}

func uninstaller(config *rest.Config) (*uninstall.Uninstaller, error) {
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	direct, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connecting to Kubernetes: %w", err)
	}
	return &uninstall.Uninstaller{Client: direct, Log: ctrl.Log.WithName("uninstall")}, nil
}

// asLeader does something once, while holding the operator's lease.
func asLeader(ctx context.Context, config *rest.Config, fence *election.Fence, o options.Options, do func(context.Context) error) error {
	settings := managerOptions(nil, o)
	settings.Scheme = nil
	settings.Cache.ByObject = nil
	settings.HealthProbeBindAddress = "0"
	settings.Metrics = metricsserver.Options{BindAddress: "0"}
	mgr, err := newManager(config, fence, settings, o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	warning := time.AfterFunc(o.LeaderElectLeaseDuration, func() {
		ctrl.Log.Info("Waiting for the operator's lease: stop the operator first (scale its Deployment to 0)")
	})
	defer warning.Stop()
	var done error
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		warning.Stop()
		done = do(ctx)
		cancel()
		return nil
	}))
	if err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return err
	}
	return done
}
