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

// networkAnswer is what a selector term found, until a time.
type networkAnswer struct {
	subnets []ec2.Subnet
	groups  []string
	until   time.Time
	// question has it asked again.
	question networkQuestion
	// audits is how many audits have passed since it was last asked for.
	audits int
}

// found reports whether the term found anything.
func (a networkAnswer) found() bool { return len(a.subnets)+len(a.groups) > 0 }

// networkQuestion is what a selector term is to find in a VPC.
type networkQuestion struct {
	vpcID string
	ask   func(context.Context, *networkAnswer) error
}

// needlessAudits is after how many audits an answer that nobody asks for is forgotten.
const needlessAudits = 3

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
	answer, err := i.network(ctx, "subnets", vpcID, terms, func(ctx context.Context, answer *networkAnswer, term Term) error {
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
	answer, err := i.network(ctx, "groups", vpcID, terms, func(ctx context.Context, answer *networkAnswer, term Term) error {
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

// network returns what any of the terms finds: from memory while the answers are fresh; else
// EC2 is asked once for each term, however many callers wait for it and whichever other terms
// they select by. While no term finds anything all are asked for again, so that the network is
// found as soon as it is there.
func (i *Inventory) network(
	ctx context.Context, kind, vpcID string, terms []Term, ask func(context.Context, *networkAnswer, Term) error,
) (networkAnswer, error) {
	questions := map[string]networkQuestion{}
	for _, term := range terms {
		questions[fmt.Sprintf("%s %s %q", kind, vpcID, term)] = networkQuestion{vpcID: vpcID, ask: func(ctx context.Context, answer *networkAnswer) error {
			return ask(ctx, answer, term)
		}}
	}
	answers, underway := i.recall(questions) //nolint:contextcheck // the answers are for all who wait, so they outlive this caller
	for _, flight := range underway {
		select {
		case <-ctx.Done():
			return networkAnswer{}, ctx.Err()
		case <-flight.landed:
		}
		if flight.err != nil {
			return networkAnswer{}, flight.err
		}
		answers = append(answers, flight.answer)
	}

	var all networkAnswer
	for _, answer := range answers {
		all.subnets = append(all.subnets, answer.subnets...)
		all.groups = append(all.groups, answer.groups...)
	}
	return all, nil
}

// recall returns the answers in memory that are fresh, and has EC2 asked the other questions.
// That a term found nothing counts only beside one that found something.
func (i *Inventory) recall(questions map[string]networkQuestion) (answers []networkAnswer, underway []*networkFlight) {
	i.mu.Lock()
	defer i.mu.Unlock()
	fresh := func(key string) bool { return i.clock.Now().Before(i.networks[key].until) }
	found := false
	for key := range questions {
		found = found || fresh(key) && i.networks[key].found()
	}
	for _, key := range sortedKeys(questions) {
		known, ok := i.networks[key]
		if ok {
			known.audits = 0
			i.networks[key] = known
		}
		if found && fresh(key) {
			answers = append(answers, known)
			continue
		}
		underway = append(underway, i.fly(key, questions[key]))
	}
	return answers, underway
}

// networkFlight is a question that EC2 is being asked, and then its answer.
type networkFlight struct {
	landed chan struct{}
	answer networkAnswer
	err    error
}

// networkTimeout bounds one question, its waits for the limiter included.
const networkTimeout = time.Minute

// fly asks EC2 a question unless it is being asked already; i.mu is held. A caller that
// gives up leaves; the others get their answer.
func (i *Inventory) fly(key string, question networkQuestion) *networkFlight {
	if underway, ok := i.flights[key]; ok {
		return underway
	}
	flight := &networkFlight{landed: make(chan struct{})}
	flight.answer = networkAnswer{until: i.clock.Now().Add(i.options.NetworkTTL), question: question}
	i.flights[key] = flight
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), networkTimeout)
		defer cancel()
		flight.err = question.ask(ctx, &flight.answer)
		i.land(key, flight)
		i.flush()
		close(flight.landed)
	}()
	return flight
}

// land remembers what a question found, and announces it if it is other than before.
// What failed keeps its old answer.
func (i *Inventory) land(key string, flight *networkFlight) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.flights, key)
	if flight.err == nil {
		i.keepNetwork(key, flight.answer)
	}
}

// keepNetwork is land for an answer; i.mu is held.
func (i *Inventory) keepNetwork(key string, answer networkAnswer) {
	before, known := i.networks[key]
	if known && !sameNetwork(before, answer) {
		i.pending = append(i.pending, Change{Network: true, VPCID: answer.question.vpcID})
	}
	answer.audits = before.audits
	i.networks[key] = answer
	for _, subnet := range answer.subnets {
		i.keepSubnet(subnet, answer.until.Add(-i.options.NetworkTTL))
	}
}

// sameNetwork compares which subnets and groups were found, not how full they are.
func sameNetwork(a, b networkAnswer) bool {
	ids := func(answer networkAnswer) []string {
		found := slices.Clone(answer.groups)
		for _, subnet := range answer.subnets {
			found = append(found, subnet.ID)
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	return slices.Equal(ids(a), ids(b))
}

// auditNetworks asks again for what selector terms found, since nothing else does while
// the pools are at rest, and forgets what nobody has asked for during some audits. A
// question that fails keeps its answer; it is asked again by the next audit.
func (i *Inventory) auditNetworks(ctx context.Context) {
	i.mu.Lock()
	var underway []*networkFlight
	for _, key := range sortedKeys(i.networks) {
		known := i.networks[key]
		known.audits++
		if known.audits > needlessAudits {
			delete(i.networks, key)
			continue
		}
		i.networks[key] = known
		underway = append(underway, i.fly(key, known.question)) //nolint:contextcheck // as above
	}
	i.mu.Unlock()
	for _, flight := range underway {
		select {
		case <-ctx.Done():
			return
		case <-flight.landed:
		}
	}
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
