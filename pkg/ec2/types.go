/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// Client makes the EC2 calls that the operator needs. Each method is one API
// action, but for the Describe methods, which follow the pages themselves and try a page
// after the first a few times; their answer is complete, or an error. All wait for their
// action's limiter first, unless they were admitted before (see Admit), and make a single
// attempt: the caller decides about another, knowing what happened (see Classify and
// Unclear).
type Client interface {
	CreateNetworkInterface(ctx context.Context, input CreateInput) (NetworkInterface, error)
	// AttachNetworkInterface returns the attachment's id.
	AttachNetworkInterface(ctx context.Context, eniID, instanceID string, slot Slot) (string, error)
	DetachNetworkInterface(ctx context.Context, attachmentID string, force bool) error
	DeleteNetworkInterface(ctx context.Context, eniID string) error
	// AssignPrivateAddresses adds to what the ENI has: asking twice assigns twice.
	AssignPrivateAddresses(ctx context.Context, eniID string, input AssignInput) (Assigned, error)
	UnassignPrivateAddresses(ctx context.Context, eniID string, names Assigned) error
	SetDeleteOnTermination(ctx context.Context, eniID, attachmentID string, value bool) error
	SetSecurityGroups(ctx context.Context, eniID string, groups []string) error
	CreateTags(ctx context.Context, eniID string, tags map[string]string) error
	DeleteTags(ctx context.Context, eniID string, keys []string) error

	// DescribeNetworkInterfaces returns the ENIs that fit all filters. Unknown
	// values in a filter give nothing; they are no error, unless they are ids in ByID.
	DescribeNetworkInterfaces(ctx context.Context, filters ...Filter) ([]NetworkInterface, error)
	DescribeInstances(ctx context.Context, filters ...Filter) ([]Instance, error)
	DescribeSubnets(ctx context.Context, filters ...Filter) ([]Subnet, error)
	// DescribeSecurityGroups returns the ids of the groups that fit.
	DescribeSecurityGroups(ctx context.Context, filters ...Filter) ([]string, error)
	DescribeInstanceTypes(ctx context.Context, names []string) ([]InstanceType, error)

	// Region returns the Region that the client calls.
	Region() string
	// Backlog is the number of calls of an action that wait for its rate limit, and
	// of those that EC2 has not answered yet.
	Backlog(action string) (waiting, underway int)
	// Limit is the token bucket that the calls of an action keep to.
	Limit(action string) Limit
	// Admit takes a token of an action's bucket for one call; see WithAdmission. If it
	// is not the call's turn, it keeps a place in the order under the key and returns
	// how long to stay away: a worker that comes back holds up nobody while it waits.
	Admit(ctx context.Context, action, key string) (*Admission, time.Duration)
}

// The API actions whose queues a fleet's start waits for.
const (
	ActionCreate = "CreateNetworkInterface"
	ActionAttach = "AttachNetworkInterface"
	ActionAssign = "AssignPrivateIpAddresses"
)

// The other API actions that change ENIs.
const (
	ActionDetach     = "DetachNetworkInterface"
	ActionDelete     = "DeleteNetworkInterface"
	ActionUnassign   = "UnassignPrivateIpAddresses"
	ActionModify     = "ModifyNetworkInterfaceAttribute"
	ActionCreateTags = "CreateTags"
	ActionDeleteTags = "DeleteTags"
)

// Filter is a Describe filter: the values are ORed, filters are ANDed. EC2 takes
// at most 200 values.
type Filter struct {
	Name   string
	Values []string
}

// byID is the name of the filter that ByID returns.
const byID = "id"

// ByID has DescribeNetworkInterfaces or DescribeInstances name ids outside of a filter.
// EC2 then fails with ClassNotFound if one of them does not exist, which is a statement;
// an answer to a filter that lacks something may just be lagging.
func ByID(ids ...string) Filter { return Filter{Name: byID, Values: ids} }

// AttachedTo selects the ENIs that are attached to an instance.
func AttachedTo(instanceID string) Filter {
	return Filter{Name: "attachment.instance-id", Values: []string{instanceID}}
}

// CarriesENI selects the instance that an ENI is attached to.
func CarriesENI(eniID string) Filter {
	return Filter{Name: "network-interface.network-interface-id", Values: []string{eniID}}
}

// Slot is where an ENI sits on an instance. Device indexes are unique per
// network card (EC2).
type Slot struct {
	NetworkCardIndex int32
	DeviceIndex      int32
}

// Attachment statuses of EC2.
const (
	AttachmentAttaching = "attaching"
	AttachmentAttached  = "attached"
	AttachmentDetaching = "detaching"
)

// Attachment of an ENI to an instance.
type Attachment struct {
	ID                  string
	InstanceID          string
	Slot                Slot
	Status              string
	DeleteOnTermination bool
}

// NetworkInterface is an ENI as EC2 describes it. Lists are sorted.
type NetworkInterface struct {
	ID               string
	MACAddress       string
	VPCID            string
	SubnetID         string
	AvailabilityZone string
	Description      string
	PrimaryAddress   string
	// Addresses are the secondary private IPv4 addresses.
	Addresses      []string
	Prefixes       []string
	SecurityGroups []string
	Tags           map[string]string
	Attachment     *Attachment
}

// CreateInput is everything a CreateNetworkInterface call says.
type CreateInput struct {
	SubnetID       string
	SecurityGroups []string
	// AddressCount secondary addresses, or PrefixCount prefixes: not both (EC2).
	AddressCount int32
	PrefixCount  int32
	Description  string
	Tags         map[string]string
	// ClientToken makes the call repeatable: the same token with the same
	// parameters is answered with the same ENI.
	ClientToken string
}

// AssignInput asks for addresses by name, or by count.
type AssignInput struct {
	Addresses    []string
	Prefixes     []string
	AddressCount int32
	PrefixCount  int32
}

// Assigned names secondary addresses and prefixes.
type Assigned struct {
	Addresses []string
	Prefixes  []string
}

// Instance states that mean that the instance is gone for good.
const (
	InstanceShuttingDown = "shutting-down"
	InstanceTerminated   = "terminated"
)

// Instance is an EC2 instance and its attachments.
type Instance struct {
	ID               string
	Type             string
	State            string
	VPCID            string
	SubnetID         string
	AvailabilityZone string
	// SecurityGroups of the primary ENI, sorted.
	SecurityGroups []string
	// Interfaces by ENI id, the primary one included.
	Interfaces map[string]Slot
	// Primary is the primary ENI, without tags.
	Primary NetworkInterface
}

// Gone says whether the instance is shutting down or terminated.
func (i Instance) Gone() bool {
	return i.State == InstanceShuttingDown || i.State == InstanceTerminated
}

// InstanceType holds the limits of an instance type (DescribeInstanceTypes,
// networkInfo).
type InstanceType struct {
	Name string
	// MaxENIs over all network cards, the primary one included.
	MaxENIs int32
	// IPv4PerENI is the number of address slots of one ENI; its primary address
	// takes one, each secondary address or prefix another.
	IPv4PerENI int32
	// CardENIs is the number of ENIs of each network card, by card index: 0 for a card
	// that takes no plain ENIs.
	CardENIs []int32
	// Nitro instances alone carry prefixes.
	Nitro bool
}

// Subnet of a VPC.
type Subnet struct {
	ID               string
	VPCID            string
	AvailabilityZone string
	// CIDR is the IPv4 CIDR; the zero value where EC2 tells none.
	CIDR          netip.Prefix
	FreeAddresses int32
}

// createdAtLayout is how the created-at tag writes a time.
const createdAtLayout = time.RFC3339

func sorted(values []string) []string {
	slices.Sort(values)
	return values
}

// Slots returns the slots of an instance type that ENIs of ours may take: device
// indexes from minDeviceIndex on each network card. Index 0 of card 0 is the
// primary ENI's (EC2).
func (t InstanceType) Slots(minDeviceIndex int32) []Slot {
	var slots []Slot
	for card, count := range t.CardENIs {
		last := count
		if card == 0 {
			last--
		}
		for index := max(minDeviceIndex, 1); index <= last; index++ {
			slots = append(slots, Slot{NetworkCardIndex: int32(card), DeviceIndex: index}) //nolint:gosec // a handful of cards
		}
	}
	return slots
}
