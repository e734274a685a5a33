/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package policy

import (
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

const otherOnEC2 = "aws:///us-east-1a/" + otherInstance

// TestTheGraceIsCountedByThisProcess: neither an outage of the operator nor another
// leader's clock shortens it.
func TestTheGraceIsCountedByThisProcess(t *testing.T) {
	pool := heldPool("node")
	pool.Spec.NodeGoneSince = ago(24 * time.Hour)
	w := newWorld(t, general(), pool)

	w.reconcile("node")
	w.pass(grace - time.Second)
	w.reconcile("node")
	assert.Assert(t, w.poolOn("node") != nil, "this process has not waited that long")

	w.restart()
	w.pass(2 * time.Second)
	w.reconcile("node")
	assert.Assert(t, w.poolOn("node") != nil, "another process counts from the start")
	w.pass(grace)
	w.reconcile("node")
	assert.Assert(t, w.poolOn("node") == nil, "the grace is over")
}

// TestAPoolThatWasRemovedComesBackForItsENIs: somebody took its finalizer away. Its Node
// stands for another instance by now, so the ENIs go as they would have gone before.
func TestAPoolThatWasRemovedComesBackForItsENIs(t *testing.T) {
	eni := eniOf(thisInstance)
	eni.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain
	w := newWorld(t, general(), nodeNamed("node", otherOnEC2, "web"), eni)

	w.reconcile("node")
	assert.Equal(t, w.poolOn("node").Spec.InstanceID, thisInstance)
	assert.Equal(t, w.poolOn("node").Spec.DeletionPolicy, v1alpha1.DeletionPolicyRetain, "as the ENI has it")
	w.pass(grace - time.Second)
	w.reconcile("node")
	assert.Equal(t, w.poolOn("node").Spec.InstanceID, thisInstance, "the grace counts as for any pool")

	w.pass(grace)
	w.reconcile("node")
	assert.Assert(t, w.poolOn("node") == nil, "it is deleted")
}

// TestALateCacheBringsNoPoolBack: the cache still shows the last ENI of a pool that has gone.
func TestALateCacheBringsNoPoolBack(t *testing.T) {
	eni := eniOf(thisInstance)
	w := newWorld(t, general(), nodeNamed("node", otherOnEC2, "web"), eni)
	live := newWorld(t, general(), nodeNamed("node", otherOnEC2, "web"))
	w.nodes.live = live.WithWatch

	w.reconcile("node")
	assert.Equal(t, w.poolOn("node").Spec.InstanceID, otherInstance)
}

// TestANodeThatIsBackEndsTheGrace: the next absence is a new one.
func TestANodeThatIsBackEndsTheGrace(t *testing.T) {
	w := newWorld(t, general(), heldPool("node"))
	w.reconcile("node")
	w.pass(grace - time.Second)
	node := nodeNamed("node", onEC2, "web")
	assert.NilError(t, w.Create(t.Context(), node))
	w.reconcile("node")
	assert.Assert(t, w.poolOn("node").Spec.NodeGoneSince == nil)

	assert.NilError(t, w.Delete(t.Context(), node))
	w.reconcile("node")
	w.pass(grace - time.Second)
	w.reconcile("node")
	assert.Assert(t, w.poolOn("node") != nil)
}

// TestALiveReadComesBeforeTheDeletion: a cache that lags deletes no pool.
func TestALiveReadComesBeforeTheDeletion(t *testing.T) {
	for name, row := range map[string]struct {
		node *corev1.Node
		kept bool
	}{
		"the Node is back":                          {nodeNamed("node", onEC2, "web"), true},
		"the Node is back, and names no instance":   {nodeNamed("node", "", "web"), true},
		"the Node stands for another instance":      {nodeNamed("node", otherOnEC2, "web"), false},
		"there is no Node in Kubernetes itself too": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, general(), heldPool("node"))
			w.hidden["node"] = true
			if row.node != nil {
				assert.NilError(t, w.Create(t.Context(), row.node))
			}
			w.reconcile("node")
			w.cloud.presence = inventory.Absent
			w.pass(grace)
			result := w.reconcile("node")
			assert.Equal(t, w.poolOn("node") != nil, row.kept)
			if row.kept {
				assert.Equal(t, result.RequeueAfter, cacheLag)
				assert.Equal(t, w.poolOn("node").Spec.PolicyName, "general")
			}
		})
	}
}

// TestANodeThatNamesNoInstanceKeepsItsPool: a Node that was registered again is waited
// for until the cloud controller manager has set its providerID.
func TestANodeThatNamesNoInstanceKeepsItsPool(t *testing.T) {
	w := newWorld(t, general(), heldPool("node"), nodeNamed("node", "", "web"))
	for _, presence := range []inventory.Presence{inventory.Present, inventory.Unknown, inventory.Absent} {
		w.cloud.presence = presence
		w.reconcile("node")
		w.pass(time.Hour)
		w.reconcile("node")
		assert.Assert(t, w.poolOn("node") != nil)
		assert.Assert(t, w.poolOn("node").Spec.NodeGoneSince != nil, "it hands out nothing")
	}

	edit(w, &corev1.Node{}, "node", func(node *corev1.Node) { node.Spec.ProviderID = onEC2 })
	w.reconcile("node")
	assert.Assert(t, w.poolOn("node").Spec.NodeGoneSince == nil, "it goes on")

	edit(w, &corev1.Node{}, "node", func(node *corev1.Node) { node.Spec.ProviderID = "" })
	w.cloud.presence = inventory.Gone
	w.reconcile("node")
	assert.Assert(t, w.poolOn("node") != nil, "the webhook knows of it by the pool's condition")
	pool := w.poolOn("node")
	sayingTerminated(pool)
	assert.NilError(t, w.Status().Update(t.Context(), pool))
	w.reconcile("node")
	assert.Assert(t, w.poolOn("node") == nil, "EC2 says that the instance is terminated")
}

// TestANodeUnderAnotherNameKeepsThePool: a machine that was registered under another
// name loses nothing that is held, and gets its pool once all is released.
func TestANodeUnderAnotherNameKeepsThePool(t *testing.T) {
	w := newWorld(t, general(), heldPool("old"), nodeNamed("new", onEC2, "web"))
	w.reconcile("old")
	w.pass(time.Hour)
	w.reconcile("old")
	w.reconcile("new")
	assert.Assert(t, w.poolOn("old") != nil)
	assert.Assert(t, w.poolOn("new") == nil, "one instance, one pool")

	pool := w.poolOn("old")
	pool.Status.Addresses = nil
	assert.NilError(t, w.Status().Update(t.Context(), pool))
	w.reconcile("old")
	w.pass(idle)
	w.reconcile("old")
	assert.Assert(t, w.poolOn("old") == nil)
}

// TestTheEarlierInstancesPoolRemovesNoTaint: the new instance has no pool yet.
func TestTheEarlierInstancesPoolRemovesNoTaint(t *testing.T) {
	tainted := nodeNamed("node", otherOnEC2, "web")
	tainted.Spec.Taints = []corev1.Taint{{Key: taint, Effect: corev1.TaintEffectNoSchedule}}
	w := newWorld(t, general(), heldPool("node"), tainted)
	w.reconcile("node")
	assert.NilError(t, w.Get(t.Context(), types.NamespacedName{Name: "node"}, tainted))
	assert.Equal(t, len(tainted.Spec.Taints), 1)

	edit(w, &corev1.Node{}, "node", func(node *corev1.Node) { node.Spec.ProviderID = onEC2 })
	w.reconcile("node")
	assert.NilError(t, w.Get(t.Context(), types.NamespacedName{Name: "node"}, tainted))
	assert.Equal(t, len(tainted.Spec.Taints), 0, "of its own pool it does")
}

// TestAPolicyThatIsGoneForAMomentCostsNoPool: nor does one that is gone while EC2 is
// not believed.
func TestAPolicyThatIsGoneForAMomentCostsNoPool(t *testing.T) {
	pool := heldPool("node")
	pool.Status.Addresses = nil
	w := newWorld(t, general(), pool, nodeNamed("node", onEC2))
	result := w.reconcile("node")
	assert.Equal(t, result.RequeueAfter, idle)
	w.pass(idle - time.Second)
	w.reconcile("node")
	edit(w, &corev1.Node{}, "node", func(node *corev1.Node) { node.Labels = map[string]string{"web": "true"} })
	w.reconcile("node")
	assert.Equal(t, w.poolOn("node").Spec.PolicyName, "general")

	edit(w, &corev1.Node{}, "node", func(node *corev1.Node) { node.Labels = nil })
	w.reconcile("node")
	w.pass(idle - time.Second)
	w.reconcile("node")
	assert.Assert(t, w.poolOn("node") != nil, "the count started again")

	w.cloud.trust.Broken = true
	w.pass(time.Second)
	w.reconcile("node")
	assert.Assert(t, w.poolOn("node") != nil)
	w.cloud.trust.Broken = false
	w.reconcile("node")
	assert.Assert(t, w.poolOn("node") == nil)
}

// TestAPolicyThatIsDeletedTakesItsPoolsAlong: as soon as nobody holds anything.
func TestAPolicyThatIsDeletedTakesItsPoolsAlong(t *testing.T) {
	w := newWorld(t, general(), heldPool("node"), nodeNamed("node", onEC2, "web"))
	w.reconcile("node")
	assert.NilError(t, w.Delete(t.Context(), general()))
	w.reconcile("node")
	assert.Equal(t, w.poolOn("node").Spec.PolicyName, "", "a claim holds something")

	pool := w.poolOn("node")
	pool.Status.Addresses = nil
	assert.NilError(t, w.Status().Update(t.Context(), pool))
	w.hidesPolicies = true // The cache does not show yet that the policy is there again.
	assert.NilError(t, w.Create(t.Context(), general()))
	w.reconcile("node")
	assert.Assert(t, w.poolOn("node") != nil)

	assert.NilError(t, w.Delete(t.Context(), general()))
	w.reconcile("node")
	assert.Assert(t, w.poolOn("node") == nil)
}

// TestNothingIsDeletedWhileEC2IsNotBelieved: another Region shows no instance at all.
func TestNothingIsDeletedWhileEC2IsNotBelieved(t *testing.T) {
	w := newWorld(t, general(), heldPool("node"))
	w.cloud.trust = inventory.Trust{Broken: true, Reason: v1alpha1.ReasonOtherRegion}
	w.cloud.presence = inventory.Gone
	for range 3 {
		w.reconcile("node")
		w.pass(time.Hour)
	}
	assert.Assert(t, w.poolOn("node") != nil)
	w.cloud.trust = inventory.Trust{}
	w.reconcile("node")
	assert.Assert(t, w.poolOn("node") == nil)
}

// TestTrustIsReported: in the condition of every policy, with an event at each change.
func TestTrustIsReported(t *testing.T) {
	w := newWorld(t, general(), policyNamed("other"))
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	assert.NilError(t, w.policies.trustChanges().Start(t.Context(), queue))
	report := func(trust inventory.Trust) {
		w.cloud.trust = trust
		w.cloud.notify(trust)
		w.cloud.notify(trust)
		assert.Equal(t, queue.Len(), 2, "each policy once")
		for range 2 {
			request, _ := queue.Get()
			_, err := w.policies.Reconcile(t.Context(), request)
			assert.NilError(t, err)
			queue.Done(request)
		}
	}
	trusted := func(policy string) bool {
		stored := &v1alpha1.ENIPolicy{}
		assert.NilError(t, w.Get(t.Context(), types.NamespacedName{Name: policy}, stored))
		return meta.IsStatusConditionTrue(stored.Status.Conditions, v1alpha1.ConditionEC2Trusted)
	}
	report(inventory.Trust{})
	assert.Assert(t, trusted("general") && trusted("other"))
	assert.Equal(t, len(w.recorder.Events), 0, "at first that is no news")

	report(inventory.Trust{Broken: true, Reason: v1alpha1.ReasonOtherRegion, Message: "Set AWS_REGION."})
	assert.Assert(t, !trusted("general") && !trusted("other"))
	for range 2 {
		event := <-w.recorder.Events
		assert.Assert(t, strings.Contains(event, "Warning OtherRegion") && strings.Contains(event, "Set AWS_REGION."), event)
	}
	report(inventory.Trust{})
	for range 2 {
		event := <-w.recorder.Events
		assert.Assert(t, strings.Contains(event, "Normal EC2Agrees"), event)
	}
}
