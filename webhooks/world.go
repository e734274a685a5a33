/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package webhooks

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/index"
)

// world is what verdicts are made of: Kubernetes, as the cache has it and as it is.
type world struct {
	cached  client.Reader
	live    client.Reader
	options Options
	// confirmations bounds how many refusals are looked at again; nil: all are.
	confirmations *rate.Limiter
}

// Each confirmation is a handful of reads of the API server. People are confirmed as fast as
// they type; a client that is refused in a loop gets the cache's verdict.
const (
	confirmationsPerSecond = 10
	confirmationsAtOnce    = 50
)

// confirmed judges by the cache, and once more by a live read if the verdict is a
// refusal: what a person applied a moment ago, such as the policy that allows what is
// asked for now, may not be in the cache yet. Where that read fails, the cache's verdict is
// the answer: an error about the operator's own account does not help the person who asks.
func confirmed(ctx context.Context, w *world, judge func(context.Context, client.Reader) (verdict, error)) (verdict, error) {
	found, err := judge(ctx, w.cached)
	if err != nil || len(found.refusals) == 0 || (w.confirmations != nil && !w.confirmations.Allow()) {
		return found, err
	}
	again, err := judge(ctx, w.live)
	if err != nil {
		log.FromContext(ctx).Error(err, "Failed to confirm a refusal by a live read: it stands")
		return found, nil
	}
	return again, nil
}

// policies are all policies that are not being deleted, ranked.
func policies(ctx context.Context, reader client.Reader) ([]v1alpha1.ENIPolicy, error) {
	list := &v1alpha1.ENIPolicyList{}
	if err := reader.List(ctx, list); err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(list.Items, func(policy v1alpha1.ENIPolicy) bool { return !policy.DeletionTimestamp.IsZero() })
	v1alpha1.RankPolicies(found)
	return found, nil
}

// nodes are all Nodes by name. They are the cache's own: not to be changed.
func (w *world) nodes(ctx context.Context) ([]corev1.Node, error) {
	list := &corev1.NodeList{}
	err := w.cached.List(ctx, list, client.UnsafeDisableDeepCopy)
	slices.SortFunc(list.Items, func(a, b corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	return list.Items, err
}

// poolsOf are the pools that a policy governs, by name. They are the cache's own: not
// to be changed.
func (w *world) poolsOf(ctx context.Context, policy string) ([]v1alpha1.ENIPool, error) {
	list := &v1alpha1.ENIPoolList{}
	err := w.cached.List(ctx, list, client.MatchingFields{index.PolicyName: policy}, client.UnsafeDisableDeepCopy)
	slices.SortFunc(list.Items, func(a, b v1alpha1.ENIPool) int { return strings.Compare(a.Name, b.Name) })
	return list.Items, err
}

// enisOn are the ENIs on a Node, by name. They are the cache's own: not to be changed.
func (w *world) enisOn(ctx context.Context, node string) ([]v1alpha1.ElasticNetworkInterface, error) {
	list := &v1alpha1.ElasticNetworkInterfaceList{}
	err := w.cached.List(ctx, list, client.MatchingFields{index.NodeName: node}, client.UnsafeDisableDeepCopy)
	slices.SortFunc(list.Items, func(a, b v1alpha1.ElasticNetworkInterface) int { return strings.Compare(a.Name, b.Name) })
	return list.Items, err
}

// find reads an object by name, and returns nil where there is none.
func find[T client.Object](ctx context.Context, reader client.Reader, key types.NamespacedName, into T) (T, error) {
	err := reader.Get(ctx, key, into)
	if err == nil {
		return into, nil
	}
	var none T
	if apierrors.IsNotFound(err) {
		err = nil
	}
	return none, err
}

func named(name string) types.NamespacedName { return types.NamespacedName{Name: name} }
