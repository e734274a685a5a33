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
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// goneInEC2 is what an ENI's status says once EC2 has no such ENI.
func goneInEC2(eni *v1alpha1.ElasticNetworkInterface) {
	for _, p := range partsOf(eni) {
		eni.Status.Lost = append(eni.Status.Lost, p.name)
	}
	eni.Status.Lost = append(eni.Status.Lost, v1alpha1.AddressOrPrefix(eni.Status.PrimaryAddress))
	eni.Status.Addresses = nil
	eni.Status.Prefixes = nil
	eni.Status.PrimaryAddress = ""
	eni.Status.Attachment = nil
	eni.Status.Conditions = nil
	for _, kind := range []string{v1alpha1.ConditionCreated, v1alpha1.ConditionAttached, v1alpha1.ConditionReady} {
		meta.SetStatusCondition(&eni.Status.Conditions, metav1.Condition{
			Type: kind, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNotFound, Message: "as EC2 answered",
		})
	}
}

// TestENIGoneInEC2: claims of an ENI that is gone say so, and the pool replaces it by
// itself.
func TestENIGoneInEC2(t *testing.T) {
	shared := func() *fixture {
		return newFixture().bounds(4, 0, 20).eni(1, 1, 4).holds(1, map[string]int{"a": 1}).last(goneInEC2)
	}
	exclusive := func() *fixture {
		return newFixture().exclusive(1, 0, 1).exclusiveENI(1).last(goneInEC2).claim("a", time.Hour, wantsENI, boundTo(1, "10.0.1.250")).
			entry(1, v1alpha1.ModeExclusive, v1alpha1.PoolENIActive, heldBy1("a"))
	}
	resourceGone := func(f *fixture) { f.enis = nil }
	for _, row := range []struct {
		name string
		of   *fixture
		does string
		held string
	}{
		{"shared, with a claim", shared(), "+-2 Shared 4; x-1", "a:10.0.1.1"},
		{"shared, and its resource is gone too", shared().change(resourceGone), "+-2 Shared 4", "a:10.0.1.1"},
		{"exclusive, with a claim", exclusive(), "+-2 Exclusive 0; x-1", "a:-1"},
		{"exclusive, and its resource is gone too", exclusive().change(resourceGone), "+-2 Exclusive 0", "a:-1"},
		{"on a full instance: it takes no slot", shared().limit(1, 9), "+-2 Shared 4; x-1", "a:10.0.1.1"},
		{"as a person deletes it", shared().last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.DeletionTimestamp = &metav1.Time{Time: start} }),
			"+-2 Shared 4; x-1", "a:10.0.1.1"},
		{"without claims, and without a policy", newFixture().eni(1, 1, 4).last(goneInEC2).
			change(func(f *fixture) { f.pool.Spec.PolicyName = "" }), "x-1", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := plan(row.of.observation)
			assert.Equal(t, actions(d), row.does)
			assert.Equal(t, holding(d), row.held)
			for _, entry := range d.status.ENIs {
				assert.Assert(t, !entry.Ready)
			}
			if len(row.of.claims) == 0 {
				return
			}
			claim := row.of.claims[0].DeepCopy()
			before := claim.Status.Address
			applyVerdict(claim, verdictOn(row.of.observation, &d.status, claim), metav1.NewTime(row.of.now))
			assert.Assert(t, !isTrue(claim.Status.Conditions, v1alpha1.ConditionReady))
			assert.Assert(t, isTrue(claim.Status.Conditions, v1alpha1.ConditionAddressLost))
			assert.Equal(t, claim.Status.Phase, v1alpha1.ClaimBound)
			assert.Equal(t, claim.Status.Address, before, "what it lost stays to be read")
		})
	}
}

// TestGoneENIReleased: once its claims are deleted nothing is left of an ENI that is gone.
func TestGoneENIReleased(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).record(1, 1, v1alpha1.HolderAllocated, "a", time.Hour).claim("a", time.Hour, deleting).
		entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIReleasing)
	f.pool.Status = plan(f.observation).status
	f.now = start.Add(time.Minute)
	d := plan(f.observation)
	assert.Equal(t, len(d.status.ENIs)+len(d.status.Addresses), 0)
}

// TestAddressOfAGoneENIElsewhere: EC2 gave an address of an ENI that is gone to another of
// the pool's, while a claim still has it. Nobody else gets it, and another takes its place.
func TestAddressOfAGoneENIElsewhere(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIReleasing).holds(1, map[string]int{"a": 1}).
		eni(2, 1, 1).last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status.Addresses = addresses(1, 1, 1) }).claimsNamed("b")
	d := plan(f.observation)
	assert.Equal(t, holding(d), "a:10.0.1.1")
	assert.Equal(t, actions(d), "-2=2")

	f.claims[0].Status = v1alpha1.ENIClaimStatus{}
	deleting(&f.claims[0])
	f.pool.Status = plan(f.observation).status
	d = plan(f.observation)
	assert.Equal(t, record(d), "10.0.1.1 Cooling", "it rests where it is now")
	assert.Equal(t, d.status.Addresses[0].ENIName, eniName(2))
}

// TestVanishedIsRecorded: what the pool gives up of an ENI is not handed out by an older
// copy of it, as a prefix neither.
func TestVanishedIsRecorded(t *testing.T) {
	f := newFixture().bounds(16, 0, 64).prefixes().prefixENI(1, 1)
	old := *f.enis[0].DeepCopy()
	f.last(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Status.Prefixes = nil
		eni.Status.Missing = []v1alpha1.AddressOrPrefix{"10.0.1.0/28"}
	})
	d := plan(f.observation)
	assert.Equal(t, actions(d), "-1-[10.0.1.0/28]")
	assert.Equal(t, len(d.status.Addresses), 16)

	told := *f.enis[0].DeepCopy()
	told.Generation = 2
	told.Status.Missing = nil
	told.Spec.Release = []v1alpha1.AddressOrPrefix{"10.0.1.0/28"}
	f.pool.Status = d.status
	f.enis = []v1alpha1.ElasticNetworkInterface{told}
	f.pool.Status = plan(f.observation).status
	assert.Equal(t, len(f.pool.Status.Addresses), 0)

	f.enis = []v1alpha1.ElasticNetworkInterface{old}
	f.claimsNamed("a")
	assert.Equal(t, holding(plan(f.observation)), "")
}

// TestClaimsOutliveTheirPool: a node without a pool is looked at again as well once EC2 is
// believed, so that its deleted claims can go.
func TestClaimsOutliveTheirPool(t *testing.T) {
	claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "late"}, Spec: v1alpha1.ENIClaimSpec{NodeName: "gone"}}
	pool := storedPool(newFixture())
	c := cluster(t, interceptor.Funcs{}, pool, claim)
	var names []string
	for _, request := range reconcilerOn(t, &cloud{}, c, c).everyNode(t.Context()) {
		names = append(names, request.Name)
	}
	assert.DeepEqual(t, names, []string{pool.Name, "gone"})
}
