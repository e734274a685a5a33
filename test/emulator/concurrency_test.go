/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestConcurrentClients lets several clients live through the lives of ENIs on
// instances of their own in one subnet, while the server is steered, and asserts
// that the account balances in the end.
func TestConcurrentClients(t *testing.T) {
	const clients, rounds = 8, 5
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/22")
	free := w.free(subnetID)
	t.Run("at once", func(t *testing.T) {
		for n := range clients {
			instanceID := *w.run(subnetID, types.InstanceTypeM5Large).InstanceId
			t.Run(strconv.Itoa(n), func(t *testing.T) {
				t.Parallel()
				for range rounds {
					w.in(t).liveThrough(subnetID, instanceID)
				}
			})
		}
		t.Run("steering", func(t *testing.T) {
			t.Parallel()
			for range rounds * clients {
				w.steer()
			}
		})
	})
	assert.Equal(t, w.free(subnetID), free-clients)
	assert.Equal(t, w.countENIs(), clients)
	assert.Equal(t, w.server.Counts()["DeleteNetworkInterface"].Calls, clients*rounds)
}

// in is the same world in a subtest.
func (w *world) in(t *testing.T) *world {
	sub := *w
	sub.t = t
	return &sub
}

// steer uses all that tests steer a server with, to no effect.
func (w *world) steer() {
	w.server.AddFault(emulator.Fault{Action: "DescribeRegions", Code: "Unavailable"})()
	w.server.Deny("DeleteVpc")
	w.server.Allow("DeleteVpc")
	w.server.SetStaleReads(emulator.StaleReads{})
	w.server.SetThrottling(false)
	w.server.RefillBuckets()
	w.server.SetSick("us-east-1", noInstance, true)
	w.server.Calls()
	w.server.Counts()
}

// liveThrough creates an ENI, attaches it, gives it addresses, and deletes it.
func (w *world) liveThrough(subnetID, instanceID string) {
	id := w.eni(subnetID)
	attachmentID := w.attach(id, instanceID, 1)
	w.assign(id, count(3))
	w.assign(id, prefixCount(1))
	must(w.CreateTags(w.ctx(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: []types.Tag{tag("a", "b")}}))
	must(w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{MaxResults: aws.Int32(5)}))
	must(w.DescribeInstances(w.ctx(), &ec2.DescribeInstancesInput{InstanceIds: []string{instanceID}}))
	must(w.DetachNetworkInterface(w.ctx(), &ec2.DetachNetworkInterfaceInput{AttachmentId: &attachmentID}))
	must(w.DeleteNetworkInterface(w.ctx(), &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &id}))
}
