/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package flow tells the main story of an operator that runs as any user would run
// it: nodes join, a policy gives them pools, claims are bound and released, and in
// the end nothing is left in EC2. Tests of how the operator is installed tell it to
// see that the installed operator works.
package flow

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/pkg/setup"
	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/emulator/sdk"
)

const (
	// ClusterName is what the operator must be told with --cluster-name.
	ClusterName = "flow"
	// OperatorKey is the operator's access key id in the call log.
	OperatorKey = "AKIAOPERATOR"
	// Namespace is that of the claims.
	Namespace = "shop"

	testKey = "AKIATEST"
	region  = "us-east-1"
	zone    = "us-east-1a"
)

// World is a control plane and an EC2 that belong together.
type World struct {
	client.Client
	EC2    *ec2.Client
	Server *emulator.Server

	t        testing.TB
	endpoint string
	vpc      string
	subnet   string
	group    string
	nodes    []string
}

// New starts an EC2 for a control plane. It ends with the test.
func New(t testing.TB, kubernetes *rest.Config) *World {
	t.Helper()
	w := &World{t: t, Server: emulator.New(emulator.Options{
		Throttling: emulator.Throttling{Off: true},
		Timings: emulator.Timings{
			CreateENI: emulator.Span{Max: 20 * time.Millisecond},
			Attach:    emulator.Span{Max: 20 * time.Millisecond},
			Detach:    emulator.Span{Max: 20 * time.Millisecond},
		},
	})}
	server := httptest.NewServer(w.Server)
	t.Cleanup(server.Close)
	w.endpoint = server.URL
	w.EC2 = sdk.New(server.URL, region, testKey)
	scheme, err := setup.Scheme()
	assert.NilError(t, err)
	w.Client, err = client.New(kubernetes, client.Options{Scheme: scheme})
	assert.NilError(t, err)
	w.network()
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}})
	return w
}

func (w *World) network() {
	w.t.Helper()
	ctx := w.t.Context()
	vpc, err := w.EC2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.7.0.0/16")})
	assert.NilError(w.t, err)
	w.vpc = *vpc.Vpc.VpcId
	subnet, err := w.EC2.CreateSubnet(ctx, &ec2.CreateSubnetInput{
		VpcId: vpc.Vpc.VpcId, AvailabilityZone: aws.String(zone), CidrBlock: aws.String("10.7.1.0/24"),
		TagSpecifications: tagged(ec2types.ResourceTypeSubnet),
	})
	assert.NilError(w.t, err)
	w.subnet = *subnet.Subnet.SubnetId
	group, err := w.EC2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
		VpcId: vpc.Vpc.VpcId, GroupName: aws.String("nodes"), Description: aws.String("nodes"),
		TagSpecifications: tagged(ec2types.ResourceTypeSecurityGroup),
	})
	assert.NilError(w.t, err)
	w.group = *group.GroupId
}

// tagged marks what the policy's selector terms find.
func tagged(kind ec2types.ResourceType) []ec2types.TagSpecification {
	return []ec2types.TagSpecification{{ResourceType: kind, Tags: []ec2types.Tag{{Key: aws.String("role"), Value: aws.String("pods")}}}}
}

// Environment is what the operator's process needs to reach this EC2, and not the
// account of whoever runs the tests.
func (w *World) Environment() []string {
	return emulator.Environment(w.endpoint, region, OperatorKey)
}

// Settings are flags under which nothing waits longer than it has to.
func Settings() []string {
	return []string{
		"--cluster-name=" + ClusterName,
		"--log-format=console",
		"--visibility-window=300ms",
		"--retry-base-delay=200ms",
		"--retry-max-delay=2s",
		"--audit-interval=1s",
		"--gc-interval=1s",
		"--lease-grace=1s",
		"--batch-window=5ms",
		"--network-ttl=200ms",
	}
}

// AddNode launches an instance and makes its Node, which the policy selects.
func (w *World) AddNode(instanceType string) string {
	w.t.Helper()
	ctx := w.t.Context()
	made, err := w.EC2.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: aws.String("ami-0123456789abcdef0"), InstanceType: ec2types.InstanceType(instanceType),
		SubnetId: &w.subnet, SecurityGroupIds: []string{w.group}, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeInstance, Tags: []ec2types.Tag{
			{Key: aws.String("kubernetes.io/cluster/" + ClusterName), Value: aws.String("owned")},
		}}},
	})
	assert.NilError(w.t, err)
	name := fmt.Sprintf("flow-%d.ec2.internal", len(w.nodes))
	w.nodes = append(w.nodes, name)
	w.create(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"pool": policyName}},
		Spec: corev1.NodeSpec{
			ProviderID: "aws:///" + zone + "/" + *made.Instances[0].InstanceId,
			Taints:     []corev1.Taint{{Key: startupTaint, Effect: corev1.TaintEffectNoExecute}},
		},
	})
	return name
}

func (w *World) create(object client.Object) {
	w.t.Helper()
	assert.NilError(w.t, w.Create(w.t.Context(), object))
}

// patience is how long anything is waited for. It is much longer than anything
// takes, since the machine may be busy, and says nothing about speed.
const patience = 2 * time.Minute

// glance is the pause between two looks.
const glance = 100 * time.Millisecond

// Eventually looks until check finds nothing missing, and fails with what it missed
// last.
func Eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it never happened that %s: %v", what, err)
		}
		time.Sleep(glance)
	}
}

// ours are the ENIs in EC2 with this cluster's tag.
func (w *World) ours(ctx context.Context) ([]ec2types.NetworkInterface, error) {
	answer, err := w.EC2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{
		{Name: aws.String("tag:networking.eni-operator.dev/cluster"), Values: []string{ClusterName}},
	}})
	if err != nil {
		return nil, err
	}
	return answer.NetworkInterfaces, nil
}
