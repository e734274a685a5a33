/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/eni-operator/eni-operator/pkg/election"
	"github.com/eni-operator/eni-operator/pkg/options"
)

// leaderLease is the name of the lease that the leader holds.
const leaderLease = "eni-operator.networking.eni-operator.dev"

// stopTimeout is how long the controllers and servers may take to stop before the
// lease is released anyway. It leaves the rest of a second for the release, and is
// much longer than they take: nothing that they wait for outlasts their context.
const stopTimeout = 700 * time.Millisecond

// Fence returns what keeps this process from writing to EC2 while it does not lead,
// or nil where there is no election. It is to be given to New or Uninstall.
func Fence(o options.Options) *election.Fence {
	if !o.LeaderElect {
		return nil
	}
	return election.NewFence(o.LeaderElectRenewDeadline, clock.RealClock{}, ctrl.Log.WithName("election"))
}

// newManager returns a manager that leads by the lease that opens the fence.
func newManager(config *rest.Config, fence *election.Fence, settings ctrl.Options, o options.Options) (ctrl.Manager, error) {
	var mgr ctrl.Manager
	if o.LeaderElect {
		namespace, err := operatorNamespace(o)
		if err != nil {
			return nil, err
		}
		if fence == nil {
			fence = Fence(o)
		}
		settings.LeaderElectionResourceLockInterface, err = election.NewLock(config, fence, election.Settings{
			Namespace: namespace, Name: leaderLease, RenewDeadline: o.LeaderElectRenewDeadline,
			Recorder: func() record.EventRecorder { return mgr.GetEventRecorderFor("eni-operator") }, //nolint:staticcheck // client-go's elector knows no other
		})
		if err != nil {
			return nil, err
		}
	}
	mgr, err := ctrl.NewManager(config, settings)
	if err != nil {
		return nil, fmt.Errorf("connecting to Kubernetes: %w", err)
	}
	return mgr, nil
}

// podNamespace is where Kubernetes tells a pod its namespace.
const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// operatorNamespace is the namespace of the operator's own objects.
func operatorNamespace(o options.Options) (string, error) {
	if o.LeaderElectNamespace != "" {
		return o.LeaderElectNamespace, nil
	}
	content, err := os.ReadFile(podNamespace)
	if errors.Is(err, os.ErrNotExist) {
		return "", errors.New("--leader-elect-namespace is required outside of a pod: name the operator's namespace, or set --leader-elect=false")
	}
	if err != nil {
		return "", fmt.Errorf("reading the pod's namespace (--leader-elect-namespace names another): %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}
