/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/emulator/sdk"
)

const (
	region      = "us-east-1"
	zone        = "us-east-1a"
	clusterName = "crash"
	// machineType carries four ENIs with fourteen secondary addresses each.
	machineType = "m5.xlarge"
	// operatorKey and ownKey tell the callers apart in the emulator's log.
	operatorKey = "AKIAOPERATOR"
	ownKey      = "AKIACRASH"
)

// slow are times as EC2 has them.
var slow = emulator.Timings{
	CreateENI: emulator.Span{Max: 500 * time.Millisecond},
	Attach:    emulator.Span{Min: time.Second, Max: 2 * time.Second},
	Detach:    emulator.Span{Min: time.Second, Max: 2 * time.Second},
}

// stale hides changes for longer than the operator needs to start again, and for
// less than its visibility window.
var stale = emulator.StaleReads{
	NewENIs: 1500 * time.Millisecond, NewAddresses: 1500 * time.Millisecond, Detachments: 500 * time.Millisecond,
}

// cloud is an EC2 of its own with two instances, and ENIs of others among them.
type cloud struct {
	*ec2.Client
	emulator *emulator.Server
	direct   *httptest.Server // past the gate

	subnet    string
	instances []string
	// foreign are the ENIs of others, as they were found.
	foreign map[string]types.NetworkInterface
}

// ec2Call names an EC2 action. It leaves the request's body as it was.
func ec2Call(r *http.Request) string {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return ""
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ""
	}
	return "EC2 " + form.Get("Action")
}

// newCloud makes an EC2 for a cluster with this UID.
func newCloud(ctx context.Context, clusterUID string, timings emulator.Timings) (*cloud, error) {
	server := emulator.New(emulator.Options{Timings: timings, Throttling: emulator.Throttling{Off: true}})
	c := &cloud{emulator: server, foreign: map[string]types.NetworkInterface{}}
	c.direct = httptest.NewServer(c.emulator)
	c.Client = sdk.New(c.direct.URL, region, ownKey)
	if err := c.furnish(ctx, clusterUID); err != nil {
		c.close()
		return nil, fmt.Errorf("furnishing EC2: %w", err)
	}
	return c, nil
}

// beStale hides from now on what changes, for a while.
func (c *cloud) beStale() { c.emulator.SetStaleReads(stale) }

func (c *cloud) close() { c.direct.Close() }

func (c *cloud) furnish(ctx context.Context, clusterUID string) error {
	vpc, err := c.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	if err != nil {
		return err
	}
	subnet, err := c.CreateSubnet(ctx, &ec2.CreateSubnetInput{
		VpcId: vpc.Vpc.VpcId, AvailabilityZone: aws.String(zone), CidrBlock: aws.String("10.0.1.0/24"),
	})
	if err != nil {
		return err
	}
	c.subnet = aws.ToString(subnet.Subnet.SubnetId)
	for _, name := range []string{"old", "new"} {
		if _, err := c.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
			VpcId: vpc.Vpc.VpcId, GroupName: &name, Description: &name,
		}); err != nil {
			return err
		}
	}
	made, err := c.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: aws.String("ami-0123456789abcdef0"), InstanceType: machineType, SubnetId: &c.subnet,
		MinCount: aws.Int32(2), MaxCount: aws.Int32(2),
	})
	if err != nil {
		return err
	}
	for i := range made.Instances {
		c.instances = append(c.instances, aws.ToString(made.Instances[i].InstanceId))
	}
	return c.foreignENIs(ctx, clusterUID)
}

// foreignENIs makes ENIs that the operator must not touch, one of them attached
// where it would like to attach its own, and remembers all that are there.
func (c *cloud) foreignENIs(ctx context.Context, clusterUID string) error {
	const prefix = "networking.eni-operator.dev/"
	attached, err := c.foreignENI(ctx, map[string]string{"Name": "somebody else's"})
	if err != nil {
		return err
	}
	if _, err := c.AttachNetworkInterface(ctx, &ec2.AttachNetworkInterfaceInput{
		InstanceId: &c.instances[0], NetworkInterfaceId: &attached, DeviceIndex: aws.Int32(1),
	}); err != nil {
		return err
	}
	for _, tags := range []map[string]string{
		{},
		{prefix + "cluster": "another", prefix + "cluster-uid": "another"},
		{prefix + "cluster": clusterName, prefix + "cluster-uid": "another"},
		{prefix + "cluster": clusterName, prefix + "cluster-uid": clusterUID, prefix + "deletion-policy": "Retain"},
	} {
		if _, err := c.foreignENI(ctx, tags); err != nil {
			return err
		}
	}
	return c.rememberENIs(ctx)
}

// rememberENIs notes how the ENIs look once they are settled.
func (c *cloud) rememberENIs(ctx context.Context) error {
	return wait.PollUntilContextTimeout(ctx, glance, patience, true, func(ctx context.Context) (bool, error) {
		all, err := c.allENIs(ctx)
		for i := range all {
			eni := &all[i]
			if eni.Status == "pending" ||
				(eni.Attachment != nil && eni.Attachment.Status != types.AttachmentStatusAttached) {
				return false, err
			}
			c.foreign[aws.ToString(eni.NetworkInterfaceId)] = *eni
		}
		return err == nil, err
	})
}

func (c *cloud) foreignENI(ctx context.Context, tags map[string]string) (id string, err error) {
	input := &ec2.CreateNetworkInterfaceInput{SubnetId: &c.subnet, SecondaryPrivateIpAddressCount: aws.Int32(1)}
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

// allENIs are the ENIs in the subnet, whosever they are.
func (c *cloud) allENIs(ctx context.Context) ([]types.NetworkInterface, error) {
	answer, err := c.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{
		Filters: []types.Filter{{Name: aws.String("subnet-id"), Values: []string{c.subnet}}},
	})
	if err != nil {
		return nil, err
	}
	return answer.NetworkInterfaces, nil
}
