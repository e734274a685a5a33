/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ENIPoolSpec is what one node's pool should be. The operator derives it from
// the Node and the policy that governs it.
type ENIPoolSpec struct {
	// NodeName is the Node that this pool serves.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="nodeName is immutable"
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +required
	NodeName string `json:"nodeName"`

	// InstanceID is the EC2 instance behind the Node. It is who the node is: a
	// Node that comes back under its name with another instance gets another pool.
	// +kubebuilder:validation:Pattern=`^i-[0-9a-f]{8}([0-9a-f]{9})?$`
	// +kubebuilder:validation:MaxLength=19
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="instanceID is immutable"
	// +required
	InstanceID string `json:"instanceID"`

	// PolicyName is the policy that governs the node. Empty: none does any more,
	// so the pool takes no new claims and goes when the last one is released.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`
	// +optional
	PolicyName string `json:"policyName,omitempty"`

	// NodeGoneSince is when the Node was first seen missing, standing for another
	// instance, or naming none. While it is set the pool is suspended: it keeps what it
	// has, and hands out and grows nothing. It is cleared when the Node stands for the
	// instance again. How old it is decides nothing.
	// +kubebuilder:validation:XValidation:rule="self > timestamp('1970-01-01T00:00:00Z')",message="must be a time after 1970, as in 2026-01-01T00:00:00Z"
	// +optional
	NodeGoneSince *metav1.Time `json:"nodeGoneSince,omitempty"`

	ENITemplate `json:",inline"`
}

// HolderState is what is known of an address that is not free, or not for everybody.
//
// +kubebuilder:validation:Enum=Allocated;Cooling;Reserved;Releasing;Quarantined
type HolderState string

const (
	// HolderAllocated is held by a claim.
	HolderAllocated HolderState = "Allocated"
	// HolderCooling was released by its claim and rests.
	HolderCooling HolderState = "Cooling"
	// HolderReserved is free, and for some time only claims of the namespace that released
	// it get it by name.
	HolderReserved HolderState = "Reserved"
	// HolderReleasing is on its way back to the subnet; there is no way back.
	HolderReleasing HolderState = "Releasing"
	// HolderQuarantined has an owner that nobody can name: it is not handed out,
	// and replaced through release.
	HolderQuarantined HolderState = "Quarantined"
)

// PoolAddress is an address of the pool that is not free, or not for everybody.
type PoolAddress struct {
	// Address is the address.
	// +required
	Address Address `json:"address"`
	// ENIName is the ElasticNetworkInterface that carries it.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +required
	ENIName string `json:"eniName"`
	// State is why the address is not free, or not for everybody.
	// +required
	State HolderState `json:"state"`
	// Claim is who holds it, or held it last.
	// +optional
	Claim *ClaimReference `json:"claim,omitempty"`
	// Since is when it entered this state.
	// +kubebuilder:validation:XValidation:rule="self > timestamp('1970-01-01T00:00:00Z')",message="must be a time after 1970, as in 2026-01-01T00:00:00Z"
	// +required
	Since metav1.Time `json:"since"`
}

// PoolENIState is what the pool does with one of its ENIs.
//
// +kubebuilder:validation:Enum=Active;Draining;Releasing
type PoolENIState string

const (
	// PoolENIActive takes new claims.
	PoolENIActive PoolENIState = "Active"
	// PoolENIDraining keeps its claims and takes no new ones.
	PoolENIDraining PoolENIState = "Draining"
	// PoolENIReleasing has no claims and will be deleted; there is no way back.
	PoolENIReleasing PoolENIState = "Releasing"
)

// PoolENI is one ENI of the pool.
type PoolENI struct {
	// Name is the ElasticNetworkInterface.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`
	// UID is the UID of the ElasticNetworkInterface that this entry stands for. A
	// resource of the name with another UID serves nobody.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +optional
	UID types.UID `json:"uid,omitempty"`
	// NetworkInterfaceID is the ENI's id in EC2, once it has one.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	NetworkInterfaceID string `json:"networkInterfaceID,omitempty"`
	// Mode says how many consumers the ENI serves.
	// +required
	Mode Mode `json:"mode"`
	// State is what the pool does with it.
	// +required
	State PoolENIState `json:"state"`
	// Ready is true when the ENI is attached and carries its addresses.
	// +optional
	Ready bool `json:"ready"`
	// DeviceIndex is the ENI's index on its network card, once it is attached.
	// +optional
	DeviceIndex *int32 `json:"deviceIndex,omitempty"`
	// SubnetID is the ENI's subnet.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	SubnetID string `json:"subnetID,omitempty"`
	// Prefixes are the ENI's prefixes; their free addresses are not listed.
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	Prefixes []Prefix `json:"prefixes,omitempty"`
	// Generation is the generation of the ElasticNetworkInterface's spec that the
	// pool last wrote. Older copies of the resource may show addresses that have
	// been released since, so nothing is allocated by them.
	// +optional
	Generation int64 `json:"generation,omitempty"`
	// Claim is who holds the ENI as a whole (exclusive mode).
	// +optional
	Claim *ClaimReference `json:"claim,omitempty"`
	// CoolingSince is when the ENI's last claim released it (exclusive mode).
	// +kubebuilder:validation:XValidation:rule="self > timestamp('1970-01-01T00:00:00Z')",message="must be a time after 1970, as in 2026-01-01T00:00:00Z"
	// +optional
	CoolingSince *metav1.Time `json:"coolingSince,omitempty"`
}

// SharedStatus counts the addresses of a pool's shared ENIs.
type SharedStatus struct {
	// Capacity is the number of addresses that serve a claim or are ready to.
	Capacity int32 `json:"capacity"`
	// Allocated is the number of addresses held by claims.
	Allocated int32 `json:"allocated"`
	// Free is the number of addresses that a claim could have now, those included that are
	// reserved for a namespace.
	Free int32 `json:"free"`
	// Cooling is the number of released addresses that still rest.
	Cooling int32 `json:"cooling"`
	// Desired is the number of addresses that the pool aims at.
	Desired int32 `json:"desired"`
}

// ExclusiveStatus counts a pool's exclusive ENIs.
type ExclusiveStatus struct {
	// Capacity is the number of exclusive ENIs that serve a claim or are ready to.
	Capacity int32 `json:"capacity"`
	// Allocated is the number of them held by claims.
	Allocated int32 `json:"allocated"`
	// Free is the number of them that a claim could have now.
	Free int32 `json:"free"`
	// Desired is the number of exclusive ENIs that the pool aims at.
	Desired int32 `json:"desired"`
}

// ENIPoolStatus is the state of one node's pool, and the record of who holds
// what: an address or ENI is held by the claim whose UID stands here, and by
// nobody else.
type ENIPoolStatus struct {
	// ObservedGeneration is the generation of the spec that this status is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// PoolUID is the UID of the pool whose record this is. Another or none means
	// that the record was lost or restored and must be rebuilt.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +optional
	PoolUID types.UID `json:"poolUID,omitempty"`

	// InstanceType is the type of the instance, as in m5.large.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	InstanceType string `json:"instanceType,omitempty"`

	// AvailabilityZone is the zone of the instance.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	AvailabilityZone string `json:"availabilityZone,omitempty"`

	// ENICount is the number of the pool's ENIs, ready or not: also one whose creation
	// has only been decided counts.
	// +optional
	ENICount int32 `json:"eniCount"`

	// Shared counts the addresses for shared claims.
	// +optional
	Shared *SharedStatus `json:"shared,omitempty"`

	// Exclusive counts the ENIs for exclusive claims.
	// +optional
	Exclusive *ExclusiveStatus `json:"exclusive,omitempty"`

	// SurplusSince is when the pool began to hold more addresses or ENIs than it
	// wants.
	// +kubebuilder:validation:XValidation:rule="self > timestamp('1970-01-01T00:00:00Z')",message="must be a time after 1970, as in 2026-01-01T00:00:00Z"
	// +optional
	SurplusSince *metav1.Time `json:"surplusSince,omitempty"`

	// ENIs are the pool's ENIs and, for exclusive ones, who holds them.
	// +kubebuilder:validation:MaxItems=256
	// +listType=map
	// +listMapKey=name
	// +optional
	ENIs []PoolENI `json:"enis,omitempty"`

	// Addresses are the addresses of shared ENIs that are not free, or not for everybody.
	// +kubebuilder:validation:MaxItems=4096
	// +listType=map
	// +listMapKey=address
	// +optional
	Addresses []PoolAddress `json:"addresses,omitempty"`

	// Conditions are Ready, InstanceFound, NetworkResolved, CapacityAvailable,
	// EC2Trusted and Draining.
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime > timestamp('1970-01-01T00:00:00Z'))",message="lastTransitionTime must be a time after 1970, as in 2026-01-01T00:00:00Z"
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ENIPool is the pool of one node: its ENIs, their addresses, and who holds
// which. The operator makes one for each node that a policy selects.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=enipool,categories=eni-operator
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.status.instanceType`
// +kubebuilder:printcolumn:name="ENIs",type=integer,JSONPath=`.status.eniCount`
// +kubebuilder:printcolumn:name="Capacity",type=integer,JSONPath=`.status.shared.capacity`
// +kubebuilder:printcolumn:name="Allocated",type=integer,JSONPath=`.status.shared.allocated`
// +kubebuilder:printcolumn:name="Free",type=integer,JSONPath=`.status.shared.free`
// +kubebuilder:printcolumn:name="Cooling",type=integer,JSONPath=`.status.shared.cooling`
// +kubebuilder:printcolumn:name="Desired",type=integer,JSONPath=`.status.shared.desired`
// +kubebuilder:printcolumn:name="Exclusive",type=integer,JSONPath=`.status.exclusive.capacity`
// +kubebuilder:printcolumn:name="Exclusive-Free",type=integer,JSONPath=`.status.exclusive.free`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Policy",type=string,JSONPath=`.spec.policyName`,priority=1
// +kubebuilder:printcolumn:name="Instance",type=string,JSONPath=`.spec.instanceID`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name == self.spec.nodeName",message="a pool has the name of its Node"
type ENIPool struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// Spec is what the pool should be.
	// +required
	Spec ENIPoolSpec `json:"spec"`
	// Status is what the pool is, and who holds what.
	// +optional
	Status ENIPoolStatus `json:"status,omitempty"`
}

// ENIPoolList is a list of pools.
//
// +kubebuilder:object:root=true
type ENIPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// Items are the pools.
	Items []ENIPool `json:"items"`
}
