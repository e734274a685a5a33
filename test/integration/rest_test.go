/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"fmt"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// This test does not run beside others: it counts all that the operator does.
func TestAtRestNothingIsWritten(t *testing.T) {
	s := shared.tell(t, "at-rest")
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(4, 9), exclusive(1, 1)))
	s.awaitReady(node)
	s.bind(node, v1alpha1.ModeShared, "web-0", "web-1")
	s.bind(node, v1alpha1.ModeExclusive, "router")
	s.bindLeased(node, "leased", v1alpha1.ModeShared, time.Hour)
	eventually(t, "everything agrees", func() error { return s.consistent(t.Context()) })
	s.checkCallsPerENI()
	eventually(t, "the policy has counted its pool", func() error {
		policy := s.policy()
		return first(s.Get(t.Context(), key(policy), policy), differ("readyPools", policy.Status.ReadyPools, int32(1)))
	})

	// Whoever looks at an object for no reason must find nothing to do.
	reconciles := map[string]float64{}
	for _, controller := range []string{"node", "policy", "pool", "eni", "lease"} {
		reconciles[controller] = reconcilesOf(t, controller)
	}
	before := map[string]string{}
	for _, object := range s.everything() {
		s.annotate(object, "example.com/touched", "true")
		before[identity(object)] = object.GetResourceVersion()
	}
	mutations := s.mutations()
	registered := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}
	s.update(registered, func() { registered.Labels["example.com/touched"] = "true" })
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	s.update(namespace, func() { namespace.Labels["example.com/touched"] = "true" })

	sweeps := len(s.operatorCalls("DescribeNetworkInterfaces", ""))
	eventually(t, "every controller has looked again", func() error {
		for controller, was := range reconciles {
			if reconcilesOf(t, controller) < was+1 {
				return fmt.Errorf("%s has not", controller)
			}
		}
		if now := len(s.operatorCalls("DescribeNetworkInterfaces", "")); now < sweeps+2 {
			return fmt.Errorf("there were %d audits", now-sweeps)
		}
		return nil
	})
	after := map[string]string{}
	for _, object := range s.everything() {
		after[identity(object)] = object.GetResourceVersion()
	}
	assert.DeepEqual(t, after, before)
	assert.DeepEqual(t, s.mutations(), mutations)
}

func identity(object client.Object) string { return fmt.Sprintf("%T %s", object, object.GetName()) }

// everything is all that the operator writes to, of this scenario, as it is now.
func (s *scenario) everything() []client.Object {
	s.t.Helper()
	policy := s.policy()
	assert.NilError(s.t, s.Get(s.t.Context(), key(policy), policy))
	objects := []client.Object{policy}
	for _, node := range s.nodes {
		pool, err := s.pool(node)
		assert.NilError(s.t, err)
		objects = append(objects, pool)
	}
	for _, eni := range s.resources(s.t.Context()) {
		objects = append(objects, &eni)
	}
	for _, claim := range s.claims(s.t.Context()) {
		objects = append(objects, &claim)
	}
	return objects
}

// mutations counts the operator's calls that can change EC2, by action.
func (s *scenario) mutations() map[string]int {
	counts := map[string]int{}
	for _, call := range s.operatorCalls("", "") {
		if call.Mutating {
			counts[call.Action]++
		}
	}
	return counts
}

// reconcilesOf is how often a controller of this process has finished.
func reconcilesOf(t *testing.T, controller string) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	assert.NilError(t, err)
	total := 0.0
	for _, family := range families {
		if family.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "controller" && label.GetValue() == controller {
					total += metric.GetCounter().GetValue()
				}
			}
		}
	}
	return total
}
