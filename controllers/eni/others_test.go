/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"slices"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestAnotherOperatorsChangesAreNoticed: of two operators at once, the one that did
// not act remembers what was. It must neither show addresses that went back to the
// subnet, which others may have by now, nor call those missing that it never saw.
func TestAnotherOperatorsChangesAreNoticed(t *testing.T) {
	for name, stale := range map[string]emulator.StaleReads{
		"EC2 shows them at once": {}, "EC2 shows them late": {NewAddresses: 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, newEndpoint(t), emulator.Options{Stale: stale})
			w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3, PoolName: poolName, InstanceID: w.instance})
			w.mustSettle()
			w.clock.Step(time.Minute)
			acts := w.reconciler
			w.restart()
			w.clock.Step(time.Minute)
			w.sweep() // It knows for sure what there is.
			remembers := w.reconciler

			w.reconciler = acts
			gone := w.eni().Status.Addresses[0]
			w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
				eni.Spec.AddressCount, eni.Spec.Release = 2, released(gone)
			})
			w.mustSettle()
			w.ec2("CreateNetworkInterface", "SubnetId", w.subnets[0], "PrivateIpAddress", string(gone))
			w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.AddressCount, eni.Spec.Release = 3, nil })
			w.mustSettle()
			w.server.ResetCalls()

			w.reconciler = remembers
			for range settleSteps {
				result, err := w.once()
				assert.NilError(t, err)
				assert.Assert(t, !slices.Contains(w.eni().Status.Addresses, gone), "%s is shown, which another ENI has", gone)
				assert.Check(t, cmp.Len(w.eni().Status.Missing, 0))
				if result.RequeueAfter == 0 {
					break
				}
				w.clock.Step(result.RequeueAfter)
			}
			w.assertAgrees()
			assert.Check(t, cmp.Len(w.story(), 0), "there was nothing to do")
			reads := w.calls("DescribeNetworkInterfaces")
			w.reconciler = acts
			w.mustSettle()
			assert.Equal(t, w.calls("DescribeNetworkInterfaces"), reads, "whoever acted alone has nothing to look at")
		})
	}
}

// TestAStatusThatSomebodyElseStoredIsLookedAt: those that this process stored itself are known
// to it, and are no work.
func TestAStatusThatSomebodyElseStoredIsLookedAt(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	var events []event.UpdateEvent
	last := &v1alpha1.ElasticNetworkInterface{}
	seen := func() []bool {
		var passed []bool
		for _, update := range events {
			passed = append(passed, w.reconciler.written.ByOthers().Update(update))
		}
		events = nil
		return passed
	}
	note := func() {
		now := w.eni()
		events = append(events, event.UpdateEvent{ObjectOld: last, ObjectNew: now})
		last = now
	}
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3})
	last = w.eni()
	for range 3 {
		_, err := w.once()
		assert.NilError(t, err)
		note()
		w.clock.Step(5 * time.Second)
	}
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "True Ready")
	for _, passed := range seen() {
		assert.Assert(t, !passed, "its own status is looked at again")
	}

	eni := w.eni()
	good := eni.Status.DeepCopy()
	eni.Status = v1alpha1.ElasticNetworkInterfaceStatus{}
	assert.NilError(t, w.kube.Status().Update(t.Context(), eni))
	note()
	assert.DeepEqual(t, seen(), []bool{true})
	eni = w.eni()
	eni.Status = *good // It was this process's once, and is another's now.
	assert.NilError(t, w.kube.Status().Update(t.Context(), eni))
	note()
	assert.DeepEqual(t, seen(), []bool{true})
}
