/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package index names the field indexes of the operator's cache, so that nothing
// lists what it can look up.
package index

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

const (
	// NodeName finds the ENIs, claims and pools of a Node.
	NodeName = "spec.nodeName"
	// PoolName finds the ENIs of a pool.
	PoolName = "spec.poolName"
	// InstanceID finds the pools of an instance.
	InstanceID = "spec.instanceID"
	// ProviderInstance finds the Nodes that name an instance.
	ProviderInstance = "spec.providerID"
	// NetworkInterfaceID finds the resource of an ENI in EC2.
	NetworkInterfaceID = "status.networkInterfaceID"
	// PolicyName finds the pools of a policy.
	PolicyName = "spec.policyName"
	// Address finds the claims that hold an address.
	Address = "status.address"
)

type extractor struct {
	object client.Object
	field  string
	value  func(client.Object) string
}

var extractors = []extractor{
	{&v1alpha1.ElasticNetworkInterface{}, NodeName, func(o client.Object) string {
		return o.(*v1alpha1.ElasticNetworkInterface).Spec.NodeName //nolint:forcetypeassert // indexed by type
	}},
	{&v1alpha1.ElasticNetworkInterface{}, PoolName, func(o client.Object) string {
		return o.(*v1alpha1.ElasticNetworkInterface).Spec.PoolName //nolint:forcetypeassert // indexed by type
	}},
	{&v1alpha1.ElasticNetworkInterface{}, NetworkInterfaceID, func(o client.Object) string {
		return o.(*v1alpha1.ElasticNetworkInterface).Status.NetworkInterfaceID //nolint:forcetypeassert // indexed by type
	}},
	{&v1alpha1.ENIClaim{}, NodeName, func(o client.Object) string {
		return o.(*v1alpha1.ENIClaim).Spec.NodeName //nolint:forcetypeassert // indexed by type
	}},
	{&v1alpha1.ENIClaim{}, Address, func(o client.Object) string {
		return o.(*v1alpha1.ENIClaim).Status.Address //nolint:forcetypeassert // indexed by type
	}},
	{&v1alpha1.ENIPool{}, NodeName, func(o client.Object) string {
		return o.(*v1alpha1.ENIPool).Spec.NodeName //nolint:forcetypeassert // indexed by type
	}},
	{&v1alpha1.ENIPool{}, InstanceID, func(o client.Object) string {
		return o.(*v1alpha1.ENIPool).Spec.InstanceID //nolint:forcetypeassert // indexed by type
	}},
	{&v1alpha1.ENIPool{}, PolicyName, func(o client.Object) string {
		return o.(*v1alpha1.ENIPool).Spec.PolicyName //nolint:forcetypeassert // indexed by type
	}},
	{&corev1.Node{}, ProviderInstance, func(o client.Object) string {
		id, _ := ec2.ParseProviderID(o.(*corev1.Node).Spec.ProviderID) //nolint:forcetypeassert // indexed by type
		return id
	}},
}

// Register adds the indexes to a cache, before it starts.
func Register(ctx context.Context, indexer client.FieldIndexer) error {
	for _, e := range extractors {
		err := indexer.IndexField(ctx, e.object, e.field, func(o client.Object) []string {
			if value := e.value(o); value != "" {
				return []string{value}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
