/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// planDeletion detaches nothing that somebody holds, and lets go only of what EC2
// says is gone, or what is to be retained.
func planDeletion(o observation) decision {
	letGo := decision{action: actLetGo, reason: v1alpha1.ReasonDeleting, message: "The ENI is gone"}
	switch {
	case o.eni.Status.NetworkInterfaceID == "":
		return planNameless(o, letGo)
	case o.presence == gone:
		return letGo
	case o.presence == presenceUnknown:
		return decision{action: actWait, wait: max(absencePoll, pollAfter(o.unseenFor)), reason: v1alpha1.ReasonDeleting,
			message: "Making sure that the ENI is gone"}
	case o.predecessor != "" && !o.uninstalling:
		return planTakeOver(o)
	case o.ownership != owned && !o.uninstalling:
		return planForeignDeletion(o)
	}
	if d := planProtection(o); d.action != actNothing {
		return d
	}
	return planRemoval(o, letGo)
}

// planNameless lets go of a resource whose status names no ENI, unless there may be one.
func planNameless(o observation, letGo decision) decision {
	switch {
	case o.unnamed():
		return planRecovery(o, letGo)
	case mayExist(o.eni.Status.Creation):
		return planSearch(o, letGo)
	default:
		return letGo
	}
}

// unnamed reports whether the status of a resource that was not new as it was deleted names
// neither an ENI nor an attempt to make one: it may have been wiped, and the ENI be there. Its
// age is by the API server's clock alone, since this process's may be wrong.
func (o *observation) unnamed() bool {
	status, created, deleted := &o.eni.Status, o.eni.CreationTimestamp, o.eni.DeletionTimestamp
	old := !created.IsZero() && deleted != nil && deleted.Sub(created.Time) > o.visibility
	return old && status.NetworkInterfaceID == "" && status.Creation == nil && !o.eni.Primary()
}

// planRecovery looks twice, a visibility window apart, for the ENI of a resource whose status
// may have been wiped, before the resource is let go.
func planRecovery(o observation, letGo decision) decision {
	d := decision{reason: v1alpha1.ReasonDeleting, message: "Making sure that there is no ENI of this resource, whose status names none"}
	switch {
	case !o.looked:
		d.action = actFind
	case o.unseenFor < o.visibility:
		d.action, d.wait = actWait, o.visibility-o.unseenFor
	default:
		return letGo
	}
	return d
}

// planRemoval takes an ENI off its instance and deletes it, or leaves it retained.
func planRemoval(o observation, letGo decision) decision {
	d := decision{reason: v1alpha1.ReasonDeleting, message: "Deleting the ENI"}
	switch {
	case o.eni.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRetain:
		return planRetain(o, letGo)
	case o.actual.attachment != nil:
		return planDetach(o, "Detaching the ENI")
	case !o.deleteAccepted:
		d.action = actDelete
	case !o.looked:
		d.action = actLook
	default: // EC2 shows for a while what it has deleted.
		d.action = actWait
		d.wait = absencePoll
	}
	return d
}

// planProtection waits while an ENI must not be taken from its instance.
func planProtection(o observation) decision {
	switch {
	case o.uninstalling:
		return decision{action: actWait, wait: settledPoll, reason: v1alpha1.ReasonUninstallBlocked,
			message: "A CRD of the operator is being deleted, so the ENI is left alone in EC2. " +
				"To let go of it, stop the operator and run it once with --uninstall=abandon."}
	case !o.drained && !o.carrierGone():
		return planServing(o)
	default:
		return decision{action: actNothing}
	}
}

// planServing keeps an ENI that is being deleted as its claims need it.
func planServing(o observation) decision {
	d := planUpkeep(o)
	if d.action == actNothing {
		d.action = actWait
		d.wait = settledPoll
	}
	d.reason = v1alpha1.ReasonWaitingForDrain
	d.message = "Claims hold addresses of the ENI; it is detached when they are released"
	return d
}

// planUpkeep attaches an ENI that claims hold, and assigns again what vanished from
// under them. It moves one only back to the instance that it was made for, where the claims
// are: to move it along with its Node would take it from them.
func planUpkeep(o observation) decision {
	at := o.actual.attachment
	switch {
	case at != nil && at.instanceID == o.instanceID && !at.changing:
		return planKept(o)
	case at != nil && at.instanceID != o.instanceID && o.eni.Spec.InstanceID != o.instanceID:
		return decision{action: actNothing}
	case o.instance == instanceLive && o.actual.zone == o.zone:
		return planAttachment(o)
	default:
		return decision{action: actNothing}
	}
}

// planKept assigns again what vanished from under claims.
func planKept(o observation) decision {
	if o.eni.Primary() {
		return planPrimaryAddresses(o)
	}
	return waitToReclaim(o, planAddresses(o))
}

// planRetain leaves the ENI where it is, marked, so that no collector takes it,
// and so that EC2 does not delete it with its instance.
func planRetain(o observation, letGo decision) decision {
	at := o.actual.attachment
	if at != nil && at.deleteOnTermination && !o.carrierGone() {
		return decision{action: actSetTermination, reason: v1alpha1.ReasonDeleting, message: "Keeping the ENI from ending with its instance"}
	}
	if o.actual.tags[deletionPolicyKey] == string(v1alpha1.DeletionPolicyRetain) {
		letGo.message = "The ENI is retained in EC2"
		return letGo
	}
	return decision{action: actSetTags, reason: v1alpha1.ReasonDeleting, message: "Marking the ENI as retained",
		tags: map[string]string{deletionPolicyKey: string(v1alpha1.DeletionPolicyRetain)}}
}

// planDetach detaches, and by force what has been on its way for too long: an ENI
// may look attached long after its instance is gone (EC2). What EC2 deletes with
// its instance is only watched.
func planDetach(o observation, message string) decision {
	d := decision{action: actDetach, detaching: true, reason: v1alpha1.ReasonDeleting, message: message}
	goesWithInstance := o.carrierGone() && o.actual.attachment.deleteOnTermination
	switch leaving := o.actual.attachment.changing || goesWithInstance; {
	case !leaving:
	case !o.looked:
		d.action = actLook
	case o.stuck && !o.forced:
		d.force = true
	case o.stuck:
		d.action, d.wait = actWait, forcePoll
	case goesWithInstance:
		d.action, d.wait = actWait, max(terminationPoll, pollAfter(o.changingFor))
	default:
		d.action, d.wait = actWait, pollAfter(o.changingFor)
	}
	return d
}

// carrierGone says whether the instance that carries the ENI is gone, or, where none
// does, the one that it is for. Of an instance that the spec does not name any more,
// nothing is known.
func (o *observation) carrierGone() bool {
	at := o.actual.attachment
	return o.instance == instanceGone && (at == nil || at.instanceID == o.instanceID)
}
