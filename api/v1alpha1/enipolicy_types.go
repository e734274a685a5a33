/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ENIPolicySpec says which nodes get which ENIs, and how large their pools are.
//
// +kubebuilder:validation:XValidation:rule="has(self.shared) || has(self.exclusive)",message="set shared, exclusive or both: a policy with neither gives its nodes nothing",fieldPath=".shared"
// +kubebuilder:validation:XValidation:rule="!has(self.ipam) || self.ipam != 'aws' || !has(self.shared) || self.shared.addressType != 'IPv4Prefix'",message="ipam aws takes single addresses: set shared.addressType to IPv4, or ipam to shared",fieldPath=".ipam"
type ENIPolicySpec struct {
	// NodeSelector selects the Nodes of this policy by their labels. Empty: all
	// Nodes that are EC2 instances.
	// +required
	NodeSelector metav1.LabelSelector `json:"nodeSelector"`

	// Priority decides between policies that select the same Node: the highest
	// wins, then the oldest, then the first by name. The losers get the condition
	// Overlapping.
	// +kubebuilder:validation:Minimum=-1000000
	// +kubebuilder:validation:Maximum=1000000
	// +kubebuilder:default=0
	// +optional
	Priority int32 `json:"priority"`

	ENITemplate `json:",inline"`
}

// ENIPolicyStatus reports which Nodes a policy governs and how far their pools are.
type ENIPolicyStatus struct {
	// ObservedGeneration is the generation of the spec that this status is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Nodes is the number of Nodes that this policy governs.
	// +optional
	Nodes int32 `json:"nodes"`

	// ReadyPools is the number of those Nodes whose pool holds its minimum.
	// +optional
	ReadyPools int32 `json:"readyPools"`

	// SkippedNodes is the number of selected Nodes that are no EC2 instances, such as
	// those of Fargate, and so can have no ENIs.
	// +optional
	SkippedNodes int32 `json:"skippedNodes,omitempty"`

	// Conditions are Ready, NodesUsable, Overlapping and EC2Trusted.
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime > timestamp('1970-01-01T00:00:00Z'))",message="lastTransitionTime must be a time after 1970, as in 2026-01-01T00:00:00Z"
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ENIPolicy says which nodes get which Elastic Network Interfaces, and how large
// their address pools are. Platform teams write it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=enipolicy,categories=eni-operator
// +kubebuilder:printcolumn:name="Priority",type=integer,JSONPath=`.spec.priority`
// +kubebuilder:printcolumn:name="Min-IPs",type=integer,JSONPath=`.spec.shared.minimumIPs`
// +kubebuilder:printcolumn:name="Max-IPs",type=integer,JSONPath=`.spec.shared.maximumIPs`
// +kubebuilder:printcolumn:name="Exclusive-ENIs",type=integer,JSONPath=`.spec.exclusive.minimum`
// +kubebuilder:printcolumn:name="Nodes",type=integer,JSONPath=`.status.nodes`
// +kubebuilder:printcolumn:name="Ready-Pools",type=integer,JSONPath=`.status.readyPools`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="a policy's name has at most 63 characters"
type ENIPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// Spec is what the platform team wants.
	// +required
	Spec ENIPolicySpec `json:"spec"`
	// Status reports which Nodes it governs and how far their pools are.
	// +optional
	Status ENIPolicyStatus `json:"status,omitempty"`
}

// ENIPolicyList is a list of policies.
//
// +kubebuilder:object:root=true
type ENIPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// Items are the policies.
	Items []ENIPolicy `json:"items"`
}
