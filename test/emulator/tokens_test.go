/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
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

	other := tokenInput(subnetID)
	other.TagSpecifications = tagged(tag("owner", "b"))
	_, err := w.CreateNetworkInterface(w.ctx(), other)
	assertAPIError(t, err, "IdempotentParameterMismatch",
		"Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
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
		wantError bool
		wantSame  bool
		wantENIs  int
	}{
		{policy: emulator.ReplayNotFound, wantError: true},
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
			if test.wantError {
				assertAPIError(t, err, "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '"+first+"' does not exist")
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

	input.MaxCount = aws.Int32(3)
	_, err := w.RunInstances(w.ctx(), input)
	assertAPIError(t, err, "IdempotentParameterMismatch",
		"Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
}
