/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// planLife brings an ENI that exists to what it should be: attached first, then
// its addresses, then all that nobody waits for.
func planLife(o observation) decision {
	switch o.presence {
	case gone:
		return planLost(o)
	case presenceUnknown:
		return decision{action: actWait, wait: max(absencePoll, pollAfter(o.unseenFor)), reason: v1alpha1.ReasonInProgress,
			message: "EC2 does not show the ENI yet"}
	case present:
	}
	if o.ownership != owned {
		return planOthers(o)
	}
	if d := changeAddresses(o); d.action == actUnassign && o.actual.attachment == nil && o.doubt.until.IsZero() {
		return d // It may carry more than the instance takes.
	}
	if d := planZone(o); d.reason != "" {
		return d
	}
	if d := planAttachment(o); d.action != actNothing || d.reason != "" {
		return d
	}
	return planContents(o)
}

// planContents brings an ENI in line that is attached where it should be.
func planContents(o observation) decision {
	addresses := planAddresses(o)
	switch {
	case addresses.refusal != nil: // The rest is done all the same.
		return planBeside(o, addresses)
	case addresses.action != actNothing:
		return addresses
	default:
		return waitToReclaim(o, watchShortage(o, planAttributes(o)))
	}
}

// planBeside brings the attributes of an ENI in line that cannot grow.
func planBeside(o observation, refused decision) decision {
	d := planAttributes(o)
	if d.action == actNothing {
		return refused
	}
	d.reason = refused.reason
	d.message = refused.message
	d.refusal = refused.refusal
	return d
}

// watchShortage comes back for an ENI that carries what is asked for, while its status
// says that EC2 refused more.
func watchShortage(o observation, d decision) decision {
	if d.action == actNothing && len(o.shortages) > 0 {
		d.action = actWait
		d.wait = scarcityPoll
	}
	return d
}

// planZone keeps an ENI where it is if it could not be attached where it should be.
func planZone(o observation) decision {
	elsewhere := o.instance == instanceLive && (o.actual.attachment == nil || o.actual.attachment.instanceID != o.instanceID)
	if !elsewhere || o.actual.zone == o.zone {
		return decision{action: actNothing}
	}
	return decision{action: actNothing, reason: v1alpha1.ReasonInvalidParameter, message: fmt.Sprintf(
		"The ENI lies in zone %s, and instance %s of Node %s in zone %s. EC2 attaches within a zone only: name a Node of zone %s, or delete this ENI.",
		o.actual.zone, o.instanceID, o.eni.Spec.NodeName, o.zone, o.actual.zone)}
}

// planAttachment decides nothing, without a reason, for an ENI that is attached
// where it should be.
func planAttachment(o observation) decision {
	at := o.actual.attachment
	switch {
	case at == nil && o.instance == instanceLive:
		return decision{action: actAttach, reason: v1alpha1.ReasonAttaching, message: attachingTo(o.instanceID)}
	case at == nil:
		return planNoInstance(o)
	case at.instanceID != o.instanceID && o.instance == instanceLive:
		d := planDetach(o, "Moving the ENI to "+o.instanceID)
		d.reason = v1alpha1.ReasonInProgress
		return d
	case at.changing:
		return planAttaching(o)
	default:
		return decision{action: actNothing}
	}
}

// planAttaching looks at an ENI that is being attached until it is, and reports one
// that takes far longer than EC2 needs.
func planAttaching(o observation) decision {
	d := decision{action: actLook, reason: v1alpha1.ReasonAttaching, message: attachingTo(o.actual.attachment.instanceID)}
	if o.stuck {
		d.reason = v1alpha1.ReasonAttachmentStuck
		d.message = fmt.Sprintf("EC2 takes minutes to attach the ENI to %s, which should take seconds. "+
			"Look at the instance in EC2; stopping and starting it may help.", o.actual.attachment.instanceID)
	}
	if o.looked {
		d.action = actWait
		d.wait = pollAfter(o.changingFor)
	}
	return d
}

// pollAfter is how long to wait before a change of an attachment is looked at again
// that has taken a time already.
func pollAfter(taken time.Duration) time.Duration {
	return min(max(attachPoll, (taken/pollGrowth).Truncate(time.Second)), longestPoll)
}

// pollGrowth makes each pause a part of the time that a change has taken already.
const pollGrowth = 4

// planLost waits for its pool to remove the resource of an ENI that is gone in EC2.
func planLost(o observation) decision {
	d := decision{action: actNothing, reason: v1alpha1.ReasonNotFound}
	if pool := o.eni.Spec.PoolName; pool != "" {
		d.message = fmt.Sprintf("The ENI was deleted outside the operator. Pool %s removes this resource, and makes another where it needs one.", pool)
	} else {
		d.message = "The ENI was deleted outside the operator. Delete this resource, and make another where you need one."
	}
	return d
}

func attachingTo(instanceID string) string { return "Attaching the ENI to " + instanceID }

// planMissing says in place of a decision's own words what the ENI waits for, if
// something vanished that its pool has to decide about.
func planMissing(o observation, d decision) decision {
	waiting := slices.DeleteFunc(slices.Clone(o.eni.Status.Missing), func(name v1alpha1.AddressOrPrefix) bool {
		return slices.Contains(o.eni.Status.Lost, name)
	})
	if len(waiting) > 0 {
		d.reason = v1alpha1.ReasonInProgress
		d.message = fmt.Sprintf("%s vanished from the ENI in EC2; pool %s decides what becomes of that", waiting[0], o.eni.Spec.PoolName)
	}
	return d
}

// planAttributes is off the critical path: the ENI is ready already.
func planAttributes(o observation) decision {
	ready := planMissing(o, decision{action: actNothing, reason: v1alpha1.ReasonReady, message: "The ENI is attached and carries its addresses"})
	if !o.desired.keepGroups && !slices.Equal(o.desired.securityGroups, o.actual.securityGroups) {
		ready.action = actSetSecurityGroups
		return ready
	}
	switch set, remove := tagChanges(o); {
	case len(set) > 0:
		ready.action = actSetTags
		ready.tags = set
		return ready
	case len(remove) > 0: // Another call.
		ready.action = actSetTags
		ready.untag = remove
		return ready
	}
	if at := o.actual.attachment; at.deleteOnTermination != (o.eni.Spec.DeletionPolicy != v1alpha1.DeletionPolicyRetain) {
		ready.action = actSetTermination
	}
	return ready
}

// tagChanges are the tags to set, and the keys that were ours and are no longer
// asked for. Tags of others stay.
func tagChanges(o observation) (set map[string]string, remove []string) {
	set = map[string]string{}
	for key, value := range o.desired.tags {
		if have, ok := o.actual.tags[key]; !ok || have != value {
			set[key] = value
		}
	}
	if record := o.eni.Status.Creation; record != nil {
		for key := range maps.Keys(record.Tags) {
			_, wanted := o.desired.tags[key]
			_, has := o.actual.tags[key]
			if has && !wanted && key != createdAtKey {
				remove = append(remove, key)
			}
		}
	}
	slices.Sort(remove)
	return set, remove
}
