/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"maps"
	"slices"
	"strings"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// observeStanding finds out what EC2 shows on the instance, whatever Kubernetes has of it.
// It returns the ENIs for which a resource stands, or is to be made again.
func (r *Reconciler) observeStanding(o *observation, instance ec2.Instance) (own map[string]bool) {
	own = maps.Clone(o.resourceIDs)
	o.standing = map[string]standing{}
	for _, id := range slices.Sorted(maps.Keys(instance.Interfaces)) {
		eni, known := r.inventory.ENI(id)
		if !known {
			continue
		}
		o.standing[id] = standing{addresses: append(slices.Clone(eni.Addresses), eni.PrimaryAddress), prefixes: eni.Prefixes}
		switch returned, returns := r.returning(o, eni); {
		case o.resourceUIDs[eni.Tags[ec2.TagUID]]:
			own[id] = true // Its resource does not name it yet, or the cache does not show that.
		case returns:
			own[id] = true
			o.returning = append(o.returning, returned)
		}
	}
	return own
}

// returning returns the resource that an ENI of the pool lacks, and whether it lacks one:
// somebody removed it with its finalizer. Under its name it takes the ENI over.
func (r *Reconciler) returning(o *observation, eni ec2.NetworkInterface) (newENI, bool) {
	name := eni.Tags[ec2.TagName]
	ofPool := strings.HasPrefix(name, o.pool.Spec.InstanceID+"-") && name != primaryName(o.pool) && !o.otherNames[name]
	here := eni.Attachment != nil && eni.Attachment.InstanceID == o.pool.Spec.InstanceID
	if !ofPool || !here || o.resourceIDs[eni.ID] || !r.inventory.Orphaned(eni, name) {
		return newENI{}, false
	}
	count, prefixes := int32(len(eni.Addresses)), int32(len(eni.Prefixes)) //nolint:gosec // bounded by EC2
	return newENI{name: name, mode: modeOf(o, eni), count: count, prefixes: prefixes}, true
}

// modeOf is what an ENI is for: what the claims that hold something of it asked for, or
// what it looks like.
func modeOf(o *observation, eni ec2.NetworkInterface) v1alpha1.Mode {
	for i := range o.claims {
		if o.claims[i].Status.NetworkInterfaceID == eni.ID {
			return o.claims[i].Spec.Mode
		}
	}
	if len(eni.Addresses)+len(eni.Prefixes) > 0 {
		return v1alpha1.ModeShared
	}
	return v1alpha1.ModeExclusive
}
