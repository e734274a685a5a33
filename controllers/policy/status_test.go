/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package policy

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

func nodeNamed(name, providerID string, labels ...string) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}, Spec: corev1.NodeSpec{ProviderID: providerID}}
	for _, label := range labels {
		node.Labels[label] = "true"
	}
	return node
}

const onEC2 = "aws:///us-east-1a/" + thisInstance

func selecting(label string) func(*v1alpha1.ENIPolicy) {
	return func(policy *v1alpha1.ENIPolicy) {
		policy.Spec.NodeSelector.MatchLabels = map[string]string{label: "true"}
	}
}

// sorted is where a Node was put.
func sorted(found findings, node string) string {
	for where, names := range map[string][]string{
		"governed": found.governed, "unnamed": found.unnamed, "suspended": found.suspended, "skipped": found.skipped,
	} {
		if slices.Contains(names, node) {
			return where
		}
	}
	if keeper := found.duplicates[node]; keeper != "" {
		return "kept by " + keeper
	}
	if winner := found.outranked[node]; winner != "" {
		return "outranked by " + winner
	}
	return ""
}

func TestJudge(t *testing.T) {
	stronger := func(policy *v1alpha1.ENIPolicy) { policy.Spec.Priority = 9 }
	for _, row := range []struct {
		name   string
		other  *v1alpha1.ENIPolicy
		node   *corev1.Node
		pools  []v1alpha1.ENIPool
		expect string
	}{
		{"an instance that it selects", nil, nodeNamed("n", onEC2, "web"), nil, "governed"},
		{"an instance that it does not select", nil, nodeNamed("n", onEC2), nil, ""},
		{"no providerID yet", nil, nodeNamed("n", "", "web"), nil, "unnamed"},
		{"a providerID that names no instance", nil, nodeNamed("n", "aws:///us-east-1a/", "web"), nil, "unnamed"},
		{"Fargate is skipped", nil, nodeNamed("n", "aws:///us-east-1a/0123/fargate-ip-10-0-1-2.ec2.internal", "web"), nil, "skipped"},
		{"a stronger policy has it", policyNamed("b", selecting("web"), stronger), nodeNamed("n", onEC2, "web"), nil, "outranked by b"},
		{"a stronger policy has it, and it is unusable", policyNamed("b", selecting("web"), stronger), nodeNamed("n", "", "web"), nil, "outranked by b"},
		{"a stronger policy that selects others", policyNamed("b", selecting("db"), stronger), nodeNamed("n", onEC2, "web"), nil, "governed"},
		{"a stronger policy that is being deleted", policyNamed("b", selecting("web"), stronger, func(policy *v1alpha1.ENIPolicy) {
			policy.DeletionTimestamp = ago(0)
		}), nodeNamed("n", onEC2, "web"), nil, "governed"},
		{"a weaker policy selects it too", policyNamed("b", selecting("web")), nodeNamed("n", onEC2, "web"), nil, "governed"},
		{"another kind of machine is skipped", nil, nodeNamed("n", "k3s://case21", "web"), nil, "skipped"},
		{"another kind of machine that it does not select", nil, nodeNamed("n", "k3s://case21"), nil, ""},
		{"no providerID any more", nil, nodeNamed("n", "", "web"), []v1alpha1.ENIPool{poolNamed("n", thisInstance)}, "suspended"},
		{"its pool is there", nil, nodeNamed("n", onEC2, "web"), []v1alpha1.ENIPool{poolNamed("n", thisInstance)}, "governed"},
		{"the pool of another Node has its instance", nil, nodeNamed("n", onEC2, "web"), []v1alpha1.ENIPool{poolNamed("old-name", thisInstance)}, "kept by old-name"},
	} {
		t.Run(row.name, func(t *testing.T) {
			policy := policyNamed("a", selecting("web"))
			ranked := []v1alpha1.ENIPolicy{*policy}
			if row.other != nil {
				ranked = append(ranked, *row.other)
			}
			v1alpha1.RankPolicies(ranked)
			found := judge(policy, ranked, []corev1.Node{*row.node}, row.pools)
			assert.Equal(t, sorted(found, "n"), row.expect)
		})
	}
}

func poolNamed(name, instance string, change ...func(*v1alpha1.ENIPool)) v1alpha1.ENIPool {
	pool := poolOf(change...)
	pool.Name, pool.Spec.NodeName, pool.Spec.InstanceID = name, name, instance
	return *pool
}

func readyNow(pool *v1alpha1.ENIPool) {
	pool.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
}

// TestOfTwoNodesThatNameOneInstanceTheFirstKeepsIt: and the other one is reported.
func TestOfTwoNodesThatNameOneInstanceTheFirstKeepsIt(t *testing.T) {
	made := func(name string, age time.Duration, labels ...string) corev1.Node {
		node := nodeNamed(name, onEC2, labels...)
		node.CreationTimestamp = *ago(age)
		return *node
	}
	age := func(d time.Duration) func(*v1alpha1.ENIPool) {
		return func(pool *v1alpha1.ENIPool) { pool.CreationTimestamp = *ago(d) }
	}
	for _, row := range []struct {
		name   string
		nodes  []corev1.Node
		pools  []v1alpha1.ENIPool
		keeper string
	}{
		{"the older Node", []corev1.Node{made("a", time.Minute, "web"), made("b", time.Hour, "web")}, nil, "b"},
		{"of two as old, by name", []corev1.Node{made("b", time.Hour, "web"), made("a", time.Hour, "web")}, nil, "a"},
		{"a Node that no policy governs wants no pool", []corev1.Node{made("a", time.Minute, "web"), made("b", time.Hour)}, nil, "a"},
		{"who has a pool", []corev1.Node{made("a", time.Minute, "web"), made("b", time.Hour, "web")}, []v1alpha1.ENIPool{poolNamed("a", thisInstance)}, "a"},
		{"who has the older pool", []corev1.Node{made("a", time.Minute, "web"), made("b", time.Hour, "web")},
			[]v1alpha1.ENIPool{poolNamed("b", thisInstance, age(time.Minute)), poolNamed("a", thisInstance, age(time.Hour))}, "a"},
		{"a pool that is being deleted is finished first", []corev1.Node{made("a", time.Minute, "web"), made("b", time.Hour, "web")},
			[]v1alpha1.ENIPool{poolNamed("a", thisInstance, deleting)}, "a"},
		{"the pool of another instance is no reason", []corev1.Node{made("a", time.Hour, "web"), made("b", time.Minute, "web")},
			[]v1alpha1.ENIPool{poolNamed("b", otherInstance)}, "a"},
	} {
		t.Run(row.name, func(t *testing.T) {
			policy := policyNamed("general", selecting("web"))
			found := judge(policy, []v1alpha1.ENIPolicy{*policy}, row.nodes, row.pools)
			for i := range row.nodes {
				name, want := row.nodes[i].Name, "kept by "+row.keeper
				switch {
				case name == row.keeper:
					want = "governed"
				case row.nodes[i].Labels["web"] == "":
					want = ""
				}
				assert.Equal(t, sorted(found, name), want, name)
			}
		})
	}
}

// TestReadyPools: only pools that serve the Nodes that the policy governs now count; one
// whose Node is missing must not stand in for one that is not ready.
func TestReadyPools(t *testing.T) {
	for _, row := range []struct {
		name string
		pool v1alpha1.ENIPool
		want int32
	}{
		{"ready", poolNamed("here", thisInstance, readyNow), 1},
		{"not ready", poolNamed("here", thisInstance), 0},
		{"being deleted", poolNamed("here", thisInstance, readyNow, deleting), 0},
		{"its Node is gone", poolNamed("gone", otherInstance, readyNow, goneFor(time.Minute)), 0},
		{"suspended", poolNamed("here", thisInstance, readyNow, goneFor(time.Minute)), 0},
		{"its Node stands for another instance", poolNamed("here", otherInstance, readyNow), 0},
		{"it has not looked at its spec yet", poolNamed("here", thisInstance, readyNow, func(pool *v1alpha1.ENIPool) { pool.Generation = 2 }), 0},
		{"another policy's", poolNamed("here", thisInstance, readyNow, func(pool *v1alpha1.ENIPool) { pool.Spec.PolicyName = "other" }), 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			policy := policyNamed("general", selecting("web"))
			nodes := []corev1.Node{*nodeNamed("here", onEC2, "web"), *nodeNamed("there", onEC2[:len(onEC2)-1]+"9", "web")}
			found := judge(policy, []v1alpha1.ENIPolicy{*policy}, nodes, []v1alpha1.ENIPool{row.pool})
			assert.Equal(t, len(found.governed), 2)
			assert.Equal(t, found.readyPools, row.want)
		})
	}
}

func TestSetConditions(t *testing.T) {
	var many []string
	for i := range 7 {
		many = append(many, fmt.Sprintf("node-%d", 6-i))
	}
	const truly, falsely = metav1.ConditionTrue, metav1.ConditionFalse
	for _, row := range []struct {
		name      string
		found     findings
		condition string
		status    metav1.ConditionStatus
		reason    string
		message   string
	}{
		{"all pools hold their minimum", findings{governed: []string{"a", "b"}, readyPools: 2}, v1alpha1.ConditionReady, truly, v1alpha1.ReasonReady, ""},
		{"some do not", findings{governed: []string{"a", "b"}, readyPools: 1}, v1alpha1.ConditionReady, falsely, v1alpha1.ReasonPoolsNotReady,
			"1 of 2 pools hold their minimum"},
		{"no node", findings{}, v1alpha1.ConditionReady, truly, v1alpha1.ReasonNoNodes, "spec.nodeSelector selects no Node that this policy governs"},
		{"a selector that cannot be parsed", findings{selectorError: errors.New("bad operator")}, v1alpha1.ConditionReady, falsely,
			v1alpha1.ReasonInvalidSelector, "spec.nodeSelector: bad operator"},
		{"a taint of others", findings{governed: []string{"a"}, readyPools: 1, taintKept: "not the operator's"}, v1alpha1.ConditionReady, falsely,
			v1alpha1.ReasonStartupTaintNotAllowed, "spec.startupTaint: not the operator's"},
		{"an unusable node", findings{governed: []string{"a"}, readyPools: 1, unnamed: []string{"b"}}, v1alpha1.ConditionReady, falsely,
			v1alpha1.ReasonProviderIDMissing, "spec.providerID of Node b names no EC2 instance. It should read aws:///<zone>/<instance-id>; " +
				"the AWS cloud controller manager sets it."},
		{"many unusable nodes, by name", findings{unnamed: many}, v1alpha1.ConditionNodesUsable, falsely, v1alpha1.ReasonProviderIDMissing,
			"spec.providerID of Node node-0, node-1, node-2, node-3, node-4 and 2 more names no EC2 instance. " +
				"It should read aws:///<zone>/<instance-id>; the AWS cloud controller manager sets it."},
		{"a node that names no instance at the moment", findings{suspended: []string{"b"}}, v1alpha1.ConditionNodesUsable, falsely,
			v1alpha1.ReasonNodeWithoutInstance, "Node b names no EC2 instance at the moment. Its pool keeps what it has and hands out nothing " +
				"until spec.providerID is there again; the AWS cloud controller manager sets it."},
		{"two Nodes of one instance", findings{duplicates: map[string]string{"b": "a"}}, v1alpha1.ConditionNodesUsable, falsely, v1alpha1.ReasonInstanceTaken,
			"Another Node keeps the instance that these name: b (a). Delete the Node that is not the instance's, and its pool if it stays."},
		{"Nodes that are no instances", findings{skipped: []string{"f"}}, v1alpha1.ConditionNodesUsable, truly, v1alpha1.ReasonNodesSkipped,
			"1 selected Nodes are no EC2 instances and can have no ENIs, so they are skipped: f"},
		{"nothing but Nodes that are no instances", findings{skipped: []string{"f"}}, v1alpha1.ConditionReady, truly, v1alpha1.ReasonNoNodes,
			"1 selected Nodes are no EC2 instances and can have no ENIs, so they are skipped: f"},
		{"EC2 is believed", findings{}, v1alpha1.ConditionEC2Trusted, truly, v1alpha1.ReasonEC2Agrees, ""},
		{"EC2 is not believed", findings{trust: inventory.Trust{Broken: true, Reason: v1alpha1.ReasonOtherRegion, Message: "why"}},
			v1alpha1.ConditionEC2Trusted, falsely, v1alpha1.ReasonOtherRegion, "why"},
		{"no unusable node", findings{}, v1alpha1.ConditionNodesUsable, truly, v1alpha1.ReasonAllUsable, ""},
		{"outranked, by name", findings{outranked: map[string]string{"b": "strong", "a": "stronger"}}, v1alpha1.ConditionOverlapping, truly,
			v1alpha1.ReasonOutranked, "Policies with a higher rank govern Nodes that this one selects: a (stronger), b (strong)"},
		{"not outranked", findings{}, v1alpha1.ConditionOverlapping, falsely, v1alpha1.ReasonNoOverlap, ""},
		{"outranked everywhere is no trouble", findings{outranked: map[string]string{"b": "strong"}}, v1alpha1.ConditionReady, truly, v1alpha1.ReasonNoNodes,
			"spec.nodeSelector selects no Node that this policy governs"},
	} {
		t.Run(row.name, func(t *testing.T) {
			policy := policyNamed("a", func(policy *v1alpha1.ENIPolicy) { policy.Generation = 3 })
			setConditions(policy, row.found)
			got := meta.FindStatusCondition(policy.Status.Conditions, row.condition)
			assert.Assert(t, got != nil)
			assert.Equal(t, got.Status, row.status)
			assert.Equal(t, got.Reason, row.reason)
			assert.Equal(t, got.Message, row.message)
			assert.Equal(t, got.ObservedGeneration, int64(3))
			assert.Equal(t, policy.Status.ObservedGeneration, int64(3))
			assert.Equal(t, policy.Status.Nodes, int32(len(row.found.governed)))
			assert.Equal(t, policy.Status.SkippedNodes, int32(len(row.found.skipped)))
			assert.Equal(t, policy.Status.ReadyPools, row.found.readyPools)
		})
	}
}
