/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"
	"gotest.tools/v3/assert"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/emulator/sdk"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// image is any image: the emulator has no AMIs.
const image = "ami-0123456789abcdef0"

// start is when the fake clocks of the tests begin.
var start = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

// world is a server under a fake clock, with a client of one Region.
type world struct {
	*ec2.Client
	t      *testing.T
	server *emulator.Server
	clock  *clocktesting.FakeClock
	url    string
}

// newWorld starts a server. Throttling is off unless options say otherwise.
func newWorld(t *testing.T, options emulator.Options) *world {
	t.Helper()
	w := &world{t: t, clock: clocktesting.NewFakeClock(start)}
	if options.Clock == nil {
		options.Clock = w.clock
	}
	w.server = emulator.New(options)
	listener := httptest.NewServer(w.server)
	t.Cleanup(listener.Close)
	w.url = listener.URL
	w.Client = w.client("us-east-1")
	return w
}

// unthrottled are options for tests that are not about throttling.
func unthrottled() emulator.Options {
	return emulator.Options{Throttling: emulator.Throttling{Off: true}}
}

// inOrder are unthrottled options for tests that name what EC2 leaves open: the
// addresses chosen, the order of rows and tags, the length of pages.
func inOrder() emulator.Options {
	options := unthrottled()
	options.Rising, options.Sorted, options.FullPages = true, true, true
	return options
}

// client returns a client of a Region that never retries.
func (w *world) client(region string) *ec2.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	w.t.Cleanup(transport.CloseIdleConnections)
	return sdk.New(w.url, region, "AKIDTEST", func(o *ec2.Options) {
		o.Retryer = aws.NopRetryer{}
		o.HTTPClient = &http.Client{Transport: transport}
	})
}

// must returns a call's result and panics on an error, which no test expects.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// assertAPIError asserts that a call failed with a code and a message.
func assertAPIError(t *testing.T, err error, code, message string) {
	t.Helper()
	var apiErr smithy.APIError
	assert.Assert(t, errors.As(err, &apiErr), "got %v, want an API error %s", err, code)
	assert.Equal(t, apiErr.ErrorCode(), code)
	assert.Equal(t, apiErr.ErrorMessage(), message)
}

func (w *world) ctx() context.Context { return w.t.Context() }

// subnet creates a VPC with one subnet of the same block.
func (w *world) subnet(cidr string) string {
	w.t.Helper()
	vpc, err := w.CreateVpc(w.ctx(), &ec2.CreateVpcInput{CidrBlock: &cidr})
	assert.NilError(w.t, err)
	subnet, err := w.CreateSubnet(w.ctx(), &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: &cidr})
	assert.NilError(w.t, err)
	return *subnet.Subnet.SubnetId
}

// run launches one instance into a subnet.
func (w *world) run(subnetID string, kind types.InstanceType) types.Instance {
	w.t.Helper()
	out, err := w.RunInstances(w.ctx(), &ec2.RunInstancesInput{
		ImageId: aws.String(image), InstanceType: kind, SubnetId: &subnetID,
		MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	})
	assert.NilError(w.t, err)
	return out.Instances[0]
}

// create creates an ENI.
func (w *world) create(input *ec2.CreateNetworkInterfaceInput) types.NetworkInterface {
	w.t.Helper()
	out, err := w.CreateNetworkInterface(w.ctx(), input)
	assert.NilError(w.t, err)
	return *out.NetworkInterface
}

// eni creates a plain ENI.
func (w *world) eni(subnetID string) string {
	w.t.Helper()
	return *w.create(&ec2.CreateNetworkInterfaceInput{SubnetId: &subnetID}).NetworkInterfaceId
}

// attach attaches an ENI and returns the attachment's id.
func (w *world) attach(eniID, instanceID string, device int32) string {
	w.t.Helper()
	out, err := w.AttachNetworkInterface(w.ctx(), &ec2.AttachNetworkInterfaceInput{
		NetworkInterfaceId: &eniID, InstanceId: &instanceID,
		DeviceIndex: &device, NetworkCardIndex: aws.Int32(0),
	})
	assert.NilError(w.t, err)
	return *out.AttachmentId
}

// describe returns one ENI.
func (w *world) describe(eniID string) types.NetworkInterface {
	w.t.Helper()
	out, err := w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{eniID}})
	assert.NilError(w.t, err)
	assert.Equal(w.t, len(out.NetworkInterfaces), 1)
	return out.NetworkInterfaces[0]
}

// describeInstance returns one instance.
func (w *world) describeInstance(id string) types.Instance {
	w.t.Helper()
	out, err := w.DescribeInstances(w.ctx(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	assert.NilError(w.t, err)
	return out.Reservations[0].Instances[0]
}

// free is the number of free addresses of a subnet.
func (w *world) free(subnetID string) int32 {
	w.t.Helper()
	out, err := w.DescribeSubnets(w.ctx(), &ec2.DescribeSubnetsInput{SubnetIds: []string{subnetID}})
	assert.NilError(w.t, err)
	return *out.Subnets[0].AvailableIpAddressCount
}
