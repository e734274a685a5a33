/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/eni-operator/eni-operator/pkg/setup"
	"github.com/eni-operator/eni-operator/test/controlplane"
)

// Options of a World.
type Options struct {
	// Operator is the operator's binary; see BuildOperator.
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
	options    Options
	plane      *controlplane.ControlPlane
	apiServer  http.Handler
	kube       client.Client
	clusterUID string
	runs       int
}

// NewWorld starts a control plane. Stop it in the end.
func NewWorld(ctx context.Context, options Options) (*World, error) {
	log.SetLogger(logr.Discard()) // The control plane's start is told to controller-runtime's log.
	plane, err := controlplane.Start(ctx, controlplane.Options{WithoutControllerManager: true})
	if err != nil {
		return nil, err
	}
	w := &World{options: options, plane: plane}
	if err := w.connect(ctx); err != nil {
		return nil, fmt.Errorf("connecting to the control plane: %w", firstError(err, plane.Stop()))
	}
	return w, nil
}

func (w *World) connect(ctx context.Context) error {
	scheme, err := setup.Scheme()
	if err != nil {
		return err
	}
	if w.kube, err = client.New(w.plane.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	if w.apiServer, err = apiServerProxy(w.plane.Config); err != nil {
		return err
	}
	system := &corev1.Namespace{}
	err = w.kube.Get(ctx, types.NamespacedName{Name: metav1.NamespaceSystem}, system)
	w.clusterUID = string(system.UID)
	return err
}

// Stop ends the control plane.
func (w *World) Stop() error { return w.plane.Stop() }

// BuildOperator compiles the operator of this working tree into a folder.
func BuildOperator(ctx context.Context, folder string) (path string, err error) {
	root, err := controlplane.RepositoryRoot()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return "", err
	}
	if path, err = filepath.Abs(filepath.Join(folder, "eni-operator")); err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "go", "build", "-o", path, ".")
	command.Dir = root
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the operator: %w\n%s", err, output)
	}
	return path, nil
}

// firstError returns the first error.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
