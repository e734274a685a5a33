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
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// TestAddressHeldElsewhere: EC2 took an address from an ENI that somebody deleted, and gave
// it to an ENI of this pool. Nobody gets it before the claim that had it was told.
func TestAddressHeldElsewhere(t *testing.T) {
	lost := metav1.Condition{Type: v1alpha1.ConditionAddressLost, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNotFound}
	for _, row := range []struct {
		name   string
		change func(*v1alpha1.ENIClaim)
		gets   string
	}{
		{"still held", func(*v1alpha1.ENIClaim) {}, "10.0.1.2"},
		{"told that it is lost", func(c *v1alpha1.ENIClaim) { c.Status.Conditions = []metav1.Condition{lost} }, "10.0.1.1"},
		{"still held on the same node", func(c *v1alpha1.ENIClaim) { c.Spec.NodeName = nodeName }, "10.0.1.2"},
		{"lost with its node", func(c *v1alpha1.ENIClaim) { c.Status.Phase = v1alpha1.ClaimLost }, "10.0.1.1"},
		{"of another VPC", func(c *v1alpha1.ENIClaim) { c.Status.SubnetCIDR = "10.0.0.0/8" }, "10.0.1.1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture().bounds(0, 0, 20).eni(1, 1, 2).claimsNamed("a")
			f.claim("there", time.Hour, boundTo(1, address(1, 1)))
			there := f.claims[1].DeepCopy()
			there.Spec.NodeName = "another-node"
			there.Status.SubnetCIDR = f.enis[0].Status.SubnetCIDR
			there.Status.NetworkInterfaceID = "eni-deleted"
			there.Status.ENIName = "deleted"
			row.change(there)
			kube := cluster(t, interceptor.Funcs{}, storedPool(f), &f.enis[0], &f.claims[0], there, nodeWith(thisInstance))
			r := reconcilerOn(t, &cloud{}, kube, kube)
			r.lose(t, "eni-deleted")
			_, err := r.Reconcile(t.Context(), request())
			assert.NilError(t, err)
			assert.Equal(t, claimIn(t, kube, "a").Status.Address, row.gets)
		})
	}
}

// TestAnAddressThatComesBack makes the claim that lost it ready again, but not while the
// ENI does not show it, or another claim, which got it in between, still holds it.
func TestAnAddressThatComesBack(t *testing.T) {
	wiped := func(f *fixture) { f.enis[0].Status = v1alpha1.ElasticNetworkInterfaceStatus{} }
	nothing := func(*fixture) {}
	for _, row := range []struct {
		name   string
		change func(*fixture)
		there  func(*v1alpha1.ENIClaim)
		ready  bool
	}{
		{"nobody else has it", nothing, inPhase(v1alpha1.ClaimLost), true},
		{"another claim got it and holds it", nothing, boundTo(2, "10.0.1.1"), false},
		{"the status of the ENI was wiped", wiped, inPhase(v1alpha1.ClaimLost), false},
		{"the ENI shows other addresses", func(f *fixture) { f.enis[0].Status.Addresses = addresses(1, 2, 1) }, inPhase(v1alpha1.ClaimLost), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture().bounds(0, 0, 20).eni(1, 1, 1).holds(1, map[string]int{"a": 1}).lastClaim(func(claim *v1alpha1.ENIClaim) {
				claim.Status.NetworkInterfaceID = "eni-1"
				applyVerdict(claim, verdict{phase: v1alpha1.ClaimBound, reason: v1alpha1.ReasonAddressLost, lost: true}, ago(0))
			})
			f.claim("there", time.Hour, row.there)
			there := f.claims[1].DeepCopy()
			there.Spec.NodeName = "another-node"
			there.Status.SubnetCIDR = f.enis[0].Status.SubnetCIDR
			row.change(f)
			kube := cluster(t, interceptor.Funcs{}, storedPool(f), &f.enis[0], &f.claims[0], there, nodeWith(thisInstance))
			r := reconcilerOn(t, &cloud{}, kube, kube)
			_, err := r.Reconcile(t.Context(), request())
			assert.NilError(t, err)

			claim := claimIn(t, kube, "a")
			assert.Equal(t, isTrue(claim.Status.Conditions, v1alpha1.ConditionReady), row.ready)
			assert.Equal(t, isTrue(claim.Status.Conditions, v1alpha1.ConditionAddressLost), !row.ready)
			assert.Equal(t, claim.Status.Address, "10.0.1.1")
		})
	}
}

// TestWaitForAnAddressHeldElsewhere: a claim that waits for nothing else is looked at again.
func TestWaitForAnAddressHeldElsewhere(t *testing.T) {
	f := newFixture().bounds(0, 0, 1).exclusive(0, 0, 1).eni(1, 1, 1).exclusiveENI(2).claimsNamed("a").claim("b", time.Minute, wantsENI)
	f.elsewhere = map[v1alpha1.Address]bool{
		"10.0.1.1": true, v1alpha1.Address(f.enis[1].Status.PrimaryAddress): true,
	}
	d := plan(f.observation)
	assert.Equal(t, holding(d), "")
	assert.Equal(t, d.recheck, elsewhereRecheck)

	f.elsewhere = nil
	assert.Equal(t, holding(plan(f.observation)), "a:10.0.1.1 b:-2")
}

// TestAnAddressShownElsewhereIsNoSupply expects a pool to take one more where a claim waits
// and the only free address is one that another claim shows on another ENI.
func TestAnAddressShownElsewhereIsNoSupply(t *testing.T) {
	f := newFixture().bounds(0, 0, 20).eni(1, 1, 2).holds(1, map[string]int{"a": 1}).claim("b", 0)
	assert.Equal(t, len(plan(f.observation).counts), 0, "b gets the second address")
	f.elsewhere = map[v1alpha1.Address]bool{"10.0.1.2": true}
	assert.DeepEqual(t, plan(f.observation).counts, map[string]int32{eniName(1): 3})
}

// TestAnENIThatIsNotHereServesNobody: EC2 shows an ENI elsewhere than its resource does, as
// after somebody moved it while no operator was running.
func TestAnENIThatIsNotHereServesNobody(t *testing.T) {
	for _, row := range []struct {
		name       string
		attachment *ec2.Attachment
		shown      bool
		gets       string
	}{
		{"it is here", &ec2.Attachment{InstanceID: instanceID}, true, "10.0.1.1"},
		{"nothing is known of it", nil, false, "10.0.1.1"},
		{"it is on another instance", &ec2.Attachment{InstanceID: "i-other"}, true, ""},
		{"it is on none", nil, true, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture().bounds(0, 0, 20).limit(2, 10).eni(1, 1, 2).claimsNamed("a")
			api := &cloud{}
			if row.shown {
				api.enis = []ec2.NetworkInterface{{ID: f.enis[0].Status.NetworkInterfaceID, Attachment: row.attachment}}
			}
			kube := cluster(t, interceptor.Funcs{}, storedPool(f), &f.enis[0], &f.claims[0], nodeWith(thisInstance))
			r := reconcilerOn(t, api, kube, kube)
			result, err := r.Reconcile(t.Context(), request())
			assert.NilError(t, err)
			assert.Equal(t, claimIn(t, kube, "a").Status.Address, row.gets)
			if row.gets == "" {
				assert.Equal(t, result.RequeueAfter, elsewhereRecheck)
			}
		})
	}
}
