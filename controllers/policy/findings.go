/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package policy

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

// findings are what a policy's status reports, by the names of Nodes.
type findings struct {
	selectorError error
	// taintKept is why the operator does not remove the policy's startup taint.
	taintKept string
	governed  []string
	// unnamed name no instance and have no pool, and suspended name none at the moment
	// while their pool waits.
	unnamed, suspended []string
	// skipped are no EC2 instances.
	skipped []string
	// duplicates name an instance that another Node keeps, and outranked are governed
	// by a stronger policy: each with the name of that one.
	duplicates, outranked map[string]string
	// troubled is one of the Nodes that the policy cannot use.
	troubled   client.Object
	readyPools int32
	trust      inventory.Trust
}

// fleet is what all Nodes and pools show about each other.
type fleet struct {
	ranked []v1alpha1.ENIPolicy
	// pools by name, and pools and Nodes by the instance that they name.
	pools      map[string]*v1alpha1.ENIPool
	poolsOf    map[string][]*v1alpha1.ENIPool
	namesakes  map[string][]*corev1.Node
	instanceOf map[string]string
}

// judge sorts the Nodes that a policy selects, and counts the pools that are ready.
func judge(policy *v1alpha1.ENIPolicy, ranked []v1alpha1.ENIPolicy, nodes []corev1.Node, pools []v1alpha1.ENIPool) findings {
	found := findings{duplicates: map[string]string{}, outranked: map[string]string{}}
	_, found.selectorError = metav1.LabelSelectorAsSelector(&policy.Spec.NodeSelector)
	all := fleetOf(ranked, nodes, pools)
	selects := policy.NodeMatcher()
	for i := range nodes {
		if selects(nodes[i].Labels) {
			found.sort(policy, all, &nodes[i])
		}
	}
	for _, name := range found.governed {
		pool := all.pools[name]
		if pool != nil && pool.Spec.PolicyName == policy.Name && pool.Serves(all.instanceOf[name]) && ready(pool) {
			found.readyPools++
		}
	}
	return found
}

func fleetOf(ranked []v1alpha1.ENIPolicy, nodes []corev1.Node, pools []v1alpha1.ENIPool) fleet {
	all := fleet{
		ranked: ranked, pools: make(map[string]*v1alpha1.ENIPool, len(pools)), poolsOf: make(map[string][]*v1alpha1.ENIPool, len(pools)),
		namesakes: make(map[string][]*corev1.Node, len(nodes)), instanceOf: make(map[string]string, len(nodes)),
	}
	for i := range pools {
		pool := &pools[i]
		all.pools[pool.Name] = pool
		all.poolsOf[pool.Spec.InstanceID] = append(all.poolsOf[pool.Spec.InstanceID], pool)
	}
	for i := range nodes {
		if id, kind := ec2.ParseProviderID(nodes[i].Spec.ProviderID); kind == ec2.ProviderIDInstance {
			all.instanceOf[nodes[i].Name] = id
			all.namesakes[id] = append(all.namesakes[id], &nodes[i])
		}
	}
	return all
}

// sort puts a Node that the policy selects where it belongs.
func (f *findings) sort(policy *v1alpha1.ENIPolicy, all fleet, node *corev1.Node) {
	_, kind := ec2.ParseProviderID(node.Spec.ProviderID)
	instance := all.instanceOf[node.Name]
	winner := v1alpha1.Governing(all.ranked, node.Labels)
	switch {
	case kind == ec2.ProviderIDOther:
		f.skipped = append(f.skipped, node.Name)
	case winner != nil && winner.Name != policy.Name:
		f.outranked[node.Name] = winner.Name
	case kind == ec2.ProviderIDUnusable && all.pools[node.Name] != nil:
		f.suspended = append(f.suspended, node.Name)
		f.troubled = node
	case kind == ec2.ProviderIDUnusable:
		f.unnamed = append(f.unnamed, node.Name)
		f.troubled = node
	default:
		keeper := keeperOf(all.poolsOf[instance], all.namesakes[instance], all.ranked, node.Name)
		if keeper != "" {
			f.duplicates[node.Name] = keeper
			f.troubled = node
			return
		}
		f.governed = append(f.governed, node.Name)
	}
}
