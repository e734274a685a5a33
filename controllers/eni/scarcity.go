/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
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
		short, refused := o.shortages[id]
		known := r.inventory.Room(id)
		if refused && !known.Known {
			if _, _, err := r.inventory.RefreshSubnet(ctx, id); err != nil {
				return err
			}
			known = r.inventory.Room(id)
		}
		has := room{free: known.Addresses, fragmented: known.Fragmented}
		if known.Known {
			o.rooms[id] = has
		}
		explained := known.Known && has.free < short.need // Who grows next sees it too.
		if refused && (short.outlived(o.now, known.Known, has) || (o.complete() && explained)) {
			delete(o.shortages, id)
		}
	}
	r.memory.keepShortages(o.eni, o.shortages)
	return nil
}

// lacksRoom reports whether a call was refused for lack of capacity, and remembers it.
// EC2's code for a count above what is left is one that it has for much else, so that
// the subnet is looked at.
func (r *Reconciler) lacksRoom(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, subnetID string, input ec2.AssignInput, besides int32, err error) bool {
	perhaps := ec2.Classify(err) == ec2.ClassCapacity || ec2.Code(err) == ec2.CodeInvalidParameterValue || ec2.Code(err) == codeAddressLimit
	if !perhaps {
		return false
	}
	subnet, found, lookErr := r.inventory.RefreshSubnet(ctx, subnetID)
	need := besides + input.AddressCount + v1alpha1.AddressesPerPrefix*input.PrefixCount
	fits := lookErr == nil && found && subnet.FreeAddresses >= need
	reason := capacityReason(err, input.PrefixCount > 0, fits)
	unknown := lookErr != nil || !found
	if reason == "" || (unknown && ec2.Code(err) == ec2.CodeInvalidParameterValue) {
		return false
	}
	r.memory.refusedGrowth(eni, subnetID, shortage{
		refused: max(input.AddressCount, input.PrefixCount, 1), free: subnet.FreeAddresses, need: need, reason: reason, at: r.clock.Now(),
	})
	return true
}

// codeAddressLimit refuses more addresses than the instance takes on an ENI.
const codeAddressLimit = "PrivateIpAddressLimitExceeded"

// capacityReason is the reason of a refusal for lack of capacity, or "" for another.
// fits: the subnet shows enough free addresses.
func capacityReason(err error, prefixes, fits bool) string {
	said := ec2.Classify(err) == ec2.ClassCapacity || strings.Contains(ec2.Message(err), "sufficient free")
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
