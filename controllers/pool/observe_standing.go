/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

// observeStanding finds out what EC2 shows on the instance, whatever Kubernetes has of it.
// It returns the ENIs for which a resource stands, or is to be made again.
func (r *Reconciler) observeStanding(o *observation, instance ec2.Instance) (own map[string]bool) {
	own = maps.Clone(o.resourceIDs)
	o.standing = map[string]standing{}
	o.interfaces = map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(instance.Interfaces)) {
		o.interfaces[id] = true
		eni, known := r.inventory.ENI(id)
		if !known {
			continue
		}
		o.standing[id] = standing{addresses: append(slices.Clone(eni.Addresses), eni.PrimaryAddress), prefixes: eni.Prefixes}
		switch returned, returns := r.returning(o, eni); {
		case o.resourceUIDs[eni.Tags[ec2.TagUID]] && r.inventory.OfCluster(eni):
			own[id] = true // Its resource does not name it yet, or the cache does not show that.
		case returns:
			own[id] = true
			o.returning = append(o.returning, returned)
		}
	}
	return own
}

// lookAtHeld looks at the ENIs of which claims hold something, and that no resource stands
// for, unless they are known: that an answer lacks one does not say that it is gone. Those
// on the instance are added to what EC2 shows there.
func (r *Reconciler) lookAtHeld(ctx context.Context, o *observation, instance ec2.Instance) error {
	for _, id := range o.heldWithoutResource() {
		if _, known := r.inventory.ENI(id); known {
			continue
		}
		eni, presence, err := r.inventory.Look(ctx, id)
		switch {
		case err != nil:
			return fmt.Errorf("reading ENI %s, of which claims hold something: %w", id, err)
		case presence == inventory.Unknown:
			return &unshownError{id: id}
		case presence == inventory.Present && eni.Attachment != nil && eni.Attachment.InstanceID == instance.ID:
			instance.Interfaces[id] = eni.Attachment.Slot
		}
	}
	return nil
}

// heldWithoutResource returns the ids of the ENIs of which claims hold something by the
// record or by their own statuses, and that no resource stands for. What was called lost
// stays lost.
func (o observation) heldWithoutResource() []string {
	ids := map[string]bool{}
	for i := range o.pool.Status.ENIs {
		entry := &o.pool.Status.ENIs[i]
		held := len(o.pool.Status.HoldersOf(entry.Name)) > 0 && entry.State != v1alpha1.PoolENIReleasing
		if held && !o.recordLost() && o.resourceOf(entry) == nil {
			ids[entry.NetworkInterfaceID] = true
		}
	}
	for i := range o.claims {
		claim := &o.claims[i]
		lost := meta.IsStatusConditionTrue(claim.Status.Conditions, v1alpha1.ConditionAddressLost)
		if claim.Status.Phase == v1alpha1.ClaimBound && !lost && heldBy(o, &o.pool.Status, claim).eni == nil {
			ids[claim.Status.NetworkInterfaceID] = true
		}
	}
	delete(ids, "")
	maps.DeleteFunc(ids, func(id string, _ bool) bool { return o.resourceIDs[id] })
	return slices.Sorted(maps.Keys(ids))
}

// unshownError is about an ENI that EC2 does not show, without a word that it is gone.
type unshownError struct{ id string }

func (e *unshownError) Error() string {
	return fmt.Sprintf("EC2 does not show ENI %s, of which claims hold something, and does not say that it is gone", e.id)
}

// Reason is that of the condition.
func (e *unshownError) Reason() string { return v1alpha1.ReasonEC2Error }

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
