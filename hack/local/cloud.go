package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eni-operator/eni-operator/test/emulator"
)

const (
	region = "us-east-1"

	// The access keys tell the two callers apart in the emulator's log.
	ownKey      = "AKIADEMO"
	operatorKey = "AKIAOPERATOR"
	// anySecret serves both: the emulator does not verify signatures.
	anySecret = "secret"
)

// machine is an EC2 instance to be.
type machine struct {
	zone         string
	subnet       string // CIDR
	instanceType types.InstanceType
}

// machines are three instances of different types in three zones.
var machines = []machine{
	{region + "a", "10.0.1.0/24", types.InstanceTypeM5Large},
	{region + "b", "10.0.2.0/24", types.InstanceTypeM5Xlarge},
	{region + "c", "10.0.3.0/24", types.InstanceTypeM54xlarge},
}

// cloud is EC2: an emulator on loopback, and a client of our own that sees what
// any client of EC2 would.
type cloud struct {
	*ec2.Client
	endpoint string
	emulator *emulator.Server
	server   *http.Server
	vpc      string
	// instances are in the order of machines.
	instances []types.Instance
}

// startCloud serves EC2, with its throttling.
func startCloud(timings emulator.Timings) (*cloud, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &cloud{
		endpoint: "http://" + listener.Addr().String(),
		emulator: emulator.New(emulator.Options{Timings: timings}),
	}
	c.server = &http.Server{Handler: c.emulator, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = c.server.Serve(listener) }()
	c.Client = ec2.New(ec2.Options{
		Region:       region,
		BaseEndpoint: &c.endpoint,
		Credentials:  credentials.NewStaticCredentialsProvider(ownKey, anySecret, ""),
	})
	return c, nil
}

func (c *cloud) stop() {
	_ = c.server.Close()
}

// build makes the VPC and the subnets, and launches the instances.
func (c *cloud) build(ctx context.Context) error {
	vpc, err := c.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	if err != nil {
		return err
	}
	c.vpc = aws.ToString(vpc.Vpc.VpcId)
	group, err := c.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
		VpcId: &c.vpc, GroupName: aws.String("nodes"), Description: aws.String("Nodes of the demo"),
	})
	if err != nil {
		return err
	}
	for _, m := range machines {
		instance, err := c.launch(ctx, m, aws.ToString(group.GroupId))
		if err != nil {
			return fmt.Errorf("launching the %s in %s: %w", m.instanceType, m.zone, err)
		}
		c.instances = append(c.instances, instance)
	}
	return nil
}

// launch makes the machine's subnet and starts its instance there.
func (c *cloud) launch(ctx context.Context, m machine, group string) (types.Instance, error) {
	subnet, err := c.CreateSubnet(ctx, &ec2.CreateSubnetInput{
		VpcId: &c.vpc, AvailabilityZone: &m.zone, CidrBlock: &m.subnet,
	})
	if err != nil {
		return types.Instance{}, err
	}
	reservation, err := c.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId:          aws.String("ami-0123456789abcdef0"),
		InstanceType:     m.instanceType,
		SubnetId:         subnet.Subnet.SubnetId,
		SecurityGroupIds: []string{group},
		MinCount:         aws.Int32(1),
		MaxCount:         aws.Int32(1),
	})
	if err != nil {
		return types.Instance{}, err
	}
	return reservation.Instances[0], nil
}

// waitUntilRunning returns when all instances have booted.
func (c *cloud) waitUntilRunning(ctx context.Context) error {
	var ids []string
	for _, instance := range c.instances {
		ids = append(ids, aws.ToString(instance.InstanceId))
	}
	waiter := ec2.NewInstanceRunningWaiter(c.Client, func(o *ec2.InstanceRunningWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Second, time.Second
	})
	deadline, _ := ctx.Deadline()
	return waiter.Wait(ctx, &ec2.DescribeInstancesInput{InstanceIds: ids}, time.Until(deadline))
}

func (c *cloud) terminate(ctx context.Context, instanceID string) error {
	_, err := c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{instanceID}})
	return err
}

// evidence is what EC2 itself shows of the demo's VPC.
type evidence struct {
	// enis are all ENIs, the instances' primary ones too.
	enis []types.NetworkInterface
	// instances are the running ones, by id.
	instances map[string]types.Instance
	// subnetCIDRs by subnet id.
	subnetCIDRs map[string]string
}

// look reads the VPC.
func (c *cloud) look(ctx context.Context) (evidence, error) {
	seen := evidence{instances: map[string]types.Instance{}, subnetCIDRs: map[string]string{}}
	inVPC := []types.Filter{{Name: aws.String("vpc-id"), Values: []string{c.vpc}}}

	pages := ec2.NewDescribeNetworkInterfacesPaginator(c.Client, &ec2.DescribeNetworkInterfacesInput{Filters: inVPC})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return evidence{}, err
		}
		seen.enis = append(seen.enis, page.NetworkInterfaces...)
	}
	running := types.Filter{Name: aws.String("instance-state-name"), Values: []string{string(types.InstanceStateNameRunning)}}
	instances, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: append(inVPC, running)})
	if err != nil {
		return evidence{}, err
	}
	for _, i := range instancesOf(instances.Reservations) {
		seen.instances[aws.ToString(i.InstanceId)] = i
	}
	subnets, err := c.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: inVPC})
	if err != nil {
		return evidence{}, err
	}
	for _, s := range subnets.Subnets {
		seen.subnetCIDRs[aws.ToString(s.SubnetId)] = aws.ToString(s.CidrBlock)
	}
	return seen, nil
}

func instancesOf(reservations []types.Reservation) []types.Instance {
	var instances []types.Instance
	for _, r := range reservations {
		instances = append(instances, r.Instances...)
	}
	return instances
}
