/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package cluster has what tests begin with that run the operator as a process: a
// Kubernetes with a client, the operator's binary, and a folder for its logs.
package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/setup"
	"github.com/eni-operator/eni-operator/test/controlplane"
)

// Cluster is Kubernetes: a control plane on loopback, and its administrator's client,
// which has no cache.
type Cluster struct {
	client.WithWatch
	Plane *controlplane.ControlPlane
	// UID is the cluster's, with which the operator tags its ENIs.
	UID string
}

// Start starts etcd and kube-apiserver. kube-controller-manager is left out: who
// calls this waits for nothing of it. Stop the cluster in the end.
func Start(ctx context.Context) (*Cluster, error) {
	log.SetLogger(logr.Discard()) // The control plane's start is told to controller-runtime's log.
	plane, err := controlplane.Start(ctx, controlplane.Options{WithoutControllerManager: true})
	if err != nil {
		return nil, err
	}
	c, err := Connect(ctx, plane)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to the control plane: %w", err), plane.Stop())
	}
	return c, nil
}

// Connect makes a client of a control plane that runs already.
func Connect(ctx context.Context, plane *controlplane.ControlPlane) (*Cluster, error) {
	scheme, err := setup.Scheme()
	if err != nil {
		return nil, err
	}
	c := &Cluster{Plane: plane}
	if c.WithWatch, err = client.NewWithWatch(plane.Config, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	system := &corev1.Namespace{}
	err = c.Get(ctx, types.NamespacedName{Name: metav1.NamespaceSystem}, system)
	c.UID = string(system.UID)
	return c, err
}

// Stop ends the control plane.
func (c *Cluster) Stop() error { return c.Plane.Stop() }

// Clear removes every object of ours and every Node, finalizers or not. There must be
// no operator.
func (c *Cluster) Clear(ctx context.Context) error {
	lists := []client.ObjectList{
		&v1alpha1.ENIClaimList{}, &v1alpha1.ENIPolicyList{}, &v1alpha1.ElasticNetworkInterfaceList{},
		&v1alpha1.ENIPoolList{}, &corev1.NodeList{},
	}
	var failed []error
	for _, list := range lists {
		if err := c.List(ctx, list); err != nil {
			return err
		}
		failed = append(failed, meta.EachListItem(list, func(item runtime.Object) error { return c.remove(ctx, item) }))
	}
	return errors.Join(failed...)
}

func (c *Cluster) remove(ctx context.Context, item runtime.Object) error {
	object, ok := item.(client.Object)
	if !ok {
		return fmt.Errorf("%T is no object", item)
	}
	if err := c.Delete(ctx, object); err != nil {
		return client.IgnoreNotFound(err)
	}
	released := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	return client.IgnoreNotFound(c.Patch(ctx, object, released))
}
