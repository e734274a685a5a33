/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"testing"

	"gotest.tools/v3/assert"
	"k8s.io/utils/ptr"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// primary lets the pool use so many slots of the primary ENI.
func (f *fixture) withPrimary(room int32) *fixture {
	f.lowestSlot, f.primary = 0, primary{known: true, usable: true, room: room}
	return f
}

// primaryENI adds the ready resource that stands for the primary ENI.
func (f *fixture) primaryENI(count int) *fixture {
	return f.eni(0, 1, count).last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.DeviceIndex = ptr.To[int32](0) })
}

// TestPrimaryGrowth: the primary ENI's free slots are used before a new ENI is made.
func TestPrimaryGrowth(t *testing.T) {
	for name, test := range map[string]struct {
		of      *fixture
		creates []newENI
		counts  map[string]int32
	}{
		"its free slots come first": {
			of: newFixture().bounds(9, 0, 20).withPrimary(7),
			creates: []newENI{
				{name: eniName(0), mode: v1alpha1.ModeShared, count: 7, primary: true},
				{name: eniName(1), mode: v1alpha1.ModeShared, count: 2},
			},
		},
		"it takes no slot of an ENI": {
			of:      newFixture().bounds(4, 0, 20).limit(0, 9).withPrimary(9),
			creates: []newENI{{name: eniName(0), mode: v1alpha1.ModeShared, count: 4, primary: true}},
		},
		"others have taken all of it": {
			of:      newFixture().bounds(4, 0, 20).withPrimary(0),
			creates: []newENI{{name: eniName(1), mode: v1alpha1.ModeShared, count: 4}},
		},
		"it is not where the policy wants its ENIs": {
			of:      newFixture().bounds(4, 0, 20).withPrimary(9).change(func(f *fixture) { f.primary.usable = false }),
			creates: []newENI{{name: eniName(1), mode: v1alpha1.ModeShared, count: 4}},
		},
		"the ENIs there are come before it": {
			of:     newFixture().bounds(6, 0, 20).withPrimary(9).eni(1, 1, 4),
			counts: map[string]int32{eniName(1): 6},
		},
		"it grows like any other": {
			of:     newFixture().bounds(6, 0, 20).withPrimary(9).primaryENI(4),
			counts: map[string]int32{eniName(0): 6},
		},
		"and beside the others, up to its room": {
			of:     newFixture().bounds(14, 0, 20).withPrimary(5).primaryENI(4).eni(1, 1, 4),
			counts: map[string]int32{eniName(0): 5, eniName(1): 9},
		},
		"others took slots that it waited for": {
			of: newFixture().bounds(6, 0, 20).withPrimary(4).primaryENI(4).last(func(eni *v1alpha1.ElasticNetworkInterface) {
				eni.Spec.AddressCount = 6
			}),
			counts:  map[string]int32{eniName(0): 4},
			creates: []newENI{{name: eniName(1), mode: v1alpha1.ModeShared, count: 2}},
		},
		"exclusive ENIs are never the primary one": {
			of:      newFixture().bounds(0, 0, 20).exclusive(1, 0, 1).withPrimary(9),
			creates: []newENI{{name: eniName(1), mode: v1alpha1.ModeExclusive}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := plan(test.of.observation)
			assert.Equal(t, len(d.creates), len(test.creates), "%+v", d.creates)
			for i := range d.creates {
				assert.Equal(t, d.creates[i], test.creates[i])
			}
			if test.counts == nil {
				test.counts = map[string]int32{}
			}
			assert.DeepEqual(t, d.counts, test.counts)
		})
	}
}

// TestPrimaryIsGivenUp: a policy that leaves the primary ENI alone again drains it.
func TestPrimaryIsGivenUp(t *testing.T) {
	f := newFixture().bounds(4, 0, 20).withPrimary(9).primaryENI(4).entry(0, v1alpha1.ModeShared, v1alpha1.PoolENIActive).holds(0, map[string]int{"a": 1})
	f.primary.usable = false
	d := plan(f.observation)
	assert.Equal(t, d.status.ENIs[0].State, v1alpha1.PoolENIDraining)
	assert.Equal(t, len(d.creates), 1, "the rest of the minimum comes from a new ENI")
	assert.Assert(t, !d.creates[0].primary)
}

// TestPrimaryResource: nothing of the primary ENI but its addresses is in the spec.
func TestPrimaryResource(t *testing.T) {
	f := newFixture().bounds(4, 0, 20).withPrimary(9)
	f.pool.Spec.Tags = map[string]v1alpha1.TagValue{"team": "payments"}
	f.network.securityGroups = []string{"sg-1"}
	eni := buildENI(f.observation, newENI{name: eniName(0), mode: v1alpha1.ModeShared, count: 4, primary: true})
	assert.Assert(t, eni.Primary())
	assert.Equal(t, eni.Spec.AddressCount, int32(4))
	assert.Assert(t, eni.Spec.Tags == nil && eni.Spec.SecurityGroupIDs == nil && eni.Spec.SubnetIDs == nil && eni.Spec.MinDeviceIndex == nil)
}

// TestPrimaryUsable: the primary ENI's groups and subnet cannot be changed.
func TestPrimaryUsable(t *testing.T) {
	eni := ec2.NetworkInterface{ID: "eni-0", SubnetID: subnetA, SecurityGroups: []string{"sg-1", "sg-2"}, Addresses: []string{"10.0.0.9"}}
	for name, test := range map[string]struct {
		change func(f *fixture)
		want   bool
	}{
		"the policy names no groups":   {func(*fixture) {}, true},
		"the policy names its groups":  {func(f *fixture) { f.network.securityGroups = []string{"sg-1", "sg-2"} }, true},
		"the policy names others":      {func(f *fixture) { f.network.securityGroups = []string{"sg-1"} }, false},
		"the policy has other subnets": {func(f *fixture) { f.network.subnetIDs = []string{subnetB} }, false},
		"the policy leaves it alone":   {func(f *fixture) { f.lowestSlot = 1 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture().withPrimary(0)
			test.change(f)
			f.observePrimary(eni)
			assert.Equal(t, f.primary, primary{known: true, usable: test.want, room: 8})
		})
	}
}

// TestAHiccupDoesNotDrainThePrimary: what could not be read is not out of place.
func TestAHiccupDoesNotDrainThePrimary(t *testing.T) {
	f := newFixture().bounds(4, 0, 20).withPrimary(9).primaryENI(4).entry(0, v1alpha1.ModeShared, v1alpha1.PoolENIActive)
	f.primary = primary{}
	f.trouble(v1alpha1.ConditionNetworkResolved, v1alpha1.ReasonThrottled, "as EC2 answered")
	f.limits.known = false
	d := plan(f.observation)
	assert.Equal(t, d.status.ENIs[0].State, v1alpha1.PoolENIActive)
	assert.Equal(t, len(d.removals), 0)
}

// TestAnotherResourceForThePrimary: the pool leaves it alone.
func TestAnotherResourceForThePrimary(t *testing.T) {
	f := newFixture().bounds(4, 0, 20).withPrimary(0)
	f.primary.taken = true
	f.observePrimary(ec2.NetworkInterface{ID: "eni-0", SubnetID: subnetA})
	assert.Assert(t, !f.primary.usable)
}
