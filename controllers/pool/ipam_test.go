/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"fmt"
	"hash/fnv"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ipam"
)

// hostile is a plugin that breaks its contract wherever it can.
type hostile struct{}

func init() { ipam.Register(hostile{}) }

// noise is any number for a question, but always the same.
func noise(question ...any) int {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, question...)
	return int(h.Sum32() >> 1)
}

func (hostile) Name() string { return "hostile" }

func (hostile) Size(b ipam.Bounds, d ipam.Demand) ipam.Size {
	return ipam.Size{Minimum: int32(noise(b, d, 1)%4000 - 1000), Desired: int32(noise(b, d, 2)) * int32(noise(b, d, 3)%3-1)}
}

// AllocateIP also writes the address that EC2 hands out first, and that is held most
// of the time, into what it is shown.
func (hostile) AllocateIP(claim v1alpha1.ClaimReference, free []ipam.Candidate) (int, bool) {
	index := noise(claim, free)%(len(free)+4) - 2
	for i := range free {
		free[i].Address = address(9, 1)
	}
	return index, true
}

func (hostile) ReleaseIP(c ipam.Candidate) ipam.Disposition { return ipam.Disposition(noise(c) % 3) }

// plugin lets the policy name a plugin.
func (f *fixture) plugin(name string) *fixture {
	return f.change(func(f *fixture) { f.pool.Spec.IPAM = name })
}

func TestAWSPlugin(t *testing.T) {
	long := ago(time.Hour)
	idleForLong := func(f *fixture) { f.pool.Status.SurplusSince = &long }
	for _, row := range []struct {
		name    string
		of      *fixture
		actions string
		holding string
		record  string
	}{
		{"nothing is kept warm, whatever the bounds", newFixture().bounds(4, 8, 20), "", "", ""},
		{"the pool grows by what is pending", newFixture().bounds(4, 8, 20).claimsNamed("a", "b", "c"), "+-1 Shared 3", "", ""},
		{"what comes is for those who wait", newFixture().bounds(0, 8, 20).claimsNamed("a", "b").eni(1, 1, 2), "", "a:10.0.1.1 b:10.0.1.2", ""},
		{"what is held is no room for others", newFixture().bounds(0, 0, 20).eni(1, 1, 1).holds(1, map[string]int{"x": 1}).claimsNamed("a"),
			"-1=2", "x:10.0.1.1", ""},
		{"what rests serves nobody", newFixture().bounds(0, 0, 20).eni(1, 1, 1).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			record(1, 1, v1alpha1.HolderCooling, "x", time.Second).claimsNamed("a"), "-1=2", "", "10.0.1.1 Cooling"},
		{"what has rested goes back, though somebody waits", newFixture().bounds(0, 0, 20).eni(1, 1, 1).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			record(1, 1, v1alpha1.HolderCooling, "x", 30*time.Second).claimsNamed("a"), "-1=0; -1-[10.0.1.1]", "", "10.0.1.1 Releasing"},
		{"one of a prefix stays", newFixture().bounds(0, 0, 20).prefixENI(1, 1).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			record(1, 1, v1alpha1.HolderCooling, "x", 30*time.Second).holds(1, map[string]int{"a": 2}), "", "a:10.0.1.2", ""},
		{"never above the maximum", newFixture().bounds(0, 0, 2).claimsNamed("a", "b", "c"), "+-1 Shared 2", "", ""},
		{"an empty ENI goes when it has been idle", newFixture().bounds(0, 0, 20).eni(1, 1, 0).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			change(idleForLong), "x-1", "", "-1 Releasing"},
		{"but not while it is to be filled", newFixture().bounds(0, 0, 20).eni(1, 1, 0).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			change(idleForLong).claimsNamed("a"), "-1=1", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := plan(row.of.plugin(ipam.AWS).observation)
			assert.Equal(t, actions(d), row.actions)
			assert.Equal(t, holding(d), row.holding)
			assert.Equal(t, record(d), row.record)
		})
	}
}

// TestAWSPoolIsReadyWithNothing: a minimum that does not apply keeps no node waiting.
func TestAWSPoolIsReadyWithNothing(t *testing.T) {
	for _, f := range []*fixture{newFixture().bounds(4, 8, 20), newFixture().bounds(4, 8, 20).claimsNamed("a", "b")} {
		d := plan(f.plugin(ipam.AWS).observation)
		assert.Assert(t, isTrue(d.status.Conditions, v1alpha1.ConditionReady))
	}
}

func TestUnknownPluginIsShared(t *testing.T) {
	d := plan(newFixture().bounds(4, 0, 20).plugin("of-a-newer-release").observation)
	assert.Equal(t, actions(d), "+-1 Shared 4")
}
