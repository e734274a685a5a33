/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package webhooks

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/index"
)

// heldPool is a pool that claims hold something of.
type heldPool struct {
	node    string
	holders []v1alpha1.ClaimReference
}

// confirmedPools is how many pools are read live before claims are called bound: what
// was released a moment ago may not be in the cache yet. Of more, some are in use for
// sure.
const confirmedPools = 10

// held are those of some pools, by name, that claims hold something of.
func (w *world) held(ctx context.Context, pools []v1alpha1.ENIPool) ([]heldPool, error) {
	held, err := heldBy(ctx, w.cached, poolNames(pools))
	if err != nil || len(held) > confirmedPools {
		return held, err
	}
	names := make([]string, 0, len(held))
	for _, pool := range held {
		names = append(names, pool.node)
	}
	return heldBy(ctx, w.live, names)
}

func poolNames(pools []v1alpha1.ENIPool) []string {
	names := make([]string, 0, len(pools))
	for i := range pools {
		names = append(names, pools[i].Name)
	}
	return names
}

func heldBy(ctx context.Context, reader client.Reader, pools []string) ([]heldPool, error) {
	var held []heldPool
	for _, name := range pools {
		holders, err := holdersIn(ctx, reader, name, (*v1alpha1.ENIPoolStatus).Holders)
		if err != nil {
			return nil, err
		}
		if len(holders) > 0 {
			held = append(held, heldPool{name, holders})
		}
	}
	return held, nil
}

// holdersIn are the claims that keep something of a pool. What a Node took with it is in
// nobody's use: what was there is gone, and the operator finishes the pool. But a Node
// that is there and names no instance at the moment took nothing. And what a claim has
// that is being deleted is on its way back, so that one `kubectl delete` may name claims
// and what they are served by.
func holdersIn(
	ctx context.Context, reader client.Reader, name string, of func(*v1alpha1.ENIPoolStatus) []v1alpha1.ClaimReference,
) ([]v1alpha1.ClaimReference, error) {
	leaving, err := leavingClaims(ctx, reader, name) // Before the pool, whose entry goes before the claim does.
	if err != nil {
		return nil, err
	}
	pool, err := find(ctx, reader, named(name), &v1alpha1.ENIPool{})
	if err != nil || pool == nil || pool.InstanceTerminated() {
		return nil, err
	}
	if pool.Spec.NodeGoneSince != nil {
		node, err := find(ctx, reader, named(pool.Spec.NodeName), &corev1.Node{})
		if err != nil || tookItsPool(node, pool) {
			return nil, err
		}
	}
	return slices.DeleteFunc(of(&pool.Status), func(holder v1alpha1.ClaimReference) bool { return leaving[holder.UID] }), nil
}

// tookItsPool reports whether a Node is gone, or stands for something else than the
// instance that its pool is for. Nil stands for a Node that is not there.
func tookItsPool(node *corev1.Node, pool *v1alpha1.ENIPool) bool {
	if node == nil {
		return true
	}
	id, kind := ec2.ParseProviderID(node.Spec.ProviderID)
	return kind != ec2.ProviderIDUnusable && id != pool.Spec.InstanceID
}

// leavingClaims are those on a Node that are being deleted.
func leavingClaims(ctx context.Context, reader client.Reader, node string) (map[types.UID]bool, error) {
	claims := &v1alpha1.ENIClaimList{}
	if err := reader.List(ctx, claims, client.MatchingFields{index.NodeName: node}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	leaving := map[types.UID]bool{}
	for i := range claims.Items {
		if claim := &claims.Items[i]; !claim.DeletionTimestamp.IsZero() {
			leaving[claim.UID] = true
		}
	}
	return leaving, nil
}
