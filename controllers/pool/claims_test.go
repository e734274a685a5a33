/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// lastVerdict is what the record of a decision means for the claim added last.
func lastVerdict(f *fixture) verdict {
	d := plan(f.observation)
	return verdictOn(f.observation, &d.status, &f.claims[len(f.claims)-1])
}

func TestWhyPending(t *testing.T) {
	releasing := func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.SubnetID = subnetB }
	full := func() *fixture { // Two ENIs of one address each, both held, is all that the instance carries.
		return newFixture().bounds(0, 0, 20).limit(2, 1).eni(1, 1, 1).eni(2, 1, 1).holds(1, map[string]int{"x": 1}).holds(2, map[string]int{"y": 1})
	}
	for _, row := range []struct {
		name    string
		of      *fixture
		reason  string
		message string
	}{
		{"the pool grows", newFixture().bounds(0, 0, 20).claimsNamed("a"), v1alpha1.ReasonPoolGrowing, "The pool is taking more from EC2"},
		{"no policy", newFixture().claimsNamed("a").change(func(f *fixture) { f.pool.Spec.PolicyName = "" }), v1alpha1.ReasonPoolDraining,
			"The node's pool takes no new claims: no policy governs the node, or the pool is being deleted"},
		{"the mode is not offered", newFixture().claim("a", 0, wantsENI), v1alpha1.ReasonModeNotOffered, "Policy general offers no mode Exclusive on this node"},
		{"the namespace may not", newFixture().claim("a", 0, func(claim *v1alpha1.ENIClaim) { claim.Namespace = "secret" }),
			v1alpha1.ReasonNamespaceNotAllowed, "Policy general does not let namespace secret claim on this node (claimNamespaceSelector)"},
		{"at the maximum", newFixture().bounds(0, 0, 1).eni(1, 1, 1).holds(1, map[string]int{"x": 1}).claimsNamed("a"),
			v1alpha1.ReasonPoolAtMaximum, "Policy general allows no more on this node; a claim must be released first"},
		{"at the maximum while addresses rest", newFixture().bounds(0, 0, 1).eni(1, 1, 1).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			record(1, 1, v1alpha1.HolderCooling, "x", time.Second).claimsNamed("a"),
			v1alpha1.ReasonPoolAtMaximum, "Policy general allows no more on this node; a claim must be released first"},
		{"at the exclusive maximum", newFixture().exclusive(0, 0, 1).exclusiveENI(1).entry(1, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, heldBy1("x")).
			claim("x", time.Hour, wantsENI, inPhase(v1alpha1.ClaimBound)).claim("a", 0, wantsENI),
			v1alpha1.ReasonPoolAtMaximum, "Policy general allows no more on this node; a claim must be released first"},
		{"at the exclusive maximum while the ENI rests", newFixture().exclusive(0, 0, 1).exclusiveENI(1).
			entry(1, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, coolingFor(time.Second)).claim("a", 0, wantsENI),
			v1alpha1.ReasonPoolAtMaximum, "Policy general allows no more on this node; a claim must be released first"},
		{"an ENI in trouble", newFixture().bounds(0, 0, 20).eni(1, 1, 1).last(unready(v1alpha1.ReasonSubnetExhausted, false)).claimsNamed("a"),
			v1alpha1.ReasonSubnetExhausted, "ENI " + eniName(1) + " of the node's pool is not ready. Its conditions say why"},
		{"an ENI that needs nothing but time", newFixture().bounds(0, 0, 20).eni(1, 1, 1).last(unready(v1alpha1.ReasonAttaching, false)).claimsNamed("a"),
			v1alpha1.ReasonPoolGrowing, "The pool is taking more from EC2"},
		{"a trouble of the node", newFixture().bounds(0, 0, 20).claimsNamed("a").
			change(func(f *fixture) {
				f.trouble(v1alpha1.ConditionInstanceFound, v1alpha1.ReasonInstanceNotFound, "unknown")
			}),
			v1alpha1.ReasonInstanceNotFound, "The pool cannot take more from EC2. The conditions of ENIPool ip-10-0-1-17.ec2.internal say why"},
		{"the instance is full", full().claimsNamed("a"), v1alpha1.ReasonInstanceFull, "m5.large carries no more ENIs or addresses; a claim must be released first"},
		{"full of ENIs of others", newFixture().bounds(0, 0, 20).limit(1, 9).claimsNamed("a").change(func(f *fixture) { f.otherENIs = 1 }),
			v1alpha1.ReasonInstanceFull, "m5.large carries no more ENIs or addresses; a claim must be released first"},
		{"no ENI more, but one becomes ready", full().last(unready(v1alpha1.ReasonAttaching, true)).claimsNamed("a"),
			v1alpha1.ReasonPoolGrowing, "The pool is taking more from EC2"},
		{"no ENI more, but one has room", full().limit(2, 2).claimsNamed("a"), v1alpha1.ReasonPoolGrowing, "The pool is taking more from EC2"},
		{"no ENI more, and none exclusive", full().exclusive(0, 0, 1).claim("a", 0, wantsENI),
			v1alpha1.ReasonInstanceFull, "m5.large carries no more ENIs or addresses; a claim must be released first"},
		{"a free ENI whose address a claim still holds elsewhere", newFixture().exclusive(0, 0, 1).exclusiveENI(1).
			entry(1, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive).claim("a", 0, wantsENI).
			change(func(f *fixture) { f.elsewhere = map[v1alpha1.Address]bool{"10.0.1.250": true} }),
			v1alpha1.ReasonAddressInUse, "All that the pool has free carries an address that another claim still shows on another ENI; " +
				"it is assigned once that claim has the condition AddressLost, or is deleted"},
		{"no free ENI, and a claim holds another address elsewhere", newFixture().bounds(0, 0, 20).exclusive(0, 0, 1).eni(1, 1, 1).claim("a", 0, wantsENI).
			change(func(f *fixture) { f.elsewhere = map[v1alpha1.Address]bool{"10.0.1.1": true} }),
			v1alpha1.ReasonPoolGrowing, "The pool is taking more from EC2"},

		{"a chosen address outside", newFixture().eni(1, 1, 1).claim("a", 0, wants("10.0.7.7")), v1alpha1.ReasonAddressNotInPool,
			"None of the node's shared ENIs carries 10.0.7.7"},
		{"a chosen address in use", newFixture().eni(1, 1, 1).holds(1, map[string]int{"x": 1}).claim("a", 0, wants("10.0.1.1")),
			v1alpha1.ReasonAddressInUse, "10.0.1.1 is held by claim x"},
		{"a chosen address in use elsewhere", newFixture().eni(1, 1, 1).holds(1, map[string]int{"x": 1}).
			claim("a", 0, wants("10.0.1.1"), func(claim *v1alpha1.ENIClaim) { claim.Namespace = "tenant" }).
			change(func(f *fixture) { f.allowed["tenant"] = true }),
			v1alpha1.ReasonAddressInUse, "10.0.1.1 is held by a claim of another namespace"},
		{"a chosen address that rests", newFixture().eni(1, 1, 1).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			record(1, 1, v1alpha1.HolderCooling, "x", time.Second).claim("a", 0, wants("10.0.1.1")),
			v1alpha1.ReasonAddressCooling, "10.0.1.1 was released a moment ago and rests"},
		{"a chosen address on its way back", newFixture().eni(1, 1, 1).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			record(1, 1, v1alpha1.HolderReleasing, "", 0).claim("a", 0, wants("10.0.1.1")),
			v1alpha1.ReasonAddressNotInPool, "10.0.1.1 is on its way back to the subnet"},
		{"a chosen address of an ENI that is not ready", newFixture().eni(1, 1, 1).last(unready(v1alpha1.ReasonAttaching, false)).claim("a", 0, wants("10.0.1.1")),
			v1alpha1.ReasonPoolGrowing, "ENI " + eniName(1) + ", which carries 10.0.1.1, is not ready"},
		{"a chosen address of an ENI on its way out", newFixture().eni(1, 1, 2).last(releasing).holds(1, map[string]int{"x": 2}).claim("a", 0, wants("10.0.1.1")),
			v1alpha1.ReasonAddressNotInPool, "ENI " + eniName(1) + ", which carries 10.0.1.1, is being given up"},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := lastVerdict(row.of)
			assert.Equal(t, v.phase, v1alpha1.ClaimPending)
			assert.Equal(t, v.reason, row.reason)
			assert.Equal(t, v.message, row.message)
		})
	}
}

func TestVerdict(t *testing.T) {
	goneNode := func(f *fixture) { f.nodeGone = true }
	for _, row := range []struct {
		name    string
		of      *fixture
		phase   v1alpha1.ClaimPhase
		address string
	}{
		{"bound to an address", newFixture().eni(1, 1, 1).claimsNamed("a"), v1alpha1.ClaimBound, "10.0.1.1"},
		{"bound to an ENI: its primary address", newFixture().exclusive(0, 0, 1).exclusiveENI(1).claim("a", 0, wantsENI), v1alpha1.ClaimBound, "10.0.1.250"},
		{"waits", newFixture().claimsNamed("a"), v1alpha1.ClaimPending, ""},
		{"bound, and nothing in the record: lost", newFixture().eni(1, 1, 1).claim("a", 0, boundTo(1, "10.0.1.1")), v1alpha1.ClaimLost, ""},
		{"lost for good", newFixture().eni(1, 1, 1).claim("a", 0, inPhase(v1alpha1.ClaimLost)), v1alpha1.ClaimLost, ""},
		{"expired for good", newFixture().eni(1, 1, 1).claim("a", 0, inPhase(v1alpha1.ClaimExpired)), v1alpha1.ClaimExpired, ""},
		{"expired, and what it held rests", newFixture().eni(1, 1, 1).holds(1, map[string]int{"a": 1}).lastClaim(expire), v1alpha1.ClaimExpired, ""},
		{"expired, and then the node is gone", newFixture().claim("a", 0, inPhase(v1alpha1.ClaimExpired)).change(goneNode), v1alpha1.ClaimExpired, ""},
		{"the node is gone, and what was held", newFixture().eni(1, 1, 1).holds(1, map[string]int{"a": 1}).change(goneNode), v1alpha1.ClaimLost, ""},
		{"the node is gone, and nothing was held", newFixture().claimsNamed("a").change(goneNode), v1alpha1.ClaimLost, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := lastVerdict(row.of)
			assert.Equal(t, v.phase, row.phase)
			assert.Equal(t, v.address, row.address)
		})
	}
}

// TestAnOlderStatusOfAnENIIsNotTold: a status that was restored from before names an ENI that
// is gone, whose address others have by now.
func TestAnOlderStatusOfAnENIIsNotTold(t *testing.T) {
	for name, row := range map[string]struct {
		has  string
		kept bool
	}{
		"the instance has the claim's":         {has: "eni-before", kept: true},
		"the instance has the resource's":      {has: "eni-1"},
		"the instance is not known to have it": {kept: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture().exclusive(0, 0, 1).exclusiveENI(1).claim("a", time.Hour, wantsENI, boundTo(1, "10.0.1.250"), func(claim *v1alpha1.ENIClaim) {
				claim.Status.NetworkInterfaceID = "eni-before"
				setReady(claim)
			})
			f.interfaces = map[string]bool{row.has: true}
			f.pool.Status.ENIs[0].Claim = reference("a")
			v := verdictOn(f.observation, &f.pool.Status, &f.claims[0])
			assert.Equal(t, v.reason, v1alpha1.ReasonBound)
			assert.Equal(t, v.kept, row.kept)
		})
	}
}

func TestApplyVerdict(t *testing.T) {
	now := metav1.NewTime(start)
	eni := readyENI(1, v1alpha1.ModeShared)
	eni.Status.SubnetCIDR = "10.0.3.64/26"
	eni.Status.Attachment.NetworkCardIndex = 1
	bound := verdict{phase: v1alpha1.ClaimBound, reason: v1alpha1.ReasonBound, eni: &eni, address: "10.0.3.70"}

	t.Run("bound: all that a consumer needs", func(t *testing.T) {
		claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
		applyVerdict(claim, bound, now)
		condition := meta.FindStatusCondition(claim.Status.Conditions, v1alpha1.ConditionReady)
		device, card := int32(1), int32(1)
		assert.Equal(t, condition.Status, metav1.ConditionTrue)
		assert.DeepEqual(t, claim.Status, v1alpha1.ENIClaimStatus{
			ObservedGeneration: 2, Phase: v1alpha1.ClaimBound, Address: "10.0.3.70", PrefixLength: 26, SubnetCIDR: "10.0.3.64/26",
			Gateway: "10.0.3.65", MACAddress: "02:00:00:00:00:01", DeviceIndex: &device, NetworkCardIndex: &card,
			NetworkInterfaceID: "eni-1", ENIName: eniName(1), BoundAt: &now, Conditions: claim.Status.Conditions,
		})
	})
	t.Run("bound again: the time stays", func(t *testing.T) {
		claim := &v1alpha1.ENIClaim{}
		applyVerdict(claim, bound, now)
		before := claim.DeepCopy()
		applyVerdict(claim, bound, metav1.NewTime(start.Add(time.Hour)))
		assert.DeepEqual(t, claim, before)
	})
	t.Run("bound to an ENI that the cache does not show: nothing changes", func(t *testing.T) {
		claim := &v1alpha1.ENIClaim{}
		applyVerdict(claim, bound, now)
		before := claim.DeepCopy()
		applyVerdict(claim, verdict{phase: v1alpha1.ClaimBound, reason: v1alpha1.ReasonBound}, now)
		assert.DeepEqual(t, claim, before)
	})
	t.Run("lost: nothing is left", func(t *testing.T) {
		claim := &v1alpha1.ENIClaim{}
		applyVerdict(claim, bound, now)
		applyVerdict(claim, verdict{phase: v1alpha1.ClaimLost, reason: v1alpha1.ReasonNodeGone, message: "gone"}, now)
		assert.DeepEqual(t, claim.Status, v1alpha1.ENIClaimStatus{Phase: v1alpha1.ClaimLost, Conditions: claim.Status.Conditions})
		assert.Equal(t, meta.FindStatusCondition(claim.Status.Conditions, v1alpha1.ConditionReady).Reason, v1alpha1.ReasonNodeGone)
	})
	t.Run("expired: nothing is left", func(t *testing.T) {
		claim := &v1alpha1.ENIClaim{}
		applyVerdict(claim, bound, now)
		expire(claim)
		assert.DeepEqual(t, claim.Status, v1alpha1.ENIClaimStatus{Phase: v1alpha1.ClaimExpired, Conditions: claim.Status.Conditions})
		assert.Equal(t, meta.FindStatusCondition(claim.Status.Conditions, v1alpha1.ConditionReady).Reason, v1alpha1.ReasonExpired)
	})
	t.Run("surrendered: nothing is left, and it is no longer bound", func(t *testing.T) {
		claim := &v1alpha1.ENIClaim{}
		applyVerdict(claim, bound, now)
		surrender(claim)
		assert.DeepEqual(t, claim.Status, v1alpha1.ENIClaimStatus{Phase: v1alpha1.ClaimPending, Conditions: claim.Status.Conditions})
		assert.Equal(t, meta.FindStatusCondition(claim.Status.Conditions, v1alpha1.ConditionReady).Reason, v1alpha1.ReasonReleasing)
	})
	t.Run("surrendered: what was lost stays lost", func(t *testing.T) {
		claim := &v1alpha1.ENIClaim{Status: v1alpha1.ENIClaimStatus{Phase: v1alpha1.ClaimLost, Address: "10.0.3.70"}}
		surrender(claim)
		assert.Equal(t, claim.Status.Phase, v1alpha1.ClaimLost)
		assert.Equal(t, claim.Status.Address, "")
	})
}

// TestARenewalIsNoNews expects a claim whose generation alone has moved, as each renewal of
// its lease moves it, to be written no more.
func TestARenewalIsNoNews(t *testing.T) {
	now := metav1.NewTime(time.Unix(1800000000, 0))
	waits := verdict{phase: v1alpha1.ClaimPending, reason: v1alpha1.ReasonPoolGrowing, message: "it grows"}
	claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
	applyVerdict(claim, waits, now)
	told := claim.Status.DeepCopy()
	claim.Generation = 2
	applyVerdict(claim, waits, now)
	assert.DeepEqual(t, claim.Status, *told)

	waits.message = "it grows still"
	applyVerdict(claim, waits, now)
	assert.Equal(t, claim.Status.ObservedGeneration, int64(2))
	assert.Equal(t, claim.Status.Conditions[0].ObservedGeneration, int64(2))
}

// TestRenewalsAreNotForThePool expects neither a renewal nor another lease to bring a pool
// up, and what it works by to do.
func TestRenewalsAreNotForThePool(t *testing.T) {
	before := newFixture().claim("a", 0).claims[0]
	for _, row := range []struct {
		name   string
		change func(*v1alpha1.ENIClaim)
		passes bool
	}{
		{"a renewal", func(c *v1alpha1.ENIClaim) {
			c.Generation++
			c.Spec.Lease = &v1alpha1.ClaimLease{RenewTime: &metav1.Time{Time: time.Unix(1800000000, 0)}}
		}, false},
		{"a label", func(c *v1alpha1.ENIClaim) { c.Labels = map[string]string{"app": "web"} }, false},
		{"a deletion", deleting, true},
		{"another claim of the name", func(c *v1alpha1.ENIClaim) { c.UID = "another" }, true},
		{"another node, of an older release", func(c *v1alpha1.ENIClaim) { c.Spec.NodeName = "other" }, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			after := before.DeepCopy()
			row.change(after)
			assert.Equal(t, changedButForRenewals().Update(event.UpdateEvent{ObjectOld: before.DeepCopy(), ObjectNew: after}), row.passes)
		})
	}
}

// expire is what the lease controller does to a claim.
func expire(claim *v1alpha1.ENIClaim) { applyVerdict(claim, expiredVerdict(), metav1.Time{}) }

func setReady(claim *v1alpha1.ENIClaim) {
	meta.SetStatusCondition(&claim.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonBound})
}
