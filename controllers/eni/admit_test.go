/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// pendingClaim is a claim of the node that waits, for the reason in its Ready
// condition if it has one.
func pendingClaim(name, reason string) *v1alpha1.ENIClaim {
	claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"}, Spec: v1alpha1.ENIClaimSpec{NodeName: nodeName}}
	claim.Status.Phase = v1alpha1.ClaimPending
	if reason != "" {
		claim.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason}}
	}
	return claim
}

func TestOnlyWhatAClaimWaitsForIsUrgent(t *testing.T) {
	for reason, want := range map[string]ec2.Priority{
		"":                                   ec2.PriorityUrgent,
		v1alpha1.ReasonPoolGrowing:           ec2.PriorityUrgent,
		v1alpha1.ReasonNamespaceNotAllowed:   ec2.PriorityNormal,
		v1alpha1.ReasonModeNotOffered:        ec2.PriorityNormal,
		v1alpha1.ReasonPoolAtMaximum:         ec2.PriorityNormal,
		v1alpha1.ReasonAddressNotInPool:      ec2.PriorityNormal,
		v1alpha1.ReasonUninstallBlocked:      ec2.PriorityNormal,
		"a reason that nobody has yet given": ec2.PriorityNormal,
	} {
		t.Run(reason, func(t *testing.T) {
			assert.Equal(t, waitsForGrowth(*pendingClaim("a", reason)), want == ec2.PriorityUrgent)
		})
	}
}

// startController runs the reconciler with so many workers, and returns a function
// that has it look at an ENI.
func (w *world) startController(ctx context.Context, workers int) (look func(name string)) {
	found := make(chan event.GenericEvent, 1000)
	c, err := controller.NewUnmanaged("limited", controller.Options{
		Reconciler: w.reconciler, MaxConcurrentReconciles: workers, Logger: logr.Discard(), SkipNameValidation: ptr.To(true),
	})
	assert.NilError(w.t, err)
	assert.NilError(w.t, c.Watch(source.Channel(found, &handler.EnqueueRequestForObject{})))
	go func() { _ = c.Start(ctx) }()
	return func(name string) {
		eni := &v1alpha1.ElasticNetworkInterface{}
		eni.Name = name
		found <- event.GenericEvent{Object: eni}
	}
}

// TestAnUrgentCallDoesNotWaitForOthersQueues: all workers have work whose calls wait
// for EC2's rate limit, for longer than anybody waits for a test.
func TestAnUrgentCallDoesNotWaitForOthersQueues(t *testing.T) {
	const workers, deletions = 4, 24
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	api, err := ec2.NewClient(t.Context(), ec2.Limits{
		Default:  ec2.Limit{Bucket: 1 << 30, PerSecond: 1e9},
		ByAction: map[string]ec2.Limit{ec2.ActionDelete: {Bucket: 1, PerSecond: 1.0 / 3600}},
	})
	assert.NilError(t, err)

	for i := range deletions {
		name, uid := fmt.Sprintf("old-%d", i), types.UID(fmt.Sprintf("uid-%d", i))
		created, err := w.api.CreateNetworkInterface(t.Context(), ec2.CreateInput{SubnetID: w.subnets[0], ClientToken: name,
			Tags: ec2.Ownership{Cluster: "test", ClusterUID: clusterUID, Name: name, UID: string(uid)}.Tags(nil)})
		assert.NilError(t, err)
		eni := &v1alpha1.ElasticNetworkInterface{ObjectMeta: metav1.ObjectMeta{Name: name, UID: uid, Finalizers: []string{v1alpha1.Finalizer}}}
		eni.Spec.NodeName = nodeName
		eni.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete
		assert.NilError(t, w.kube.Create(t.Context(), eni))
		eni.Status.NetworkInterfaceID = created.ID
		assert.NilError(t, w.kube.Status().Update(t.Context(), eni))
		assert.NilError(t, w.kube.Delete(t.Context(), eni))
	}
	w.clock.Step(time.Minute)
	w.reconciler.inventory = inventory.New(api, inventory.Options{
		ClusterUID: clusterUID, VisibilityWindow: 30 * time.Second, NetworkTTL: time.Minute, Clock: w.clock,
	})
	assert.NilError(t, w.reconciler.inventory.Sweep(t.Context()))
	w.server.ResetCalls()

	look := w.startController(t.Context(), workers)
	for i := range deletions {
		look(fmt.Sprintf("old-%d", i))
	}
	for w.calls(ec2.ActionDelete) < 1 {
		time.Sleep(10 * time.Millisecond)
	}
	assert.NilError(t, w.kube.Create(t.Context(), pendingClaim("waits", v1alpha1.ReasonPoolGrowing)))
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	look(eniName)
	for deadline := time.Now().Add(time.Minute); w.calls(ec2.ActionCreate) == 0; time.Sleep(5 * time.Millisecond) {
		assert.Assert(t, time.Now().Before(deadline), "the call waits, though its own queue is empty")
	}
	assert.Equal(t, w.calls(ec2.ActionDelete), 1)
}

// fullQueue has every call wait its turn for as long.
type fullQueue struct {
	ec2.Client
	wait time.Duration
}

func (q fullQueue) Admit(context.Context, string, string) (*ec2.Admission, time.Duration) {
	return nil, q.wait
}

// TestAShortWaitInTheQueueIsNotWorthAWrite, but no resource stays without a status until it is
// taken for one that lost it.
func TestAShortWaitInTheQueueIsNotWorthAWrite(t *testing.T) {
	for _, c := range []struct {
		wait     time.Duration
		reported []bool // at each look
	}{
		{12 * time.Second, []bool{false, false, true}},
		{29 * time.Second, []bool{false, true}},
		{time.Minute, []bool{true}},
	} {
		t.Run(c.wait.String(), func(t *testing.T) {
			w := newWorld(t, newEndpoint(t), emulator.Options{})
			w.api = fullQueue{w.api, c.wait}
			w.restart()
			w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
			w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.CreationTimestamp = metav1.NewTime(w.clock.Now()) })
			for look, reported := range c.reported {
				result, err := w.once()
				assert.NilError(t, err)
				assert.Equal(t, result.RequeueAfter, c.wait)
				assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady) != "", reported, "look %d", look)
				w.clock.Step(result.RequeueAfter)
			}
			assert.Equal(t, w.calls(ec2.ActionCreate), 0)
		})
	}
}
