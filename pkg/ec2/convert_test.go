/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
)

func TestParseProviderID(t *testing.T) {
	for _, test := range []struct {
		name, providerID, want string
		kind                   ProviderIDKind
	}{
		{"regular", "aws:///us-east-1a/i-0123456789abcdef0", "i-0123456789abcdef0", ProviderIDInstance},
		{"short id", "aws:///us-east-1a/i-01234567", "i-01234567", ProviderIDInstance},
		{"no zone", "aws:///i-0123456789abcdef0", "i-0123456789abcdef0", ProviderIDInstance},
		{"a local zone", "aws:///us-west-2-lax-1a/i-0123456789abcdef0", "i-0123456789abcdef0", ProviderIDInstance},
		{"Fargate", "aws:///us-east-1a/3ad2cbbf5a-0aeb4de0/fargate-ip-10-0-1-17.ec2.internal", "", ProviderIDOther},
		{"hybrid", "eks-hybrid:///us-west-2/my-cluster/mi-0123456789abcdef0", "", ProviderIDOther},
		{"GCE", "gce://project/zone/vm", "", ProviderIDOther},
		{"kind", "kind://docker/kind/kind-control-plane", "", ProviderIDOther},
		{"empty", "", "", ProviderIDUnusable},
		{"no instance", "aws:///us-east-1a/", "", ProviderIDUnusable},
		{"scheme only", "aws://", "", ProviderIDUnusable},
		{"too short", "aws:///us-east-1a/i-0123", "", ProviderIDUnusable},
		{"between the lengths", "aws:///us-east-1a/i-0123456789abcdef", "", ProviderIDUnusable},
		{"capitals", "aws:///us-east-1a/i-0123456789ABCDEF0", "", ProviderIDUnusable},
		{"something after", "aws:///us-east-1a/i-0123456789abcdef0/x", "", ProviderIDUnusable},
		{"a managed instance of SSM", "aws:///us-east-1a/mi-0123456789abcdef0", "", ProviderIDUnusable},
	} {
		t.Run(test.name, func(t *testing.T) {
			id, kind := ParseProviderID(test.providerID)
			assert.Equal(t, id, test.want)
			assert.Equal(t, kind, test.kind)
		})
	}
}

func TestSlots(t *testing.T) {
	large := InstanceType{CardENIs: []int32{3}}
	assert.DeepEqual(t, large.Slots(1), []Slot{{0, 1}, {0, 2}})
	assert.DeepEqual(t, large.Slots(0), large.Slots(1)) // the primary ENI's place is never ours
	assert.DeepEqual(t, large.Slots(2), []Slot{{0, 2}})
	assert.Equal(t, len(large.Slots(3)), 0)
	assert.Equal(t, len(InstanceType{}.Slots(1)), 0)

	cards := InstanceType{CardENIs: []int32{15, 15, 15, 15}}
	slots := cards.Slots(1)
	assert.Equal(t, len(slots), 14+3*15, "all but the primary ENI")
	perCard, seen := map[int32]int{}, map[Slot]bool{}
	for _, slot := range slots {
		perCard[slot.NetworkCardIndex]++
		assert.Assert(t, !seen[slot] && slot.DeviceIndex >= 1)
		seen[slot] = true
	}
	assert.DeepEqual(t, perCard, map[int32]int{0: 14, 1: 15, 2: 15, 3: 15})
	assert.Equal(t, slots[0], Slot{0, 1}, "the lowest first")
}

func TestTags(t *testing.T) {
	owner := Ownership{
		Cluster: "c", ClusterUID: "cu", Name: "n", UID: "u", Node: "node", DeletionPolicy: "Retain",
		CreatedAt: time.Date(2026, 1, 2, 4, 4, 5, 999, time.FixedZone("", 3600)), NoManage: true,
	}
	extra := map[string]string{"team": "a", TagUID: "forged", TagNoManage: "false"}
	assert.DeepEqual(t, owner.Tags(extra), map[string]string{
		"team": "a", TagCluster: "c", TagClusterUID: "cu", TagName: "n", TagUID: "u", TagNode: "node",
		TagDeletionPolicy: "Retain", TagCreatedAt: "2026-01-02T03:04:05Z", TagNoManage: "true",
	})
	assert.Equal(t, extra[TagUID], "forged", "the caller's own map stays")
	owner.NoManage = false
	_, has := owner.Tags(nil)[TagNoManage]
	assert.Assert(t, !has)
}

func TestConvertsWhatIsNotThere(t *testing.T) {
	assert.DeepEqual(t, fromNetworkInterface(nil), NetworkInterface{})
	assert.Assert(t, fromNetworkInterface(&types.NetworkInterface{}).Attachment == nil)
	assert.Assert(t, !fromSubnet(&types.Subnet{}).CIDR.IsValid())
	assert.Assert(t, !fromSubnet(&types.Subnet{CidrBlock: aws.String("")}).CIDR.IsValid())
	empty := fromInstance(&types.Instance{})
	assert.Assert(t, empty.Interfaces != nil && !empty.Gone())
	for state, gone := range map[types.InstanceStateName]bool{
		"pending": false, "running": false, "stopping": false, "stopped": false, "shutting-down": true, "terminated": true,
	} {
		assert.Equal(t, fromInstance(&types.Instance{State: &types.InstanceState{Name: state}}).Gone(), gone, state)
	}
	noCards := fromInstanceType(&types.InstanceTypeInfo{NetworkInfo: &types.NetworkInfo{MaximumNetworkInterfaces: aws.Int32(3)}})
	assert.DeepEqual(t, noCards.CardENIs, []int32{3})
	assert.Equal(t, fromInstanceType(&types.InstanceTypeInfo{}).MaxENIs, int32(0))
}

func TestConvertsSorted(t *testing.T) {
	eni := fromNetworkInterface(&types.NetworkInterface{
		PrivateIpAddresses: []types.NetworkInterfacePrivateIpAddress{
			{PrivateIpAddress: aws.String("10.0.0.9")}, {PrivateIpAddress: aws.String("10.0.0.4"), Primary: aws.Bool(true)},
			{PrivateIpAddress: aws.String("10.0.0.5")},
		},
		Ipv4Prefixes: []types.Ipv4PrefixSpecification{{Ipv4Prefix: aws.String("10.0.1.16/28")}, {Ipv4Prefix: aws.String("10.0.1.0/28")}},
		Groups:       []types.GroupIdentifier{{GroupId: aws.String("sg-2")}, {GroupId: aws.String("sg-1")}},
	})
	assert.DeepEqual(t, eni.Addresses, []string{"10.0.0.5", "10.0.0.9"})
	assert.DeepEqual(t, eni.Prefixes, []string{"10.0.1.0/28", "10.0.1.16/28"})
	assert.DeepEqual(t, eni.SecurityGroups, []string{"sg-1", "sg-2"})
}

// TestCardsThatTakeNoPlainENIs have no slots.
func TestCardsThatTakeNoPlainENIs(t *testing.T) {
	card := func(kinds ...types.NetworkCardInterfaceType) types.NetworkCardInfo {
		return types.NetworkCardInfo{MaximumNetworkInterfaces: aws.Int32(2), InterfaceTypes: kinds}
	}
	limits := fromInstanceType(&types.InstanceTypeInfo{NetworkInfo: &types.NetworkInfo{NetworkCards: []types.NetworkCardInfo{
		card(), card(types.NetworkCardInterfaceTypeEfaOnly), card(types.NetworkCardInterfaceTypeEfa, types.NetworkCardInterfaceTypeInterface),
	}}})
	assert.DeepEqual(t, limits.CardENIs, []int32{2, 0, 2})
	assert.DeepEqual(t, limits.Slots(1), []Slot{{0, 1}, {2, 1}, {2, 2}})
}
