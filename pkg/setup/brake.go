/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

// expectation returns what the cluster has in EC2, from a cache.
func expectation(cache client.Reader) func(context.Context) (inventory.Expected, error) {
	return func(ctx context.Context) (inventory.Expected, error) {
		nodes := &corev1.NodeList{}
		if err := cache.List(ctx, nodes, client.UnsafeDisableDeepCopy); err != nil {
			return inventory.Expected{}, fmt.Errorf("listing Nodes: %w", err)
		}
		pools := &v1alpha1.ENIPoolList{}
		if err := cache.List(ctx, pools, client.UnsafeDisableDeepCopy); err != nil {
			return inventory.Expected{}, fmt.Errorf("listing pools: %w", err)
		}
		enis := &v1alpha1.ElasticNetworkInterfaceList{}
		if err := cache.List(ctx, enis, client.UnsafeDisableDeepCopy); err != nil {
			return inventory.Expected{}, fmt.Errorf("listing ENI resources: %w", err)
		}
		return expectedOf(nodes.Items, pools.Items, enis.Items), nil
	}
}

// expectedOf derives what EC2 should show: the instances of pools whose Node is there
// and which EC2 has shown before, the ENIs that were created and are to stay, and the
// subnets of all.
func expectedOf(nodes []corev1.Node, pools []v1alpha1.ENIPool, enis []v1alpha1.ElasticNetworkInterface) inventory.Expected {
	var expected inventory.Expected
	zones := map[string]bool{}
	subnets := map[string]bool{}
	live := make(map[string]bool, len(nodes))
	for i := range nodes {
		id, kind := ec2.ParseProviderID(nodes[i].Spec.ProviderID)
		if kind == ec2.ProviderIDInstance {
			live[id] = true
			zones[zoneOf(nodes[i].Spec.ProviderID)] = true
		}
	}
	for i := range pools {
		pool := &pools[i]
		zones[pool.Status.AvailabilityZone] = true
		for n := range pool.Status.ENIs {
			subnets[pool.Status.ENIs[n].SubnetID] = true
		}
		if live[pool.Spec.InstanceID] && pool.Status.InstanceType != "" {
			expected.Instances = append(expected.Instances, pool.Spec.InstanceID)
		}
	}
	for i := range enis {
		eni := &enis[i]
		zones[eni.Status.AvailabilityZone] = true
		subnets[eni.Status.SubnetID] = true
		if eni.Status.NetworkInterfaceID == "" || eni.Primary() || !eni.DeletionTimestamp.IsZero() {
			continue
		}
		expected.ENIs = append(expected.ENIs, inventory.ExpectedENI{ID: eni.Status.NetworkInterfaceID, InstanceID: eni.Spec.InstanceID})
	}
	delete(zones, "")
	delete(subnets, "")
	expected.Subnets = slices.Sorted(maps.Keys(subnets))
	expected.Zones = slices.Sorted(maps.Keys(zones))
	return expected
}

// zoneOf is the zone in a providerID, aws:///<zone>/<instance-id>, or "".
func zoneOf(providerID string) string {
	parts := strings.Split(providerID, "/")
	return parts[max(len(parts)-2, 0)]
}

// logTrust logs each change of EC2's trustworthiness.
func logTrust(inv *inventory.Inventory, log logr.Logger) {
	inv.SubscribeTrust(func(now inventory.Trust) {
		if now.Broken {
			log.Error(errors.New(now.Message), "EC2 is not believed: nothing is changed there", "reason", now.Reason)
			return
		}
		log.Info("EC2 is believed again", "message", now.Message)
	})
}
