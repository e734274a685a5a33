/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

func built(spec v1alpha1.ElasticNetworkInterfaceSpec) desired {
	spec.NodeName = nodeName
	return build(
		Identity{Cluster: "prod", ClusterUID: clusterUID, NoManage: true},
		&v1alpha1.ElasticNetworkInterface{ObjectMeta: metav1.ObjectMeta{Name: eniName, UID: eniUID}, Spec: spec},
		ec2.Instance{SubnetID: "subnet-primary", SecurityGroups: []string{"sg-p1", "sg-p2"}},
	)
}

func TestBuildTakesThePrimaryENIsPlace(t *testing.T) {
	d := built(v1alpha1.ElasticNetworkInterfaceSpec{})
	assert.DeepEqual(t, d.subnetIDs, []string{"subnet-primary"})
	assert.DeepEqual(t, d.securityGroups, []string{"sg-p1", "sg-p2"})
	assert.Assert(t, d.keepGroups)
	assert.Equal(t, d.description, "ENI Operator: node-a-eth1 on node-a")
}

func TestBuildTakesTheSpecsWishes(t *testing.T) {
	d := built(v1alpha1.ElasticNetworkInterfaceSpec{
		SubnetIDs: []v1alpha1.SubnetID{"subnet-2", "subnet-1"}, SecurityGroupIDs: []v1alpha1.SecurityGroupID{"sg-2", "sg-1"},
		AddressCount: 3, Description: "mine", DeletionPolicy: v1alpha1.DeletionPolicyRetain,
		Tags: map[string]v1alpha1.TagValue{"team": "a", ec2.TagUID: "forged"},
	})
	assert.DeepEqual(t, d.subnetIDs, []string{"subnet-2", "subnet-1"}) // the best first
	assert.DeepEqual(t, d.securityGroups, []string{"sg-1", "sg-2"})    // as EC2's are compared
	assert.Assert(t, !d.keepGroups && d.addressCount == 3 && d.description == "mine")
	assert.DeepEqual(t, d.tags, map[string]string{
		"team": "a", ec2.TagCluster: "prod", ec2.TagClusterUID: clusterUID, ec2.TagName: eniName, ec2.TagUID: string(eniUID),
		ec2.TagNode: nodeName, ec2.TagDeletionPolicy: "Retain", ec2.TagNoManage: "true",
	})
}

// TestDescriptionIsCutByCharacters, for half a character is none.
func TestDescriptionIsCutByCharacters(t *testing.T) {
	d := built(v1alpha1.ElasticNetworkInterfaceSpec{Description: strings.Repeat("é", 255)})
	assert.Equal(t, d.description, strings.Repeat("é", 255))
	d = built(v1alpha1.ElasticNetworkInterfaceSpec{Description: strings.Repeat("é", 300)})
	assert.Assert(t, utf8.ValidString(d.description))
	assert.Equal(t, utf8.RuneCountInString(d.description), 255)
}

// TestTheSameRecordIsTheSameCall, also after it was stored and read again, in
// another time zone.
func TestTheSameRecordIsTheSameCall(t *testing.T) {
	d := built(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3, Tags: map[string]v1alpha1.TagValue{"team": "a"}})
	now := time.Date(2026, 3, 4, 5, 6, 7, 890_000_000, time.FixedZone("", 7200))
	record := newRecord(d, 2, "subnet-1", now)
	call := createInput(eniUID, &record)

	stored, err := json.Marshal(record)
	assert.NilError(t, err)
	var again v1alpha1.CreationRecord
	assert.NilError(t, json.Unmarshal(stored, &again))
	assert.DeepEqual(t, createInput(eniUID, &again), call)

	assert.Equal(t, call.ClientToken, string(eniUID)+"-2")
	assert.Assert(t, len(call.ClientToken) <= 64, "EC2's limit")
	assert.Equal(t, call.Tags[ec2.TagCreatedAt], "2026-03-04T03:06:07Z")
	assert.Equal(t, call.Tags[ec2.TagCreatedAt], record.StartedAt.UTC().Format(time.RFC3339))
	assert.Equal(t, call.SubnetID, "subnet-1")
	assert.Equal(t, call.AddressCount, int32(3))
	assert.DeepEqual(t, call.SecurityGroups, d.securityGroups)

	d.tags["team"] = "b" // what is wished for later does not change the call
	assert.DeepEqual(t, createInput(eniUID, &record), call)
}

// TestTheTokenSaysOwnerAndAttempt, and nothing else.
func TestTheTokenSaysOwnerAndAttempt(t *testing.T) {
	token := func(uid string, attempt int32, subnet string, at time.Time) string {
		record := newRecord(built(v1alpha1.ElasticNetworkInterfaceSpec{}), attempt, subnet, at)
		owner := eniUID
		if uid != "" {
			owner = "another"
		}
		return createInput(owner, &record).ClientToken
	}
	base := token("", 1, "subnet-1", start)
	assert.Equal(t, token("", 1, "subnet-2", start.Add(time.Hour)), base)
	assert.Assert(t, token("", 2, "subnet-1", start) != base)
	assert.Assert(t, token("x", 1, "subnet-1", start) != base)
}

// TestTheOwnDescriptionIsOneThatEC2Permits, whatever names Kubernetes permits.
func TestTheOwnDescriptionIsOneThatEC2Permits(t *testing.T) {
	permitted := regexp.MustCompile(`^[a-zA-Z0-9. _:/()#,@\[\]+=&;{}!$*-]{1,255}$`)
	longest := strings.Repeat("a-1.", 63) + "z" // 253 characters, as many as a name has.
	for _, name := range []string{"node-a-eth1", "ip-10-0-1-17.ec2.internal", longest} {
		eni := &v1alpha1.ElasticNetworkInterface{}
		eni.Name = name
		eni.Spec.NodeName = name
		made := build(Identity{}, eni, ec2.Instance{}).description
		assert.Assert(t, permitted.MatchString(made), "%q", made)
	}
}
