/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// TestASwingGathersAPool: a minimum that is spread over two ENIs moves to the first one
// by what a load takes beyond it, and gives back.
func TestASwingGathersAPool(t *testing.T) {
	spread := func(first, second int) *fixture {
		return newFixture().bounds(8, 0, 20).eni(1, 1, first).eni(2, 1, second).
			entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).entry(2, v1alpha1.ModeShared, v1alpha1.PoolENIActive)
	}
	idleFor := func(f *fixture) { since := ago(time.Hour); f.pool.Status.SurplusSince = &since }

	rises := spread(4, 4).claimsNamed("a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
	assert.DeepEqual(t, plan(rises.observation).counts, map[string]int32{eniName(1): 6})
	falls := spread(6, 4).change(idleFor)
	assert.DeepEqual(t, plan(falls.observation).releases, map[string][]v1alpha1.AddressOrPrefix{eniName(2): {"10.0.2.3", "10.0.2.4"}})
	gathered := spread(8, 0).change(idleFor)
	assert.DeepEqual(t, plan(gathered.observation).removals, []string{eniName(2)})
}

// A surplus that nothing can be given back of must not be begun with: its end
// would begin it anew, and each beginning is a write.
func TestSurplusBeginsOnlyWithSomethingToGiveBack(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	shared := func(unit v1alpha1.AddressType, minimum int32) v1alpha1.ENITemplate {
		return v1alpha1.ENITemplate{Shared: &v1alpha1.SharedBounds{AddressType: unit, MinimumIPs: minimum, MaximumIPs: 64}}
	}
	prefixes := []v1alpha1.Prefix{"10.0.1.16/28", "10.0.1.32/28"}
	for name, c := range map[string]struct {
		template v1alpha1.ENITemplate
		spec     v1alpha1.ElasticNetworkInterfaceSpec
		status   v1alpha1.ElasticNetworkInterfaceStatus
		entry    v1alpha1.PoolENI
		begins   bool
	}{
		"an address more than wanted": {
			template: shared(v1alpha1.AddressTypeIPv4, 1),
			spec:     v1alpha1.ElasticNetworkInterfaceSpec{Mode: v1alpha1.ModeShared, AddressCount: 2},
			status:   v1alpha1.ElasticNetworkInterfaceStatus{Addresses: []v1alpha1.Address{"10.0.1.5", "10.0.1.6"}},
			begins:   true,
		},
		"an ENI with prefixes more than wanted": {
			template: shared(v1alpha1.AddressTypeIPv4Prefix, 0),
			spec:     v1alpha1.ElasticNetworkInterfaceSpec{Mode: v1alpha1.ModeShared, PrefixCount: 2},
			status:   v1alpha1.ElasticNetworkInterfaceStatus{Prefixes: prefixes},
			begins:   true,
		},
		"one of an ENI's prefixes more than wanted": {
			template: shared(v1alpha1.AddressTypeIPv4Prefix, 16),
			spec:     v1alpha1.ElasticNetworkInterfaceSpec{Mode: v1alpha1.ModeShared, PrefixCount: 2},
			status:   v1alpha1.ElasticNetworkInterfaceStatus{Prefixes: prefixes},
			begins:   true,
		},
		"less than a prefix more than wanted": {
			template: shared(v1alpha1.AddressTypeIPv4Prefix, 17),
			spec:     v1alpha1.ElasticNetworkInterfaceSpec{Mode: v1alpha1.ModeShared, PrefixCount: 2},
			status:   v1alpha1.ElasticNetworkInterfaceStatus{Prefixes: prefixes},
		},
		"an exclusive ENI more than wanted": {
			template: v1alpha1.ENITemplate{Exclusive: &v1alpha1.ExclusiveBounds{Maximum: 1}},
			spec:     v1alpha1.ElasticNetworkInterfaceSpec{Mode: v1alpha1.ModeExclusive},
			begins:   true,
		},
		"an exclusive ENI that rests more than wanted": {
			template: v1alpha1.ENITemplate{Exclusive: &v1alpha1.ExclusiveBounds{Maximum: 1}},
			spec:     v1alpha1.ElasticNetworkInterfaceSpec{Mode: v1alpha1.ModeExclusive},
			entry:    v1alpha1.PoolENI{CoolingSince: &metav1.Time{Time: now}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			const eni, uid = "i-0123456789abcdef0-1", types.UID("pool")
			c.entry.Name, c.entry.Mode, c.entry.State = eni, c.spec.Mode, v1alpha1.PoolENIActive
			c.status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
			pool := &v1alpha1.ENIPool{
				ObjectMeta: metav1.ObjectMeta{Name: "node", UID: uid},
				Spec:       v1alpha1.ENIPoolSpec{NodeName: "node", InstanceID: "i-0123456789abcdef0", PolicyName: "policy", ENITemplate: c.template},
				Status:     v1alpha1.ENIPoolStatus{PoolUID: uid, ENIs: []v1alpha1.PoolENI{c.entry}},
			}
			decided := plan(observation{
				pool: pool, now: now, idleAfter: time.Minute, restFor: time.Minute,
				enis:   []v1alpha1.ElasticNetworkInterface{{ObjectMeta: metav1.ObjectMeta{Name: eni}, Spec: c.spec, Status: c.status}},
				limits: limits{known: true, slots: 3, addressSlots: 14, nitro: true},
			})
			assert.Equal(t, decided.status.SurplusSince != nil, c.begins)
		})
	}
}
