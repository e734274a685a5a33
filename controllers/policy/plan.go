/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package policy

import (
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
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
	// notEC2: it stands for something that is no EC2 instance.
	notEC2 bool
}

// namesNoneYet reports whether a Node is there and names no instance at the moment.
func (n nodeState) namesNoneYet() bool {
	return n.exists && n.instanceID == "" && !n.notEC2
}

// poolAction is what to do with a node's pool.
type poolAction string

const (
	keepPool   poolAction = "Keep"
	createPool poolAction = "Create"
	updatePool poolAction = "Update"
	deletePool poolAction = "Delete"
	// awaitNode: the Node does not stand for the instance, but the pool is kept.
	awaitNode poolAction = "AwaitNode"
)

// sighting is what Kubernetes shows of the Node that a pool is for.
type sighting string

const (
	// nodeHere: the Node stands for the pool's instance.
	nodeHere sighting = "Here"
	// nodeUnnamed: the Node is there and names no instance yet.
	nodeUnnamed sighting = "Unnamed"
	// nodeElsewhere: a Node of another name stands for the pool's instance.
	nodeElsewhere sighting = "Elsewhere"
	// nodeMissing: no Node stands for the pool's instance.
	nodeMissing sighting = "Missing"
)

// observation is all that a decision about one node's pool depends on.
type observation struct {
	node   nodeState
	pool   *v1alpha1.ENIPool
	winner *v1alpha1.ENIPolicy
	now    time.Time
	// policyDeleted: the policy that governed the pool was deleted, which is no accident.
	policyDeleted bool
	// leftover is an ENI of this pool that is there although the pool is not: somebody
	// removed it with its finalizer.
	leftover *v1alpha1.ElasticNetworkInterface
	// keeper is the other Node that keeps the instance which this Node names too.
	keeper string
	// elsewhere is another Node that names the pool's instance.
	elsewhere string

	// missingFor is how long this process has seen no Node for the pool's instance,
	// and emptyFor how long it has seen the pool without a policy and without holders.
	missingFor, emptyFor time.Duration
	// grace is how long a missing Node is waited for, and idleAfter how long an empty
	// pool is kept if its policy does not say.
	grace, idleAfter time.Duration

	// terminated: EC2 says that the pool's instance is shutting down or terminated.
	terminated bool
	// absent: EC2 does not know the pool's instance, which says less.
	absent bool
	// distrusted: EC2 does not show what this cluster has, so nothing is deleted.
	distrusted bool
	// taintPrefix begins the keys of the taints that may be removed.
	taintPrefix string
}

func (o observation) sighting() sighting {
	switch {
	case o.node.instanceID == o.pool.Spec.InstanceID:
		return nodeHere
	case o.node.namesNoneYet():
		return nodeUnnamed
	case o.elsewhere != "":
		return nodeElsewhere
	default:
		return nodeMissing
	}
}

// decision says what to do, and the spec that a created or updated pool gets.
type decision struct {
	action poolAction
	spec   v1alpha1.ENIPoolSpec
	wait   time.Duration
}

// plan decides about one node's pool.
func plan(o observation) decision {
	governed := o.winner != nil && o.keeper == ""
	switch {
	case o.pool == nil:
		return planCreation(o, governed)
	case !o.pool.DeletionTimestamp.IsZero():
		return decision{action: keepPool}
	case o.sighting() != nodeHere:
		return planSuspended(o)
	case !governed:
		return planUngoverned(o)
	default:
		return decision{action: updatePool, spec: specFor(o)}
	}
}

// planCreation makes the pool of a Node that a policy governs. Where a pool was removed and
// its ENIs stayed, it is made again for their instance: then it goes as any pool does whose
// Node, instance or policy is gone, with what claims hold of it.
func planCreation(o observation, governed bool) decision {
	switch {
	case o.leftover != nil && (!governed || o.leftover.Spec.InstanceID != o.node.instanceID):
		return decision{action: createPool, spec: specFrom(o.leftover)}
	case o.node.instanceID == "" || !governed:
		return decision{action: keepPool}
	default:
		return decision{action: createPool, spec: specFor(o)}
	}
}

// planSuspended keeps a pool whose Node does not stand for its instance: it holds what
// it has and hands out nothing. It goes only on a statement: EC2 says that the instance
// is terminated, or no Node stands for it and EC2 does not know it either, or no Node
// has stood for it as long as the grace (docs/protocols.md#who-a-node-is).
func planSuspended(o observation) decision {
	if o.pool.Spec.NodeGoneSince == nil {
		spec := *o.pool.Spec.DeepCopy()
		now := metav1.NewTime(o.now)
		spec.NodeGoneSince = &now
		return decision{action: updatePool, spec: spec}
	}
	seen := o.sighting()
	switch {
	case o.distrusted, o.unannounced():
		return decision{action: awaitNode, wait: suspendedPoll}
	case o.terminated:
		return decision{action: deletePool}
	case seen == nodeUnnamed:
		return decision{action: awaitNode, wait: suspendedPoll}
	case seen == nodeElsewhere:
		return planElsewhere(o)
	}
	left := o.grace - o.missingFor
	if o.absent || left <= 0 {
		return decision{action: deletePool}
	}
	return decision{action: awaitNode, wait: min(left, missingPoll)}
}

// unannounced reports whether an instance is terminated whose pool does not say so yet, while
// its Node is there: the webhook judges the pool's deletion by what the pool says.
func (o observation) unannounced() bool {
	return o.terminated && o.sighting() == nodeUnnamed && o.pool.Status.InUse() && !o.pool.InstanceTerminated()
}

// planElsewhere keeps what claims hold of an instance whose Node has another name now.
// A pool that nobody holds anything of makes room for one of that name.
func planElsewhere(o observation) decision {
	left := o.emptyGrace() - o.emptyFor
	switch {
	case o.pool.Status.InUse():
		return decision{action: awaitNode, wait: suspendedPoll}
	case left > 0:
		return decision{action: awaitNode, wait: min(left, suspendedPoll)}
	default:
		return decision{action: deletePool}
	}
}

const (
	// missingPoll is how often EC2 is asked whether the instance of a missing Node is
	// gone; all that are asked about at the moment share one call.
	missingPoll = 10 * time.Second
	// suspendedPoll is the same where the wait may last.
	suspendedPoll = time.Minute
)

// planUngoverned stops the pool's growth, and deletes it once nobody holds anything of it:
// immediately if its policy was deleted, and else after a while, so that a label which is
// back by then finds the pool as it was (docs/protocols.md#policy-changes).
func planUngoverned(o observation) decision {
	spec := *o.pool.Spec.DeepCopy()
	spec.PolicyName = ""
	spec.NodeGoneSince = nil
	if o.pool.Spec.PolicyName != "" || o.pool.Status.InUse() {
		return decision{action: updatePool, spec: spec}
	}
	left := o.emptyGrace() - o.emptyFor
	switch {
	case o.distrusted:
		return decision{action: updatePool, spec: spec, wait: suspendedPoll}
	case left > 0 && !o.policyDeleted:
		return decision{action: updatePool, spec: spec, wait: left}
	default:
		return decision{action: deletePool}
	}
}

// emptyGrace is how long a pool that nobody needs is kept.
func (o observation) emptyGrace() time.Duration {
	if shared := o.pool.Spec.Shared; shared != nil && shared.IdleReleaseAfter != nil {
		return shared.IdleReleaseAfter.Duration
	}
	return o.idleAfter
}

// specFrom is the spec of a pool that releases its ENIs: their tags and their deletion
// policy stay as they are.
func specFrom(eni *v1alpha1.ElasticNetworkInterface) v1alpha1.ENIPoolSpec {
	return v1alpha1.ENIPoolSpec{
		NodeName: eni.Spec.NodeName, InstanceID: eni.Spec.InstanceID,
		ENITemplate: v1alpha1.ENITemplate{Tags: eni.Spec.Tags, DeletionPolicy: eni.Spec.DeletionPolicy},
	}
}

func specFor(o observation) v1alpha1.ENIPoolSpec {
	return v1alpha1.ENIPoolSpec{
		NodeName: o.node.name, InstanceID: o.node.instanceID, PolicyName: o.winner.Name,
		ENITemplate: *o.winner.Spec.ENITemplate.DeepCopy(),
	}
}

// removesTaint reports whether a Node's startup taint may go: the pool of this very
// instance holds its minimum, by the policy as it is now.
func removesTaint(o observation, d decision) bool {
	return o.winner != nil && o.winner.Spec.StartupTaint != "" && v1alpha1.WhyKeepTaint(o.winner.Spec.StartupTaint, o.taintPrefix) == "" && !o.distrusted &&
		o.pool != nil && o.pool.Serves(o.node.instanceID) && ready(o.pool) &&
		d.action == updatePool && equality.Semantic.DeepEqual(d.spec, o.pool.Spec)
}
