/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=enipolicies.networking.eni-operator.dev;enipools.networking.eni-operator.dev;elasticnetworkinterfaces.networking.eni-operator.dev;eniclaims.networking.eni-operator.dev,verbs=get

var crdKind = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// ourResources are the kinds whose definitions stand for the whole: one that is
// being deleted takes resources with it that nobody asked to delete.
var ourResources = []string{"enipolicies", "enipools", "elasticnetworkinterfaces", "eniclaims"}

// uninstalling says whether a CRD of ours is being deleted (protocol 14). It is
// read live, after the deletion of a resource was seen, since a cache might show
// the resource's deletion before that of its definition.
func (r *Reconciler) uninstalling(ctx context.Context) (bool, error) {
	for _, resource := range ourResources {
		crd := &metav1.PartialObjectMetadata{}
		crd.SetGroupVersionKind(crdKind)
		err := r.live.Get(ctx, client.ObjectKey{Name: resource + "." + v1alpha1.GroupVersion.Group}, crd)
		if client.IgnoreNotFound(err) != nil {
			return false, err
		}
		if gone := err != nil; gone || !crd.DeletionTimestamp.IsZero() {
			return true, nil //nolint:nilerr // NotFound is the answer
		}
	}
	return false, nil
}
