/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

func TestRebuild(t *testing.T) {
	lost := func(f *fixture) { f.pool.Status = v1alpha1.ENIPoolStatus{} }
	restored := func(f *fixture) { f.pool.Status.PoolUID = "before" }
	for _, row := range []struct {
		name string
		of   *fixture
		held string
		want string
	}{
		{"bound claims keep their own, everything else is set aside",
			newFixture().bounds(0, 9, 20).eni(1, 1, 3).holds(1, map[string]int{"a": 2}).change(lost),
			"a:10.0.1.2", "10.0.1.1 Releasing; 10.0.1.3 Releasing"},
		{"nobody gets anything of what is set aside", newFixture().bounds(0, 9, 20).eni(1, 1, 2).claimsNamed("a").change(lost),
			"", "10.0.1.1 Releasing; 10.0.1.2 Releasing"},
		{"a restored record is not believed", newFixture().bounds(0, 9, 20).eni(1, 1, 3).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
			record(1, 1, v1alpha1.HolderCooling, "x", time.Hour).record(1, 2, v1alpha1.HolderAllocated, "b", time.Hour).claimsNamed("b").
			claim("a", time.Hour, boundTo(1, "10.0.1.3")).change(restored),
			"a:10.0.1.3", "10.0.1.1 Releasing; 10.0.1.2 Releasing"},
		{"a claim that gave its address up keeps nothing", newFixture().bounds(0, 9, 20).eni(1, 1, 1).
			claim("a", time.Hour, inPhase(v1alpha1.ClaimPending), deleting).change(lost), "", "10.0.1.1 Releasing"},
		{"of two that say to hold the same the one bound first", newFixture().bounds(0, 9, 20).eni(1, 1, 1).
			claim("late", time.Hour, boundTo(1, "10.0.1.1")).
			claim("early", time.Minute, boundTo(1, "10.0.1.1"), func(claim *v1alpha1.ENIClaim) { at := ago(2 * time.Hour); claim.Status.BoundAt = &at }).
			change(lost), "early:10.0.1.1", ""},
		{"a bound claim keeps an address that the ENI does not show", newFixture().bounds(0, 9, 20).eni(1, 1, 1).
			claim("a", time.Hour, boundTo(1, "10.0.1.9")).change(lost), "a:10.0.1.9", "10.0.1.1 Releasing"},
		{"an exclusive ENI stays with its claim", newFixture().exclusive(0, 2, 2).exclusiveENI(1).
			claim("a", time.Hour, wantsENI, boundTo(1, "10.0.1.250")).change(lost), "a:-1", ""},
		{"an exclusive ENI of a claim's name is not the shared one that the claim had", newFixture().exclusive(0, 2, 2).exclusiveENI(1).
			claim("a", time.Hour, boundTo(1, "10.0.1.9")).change(lost), "", "-1 Releasing"},
		{"a later exclusive ENI of the name is not the one that the claim had", newFixture().exclusive(0, 2, 2).exclusiveENI(1).
			claim("a", time.Hour, wantsENI, boundTo(1, "10.0.1.250"), toldENI("eni-before")).change(lost), "", "-1 Releasing"},
		{"a later shared ENI of the name neither, and what it has is set aside", newFixture().bounds(0, 9, 20).eni(1, 1, 1).
			claim("a", time.Hour, boundTo(1, "10.0.1.1"), toldENI("eni-before")).change(lost), "", "10.0.1.1 Releasing"},
		{"a claim keeps what EC2 shows, whatever ENI the resource names", newFixture().bounds(0, 9, 20).eni(1, 1, 1).
			claim("a", time.Hour, boundTo(1, "10.0.1.1"), toldENI("eni-own")).change(lost).
			change(func(f *fixture) { f.standing = map[string]standing{"eni-own": {addresses: []string{"10.0.1.1"}}} }), "a:10.0.1.1", ""},
		{"an exclusive ENI that no claim names goes", newFixture().exclusive(0, 2, 2).exclusiveENI(1).change(lost), "", "-1 Releasing"},
		{"an exclusive ENI that does not exist yet stays", newFixture().exclusive(0, 2, 2).exclusiveENI(1).
			last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Status = v1alpha1.ElasticNetworkInterfaceStatus{} }).change(lost), "", ""},
		{"an empty prefix goes, one in use is set aside", newFixture().bounds(0, 40, 64).prefixes().prefixENI(1, 1).change(lost), "",
			strings.TrimSuffix(strings.Repeat("10.0.1.* Releasing; ", 16), "; ")},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := plan(row.of.observation)
			assert.Equal(t, holding(d), row.held)
			got := record(d)
			if strings.Contains(row.want, "*") {
				for last := range 16 {
					got = strings.Replace(got, fmt.Sprintf("10.0.1.%d ", last), "10.0.1.* ", 1)
				}
			}
			assert.Equal(t, got, row.want)
			assert.Equal(t, string(d.status.PoolUID), "pool")
		})
	}
}

// TestRebuildWithoutStatuses: record, ENIs and claims lost their statuses together. What EC2
// has is set aside by what EC2 says of it, so that nobody gets what another claim uses.
func TestRebuildWithoutStatuses(t *testing.T) {
	for _, row := range []struct {
		name string
		of   *fixture
		eni  ec2.NetworkInterface
		want string
	}{
		{"a shared ENI", newFixture().bounds(0, 0, 20).eni(1, 1, 2).claimsNamed("a"),
			ec2.NetworkInterface{Addresses: []string{"10.0.1.1", "10.0.1.2"}}, "10.0.1.1 Quarantined; 10.0.1.2 Quarantined"},
		{"an exclusive ENI", newFixture().exclusive(0, 0, 1).exclusiveENI(1).claim("a", time.Hour, wantsENI), ec2.NetworkInterface{}, "-1 Releasing"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := row.of
			f.enis[0].Status = v1alpha1.ElasticNetworkInterfaceStatus{}
			row.eni.ID = "eni-1"
			row.eni.Tags = ec2.Ownership{ClusterUID: "cluster", Name: f.enis[0].Name, UID: string(f.enis[0].UID)}.Tags(nil)
			lost := storedPool(f, func(pool *v1alpha1.ENIPool) { pool.Status = v1alpha1.ENIPoolStatus{} })
			kube := cluster(t, interceptor.Funcs{}, lost, &f.enis[0], &f.claims[0], nodeWith(thisInstance))
			_, err := reconcilerOn(t, shows(row.eni), kube, kube).Reconcile(t.Context(), request())
			assert.NilError(t, err)
			pool := &v1alpha1.ENIPool{}
			assert.NilError(t, kube.Get(t.Context(), client.ObjectKey{Name: nodeName}, pool))
			assert.Equal(t, record(decision{status: pool.Status}), row.want)
			assert.Equal(t, claimIn(t, kube, "a").Status.Phase, v1alpha1.ClaimPending)
		})
	}
}

// TestRebuildDistrustsOlderCopies: a record that was rebuilt from one version of an
// ENI hands nothing out by an older one.
func TestRebuildDistrustsOlderCopies(t *testing.T) {
	f := newFixture().bounds(0, 9, 20).eni(1, 1, 2).last(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Generation = 5 })
	f.pool.Status = v1alpha1.ENIPoolStatus{}
	f.pool.Status = plan(f.observation).status
	f.claimsNamed("a").last(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Generation, eni.Status.Addresses = 4, addresses(1, 1, 3)
	})
	assert.Equal(t, holding(plan(f.observation)), "")
}
