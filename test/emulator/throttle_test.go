/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// admitted calls until the bucket is empty and returns the number of calls that
// passed it, whatever became of them afterwards.
func admitted(call func() error) int {
	for passed := 0; ; passed++ {
		var apiErr smithy.APIError
		if err := call(); errors.As(err, &apiErr) && apiErr.ErrorCode() == "RequestLimitExceeded" {
			return passed
		}
	}
}

// TestTokenBuckets asserts EC2's figures: the size of each bucket, and what
// comes back in two seconds.
func TestTokenBuckets(t *testing.T) {
	id := aws.String(noENI)
	for _, test := range []struct {
		name          string
		call          func(*world) error
		burst, refill int
	}{
		{"CreateNetworkInterface", func(w *world) error {
			_, err := w.CreateNetworkInterface(w.ctx(), &ec2.CreateNetworkInterfaceInput{SubnetId: aws.String(noSubnet)})
			return err
		}, 100, 10},
		{"DeleteNetworkInterface", func(w *world) error {
			_, err := w.DeleteNetworkInterface(w.ctx(), &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: id})
			return err
		}, 100, 10},
		{"ModifyNetworkInterfaceAttribute", func(w *world) error {
			_, err := w.ModifyNetworkInterfaceAttribute(w.ctx(), &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: id})
			return err
		}, 100, 10},
		{"AssignPrivateIpAddresses", func(w *world) error {
			_, err := w.AssignPrivateIpAddresses(w.ctx(), &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: id})
			return err
		}, 100, 10},
		{"UnassignPrivateIpAddresses", func(w *world) error {
			_, err := w.UnassignPrivateIpAddresses(w.ctx(), &ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: id})
			return err
		}, 100, 10},
		{"CreateTags", func(w *world) error { return w.tryTags(noENI) }, 100, 20},
		{"AttachNetworkInterface", func(w *world) error {
			_, err := w.AttachNetworkInterface(w.ctx(), &ec2.AttachNetworkInterfaceInput{
				NetworkInterfaceId: id, InstanceId: aws.String(noInstance), DeviceIndex: aws.Int32(1),
			})
			return err
		}, 50, 10},
		{"DetachNetworkInterface", func(w *world) error {
			_, err := w.DetachNetworkInterface(w.ctx(), &ec2.DetachNetworkInterfaceInput{AttachmentId: aws.String(noAttachment)})
			return err
		}, 50, 10},
		{"CreateVpc, as any other write", func(w *world) error {
			_, err := w.CreateVpc(w.ctx(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
			return err
		}, 50, 10},
		{"DescribeSubnets", func(w *world) error {
			_, err := w.DescribeSubnets(w.ctx(), &ec2.DescribeSubnetsInput{})
			return err
		}, 100, 40},
		{"DescribeNetworkInterfaces with a filter", func(w *world) error {
			_, err := w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{by("status", "x")}})
			return err
		}, 100, 40},
		{"DescribeNetworkInterfaces in pages", func(w *world) error {
			_, err := w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{MaxResults: aws.Int32(5)})
			return err
		}, 100, 40},
		{"DescribeNetworkInterfaces with neither", func(w *world) error {
			_, err := w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{})
			return err
		}, 50, 20},
		{"DescribeInstances with neither", func(w *world) error {
			_, err := w.DescribeInstances(w.ctx(), &ec2.DescribeInstancesInput{})
			return err
		}, 50, 20},
		{"DescribeSecurityGroups with neither", func(w *world) error {
			_, err := w.DescribeSecurityGroups(w.ctx(), &ec2.DescribeSecurityGroupsInput{})
			return err
		}, 50, 20},
		{"RunInstances", func(w *world) error { return w.tryRun(1) }, 5, 4},
		{"RunInstances, by instances", func(w *world) error { return w.tryRun(400) }, 2, 0},
		{"StartInstances", func(w *world) error { return w.tryStart(1) }, 5, 4},
		{"StartInstances, by instances", func(w *world) error { return w.tryStart(400) }, 2, 0},
		{"StopInstances", func(w *world) error { return w.tryStop(1) }, 50, 10},
		{"StopInstances, by instances", func(w *world) error { return w.tryStop(400) }, 2, 0},
		{"TerminateInstances", func(w *world) error {
			_, err := w.TerminateInstances(w.ctx(), &ec2.TerminateInstancesInput{InstanceIds: []string{noInstance}})
			return err
		}, 100, 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, emulator.Options{})
			call := func() error { return test.call(w) }
			assert.Equal(t, admitted(call), test.burst)
			assertAPIError(t, call(), "RequestLimitExceeded", "Request limit exceeded.")
			w.clock.Step(2 * time.Second)
			assert.Equal(t, admitted(call), test.refill)
			w.server.RefillBuckets()
			assert.Equal(t, admitted(call), test.burst)
		})
	}
}

func (w *world) tryTags(ids ...string) error {
	_, err := w.CreateTags(w.ctx(), &ec2.CreateTagsInput{Resources: ids, Tags: []types.Tag{tag("a", "b")}})
	return err
}

// tryRun asks for instances of a type that does not exist.
func (w *world) tryRun(instances int32) error {
	_, err := w.RunInstances(w.ctx(), &ec2.RunInstancesInput{
		ImageId: aws.String(image), InstanceType: "x", MinCount: &instances, MaxCount: &instances,
	})
	return err
}

// unknownInstances are ids of instances that do not exist.
func unknownInstances(count int) []string {
	return slices.Repeat([]string{noInstance}, count)
}

func (w *world) tryStart(instances int) error {
	_, err := w.StartInstances(w.ctx(), &ec2.StartInstancesInput{InstanceIds: unknownInstances(instances)})
	return err
}

func (w *world) tryStop(instances int) error {
	_, err := w.StopInstances(w.ctx(), &ec2.StopInstancesInput{InstanceIds: unknownInstances(instances)})
	return err
}

func TestBucketsAreSeparatePerActionAndRegion(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	call := func() error { return w.tryTags(noENI) }
	assert.Equal(t, admitted(call), 100)
	_, err := w.DeleteTags(w.ctx(), &ec2.DeleteTagsInput{Resources: []string{noENI}})
	assertAPIError(t, err, "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '"+noENI+"' does not exist")
	w.Client = w.client("eu-west-1")
	assert.Equal(t, admitted(call), 100)
}

func TestThrottlingIsSwitchedAndOverridden(t *testing.T) {
	w := newWorld(t, emulator.Options{Throttling: emulator.Throttling{
		Buckets: map[string]emulator.Bucket{"CreateTags": {Burst: 2, PerSecond: 1}},
	}})
	call := func() error { return w.tryTags(noENI) }
	assert.Equal(t, admitted(call), 2)
	w.server.SetThrottling(false)
	assertAPIError(t, call(), "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '"+noENI+"' does not exist")
	w.server.SetThrottling(true)
	assertAPIError(t, call(), "RequestLimitExceeded", "Request limit exceeded.")
	assert.DeepEqual(t, w.server.Counts()["CreateTags"], emulator.ActionCount{
		Calls: 5, Throttled: 2,
		Errors: map[string]int{"RequestLimitExceeded": 2, "InvalidNetworkInterfaceID.NotFound": 3},
	})
}
