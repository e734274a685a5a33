/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"testing"

	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

func TestConditions(t *testing.T) {
	const truly, falsely = metav1.ConditionTrue, metav1.ConditionFalse
	deletedPool := func(f *fixture) { f.pool.DeletionTimestamp = &metav1.Time{Time: start} }
	for _, row := range []struct {
		name      string
		of        *fixture
		condition string
		status    metav1.ConditionStatus
		reason    string
		message   string
	}{
		{"ready with the minimum", newFixture().bounds(3, 0, 20).eni(1, 1, 3), v1alpha1.ConditionReady, truly, v1alpha1.ReasonReady, ""},
		{"ready though an ENI waits for more", newFixture().bounds(3, 9, 20).eni(1, 1, 3).last(unready("SubnetExhausted", true)),
			v1alpha1.ConditionReady, truly, v1alpha1.ReasonReady, ""},
		{"not ready below the minimum", newFixture().bounds(3, 0, 20).eni(1, 1, 2), v1alpha1.ConditionReady, falsely,
			v1alpha1.ReasonENIsNotReady, "Waiting for the pool's ENIs to be ready"},
		{"not ready: an ENI that needs nothing but time is not told of", newFixture().bounds(3, 0, 20).eni(1, 1, 2).last(unready("Attaching", false)),
			v1alpha1.ConditionReady, falsely, v1alpha1.ReasonENIsNotReady, "Waiting for the pool's ENIs to be ready"},
		{"not ready: an ENI in trouble first", newFixture().bounds(3, 0, 20).eni(1, 1, 2).last(unready("Attaching", false)).
			eni(2, 1, 1).last(unready("Unauthorized", false)), v1alpha1.ConditionReady, falsely, "Unauthorized", "ENI " + eniName(2) + ": as EC2 answered"},
		{"not ready below the exclusive minimum", newFixture().bounds(0, 0, 20).exclusive(1, 0, 2), v1alpha1.ConditionReady, falsely,
			v1alpha1.ReasonENIsNotReady, "Waiting for the pool's ENIs to be ready"},
		{"draining", newFixture().change(func(f *fixture) { f.pool.Spec.PolicyName = "" }), v1alpha1.ConditionReady, falsely,
			v1alpha1.ReasonDraining, "No policy governs the node: the pool goes when its last claim is released"},
		{"deleted in use", newFixture().change(deletedPool).eni(1, 1, 1).holds(1, map[string]int{"a": 1}), v1alpha1.ConditionReady, falsely,
			v1alpha1.ReasonInUse, "The pool is deleted when 1 addresses and 0 ENIs are released by their claims"},
		{"deleted and empty", newFixture().change(deletedPool).eni(1, 1, 1), v1alpha1.ConditionReady, falsely,
			v1alpha1.ReasonDeleting, "The pool's ENIs are being deleted"},
		{"a trouble comes first", newFixture().bounds(3, 0, 20).eni(1, 1, 3).
			change(func(f *fixture) {
				f.trouble(v1alpha1.ConditionNetworkResolved, v1alpha1.ReasonSubnetNotFound, "none found")
			}),
			v1alpha1.ConditionReady, falsely, v1alpha1.ReasonSubnetNotFound, "none found"},
		{"a trouble has its condition", newFixture().
			change(func(f *fixture) {
				f.trouble(v1alpha1.ConditionNetworkResolved, v1alpha1.ReasonSubnetNotFound, "none found")
			}),
			v1alpha1.ConditionNetworkResolved, falsely, v1alpha1.ReasonSubnetNotFound, "none found"},
		{"no trouble", newFixture(), v1alpha1.ConditionInstanceFound, truly, v1alpha1.ReasonInstanceFound, ""},

		{"what fits", newFixture().bounds(18, 0, 20), v1alpha1.ConditionCapacityAvailable, truly, v1alpha1.ReasonFits, ""},
		{"more addresses than fit", newFixture().bounds(19, 0, 20), v1alpha1.ConditionCapacityAvailable, falsely, v1alpha1.ReasonInstanceTypeLimit,
			"m5.large has room for 2 ENIs of this policy with up to 9 addresses each, which is less than its minimum: " +
				"the pool gets 18 addresses and 0 exclusive ENIs. Lower the minimum, or select larger instances."},
		{"more addresses than fit, the primary ENI included", newFixture().bounds(26, 0, 30).withPrimary(7), v1alpha1.ConditionCapacityAvailable,
			falsely, v1alpha1.ReasonInstanceTypeLimit,
			"m5.large has room for 2 ENIs of this policy with up to 9 addresses each and for 7 addresses on its primary ENI, " +
				"which is less than its minimum: the pool gets 25 addresses and 0 exclusive ENIs. Lower the minimum, or select larger instances."},
		{"exclusive ENIs take the room of addresses", newFixture().bounds(10, 0, 20).exclusive(1, 0, 1), v1alpha1.ConditionCapacityAvailable,
			falsely, v1alpha1.ReasonInstanceTypeLimit,
			"m5.large has room for 2 ENIs of this policy with up to 9 addresses each, which is less than its minimum: " +
				"the pool gets 9 addresses and 1 exclusive ENIs. Lower the minimum, or select larger instances."},
		{"foreign ENIs take room", newFixture().bounds(10, 0, 20).change(func(f *fixture) { f.otherENIs = 1 }), v1alpha1.ConditionCapacityAvailable,
			falsely, v1alpha1.ReasonInstanceTypeLimit,
			"m5.large has room for 1 ENIs of this policy, besides 1 that are not the pool's, with up to 9 addresses each, which is less than its minimum: " +
				"the pool gets 9 addresses and 0 exclusive ENIs. Lower the minimum, detach those ENIs, or select larger instances."},
		{"warm addresses beyond what fits are no trouble", newFixture().bounds(5, 30, 40), v1alpha1.ConditionCapacityAvailable, truly, v1alpha1.ReasonFits, ""},
		{"prefixes without Nitro", newFixture().bounds(5, 0, 40).prefixes().change(func(f *fixture) { f.limits.nitro = false }),
			v1alpha1.ConditionCapacityAvailable, falsely, v1alpha1.ReasonInstanceTypeLimit,
			"m5.large carries no prefixes: only Nitro instance types do. Set addressType: IPv4, or select other nodes."},
		{"room that draining ENIs take for now is no limit of the type", newFixture().bounds(9, 0, 20).limit(1, 9).eni(1, 1, 9).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.SubnetID = subnetB }).holds(1, map[string]int{"a": 1}),
			v1alpha1.ConditionCapacityAvailable, falsely, v1alpha1.ReasonInstanceFull,
			"m5.large has no slot for ENIs in the policy's subnets. Until all claims of one of these ENIs outside of them are released, they serve: " + eniName(1)},
		{"but the pool waits for it", newFixture().bounds(9, 0, 20).limit(1, 9).eni(1, 1, 9).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.SubnetID = subnetB }).holds(1, map[string]int{"a": 1}),
			v1alpha1.ConditionReady, falsely, v1alpha1.ReasonInstanceFull,
			"Every ENI slot of m5.large is taken: the pool reaches its minimum when claims release ENIs, or draining ENIs are gone"},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := plan(row.of.observation)
			got := meta.FindStatusCondition(d.status.Conditions, row.condition)
			assert.Assert(t, got != nil)
			assert.DeepEqual(t, *got, metav1.Condition{Type: row.condition, Status: row.status, Reason: row.reason, Message: row.message,
				ObservedGeneration: 3, LastTransitionTime: metav1.NewTime(start)})
		})
	}
}
