/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// tokenInput is a CreateNetworkInterface with a client token.
func tokenInput(subnetID string) *ec2.CreateNetworkInterfaceInput {
	return &ec2.CreateNetworkInterfaceInput{
		SubnetId: &subnetID, ClientToken: aws.String("token-1"), TagSpecifications: tagged(tag("owner", "a")),
	}
}

func TestClientTokenAnswersWithTheSameENI(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	first := w.create(tokenInput(subnetID))
	again := w.create(tokenInput(subnetID))
	assert.Equal(t, *again.NetworkInterfaceId, *first.NetworkInterfaceId)
	assert.Equal(t, w.free(subnetID), int32(250))

}

// TestClientTokenComparesArguments repeats a request with a client token in another
// form: either it is the same to EC2, or it is refused.
func TestClientTokenComparesArguments(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	vpcID := *must(w.DescribeSubnets(w.ctx(), &ec2.DescribeSubnetsInput{SubnetIds: []string{subnetID}})).Subnets[0].VpcId
	one, two := w.group(vpcID, "one"), w.group(vpcID, "two")
	input := func() *ec2.CreateNetworkInterfaceInput {
		input := tokenInput(subnetID)
		input.Groups, input.Description, input.SecondaryPrivateIpAddressCount = []string{one, two}, aws.String("d"), aws.Int32(2)
		return input
	}
	first := w.create(input())
	const wrong = "Wrong arguments for token: token-1"
	for _, test := range []struct {
		name   string
		change func(*ec2.CreateNetworkInterfaceInput)
		want   string // the message of IdempotentParameterMismatch; empty for a replay
	}{
		{"other tags", func(i *ec2.CreateNetworkInterfaceInput) { i.TagSpecifications = tagged(tag("owner", "b")) }, ""},
		{"no tags", func(i *ec2.CreateNetworkInterfaceInput) { i.TagSpecifications = nil }, ""},
		{"groups in another order", func(i *ec2.CreateNetworkInterfaceInput) { i.Groups = []string{two, one} }, ""},
		{"blanks around the token", func(i *ec2.CreateNetworkInterfaceInput) { i.ClientToken = aws.String(" token-1 ") }, ""},
		{"other groups", func(i *ec2.CreateNetworkInterfaceInput) { i.Groups = []string{one} }, wrong},
		{"another description", func(i *ec2.CreateNetworkInterfaceInput) { i.Description = aws.String("e") }, wrong},
		{"another count", func(i *ec2.CreateNetworkInterfaceInput) { i.SecondaryPrivateIpAddressCount = aws.Int32(3) }, wrong},
		{"prefixes", func(i *ec2.CreateNetworkInterfaceInput) {
			i.SecondaryPrivateIpAddressCount, i.Ipv4PrefixCount = nil, aws.Int32(1)
		}, wrong},
		{"a primary address", func(i *ec2.CreateNetworkInterfaceInput) { i.PrivateIpAddress = aws.String(w.vacant(subnetID)) }, wrong},
		{"the token in capitals", func(i *ec2.CreateNetworkInterfaceInput) { i.ClientToken = aws.String("TOKEN-1") },
			"Idempotency token TOKEN-1 is not valid for resource interface-" + *first.NetworkInterfaceId},
	} {
		t.Run(test.name, func(t *testing.T) {
			again := input()
			test.change(again)
			out, err := w.CreateNetworkInterface(w.ctx(), again)
			if test.want != "" {
				assertAPIError(t, err, "IdempotentParameterMismatch", test.want)
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, *out.NetworkInterface.NetworkInterfaceId, *first.NetworkInterfaceId)
		})
	}
	assert.Equal(t, w.free(subnetID), int32(251-3))
}

// vacant is an address of 10.0.0.0/24 that no ENI has.
func (w *world) vacant(subnetID string) string {
	for host := 4; ; host++ {
		address := fmt.Sprintf("10.0.0.%d", host)
		if len(w.find(by("subnet-id", subnetID), by("addresses.private-ip-address", address))) == 0 {
			return address
		}
	}
}

// TestClientTokenAnswersWithTheTagsOfTheRequest modifies an ENI and repeats the
// request that created it: the answer has the ENI's new description, but shows it as
// pending, with the tags of the request and not its own.
func TestClientTokenAnswersWithTheTagsOfTheRequest(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	first := w.create(tokenInput(subnetID))
	id := *first.NetworkInterfaceId
	must(w.DeleteTags(w.ctx(), &ec2.DeleteTagsInput{Resources: []string{id}}))
	must(w.ModifyNetworkInterfaceAttribute(w.ctx(), &ec2.ModifyNetworkInterfaceAttributeInput{
		NetworkInterfaceId: &id, Description: &types.AttributeValue{Value: aws.String("new")},
	}))
	assert.Equal(t, w.describe(id).Status, types.NetworkInterfaceStatusAvailable)
	again := w.create(tokenInput(subnetID))
	assert.Equal(t, *again.NetworkInterfaceId, id)
	assert.Equal(t, *again.Description, "new")
	assert.Equal(t, again.Status, statusPending)
	assert.DeepEqual(t, again.TagSet, []types.Tag{tag("owner", "a")}, exportedOnly)
	assert.Equal(t, len(w.describe(id).TagSet), 0)
}

// TestClientTokenIsLookedAtAfterNamedAddresses: the ENI itself has the address.
func TestClientTokenIsLookedAtAfterNamedAddresses(t *testing.T) {
	w := newWorld(t, unthrottled())
	input := tokenInput(w.subnet("10.0.0.0/24"))
	input.PrivateIpAddress = aws.String("10.0.0.9")
	w.create(input)
	_, err := w.CreateNetworkInterface(w.ctx(), input)
	assertAPIError(t, err, "InvalidIPAddress.InUse", "The specified address is already in use.")
}

// TestFormsOfClientTokens are those that the SDK does not send by itself.
func TestFormsOfClientTokens(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	for _, test := range []struct {
		token  string
		status int
		code   string
	}{
		{strings.Repeat("x", 65), 200, ""},
		{"", 500, "InternalError"},
		{"  ", 500, "InternalError"},
	} {
		status, got := post(w.server, "", form("CreateNetworkInterface", "SubnetId", subnetID, "ClientToken", test.token))
		assert.Equal(t, status, test.status)
		assert.Equal(t, got.Code, test.code)
	}
}

func TestClientTokenIsForgotten(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	first := w.create(tokenInput(subnetID))
	w.clock.Step(24*time.Hour - 1)
	assert.Equal(t, *w.create(tokenInput(subnetID)).NetworkInterfaceId, *first.NetworkInterfaceId)
	w.clock.Step(1)
	assert.Assert(t, *w.create(tokenInput(subnetID)).NetworkInterfaceId != *first.NetworkInterfaceId)
}

func TestClientTokenOfADeletedENI(t *testing.T) {
	for _, test := range []struct {
		policy    emulator.ReplayPolicy
		wantError string
		wantSame  bool
		wantENIs  int
	}{
		{policy: "", wantError: "IdempotentParameterMismatch"},
		{policy: emulator.ReplayStale, wantError: "IdempotentParameterMismatch"},
		{policy: emulator.ReplayNotFound, wantError: "InvalidNetworkInterfaceID.NotFound"},
		{policy: emulator.ReplayEcho, wantSame: true},
		{policy: emulator.ReplayRecreate, wantENIs: 1},
	} {
		t.Run(string(test.policy), func(t *testing.T) {
			options := unthrottled()
			options.Limits.Replay = test.policy
			w := newWorld(t, options)
			subnetID := w.subnet("10.0.0.0/24")
			first := *w.create(tokenInput(subnetID)).NetworkInterfaceId
			must(w.DeleteNetworkInterface(w.ctx(), &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &first}))

			again, err := w.CreateNetworkInterface(w.ctx(), tokenInput(subnetID))
			message := "The request with token: token-1 is stale"
			if test.policy == emulator.ReplayNotFound {
				message = "The networkInterface ID '" + first + "' does not exist"
			}
			if test.wantError != "" {
				assertAPIError(t, err, test.wantError, message)
			} else {
				assert.NilError(t, err)
				assert.Equal(t, *again.NetworkInterface.NetworkInterfaceId == first, test.wantSame)
			}
			assert.Equal(t, len(must(w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{})).NetworkInterfaces), test.wantENIs)
		})
	}
}

func TestClientTokenOfRunInstances(t *testing.T) {
	w := newWorld(t, unthrottled())
	input := &ec2.RunInstancesInput{
		ImageId: aws.String(image), InstanceType: types.InstanceTypeM5Large, ClientToken: aws.String("token-1"),
		MinCount: aws.Int32(2), MaxCount: aws.Int32(2),
	}
	first := must(w.RunInstances(w.ctx(), input))
	again := must(w.RunInstances(w.ctx(), input))
	assert.Equal(t, *again.ReservationId, *first.ReservationId)
	assert.Equal(t, *again.Instances[1].InstanceId, *first.Instances[1].InstanceId)

	must(w.TerminateInstances(w.ctx(), &ec2.TerminateInstancesInput{InstanceIds: []string{*first.Instances[1].InstanceId}}))
	w.describeInstance(*first.Instances[1].InstanceId)
	_, err := w.RunInstances(w.ctx(), input)
	assertAPIError(t, err, "IdempotentInstanceTerminated", "The instance of client token token-1 is terminated.")

	input.MaxCount = aws.Int32(3)
	_, err = w.RunInstances(w.ctx(), input)
	assertAPIError(t, err, "IdempotentParameterMismatch",
		"Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
}
