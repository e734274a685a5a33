/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// actions tells in one line what a decision does to ENIs: "+" makes one, "=" is a
// new size, "-[…]" a release by name, "x" a removal.
func actions(d decision) string {
	var out []string
	for _, n := range d.creates {
		out = append(out, fmt.Sprintf("+%s %s %d", short(n.name), n.mode, n.count))
	}
	for _, name := range slices.Sorted(maps.Keys(d.counts)) {
		out = append(out, fmt.Sprintf("%s=%d", short(name), d.counts[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(d.releases)) {
		out = append(out, fmt.Sprintf("%s-%v", short(name), d.releases[name]))
	}
	for _, name := range d.removals {
		out = append(out, "x"+short(name))
	}
	return strings.Join(out, "; ")
}

// holding tells in one line who holds what by a decision.
func holding(d decision) string {
	var out []string
	for _, entry := range d.status.Addresses {
		if entry.State == v1alpha1.HolderAllocated {
			out = append(out, fmt.Sprintf("%s:%s", entry.Claim.Name, entry.Address))
		}
	}
	for _, entry := range d.status.ENIs {
		if entry.Claim != nil {
			out = append(out, fmt.Sprintf("%s:%s", entry.Claim.Name, short(entry.Name)))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// record tells in one line what a decision's record says: of ENIs that are not
// simply active, and of addresses that are not simply held.
func record(d decision) string {
	var out []string
	for _, entry := range d.status.ENIs {
		if entry.State != v1alpha1.PoolENIActive {
			out = append(out, fmt.Sprintf("%s %s", short(entry.Name), entry.State))
		}
		if entry.CoolingSince != nil {
			out = append(out, short(entry.Name)+" Cooling")
		}
	}
	for _, entry := range d.status.Addresses {
		if entry.State != v1alpha1.HolderAllocated {
			out = append(out, fmt.Sprintf("%s %s", entry.Address, entry.State))
		}
	}
	return strings.Join(out, "; ")
}

func TestGrowth(t *testing.T) {
	creating := func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Status = v1alpha1.ElasticNetworkInterfaceStatus{}
	}
	for _, row := range []struct {
		name string
		of   *fixture
		want string
	}{
		{"an empty pool takes its minimum", newFixture().bounds(5, 0, 20), "+-1 Shared 5"},
		{"warm addresses come on top of demand", newFixture().bounds(0, 3, 20).claimsNamed("a", "b"), "+-1 Shared 5"},
		{"warm addresses count within the minimum", newFixture().bounds(6, 3, 20).claimsNamed("a", "b"), "+-1 Shared 6"},
		{"never above the maximum", newFixture().bounds(0, 8, 4).claimsNamed("a", "b"), "+-1 Shared 4"},
		{"one ENI holds so many, the next one the rest", newFixture().bounds(12, 0, 20), "+-1 Shared 9; +-2 Shared 3"},
		{"an ENI there is is filled before another is made", newFixture().bounds(12, 0, 20).eni(1, 1, 5), "+-2 Shared 3; -1=9"},
		{"an ENI there is is filled only as far as wanted", newFixture().bounds(7, 0, 20).eni(1, 1, 5), "-1=7"},
		{"ENIs are filled in the order of their names", newFixture().bounds(12, 0, 20).eni(2, 1, 5).eni(1, 1, 5), "-1=7"},
		{"what an ENI will hold is supply before it exists", newFixture().bounds(5, 0, 20).eni(1, 1, 5).last(creating), ""},
		{"what is being assigned is supply", newFixture().bounds(7, 0, 20).eni(1, 1, 5).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.AddressCount = 7 }), ""},
		{"a burst that is under way is not asked for again", newFixture().bounds(0, 0, 20).claimsNamed("a", "b", "c").eni(1, 1, 3).last(creating), ""},
		{"a burst that grows asks for the difference", newFixture().bounds(0, 0, 20).claimsNamed("a", "b", "c").eni(1, 1, 2).last(creating), "-1=3"},
		{"a name in use is not taken again", newFixture().bounds(9, 0, 20).eni(1, 1, 2).last(unready("Creating", false)).exclusiveENI(2).
			exclusive(0, 0, 2).limit(4, 4).bounds(8, 0, 20), "+-3 Shared 4; -1=4"},
		{"a name that another's ENI has is left to it", newFixture().bounds(2, 0, 20).
			change(func(f *fixture) { f.otherNames = map[string]bool{eniName(1): true} }), "+-2 Shared 2"},
		{"names begin at the lowest slot", newFixture().bounds(2, 0, 20).change(func(f *fixture) { f.lowestSlot = 2 }), "+-2 Shared 2"},
		{"slots of others are not taken", newFixture().bounds(12, 0, 20).change(func(f *fixture) { f.otherENIs = 1 }), "+-1 Shared 9"},
		{"nothing grows before EC2 told the limits", newFixture().bounds(5, 0, 20).change(func(f *fixture) { f.limits = limits{} }), ""},
		{"nothing grows without a policy", newFixture().bounds(5, 0, 20).change(func(f *fixture) { f.pool.Spec.PolicyName = "" }), ""},

		{"the exclusive minimum first, then the shared one", newFixture().bounds(12, 0, 20).exclusive(1, 0, 2), "+-1 Exclusive 0; +-2 Shared 9"},
		{"the shared minimum before exclusive demand", newFixture().bounds(1, 0, 20).exclusive(1, 2, 2).limit(2, 9),
			"+-1 Exclusive 0; +-2 Shared 1"},
		{"exclusive demand before shared demand", newFixture().bounds(1, 10, 20).exclusive(1, 2, 2).limit(3, 9),
			"+-1 Exclusive 0; +-2 Shared 9; +-3 Exclusive 0"},
		{"each exclusive claim that waits wants an ENI, within the maximum", newFixture().bounds(0, 0, 20).exclusive(0, 0, 2).limit(4, 9).
			claim("a", 3*time.Minute, wantsENI).claim("b", 2*time.Minute, wantsENI).claim("c", time.Minute, wantsENI), "+-1 Exclusive 0; +-2 Exclusive 0"},
		{"a held ENI on its way out counts within the exclusive maximum", newFixture().bounds(0, 0, 20).exclusive(0, 1, 1).exclusiveENI(1).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.SubnetID = subnetB }).
			entry(1, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, heldBy1("a")).claim("a", time.Hour, wantsENI, inPhase(v1alpha1.ClaimBound)), ""},
		{"held addresses on their way out count within the maximum", newFixture().bounds(0, 9, 9).eni(1, 1, 9).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.SubnetID = subnetB }).holds(1, map[string]int{"a": 1, "b": 2}), "+-2 Shared 7"},

		{"prefixes: the minimum rounds up", newFixture().bounds(17, 0, 64).prefixes(), "+-1 Shared 2"},
		{"prefixes: the maximum rounds down", newFixture().bounds(0, 40, 47).prefixes(), "+-1 Shared 2"},
		{"prefixes: ENIs of prefixes are filled", newFixture().bounds(33, 0, 64).prefixes().prefixENI(1, 1), "-1=3"},
		{"prefixes: ENIs of addresses are not", newFixture().bounds(16, 0, 64).prefixes().eni(1, 1, 4), "+-2 Shared 1"},
		{"prefixes: never above the maximum, though what is held of an ENI on its way out is no whole prefix",
			newFixture().bounds(0, 40, 48).prefixes().prefixENI(1, 1).holds(1, map[string]int{"a": 1}).
				last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.SubnetID = subnetB }), "+-2 Shared 2"},
		{"prefixes: not on instance types without Nitro", newFixture().bounds(16, 0, 64).prefixes().
			change(func(f *fixture) { f.limits.nitro = false }), ""},

		{"an ENI that gives back is filled afterwards, and no other in its place", newFixture().bounds(5, 0, 20).eni(1, 1, 5).
			entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).record(1, 3, v1alpha1.HolderReleasing, "", 0), "-1=4; -1-[10.0.1.3]"},
		{"an ENI that was told to release is not told again", newFixture().bounds(5, 0, 20).eni(1, 1, 5).
			last(func(eni *v1alpha1.ElasticNetworkInterface) {
				eni.Spec.AddressCount, eni.Spec.Release = 4, []v1alpha1.AddressOrPrefix{"10.0.1.3"}
			}).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).record(1, 3, v1alpha1.HolderReleasing, "", 0), ""},
		{"an ENI that gave back is filled again", newFixture().bounds(5, 0, 20).eni(1, 1, 4).
			last(func(eni *v1alpha1.ElasticNetworkInterface) {
				eni.Spec.Release = []v1alpha1.AddressOrPrefix{"10.0.1.9"}
			}).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).record(1, 9, v1alpha1.HolderReleasing, "", 0), "-1=5"},
		{"an ENI that gives back takes nothing meanwhile", newFixture().bounds(0, 0, 20).eni(1, 1, 5).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.AddressCount = 8 }).
			entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).record(1, 3, v1alpha1.HolderReleasing, "", 0), "-1=4; -1-[10.0.1.3]"},
	} {
		t.Run(row.name, func(t *testing.T) {
			assert.Equal(t, actions(plan(row.of.observation)), row.want)
		})
	}
}

func TestAllocation(t *testing.T) {
	released := func(last int) func(*v1alpha1.ElasticNetworkInterface) {
		return func(eni *v1alpha1.ElasticNetworkInterface) {
			eni.Spec.Release = []v1alpha1.AddressOrPrefix{v1alpha1.AddressOrPrefix(address(1, last))}
		}
	}
	for _, row := range []struct {
		name string
		of   *fixture
		want string
	}{
		{"the first free address", newFixture().eni(1, 4, 3).claimsNamed("a"), "a:10.0.1.4"},
		{"the oldest claim first", newFixture().eni(1, 1, 1).claim("young", time.Minute).claim("old", time.Hour), "old:10.0.1.1"},
		{"of two claims of the same second the first by name", newFixture().eni(1, 1, 1).claim("b", time.Hour).claim("a", time.Hour), "a:10.0.1.1"},
		{"the fullest ENI first", newFixture().eni(1, 1, 3).eni(2, 1, 3).holds(2, map[string]int{"x": 2}).claimsNamed("a"),
			"a:10.0.2.1 x:10.0.2.2"},
		{"the next ENI when the fullest has no more", newFixture().eni(1, 1, 3).eni(2, 1, 2).holds(2, map[string]int{"x": 2}).claimsNamed("a", "b"),
			"a:10.0.2.1 b:10.0.1.1 x:10.0.2.2"},
		{"all that wait at once, of both modes", newFixture().exclusive(0, 0, 1).eni(1, 1, 2).exclusiveENI(2).
			claimsNamed("a", "b").claim("c", time.Second, wantsENI), "a:10.0.1.1 b:10.0.1.2 c:-2"},
		{"a claim that holds keeps what it has", newFixture().eni(1, 1, 3).holds(1, map[string]int{"x": 2}), "x:10.0.1.2"},
		{"an address of a prefix", newFixture().bounds(16, 0, 64).prefixes().prefixENI(1, 1).claimsNamed("a"), "a:10.0.1.0"},

		{"a chosen address that is free", newFixture().eni(1, 1, 3).claim("a", 0, wants("10.0.1.2")), "a:10.0.1.2"},
		{"a chosen address, though its ENI is not the fullest", newFixture().eni(1, 1, 3).eni(2, 1, 3).holds(2, map[string]int{"x": 2}).
			claim("a", 0, wants("10.0.1.2")), "a:10.0.1.2 x:10.0.2.2"},
		{"a chosen address that is held", newFixture().eni(1, 1, 3).holds(1, map[string]int{"x": 2}).claim("a", 0, wants("10.0.1.2")), "x:10.0.1.2"},
		{"a chosen address that rests", newFixture().eni(1, 1, 3).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			record(1, 2, v1alpha1.HolderCooling, "x", time.Second).claim("a", 0, wants("10.0.1.2")), ""},
		{"a chosen address that is on its way back", newFixture().eni(1, 1, 3).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			record(1, 2, v1alpha1.HolderReleasing, "", 0).claim("a", 0, wants("10.0.1.2")), ""},
		{"a chosen address outside", newFixture().eni(1, 1, 3).claim("a", 0, wants("10.0.7.7")), ""},

		{"not an address that the ENI is told to release", newFixture().eni(1, 1, 2).last(released(1)).claimsNamed("a"), "a:10.0.1.2"},
		{"not by a copy of the ENI from before the last release", newFixture().eni(1, 1, 2).
			entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive, func(e *v1alpha1.PoolENI) { e.Generation = 2 }).claimsNamed("a"), ""},
		{"not by an older status that was restored", newFixture().eni(1, 1, 2).last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Generation = 2 }).
			entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive, func(e *v1alpha1.PoolENI) { e.Generation = 2 }).claimsNamed("a"), ""},
		{"not by the status of an earlier resource of the name", newFixture().eni(1, 1, 2).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.ResourceUID = "earlier" }).
			entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive, func(e *v1alpha1.PoolENI) { e.Generation = 1 }).claimsNamed("a"), ""},
		{"by the copy of the last release", newFixture().eni(1, 1, 2).
			entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive, func(e *v1alpha1.PoolENI) { e.Generation = 1 }).claimsNamed("a"), "a:10.0.1.1"},
		{"not of an ENI that is not attached", newFixture().eni(1, 1, 2).last(unready("Attaching", false)).claimsNamed("a"), ""},
		{"of an ENI that waits for more addresses", newFixture().eni(1, 1, 2).last(unready("SubnetExhausted", true)).claimsNamed("a"), "a:10.0.1.1"},
		{"not of an ENI whose subnet's CIDR is not known", newFixture().eni(1, 1, 2).last(unready("InProgress", true)).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.SubnetCIDR = "" }).claimsNamed("a"), ""},
		{"not of an ENI in a subnet outside the policy", newFixture().eni(1, 1, 2).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.SubnetID = subnetB }).claimsNamed("a"), ""},
		{"not of an ENI that is being deleted", newFixture().eni(1, 1, 2).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.DeletionTimestamp = &metav1.Time{Time: start} }).claimsNamed("a"), ""},
		{"not of an ENI that is drained", newFixture().eni(1, 1, 2).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Drained = true }).claimsNamed("a"), ""},

		{"not to a claim without our finalizer", newFixture().eni(1, 1, 2).
			claim("a", 0, func(claim *v1alpha1.ENIClaim) { claim.Finalizers = nil }), ""},
		{"not to a claim that is being deleted", newFixture().eni(1, 1, 2).claim("a", 0, deleting), ""},
		{"not to a claim of a namespace that may not", newFixture().eni(1, 1, 2).
			claim("a", 0, func(claim *v1alpha1.ENIClaim) { claim.Namespace = "secret" }), ""},
		{"not in a mode that is not offered", newFixture().exclusiveENI(1).claim("a", 0, wantsENI), ""},
		{"not to a claim that lost what it held", newFixture().eni(1, 1, 2).claim("a", 0, inPhase(v1alpha1.ClaimLost)), ""},
		{"not to a claim that expired", newFixture().eni(1, 1, 2).claim("a", 0, inPhase(v1alpha1.ClaimExpired)), ""},
		{"not another address to a claim that was bound to one", newFixture().eni(1, 1, 2).claim("a", 0, boundTo(3, "10.0.3.9")), ""},
		{"not without a policy", newFixture().eni(1, 1, 2).claimsNamed("a").change(func(f *fixture) { f.pool.Spec.PolicyName = "" }), ""},
		{"not of a pool that is being deleted", newFixture().eni(1, 1, 2).claimsNamed("a").
			change(func(f *fixture) { f.pool.DeletionTimestamp = &metav1.Time{Time: start} }), ""},

		{"an exclusive ENI that is ready", newFixture().exclusive(0, 0, 2).exclusiveENI(1).claim("a", 0, wantsENI), "a:-1"},
		{"an exclusive ENI to the oldest", newFixture().exclusive(0, 0, 2).exclusiveENI(1).claim("a", 0, wantsENI).claim("b", time.Hour, wantsENI), "b:-1"},
		{"not an exclusive ENI that is held", newFixture().exclusive(0, 0, 2).exclusiveENI(1).
			entry(1, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, heldBy1("x")).claim("x", time.Hour, wantsENI, inPhase(v1alpha1.ClaimBound)).
			claim("a", 0, wantsENI), "x:-1"},
		{"not an exclusive ENI that rests", newFixture().exclusive(0, 0, 2).exclusiveENI(1).
			entry(1, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, coolingFor(29*time.Second)).claim("a", 0, wantsENI), ""},
		{"an exclusive ENI that has rested", newFixture().exclusive(0, 0, 2).exclusiveENI(1).
			entry(1, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, coolingFor(30*time.Second)).claim("a", 0, wantsENI), "a:-1"},
		{"not an exclusive ENI that is not ready", newFixture().exclusive(0, 0, 2).exclusiveENI(1).last(unready("Assigning", true)).
			claim("a", 0, wantsENI), ""},
		{"no address of an exclusive ENI", newFixture().exclusive(0, 0, 2).exclusiveENI(1).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.Addresses = addresses(1, 1, 1) }).claimsNamed("a"), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			assert.Equal(t, holding(plan(row.of.observation)), row.want)
		})
	}
}

func TestRelease(t *testing.T) {
	held := func() *fixture {
		return newFixture().bounds(0, 8, 20).eni(1, 1, 8).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive)
	}
	for _, row := range []struct {
		name    string
		of      *fixture
		held    string
		want    string
		recheck time.Duration
	}{
		{"a deleted claim keeps its address until its status shows none", held().record(1, 2, v1alpha1.HolderAllocated, "a", time.Hour).
			claim("a", time.Hour, boundTo(1, "10.0.1.2"), deleting), "a:10.0.1.2", "", 0},
		{"then the address rests", held().record(1, 2, v1alpha1.HolderAllocated, "a", time.Hour).claim("a", time.Hour, deleting),
			"", "10.0.1.2 Cooling", 30 * time.Second},
		{"a claim that vanished frees its address", held().record(1, 2, v1alpha1.HolderAllocated, "a", time.Hour).
			change(func(f *fixture) { f.vanished["a"] = true }), "", "10.0.1.2 Cooling", 30 * time.Second},
		{"a claim that the cache does not show does not", held().record(1, 2, v1alpha1.HolderAllocated, "a", time.Hour), "a:10.0.1.2", "", 0},
		{"a claim of the same name and another UID does not inherit", held().record(1, 2, v1alpha1.HolderAllocated, "a-before", time.Hour).
			change(func(f *fixture) { f.vanished["a-before"] = true }).claim("a", 0), "a:10.0.1.1", "10.0.1.2 Cooling", 30 * time.Second},
		{"an address rests for the cooldown", held().record(1, 2, v1alpha1.HolderCooling, "a", 29*time.Second), "", "10.0.1.2 Cooling", time.Second},
		{"and is free at its end exactly", held().record(1, 2, v1alpha1.HolderCooling, "a", 30*time.Second), "", "", 0},
		{"the policy's cooldown counts", held().record(1, 2, v1alpha1.HolderCooling, "a", 59*time.Second).
			change(func(f *fixture) { f.pool.Spec.Shared.Cooldown = &metav1.Duration{Duration: time.Minute} }),
			"", "10.0.1.2 Cooling", time.Second},
		{"a rest is not cut short by the record's full seconds", held().record(1, 2, v1alpha1.HolderAllocated, "a", time.Hour).
			claim("a", time.Hour, deleting).change(func(f *fixture) { f.now = start.Add(900 * time.Millisecond) }),
			"", "10.0.1.2 Cooling", 30*time.Second + 100*time.Millisecond},
		{"an exclusive ENI rests too", newFixture().exclusive(0, 1, 1).exclusiveENI(1).
			entry(1, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, heldBy1("a")).claim("a", time.Hour, wantsENI, deleting),
			"", "-1 Cooling", 30 * time.Second},
		{"an exclusive claim keeps its ENI until its status shows none", newFixture().exclusive(0, 0, 1).exclusiveENI(1).
			entry(1, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, heldBy1("a")).claim("a", time.Hour, wantsENI, boundTo(1, "10.0.1.250"), deleting),
			"a:-1", "", 0},
		{"a node that is gone takes everything with it", held().record(1, 2, v1alpha1.HolderAllocated, "a", time.Hour).
			record(1, 3, v1alpha1.HolderCooling, "b", 0).claim("a", time.Hour, boundTo(1, "10.0.1.2")).
			change(func(f *fixture) { f.nodeGone = true }), "", "-1 Releasing", 0},
		{"an ENI that is gone takes what nobody holds, but for what rests", newFixture().entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			record(1, 3, v1alpha1.HolderCooling, "b", 0).record(1, 4, v1alpha1.HolderReleasing, "", 0), "", "10.0.1.3 Cooling", 30 * time.Second},
		{"but not what claims hold", newFixture().entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			record(1, 3, v1alpha1.HolderAllocated, "b", 0).claim("b", time.Hour, boundTo(1, "10.0.1.3")), "b:10.0.1.3", "-1 Releasing", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := plan(row.of.observation)
			assert.Equal(t, holding(d), row.held)
			assert.Equal(t, record(d), row.want)
			assert.Equal(t, d.recheck, row.recheck)
		})
	}
}

func TestENIStates(t *testing.T) {
	elsewhere := func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.SubnetID = subnetB }
	deleted := func(eni *v1alpha1.ElasticNetworkInterface) { eni.DeletionTimestamp = &metav1.Time{Time: start} }
	const active, draining, releasing = v1alpha1.PoolENIActive, v1alpha1.PoolENIDraining, v1alpha1.PoolENIReleasing
	one := func(state v1alpha1.PoolENIState) *fixture {
		return newFixture().bounds(4, 0, 20).eni(1, 1, 4).entry(1, v1alpha1.ModeShared, state)
	}
	noPolicy := func(f *fixture) { f.pool.Spec.PolicyName = "" }
	emptyFor := func(slot int, d time.Duration) func(f *fixture) {
		return func(f *fixture) { f.emptyFor = map[string]time.Duration{eniName(slot): d} }
	}
	goneMode := func(f *fixture) { f.pool.Spec.Shared = nil }
	for _, row := range []struct {
		name string
		of   *fixture
		want v1alpha1.PoolENIState
		does string
	}{
		{"in place", one(active), active, ""},
		{"in a subnet outside the policy, with a claim", one(active).last(elsewhere).holds(1, map[string]int{"a": 1}), draining, "+-2 Shared 3"},
		{"in a subnet outside the policy, empty: kept for a while", one(active).last(elsewhere), draining, "+-2 Shared 4"},
		{"in a subnet outside the policy, empty for long enough", one(draining).last(elsewhere).change(emptyFor(1, 10*time.Minute)),
			releasing, "+-2 Shared 4; x-1"},
		{"in a subnet outside the policy, empty, and its slot is needed", one(active).last(elsewhere).limit(1, 9), releasing, "x-1"},
		{"in a subnet outside the policy, while an address rests", one(active).last(elsewhere).record(1, 1, v1alpha1.HolderCooling, "a", time.Second),
			draining, "+-2 Shared 4"},
		{"back in place", one(draining), active, ""},
		{"before its subnet is known", one(active).last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.SubnetID = "" }), active, ""},
		{"deleted by a person while in use", one(active).last(deleted).holds(1, map[string]int{"a": 1}), draining, "+-2 Shared 3"},
		{"deleted by a person, empty: it may be detached", one(active).last(deleted), releasing, "+-2 Shared 4; x-1"},
		{"of a mode that is given up, with a claim", one(active).change(goneMode).holds(1, map[string]int{"a": 1}), draining, ""},
		{"of a mode that is given up, empty: kept for a while", one(active).change(goneMode), draining, ""},
		{"of a mode that is given up, empty for long enough", one(draining).change(goneMode).change(emptyFor(1, 10*time.Minute)), releasing, "x-1"},
		{"without a policy, with a claim", one(active).change(noPolicy).holds(1, map[string]int{"a": 1}), draining, ""},
		{"without a policy, empty: kept for a while", one(active).change(noPolicy), draining, ""},
		{"without a policy, empty for long enough", one(draining).change(noPolicy).change(emptyFor(1, 10*time.Minute)), releasing, "x-1"},
		{"with the policy back in time", one(draining).change(emptyFor(1, 9*time.Minute)), active, ""},
		{"of a pool that is deleted, with a claim: it waits", one(active).holds(1, map[string]int{"a": 1}).
			change(func(f *fixture) { f.pool.DeletionTimestamp = &metav1.Time{Time: start} }), draining, ""},
		{"of a pool that is deleted, empty", one(active).
			change(func(f *fixture) { f.pool.DeletionTimestamp = &metav1.Time{Time: start} }), releasing, "x-1"},
		{"of a node that is gone, with a claim", one(active).holds(1, map[string]int{"a": 1}).
			change(func(f *fixture) { f.nodeGone = true }), releasing, "x-1"},
		{"releasing has no way back", one(releasing), releasing, "+-2 Shared 4; x-1"},
		{"drained by its spec has no way back", one(active).last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Drained = true }),
			releasing, "+-2 Shared 4; x-1"},
		{"drained by a hand while in use: not removed", one(active).last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Drained = true }).
			holds(1, map[string]int{"a": 1}), releasing, "+-2 Shared 3"},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := plan(row.of.observation)
			assert.Equal(t, d.status.ENIs[0].State, row.want)
			assert.Equal(t, actions(d), row.does)
		})
	}
}

// TestOrder: what maps and lists happen to come in does not change a decision.
func TestOrder(t *testing.T) {
	build := func(reverse bool) observation {
		f := newFixture().bounds(12, 4, 40).exclusive(1, 1, 3).limit(6, 9).
			eni(1, 1, 4).eni(2, 1, 4).eni(3, 1, 4).exclusiveENI(4).exclusiveENI(5).
			holds(1, map[string]int{"a": 1}).holds(2, map[string]int{"b": 1}).
			claim("c", time.Minute).claim("d", time.Minute).claim("e", time.Minute, wantsENI).claim("f", time.Minute, wants("10.0.3.4"))
		if reverse {
			slices.Reverse(f.enis)
			slices.Reverse(f.claims)
			slices.Reverse(f.pool.Status.Addresses)
		}
		return f.observation
	}
	want := plan(build(false))
	for range 50 {
		assert.DeepEqual(t, plan(build(true)).status, want.status)
		assert.Equal(t, actions(plan(build(true))), actions(want))
	}
}

// TestObservationIsKept: a plan changes nothing of what was read.
func TestObservationIsKept(t *testing.T) {
	f := newFixture().bounds(2, 0, 20).eni(1, 1, 5).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
		record(1, 2, v1alpha1.HolderAllocated, "a", time.Hour).claim("a", time.Hour, deleting).claimsNamed("b").
		record(1, 4, v1alpha1.HolderQuarantined, "", 0)
	pool, enis := f.pool.DeepCopy(), slices.Clone(f.enis)
	plan(f.observation)
	assert.DeepEqual(t, f.pool, pool)
	assert.DeepEqual(t, f.enis, enis)
}
