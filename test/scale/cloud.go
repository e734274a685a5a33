/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/emulator/sdk"
)

const (
	region = "us-east-1"
	// spares are instances beyond the fleet, for Nodes that come later.
	spares = trickleNodes + 2

	// What EC2's answers take: the latencies of the floor.
	readLatency   = 50 * time.Millisecond
	writeLatency  = 200 * time.Millisecond
	attachLatency = time.Second
)

var zones = []string{region + "a", region + "b", region + "c"}

// cloud is EC2: the emulator on loopback, and a client of our own.
type cloud struct {
	*ec2.Client
	endpoint string
	emulator *emulator.Server
	// kind of the fleet's instances.
	kind   types.InstanceType
	server *http.Server
	// fleet are the instances of the run's nodes; spare are further ones, and late
	// those of them that have joined.
	fleet, spare, late []types.Instance
	// networks of the zones, by zone.
	networks map[string]network
}

// network is where a zone's instances are.
type network struct {
	subnetID, groupID string
}

// startCloud serves EC2, without throttling until throttle is called.
func startCloud(nodes int, kind types.InstanceType) (*cloud, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &cloud{
		networks: map[string]network{}, kind: kind, endpoint: "http://" + listener.Addr().String(),
		emulator: emulator.New(emulator.Options{
			Timings: emulator.Timings{Latency: emulator.Latency{
				Reads:   emulator.Span{Min: readLatency, Max: readLatency},
				Writes:  emulator.Span{Min: writeLatency, Max: writeLatency},
				Actions: map[string]emulator.Span{"AttachNetworkInterface": {Min: attachLatency, Max: attachLatency}},
			}},
			Throttling:  emulator.Throttling{Off: true},
			Limits:      emulator.Limits{ENIsPerZone: 4 * (nodes + 1000)},
			CallLogSize: 20*nodes + 10_000,
		}),
	}
	c.server = &http.Server{Handler: c.emulator, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = c.server.Serve(listener) }()
	c.Client = sdk.New(c.endpoint, region, "AKIABENCH", func(o *ec2.Options) { o.Retryer = aws.NopRetryer{} })
	return c, nil
}

func (c *cloud) stop() { _ = c.server.Close() }

// throttle has EC2 enforce its buckets, and fills them.
func (c *cloud) throttle() {
	c.emulator.SetThrottling(true)
	c.emulator.RefillBuckets()
}

// launchFleet starts the instances, spread evenly over the zones.
func (c *cloud) launchFleet(ctx context.Context, nodes int) error {
	for index, zone := range zones {
		count := share(nodes, index)
		extra := 0
		if index == 0 {
			extra = spares
		}
		if count+extra == 0 {
			continue
		}
		if err := c.createNetwork(ctx, zone, fmt.Sprintf("10.%d.0.0/16", index)); err != nil {
			return err
		}
		instances, err := c.launch(ctx, zone, count+extra)
		if err != nil {
			return err
		}
		c.fleet = append(c.fleet, instances[:count]...)
		c.spare = append(c.spare, instances[count:]...)
	}
	c.throttle()
	return nil
}

// share is how many of the nodes the zone gets.
func share(nodes, zone int) int { return (nodes + len(zones) - 1 - zone) / len(zones) }

// createNetwork makes a subnet for the zone, as large as a VPC can be: so each zone
// has its VPC.
func (c *cloud) createNetwork(ctx context.Context, zone, cidr string) error {
	vpc, err := c.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: &cidr})
	if err != nil {
		return err
	}
	subnet, err := c.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, AvailabilityZone: &zone, CidrBlock: &cidr})
	if err != nil {
		return err
	}
	group, err := c.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
		VpcId: vpc.Vpc.VpcId, GroupName: aws.String("nodes"), Description: aws.String("Nodes of the fleet"),
	})
	if err != nil {
		return err
	}
	c.networks[zone] = network{subnetID: aws.ToString(subnet.Subnet.SubnetId), groupID: aws.ToString(group.GroupId)}
	return nil
}

// launch starts instances in a zone.
func (c *cloud) launch(ctx context.Context, zone string, count int) ([]types.Instance, error) {
	place := c.networks[zone]
	reservation, err := c.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId:          aws.String("ami-0123456789abcdef0"),
		InstanceType:     c.kind,
		SubnetId:         &place.subnetID,
		SecurityGroupIds: []string{place.groupID},
		MinCount:         aws.Int32(int32(count)), //nolint:gosec // bounded by mostNodes
		MaxCount:         aws.Int32(int32(count)), //nolint:gosec // bounded by mostNodes
	})
	if err != nil {
		return nil, err
	}
	return reservation.Instances, nil
}

// errNoSpare is when a row needs more late Nodes than the fleet has spares.
var errNoSpare = errors.New("there is no spare instance left")

// takeSpare is an instance that has no Node yet.
func (c *cloud) takeSpare() (types.Instance, error) {
	if len(c.spare) == 0 {
		return types.Instance{}, errNoSpare
	}
	taken := c.spare[0]
	c.spare, c.late = c.spare[1:], append(c.late, taken)
	return taken, nil
}

// joined are the instances that have a Node.
func (c *cloud) joined() []types.Instance { return slices.Concat(c.fleet, c.late) }

// mostIDs is how many instances one TerminateInstances names.
const mostIDs = 200

// terminate ends instances.
func (c *cloud) terminate(ctx context.Context, instances ...types.Instance) error {
	for some := range slices.Chunk(instances, mostIDs) {
		var ids []string
		for i := range some {
			ids = append(ids, aws.ToString(some[i].InstanceId))
		}
		if _, err := c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids}); err != nil {
			return err
		}
	}
	return nil
}
