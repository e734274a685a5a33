/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package audit

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

func TestRefereeSeesWhatIsHeldTwice(t *testing.T) {
	r := &Referee{holds: map[types.UID][]string{}, holder: map[string]*v1alpha1.ENIClaim{}}
	holding := func(name, address string) *v1alpha1.ENIClaim {
		return &v1alpha1.ENIClaim{
			ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}, Status: v1alpha1.ENIClaimStatus{Address: address},
		}
	}
	r.see(holding("a", "10.0.0.1"), false)
	r.see(holding("a", "10.0.0.1"), false)
	r.see(holding("b", "10.0.0.2"), false)
	r.see(holding("a", ""), false)
	r.see(holding("c", "10.0.0.1"), false)
	r.see(holding("b", "10.0.0.2"), true)
	r.see(holding("d", "10.0.0.2"), false)
	assert.Equal(t, len(r.Fouls()), 0)
	r.see(holding("e", "10.0.0.2"), false)
	assert.DeepEqual(t, r.Fouls(), []string{"10.0.0.2 was held by the claims d and e at once"})
}

// TestCollectedCountsWhatWasThere: a stale read may show the collector an ENI that
// its controller has deleted, and deleting it again is no sign of a leak.
func TestCollectedCountsWhatWasThere(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	deleted := func(id, code string, when time.Time) emulator.Call {
		return emulator.Call{Action: "DeleteNetworkInterface", ResourceIDs: []string{id}, ErrorCode: code, Time: when}
	}
	found := Collected([]Collection{{"eni-1", at}, {"eni-2", at}, {"eni-2", at.Add(time.Second)}, {"eni-3", at}}, []emulator.Call{
		deleted("eni-1", "", at.Add(-time.Second)), deleted("eni-1", "InvalidNetworkInterfaceID.NotFound", at.Add(time.Second)),
		deleted("eni-2", "InternalError", at.Add(time.Second)), deleted("eni-2", "", at.Add(2*time.Second)),
	})
	assert.Equal(t, len(found), 1)
	assert.Assert(t, strings.Contains(found[0], "eni-2"), found[0])
}

func TestLeaksAndHolders(t *testing.T) {
	seen := View{
		Ours: map[string]ec2types.NetworkInterface{
			"eni-1": {PrivateIpAddress: aws.String("10.0.0.1"), PrivateIpAddresses: []ec2types.NetworkInterfacePrivateIpAddress{
				{PrivateIpAddress: aws.String("10.0.0.1"), Primary: aws.Bool(true)}, {PrivateIpAddress: aws.String("10.0.0.2")},
			}},
			"eni-2": {},
		},
		Resources: []v1alpha1.ElasticNetworkInterface{{Status: v1alpha1.ElasticNetworkInterfaceStatus{NetworkInterfaceID: "eni-1"}}},
		Claims: []v1alpha1.ENIClaim{{
			ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "a"},
			Status:     v1alpha1.ENIClaimStatus{Phase: v1alpha1.ClaimBound, Address: "10.0.0.2", NetworkInterfaceID: "eni-1"},
		}},
		Pools: []v1alpha1.ENIPool{{Status: v1alpha1.ENIPoolStatus{Addresses: []v1alpha1.PoolAddress{
			{Address: "10.0.0.2", State: v1alpha1.HolderAllocated, Claim: &v1alpha1.ClaimReference{UID: "a"}},
		}}}},
	}
	assert.Equal(t, len(Leaks(seen)), 1)
	assert.Equal(t, len(HeldTwice(seen)), 0)

	seen.Claims = append(seen.Claims, seen.Claims[0])
	seen.Claims[1].UID = "b"
	assert.Equal(t, len(HeldTwice(seen)), 3, "held twice, not as recorded, and too many")
	seen.Claims = seen.Claims[:1]
	seen.Claims[0].Status.Address = "10.0.0.3"
	assert.Equal(t, len(HeldTwice(seen)), 2, "not as recorded, and not in EC2")
}

func TestUnpaired(t *testing.T) {
	standing := func(id string) v1alpha1.ElasticNetworkInterface {
		return v1alpha1.ElasticNetworkInterface{Status: v1alpha1.ElasticNetworkInterfaceStatus{NetworkInterfaceID: id}}
	}
	seen := View{Ours: map[string]ec2types.NetworkInterface{"eni-1": {}}, Resources: []v1alpha1.ElasticNetworkInterface{standing("eni-1")}}
	assert.Equal(t, len(Unpaired(seen)), 0)
	seen.Resources = append(seen.Resources, standing("eni-1"), standing("eni-2"))
	assert.Equal(t, len(Unpaired(seen)), 2, "one twice, and one that is not there")
}

// EC2 answers the lists in an ENI in any order: that is no change of the ENI.
func TestText(t *testing.T) {
	text := func(groups, addresses, keys []string) string {
		eni := ec2types.NetworkInterface{NetworkInterfaceId: aws.String("eni-1")}
		for _, group := range groups {
			eni.Groups = append(eni.Groups, ec2types.GroupIdentifier{GroupId: aws.String(group)})
		}
		for _, address := range addresses {
			eni.PrivateIpAddresses = append(eni.PrivateIpAddresses, ec2types.NetworkInterfacePrivateIpAddress{PrivateIpAddress: aws.String(address)})
		}
		for _, key := range keys {
			eni.TagSet = append(eni.TagSet, ec2types.Tag{Key: aws.String(key)})
		}
		return Text(eni)
	}

	before := text([]string{"sg-1", "sg-2"}, []string{"10.0.0.1", "10.0.0.2"}, []string{"a", "b"})
	assert.Equal(t, text([]string{"sg-2", "sg-1"}, []string{"10.0.0.2", "10.0.0.1"}, []string{"b", "a"}), before)
	assert.Check(t, text([]string{"sg-2"}, []string{"10.0.0.2", "10.0.0.1"}, []string{"b", "a"}) != before)
}
