/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package index

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// NodeNaming returns the name of a Node that names an instance, or "". The cache finds
// the Nodes, whatever their names; a live read confirms each, since one may be gone or
// may name another instance by now.
func NodeNaming(ctx context.Context, cache, live client.Reader, instanceID string) (string, error) {
	found := &corev1.NodeList{}
	if err := cache.List(ctx, found, client.MatchingFields{ProviderInstance: instanceID}, client.UnsafeDisableDeepCopy); err != nil {
		return "", fmt.Errorf("listing the Nodes of instance %s: %w", instanceID, err)
	}
	for i := range found.Items {
		name := found.Items[i].Name
		node := &corev1.Node{}
		err := live.Get(ctx, client.ObjectKey{Name: name}, node)
		if client.IgnoreNotFound(err) != nil {
			return "", fmt.Errorf("reading Node %s, which names instance %s: %w", name, instanceID, err)
		}
		if id, _ := ec2.ParseProviderID(node.Spec.ProviderID); err == nil && id == instanceID {
			return name, nil
		}
	}
	return "", nil
}
