/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash

import (
	"context"
	"errors"
	"net/http"

	"github.com/eni-operator/eni-operator/test/cluster"
)

// Options of a World.
type Options struct {
	// Operator is the operator's binary; see cluster.BuildOperator.
	Operator string
	// Folder receives the operator's logs, one for each run.
	Folder string
	// SlowEC2 makes EC2 slow and stale on all paths, not only on those that are
	// about it.
	SlowEC2 bool
	// Snapshot lets the operator begin with what its last process saved in a file.
	Snapshot bool
}

// World is a control plane on which paths are run one after the other. Each run
// has an EC2, an operator and Nodes of its own.
type World struct {
	options   Options
	kube      *cluster.Cluster
	apiServer http.Handler
	runs      int
}

// NewWorld starts a control plane. Stop it in the end.
func NewWorld(ctx context.Context, options Options) (*World, error) {
	kube, err := cluster.Start(ctx)
	if err != nil {
		return nil, err
	}
	proxy, err := apiServerProxy(kube.Plane.Config)
	if err != nil {
		return nil, errors.Join(err, kube.Stop())
	}
	return &World{options: options, kube: kube, apiServer: proxy}, nil
}

// Stop ends the control plane.
func (w *World) Stop() error { return w.kube.Stop() }

// firstError returns the first error.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
