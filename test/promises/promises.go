/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package promises holds each promise of the operator as code, apart from the
// operator's own: it knows the API's types and EC2's words, and nothing of how the
// operator decides. A Referee sees every change of Kubernetes and every EC2 call in
// the order in which they happen, compares them with what EC2 really has, and notes
// what should not be.
package promises

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// The tags by which an ENI is known, spelled out: the operator's constants are what
// is looked after here.
const (
	TagClusterUID     = "networking.eni-operator.dev/cluster-uid"
	TagUID            = "networking.eni-operator.dev/uid"
	TagName           = "networking.eni-operator.dev/name"
	TagDeletionPolicy = "networking.eni-operator.dev/deletion-policy"
)

// Violation is a promise that was not kept.
type Violation struct {
	At      time.Time
	Promise string
	What    string
}

// String is for people.
func (v Violation) String() string { return fmt.Sprintf("%s: %s", v.Promise, v.What) }

// Names of the promises.
const (
	HeldOnce      = "held once"              // No address and no exclusive ENI is held by two claims.
	HeldKept      = "held is kept"           // What a claim holds is not taken from it.
	LostProved    = "lost is proved"         // Nothing is called lost without evidence.
	OneENI        = "one resource, one ENI"  // Also when answers are lost.
	NothingLeaks  = "nothing leaks"          // A finalizer goes only when the ENI is gone.
	OthersKept    = "others are not touched" // No ENI and no address that is not ours.
	TruthTold     = "status tells the truth" // Within two audits.
	OneLeader     = "one leader acts"
	NoHotLoop     = "no hot loop"
	QuietAtRest   = "quiet at rest"
	EverythingEnd = "everything settles"
	RightPlace    = "bound in the right place"     // To the machine that the Node stands for.
	ServedInTime  = "served in time"               // Where there is room, while nothing disturbs the operator.
	WarmKept      = "what is warm is kept"         // When a label is away for a moment.
	UrgentWanted  = "urgent is what is waited for" // By a claim that its pool can serve when it has grown.
	AskedOnce     = "asked once"                   // What is under way, or was accepted, is not asked again.
	ShareKept     = "shares are kept"              // No namespace gets more of a node than its policy allows.
	ReservedKept  = "reservations are kept"        // What a namespace released goes to no other by name, while it rests or is reserved.
	TaintKept     = "tainted until ready"          // By the startup taint.
	WritesAccept  = "writes are accepted"          // What the operator writes fits the schemas.
	LeavesNothing = "uninstalling leaves nothing"  // No ENI but retained ones, no address, no finalizer.
	AbandonedKept = "what is abandoned stays"      // As it was, also when its instance ends.
)

// World is what there is: both truths at one moment.
type World struct {
	Now        time.Time
	ClusterUID string
	Cloud      emulator.State
	Claims     map[types.UID]*v1alpha1.ENIClaim
	Pools      map[types.UID]*v1alpha1.ENIPool
	ENIs       map[types.UID]*v1alpha1.ElasticNetworkInterface
	Policies   map[types.UID]*v1alpha1.ENIPolicy
	Nodes      map[types.UID]*corev1.Node
	Namespaces map[types.UID]*corev1.Namespace
}

// ENI finds an ENI in EC2.
func (w *World) ENI(id string) *emulator.ENIState {
	for i := range w.Cloud.ENIs {
		if w.Cloud.ENIs[i].ID == id {
			return &w.Cloud.ENIs[i]
		}
	}
	return nil
}

// Instance finds an instance in EC2.
func (w *World) Instance(id string) *emulator.InstanceState {
	for i := range w.Cloud.Instances {
		if w.Cloud.Instances[i].ID == id {
			return &w.Cloud.Instances[i]
		}
	}
	return nil
}

// Living reports whether an instance runs, or is stopped and can run again.
func (w *World) Living(id string) bool {
	found := w.Instance(id)
	return found != nil && found.State != "shutting-down" && found.State != "terminated"
}

// InstanceOf is the instance that a Node names; empty for none.
func InstanceOf(node *corev1.Node) string {
	if !strings.HasPrefix(node.Spec.ProviderID, "aws:///") {
		return ""
	}
	return node.Spec.ProviderID[strings.LastIndex(node.Spec.ProviderID, "/")+1:]
}

// Carries reports whether an ENI has an address, its own or in a prefix included.
func Carries(eni *emulator.ENIState, address string) bool {
	if eni == nil {
		return false
	}
	return eni.PrimaryAddress == address || slices.Contains(eni.Addresses, address) || inPrefixes(eni.Prefixes, address)
}

func inPrefixes(prefixes []string, address string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return within(prefix, address) })
}

// holds reports whether a claim says that it holds something that works.
func holds(claim *v1alpha1.ENIClaim) bool {
	return claim.Status.Phase == v1alpha1.ClaimBound && claim.Status.Address != "" && isReady(claim)
}

func isReady(claim *v1alpha1.ENIClaim) bool {
	return meta.IsStatusConditionTrue(claim.Status.Conditions, "Ready")
}

func addressLost(claim *v1alpha1.ENIClaim) bool {
	return meta.IsStatusConditionTrue(claim.Status.Conditions, "AddressLost")
}

func nameOf(claim *v1alpha1.ENIClaim) string { return claim.Namespace + "/" + claim.Name }
