/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ENIClaimSpec is a request for one address, or one whole ENI, on one node.
//
// +kubebuilder:validation:XValidation:rule="has(self.address) == has(oldSelf.address) && (!has(self.address) || self.address == oldSelf.address)",message="address is immutable; delete the claim and make a new one",fieldPath=".address"
// +kubebuilder:validation:XValidation:rule="!has(self.address) || self.mode == 'Shared'",message="address can be chosen in mode Shared only",fieldPath=".address"
type ENIClaimSpec struct {
	// NodeName is the Node on which the address is needed.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="nodeName is immutable; delete the claim and make a new one"
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +required
	NodeName string `json:"nodeName"`

	// Mode says whether one address (Shared) or a whole ENI (Exclusive) is asked
	// for.
	// +kubebuilder:default=Shared
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="mode is immutable; delete the claim and make a new one"
	// +optional
	Mode Mode `json:"mode,omitempty"`

	// Address asks for this address and no other; it must be one of the pool's.
	// +optional
	Address *Address `json:"address,omitempty"`

	// Lease takes the address back when the holder stops renewing. It may be
	// changed, added and removed at any time.
	// +optional
	Lease *ClaimLease `json:"lease,omitempty"`
}

// ClaimLease is a promise to renew: the holder of a bound claim sets renewTime again
// and again.
type ClaimLease struct {
	// Duration is how long a bound claim keeps what it holds without a renewal, as
	// in 60s. The operator waits for its --lease-grace on top of that. A change
	// begins a new count.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(\.[0-9]{1,9})?(ns|us|µs|ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('720h')",message="must be at least 1s and at most 720h"
	// +required
	Duration metav1.Duration `json:"duration"`

	// RenewTime is set by the holder, at least every third of the duration, to another
	// time than before. Any change is a renewal: the operator compares it with no clock.
	// +kubebuilder:validation:XValidation:rule="self > timestamp('1970-01-01T00:00:00Z')",message="must be a time after 1970, as in 2026-01-01T00:00:00Z"
	// +optional
	RenewTime *metav1.Time `json:"renewTime,omitempty"`
}

// ClaimPhase is where a claim is.
//
// +kubebuilder:validation:Enum=Pending;Bound;Lost;Expired
type ClaimPhase string

const (
	// ClaimPending waits; the condition Ready says for what.
	ClaimPending ClaimPhase = "Pending"
	// ClaimBound holds what it asked for.
	ClaimBound ClaimPhase = "Bound"
	// ClaimLost lost its address with its node, for good.
	ClaimLost ClaimPhase = "Lost"
	// ClaimExpired was not renewed in time and never binds again.
	ClaimExpired ClaimPhase = "Expired"
)

// ENIClaimStatus is what was given.
type ENIClaimStatus struct {
	// ObservedGeneration is the generation of the spec that this status is of. Changes
	// of the lease alone do not move it.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Phase is where the claim is.
	// +optional
	Phase ClaimPhase `json:"phase,omitempty"`
	// Address is the claimed address; for an exclusive ENI its primary address.
	// +kubebuilder:validation:MaxLength=15
	// +optional
	Address string `json:"address,omitempty"`
	// PrefixLength is the subnet's prefix length in bits, for configuring the
	// address on a device.
	// +optional
	PrefixLength int32 `json:"prefixLength,omitempty"`
	// SubnetCIDR is the IPv4 CIDR of the address's subnet.
	// +kubebuilder:validation:MaxLength=18
	// +optional
	SubnetCIDR string `json:"subnetCIDR,omitempty"`
	// Gateway is the subnet's router: the first address of the subnet + 1 (EC2).
	// +kubebuilder:validation:MaxLength=15
	// +optional
	Gateway string `json:"gateway,omitempty"`
	// MACAddress of the ENI that carries the address.
	// +kubebuilder:validation:MaxLength=17
	// +optional
	MACAddress string `json:"macAddress,omitempty"`
	// DeviceIndex of that ENI.
	// +optional
	DeviceIndex *int32 `json:"deviceIndex,omitempty"`
	// NetworkCardIndex of that ENI.
	// +optional
	NetworkCardIndex *int32 `json:"networkCardIndex,omitempty"`
	// NetworkInterfaceID is that ENI's id in EC2.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	NetworkInterfaceID string `json:"networkInterfaceID,omitempty"`
	// ENIName is that ENI's ElasticNetworkInterface.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`
	// +optional
	ENIName string `json:"eniName,omitempty"`
	// BoundAt is when the claim was bound.
	// +kubebuilder:validation:XValidation:rule="self > timestamp('1970-01-01T00:00:00Z')",message="must be a time after 1970, as in 2026-01-01T00:00:00Z"
	// +optional
	BoundAt *metav1.Time `json:"boundAt,omitempty"`
	// Conditions are Ready and, where it is so, AddressLost.
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime > timestamp('1970-01-01T00:00:00Z'))",message="lastTransitionTime must be a time after 1970, as in 2026-01-01T00:00:00Z"
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ENIClaim asks for one address, or one whole ENI, on one node.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=eniclaim,categories=eni-operator
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.address`
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.spec.nodeName`
// +kubebuilder:printcolumn:name="ENI",type=string,JSONPath=`.status.networkInterfaceID`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.nodeName`
type ENIClaim struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// Spec is the request.
	// +required
	Spec ENIClaimSpec `json:"spec"`
	// Status is what was given.
	// +optional
	Status ENIClaimStatus `json:"status,omitempty"`
}

// LeaseRanOut is the message of an expired claim's condition Ready.
const LeaseRanOut = "The lease was not renewed in time. Delete this claim and make a new one."

// ENIClaimList is a list of claims.
//
// +kubebuilder:object:root=true
type ENIClaimList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// Items are the claims.
	Items []ENIClaim `json:"items"`
}
