/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package failover

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	opec2 "github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/audit"
	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/emulator/sdk"
)

const (
	region      = "us-east-1"
	zone        = region + "a"
	clusterName = "failover"
	ownKey      = "AKIAFAILOVER"
	// machineType carries four ENIs.
	machineType = types.InstanceTypeM5Xlarge
)

// timings let states last long enough for a leader to be lost in between.
var timings = emulator.Timings{
	CreateENI:         emulator.Span{Max: 300 * time.Millisecond},
	Attach:            emulator.Span{Min: 50 * time.Millisecond, Max: 500 * time.Millisecond},
	Detach:            emulator.Span{Min: 50 * time.Millisecond, Max: 500 * time.Millisecond},
	TerminateInstance: emulator.Span{Min: 100 * time.Millisecond, Max: 500 * time.Millisecond},
	Latency: emulator.Latency{
		Reads:  emulator.Span{Min: 5 * time.Millisecond, Max: 30 * time.Millisecond},
		Writes: emulator.Span{Min: 20 * time.Millisecond, Max: 200 * time.Millisecond},
	},
}

// cloud is an EC2 of its own.
type cloud struct {
	*ec2.Client
	emulator *emulator.Server
	tap      *wiretap
	server   *httptest.Server
	subnet   string
}

func newCloud(ctx context.Context, seed uint64) (*cloud, error) {
	c := &cloud{emulator: emulator.New(emulator.Options{
		Seed: seed, Timings: timings, CallLogSize: 1_000_000,
		// The operator's buckets are EC2's; the machines come and go as they are told.
		Throttling: emulator.Throttling{Buckets: map[string]emulator.Bucket{
			"RunInstances": {Burst: 1000, PerSecond: 1000}, "TerminateInstances": {Burst: 1000, PerSecond: 1000},
		}},
	})}
	c.tap = &wiretap{next: c.emulator}
	c.server = httptest.NewServer(c.tap)
	c.Client = sdk.New(c.server.URL, region, ownKey)
	vpc, err := c.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	if err != nil {
		c.server.Close()
		return nil, fmt.Errorf("furnishing EC2: %w", err)
	}
	subnet, err := c.CreateSubnet(ctx, &ec2.CreateSubnetInput{
		VpcId: vpc.Vpc.VpcId, AvailabilityZone: aws.String(zone), CidrBlock: aws.String("10.0.0.0/17"),
	})
	if err != nil {
		c.server.Close()
		return nil, fmt.Errorf("furnishing EC2: %w", err)
	}
	c.subnet = aws.ToString(subnet.Subnet.SubnetId)
	return c, nil
}

// launch starts an instance.
func (c *cloud) launch(ctx context.Context) (id string, err error) {
	made, err := c.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: aws.String("ami-0123456789abcdef0"), InstanceType: machineType, SubnetId: &c.subnet,
		MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	})
	if err != nil {
		return "", fmt.Errorf("launching an instance: %w", err)
	}
	return aws.ToString(made.Instances[0].InstanceId), nil
}

// terminate ends an instance.
func (c *cloud) terminate(ctx context.Context, id string) error {
	_, err := c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	return err
}

// ours are the ENIs with our cluster's UID.
func (c *cloud) ours(ctx context.Context, clusterUID string) (map[string]types.NetworkInterface, error) {
	pages := ec2.NewDescribeNetworkInterfacesPaginator(c.Client, &ec2.DescribeNetworkInterfacesInput{
		Filters:    []types.Filter{{Name: aws.String("tag:" + opec2.TagClusterUID), Values: []string{clusterUID}}},
		MaxResults: aws.Int32(1000),
	})
	found := map[string]types.NetworkInterface{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for i := range page.NetworkInterfaces {
			found[aws.ToString(page.NetworkInterfaces[i].NetworkInterfaceId)] = page.NetworkInterfaces[i]
		}
	}
	return found, nil
}

// twice are the addresses that more than one ENI carries.
func twice(enis map[string]types.NetworkInterface) []string {
	carrier := map[string]string{}
	var wrong []string
	for id, eni := range enis {
		for _, address := range append(audit.Secondaries(eni), aws.ToString(eni.PrivateIpAddress)) {
			if other, taken := carrier[address]; taken {
				wrong = append(wrong, fmt.Sprintf("%s is on %s and on %s", address, other, id))
			}
			carrier[address] = id
		}
	}
	slices.Sort(wrong)
	return wrong
}
