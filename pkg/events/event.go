/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package events tells whoever wants to know what the operator has stored:
// Kubernetes Events, metrics, the snapshot, and people who follow the live stream.
//
// An event is published after the write to Kubernetes that it tells of, never
// before. Each subscriber has a bounded queue and one goroutine: it gets the events
// of an ENI in the order in which they were stored, and one that does not keep up
// loses events, which is counted, and never holds up a reconcile.
package events

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// Topic is the kind of object that an event is about.
type Topic string

// Topics.
const (
	TopicENI    Topic = "eni"
	TopicPool   Topic = "pool"
	TopicClaim  Topic = "claim"
	TopicPolicy Topic = "policy"
)

// Type says what happened.
type Type string

// Types of events about ENIs (TopicENI, ENIState).
const (
	// ENIStateChanged: it entered another state on its way.
	ENIStateChanged Type = "ENIStateChanged"
	// ENICreationAttempted: the parameters of a CreateNetworkInterface call were
	// recorded, which is made next.
	ENICreationAttempted Type = "ENICreationAttempted"
	// ENICreationRefused: EC2 refused an attempt for good.
	ENICreationRefused Type = "ENICreationRefused"
	// ENIAddressesChanged: it offers more or fewer addresses than before.
	ENIAddressesChanged Type = "ENIAddressesChanged"
	// ENIReady: it is attached and carries what its spec asks for.
	ENIReady Type = "ENIReady"
	// ENINotReady: it was ready, and is not any more, without a failure.
	ENINotReady Type = "ENINotReady"
	// ENIFailed: something keeps it from being what its spec asks for.
	ENIFailed Type = "ENIFailed"
	// ENIAddressLost: an address vanished and cannot be had again.
	ENIAddressLost Type = "ENIAddressLost"
	// ENIGone: the operator is done with it, and has let its resource go.
	ENIGone Type = "ENIGone"
)

// Types of events about pools (TopicPool, PoolState).
const (
	// PoolResized: one of its counts changed.
	PoolResized Type = "PoolResized"
	// PoolReady: it holds its minimum.
	PoolReady Type = "PoolReady"
	// PoolNotReady: it does not; the reason changed.
	PoolNotReady Type = "PoolNotReady"
	// PoolNameTaken: an object of others has the name of one that it needs.
	PoolNameTaken Type = "PoolNameTaken"
	// PoolGone: nothing is left of it.
	PoolGone Type = "PoolGone"
)

// Types of events about claims (TopicClaim, ClaimState).
const (
	// ClaimPending: it waits; the reason says for what.
	ClaimPending Type = "ClaimPending"
	// ClaimBound: it holds what it asked for.
	ClaimBound Type = "ClaimBound"
	// ClaimLost: what it held is gone with the node.
	ClaimLost Type = "ClaimLost"
	// ClaimExpired: its lease was not renewed in time.
	ClaimExpired Type = "ClaimExpired"
	// ClaimAddressLost: its address vanished in EC2 and cannot be had again.
	ClaimAddressLost Type = "ClaimAddressLost"
	// ClaimReleased: it is deleted, and has given back what it held.
	ClaimReleased Type = "ClaimReleased"
)

// Types of events about policies (TopicPolicy, PolicyState).
const (
	// PolicyReady: every pool of the policy holds its minimum.
	PolicyReady Type = "PolicyReady"
	// PolicyNotReady: not so; the reason changed.
	PolicyNotReady Type = "PolicyNotReady"
	// PolicyNodesUnusable: Nodes that it selects name no instance.
	PolicyNodesUnusable Type = "PolicyNodesUnusable"
	// PolicyEC2Distrusted: EC2 does not show what this cluster has there, so nothing
	// that cannot be undone is done; PolicyEC2Trusted: it does again.
	PolicyEC2Distrusted Type = "PolicyEC2Distrusted"
	PolicyEC2Trusted    Type = "PolicyEC2Trusted"
)

// allTypes are the types of all topics.
var allTypes = []Type{
	ENIStateChanged, ENICreationAttempted, ENICreationRefused, ENIAddressesChanged, ENIReady, ENINotReady, ENIFailed, ENIAddressLost, ENIGone,
	PoolResized, PoolReady, PoolNotReady, PoolNameTaken, PoolGone,
	ClaimPending, ClaimBound, ClaimLost, ClaimExpired, ClaimAddressLost, ClaimReleased,
	PolicyReady, PolicyNotReady, PolicyNodesUnusable, PolicyEC2Distrusted, PolicyEC2Trusted,
}

// Event is something that the operator has stored in Kubernetes.
type Event struct {
	Type  Type  `json:"type"`
	Topic Topic `json:"topic"`
	// Timestamp is when it was published.
	Timestamp time.Time `json:"timestamp"`
	// Object is what it is about.
	Object Reference `json:"object"`
	// ENI is the name of the ElasticNetworkInterface that is concerned, ENIID its id
	// in EC2, and Node the name of its node; empty where there is none.
	ENI   string `json:"eni,omitempty"`
	ENIID string `json:"eniID,omitempty"`
	Node  string `json:"node,omitempty"`
	// Message is for people; empty for most events.
	Message string `json:"message,omitempty"`
	// Before and After are the object's state, both of the type that the topic has.
	Before State `json:"before"`
	After  State `json:"after"`

	// Notice is what kubectl describe is to show; nil if nothing.
	Notice *Notice `json:"-"`
}

// Reference names an object.
type Reference struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Namespace  string    `json:"namespace,omitempty"`
	Name       string    `json:"name"`
	UID        types.UID `json:"uid,omitempty"`
	// Created is when the object was made, to the second.
	Created time.Time `json:"-"`
}

// Notice makes a Kubernetes Event of an event; its note is the event's Message.
type Notice struct {
	// Warning says that a person should look.
	Warning bool
	// Reason is one of the reasons in api/v1alpha1.
	Reason string
	// Action is what was done or tried.
	Action string
	// Related is another object that it concerns.
	Related *Reference
}

// State is what an event tells of an object: one of the types below.
type State interface{ topic() Topic }

// ENIState is the state of an ENI.
type ENIState struct {
	State  v1alpha1.ENIState `json:"state,omitempty"`
	Ready  bool              `json:"ready"`
	Reason string            `json:"reason,omitempty"`
	Mode   v1alpha1.Mode     `json:"mode,omitempty"`
	// Primary says that it is an instance's primary ENI.
	Primary bool `json:"primary,omitempty"`
	// DeviceIndex is nil while it is attached to nothing.
	DeviceIndex  *int32 `json:"deviceIndex,omitempty"`
	AddressCount int32  `json:"addressCount"`
	// Attempt is the last CreateNetworkInterface attempt, from 1, and ErrorCode the
	// EC2 error code that refused it.
	Attempt   int32  `json:"attempt,omitempty"`
	ErrorCode string `json:"errorCode,omitempty"`
	// Since is when it entered the state, to the second.
	Since time.Time `json:"since,omitzero"`
}

// PoolState is the state of a pool.
type PoolState struct {
	Policy string `json:"policy,omitempty"`
	Zone   string `json:"zone,omitempty"`
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"`
	ENIs   int32  `json:"enis"`
	// Shared counts addresses and Exclusive whole ENIs; zero in a mode that the pool
	// does not offer.
	Shared    v1alpha1.SharedStatus    `json:"shared"`
	Exclusive v1alpha1.ExclusiveStatus `json:"exclusive"`
	// EvictedAddresses and EvictedENIs began to be given back with this write.
	EvictedAddresses int32 `json:"evictedAddresses,omitempty"`
	EvictedENIs      int32 `json:"evictedENIs,omitempty"`
}

// ClaimState is the state of a claim.
type ClaimState struct {
	Phase   v1alpha1.ClaimPhase `json:"phase,omitempty"`
	Mode    v1alpha1.Mode       `json:"mode,omitempty"`
	Reason  string              `json:"reason,omitempty"`
	Address string              `json:"address,omitempty"`
}

// PolicyState is the state of a policy.
type PolicyState struct {
	Ready      bool   `json:"ready"`
	Reason     string `json:"reason,omitempty"`
	Nodes      int32  `json:"nodes"`
	ReadyPools int32  `json:"readyPools"`
}

func (ENIState) topic() Topic    { return TopicENI }
func (PoolState) topic() Topic   { return TopicPool }
func (ClaimState) topic() Topic  { return TopicClaim }
func (PolicyState) topic() Topic { return TopicPolicy }

// Change returns both states of an event, if they are of a type.
func Change[S State](e Event) (before, after S, ok bool) {
	before, _ = e.Before.(S)
	after, ok = e.After.(S)
	return before, after, ok
}
