/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

// observeEC2 reads the instance, its limits and the network of its ENIs.
func (r *Reconciler) observeEC2(ctx context.Context, o *observation) error {
	id := o.pool.Spec.InstanceID
	instance, state, err := r.inventory.Instance(ctx, id)
	switch {
	case err != nil:
		reason, message := ec2.Explain(err)
		o.trouble(v1alpha1.ConditionInstanceFound, reason, message)
		return fmt.Errorf("reading instance %s: %w", id, err)
	case state == inventory.Gone:
		o.nodeGone = true
		o.goneReason = fmt.Sprintf("EC2 says that instance %s is terminated; what it had is gone with it", id)
		o.trouble(v1alpha1.ConditionInstanceFound, v1alpha1.ReasonInstanceTerminated, fmt.Sprintf("EC2 says that instance %s is terminated", id))
		return nil
	case state != inventory.Present:
		o.instanceAbsent = state == inventory.Absent
		return o.unknownInstance()
	}
	if instance.State == instanceStopping || instance.State == instanceStopped {
		o.stopped = instance.State
	}
	if err := r.observeLimits(ctx, o, instance); err != nil {
		return err
	}
	if o.draining() {
		return nil
	}
	if err := r.observeNetwork(ctx, o, instance); err != nil {
		return err
	}
	o.observePrimary(instance.Primary)
	return nil
}

// States of instances that do not run (EC2).
const (
	instanceStopping = "stopping"
	instanceStopped  = "stopped"
)

// observePrimary finds out if the pool may use the primary ENI. Its groups and its
// subnet cannot be changed, so they must be what the policy asks for.
func (o *observation) observePrimary(eni ec2.NetworkInterface) {
	rightGroups := len(o.network.securityGroups) == 0 || slices.Equal(o.network.securityGroups, eni.SecurityGroups)
	foreign := int32(len(eni.Addresses) + len(eni.Prefixes)) //nolint:gosec // bounded by EC2
	if resource := o.eni(primaryName(o.pool)); resource != nil && resource.Status.NetworkInterfaceID != "" {
		foreign = resource.Status.ForeignCount
	}
	o.primary = primary{
		known:  eni.ID != "",
		taken:  o.primary.taken,
		usable: o.lowestSlot == 0 && eni.ID != "" && slices.Contains(o.network.subnetIDs, eni.SubnetID) && rightGroups && !o.primary.taken,
		room:   max(o.limits.addressSlots-foreign, 0),
	}
}

// unknownInstance may be one that EC2 does not show yet, so it is asked for again.
func (o *observation) unknownInstance() error {
	id := o.pool.Spec.InstanceID
	o.trouble(v1alpha1.ConditionInstanceFound, v1alpha1.ReasonInstanceNotFound, fmt.Sprintf(
		"EC2 does not know instance %s in this account and Region. Check the Node's spec.providerID, and the operator's AWS_REGION and IAM identity.", id))
	return errors.New("EC2 does not know instance " + id)
}

func (o *observation) trouble(condition, reason, message string) {
	o.troubles = append(o.troubles, trouble{condition: condition, reason: reason, message: message})
}

func (r *Reconciler) observeLimits(ctx context.Context, o *observation, instance ec2.Instance) error {
	limitsOf, found, err := r.inventory.InstanceType(ctx, instance.Type)
	if err != nil {
		reason, message := ec2.Explain(err)
		o.trouble(v1alpha1.ConditionInstanceFound, reason, message)
		return fmt.Errorf("reading the limits of %s: %w", instance.Type, err)
	}
	if !found {
		o.trouble(v1alpha1.ConditionInstanceFound, v1alpha1.ReasonNotFound,
			fmt.Sprintf("EC2 lists no limits of instance type %s", instance.Type))
		return errors.New("EC2 lists no limits of instance type " + instance.Type)
	}
	if err := r.lookAtHeld(ctx, o, instance); err != nil {
		reason, message := ec2.Explain(err)
		o.trouble(v1alpha1.ConditionInstanceFound, reason, message)
		return err
	}
	others, orphans := r.inventory.OtherSlots(instance, r.observeStanding(o, instance))
	slices.Sort(orphans)
	o.orphans = orphans
	usable := int32(0)
	for _, slot := range limitsOf.Slots(o.lowestSlot) {
		if !others[slot] {
			usable++
		}
	}
	o.limits = limits{
		known: true, instanceType: instance.Type, zone: instance.AvailabilityZone, nitro: limitsOf.Nitro,
		slots: min(usable, limitsOf.MaxENIs-int32(len(others))), addressSlots: limitsOf.IPv4PerENI - 1, //nolint:gosec // bounded by EC2
	}
	if most, left := r.inventory.LearnedLimit(instance.ID); left > 0 {
		o.limits.learn(most-int32(len(others)), left) //nolint:gosec // bounded by EC2
	}
	return nil
}

// learn takes note that the instance took only so many ENIs of ours, which is believed
// for a while.
func (l *limits) learn(slots int32, left time.Duration) {
	if slots < l.slots {
		l.slots, l.learnedFor = max(slots, 0), left
	}
}

// observeNetwork reads the subnets and security groups of new ENIs.
func (r *Reconciler) observeNetwork(ctx context.Context, o *observation, instance ec2.Instance) error {
	if err := r.observeSubnets(ctx, o, instance); err != nil {
		return err
	}
	o.network.rooms = map[string]subnetRoom{}
	for _, id := range o.network.subnetIDs {
		o.network.rooms[id] = r.roomIn(id)
	}
	for i := range o.enis {
		if id := o.enis[i].Status.SubnetID; id != "" {
			o.network.rooms[id] = r.roomIn(id)
		}
	}
	return r.observeGroups(ctx, o, instance)
}

func (r *Reconciler) roomIn(subnetID string) subnetRoom {
	room := r.inventory.Room(subnetID)
	return subnetRoom{known: room.Known, addresses: room.Addresses, fragmented: room.Fragmented}
}

func (r *Reconciler) observeSubnets(ctx context.Context, o *observation, instance ec2.Instance) error {
	spec := o.pool.Spec
	if len(spec.SubnetSelectorTerms) == 0 {
		o.network.subnetIDs = []string{instance.SubnetID}
		return nil
	}
	subnets, err := r.inventory.Subnets(ctx, instance.VPCID, instance.AvailabilityZone, subnetTerms(spec.SubnetSelectorTerms))
	if err != nil {
		return o.networkFailed(fmt.Errorf("finding the subnets of policy %s: %w", spec.PolicyName, err))
	}
	for _, subnet := range subnets {
		o.network.subnetIDs = append(o.network.subnetIDs, subnet.ID)
	}
	if len(subnets) > 0 {
		return nil
	}
	return o.unresolved(v1alpha1.ReasonSubnetNotFound, fmt.Sprintf("subnetSelectorTerms of policy %s find no subnet in %s, zone %s. "+
		"A subnet that another account shares shows no tags here: name it by id.", spec.PolicyName, instance.VPCID, instance.AvailabilityZone))
}

// mostSecurityGroups is how many an ENI takes at most (EC2; the default quota is lower).
const mostSecurityGroups = 16

// observeGroups finds the security groups of the pool's ENIs: those of the terms, or the
// primary ENI's.
func (r *Reconciler) observeGroups(ctx context.Context, o *observation, instance ec2.Instance) error {
	spec := o.pool.Spec
	if len(spec.SecurityGroupSelectorTerms) == 0 {
		o.network.securityGroups = instance.Primary.SecurityGroups
		return nil
	}
	groups, err := r.inventory.SecurityGroups(ctx, instance.VPCID, groupTerms(spec.SecurityGroupSelectorTerms))
	switch {
	case err != nil:
		return o.networkFailed(fmt.Errorf("finding the security groups of policy %s: %w", spec.PolicyName, err))
	case len(groups) == 0:
		return o.unresolved(v1alpha1.ReasonSecurityGroupNotFound, fmt.Sprintf(
			"securityGroupSelectorTerms of policy %s find no security group in %s", spec.PolicyName, instance.VPCID))
	case len(groups) > mostSecurityGroups:
		return o.unresolved(v1alpha1.ReasonTooManySecurityGroups, fmt.Sprintf(
			"securityGroupSelectorTerms of policy %s find %d security groups in %s, and an ENI takes at most %d. Make the terms narrower.",
			spec.PolicyName, len(groups), instance.VPCID, mostSecurityGroups))
	}
	o.network.securityGroups = groups
	return nil
}

func (o *observation) networkFailed(err error) error {
	reason, message := ec2.Explain(err)
	o.trouble(v1alpha1.ConditionNetworkResolved, reason, message)
	o.network.unresolved = true
	return err
}

// unresolved stops growth until the terms find something that ENIs can be made with; it
// is asked again.
func (o *observation) unresolved(reason, message string) error {
	o.trouble(v1alpha1.ConditionNetworkResolved, reason, message)
	o.network.unresolved = true
	return errors.New(message)
}

func subnetTerms(in []v1alpha1.SubnetSelectorTerm) []inventory.Term {
	out := make([]inventory.Term, 0, len(in))
	for _, term := range in {
		out = append(out, inventory.Term{ID: term.ID, Tags: tagsOf(term.Tags)})
	}
	return out
}

func groupTerms(in []v1alpha1.SecurityGroupSelectorTerm) []inventory.Term {
	out := make([]inventory.Term, 0, len(in))
	for _, term := range in {
		out = append(out, inventory.Term{ID: term.ID, Name: term.Name, Tags: tagsOf(term.Tags)})
	}
	return out
}

func tagsOf(in map[string]v1alpha1.TagValue) map[string]string {
	out := make(map[string]string, len(in))
	for key, value := range in {
		out[key] = string(value)
	}
	return out
}
