/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// How long a claim or a pool may lack what it could have, while nothing disturbs the
// operator.
const (
	// toBind: something is free.
	toBind = 6 * time.Minute
	// toGrow: a slot and a subnet have room. What EC2 refuses is tried again within minutes.
	toGrow = 12 * time.Minute
	// toMakeRoom: an ENI that is idle is kept for a while before its slot goes to another
	// kind, and a slot that EC2 refused is not asked for again for as long.
	toMakeRoom = 25 * time.Minute
)

// want is what a claim or a Node lacks.
type want struct {
	problem  string
	patience time.Duration
}

// judgeService looks for claims that wait and pools that are not ready, though they
// could have been served for a while.
func (r *Referee) judgeService(calm bool) {
	if !calm {
		clear(r.waiting)
		return
	}
	wants := r.wants()
	maps.DeleteFunc(r.waiting, func(uid types.UID, _ time.Duration) bool { return wants[uid].problem == "" })
	for uid, w := range wants {
		r.waiting[uid] += time.Minute
		if r.waiting[uid] >= w.patience {
			_, what, _ := strings.Cut(w.problem, ": ")
			r.foul(ServedInTime, string(uid), "for %s, while nothing happened: %s", r.waiting[uid], what)
		}
	}
}

// wants are what claims and Nodes lack, by their UID.
func (r *Referee) wants() map[types.UID]want {
	wanting, wants := r.wanting, map[types.UID]want{}
	add := func(uid types.UID, problem string, patience time.Duration) {
		if problem != "" {
			wants[uid] = want{problem, patience}
		}
	}
	for uid, claim := range r.world.Claims {
		node, bound := r.nodeNamed(claim.Spec.NodeName), claim.Status.Phase == v1alpha1.ClaimBound
		if node != nil && r.steady(node) && !bound && !r.settings.Hindered(claim) {
			if r.free(claim) { // Another wait, which begins when something is free.
				add(uid+"/free", r.unserved(claim), toBind)
			} else {
				add(uid, r.unserved(claim), r.toGrow(node))
			}
		}
	}
	for uid, node := range r.world.Nodes {
		if r.steady(node) {
			add(uid, r.unready(node.Name, InstanceOf(node), node.Labels), r.toGrow(node))
		}
	}
	r.wanting = wanting
	return wants
}

// toGrow is how long the pool of a Node may take to grow: longer where the instance has no
// slot, or had none lately. An audit shows the slot that people freed, or a second one if
// the first failed.
func (r *Referee) toGrow(node *corev1.Node) time.Duration {
	instance := r.world.Instance(InstanceOf(node))
	fullLately := time.Since(r.lastFull[instance.ID]) < 2*r.settings.AuditInterval
	if pool := r.poolOf(node.Name); pool == nil || fullLately || instance.ENIs >= instance.MostENIs || blamesInstance(pool) {
		return toMakeRoom
	}
	return toGrow
}

// blamesInstance reports whether a pool says that its instance has no room.
func blamesInstance(pool *v1alpha1.ENIPool) bool {
	return slices.ContainsFunc(pool.Status.Conditions, func(c metav1.Condition) bool {
		return c.Status == metav1.ConditionFalse && slices.Contains([]string{"InstanceFull", "InstanceTypeLimit", "NoFreeDeviceIndex", "QuotaExceeded"}, c.Reason)
	})
}

// steady reports whether a Node's instance runs, and has been the Node's for a while.
func (r *Referee) steady(node *corev1.Node) bool {
	instance := r.world.Instance(InstanceOf(node))
	return instance != nil && instance.State == "running" && time.Since(r.changed[node.Name]) > r.settings.NodeGoneGrace
}

// seeGoverned notes since when no policy selects a Node, and when a policy was last deleted.
func (r *Referee) seeGoverned(policyDeleted bool) {
	if policyDeleted {
		r.policyDeleted = time.Now()
	}
	for _, node := range r.world.Nodes {
		switch {
		case r.governing(node.Labels) != nil:
			r.governed[node.Name] = time.Now()
			delete(r.ungoverned, node.Name)
		case r.ungoverned[node.Name].IsZero():
			r.ungoverned[node.Name] = time.Now()
		}
	}
	maps.DeleteFunc(r.ungoverned, func(name string, _ time.Time) bool { return r.nodeNamed(name) == nil })
}

// judgePoolDeletion looks at a pool that the operator deletes, though its instance lives
// and its Node is there: one whose label was away for less than the idle time, or that
// does not name its instance yet, finds its pool as it was.
func (r *Referee) judgePoolDeletion(pool *v1alpha1.ENIPool) {
	node := r.nodeNamed(pool.Name)
	if node == nil || !r.world.Living(pool.Spec.InstanceID) {
		return
	}
	since, ungoverned := r.ungoverned[pool.Name]
	switch {
	case !ungoverned && node.Spec.ProviderID == "" && time.Since(r.changed[node.Name]) > overlooked && time.Since(r.policyDeleted) > overlooked:
		r.foul(WarmKept, string(pool.UID), "the pool of node %s is deleted, whose Node does not name its instance yet", pool.Name)
	case ungoverned && InstanceOf(node) == pool.Spec.InstanceID:
		r.judgeIdleTime(pool, since)
	}
}

// judgeIdleTime looks at a pool that goes with its Node's label. One whose policy was deleted
// goes at once, also where the Node was away at that time.
func (r *Referee) judgeIdleTime(pool *v1alpha1.ENIPool, ungoverned time.Time) {
	grace := r.idleTime(pool)
	byPolicy := r.policyDeleted.After(r.governed[pool.Name]) || !r.policyDeleted.Before(ungoverned.Add(-time.Minute))
	if away := time.Since(ungoverned); away < grace && !byPolicy {
		r.foul(WarmKept, string(pool.UID), "the pool of node %s is deleted %s after its label went, and the idle time is %s", pool.Name, away, grace)
	}
}

// judgeRepetition looks for what a process asks of EC2 though EC2 accepted it already.
func (r *Referee) judgeRepetition(c Call) {
	if c.Action() != "DeleteNetworkInterface" {
		return
	}
	if id := c.Params.Get("NetworkInterfaceId"); r.accepted[c.Client+" "+id] {
		r.foul(AskedOnce, c.Client+id, "%s asks for the deletion of %s, which EC2 accepted from it before", c.Client, id)
	}
}

// alike is how many equal calls may be on their way: the questions of two policies differ
// and may have a selector term in common.
const alike = 2

// departs and returns note which questions after subnets and groups are on their way:
// pools that ask for the same share one. (A question after an ENI or instance may be asked
// again, because an answer that is on its way may be older than what changed.)
func (r *Referee) departs(c Call) {
	if !c.bySelector() {
		return
	}
	key := c.Client + " " + c.Params.Encode()
	r.underway[key]++
	if r.underway[key] > alike {
		r.foul(AskedOnce, key, "%s sends %s while %d of the same are on their way", c.Client, c.Action(), alike)
	}
}

func (r *Referee) returns(c Call) {
	key := c.Client + " " + c.Params.Encode()
	r.underway[key]--
	if r.underway[key] <= 0 {
		delete(r.underway, key)
	}
}

// noteFull notes for how long instances have had no slot free, while nothing disturbed
// the operator, which looks at least at each audit.
func (r *Referee) noteFull(calm bool) {
	for i := range r.world.Cloud.Instances {
		instance := &r.world.Cloud.Instances[i]
		if instance.ENIs >= instance.MostENIs {
			r.lastFull[instance.ID] = time.Now()
		}
		if !calm || instance.State != "running" || instance.ENIs < instance.MostENIs {
			delete(r.full, instance.ID)
			continue
		}
		r.full[instance.ID] += time.Minute
	}
}

// judgeCreation looks at an ENI that is made for an instance that has no slot for it. A
// resource whose status others wiped does not know what it had, nor does its pool at first.
func (r *Referee) judgeCreation(c Call) {
	for _, uid := range slices.Sorted(maps.Keys(r.world.ENIs)) {
		eni := r.world.ENIs[uid]
		instance := r.world.Instance(eni.Spec.InstanceID)
		full := instance != nil && instance.ENIs >= instance.MostENIs && r.full[instance.ID] > 2*r.settings.AuditInterval
		if string(uid) != c.tag(TagUID) || !full || r.forged[uid] {
			continue
		}
		r.foul(NoHotLoop, "full "+eni.Spec.InstanceID, "an ENI is created for %s of instance %s, which has had no slot free for %s",
			eni.Name, eni.Spec.InstanceID, r.full[eni.Spec.InstanceID])
	}
}
