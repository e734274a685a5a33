/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package policy

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
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

func TestJudge(t *testing.T) {
	stronger := func(policy *v1alpha1.ENIPolicy) { policy.Spec.Priority = 9 }
	for _, row := range []struct {
		name   string
		other  *v1alpha1.ENIPolicy
		node   *corev1.Node
		expect string
	}{
		{"an instance that it selects", nil, nodeNamed("n", onEC2, "web"), "governed"},
		{"an instance that it does not select", nil, nodeNamed("n", onEC2), ""},
		{"no providerID yet", nil, nodeNamed("n", "", "web"), "unusable"},
		{"a providerID that names no instance", nil, nodeNamed("n", "aws:///us-east-1a/", "web"), "unusable"},
		{"Fargate is passed over", nil, nodeNamed("n", "aws:///us-east-1a/0123/fargate-ip-10-0-1-2.ec2.internal", "web"), ""},
		{"a stronger policy has it", policyNamed("b", selecting("web"), stronger), nodeNamed("n", onEC2, "web"), "outranked by b"},
		{"a stronger policy has it, and it is unusable", policyNamed("b", selecting("web"), stronger), nodeNamed("n", "", "web"), "outranked by b"},
		{"a stronger policy that selects others", policyNamed("b", selecting("db"), stronger), nodeNamed("n", onEC2, "web"), "governed"},
		{"a stronger policy that is being deleted", policyNamed("b", selecting("web"), stronger, func(policy *v1alpha1.ENIPolicy) {
			policy.DeletionTimestamp = ago(0)
		}), nodeNamed("n", onEC2, "web"), "governed"},
		{"a weaker policy selects it too", policyNamed("b", selecting("web")), nodeNamed("n", onEC2, "web"), "governed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			policy := policyNamed("a", selecting("web"))
			ranked := []v1alpha1.ENIPolicy{*policy}
			if row.other != nil {
				ranked = append(ranked, *row.other)
			}
			v1alpha1.RankPolicies(ranked)
			found := findings{outranked: map[string]string{}}
			found.judge(policy, ranked, row.node)
			got := ""
			switch {
			case len(found.governed) == 1:
				got = "governed"
			case len(found.unusable) == 1:
				got = "unusable"
			case len(found.outranked) == 1:
				got = "outranked by " + found.outranked["n"]
			}
			assert.Equal(t, got, row.expect)
		})
	}
}

// TestCountReady: only pools of Nodes that the policy governs now count; one whose
// Node is missing must not stand in for one that is not ready.
func TestCountReady(t *testing.T) {
	pool := func(name string, isReady bool, change ...func(*v1alpha1.ENIPool)) v1alpha1.ENIPool {
		pool := poolOf(change...)
		pool.Name = name
		state := metav1.ConditionFalse
		if isReady {
			state = metav1.ConditionTrue
		}
		pool.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: state}}
		return *pool
	}
	for _, row := range []struct {
		name string
		pool v1alpha1.ENIPool
		want int32
	}{
		{"ready", pool("here", true), 1},
		{"not ready", pool("here", false), 0},
		{"being deleted", pool("here", true, deleting), 0},
		{"its Node is gone", pool("gone", true, goneFor(time.Minute)), 0},
		{"its Node stands for another instance", pool("here", true, goneFor(time.Minute)), 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			found := findings{governed: []string{"here", "there"}}
			found.countReady([]v1alpha1.ENIPool{row.pool})
			assert.Equal(t, found.readyPools, row.want)
		})
	}
}

func TestSetConditions(t *testing.T) {
	var many []*corev1.Node
	for i := range 7 {
		many = append(many, nodeNamed(fmt.Sprintf("node-%d", 6-i), ""))
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
		{"an unusable node", findings{governed: []string{"a"}, readyPools: 1, unusable: []*corev1.Node{nodeNamed("b", "")}}, v1alpha1.ConditionReady, falsely,
			v1alpha1.ReasonProviderIDMissing, "spec.providerID of Node b names no EC2 instance. It should read aws:///<zone>/<instance-id>; " +
				"the AWS cloud controller manager sets it."},
		{"many unusable nodes, by name", findings{unusable: many}, v1alpha1.ConditionNodesUsable, falsely, v1alpha1.ReasonProviderIDMissing,
			"spec.providerID of Node node-0, node-1, node-2, node-3, node-4 and 2 more names no EC2 instance. " +
				"It should read aws:///<zone>/<instance-id>; the AWS cloud controller manager sets it."},
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
			assert.Equal(t, policy.Status.ReadyPools, row.found.readyPools)
		})
	}
}
