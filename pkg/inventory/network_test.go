/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// network has three subnets: two of zone a (one of them small) and one of zone b.
func network(t *testing.T) (w *world, small, other string) {
	t.Helper()
	w = newWorld(t, emulator.Options{})
	small = first(t, w.ec2("CreateSubnet", "VpcId", w.vpc, "AvailabilityZone", region+"a", "CidrBlock", "10.0.1.0/28"), "subnetId")
	other = first(t, w.ec2("CreateSubnet", "VpcId", w.vpc, "AvailabilityZone", region+"b", "CidrBlock", "10.0.2.0/24"), "subnetId")
	for id, name := range map[string]string{w.subnet: "large", small: "small", other: "other"} {
		w.ec2("CreateTags", "ResourceId.1", id, "Tag.1.Key", "role", "Tag.1.Value", "pods", "Tag.2.Key", "name", "Tag.2.Value", name)
	}
	w.server.ResetCalls()
	return w, small, other
}

func ids(subnets []ec2.Subnet) []string {
	out := []string{}
	for _, subnet := range subnets {
		out = append(out, subnet.ID)
	}
	return out
}

func TestSubnetsByTerms(t *testing.T) {
	w, small, other := network(t)
	for _, test := range []struct {
		name  string
		zone  string
		terms []Term
		want  []string
	}{
		{"by id", "a", []Term{{ID: small}}, []string{small}},
		{"by tags, the emptiest first", "a", []Term{{Tags: map[string]string{"role": "pods"}}}, []string{w.subnet, small}},
		{"by a tag's key", "a", []Term{{Tags: map[string]string{"role": "*"}}}, []string{w.subnet, small}},
		{"only of the zone", "b", []Term{{Tags: map[string]string{"role": "pods"}}}, []string{other}},
		{"fields of a term are ANDed", "a", []Term{{Tags: map[string]string{"role": "pods", "name": "small"}}}, []string{small}},
		{"terms are ORed, and none counts twice", "a", []Term{{ID: small}, {Tags: map[string]string{"role": "pods"}}}, []string{w.subnet, small}},
		{"no wildcards in values", "a", []Term{{Tags: map[string]string{"role": "po*"}}}, []string{}},
		{"another VPC's", "a", []Term{{ID: "subnet-0123456789abcdef0"}}, []string{}},
		{"no term, no subnet", "a", nil, []string{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			subnets, err := w.Subnets(w.ctx, w.vpc, region+test.zone, test.terms)
			assert.NilError(t, err)
			assert.DeepEqual(t, ids(subnets), test.want)
		})
	}
}

func TestSecurityGroupsByTerms(t *testing.T) {
	w, _, _ := network(t)
	group := first(t, w.ec2("CreateSecurityGroup", "VpcId", w.vpc, "GroupName", "pods", "GroupDescription", "x"), "groupId")
	groups, err := w.SecurityGroups(w.ctx, w.vpc, []Term{{Name: "pods"}, {ID: group}})
	assert.NilError(t, err)
	assert.DeepEqual(t, groups, []string{group})
	groups, err = w.SecurityGroups(w.ctx, w.vpc, []Term{{Name: "nodes"}})
	assert.NilError(t, err)
	assert.Equal(t, len(groups), 0)
}

func TestNetworkAnswersAge(t *testing.T) {
	w, _, _ := network(t)
	ask := func(role string) int {
		subnets, err := w.Subnets(w.ctx, w.vpc, region+"a", []Term{{Tags: map[string]string{"role": role}}})
		assert.NilError(t, err)
		return len(subnets)
	}
	assert.Equal(t, ask("pods"), 2)
	w.clk.Step(59 * time.Second)
	assert.Equal(t, ask("pods"), 2)
	assert.Equal(t, w.calls("DescribeSubnets"), 1)
	w.clk.Step(time.Second)
	assert.Equal(t, ask("pods"), 2)
	assert.Equal(t, w.calls("DescribeSubnets"), 2)

	assert.Equal(t, ask("new"), 0)
	w.ec2("CreateTags", "ResourceId.1", w.subnet, "Tag.1.Key", "role", "Tag.1.Value", "new")
	assert.Equal(t, ask("new"), 1, "what was not found is asked for again")
}

// TestTermsAreNotMixedUp: two terms that print alike are two questions.
func TestTermsAreNotMixedUp(t *testing.T) {
	w, _, _ := network(t)
	w.ec2("CreateTags", "ResourceId.1", w.subnet, "Tag.1.Key", "x", "Tag.1.Value", "1 y:2")
	subnets, err := w.Subnets(w.ctx, w.vpc, region+"a", []Term{{Tags: map[string]string{"x": "1 y:2"}}})
	assert.NilError(t, err)
	assert.Equal(t, len(subnets), 1)
	subnets, err = w.Subnets(w.ctx, w.vpc, region+"a", []Term{{Tags: map[string]string{"x": "1", "y": "2"}}})
	assert.NilError(t, err)
	assert.Equal(t, len(subnets), 0)
}

func TestFailingNetworkReadIsNotRemembered(t *testing.T) {
	w, _, _ := network(t)
	terms := []Term{{ID: w.subnet}, {Tags: map[string]string{"role": "pods"}}}
	w.server.AddFault(emulator.Fault{Action: "DescribeSubnets", Params: map[string]string{"Filter.1.Name": "tag:role"}, Code: "InternalError", Status: 500, Count: 1})
	_, err := w.Subnets(w.ctx, w.vpc, region+"a", terms)
	assert.Equal(t, ec2.Code(err), "InternalError")
	subnets, err := w.Subnets(w.ctx, w.vpc, region+"a", terms)
	assert.NilError(t, err)
	assert.Equal(t, len(subnets), 2)
}

func TestSubnetIsReadOnce(t *testing.T) {
	w, _, _ := network(t)
	for range 2 {
		subnet, found, err := w.Subnet(w.ctx, w.subnet)
		assert.NilError(t, err)
		assert.Assert(t, found)
		assert.Equal(t, subnet.CIDR.String(), "10.0.0.0/24")
	}
	assert.Equal(t, w.calls("DescribeSubnets"), 1)
	foreignENI(w)
	fresh, _, err := w.RefreshSubnet(w.ctx, w.subnet)
	assert.NilError(t, err)
	assert.Equal(t, fresh.FreeAddresses, int32(250))
	_, found, err := w.Subnet(w.ctx, "subnet-0123456789abcdef0")
	assert.Assert(t, err == nil && !found)
}

// TestRoomIsCountedByOurOwnCalls: between two reads of a subnet our calls take from
// it, those on their way included.
func TestRoomIsCountedByOurOwnCalls(t *testing.T) {
	w, small, _ := network(t)
	terms := []Term{{Tags: map[string]string{"role": "pods"}}}
	free := func() map[string]int32 {
		subnets, err := w.Subnets(w.ctx, w.vpc, region+"a", terms)
		assert.NilError(t, err)
		out := map[string]int32{}
		for _, subnet := range subnets {
			out[subnet.ID] = subnet.FreeAddresses
		}
		return out
	}
	before := free()
	eni, err := w.Create(w.ctx, ec2.CreateInput{SubnetID: small, AddressCount: 2, Tags: tags("a"), ClientToken: "a"})
	assert.NilError(t, err)
	assert.NilError(t, w.assign(eni.ID, ec2.AssignInput{AddressCount: 3}))
	assert.Equal(t, free()[small], before[small]-6, "an ENI with two addresses, and three more")

	done := w.reserve(small, 4, 0)
	assert.Equal(t, free()[small], before[small]-10, "a call on its way")
	done(errors.New("refused"))
	assert.Equal(t, free()[small], before[small]-6)

	both := []string{small, w.subnet}
	assert.DeepEqual(t, w.PreferRoom(both, before[small]-6), both)
	assert.DeepEqual(t, w.PreferRoom(both, before[small]-5), []string{w.subnet, small})
	w.clk.Step(time.Minute)
	assert.DeepEqual(t, w.PreferRoom(both, before[small]-5), both) // Old knowledge is none.
}

// TestAFullSubnetRests: EC2 said so once, and nobody else needs to find out.
func TestAFullSubnetRests(t *testing.T) {
	w, small, _ := network(t)
	_, err := w.Subnets(w.ctx, w.vpc, region+"a", []Term{{Tags: map[string]string{"role": "pods"}}})
	assert.NilError(t, err)
	w.server.AddFault(emulator.Fault{Action: "CreateNetworkInterface", Code: "InsufficientFreeAddressesInSubnet", Count: 1})
	_, err = w.Create(w.ctx, ec2.CreateInput{SubnetID: small, Tags: tags("a"), ClientToken: "a"})
	assert.Equal(t, ec2.Classify(err), ec2.ClassCapacity)
	assert.DeepEqual(t, w.PreferRoom([]string{small, w.subnet}, 1), []string{w.subnet, small})
}

// slowNetwork answers after a while, and counts.
type slowNetwork struct {
	stub
	asked atomic.Int32
}

func (s *slowNetwork) DescribeSubnets(context.Context, ...ec2.Filter) ([]ec2.Subnet, error) {
	s.asked.Add(1)
	time.Sleep(50 * time.Millisecond)
	return []ec2.Subnet{{ID: "subnet-1", AvailabilityZone: "a"}}, nil
}

// TestManyAskForTheSameNetworkOnce, as all pools do when the operator starts.
func TestManyAskForTheSameNetworkOnce(t *testing.T) {
	api := &slowNetwork{}
	inv := New(api, Options{NetworkTTL: time.Minute})
	var done sync.WaitGroup
	for range 256 {
		done.Go(func() {
			subnets, err := inv.Subnets(t.Context(), "vpc-1", "a", []Term{{ID: "subnet-1"}})
			assert.Check(t, err == nil && len(subnets) == 1)
		})
	}
	done.Wait()
	assert.Equal(t, api.asked.Load(), int32(1))
}

// TestPoliciesThatShareATerm: it is asked for once, whatever else they select by. A term that
// finds nothing is asked for again only while no other one finds anything.
func TestPoliciesThatShareATerm(t *testing.T) {
	w, small, _ := network(t)
	pods, byID, nothing := Term{Tags: map[string]string{"role": "pods"}}, Term{ID: small}, Term{Tags: map[string]string{"role": "none"}}
	for _, row := range []struct {
		terms        []Term
		found, asked int
	}{
		{[]Term{pods, byID}, 2, 2},
		{[]Term{pods}, 2, 0},
		{[]Term{byID, nothing}, 1, 1},
		{[]Term{nothing, pods}, 2, 0},
		{[]Term{nothing}, 0, 1},
		{[]Term{nothing}, 0, 1},
		{[]Term{pods, byID, nothing}, 2, 0},
	} {
		w.server.ResetCalls()
		subnets, err := w.Subnets(w.ctx, w.vpc, region+"a", row.terms)
		assert.NilError(t, err)
		assert.Equal(t, len(subnets), row.found)
		assert.Equal(t, w.calls("DescribeSubnets"), row.asked, "%v", row.terms)
	}
}

// TestAnAuditAsksAgainWhatTermsFind, and forgets what nobody asks for any more.
func TestAnAuditAsksAgainWhatTermsFind(t *testing.T) {
	w, small, _ := network(t)
	_, err := w.Subnets(w.ctx, w.vpc, region+"a", []Term{{Tags: map[string]string{"role": "pods"}}})
	assert.NilError(t, err)
	assert.Equal(t, len(w.sweep()), 0)
	w.ec2("CreateTags", "ResourceId.1", small, "Tag.1.Key", "role", "Tag.1.Value", "nodes")
	assert.DeepEqual(t, w.sweep(), []Change{{Network: true, VPCID: w.vpc}})
	for range needlessAudits {
		assert.Equal(t, len(w.sweep()), 0)
	}
	assert.Equal(t, len(w.networks)+len(w.flights), 0)
}
