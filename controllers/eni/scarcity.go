/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

// observeRoom reads what is known of the subnets that the ENI may take addresses of. A
// subnet is asked for only if it lacked room before.
func (r *Reconciler) observeRoom(ctx context.Context, o *observation) error {
	subnets := o.desired.subnetIDs
	if o.presence == present {
		subnets = []string{o.actual.subnetID}
	}
	o.rooms = map[string]room{}
	o.shortages = r.memory.shortages(o.eni)
	maps.DeleteFunc(o.shortages, func(id string, _ shortage) bool { return !slices.Contains(subnets, id) })
	for _, id := range subnets {
		known, err := r.roomIn(ctx, o, id)
		if err != nil {
			return err
		}
		has := room{free: known.Addresses, fragmented: known.Fragmented}
		if known.Known {
			o.rooms[id] = has
		}
		if o.settled(o.shortages[id], known.Known, has) {
			delete(o.shortages, id)
		}
	}
	r.memory.keepShortages(o.eni, o.shortages)
	return nil
}

// roomIn is what is known of a subnet. It is read if it lacked room, and nothing is known
// any more.
func (r *Reconciler) roomIn(ctx context.Context, o *observation, id string) (inventory.Room, error) {
	known := r.inventory.Room(id)
	if _, refused := o.shortages[id]; !refused || known.Known {
		return known, nil
	}
	if _, _, err := r.inventory.RefreshSubnet(ctx, id); err != nil {
		return inventory.Room{}, fmt.Errorf("reading subnet %s, which lacked room: %w", id, err)
	}
	return r.inventory.Room(id), nil
}

// lacksRoom returns the reason of a refusal for lack of capacity, and remembers it; "" is
// another refusal.
// EC2's code for a count above what is left is one that it has for much else, so that
// the subnet is looked at.
func (r *Reconciler) lacksRoom(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, subnetID string, input ec2.AssignInput, besides int32, err error) string {
	perhaps := ec2.Classify(err) == ec2.ClassCapacity || ec2.Code(err) == ec2.CodeInvalidParameterValue || ec2.Code(err) == codeAddressLimit
	if !perhaps {
		return ""
	}
	subnet, found, lookErr := r.inventory.RefreshSubnet(ctx, subnetID)
	need := besides + input.AddressCount + v1alpha1.AddressesPerPrefix*input.PrefixCount
	fits := lookErr == nil && found && subnet.FreeAddresses >= need
	reason := capacityReason(err, input.PrefixCount > 0, fits)
	unknown := lookErr != nil || !found
	if reason == "" || (unknown && ec2.Code(err) == ec2.CodeInvalidParameterValue) {
		return ""
	}
	r.memory.refusedGrowth(eni, subnetID, shortage{
		refused: max(input.AddressCount, input.PrefixCount, 1), free: subnet.FreeAddresses, need: need, reason: reason, at: r.clock.Now(),
	})
	return reason
}

// codeAddressLimit refuses more addresses than the instance takes on an ENI.
const codeAddressLimit = "PrivateIpAddressLimitExceeded"

// capacityReason is the reason of a refusal for lack of capacity, or "" for another.
// fits: the subnet shows enough free addresses.
func capacityReason(err error, prefixes, fits bool) string {
	said := ec2.Capacity(err) != ec2.NoShortage
	switch {
	case ec2.Code(err) == codeAddressLimit:
		return v1alpha1.ReasonQuotaExceeded
	case said && prefixes && fits:
		return v1alpha1.ReasonSubnetFragmented
	case said || !fits:
		return v1alpha1.ReasonSubnetExhausted
	default:
		return ""
	}
}
