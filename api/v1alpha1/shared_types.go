/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Mode says how many consumers an ENI serves.
//
// +kubebuilder:validation:Enum=Shared;Exclusive
type Mode string

const (
	// ModeShared is an ENI whose secondary addresses serve many consumers.
	ModeShared Mode = "Shared"
	// ModeExclusive is an ENI that serves one consumer at a time.
	ModeExclusive Mode = "Exclusive"
)

// AddressType says in which units addresses are taken from the subnet.
//
// +kubebuilder:validation:Enum=IPv4;IPv4Prefix
type AddressType string

const (
	// AddressTypeIPv4 takes single secondary addresses.
	AddressTypeIPv4 AddressType = "IPv4"
	// AddressTypeIPv4Prefix takes /28 prefixes of 16 addresses; Nitro instance
	// types only (EC2).
	AddressTypeIPv4Prefix AddressType = "IPv4Prefix"
)

// DeletionPolicy says what becomes of an ENI in EC2 when its resource is deleted.
//
// +kubebuilder:validation:Enum=Delete;Retain
type DeletionPolicy string

const (
	// DeletionPolicyDelete detaches and deletes the ENI.
	DeletionPolicyDelete DeletionPolicy = "Delete"
	// DeletionPolicyRetain leaves the ENI in EC2, tagged as retained.
	DeletionPolicyRetain DeletionPolicy = "Retain"
)

// SubnetSelectorTerm selects subnets. Terms are ORed, the fields of one term
// are ANDed, and only subnets in the instance's VPC and Availability Zone count.
//
// +kubebuilder:validation:XValidation:rule="has(self.id) != has(self.tags)",message="set exactly one of id and tags"
type SubnetSelectorTerm struct {
	// ID is a subnet's id, as in subnet-0123456789abcdef0.
	// +kubebuilder:validation:Pattern=`^subnet-[0-9a-f]{8}([0-9a-f]{9})?$`
	// +kubebuilder:validation:MaxLength=24
	// +optional
	ID string `json:"id,omitempty"`

	// Tags are key and value pairs that a subnet must carry, all of them. The
	// value "*" asks for the key alone.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=20
	// +optional
	Tags map[string]TagValue `json:"tags,omitempty"`
}

// SecurityGroupSelectorTerm selects security groups of the instance's VPC. Terms
// are ORed, the fields of one term are ANDed.
//
// +kubebuilder:validation:XValidation:rule="(has(self.id) ? 1 : 0) + (has(self.name) ? 1 : 0) + (has(self.tags) ? 1 : 0) == 1",message="set exactly one of id, name and tags"
type SecurityGroupSelectorTerm struct {
	// ID is a security group's id, as in sg-0123456789abcdef0.
	// +kubebuilder:validation:Pattern=`^sg-[0-9a-f]{8}([0-9a-f]{9})?$`
	// +kubebuilder:validation:MaxLength=20
	// +optional
	ID string `json:"id,omitempty"`

	// Name is the security group's name (not its Name tag).
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Name string `json:"name,omitempty"`

	// Tags are key and value pairs that a group must carry, all of them. The
	// value "*" asks for the key alone.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=20
	// +optional
	Tags map[string]TagValue `json:"tags,omitempty"`
}

// TagValue is the value of an EC2 tag, at most 256 characters (EC2).
//
// +kubebuilder:validation:MaxLength=256
type TagValue string

// SubnetID is the id of a subnet.
//
// +kubebuilder:validation:Pattern=`^subnet-[0-9a-f]{8}([0-9a-f]{9})?$`
// +kubebuilder:validation:MaxLength=24
type SubnetID string

// SecurityGroupID is the id of a security group.
//
// +kubebuilder:validation:Pattern=`^sg-[0-9a-f]{8}([0-9a-f]{9})?$`
// +kubebuilder:validation:MaxLength=20
type SecurityGroupID string

// Address is an IPv4 address in dotted form, without a mask.
//
// +kubebuilder:validation:MaxLength=15
// +kubebuilder:validation:XValidation:rule="isIP(self) && ip(self).family() == 4",message="must be an IPv4 address, as in 10.0.3.9"
type Address string

// Prefix is an IPv4 network in CIDR form, as in 10.0.3.16/28.
//
// +kubebuilder:validation:MaxLength=18
// +kubebuilder:validation:XValidation:rule="isCIDR(self) && cidr(self).ip().family() == 4",message="must be an IPv4 CIDR, as in 10.0.3.16/28"
type Prefix string

// AddressOrPrefix is an IPv4 address or an IPv4 network in CIDR form.
//
// +kubebuilder:validation:MaxLength=18
// +kubebuilder:validation:XValidation:rule="(isIP(self) && ip(self).family() == 4) || (isCIDR(self) && cidr(self).ip().family() == 4)",message="must be an IPv4 address or an IPv4 CIDR"
type AddressOrPrefix string

// ENITemplate is what a policy asks for on each of its nodes. The operator
// copies it into the pool of every node that the policy selects.
type ENITemplate struct {
	// ClaimNamespaceSelector selects the namespaces that may claim on these
	// nodes. Unset or empty: all namespaces.
	// +optional
	ClaimNamespaceSelector *metav1.LabelSelector `json:"claimNamespaceSelector,omitempty"`

	// MinDeviceIndex is the lowest device index that the operator may use for
	// its ENIs. Unset: the operator's flag --min-device-index. Lower indexes stay
	// free for others, such as the VPC CNI. 0: shared pools use the free slots of the
	// primary ENI first, if its subnet and security groups are those of the policy;
	// nothing of it is changed but addresses that the operator assigned.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=127
	// +optional
	MinDeviceIndex *int32 `json:"minDeviceIndex,omitempty"`

	// SubnetSelectorTerms select the subnets of new ENIs; the one with the most
	// free addresses comes first. Unset: the subnet of the instance's primary ENI.
	// +kubebuilder:validation:MaxItems=30
	// +listType=atomic
	// +optional
	SubnetSelectorTerms []SubnetSelectorTerm `json:"subnetSelectorTerms,omitempty"`

	// SecurityGroupSelectorTerms select the security groups of the ENIs. Unset:
	// the groups of the instance's primary ENI.
	// +kubebuilder:validation:MaxItems=30
	// +listType=atomic
	// +optional
	SecurityGroupSelectorTerms []SecurityGroupSelectorTerm `json:"securityGroupSelectorTerms,omitempty"`

	// Shared bounds the addresses that the node's shared ENIs hold. Unset: the
	// node offers no shared mode.
	// +optional
	Shared *SharedBounds `json:"shared,omitempty"`

	// Exclusive bounds the ENIs that the node hands out whole. Unset: the node
	// offers no exclusive mode.
	// +optional
	Exclusive *ExclusiveBounds `json:"exclusive,omitempty"`

	// IPAM names the plugin that hands addresses out: shared (from a warm pool), or
	// aws (an address is taken from EC2 for each claim and given back when the claim
	// has released it; minimumIPs and warmIPs do not apply).
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self in ['aws', 'shared']",message="unknown IPAM plugin; this release has: aws, shared"
	// +kubebuilder:default=shared
	// +optional
	IPAM string `json:"ipam,omitempty"`

	// StartupTaint is the key of a taint that the operator removes from a node
	// once its pool holds its minimum, so that no pod starts too early. Register
	// nodes with it. Its key begins with eni-operator.dev/, or what the operator's
	// flag --startup-taint-prefix says.
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`
	// +optional
	StartupTaint string `json:"startupTaint,omitempty"`

	// Tags are added to each ENI in EC2, besides the operator's own.
	// +kubebuilder:validation:MaxProperties=40
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) >= 1 && size(k) <= 128)",message="a tag key has 1 to 128 characters"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('aws:') && !k.startsWith('eks:') && !k.startsWith('networking.eni-operator.dev/') && !k.matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|k8s[.]aws|k8s[.]amazonaws[.]com|karpenter[.]sh)(/|$)'))",message="tag keys that begin with aws:, eks: or networking.eni-operator.dev/, and those of the domains kubernetes.io, k8s.io, k8s.aws, k8s.amazonaws.com and karpenter.sh, are reserved: other systems act by them"
	// +optional
	Tags map[string]TagValue `json:"tags,omitempty"`

	// DeletionPolicy says what becomes of the ENIs in EC2 when they are no longer
	// needed.
	// +kubebuilder:default=Delete
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// SharedBounds bound a node's pool of addresses. The ENIs' own primary addresses
// do not count.
//
// +kubebuilder:validation:XValidation:rule="self.minimumIPs <= self.maximumIPs",message="minimumIPs must not be above maximumIPs",fieldPath=".minimumIPs"
type SharedBounds struct {
	// AddressType is the unit in which addresses are taken from the subnet. With
	// IPv4Prefix, minimumIPs rounds up and maximumIPs down to whole /28 prefixes.
	// +kubebuilder:default=IPv4
	// +optional
	AddressType AddressType `json:"addressType,omitempty"`

	// MinimumIPs is the number of addresses that the pool never goes below.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1024
	// +kubebuilder:default=0
	// +optional
	MinimumIPs int32 `json:"minimumIPs"`

	// WarmIPs is the number of free addresses kept ahead of demand.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1024
	// +kubebuilder:default=8
	// +optional
	WarmIPs int32 `json:"warmIPs"`

	// MaximumIPs is the number of addresses that the pool never goes above; the
	// instance type bounds it too.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1024
	// +kubebuilder:default=1024
	// +optional
	MaximumIPs int32 `json:"maximumIPs"`

	// MaximumPerNamespace is the number of addresses of a node that the claims of
	// one namespace can have, those that rest after a release included. Unset: all.
	// Over all nodes, a ResourceQuota bounds count/eniclaims.networking.eni-operator.dev.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1024
	// +optional
	MaximumPerNamespace *int32 `json:"maximumPerNamespace,omitempty"`

	// Cooldown is how long a released address rests before it is handed out
	// again, as in 30s: the VPC may still send packets of its last holder.
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(\.[0-9]{1,9})?(ns|us|µs|ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('24h')",message="must be at most 24h"
	// +optional
	Cooldown *metav1.Duration `json:"cooldown,omitempty"`

	// ReserveAfterRelease is how long an address, once it has rested, is reserved for the
	// namespace whose claim released it, as in 5m: claims of other namespaces cannot have
	// it by name (spec.address) until then. Claims that ask for no address in particular
	// get it when nothing else is free. 0s: no address is reserved.
	// +kubebuilder:default="5m0s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(\.[0-9]{1,9})?(ns|us|µs|ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('24h')",message="must be at most 24h"
	// +optional
	ReserveAfterRelease *metav1.Duration `json:"reserveAfterRelease,omitempty"`

	// IdleReleaseAfter is how long addresses beyond what the pool wants are kept
	// before they go back to the subnet, as in 10m.
	// +kubebuilder:default="10m0s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(\.[0-9]{1,9})?(ns|us|µs|ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('720h')",message="must be at most 720h"
	// +optional
	IdleReleaseAfter *metav1.Duration `json:"idleReleaseAfter,omitempty"`
}

// ExclusiveBounds bound the ENIs that a node hands out whole.
//
// +kubebuilder:validation:XValidation:rule="self.minimum <= self.maximum",message="minimum must not be above maximum",fieldPath=".minimum"
type ExclusiveBounds struct {
	// Minimum is the number of exclusive ENIs that the node never goes below.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=127
	// +kubebuilder:default=0
	// +optional
	Minimum int32 `json:"minimum"`

	// Warm is the number of free exclusive ENIs kept ahead of demand.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=127
	// +kubebuilder:default=0
	// +optional
	Warm int32 `json:"warm"`

	// Maximum is the number of exclusive ENIs that the node never goes above; the
	// instance type bounds it too.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=127
	// +kubebuilder:default=127
	// +optional
	Maximum int32 `json:"maximum"`

	// MaximumPerNamespace is the number of exclusive ENIs of a node that the claims
	// of one namespace can have. Unset: all.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=127
	// +optional
	MaximumPerNamespace *int32 `json:"maximumPerNamespace,omitempty"`
}

// ClaimReference names the claim that holds an address or an ENI. Only the UID
// decides who the holder is; namespace and name are for people.
type ClaimReference struct {
	// Namespace of the claim.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Namespace string `json:"namespace"`
	// Name of the claim.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
	// UID of the claim.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	UID types.UID `json:"uid"`
}
