/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// Term selects subnets or security groups, by id, name or tags.
type Term struct {
	ID   string
	Name string
	Tags map[string]string
}

// networkAnswer is what selector terms found, until a time.
type networkAnswer struct {
	subnets []ec2.Subnet
	groups  []string
	until   time.Time
}

// Subnet returns a subnet, from EC2 the first time. Its CIDR never changes; its
// free addresses do.
func (i *Inventory) Subnet(ctx context.Context, id string) (ec2.Subnet, bool, error) {
	i.mu.Lock()
	var known ec2.Subnet
	if record, ok := i.subnets[id]; ok {
		known = record.Subnet
	}
	i.mu.Unlock()
	if known.CIDR.IsValid() {
		return known, true, nil
	}
	return i.RefreshSubnet(ctx, id)
}

// RefreshSubnet reads a subnet from EC2, together with all others asked for at the
// moment.
func (i *Inventory) RefreshSubnet(ctx context.Context, id string) (ec2.Subnet, bool, error) {
	return i.subnetReads.Get(ctx, id)
}

func (i *Inventory) fetchSubnets(ctx context.Context, ids []string) (map[string]ec2.Subnet, error) {
	asked := i.clock.Now()
	subnets, err := i.client.DescribeSubnets(ctx, ec2.Filter{Name: "subnet-id", Values: ids})
	if err != nil {
		return nil, err
	}
	found := make(map[string]ec2.Subnet, len(subnets))
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, subnet := range subnets {
		found[subnet.ID] = subnet
		i.keepSubnet(subnet, asked)
	}
	return found, nil
}

// Subnets returns the subnets of a VPC and zone that fit any of the terms, the
// one with the most free addresses first.
func (i *Inventory) Subnets(ctx context.Context, vpcID, zone string, terms []Term) ([]ec2.Subnet, error) {
	answer, err := i.network("subnets", vpcID, terms, func(answer *networkAnswer, term Term) error {
		filters := append(filtersOf(term, "subnet-id", ""), ec2.Filter{Name: "vpc-id", Values: []string{vpcID}})
		found, err := i.client.DescribeSubnets(ctx, filters...)
		answer.subnets = append(answer.subnets, found...)
		return err
	})
	if err != nil {
		return nil, err
	}
	subnets := slices.DeleteFunc(slices.Clone(answer.subnets), func(s ec2.Subnet) bool { return s.AvailabilityZone != zone })
	i.mu.Lock()
	for at := range subnets {
		if free, known := i.free(subnets[at].ID); known {
			subnets[at].FreeAddresses = free
		}
	}
	i.mu.Unlock()
	slices.SortFunc(subnets, func(a, b ec2.Subnet) int {
		return cmp.Or(cmp.Compare(b.FreeAddresses, a.FreeAddresses), strings.Compare(a.ID, b.ID))
	})
	return slices.CompactFunc(subnets, func(a, b ec2.Subnet) bool { return a.ID == b.ID }), nil
}

// SecurityGroups returns the ids of a VPC's security groups that fit any of the
// terms, sorted.
func (i *Inventory) SecurityGroups(ctx context.Context, vpcID string, terms []Term) ([]string, error) {
	answer, err := i.network("groups", vpcID, terms, func(answer *networkAnswer, term Term) error {
		filters := append(filtersOf(term, "group-id", "group-name"), ec2.Filter{Name: "vpc-id", Values: []string{vpcID}})
		found, err := i.client.DescribeSecurityGroups(ctx, filters...)
		answer.groups = append(answer.groups, found...)
		return err
	})
	if err != nil {
		return nil, err
	}
	groups := slices.Clone(answer.groups)
	slices.Sort(groups)
	return slices.Compact(groups), nil
}

// network answers from memory while the answer is fresh. What was not found is
// asked for again, so that it heals as soon as it is there.
func (i *Inventory) network(kind, vpcID string, terms []Term, ask func(*networkAnswer, Term) error) (networkAnswer, error) {
	key := fmt.Sprintf("%s %s %q", kind, vpcID, terms)
	now := i.clock.Now()
	i.mu.Lock()
	known, ok := i.networks[key]
	i.mu.Unlock()
	if ok && now.Before(known.until) {
		return known, nil
	}
	answer := networkAnswer{until: now.Add(i.options.NetworkTTL)}
	for _, term := range terms {
		if err := ask(&answer, term); err != nil {
			return networkAnswer{}, err
		}
	}
	if len(answer.subnets)+len(answer.groups) > 0 {
		i.mu.Lock()
		i.networks[key] = answer
		for _, subnet := range answer.subnets {
			i.keepSubnet(subnet, now)
		}
		i.mu.Unlock()
	}
	return answer, nil
}

func filtersOf(term Term, idFilter, nameFilter string) []ec2.Filter {
	var filters []ec2.Filter
	if term.ID != "" {
		filters = append(filters, ec2.Filter{Name: idFilter, Values: []string{term.ID}})
	}
	if term.Name != "" {
		filters = append(filters, ec2.Filter{Name: nameFilter, Values: []string{term.Name}})
	}
	for key, value := range term.Tags {
		if value == "*" {
			filters = append(filters, ec2.Filter{Name: "tag-key", Values: []string{key}})
			continue
		}
		filters = append(filters, ec2.Filter{Name: "tag:" + key, Values: []string{value}})
	}
	return filters
}
