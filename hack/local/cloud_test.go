package main

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/eni-operator/eni-operator/test/emulator"
)

func TestCloud(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := startCloud(emulator.Timings{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	if err := c.build(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.waitUntilRunning(ctx); err != nil {
		t.Fatal(err)
	}
	for i, instance := range c.instances {
		node := nodeOf(instance)
		if got := node.Labels["topology.kubernetes.io/zone"]; got != machines[i].zone || node.Name == "" {
			t.Errorf("node %q in zone %q, want one in %q", node.Name, got, machines[i].zone)
		}
	}

	seen := lookAt(ctx, t, c)
	if len(seen.enis) != 3 || len(seen.instances) != 3 || len(seen.subnetCIDRs) != 3 {
		t.Errorf("got %d ENIs, %d instances, %d subnets", len(seen.enis), len(seen.instances), len(seen.subnetCIDRs))
	}
	if left := notPristine(seen, testCluster); left != nil {
		t.Errorf("new instances are not as they should be: %q", left)
	}

	_, err = c.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: c.instances[0].SubnetId})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.terminate(ctx, aws.ToString(c.instances[2].InstanceId)); err != nil {
		t.Fatal(err)
	}
	seen = lookAt(ctx, t, c)
	if len(seen.enis) != 3 || len(seen.instances) != 2 {
		t.Errorf("got %d ENIs and %d instances", len(seen.enis), len(seen.instances))
	}
	if left := seen.ours(testCluster); len(left) != 0 {
		t.Errorf("ENIs without tags taken for ours: %v", left)
	}
	if own := byOperator(c.emulator.Calls()); len(own) != 0 {
		t.Errorf("our own calls taken for the operator's: %v", own)
	}
}

func lookAt(ctx context.Context, t *testing.T, c *cloud) evidence {
	t.Helper()
	seen, err := c.look(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}
