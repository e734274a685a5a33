/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// InUse says whether anything of a pool is held, by its record.
func (s *ENIPoolStatus) InUse() bool {
	return slices.ContainsFunc(s.Addresses, func(a PoolAddress) bool { return a.State == HolderAllocated }) ||
		slices.ContainsFunc(s.ENIs, func(e PoolENI) bool { return e.Claim != nil })
}

// Holders are the claims that hold something of a pool, by its record.
func (s *ENIPoolStatus) Holders() []ClaimReference {
	return s.holders(func(string) bool { return true })
}

// HoldersOf are the claims that hold something of one of a pool's ENIs, by the
// pool's record.
func (s *ENIPoolStatus) HoldersOf(eni string) []ClaimReference {
	return s.holders(func(name string) bool { return name == eni })
}

func (s *ENIPoolStatus) holders(of func(eni string) bool) []ClaimReference {
	var holders []ClaimReference
	for _, entry := range s.Addresses {
		if entry.State == HolderAllocated && entry.Claim != nil && of(entry.ENIName) {
			holders = append(holders, *entry.Claim)
		}
	}
	for _, entry := range s.ENIs {
		if entry.Claim != nil && of(entry.Name) {
			holders = append(holders, *entry.Claim)
		}
	}
	return holders
}

// SeenFrom names the claim to people who make claims in a namespace. What is claimed in
// other namespaces is not theirs to know.
func (r *ClaimReference) SeenFrom(namespace string) string {
	if r.Namespace != namespace {
		return "a claim of another namespace"
	}
	return "claim " + r.Name
}

// HolderOf is the claim that holds an address of a pool, or nil.
func (s *ENIPoolStatus) HolderOf(address Address) *ClaimReference {
	at := slices.IndexFunc(s.Addresses, func(entry PoolAddress) bool { return entry.Address == address })
	if at < 0 || s.Addresses[at].State != HolderAllocated {
		return nil
	}
	return s.Addresses[at].Claim
}

// ReservedFor is the namespace that alone gets an address of the pool by name, while the address
// rests and afterwards, for as long as it is reserved. Empty: none.
func (p *ENIPool) ReservedFor(address Address) string {
	at := slices.IndexFunc(p.Status.Addresses, func(entry PoolAddress) bool { return entry.Address == address })
	if at < 0 || p.Status.Addresses[at].Claim == nil {
		return ""
	}
	shared := p.Spec.Shared
	reserves := shared != nil && shared.ReserveAfterRelease != nil && shared.ReserveAfterRelease.Duration > 0
	switch entry := &p.Status.Addresses[at]; {
	case entry.State == HolderReserved, entry.State == HolderCooling && reserves:
		return entry.Claim.Namespace
	default:
		return ""
	}
}

// Owns says whether an ENI is one of a pool's: it names the pool, and is on its Node and
// its instance. One that only names it is nobody's.
func (p *ENIPool) Owns(eni *ElasticNetworkInterface) bool {
	return eni.Spec.NodeName == p.Spec.NodeName && eni.Spec.PoolName == p.Name && eni.Spec.InstanceID == p.Spec.InstanceID
}

// Serves reports whether a pool serves an instance now, and its status describes the
// current spec: it is neither deleted nor suspended, and has observed its generation.
func (p *ENIPool) Serves(instanceID string) bool {
	return instanceID != "" && p.Spec.InstanceID == instanceID && p.DeletionTimestamp.IsZero() &&
		p.Spec.NodeGoneSince == nil && p.Status.ObservedGeneration == p.Generation
}

// InstanceTerminated reports whether the pool's conditions say that EC2 calls its instance
// terminated.
func (p *ENIPool) InstanceTerminated() bool {
	found := meta.FindStatusCondition(p.Status.Conditions, ConditionInstanceFound)
	return found != nil && found.Status == metav1.ConditionFalse && found.Reason == ReasonInstanceTerminated
}
