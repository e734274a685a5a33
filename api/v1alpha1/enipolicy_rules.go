/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// NodeMatcher returns what says whether a policy's nodeSelector selects a Node of some
// labels. A selector that is no valid one selects nothing.
func (p *ENIPolicy) NodeMatcher() func(node labels.Set) bool {
	selector, err := metav1.LabelSelectorAsSelector(&p.Spec.NodeSelector)
	return func(node labels.Set) bool { return err == nil && selector.Matches(node) }
}

// Selects says whether a policy's nodeSelector selects a Node of these labels; see
// NodeMatcher, which is faster for many.
func (p *ENIPolicy) Selects(node labels.Set) bool { return p.NodeMatcher()(node) }

// RankPolicies sorts policies by who governs a Node that several of them select: the
// highest priority first, then the oldest, then by name.
func RankPolicies(policies []ENIPolicy) {
	slices.SortFunc(policies, func(a, b ENIPolicy) int {
		return cmp.Or(cmp.Compare(b.Spec.Priority, a.Spec.Priority),
			a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
}

// Governing returns the first of ranked policies that selects a Node of these
// labels and is not being deleted, or nil.
func Governing(ranked []ENIPolicy, node labels.Set) *ENIPolicy {
	for i := range ranked {
		if policy := &ranked[i]; policy.DeletionTimestamp.IsZero() && policy.Selects(node) {
			return policy
		}
	}
	return nil
}

// Offers says whether nodes of this template serve claims of a mode.
func (t *ENITemplate) Offers(mode Mode) bool {
	if mode == ModeExclusive {
		return t.Exclusive != nil
	}
	return t.Shared != nil
}

// AdmitsAll says whether claims of every namespace are served, whatever its labels.
func (t *ENITemplate) AdmitsAll() bool {
	selector := t.ClaimNamespaceSelector
	return selector == nil || (len(selector.MatchLabels) == 0 && len(selector.MatchExpressions) == 0)
}

// Admits says whether claims of a namespace with these labels are served. A selector
// that is no valid one admits nobody.
func (t *ENITemplate) Admits(namespace labels.Set) bool {
	if t.AdmitsAll() {
		return true
	}
	selector, err := metav1.LabelSelectorAsSelector(t.ClaimNamespaceSelector)
	return err == nil && selector.Matches(namespace)
}

// AddressesPerPrefix is the size of a /28 (EC2 delegates no other).
const AddressesPerPrefix = 16

// AddressUnit is the number of addresses that are taken from the subnet at a time.
func (t *ENITemplate) AddressUnit() int32 {
	if t.Shared != nil && t.Shared.AddressType == AddressTypeIPv4Prefix {
		return AddressesPerPrefix
	}
	return 1
}
