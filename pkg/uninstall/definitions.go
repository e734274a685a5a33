/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package uninstall

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=enipolicies.networking.eni-operator.dev;enipools.networking.eni-operator.dev;elasticnetworkinterfaces.networking.eni-operator.dev;eniclaims.networking.eni-operator.dev,verbs=get

// Definitions are the names of the operator's CRDs.
var Definitions = []string{
	"elasticnetworkinterfaces." + v1alpha1.GroupVersion.Group,
	"eniclaims." + v1alpha1.GroupVersion.Group,
	"enipolicies." + v1alpha1.GroupVersion.Group,
	"enipools." + v1alpha1.GroupVersion.Group,
}

// DefinitionKind is the kind of the CRDs themselves.
var DefinitionKind = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// UnderWay says whether a CRD of ours is missing or being deleted: it takes
// resources with it that nobody asked to delete, so that nothing follows from
// their absence (protocol 14). Give it a live reader: a cache might show the
// deletion of a resource before that of its definition.
func UnderWay(ctx context.Context, live client.Reader) (bool, error) {
	for _, name := range Definitions {
		crd := &metav1.PartialObjectMetadata{}
		crd.SetGroupVersionKind(DefinitionKind)
		err := live.Get(ctx, client.ObjectKey{Name: name}, crd)
		switch {
		case apierrors.IsNotFound(err):
			return true, nil
		case err != nil:
			return false, err
		case !crd.DeletionTimestamp.IsZero():
			return true, nil
		}
	}
	return false, nil
}
