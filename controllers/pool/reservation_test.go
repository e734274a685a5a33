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

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// reserving is a pool with one ENI that reserves for five minutes what it has from a
// claim of the namespace shop.
func reserving(addresses int) *fixture {
	f := newFixture().bounds(1, 0, 20).eni(1, 1, addresses)
	f.pool.Spec.Shared.ReserveAfterRelease = &metav1.Duration{Duration: 5 * time.Minute}
	return f.change(admitting("market"))
}

// TestReservations: an address that has rested goes by name to the namespace that released it,
// and to others only without being asked for.
func TestReservations(t *testing.T) {
	rested := func() *fixture { return reserving(3).record(1, 2, v1alpha1.HolderCooling, "x", 30*time.Second) }
	reserved := func(since time.Duration) *fixture {
		return reserving(3).record(1, 2, v1alpha1.HolderReserved, "x", since)
	}
	for _, row := range []struct {
		name    string
		of      *fixture
		held    string
		want    string
		recheck time.Duration
	}{
		{"after its rest it is reserved", rested(), "", "10.0.1.2 Reserved", 5 * time.Minute},
		{"where the policy reserves nothing it is free", rested().change(func(f *fixture) { f.pool.Spec.Shared.ReserveAfterRelease.Duration = 0 }), "", "", 0},
		{"not after nobody", reserving(3).record(1, 2, v1alpha1.HolderCooling, "", 30*time.Second), "", "", 0},
		{"by name not to another namespace at the end of its rest", rested().claim("a", 0, wants("10.0.1.2"), of("market")),
			"", "10.0.1.2 Reserved", 5 * time.Minute},
		{"nor later", reserved(4*time.Minute+50*time.Second).claim("a", 0, wants("10.0.1.2"), of("market")), "", "10.0.1.2 Reserved", 10 * time.Second},
		{"then to any claim that asks for it", reserved(5*time.Minute).claim("a", 0, wants("10.0.1.2"), of("market")), "a:10.0.1.2", "", 0},
		{"by name to its own namespace, though another asked before", rested().claim("a", time.Minute, wants("10.0.1.2"), of("market")).
			claim("b", 0, wants("10.0.1.2")), "b:10.0.1.2", "", 0},
		{"others first, for who asks for none", reserving(2).record(1, 1, v1alpha1.HolderReserved, "x", time.Minute).claim("a", 0),
			"a:10.0.1.2", "10.0.1.1 Reserved", 4 * time.Minute},
		{"last of all to any who asks for none", reserving(1).record(1, 1, v1alpha1.HolderReserved, "x", time.Minute).claim("a", 0, of("market")),
			"a:10.0.1.1", "", 0},
		{"the last two of three", reserving(3).record(1, 1, v1alpha1.HolderReserved, "x", 0).record(1, 2, v1alpha1.HolderReserved, "x", 0).claimsNamed("a", "b"),
			"a:10.0.1.3 b:10.0.1.1", "10.0.1.2 Reserved", 5 * time.Minute},
		{"the record is tidied once a minute", reserved(4*time.Minute + 50*time.Second), "", "10.0.1.2 Reserved", time.Minute},
		{"the claim of another mode and name does not matter", reserved(4*time.Minute+50*time.Second).claim("a", 0, wants("10.0.1.3")),
			"a:10.0.1.3", "10.0.1.2 Reserved", time.Minute},
		{"a stamp ahead counts from now", reserved(-24 * time.Hour), "", "10.0.1.2 Reserved", 5 * time.Minute},
		{"a pool that takes no new claims reserves nothing", rested().change(func(f *fixture) { f.pool.Spec.PolicyName = "" }), "", "-1 Draining", 10 * time.Minute},
		{"a node that is gone neither", reserved(0).change(func(f *fixture) { f.nodeGone = true }), "", "-1 Releasing", 0},
		{"what others say of it comes first", reserved(0).last(func(eni *v1alpha1.ElasticNetworkInterface) {
			eni.Status.Missing = []v1alpha1.AddressOrPrefix{"10.0.1.2"}
		}),
			"", "10.0.1.2 Releasing", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.of.change(func(f *fixture) { f.pool.Status.SurplusSince = nil })
			d := plan(row.of.observation)
			assert.Equal(t, holding(d), row.held)
			assert.Equal(t, record(d), row.want)
			if d.status.SurplusSince == nil {
				assert.Equal(t, d.recheck, row.recheck)
			}
		})
	}
}

// TestReservedAddressesAreFree: they count as free, and are the last to go back.
func TestReservedAddressesAreFree(t *testing.T) {
	f := reserving(3).record(1, 3, v1alpha1.HolderReserved, "x", time.Minute)
	f.pool.Spec.Shared.MinimumIPs = 3
	since := ago(time.Hour)
	f.pool.Status.SurplusSince = &since
	d := plan(f.observation)
	assert.Equal(t, d.status.Shared.Free, int32(3))
	assert.Equal(t, d.status.Shared.Capacity, int32(3))

	f.pool.Spec.Shared.MinimumIPs = 2
	assert.Equal(t, record(plan(f.observation)), "10.0.1.2 Releasing; 10.0.1.3 Reserved")
	f.pool.Spec.Shared.MinimumIPs = 0
	f.claim("a", 0)
	assert.Equal(t, record(plan(f.observation)), "10.0.1.2 Releasing; 10.0.1.3 Releasing")
}

// TestSuspendedPoolsKeepReservations: nothing of them changes until the pool goes on.
func TestSuspendedPoolsKeepReservations(t *testing.T) {
	f := reserving(3).record(1, 2, v1alpha1.HolderReserved, "x", time.Hour)
	f.suspended = &trouble{reason: v1alpha1.ReasonInstanceNotFound}
	assert.Equal(t, record(plan(f.observation)), "10.0.1.2 Reserved")
}

// TestClaimsAreToldOfReservations: what the claim waits for, and until when.
func TestClaimsAreToldOfReservations(t *testing.T) {
	reserved := func() *fixture { return reserving(1).record(1, 1, v1alpha1.HolderReserved, "x", time.Minute) }
	v := lastVerdict(reserved().claim("a", 0, wants("10.0.1.1"), of("market")))
	assert.Equal(t, v.reason, v1alpha1.ReasonAddressReserved)
	assert.Equal(t, v.message, "10.0.1.1 is reserved until 2026-01-01T12:04:00Z for another namespace, which released it; until then claims that ask for no address may take it")
	v = lastVerdict(reserved().last(unready(v1alpha1.ReasonAttaching, false)).claim("a", 0, wants("10.0.1.1")))
	assert.Equal(t, v.reason, v1alpha1.ReasonPoolGrowing, "its own namespace waits for the ENI")
}
