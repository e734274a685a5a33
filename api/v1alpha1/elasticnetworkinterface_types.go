/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ElasticNetworkInterfaceSpec is what one ENI should be.
//
// +kubebuilder:validation:XValidation:rule="!has(self.addressCount) || !has(self.prefixCount) || self.addressCount == 0 || self.prefixCount == 0",message="set addressCount or prefixCount, not both",fieldPath=".prefixCount"
// +kubebuilder:validation:XValidation:rule="!has(self.deviceIndex) || self.deviceIndex > 0 || (self.mode == 'Shared' && !has(self.subnetIDs) && !has(self.securityGroupIDs) && !has(self.tags) && !has(self.networkCardIndex))",message="0 is the instance's primary ENI, of which only addresses are managed: mode must be Shared, and subnetIDs, securityGroupIDs, tags and networkCardIndex unset",fieldPath=".deviceIndex"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.poolName) || size(oldSelf.poolName) == 0 || self.nodeName == oldSelf.nodeName",message="an ENI of a pool stays on its node: the pools make others where they are needed",fieldPath=".nodeName"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.poolName) || size(oldSelf.poolName) == 0 || (has(self.instanceID) == has(oldSelf.instanceID) && (!has(self.instanceID) || self.instanceID == oldSelf.instanceID))",message="an ENI of a pool stays on its instance: the pools make others where they are needed",fieldPath=".instanceID"
// +kubebuilder:validation:XValidation:rule="(has(self.deviceIndex) && self.deviceIndex == 0) == (has(oldSelf.deviceIndex) && oldSelf.deviceIndex == 0)",message="deviceIndex cannot change from or to 0, the instance's primary ENI; make another resource",fieldPath=".deviceIndex"
type ElasticNetworkInterfaceSpec struct {
	// NodeName is the Node that the ENI is attached to. An ENI that a person made
	// moves when it changes, to a Node of the same zone.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +required
	NodeName string `json:"nodeName"`

	// InstanceID is the EC2 instance that the ENI is attached to: the Node's, from its
	// spec.providerID. Unset: whichever the Node stands for. ENIs of pools keep theirs
	// while the Node is away.
	// +kubebuilder:validation:Pattern=`^i-[0-9a-f]{8}([0-9a-f]{9})?$`
	// +kubebuilder:validation:MaxLength=19
	// +optional
	InstanceID string `json:"instanceID,omitempty"`

	// PoolName is the pool that owns the ENI. Unset: a person made it.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="poolName is immutable"
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`
	// +optional
	PoolName string `json:"poolName,omitempty"`

	// Mode says whether the ENI serves many consumers or one.
	// +kubebuilder:default=Shared
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="mode is immutable"
	// +optional
	Mode Mode `json:"mode,omitempty"`

	// MinDeviceIndex is the lowest device index to attach at when deviceIndex is
	// unset; 0 is the same as 1. Unset: the operator's flag --min-device-index.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=127
	// +optional
	MinDeviceIndex *int32 `json:"minDeviceIndex,omitempty"`

	// DeviceIndex fixes the index on the network card. Unset: the lowest free one
	// when the ENI is attached. 0: the resource stands for the instance's primary
	// ENI, of which only the addresses that the operator assigned are managed.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=127
	// +optional
	DeviceIndex *int32 `json:"deviceIndex,omitempty"`

	// NetworkCardIndex fixes the network card. Unset: the first card with a free
	// place and device index, or card 0 where deviceIndex is set.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31
	// +optional
	NetworkCardIndex *int32 `json:"networkCardIndex,omitempty"`

	// SubnetIDs are the subnets to create the ENI in, the best first; the next is
	// tried when one is full. Unset: the subnet of the instance's primary ENI.
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	SubnetIDs []SubnetID `json:"subnetIDs,omitempty"`

	// SecurityGroupIDs are the ENI's security groups. Unset: those of the
	// instance's primary ENI.
	// +kubebuilder:validation:MaxItems=16
	// +listType=set
	// +optional
	SecurityGroupIDs []SecurityGroupID `json:"securityGroupIDs,omitempty"`

	// AddressCount is the number of secondary private IPv4 addresses.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1024
	// +optional
	AddressCount int32 `json:"addressCount,omitempty"`

	// PrefixCount is the number of /28 prefixes. Nitro instance types only (EC2).
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=64
	// +optional
	PrefixCount int32 `json:"prefixCount,omitempty"`

	// Release names the secondary addresses and prefixes to give back to the
	// subnet. Counts only grow an ENI; only names shrink it.
	// +kubebuilder:validation:MaxItems=1024
	// +listType=set
	// +optional
	Release []AddressOrPrefix `json:"release,omitempty"`

	// Reclaim names secondary addresses and prefixes that claims hold and that
	// vanished in EC2: they are assigned again by name.
	// +kubebuilder:validation:MaxItems=1024
	// +listType=set
	// +optional
	Reclaim []AddressOrPrefix `json:"reclaim,omitempty"`

	// Drained says that nobody holds anything of this ENI any more, so that it
	// may be detached when it is deleted.
	// +optional
	Drained bool `json:"drained,omitempty"`

	// Description is the ENI's description in EC2, which permits these characters alone.
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-zA-Z0-9. _:/()#,@\\[\\]+=&;{}!$*-]*$')`,message="EC2 permits letters a to z and A to Z, digits, blanks and . _ - : / ( ) # , @ [ ] + = & ; { } ! $ * in a description"
	// +optional
	Description string `json:"description,omitempty"`

	// Tags are added to the ENI in EC2, besides the operator's own.
	// +kubebuilder:validation:MaxProperties=40
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) >= 1 && size(k) <= 128)",message="a tag key has 1 to 128 characters"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('aws:') && !k.startsWith('eks:') && !k.startsWith('networking.eni-operator.dev/') && !k.matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|k8s[.]aws|k8s[.]amazonaws[.]com|karpenter[.]sh)(/|$)'))",message="tag keys that begin with aws:, eks: or networking.eni-operator.dev/, and those of the domains kubernetes.io, k8s.io, k8s.aws, k8s.amazonaws.com and karpenter.sh, are reserved: other systems act by them"
	// +optional
	Tags map[string]TagValue `json:"tags,omitempty"`

	// DeletionPolicy says what becomes of the ENI in EC2 when this resource is
	// deleted.
	// +kubebuilder:default=Delete
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// ENIState is where an ENI is on its way.
//
// +kubebuilder:validation:Enum=Pending;Creating;Available;Attaching;Attached;Detaching;Deleting;Retained;Lost
type ENIState string

const (
	// ENIPending waits for what it needs before it can be created.
	ENIPending ENIState = "Pending"
	// ENICreating has a creation record; EC2 may or may not know it yet.
	ENICreating ENIState = "Creating"
	// ENIAvailable exists and is attached to nothing.
	ENIAvailable ENIState = "Available"
	// ENIAttaching is being attached.
	ENIAttaching ENIState = "Attaching"
	// ENIAttached is attached to its instance.
	ENIAttached ENIState = "Attached"
	// ENIDetaching is being detached.
	ENIDetaching ENIState = "Detaching"
	// ENIDeleting is detached and being deleted.
	ENIDeleting ENIState = "Deleting"
	// ENILost: somebody else deleted it in EC2; nothing of what it carried is left.
	ENILost ENIState = "Lost"
)

// CreationRecord is what a CreateNetworkInterface call says, written before the
// call is made, so that after a crash the same call can be made again: EC2
// answers it with the same ENI.
type CreationRecord struct {
	// Attempt counts the distinct calls; with the resource's UID it makes the
	// client token.
	// +kubebuilder:validation:Minimum=1
	Attempt int32 `json:"attempt"`
	// StartedAt is when the attempt began; it is also the ENI's created-at tag.
	// +kubebuilder:validation:XValidation:rule="self > timestamp('1970-01-01T00:00:00Z')",message="must be a time after 1970, as in 2026-01-01T00:00:00Z"
	StartedAt metav1.Time `json:"startedAt"`
	// SubnetID is the subnet of this attempt.
	SubnetID SubnetID `json:"subnetID"`
	// SecurityGroupIDs are the groups of this attempt.
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	// +optional
	SecurityGroupIDs []SecurityGroupID `json:"securityGroupIDs,omitempty"`
	// AddressCount is the number of secondary addresses asked for.
	// +optional
	AddressCount int32 `json:"addressCount,omitempty"`
	// PrefixCount is the number of prefixes asked for.
	// +optional
	PrefixCount int32 `json:"prefixCount,omitempty"`
	// Description of the ENI.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Description string `json:"description,omitempty"`
	// Tags of the ENI, all of them.
	// +kubebuilder:validation:MaxProperties=50
	// +optional
	Tags map[string]TagValue `json:"tags,omitempty"`
	// Refused is the EC2 error code of a definite refusal: the next attempt may
	// differ.
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Refused string `json:"refused,omitempty"`
	// SubnetFull says that it was refused for want of free addresses in the subnet.
	// +optional
	SubnetFull bool `json:"subnetFull,omitempty"`
	// Unclear says that a call of this attempt may have had its effect although the
	// last one was refused: before the next attempt the ENI is looked for.
	// +optional
	Unclear bool `json:"unclear,omitempty"`
	// MissedAt is when a look-up by the owner's UID tag first found nothing.
	// +kubebuilder:validation:XValidation:rule="self > timestamp('1970-01-01T00:00:00Z')",message="must be a time after 1970, as in 2026-01-01T00:00:00Z"
	// +optional
	MissedAt *metav1.Time `json:"missedAt,omitempty"`
}

// AssignmentRecord is what is asked of EC2 for a primary ENI, by name, written before
// the call is made, so that the operator's addresses are told from those that others
// assigned, also when the answer is lost.
type AssignmentRecord struct {
	// StartedAt is when the record was written.
	// +kubebuilder:validation:XValidation:rule="self > timestamp('1970-01-01T00:00:00Z')",message="must be a time after 1970, as in 2026-01-01T00:00:00Z"
	StartedAt metav1.Time `json:"startedAt"`
	// Names are the secondary addresses, or the prefixes, asked for.
	// +kubebuilder:validation:MaxItems=1024
	// +listType=atomic
	Names []AddressOrPrefix `json:"names"`
}

// Attachment is an ENI's attachment to an instance.
type Attachment struct {
	// ID of the attachment.
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`
	// InstanceID is the instance.
	// +kubebuilder:validation:MaxLength=64
	InstanceID string `json:"instanceID"`
	// DeviceIndex on the network card.
	DeviceIndex int32 `json:"deviceIndex"`
	// NetworkCardIndex of the attachment.
	NetworkCardIndex int32 `json:"networkCardIndex"`
}

// StateTransition is when an ENI entered a state.
type StateTransition struct {
	// State that was entered.
	State ENIState `json:"state"`
	// At is when.
	// +kubebuilder:validation:XValidation:rule="self > timestamp('1970-01-01T00:00:00Z')",message="must be a time after 1970, as in 2026-01-01T00:00:00Z"
	At metav1.Time `json:"at"`
}

// ElasticNetworkInterfaceStatus is what is known of one ENI.
type ElasticNetworkInterfaceStatus struct {
	// ObservedGeneration is the generation of the spec that this status is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// ResourceUID is the UID of the resource whose status this is. Another means that the
	// status was restored from an earlier resource of the name: nobody is served by it.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +optional
	ResourceUID types.UID `json:"resourceUID,omitempty"`
	// State is where the ENI is on its way.
	// +optional
	State ENIState `json:"state,omitempty"`
	// NetworkInterfaceID is the ENI's id in EC2.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	NetworkInterfaceID string `json:"networkInterfaceID,omitempty"`
	// MACAddress of the ENI.
	// +kubebuilder:validation:MaxLength=17
	// +optional
	MACAddress string `json:"macAddress,omitempty"`
	// VPCID is the ENI's VPC.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	VPCID string `json:"vpcID,omitempty"`
	// AvailabilityZone of the ENI.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	AvailabilityZone string `json:"availabilityZone,omitempty"`
	// SubnetID is the ENI's subnet.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	SubnetID string `json:"subnetID,omitempty"`
	// SubnetCIDR is the IPv4 CIDR of the subnet.
	// +kubebuilder:validation:MaxLength=18
	// +optional
	SubnetCIDR string `json:"subnetCIDR,omitempty"`
	// SecurityGroupIDs are the ENI's security groups.
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	// +optional
	SecurityGroupIDs []SecurityGroupID `json:"securityGroupIDs,omitempty"`
	// PrimaryAddress is the ENI's primary private IPv4 address.
	// +kubebuilder:validation:MaxLength=15
	// +optional
	PrimaryAddress string `json:"primaryAddress,omitempty"`
	// Addresses are the secondary private IPv4 addresses, sorted. Of a primary ENI:
	// those that the operator assigned.
	// +kubebuilder:validation:MaxItems=1024
	// +listType=atomic
	// +optional
	Addresses []Address `json:"addresses,omitempty"`
	// Prefixes are the /28 prefixes, sorted. Of a primary ENI: those that the
	// operator assigned.
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	Prefixes []Prefix `json:"prefixes,omitempty"`
	// AddressCount is the number of addresses that the ENI offers to claims:
	// secondary addresses and those of its prefixes.
	// +optional
	AddressCount int32 `json:"addressCount"`
	// Missing are addresses and prefixes that vanished in EC2, until the pool says
	// whether they are to be reclaimed or given up (spec.release). Nothing is assigned
	// in their place before.
	// +kubebuilder:validation:MaxItems=1024
	// +listType=atomic
	// +optional
	Missing []AddressOrPrefix `json:"missing,omitempty"`
	// Lost are those of spec.reclaim that EC2 does not give back, and all that an ENI
	// carried that is gone in EC2, its primary address included; such as an address
	// that another ENI has by now.
	// +kubebuilder:validation:MaxItems=1024
	// +listType=atomic
	// +optional
	Lost []AddressOrPrefix `json:"lost,omitempty"`
	// Doubtful are addresses and prefixes that EC2 showed on another ENI too, or has not
	// shown on this one since another process was in charge. They are not handed out until
	// EC2 shows them on this one alone.
	// +kubebuilder:validation:MaxItems=1024
	// +listType=atomic
	// +optional
	Doubtful []AddressOrPrefix `json:"doubtful,omitempty"`
	// Refusal is set while EC2 has not the capacity for what the spec asks for.
	// +optional
	Refusal *GrowthRefusal `json:"refusal,omitempty"`
	// ForeignCount is the number of secondary addresses and prefixes of a primary
	// ENI that are not the operator's.
	// +optional
	ForeignCount int32 `json:"foreignCount,omitempty"`
	// Attachment is where the ENI is attached.
	// +optional
	Attachment *Attachment `json:"attachment,omitempty"`
	// Creation is the record of the last CreateNetworkInterface call.
	// +optional
	Creation *CreationRecord `json:"creation,omitempty"`
	// Assignment is the record of an AssignPrivateIpAddresses call for a primary ENI
	// whose outcome is open.
	// +optional
	Assignment *AssignmentRecord `json:"assignment,omitempty"`
	// Transitions are the last states that the ENI entered, the oldest first.
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	// +optional
	Transitions []StateTransition `json:"transitions,omitempty"`
	// Conditions are Ready, Created, Attached and AddressesAssigned.
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime > timestamp('1970-01-01T00:00:00Z'))",message="lastTransitionTime must be a time after 1970, as in 2026-01-01T00:00:00Z"
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// GrowthRefusal says that EC2 lacks the capacity for what an ENI's spec asks for.
// The pool counts such an ENI with what it carries, and grows elsewhere.
type GrowthRefusal struct {
	// Reason is SubnetExhausted, SubnetFragmented or QuotaExceeded.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9]*$`
	// +required
	Reason string `json:"reason"`
	// Message says what EC2 refused, and what to do.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Message string `json:"message,omitempty"`
	// Generation is the generation of the spec that was refused.
	// +optional
	Generation int64 `json:"generation,omitempty"`
}

// ElasticNetworkInterface is one ENI. The operator makes them for its pools; a
// person may make one too.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=eni,categories=eni-operator
// +kubebuilder:selectablefield:JSONPath=`.spec.nodeName`
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.spec.nodeName`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="ENI",type=string,JSONPath=`.status.networkInterfaceID`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Index",type=integer,JSONPath=`.status.attachment.deviceIndex`
// +kubebuilder:printcolumn:name="Primary-IP",type=string,JSONPath=`.status.primaryAddress`
// +kubebuilder:printcolumn:name="IPs",type=integer,JSONPath=`.status.addressCount`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Subnet",type=string,JSONPath=`.status.subnetID`,priority=1
// +kubebuilder:printcolumn:name="MAC",type=string,JSONPath=`.status.macAddress`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ElasticNetworkInterface struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// Spec is what the ENI should be.
	// +required
	Spec ElasticNetworkInterfaceSpec `json:"spec"`
	// Status is what is known of it.
	// +optional
	Status ElasticNetworkInterfaceStatus `json:"status,omitempty"`
}

// ElasticNetworkInterfaceList is a list of ENIs.
//
// +kubebuilder:object:root=true
type ElasticNetworkInterfaceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// Items are the ENIs.
	Items []ElasticNetworkInterface `json:"items"`
}

// Primary says whether the resource stands for the primary ENI of its instance, of
// which only the addresses that the operator assigned are managed.
func (e *ElasticNetworkInterface) Primary() bool {
	return e.Spec.DeviceIndex != nil && *e.Spec.DeviceIndex == 0
}
