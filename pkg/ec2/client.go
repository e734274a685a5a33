/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/utils/clock"
)

// describePageSize is the most that one page of a Describe call may hold (EC2).
const describePageSize = 1000

// instanceTypesPageSize is the same for DescribeInstanceTypes (EC2).
const instanceTypesPageSize = 100

type sdkClient struct {
	api     *ec2.Client
	region  string
	limiter *limiter
	gate    Gate
	// pagePause is the pause before a page is asked for a second time.
	pagePause time.Duration
	// configure changes how the SDK finds Region, credentials and HTTP client.
	configure []func(*config.LoadOptions) error
}

// Option changes what NewClient returns.
type Option func(*sdkClient)

// WithGate has a gate asked right before each attempt of a call that can change
// something. What it refuses fails with ClassNotLeader, and was not sent.
func WithGate(gate Gate) Option { return func(c *sdkClient) { c.gate = gate } }

// WithConfig changes what the SDK would find in the process's environment and files:
// the Region, the credentials, the endpoint or the HTTP client.
func WithConfig(changes ...func(*config.LoadOptions) error) Option {
	return func(c *sdkClient) { c.configure = append(c.configure, changes...) }
}

// NewClient returns a client for the account and Region that the SDK's own
// variables and files name (AWS_REGION, AWS_ENDPOINT_URL_EC2, …). It makes no
// call. It fails when no Region is set or a file cannot be read. Once ctx has ended
// no call is sent any more, and those that wait for a rate limit fail at once.
func NewClient(ctx context.Context, limits Limits, settings ...Option) (Client, error) {
	c := &sdkClient{limiter: newLimiter(ctx, limits, clock.RealClock{}), pagePause: pagePause}
	for _, set := range settings {
		set(c)
	}
	// The caller knows which call may be repeated; the SDK does not.
	noRetries := config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} })
	cfg, err := config.LoadDefaultConfig(ctx, append(c.configure, noRetries)...)
	if err != nil {
		return nil, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return nil, fmt.Errorf("no AWS Region: set AWS_REGION, or give the pod a profile that has one")
	}
	c.region = cfg.Region
	c.api = ec2.NewFromConfig(cfg, func(o *ec2.Options) {
		o.APIOptions = append(o.APIOptions, c.limiter.addTo, traceCalls)
		o.HTTPClient = plainBodies{o.HTTPClient}
		if c.gate != nil {
			o.HTTPClient = gatedWrites{o.HTTPClient, c.gate}
		}
	})
	return c, nil
}

func (c *sdkClient) Region() string { return c.region }

func (c *sdkClient) Backlog(action string) (waiting, underway int) {
	q := c.limiter.queue(action)
	return q.length(), int(q.underway.Load())
}

func (c *sdkClient) Admit(ctx context.Context, action, key string) (*Admission, time.Duration) {
	return c.limiter.queue(action).admit(callOf(ctx), action, key)
}

func (c *sdkClient) Limit(action string) Limit { return c.limiter.queue(action).full }

func (c *sdkClient) CreateNetworkInterface(ctx context.Context, input CreateInput) (NetworkInterface, error) {
	call := &ec2.CreateNetworkInterfaceInput{
		SubnetId:    aws.String(input.SubnetID),
		Groups:      input.SecurityGroups,
		ClientToken: aws.String(input.ClientToken),
		Description: optional(input.Description),
	}
	if len(input.Tags) > 0 {
		call.TagSpecifications = []types.TagSpecification{{
			ResourceType: types.ResourceTypeNetworkInterface,
			Tags:         toTags(input.Tags),
		}}
	}
	if input.AddressCount > 0 {
		call.SecondaryPrivateIpAddressCount = aws.Int32(input.AddressCount)
	}
	if input.PrefixCount > 0 {
		call.Ipv4PrefixCount = aws.Int32(input.PrefixCount)
	}
	output, err := c.api.CreateNetworkInterface(ctx, call)
	if err != nil {
		return NetworkInterface{}, err
	}
	eni := fromNetworkInterface(output.NetworkInterface)
	if len(eni.Tags) == 0 {
		eni.Tags = input.Tags
	}
	return eni, nil
}

func (c *sdkClient) AttachNetworkInterface(ctx context.Context, eniID, instanceID string, slot Slot) (string, error) {
	output, err := c.api.AttachNetworkInterface(ctx, &ec2.AttachNetworkInterfaceInput{
		NetworkInterfaceId: aws.String(eniID),
		InstanceId:         aws.String(instanceID),
		DeviceIndex:        aws.Int32(slot.DeviceIndex),
		NetworkCardIndex:   aws.Int32(slot.NetworkCardIndex),
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(output.AttachmentId), nil
}

func (c *sdkClient) DetachNetworkInterface(ctx context.Context, attachmentID string, force bool) error {
	call := &ec2.DetachNetworkInterfaceInput{AttachmentId: aws.String(attachmentID)}
	if force {
		call.Force = aws.Bool(true)
	}
	_, err := c.api.DetachNetworkInterface(ctx, call)
	return err
}

func (c *sdkClient) DeleteNetworkInterface(ctx context.Context, eniID string) error {
	_, err := c.api.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: aws.String(eniID)})
	return err
}

func (c *sdkClient) AssignPrivateAddresses(ctx context.Context, eniID string, input AssignInput) (Assigned, error) {
	call := &ec2.AssignPrivateIpAddressesInput{
		NetworkInterfaceId: aws.String(eniID),
		PrivateIpAddresses: input.Addresses,
		Ipv4Prefixes:       input.Prefixes,
	}
	if input.AddressCount > 0 {
		call.SecondaryPrivateIpAddressCount = aws.Int32(input.AddressCount)
	}
	if input.PrefixCount > 0 {
		call.Ipv4PrefixCount = aws.Int32(input.PrefixCount)
	}
	output, err := c.api.AssignPrivateIpAddresses(ctx, call)
	if err != nil {
		return Assigned{}, err
	}
	var assigned Assigned
	for _, address := range output.AssignedPrivateIpAddresses {
		assigned.Addresses = append(assigned.Addresses, aws.ToString(address.PrivateIpAddress))
	}
	for _, prefix := range output.AssignedIpv4Prefixes {
		assigned.Prefixes = append(assigned.Prefixes, aws.ToString(prefix.Ipv4Prefix))
	}
	return assigned, nil
}

func (c *sdkClient) UnassignPrivateAddresses(ctx context.Context, eniID string, names Assigned) error {
	_, err := c.api.UnassignPrivateIpAddresses(ctx, &ec2.UnassignPrivateIpAddressesInput{
		NetworkInterfaceId: aws.String(eniID),
		PrivateIpAddresses: names.Addresses,
		Ipv4Prefixes:       names.Prefixes,
	})
	return err
}

func (c *sdkClient) SetDeleteOnTermination(ctx context.Context, eniID, attachmentID string, value bool) error {
	_, err := c.api.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{
		NetworkInterfaceId: aws.String(eniID),
		Attachment: &types.NetworkInterfaceAttachmentChanges{
			AttachmentId:        aws.String(attachmentID),
			DeleteOnTermination: aws.Bool(value),
		},
	})
	return err
}

func (c *sdkClient) SetSecurityGroups(ctx context.Context, eniID string, groups []string) error {
	_, err := c.api.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{
		NetworkInterfaceId: aws.String(eniID),
		Groups:             groups,
	})
	return err
}

func (c *sdkClient) CreateTags(ctx context.Context, eniID string, tags map[string]string) error {
	_, err := c.api.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{eniID}, Tags: toTags(tags)})
	return err
}

func (c *sdkClient) DeleteTags(ctx context.Context, eniID string, keys []string) error {
	call := &ec2.DeleteTagsInput{Resources: []string{eniID}}
	for _, key := range keys {
		call.Tags = append(call.Tags, types.Tag{Key: aws.String(key)})
	}
	_, err := c.api.DeleteTags(ctx, call)
	return err
}

func (c *sdkClient) DescribeNetworkInterfaces(ctx context.Context, filters ...Filter) ([]NetworkInterface, error) {
	ids, filters := takeIDs(filters)
	pages := ec2.NewDescribeNetworkInterfacesPaginator(c.api, &ec2.DescribeNetworkInterfacesInput{
		NetworkInterfaceIds: ids, Filters: toFilters(filters), MaxResults: pageSize(ids), IncludeManagedResources: aws.Bool(true),
	})
	var enis []NetworkInterface
	err := eachPage(ctx, c.pagePause, pages, func(page *ec2.DescribeNetworkInterfacesOutput) {
		for i := range page.NetworkInterfaces {
			enis = append(enis, fromNetworkInterface(&page.NetworkInterfaces[i]))
		}
	})
	if err != nil {
		return nil, err
	}
	return enis, nil
}

func (c *sdkClient) DescribeInstances(ctx context.Context, filters ...Filter) ([]Instance, error) {
	ids, filters := takeIDs(filters)
	pages := ec2.NewDescribeInstancesPaginator(c.api, &ec2.DescribeInstancesInput{
		InstanceIds: ids, Filters: toFilters(filters), MaxResults: pageSize(ids), IncludeManagedResources: aws.Bool(true),
	})
	var instances []Instance
	err := eachPage(ctx, c.pagePause, pages, func(page *ec2.DescribeInstancesOutput) {
		for _, reservation := range page.Reservations {
			for i := range reservation.Instances {
				instances = append(instances, fromInstance(&reservation.Instances[i]))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return instances, nil
}

func (c *sdkClient) DescribeSubnets(ctx context.Context, filters ...Filter) ([]Subnet, error) {
	pages := ec2.NewDescribeSubnetsPaginator(c.api, &ec2.DescribeSubnetsInput{
		Filters: toFilters(filters), MaxResults: aws.Int32(describePageSize),
	})
	var subnets []Subnet
	err := eachPage(ctx, c.pagePause, pages, func(page *ec2.DescribeSubnetsOutput) {
		for i := range page.Subnets {
			subnets = append(subnets, fromSubnet(&page.Subnets[i]))
		}
	})
	if err != nil {
		return nil, err
	}
	return subnets, nil
}

func (c *sdkClient) DescribeSecurityGroups(ctx context.Context, filters ...Filter) ([]string, error) {
	pages := ec2.NewDescribeSecurityGroupsPaginator(c.api, &ec2.DescribeSecurityGroupsInput{
		Filters: toFilters(filters), MaxResults: aws.Int32(describePageSize),
	})
	var ids []string
	err := eachPage(ctx, c.pagePause, pages, func(page *ec2.DescribeSecurityGroupsOutput) {
		for _, group := range page.SecurityGroups {
			ids = append(ids, aws.ToString(group.GroupId))
		}
	})
	if err != nil {
		return nil, err
	}
	return sorted(ids), nil
}

// DescribeInstanceTypes asks through the filter, because one unknown name in the
// list of names fails the whole call (EC2).
func (c *sdkClient) DescribeInstanceTypes(ctx context.Context, names []string) ([]InstanceType, error) {
	pages := ec2.NewDescribeInstanceTypesPaginator(c.api, &ec2.DescribeInstanceTypesInput{
		Filters:    toFilters([]Filter{{Name: "instance-type", Values: names}}),
		MaxResults: aws.Int32(instanceTypesPageSize),
	})
	var out []InstanceType
	err := eachPage(ctx, c.pagePause, pages, func(page *ec2.DescribeInstanceTypesOutput) {
		for i := range page.InstanceTypes {
			out = append(out, fromInstanceType(&page.InstanceTypes[i]))
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// takeIDs separates the ids of ByID from the filters.
func takeIDs(all []Filter) (ids []string, filters []Filter) {
	for _, filter := range all {
		if filter.Name == byID {
			ids = append(ids, filter.Values...)
			continue
		}
		filters = append(filters, filter)
	}
	return ids, filters
}

// pageSize is the size of pages, which a question by id must not name (EC2).
func pageSize(ids []string) *int32 {
	if len(ids) > 0 {
		return nil
	}
	return aws.Int32(describePageSize)
}

func optional(value string) *string {
	if value == "" {
		return nil
	}
	return aws.String(value)
}

func sortTags(tags []types.Tag) {
	slices.SortFunc(tags, func(a, b types.Tag) int {
		return strings.Compare(aws.ToString(a.Key), aws.ToString(b.Key))
	})
}
