/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

func TestUnsettled(t *testing.T) {
	s := newStage(t)
	assert.Equal(t, len(s.Unsettled()), 0, "%v", s.Unsettled())
	s.cloud.ENIs = append(s.cloud.ENIs, emulator.ENIState{ID: "eni-2", Tags: map[string]string{TagClusterUID: "us"}})
	deleted := bound("a", "10.0.0.1")
	deleted.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	s.write(people, "eniclaims", nil, deleted)
	policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "u-p"}}
	policy.Spec.Shared = &v1alpha1.SharedBounds{}
	s.write(people, "enipolicies", nil, policy)
	left := strings.Join(s.Unsettled(), "\n")
	for _, wanted := range []string{"eni-2 carries our tags", "claim shop/a waits for its deletion", "node node has no pool"} {
		assert.Assert(t, strings.Contains(left, wanted), left)
	}
}

// TestNothingIsCollectedWithoutAnyResource: the collector deletes no ENI while Kubernetes
// shows no resource at all, as after a restored etcd, and nobody calls that a leak.
func TestNothingIsCollectedWithoutAnyResource(t *testing.T) {
	s := newStage(t)
	s.cloud.ENIs = append(s.cloud.ENIs, emulator.ENIState{ID: "eni-2", Tags: map[string]string{TagClusterUID: "us"}})
	assert.Assert(t, strings.Contains(strings.Join(s.Unsettled(), "\n"), "eni-2 carries our tags"))
	s.write(operator, "elasticnetworkinterfaces", theENI(), nil)
	assert.Equal(t, len(s.Unsettled()), 0, "%v", s.Unsettled())
}

// TestFullInstance has an instance whose slots are taken, one of them by a shared ENI
// with room: its pool may wait for an exclusive ENI, and not for addresses.
func TestFullInstance(t *testing.T) {
	tests := map[string]struct {
		shared, exclusive int32
		reason            string
		settled           bool
	}{
		"an exclusive ENI lacks":                       {shared: 3, exclusive: 0, reason: v1alpha1.ReasonInstanceFull, settled: true},
		"an exclusive ENI lacks the slot of an orphan": {shared: 3, exclusive: 0, reason: v1alpha1.ReasonOrphanedENIs, settled: true},
		"addresses lack":                               {shared: 2, exclusive: 1, reason: v1alpha1.ReasonInstanceFull, settled: false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.cloud.Instances[0].ENIs, s.cloud.Instances[0].Zone = s.cloud.Instances[0].MostENIs, "z"
			s.cloud.ENIs[0].SubnetID = "subnet-1"
			s.cloud.Subnets = []emulator.SubnetState{{ID: "subnet-1", Zone: "z", Choosable: 50, Tags: map[string]string{"role": "pods"}}}
			shared := theENI()
			shared.Spec.Mode = v1alpha1.ModeShared
			s.write(operator, "elasticnetworkinterfaces", theENI(), shared)
			policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "u-p"}}
			policy.Spec.Shared = &v1alpha1.SharedBounds{MinimumIPs: 3}
			policy.Spec.Exclusive = &v1alpha1.ExclusiveBounds{Minimum: 1}
			s.write(people, "enipolicies", nil, policy)
			pool := &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: "node", UID: "u-pool"}}
			pool.Spec.InstanceID = instance
			pool.Status.Shared = &v1alpha1.SharedStatus{Capacity: test.shared}
			pool.Status.Exclusive = &v1alpha1.ExclusiveStatus{Capacity: test.exclusive}
			pool.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: test.reason}}
			s.write(operator, "enipools", nil, pool)
			left := s.Unsettled()
			assert.Equal(t, len(left) == 0, test.settled, "%v", left)
		})
	}
}

// TestUnrested: what rests, is reserved or is being given back ends, also where a wrong clock
// began it; what is held, or is in doubt, does not.
func TestUnrested(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*v1alpha1.ENIPool)
		rests  string
	}{
		"an address rests":               {change: entered(v1alpha1.HolderCooling), rests: "address 10.0.0.9 of node node is Cooling"},
		"an address is reserved":         {change: entered(v1alpha1.HolderReserved), rests: "address 10.0.0.9 of node node is Reserved"},
		"an address is being given back": {change: entered(v1alpha1.HolderReleasing), rests: "address 10.0.0.9 of node node is Releasing"},
		"an address is held":             {change: entered(v1alpha1.HolderAllocated)},
		"an address is in doubt":         {change: entered(v1alpha1.HolderQuarantined)},
		"an ENI rests": {change: func(pool *v1alpha1.ENIPool) {
			pool.Status.ENIs = []v1alpha1.PoolENI{{Name: "e", CoolingSince: &metav1.Time{Time: time.Now().Add(time.Hour)}}}
		}, rests: "ENI e of node node rests"},
		"the instance is no more": {change: func(pool *v1alpha1.ENIPool) {
			entered(v1alpha1.HolderCooling)(pool)
			pool.Spec.InstanceID = "i-other"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.write(people, "enipolicies", nil, thePolicy())
			pool := thePool()
			test.change(pool)
			s.write(operator, "enipools", nil, pool)
			left := strings.Join(s.Unsettled(), "\n")
			if test.rests != "" {
				assert.Assert(t, strings.Contains(left, test.rests), left)
				return
			}
			assert.Assert(t, !strings.Contains(left, "rests") && !strings.Contains(left, "10.0.0.9"), left)
		})
	}
}

// entered has a pool say of an address in which state it is.
func entered(state v1alpha1.HolderState) func(*v1alpha1.ENIPool) {
	return func(pool *v1alpha1.ENIPool) {
		pool.Status.Addresses = []v1alpha1.PoolAddress{{Address: "10.0.0.9", ENIName: "e", State: state, Since: metav1.Now()}}
	}
}

// TestMistakenENI: a pool's record means one resource, and not whatever has its name.
func TestMistakenENI(t *testing.T) {
	for uid, mistaken := range map[types.UID]bool{"u-eni": false, "": false, "u-earlier": true} {
		s := newStage(t)
		pool := thePool()
		pool.Status.ENIs = []v1alpha1.PoolENI{{Name: "e", UID: uid}, {Name: "gone", UID: "u-gone"}}
		s.write(operator, "enipools", nil, pool)
		left := strings.Join(s.Unsettled(), "\n")
		assert.Equal(t, strings.Contains(left, "ENI e of node node is resource u-eni, and the pool's record means u-earlier"), mistaken, left)
		assert.Assert(t, !strings.Contains(left, "ENI gone"), left)
	}
}
