/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

const (
	thisInstance  = "i-0123456789abcdef0"
	otherInstance = "i-0123456789abcdef1"
	grace         = 5 * time.Minute
	idle          = 10 * time.Minute
)

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) *metav1.Time {
	at := metav1.NewTime(start.Add(-d))
	return &at
}

func policyNamed(name string, change ...func(*v1alpha1.ENIPolicy)) *v1alpha1.ENIPolicy {
	policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: *ago(time.Hour)}}
	policy.Spec.Shared = &v1alpha1.SharedBounds{MinimumIPs: 4, MaximumIPs: 20}
	for _, how := range change {
		how(policy)
	}
	return policy
}

// poolOf is a pool that the policy "general" made for this instance.
func poolOf(change ...func(*v1alpha1.ENIPool)) *v1alpha1.ENIPool {
	pool := &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: "node"}}
	pool.Spec = v1alpha1.ENIPoolSpec{NodeName: "node", InstanceID: thisInstance, PolicyName: "general", ENITemplate: policyNamed("general").Spec.ENITemplate}
	for _, how := range change {
		how(pool)
	}
	return pool
}

// eniOf is an ENI of the pool "node" on an instance.
func eniOf(instance string) *v1alpha1.ElasticNetworkInterface {
	eni := &v1alpha1.ElasticNetworkInterface{ObjectMeta: metav1.ObjectMeta{Name: instance + "-1"}}
	eni.Spec.NodeName = "node"
	eni.Spec.PoolName = "node"
	eni.Spec.InstanceID = instance
	return eni
}

func goneFor(d time.Duration) func(*v1alpha1.ENIPool) {
	return func(pool *v1alpha1.ENIPool) { pool.Spec.NodeGoneSince = ago(d) }
}

func ungoverned(pool *v1alpha1.ENIPool) { pool.Spec.PolicyName = "" }

func deleting(pool *v1alpha1.ENIPool) { pool.DeletionTimestamp = ago(0) }

func holding(state v1alpha1.HolderState) func(*v1alpha1.ENIPool) {
	return func(pool *v1alpha1.ENIPool) {
		pool.Status.Addresses = []v1alpha1.PoolAddress{{Address: "10.0.1.5", State: state}}
	}
}

func sayingTerminated(pool *v1alpha1.ENIPool) {
	pool.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionInstanceFound, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonInstanceTerminated}}
}

func holdingENI(pool *v1alpha1.ENIPool) {
	pool.Status.ENIs = []v1alpha1.PoolENI{{Name: "eni", Claim: &v1alpha1.ClaimReference{Name: "a"}}}
}

func TestPlan(t *testing.T) {
	here := nodeState{name: "node", exists: true, instanceID: thisInstance}
	replaced := nodeState{name: "node", exists: true, instanceID: otherInstance}
	nameless := nodeState{name: "node", exists: true}
	notEC2 := nodeState{name: "node", exists: true, notEC2: true}
	missing := nodeState{name: "node"}
	general := policyNamed("general")
	leftover := eniOf(thisInstance)
	for _, row := range []struct {
		name   string
		o      observation
		action poolAction
		wait   time.Duration
		// policy and goneFor are of the spec that the pool gets.
		policy  string
		goneFor time.Duration
	}{
		{"a node that a policy selects", observation{node: here, winner: general}, createPool, 0, "general", 0},
		{"a node that no policy selects", observation{node: here}, keepPool, 0, "", 0},
		{"a node that is no EC2 instance", observation{node: nameless, winner: general}, keepPool, 0, "", 0},
		{"no node, no pool", observation{node: missing}, keepPool, 0, "", 0},
		{"a pool was removed, and the node stands for its instance", observation{node: here, winner: general, leftover: leftover}, createPool, 0, "general", 0},
		{"a pool was removed, and the node stands for another instance", observation{node: replaced, winner: general, leftover: leftover}, createPool, 0, "", 0},
		{"a pool was removed, and the node is missing", observation{node: missing, leftover: leftover}, createPool, 0, "", 0},
		{"a pool was removed, and no policy selects the node", observation{node: here, leftover: leftover}, createPool, 0, "", 0},
		{"a node with its pool", observation{node: here, winner: general, pool: poolOf()}, updatePool, 0, "general", 0},
		{"a node that moved to another policy", observation{node: here, winner: policyNamed("special"), pool: poolOf()}, updatePool, 0, "special", 0},
		{"a pool that is being deleted is finished first", observation{node: here, winner: general, pool: poolOf(deleting)}, keepPool, 0, "", 0},
		{"another instance under the name, while the old pool is being deleted", observation{node: replaced, winner: general, pool: poolOf(deleting)},
			keepPool, 0, "", 0},

		{"a node that is missing is waited for", observation{node: missing, pool: poolOf()}, updatePool, 0, "general", 0},
		{"another instance under its name is like a missing node", observation{node: replaced, winner: general, pool: poolOf()},
			updatePool, 0, "general", 0},
		{"a node that is no EC2 instance any more is like a missing one", observation{node: notEC2, winner: general, pool: poolOf()},
			updatePool, 0, "general", 0},
		{"a node without an instance suspends its pool", observation{node: nameless, winner: general, pool: poolOf()}, updatePool, 0, "general", 0},
		{"waiting: EC2 is asked now and then", observation{node: missing, missingFor: time.Minute, pool: poolOf(goneFor(time.Minute))},
			awaitNode, missingPoll, "", 0},
		{"waiting: the grace ends before the next question", observation{node: missing, missingFor: grace - time.Second, pool: poolOf(goneFor(grace))},
			awaitNode, time.Second, "", 0},
		{"the grace is over, at its end exactly", observation{node: missing, missingFor: grace, pool: poolOf(goneFor(grace))}, deletePool, 0, "", 0},
		{"a stored time alone is no grace that this process saw", observation{node: missing, pool: poolOf(goneFor(24 * time.Hour))},
			awaitNode, missingPoll, "", 0},
		{"a stored time ahead of the clock makes no difference", observation{node: missing, missingFor: grace, pool: poolOf(goneFor(-24 * time.Hour))},
			deletePool, 0, "", 0},
		{"EC2 says that the instance is terminated", observation{node: missing, terminated: true, pool: poolOf(goneFor(time.Second))}, deletePool, 0, "", 0},
		{"EC2 does not know the instance, and no node stands for it", observation{node: missing, absent: true, pool: poolOf(goneFor(time.Second))},
			deletePool, 0, "", 0},
		{"what EC2 says counts only once the node is missing", observation{node: here, winner: general, terminated: true, absent: true, pool: poolOf()},
			updatePool, 0, "general", 0},
		{"the same instance came back", observation{node: here, winner: general, pool: poolOf(goneFor(time.Minute))}, updatePool, 0, "general", 0},
		{"the same instance came back, to no policy", observation{node: here, pool: poolOf(goneFor(time.Minute))}, updatePool, 0, "", 0},
		{"a missing node without a policy is waited for too", observation{node: missing, pool: poolOf(ungoverned, goneFor(time.Minute))},
			awaitNode, missingPoll, "", 0},

		{"a node that names none yet is waited for, however long it takes",
			observation{node: nameless, winner: general, missingFor: time.Hour, pool: poolOf(goneFor(time.Hour))}, awaitNode, suspendedPoll, "", 0},
		{"a node that names none yet, of an instance that EC2 does not know",
			observation{node: nameless, winner: general, absent: true, pool: poolOf(goneFor(time.Hour))}, awaitNode, suspendedPoll, "", 0},
		{"a node that names none yet, of an instance that is terminated and in use, before the pool says so",
			observation{node: nameless, winner: general, terminated: true, pool: poolOf(goneFor(time.Hour), holdingENI)}, awaitNode, suspendedPoll, "", 0},
		{"and when it says so",
			observation{node: nameless, winner: general, terminated: true, pool: poolOf(goneFor(time.Hour), holdingENI, sayingTerminated)}, deletePool, 0, "", 0},
		{"a node that names none yet, of an instance that is terminated",
			observation{node: nameless, winner: general, terminated: true, pool: poolOf(goneFor(time.Hour))}, deletePool, 0, "", 0},

		{"a node of another name stands for the instance: what is held stays",
			observation{node: missing, elsewhere: "other", absent: true, missingFor: time.Hour, emptyFor: time.Hour, pool: poolOf(goneFor(time.Hour), holdingENI)},
			awaitNode, suspendedPoll, "", 0},
		{"a node of another name stands for the instance, and nobody holds anything",
			observation{node: missing, elsewhere: "other", emptyFor: idle - time.Second, pool: poolOf(goneFor(time.Hour))}, awaitNode, time.Second, "", 0},
		{"nobody has held anything for a while: it makes room for the other name",
			observation{node: missing, elsewhere: "other", emptyFor: idle, pool: poolOf(goneFor(time.Hour))}, deletePool, 0, "", 0},
		{"a node of another name stood for an instance that is terminated",
			observation{node: missing, elsewhere: "other", terminated: true, pool: poolOf(goneFor(time.Hour), holdingENI)}, deletePool, 0, "", 0},

		{"another Node keeps the instance: no second pool", observation{node: here, winner: general, keeper: "other"}, keepPool, 0, "", 0},
		{"another Node keeps the instance: the second pool drains", observation{node: here, winner: general, keeper: "other", pool: poolOf()},
			updatePool, 0, "", 0},

		{"EC2 is not believed: the grace deletes nothing", observation{node: missing, distrusted: true, missingFor: time.Hour, pool: poolOf(goneFor(time.Hour))},
			awaitNode, suspendedPoll, "", 0},
		{"EC2 is not believed: nor does what it says of the instance",
			observation{node: missing, distrusted: true, terminated: true, absent: true, pool: poolOf(goneFor(time.Hour))}, awaitNode, suspendedPoll, "", 0},
		{"EC2 is not believed: an empty pool stays as well", observation{node: here, distrusted: true, emptyFor: time.Hour, pool: poolOf(ungoverned)},
			updatePool, suspendedPoll, "", 0},

		{"no policy any more: it stops growing first", observation{node: here, emptyFor: time.Hour, pool: poolOf()}, updatePool, 0, "", 0},
		{"no policy and empty: it is kept for a while", observation{node: here, pool: poolOf(ungoverned)}, updatePool, idle, "", 0},
		{"no policy and empty, as long as the policy said that surplus is kept",
			observation{node: here, pool: poolOf(ungoverned, func(pool *v1alpha1.ENIPool) {
				pool.Spec.Shared.IdleReleaseAfter = &metav1.Duration{Duration: time.Minute}
			})}, updatePool, time.Minute, "", 0},
		{"its policy was deleted: it stops growing first", observation{node: here, policyDeleted: true, pool: poolOf()}, updatePool, 0, "", 0},
		{"its policy was deleted, and it is empty: it goes", observation{node: here, policyDeleted: true, pool: poolOf(ungoverned)}, deletePool, 0, "", 0},
		{"its policy was deleted, an ENI is held", observation{node: here, policyDeleted: true, pool: poolOf(ungoverned, holdingENI)}, updatePool, 0, "", 0},
		{"no policy and empty for a while: it goes", observation{node: here, emptyFor: idle, pool: poolOf(ungoverned)}, deletePool, 0, "", 0},
		{"no policy, an address is held", observation{node: here, pool: poolOf(ungoverned, holding(v1alpha1.HolderAllocated))}, updatePool, 0, "", 0},
		{"no policy, an ENI is held", observation{node: here, pool: poolOf(ungoverned, holdingENI)}, updatePool, 0, "", 0},
		{"no policy, an address rests", observation{node: here, emptyFor: idle, pool: poolOf(ungoverned, holding(v1alpha1.HolderCooling))},
			deletePool, 0, "", 0},
		{"no policy, an address is on its way back", observation{node: here, emptyFor: idle, pool: poolOf(ungoverned, holding(v1alpha1.HolderReleasing))},
			deletePool, 0, "", 0},
		{"a policy again", observation{node: here, winner: general, pool: poolOf(ungoverned)}, updatePool, 0, "general", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.o.now, row.o.grace, row.o.idleAfter = start, grace, idle
			d := plan(row.o)
			assert.Equal(t, d.action, row.action)
			assert.Equal(t, d.wait, row.wait)
			assert.Equal(t, d.spec.PolicyName, row.policy)
			waits := row.o.pool != nil && row.action == updatePool && row.o.node.instanceID != row.o.pool.Spec.InstanceID
			assert.Equal(t, d.spec.NodeGoneSince != nil, waits)
			if waits {
				assert.Assert(t, d.spec.NodeGoneSince.Time.Equal(start))
			}
			if row.action == createPool || row.action == updatePool {
				assert.Equal(t, d.spec.InstanceID, thisInstance, "who a node is never changes")
				assert.Equal(t, d.spec.NodeName, "node")
			}
		})
	}
}

// TestUnchanged: a pool that is as it should be gets the very spec it has, so that
// nothing is written.
func TestUnchanged(t *testing.T) {
	here := nodeState{name: "node", exists: true, instanceID: thisInstance}
	for name, o := range map[string]observation{
		"governed":                 {node: here, winner: policyNamed("general"), pool: poolOf()},
		"without a policy, in use": {node: here, pool: poolOf(ungoverned, holdingENI)},
	} {
		t.Run(name, func(t *testing.T) {
			o.now, o.grace, o.idleAfter = start, grace, idle
			before := o.pool.DeepCopy()
			assert.DeepEqual(t, plan(o).spec, before.Spec)
			assert.DeepEqual(t, o.pool, before)
		})
	}
}

// TestRemovesTaint: only the pool of this very instance, by the policy as it is now,
// takes the startup taint off its Node.
func TestRemovesTaint(t *testing.T) {
	tainting := policyNamed("general", func(policy *v1alpha1.ENIPolicy) { policy.Spec.StartupTaint = "example.com/wait" })
	readyPool := func(change ...func(*v1alpha1.ENIPool)) *v1alpha1.ENIPool {
		pool := poolOf()
		pool.Spec.ENITemplate = tainting.Spec.ENITemplate
		pool.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
		for _, how := range change {
			how(pool)
		}
		return pool
	}
	here := nodeState{name: "node", exists: true, instanceID: thisInstance}
	for _, row := range []struct {
		name string
		o    observation
		want bool
	}{
		{"the pool holds its minimum", observation{node: here, winner: tainting, pool: readyPool()}, true},
		{"there is no pool yet", observation{node: here, winner: tainting}, false},
		{"the pool is not ready", observation{node: here, winner: tainting, pool: readyPool(func(pool *v1alpha1.ENIPool) { pool.Status.Conditions = nil })}, false},
		{"the pool is the earlier instance's", observation{
			node: nodeState{name: "node", exists: true, instanceID: otherInstance}, winner: tainting, pool: readyPool(),
		}, false},
		{"the pool is the earlier instance's, and waits",
			observation{node: nodeState{name: "node", exists: true, instanceID: otherInstance}, winner: tainting, pool: readyPool(goneFor(time.Second))}, false},
		{"the Node names no instance yet", observation{node: nodeState{name: "node", exists: true}, winner: tainting, pool: readyPool()}, false},
		{"the pool is being deleted", observation{node: here, winner: tainting, pool: readyPool(deleting)}, false},
		{"the pool is still suspended", observation{node: here, winner: tainting, pool: readyPool(goneFor(time.Second))}, false},
		{"the pool has not looked at its spec", observation{node: here, winner: tainting, pool: readyPool(func(pool *v1alpha1.ENIPool) { pool.Generation = 2 })}, false},
		{"the policy asks for more by now", observation{node: here, pool: readyPool(), winner: policyNamed("general", func(policy *v1alpha1.ENIPolicy) {
			policy.Spec.StartupTaint = "example.com/wait"
			policy.Spec.Shared.MinimumIPs = 9
		})}, false},
		{"a taint of others", observation{node: here, pool: readyPool(), winner: policyNamed("general", func(policy *v1alpha1.ENIPolicy) {
			policy.Spec.StartupTaint = "dedicated"
		})}, false},
		{"the policy has no taint", observation{node: here, winner: policyNamed("general"), pool: poolOf()}, false},
		{"EC2 is not believed", observation{node: here, winner: tainting, distrusted: true, pool: readyPool()}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.o.now, row.o.taintPrefix = start, "example.com/"
			assert.Equal(t, removesTaint(row.o, plan(row.o)), row.want)
		})
	}
}

// TestSpecFor: a pool gets all of the policy's template, and shares nothing with it.
func TestSpecFor(t *testing.T) {
	index := int32(2)
	winner := policyNamed("general", func(policy *v1alpha1.ENIPolicy) {
		policy.Spec.ENITemplate = v1alpha1.ENITemplate{
			ClaimNamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "payments"}}, MinDeviceIndex: &index,
			SubnetSelectorTerms:        []v1alpha1.SubnetSelectorTerm{{Tags: map[string]v1alpha1.TagValue{"role": "pods"}}},
			SecurityGroupSelectorTerms: []v1alpha1.SecurityGroupSelectorTerm{{Name: "pods"}},
			Shared:                     &v1alpha1.SharedBounds{MaximumIPs: 9}, Exclusive: &v1alpha1.ExclusiveBounds{Maximum: 2}, IPAM: "shared",
			StartupTaint: "example.com/wait", Tags: map[string]v1alpha1.TagValue{"team": "payments"}, DeletionPolicy: v1alpha1.DeletionPolicyRetain,
		}
	})
	spec := specFor(observation{node: nodeState{name: "node", instanceID: thisInstance}, winner: winner})
	assert.DeepEqual(t, spec, v1alpha1.ENIPoolSpec{NodeName: "node", InstanceID: thisInstance, PolicyName: "general",
		ENITemplate: winner.Spec.ENITemplate})
	spec.Shared.MaximumIPs, spec.Tags["team"] = 1, "changed"
	assert.Equal(t, winner.Spec.Shared.MaximumIPs, int32(9))
	assert.Equal(t, winner.Spec.Tags["team"], v1alpha1.TagValue("payments"))
}

func TestRank(t *testing.T) {
	priority := func(value int32) func(*v1alpha1.ENIPolicy) {
		return func(policy *v1alpha1.ENIPolicy) { policy.Spec.Priority = value }
	}
	age := func(d time.Duration) func(*v1alpha1.ENIPolicy) {
		return func(policy *v1alpha1.ENIPolicy) { policy.CreationTimestamp = *ago(d) }
	}
	for _, row := range []struct {
		name     string
		policies []*v1alpha1.ENIPolicy
		want     string
	}{
		{"the highest priority first", []*v1alpha1.ENIPolicy{policyNamed("a"), policyNamed("b", priority(1)), policyNamed("c", priority(-1))}, "b a c"},
		{"then the oldest", []*v1alpha1.ENIPolicy{policyNamed("a", age(time.Minute)), policyNamed("b", age(time.Hour))}, "b a"},
		{"then by name", []*v1alpha1.ENIPolicy{policyNamed("b"), policyNamed("a")}, "a b"},
		{"priority before age", []*v1alpha1.ENIPolicy{policyNamed("a", age(9*time.Hour)), policyNamed("b", priority(5), age(0))}, "b a"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for range 2 {
				var policies []v1alpha1.ENIPolicy
				for _, policy := range row.policies {
					policies = append(policies, *policy)
				}
				v1alpha1.RankPolicies(policies)
				var names []string
				for i := range policies {
					names = append(names, policies[i].Name)
				}
				assert.Equal(t, strings.Join(names, " "), row.want)
				slices.Reverse(row.policies) // The order of the list does not matter.
			}
		})
	}
}
