/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"slices"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// missing says that names of the last ENI vanished in EC2.
func missing(names ...v1alpha1.AddressOrPrefix) func(*v1alpha1.ElasticNetworkInterface) {
	return func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.Missing = names }
}

// TestVanishedAddresses: what claims hold is asked for by name, the rest given up.
func TestVanishedAddresses(t *testing.T) {
	type names = map[string][]v1alpha1.AddressOrPrefix
	for name, test := range map[string]struct {
		of                 *fixture
		reclaims, releases names
	}{
		"a claim holds it": {
			of:       newFixture().eni(1, 1, 4).last(missing("10.0.1.9")).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).holds(1, map[string]int{"a": 9}),
			reclaims: names{eniName(1): {"10.0.1.9"}},
		},
		"a claim holds it, and its ENI is being deleted": {
			of: newFixture().eni(1, 1, 4).last(missing("10.0.1.9")).
				last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.DeletionTimestamp = &metav1.Time{Time: start} }).
				entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).holds(1, map[string]int{"a": 9}),
			reclaims: names{eniName(1): {"10.0.1.9"}},
		},
		"a claim holds an address of the prefix": {
			of: newFixture().prefixes().prefixENI(1, 1).last(missing("10.0.1.32/28")).
				entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).holds(1, map[string]int{"a": 40}),
			reclaims: names{eniName(1): {"10.0.1.32/28"}},
		},
		"nobody holds it": {
			of:       newFixture().eni(1, 1, 4).last(missing("10.0.1.9")).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive),
			releases: names{eniName(1): {"10.0.1.9"}},
		},
		"it rests": {
			of: newFixture().eni(1, 1, 4).last(missing("10.0.1.9")).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
				record(1, 9, v1alpha1.HolderCooling, "a", time.Second),
			releases: names{eniName(1): {"10.0.1.9"}},
		},
		"it is given up already": {
			of: newFixture().eni(1, 1, 4).last(missing("10.0.1.9")).last(func(eni *v1alpha1.ElasticNetworkInterface) {
				eni.Spec.Release = []v1alpha1.AddressOrPrefix{"10.0.1.9"}
			}).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive),
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := plan(test.of.observation)
			if test.reclaims == nil {
				test.reclaims = names{}
			}
			if test.releases == nil {
				test.releases = names{}
			}
			assert.DeepEqual(t, d.reclaims, test.reclaims)
			assert.DeepEqual(t, d.releases, test.releases)
		})
	}
}

// TestAnAddressOfTwoENIs: what two ENIs show, or miss, is decided in the same way each time.
func TestAnAddressOfTwoENIs(t *testing.T) {
	two := func() *fixture { return newFixture().bounds(0, 0, 20).eni(1, 1, 1).eni(2, 1, 1).limit(4, 9) }
	both := func(f *fixture, how func(eni *v1alpha1.ElasticNetworkInterface)) { how(&f.enis[0]); how(&f.enis[1]) }
	for name, change := range map[string]func(f *fixture){
		"it vanished from both": func(f *fixture) { both(f, missing("10.0.9.1")) },
		"both have it beyond what was asked for": func(f *fixture) {
			both(f, func(eni *v1alpha1.ElasticNetworkInterface) {
				eni.Status.Addresses = append(eni.Status.Addresses, "10.0.9.1")
			})
		},
		"the record is lost": func(f *fixture) {
			both(f, func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.Addresses = addresses(9, 1, 1) })
			f.pool.Status = v1alpha1.ENIPoolStatus{}
		},
		"the record knows neither of them": func(f *fixture) {
			both(f, func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.Addresses = addresses(9, 1, 1) })
			f.entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive, func(e *v1alpha1.PoolENI) { e.UID = "earlier" })
			f.entry(2, v1alpha1.ModeShared, v1alpha1.PoolENIActive, func(e *v1alpha1.PoolENI) { e.UID = "earlier" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := two().change(change)
			for range 50 {
				d := plan(f.observation)
				at := slices.IndexFunc(d.status.Addresses, func(entry v1alpha1.PoolAddress) bool { return entry.Address == "10.0.9.1" })
				assert.Assert(t, at >= 0)
				assert.Equal(t, d.status.Addresses[at].ENIName, eniName(1))
			}
		})
	}
}

// TestAPrefixThatVanished serves nobody by a copy of the ENI from before the pool asked for it
// again. A later copy that shows it serves, and so does the latest one there is.
func TestAPrefixThatVanished(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(f *fixture)
		held   string
	}{
		{"an older copy", func(*fixture) {}, "a:10.0.1.1"},
		{"a copy from after it was asked for", func(f *fixture) { f.enis[0].Generation, f.enis[0].Status.ObservedGeneration = 2, 2 }, "a:10.0.1.1 b:10.0.1.0"},
		{"an older status that was restored to it", func(f *fixture) { f.enis[0].Generation = 2 }, "a:10.0.1.1"},
		{"the latest copy, which was never asked", func(f *fixture) {
			f.confirmed = map[string]types.UID{eniName(1): f.enis[0].UID}
		}, "a:10.0.1.1 b:10.0.1.0"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture().bounds(0, 0, 64).prefixes().prefixENI(1, 1).holds(1, map[string]int{"a": 1})
			before := *f.enis[0].DeepCopy()
			f.enis[0].Status.Prefixes, f.enis[0].Status.Missing = nil, []v1alpha1.AddressOrPrefix{"10.0.1.0/28"}
			f.pool.Status = plan(f.observation).status

			f.enis[0] = before
			f.claimsNamed("b").change(row.change)
			assert.Equal(t, holding(plan(f.observation)), row.held)
		})
	}
}

// TestReleaseStaysUntilItIsSeen: a name is not dropped from the spec before the ENI
// has taken note.
func TestReleaseStaysUntilItIsSeen(t *testing.T) {
	f := newFixture().eni(1, 1, 4).last(missing("10.0.1.9"))
	eni := f.enis[0].DeepCopy()
	eni.Spec.Release = []v1alpha1.AddressOrPrefix{"10.0.1.9"}
	reshape(f.observation, eni, decision{})
	assert.DeepEqual(t, eni.Spec.Release, []v1alpha1.AddressOrPrefix{"10.0.1.9"})
	eni.Status.Missing = nil
	reshape(f.observation, eni, decision{})
	assert.Equal(t, len(eni.Spec.Release), 0)
}

// TestLostAddress: the claim keeps what it was given, and is told.
func TestLostAddress(t *testing.T) {
	f := newFixture().eni(1, 1, 4).last(missing("10.0.1.9")).last(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Spec.Reclaim, eni.Status.Lost = eni.Status.Missing, eni.Status.Missing
	}).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).claim("a", time.Hour, boundTo(1, "10.0.1.9")).holds(1, map[string]int{"a": 9})
	claim := &f.claims[0]
	v := verdictOn(f.observation, &f.pool.Status, claim)
	applyVerdict(claim, v, metav1.NewTime(f.now))
	assert.Equal(t, claim.Status.Phase, v1alpha1.ClaimBound)
	assert.Equal(t, claim.Status.Address, "10.0.1.9")
	assert.Assert(t, isTrue(claim.Status.Conditions, v1alpha1.ConditionAddressLost))
	assert.Assert(t, !isTrue(claim.Status.Conditions, v1alpha1.ConditionReady))

	f.enis[0].Status.Lost = nil
	v = verdictOn(f.observation, &f.pool.Status, claim)
	assert.Equal(t, v.reason, v1alpha1.ReasonAddressMissing)
	applyVerdict(claim, v, metav1.NewTime(f.now))
	assert.Assert(t, !isTrue(claim.Status.Conditions, v1alpha1.ConditionReady))
	f.enis[0].Status.Missing = nil
	applyVerdict(claim, verdictOn(f.observation, &f.pool.Status, claim), metav1.NewTime(f.now))
	assert.Assert(t, !isTrue(claim.Status.Conditions, v1alpha1.ConditionAddressLost))
	assert.Assert(t, isTrue(claim.Status.Conditions, v1alpha1.ConditionReady))
}

// TestWhatIsLostIsNotCounted: a claim on an address that others have takes nothing of what
// EC2 has on the pool's ENIs, so that the pool neither counts it nor keeps an address for it.
func TestWhatIsLostIsNotCounted(t *testing.T) {
	for name, row := range map[string]struct {
		change func(eni *v1alpha1.ElasticNetworkInterface)
		want   v1alpha1.SharedStatus
		grows  int32
	}{
		"it is asked for again": {
			func(*v1alpha1.ElasticNetworkInterface) {}, v1alpha1.SharedStatus{Capacity: 4, Allocated: 2, Free: 2, Desired: 4}, 2,
		},
		"others have it": {
			func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.Lost = eni.Status.Missing },
			v1alpha1.SharedStatus{Capacity: 3, Allocated: 1, Free: 2, Desired: 3}, 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture().bounds(0, 2, 20).eni(1, 1, 3).last(missing("10.0.1.9")).last(row.change).
				entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).holds(1, map[string]int{"a": 1, "b": 9})
			assert.DeepEqual(t, *plan(f.observation).status.Shared, row.want)

			f.network.subnetIDs = []string{subnetB} // The ENI is replaced, but for what claims hold of it.
			creates := plan(f.observation).creates
			assert.Equal(t, len(creates), 1)
			assert.Equal(t, creates[0].count, row.grows)
		})
	}
}

// TestADetachedENIServesNobody: the claim keeps what it holds, and is not ready until the
// ENI is attached again.
func TestADetachedENIServesNobody(t *testing.T) {
	for name, change := range map[string]func(eni *v1alpha1.ElasticNetworkInterface){
		"detached":              func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.Attachment = nil },
		"of another instance's": func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.Attachment.InstanceID = "i-another" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture().eni(1, 1, 4).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
				claim("a", time.Hour, boundTo(1, "10.0.1.1")).holds(1, map[string]int{"a": 1})
			claim := &f.claims[0]
			attachment := f.enis[0].Status.Attachment.DeepCopy()
			change(&f.enis[0])
			applyVerdict(claim, verdictOn(f.observation, &f.pool.Status, claim), metav1.NewTime(f.now))
			assert.Equal(t, claim.Status.Phase, v1alpha1.ClaimBound)
			assert.Equal(t, claim.Status.Address, "10.0.1.1")
			assert.Assert(t, !isTrue(claim.Status.Conditions, v1alpha1.ConditionReady))
			assert.Assert(t, !isTrue(claim.Status.Conditions, v1alpha1.ConditionAddressLost))

			f.enis[0].Status.Attachment = attachment
			applyVerdict(claim, verdictOn(f.observation, &f.pool.Status, claim), metav1.NewTime(f.now))
			assert.Assert(t, isTrue(claim.Status.Conditions, v1alpha1.ConditionReady))
		})
	}
}

// retagged is an ENI whose tags in EC2 name another cluster.
func retagged(eni *v1alpha1.ElasticNetworkInterface) {
	for _, kind := range []string{v1alpha1.ConditionCreated, v1alpha1.ConditionAttached, v1alpha1.ConditionReady} {
		meta.SetStatusCondition(&eni.Status.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNotOwned})
	}
}

// TestAnENIOfAnotherClusterIsReplaced, as far as nobody holds anything of it, and kept: its
// tags may be corrected.
func TestAnENIOfAnotherClusterIsReplaced(t *testing.T) {
	f := newFixture().bounds(4, 0, 20).eni(1, 1, 4).last(retagged)
	f.emptyFor = map[string]time.Duration{f.enis[0].Name: time.Hour}
	assert.Equal(t, actions(plan(f.observation)), "+-2 Shared 4")
}

// TestAnENIOfAnotherClusterTakesASlotWhileItIsAttached, and none when its owner took it away.
func TestAnENIOfAnotherClusterTakesASlotWhileItIsAttached(t *testing.T) {
	f := newFixture().bounds(4, 0, 20).limit(1, 9).eni(1, 1, 4).last(retagged)
	f.emptyFor = map[string]time.Duration{f.enis[0].Name: time.Hour}
	f.interfaces = map[string]bool{f.enis[0].Status.NetworkInterfaceID: true}
	f.enis[0].Status.Attachment = nil // The status may lag, or have been restored.
	assert.Equal(t, actions(plan(f.observation)), "")

	f.interfaces = map[string]bool{}
	assert.Equal(t, actions(plan(f.observation)), "+-2 Shared 4")
}

// TestAnENIOfAnotherCluster: its tags were changed in EC2. Its claims keep what they hold
// and are not ready until the tags are right again; new claims get nothing of it.
func TestAnENIOfAnotherCluster(t *testing.T) {
	for name, f := range map[string]*fixture{
		"shared": newFixture().bounds(0, 0, 20).eni(1, 1, 4).holds(1, map[string]int{"a": 1}),
		"exclusive": newFixture().exclusive(0, 0, 1).exclusiveENI(1).claim("a", time.Hour, wantsENI, boundTo(1, "10.0.1.250")).
			entry(1, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, heldBy1("a")),
	} {
		t.Run(name, func(t *testing.T) {
			good := f.enis[0].DeepCopy()
			before := plan(f.observation)
			f.last(retagged).claimsNamed("b")
			d := plan(f.observation)
			assert.Equal(t, holding(d), holding(before))

			claim := f.claims[0].DeepCopy()
			held := claim.Status.Address
			applyVerdict(claim, verdictOn(f.observation, &d.status, claim), metav1.NewTime(f.now))
			ready := meta.FindStatusCondition(claim.Status.Conditions, v1alpha1.ConditionReady)
			assert.Equal(t, ready.Status, metav1.ConditionFalse)
			assert.Equal(t, ready.Reason, v1alpha1.ReasonNotOwned)
			assert.Equal(t, claim.Status.Phase, v1alpha1.ClaimBound)
			assert.Equal(t, claim.Status.Address, held)
			assert.Assert(t, !isTrue(claim.Status.Conditions, v1alpha1.ConditionAddressLost))

			f.enis[0] = *good
			applyVerdict(claim, verdictOn(f.observation, &d.status, claim), metav1.NewTime(f.now))
			assert.Assert(t, isTrue(claim.Status.Conditions, v1alpha1.ConditionReady))
		})
	}
}

// TestAnAddressThatAnotherENIHasNow: people gave the ENI to another cluster and unassigned an
// address, which EC2 gave to a new ENI of the pool. No claim gets the new ENI before the one
// that had the address is marked AddressLost.
func TestAnAddressThatAnotherENIHasNow(t *testing.T) {
	for name, row := range map[string]struct {
		change func(old, other *v1alpha1.ElasticNetworkInterface)
		lost   bool
	}{
		"as its own address": {func(_, _ *v1alpha1.ElasticNetworkInterface) {}, true},
		"among its addresses": {func(_, other *v1alpha1.ElasticNetworkInterface) {
			other.Status.PrimaryAddress, other.Status.Addresses = "10.0.2.250", []v1alpha1.Address{"10.0.1.1"}
		}, true},
		"it has none of it":       {func(_, other *v1alpha1.ElasticNetworkInterface) { other.Status.PrimaryAddress = "10.0.2.250" }, false},
		"in another subnet":       {func(_, other *v1alpha1.ElasticNetworkInterface) { other.Status.SubnetID = subnetB }, false},
		"it is another's as well": {func(_, other *v1alpha1.ElasticNetworkInterface) { retagged(other) }, false},
		"the tags are right":      {func(old, _ *v1alpha1.ElasticNetworkInterface) { old.Status.Conditions = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture().bounds(0, 0, 20).exclusive(0, 0, 1).eni(1, 1, 4).last(retagged).holds(1, map[string]int{"a": 1}).exclusiveENI(2)
			f.enis[1].Status.SubnetID, f.enis[1].Status.PrimaryAddress = f.enis[0].Status.SubnetID, "10.0.1.1"
			row.change(&f.enis[0], &f.enis[1])
			claim := f.claims[0].DeepCopy()
			d := plan(f.observation)
			applyVerdict(claim, verdictOn(f.observation, &d.status, claim), metav1.NewTime(f.now))
			assert.Equal(t, isTrue(claim.Status.Conditions, v1alpha1.ConditionAddressLost), row.lost)
			assert.Equal(t, claim.Status.Phase, v1alpha1.ClaimBound)
			assert.Equal(t, claim.Status.Address, "10.0.1.1")
		})
	}
}

// TestWhatIsHeldOfAnENIOfAnotherClusterCounts towards the minimum of a pool that makes no
// other for it, so that the pool is ready. What nobody holds does not count.
func TestWhatIsHeldOfAnENIOfAnotherClusterCounts(t *testing.T) {
	for name, c := range map[string]struct {
		f     *fixture
		ready bool
	}{
		"shared":               {newFixture().bounds(3, 1, 14).eni(2, 1, 2).eni(1, 1, 4).last(retagged).holds(1, map[string]int{"a": 1, "b": 2}), true},
		"shared, less is held": {newFixture().bounds(3, 1, 14).eni(2, 1, 1).eni(1, 1, 4).last(retagged).holds(1, map[string]int{"a": 1}), false},
		"exclusive": {newFixture().exclusive(1, 0, 1).exclusiveENI(1).last(retagged).claim("a", time.Hour, wantsENI, boundTo(1, "10.0.1.250")).
			entry(1, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, heldBy1("a")), true},
		"exclusive, nobody holds it": {newFixture().exclusive(1, 0, 1).exclusiveENI(1).last(retagged), false},
	} {
		t.Run(name, func(t *testing.T) {
			d := plan(c.f.observation)
			assert.Equal(t, actions(d) == "", c.ready, actions(d))
			assert.Equal(t, isTrue(d.status.Conditions, v1alpha1.ConditionReady), c.ready)
		})
	}
}
