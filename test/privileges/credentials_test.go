/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package privileges

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/emulator/sdk"
	"github.com/eni-operator/eni-operator/test/flow"
)

// TestTheIAMPolicyAsksForWhatEC2Knows: a condition on a key that EC2 does not have for an action
// never holds, so that the operator could not do its work, or is denied nothing.
func TestTheIAMPolicyAsksForWhatEC2Knows(t *testing.T) {
	policy, err := flow.ShippedIAMPolicy(map[string]string{"VPC_ID": "vpc-1", "CLUSTER_NAME": "prod"})
	assert.NilError(t, err)
	assert.DeepEqual(t, policy.Mistakes(), []string(nil))
}

// awsAccount is an AWS account with two VPCs, and in the first of them the instances and ENIs of two
// clusters. A thief has the credentials of the operator of one.
type awsAccount struct {
	t *testing.T
	// people may do everything.
	people, thief *awsec2.Client
	// here are the operator's cluster's, there another's. elsewhere is another VPC.
	here, there           cluster
	subnet, elsewhere     string
	group, groupElsewhere string
	foreignRegion         *awsec2.Client
}

type cluster struct{ name, instance, eni, attachment string }

func newAWSAccount(t *testing.T) *awsAccount {
	t.Helper()
	server := emulator.New(emulator.Options{Throttling: emulator.Throttling{Off: true}})
	endpoint := httptest.NewServer(server)
	t.Cleanup(endpoint.Close)
	a := &awsAccount{
		t: t, people: sdk.New(endpoint.URL, "us-east-1", "AKIATEST"), thief: sdk.New(endpoint.URL, "us-east-1", flow.OperatorKey),
		foreignRegion: sdk.New(endpoint.URL, "eu-west-1", flow.OperatorKey),
	}
	var vpc string
	vpc, a.subnet, a.group = a.network("10.0.0.0/16", "10.0.0.0/20")
	_, a.elsewhere, a.groupElsewhere = a.network("10.1.0.0/16", "10.1.0.0/20")
	a.here, a.there = a.cluster("prod"), a.cluster("billing")
	policy, err := flow.ShippedIAMPolicy(map[string]string{"VPC_ID": vpc, "CLUSTER_NAME": a.here.name})
	assert.NilError(t, err)
	server.SetPolicy(flow.OperatorKey, policy)
	return a
}

func (a *awsAccount) network(cidr, subnetCIDR string) (vpc, subnet, group string) {
	a.t.Helper()
	madeVPC, err := a.people.CreateVpc(a.t.Context(), &awsec2.CreateVpcInput{CidrBlock: &cidr})
	assert.NilError(a.t, err)
	made, err := a.people.CreateSubnet(a.t.Context(), &awsec2.CreateSubnetInput{
		VpcId: madeVPC.Vpc.VpcId, CidrBlock: &subnetCIDR, AvailabilityZone: aws.String("us-east-1a"),
	})
	assert.NilError(a.t, err)
	madeGroup, err := a.people.CreateSecurityGroup(a.t.Context(), &awsec2.CreateSecurityGroupInput{
		VpcId: madeVPC.Vpc.VpcId, GroupName: aws.String("nodes"), Description: aws.String("nodes"),
	})
	assert.NilError(a.t, err)
	return *madeVPC.Vpc.VpcId, *made.Subnet.SubnetId, *madeGroup.GroupId
}

// cluster makes an instance of a cluster with an ENI of its operator.
func (a *awsAccount) cluster(name string) cluster {
	a.t.Helper()
	launched, err := a.people.RunInstances(a.t.Context(), &awsec2.RunInstancesInput{
		ImageId: aws.String("ami-0123456789abcdef0"), InstanceType: "m5.xlarge", SubnetId: &a.subnet, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		TagSpecifications: tagsOf(types.ResourceTypeInstance, "kubernetes.io/cluster/"+name, "owned"),
	})
	assert.NilError(a.t, err)
	c := cluster{name: name, instance: *launched.Instances[0].InstanceId}
	c.eni = a.create(a.people, a.subnet, name)
	attached, err := a.people.AttachNetworkInterface(a.t.Context(), &awsec2.AttachNetworkInterfaceInput{
		InstanceId: &c.instance, NetworkInterfaceId: &c.eni, DeviceIndex: aws.Int32(1),
	})
	assert.NilError(a.t, err)
	c.attachment = *attached.AttachmentId
	return c
}

func tagsOf(kind types.ResourceType, key, value string) []types.TagSpecification {
	return []types.TagSpecification{{ResourceType: kind, Tags: []types.Tag{{Key: &key, Value: &value}}}}
}

func createInput(subnet, clusterName string, groups ...string) *awsec2.CreateNetworkInterfaceInput {
	return &awsec2.CreateNetworkInterfaceInput{
		SubnetId: &subnet, Groups: groups, TagSpecifications: tagsOf(types.ResourceTypeNetworkInterface, ec2.TagCluster, clusterName),
	}
}

func (a *awsAccount) create(client *awsec2.Client, subnet, clusterName string) string {
	a.t.Helper()
	made, err := client.CreateNetworkInterface(a.t.Context(), createInput(subnet, clusterName))
	assert.NilError(a.t, err)
	return *made.NetworkInterface.NetworkInterfaceId
}

func tag(key, value string) []types.Tag { return []types.Tag{{Key: &key, Value: &value}} }

// TestStolenCredentialsReachOneClusterOnly, in the VPC and Region of the policy. Each attack is the
// operator's own work on something else, and what the operator does is allowed.
func TestStolenCredentialsReachOneClusterOnly(t *testing.T) {
	a := newAWSAccount(t)
	type call func(ctx context.Context) error
	attach := func(eni, instance string) call {
		return func(ctx context.Context) error {
			_, err := a.thief.AttachNetworkInterface(ctx, &awsec2.AttachNetworkInterfaceInput{NetworkInterfaceId: &eni, InstanceId: &instance, DeviceIndex: aws.Int32(2)})
			return err
		}
	}
	create := func(input *awsec2.CreateNetworkInterfaceInput) call {
		return func(ctx context.Context) error {
			_, err := a.thief.CreateNetworkInterface(ctx, input)
			return err
		}
	}
	detach := func(c cluster) call {
		return func(ctx context.Context) error {
			_, err := a.thief.DetachNetworkInterface(ctx, &awsec2.DetachNetworkInterfaceInput{AttachmentId: &c.attachment})
			return err
		}
	}
	assign := func(eni string) call {
		return func(ctx context.Context) error {
			_, err := a.thief.AssignPrivateIpAddresses(ctx, &awsec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: &eni, SecondaryPrivateIpAddressCount: aws.Int32(1)})
			return err
		}
	}
	groups := func(eni, group string) call {
		return func(ctx context.Context) error {
			_, err := a.thief.ModifyNetworkInterfaceAttribute(ctx, &awsec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &eni, Groups: []string{group}})
			return err
		}
	}
	write := func(id, key, value string) call {
		return func(ctx context.Context) error {
			_, err := a.thief.CreateTags(ctx, &awsec2.CreateTagsInput{Resources: []string{id}, Tags: tag(key, value)})
			return err
		}
	}
	remove := func(id, key string) call {
		return func(ctx context.Context) error {
			_, err := a.thief.DeleteTags(ctx, &awsec2.DeleteTagsInput{Resources: []string{id}, Tags: []types.Tag{{Key: &key}}})
			return err
		}
	}
	spare := a.create(a.thief, a.subnet, a.here.name)
	for what, try := range map[string]call{
		"an ENI for another cluster's instance":      attach(spare, a.there.instance),
		"another cluster's ENI for our instance":     attach(a.create(a.people, a.subnet, a.there.name), a.here.instance),
		"an ENI in another VPC":                      create(createInput(a.elsewhere, a.here.name)),
		"an ENI with another VPC's group":            create(createInput(a.subnet, a.here.name, a.groupElsewhere)),
		"an ENI of another cluster":                  create(createInput(a.subnet, a.there.name)),
		"an ENI without tags":                        create(&awsec2.CreateNetworkInterfaceInput{SubnetId: &a.subnet}),
		"another cluster's ENI is detached":          detach(a.there),
		"another cluster's ENI gets an address":      assign(a.there.eni),
		"another cluster's ENI gets a group":         groups(a.there.eni, a.group),
		"our ENI gets another VPC's group":           groups(a.here.eni, a.groupElsewhere),
		"another cluster's ENI becomes ours":         write(a.there.eni, ec2.TagCluster, a.here.name),
		"our ENI becomes another cluster's":          write(a.here.eni, ec2.TagCluster, a.there.name),
		"our ENI is hidden from every cluster":       remove(a.here.eni, ec2.TagClusterUID),
		"an instance is said to be of our cluster":   write(a.there.instance, "kubernetes.io/cluster/"+a.here.name, "owned"),
		"another cluster's instance is taken over":   remove(a.there.instance, "kubernetes.io/cluster/"+a.there.name),
		"an ENI that is nobody's is said to be ours": write(a.create(a.people, a.subnet, ""), ec2.TagCluster, a.here.name),
		"the instance is terminated": func(ctx context.Context) error {
			_, err := a.thief.TerminateInstances(ctx, &awsec2.TerminateInstancesInput{InstanceIds: []string{a.here.instance}})
			return err
		},
		"another cluster's ENI is deleted": func(ctx context.Context) error {
			_, err := a.thief.DeleteNetworkInterface(ctx, &awsec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &a.there.eni})
			return err
		},
		"another Region is read": func(ctx context.Context) error {
			_, err := a.foreignRegion.DescribeInstances(ctx, &awsec2.DescribeInstancesInput{})
			return err
		},
		"the instance's own groups are changed": func(ctx context.Context) error {
			_, err := a.thief.ModifyInstanceAttribute(ctx, &awsec2.ModifyInstanceAttributeInput{InstanceId: &a.here.instance, Groups: []string{a.group}})
			return err
		},
	} {
		assert.Check(t, cmp.Equal(ec2.Code(try(t.Context())), "UnauthorizedOperation"), what)
	}
	for what, try := range map[string]call{
		"an ENI with a group of the VPC":       create(createInput(a.subnet, a.here.name, a.group)),
		"an ENI of ours for our instance":      attach(spare, a.here.instance),
		"our ENI gets an address":              assign(a.here.eni),
		"our ENI gets a group":                 groups(a.here.eni, a.group),
		"our ENI is marked as retained":        write(a.here.eni, ec2.TagDeletionPolicy, "Retain"),
		"our ENI is tagged as a person wishes": write(a.here.eni, "team", "payments"),
		"or no longer":                         remove(a.here.eni, "team"),
		"our ENI is detached":                  detach(a.here),
	} {
		assert.NilError(t, try(t.Context()), what)
	}
}
