/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package fault

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
	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/emulator/sdk"
)

const (
	region      = "us-east-1"
	clusterName = "fault"
	// operatorKey and ownKey tell the callers apart in the emulator's log.
	operatorKey = "AKIAOPERATOR"
	ownKey      = "AKIAFAULT"
)

var (
	zones = []string{region + "a", region + "b", region + "c"}
	// groupOf is the security group of each policy's ENIs.
	groupOf = map[string]string{sharedPolicy: "pods", exclusivePolicy: "nodes"}
)

// cloud is an EC2 of its own with the fleet's instances, and ENIs of others.
type cloud struct {
	*ec2.Client
	emulator *emulator.Server
	server   *httptest.Server

	vpc     string
	subnets []string // by zone
	groups  map[string]string
	// instances are those of the machines, by their names.
	instances map[string]string
	// foreign are the ENIs of others, as they were found.
	foreign map[string]types.NetworkInterface
}

// timings let states last long enough to be seen in between.
var timings = emulator.Timings{
	CreateENI:         emulator.Span{Max: 300 * time.Millisecond},
	Attach:            emulator.Span{Min: 50 * time.Millisecond, Max: 300 * time.Millisecond},
	Detach:            emulator.Span{Min: 50 * time.Millisecond, Max: 300 * time.Millisecond},
	TerminateInstance: emulator.Span{Min: 100 * time.Millisecond, Max: 500 * time.Millisecond},
	Latency: emulator.Latency{
		Reads:  emulator.Span{Max: 10 * time.Millisecond},
		Writes: emulator.Span{Max: 20 * time.Millisecond},
	},
}

// newCloud makes an EC2 with the machines' instances for a cluster with this UID.
func newCloud(ctx context.Context, seed uint64, machines []machine, clusterUID string) (*cloud, error) {
	c := &cloud{
		emulator: emulator.New(emulator.Options{
			Seed: seed, Timings: timings, Throttling: emulator.Throttling{Off: true}, CallLogSize: 1_000_000,
		}),
		groups: map[string]string{}, instances: map[string]string{}, foreign: map[string]types.NetworkInterface{},
	}
	c.server = httptest.NewServer(c.emulator)
	c.Client = sdk.New(c.server.URL, region, ownKey)
	if err := c.furnish(ctx, machines, clusterUID); err != nil {
		c.close()
		return nil, fmt.Errorf("furnishing EC2: %w", err)
	}
	return c, nil
}

func (c *cloud) close() { c.server.Close() }

func (c *cloud) furnish(ctx context.Context, machines []machine, clusterUID string) error {
	if err := c.network(ctx); err != nil {
		return err
	}
	for i := range machines {
		m := &machines[i]
		made, err := c.RunInstances(ctx, &ec2.RunInstancesInput{
			ImageId: aws.String("ami-0123456789abcdef0"), InstanceType: m.kind, SubnetId: &c.subnets[m.zone],
			SecurityGroupIds: []string{c.groups["nodes"]}, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		})
		if err != nil {
			return err
		}
		c.instances[m.name] = aws.ToString(made.Instances[0].InstanceId)
	}
	return c.foreignENIs(ctx, clusterUID)
}

func (c *cloud) network(ctx context.Context) error {
	vpc, err := c.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	if err != nil {
		return err
	}
	c.vpc = aws.ToString(vpc.Vpc.VpcId)
	for i, zone := range zones {
		subnet, err := c.CreateSubnet(ctx, &ec2.CreateSubnetInput{
			VpcId: &c.vpc, AvailabilityZone: &zone, CidrBlock: aws.String(fmt.Sprintf("10.0.%d.0/18", 64*i)),
		})
		if err != nil {
			return err
		}
		c.subnets = append(c.subnets, aws.ToString(subnet.Subnet.SubnetId))
	}
	for _, name := range []string{"nodes", "pods"} {
		group, err := c.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{VpcId: &c.vpc, GroupName: &name, Description: &name})
		if err != nil {
			return err
		}
		c.groups[name] = aws.ToString(group.GroupId)
	}
	return nil
}

// foreignENIs makes ENIs that the operator must not touch, one of them attached
// where it would like to attach its own, and remembers all that are there but the
// primary ENIs of machines that are terminated: those go with their instances.
func (c *cloud) foreignENIs(ctx context.Context, clusterUID string) error {
	for _, tags := range []map[string]string{
		{},
		{opec2.TagCluster: "another", opec2.TagClusterUID: "another"},
		{opec2.TagCluster: clusterName, opec2.TagClusterUID: "another"},
		{opec2.TagCluster: clusterName, opec2.TagClusterUID: clusterUID, opec2.TagDeletionPolicy: "Retain"},
	} {
		if _, err := c.foreignENI(ctx, tags); err != nil {
			return err
		}
	}
	attached, err := c.foreignENI(ctx, map[string]string{"Name": "somebody else's"})
	if err != nil {
		return err
	}
	instance := c.instances[crowded]
	if _, err := c.AttachNetworkInterface(ctx, &ec2.AttachNetworkInterfaceInput{
		InstanceId: &instance, NetworkInterfaceId: &attached, DeviceIndex: aws.Int32(1),
	}); err != nil {
		return err
	}
	for {
		all, err := c.allENIs(ctx)
		for i := range all {
			c.foreign[aws.ToString(all[i].NetworkInterfaceId)] = all[i]
		}
		if err != nil || !slices.ContainsFunc(all, inMotion) {
			return err
		}
		if !pause(ctx, glance) {
			return ctx.Err()
		}
	}
}

// inMotion says whether an ENI is being made or attached.
func inMotion(eni types.NetworkInterface) bool {
	return eni.Status == "pending" ||
		(eni.Attachment != nil && eni.Attachment.Status != types.AttachmentStatusAttached)
}

func (c *cloud) foreignENI(ctx context.Context, tags map[string]string) (id string, err error) {
	input := &ec2.CreateNetworkInterfaceInput{
		SubnetId: &c.subnets[find(fleet(crowdedIndex+1), crowded).zone], SecondaryPrivateIpAddressCount: aws.Int32(1),
	}
	if len(tags) > 0 {
		specification := types.TagSpecification{ResourceType: types.ResourceTypeNetworkInterface}
		for key, value := range tags {
			specification.Tags = append(specification.Tags, types.Tag{Key: &key, Value: &value})
		}
		input.TagSpecifications = []types.TagSpecification{specification}
	}
	made, err := c.CreateNetworkInterface(ctx, input)
	if err != nil {
		return "", err
	}
	return aws.ToString(made.NetworkInterface.NetworkInterfaceId), nil
}

// allENIs are the ENIs in the VPC, whosever they are.
func (c *cloud) allENIs(ctx context.Context) ([]types.NetworkInterface, error) {
	pages := ec2.NewDescribeNetworkInterfacesPaginator(c.Client, &ec2.DescribeNetworkInterfacesInput{
		Filters: []types.Filter{{Name: aws.String("vpc-id"), Values: []string{c.vpc}}}, MaxResults: aws.Int32(1000),
	})
	var all []types.NetworkInterface
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page.NetworkInterfaces...)
	}
	return all, nil
}

// terminate ends a machine's instance. Its primary ENI goes with it.
func (c *cloud) terminate(ctx context.Context, name string) error {
	for id, eni := range c.foreign {
		if at := eni.Attachment; at != nil && aws.ToString(at.InstanceId) == c.instances[name] && aws.ToBool(at.DeleteOnTermination) {
			delete(c.foreign, id)
		}
	}
	_, err := c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{c.instances[name]}})
	return err
}

// calls are the operator's, in the order in which they took effect.
func (c *cloud) calls() []emulator.Call {
	var calls []emulator.Call
	for _, call := range c.emulator.Calls() {
		if call.Caller == operatorKey {
			calls = append(calls, call)
		}
	}
	return calls
}
