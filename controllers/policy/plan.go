/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package policy

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// nodeState is what the operator knows of a Node.
type nodeState struct {
	name string
	// exists: there is a Node of that name.
	exists bool
	// instanceID is the EC2 instance that it stands for; empty for none.
	instanceID string
}

// poolAction is what to do with a node's pool.
type poolAction string

const (
	keepPool   poolAction = "Keep"
	createPool poolAction = "Create"
	updatePool poolAction = "Update"
	deletePool poolAction = "Delete"
	// awaitNode: the node is gone, but its instance may not be.
	awaitNode poolAction = "AwaitNode"
)

// observation is all that a decision about one node's pool depends on.
type observation struct {
	node   nodeState
	pool   *v1alpha1.ENIPool
	winner *v1alpha1.ENIPolicy
	now    time.Time
	grace  time.Duration
	// instanceGone: EC2 says that the pool's instance is shutting down,
	// terminated, or unknown.
	instanceGone bool
}

// decision says what to do, and the spec that a created or updated pool gets.
type decision struct {
	action poolAction
	spec   v1alpha1.ENIPoolSpec
	wait   time.Duration
}

// plan decides about one node's pool.
func plan(o observation) decision {
	switch {
	case o.pool == nil && (o.node.instanceID == "" || o.winner == nil):
		return decision{action: keepPool}
	case o.pool == nil:
		return decision{action: createPool, spec: specFor(o)}
	case !o.pool.DeletionTimestamp.IsZero():
		return decision{action: keepPool}
	case o.node.instanceID != o.pool.Spec.InstanceID:
		return planGone(o)
	case o.winner == nil:
		return planUngoverned(o)
	default:
		return decision{action: updatePool, spec: specFor(o)}
	}
}

// planGone waits for a Node that is missing, or stands for another instance: until
// EC2 says that the instance is gone, or the grace is over (protocol 1).
func planGone(o observation) decision {
	since := o.pool.Spec.NodeGoneSince
	if since == nil {
		spec := *o.pool.Spec.DeepCopy()
		now := metav1.NewTime(o.now)
		spec.NodeGoneSince = &now
		return decision{action: updatePool, spec: spec}
	}
	left := o.grace - o.now.Sub(since.Time)
	if o.instanceGone || left <= 0 {
		return decision{action: deletePool}
	}
	return decision{action: awaitNode, wait: min(left, instancePoll)}
}

// instancePoll is how often EC2 is asked whether the instance of a missing Node is
// gone; all that are asked about at the moment share one call.
const instancePoll = 10 * time.Second

// planUngoverned stops the pool's growth, and deletes it once nobody holds
// anything of it (protocol 8).
func planUngoverned(o observation) decision {
	if o.pool.Spec.PolicyName == "" && !o.pool.Status.InUse() {
		return decision{action: deletePool}
	}
	spec := *o.pool.Spec.DeepCopy()
	spec.PolicyName, spec.NodeGoneSince = "", nil
	return decision{action: updatePool, spec: spec}
}

func specFor(o observation) v1alpha1.ENIPoolSpec {
	return v1alpha1.ENIPoolSpec{
		NodeName: o.node.name, InstanceID: o.node.instanceID, PolicyName: o.winner.Name,
		ENITemplate: *o.winner.Spec.ENITemplate.DeepCopy(),
	}
}
