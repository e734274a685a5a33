/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package v1alpha1 holds the API of the ENI Operator: which nodes get which
// Elastic Network Interfaces (ENIs), how large their address pools are, and who
// holds which address.
//
// +kubebuilder:object:generate=true
// +groupName=networking.eni-operator.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "networking.eni-operator.dev", Version: "v1alpha1"}

// AddToScheme registers the kinds of this package with a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&ENIPolicy{}, &ENIPolicyList{},
		&ENIPool{}, &ENIPoolList{},
		&ElasticNetworkInterface{}, &ElasticNetworkInterfaceList{},
		&ENIClaim{}, &ENIClaimList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
