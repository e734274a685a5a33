/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"fmt"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// ownership is what the tags of an ENI say about whose it is.
type ownership int

const (
	// owned: by the cluster and the resource.
	owned ownership = iota
	// unowned: no tag names an owner, and this process never saw one.
	unowned
	// foreign: the tags name another cluster or another resource.
	foreign
)

// ownershipOf decides by an ENI's tags, never by the status that names the ENI. Tags
// that somebody removed are no obstacle for an ENI that was seen with them.
func ownershipOf(tags map[string]string, clusterUID, uid string, seenOurs bool) ownership {
	found := owned
	for key, want := range map[string]string{clusterUIDKey: clusterUID, uidKey: uid} {
		value, tagged := tags[key]
		switch {
		case tagged && value != want:
			return foreign
		case !tagged && !seenOurs:
			found = unowned
		}
	}
	return found
}

// mayBeOurs reports whether nothing says that the ENI is gone, or another's.
func (o *observation) mayBeOurs() bool { return o.presence != gone && o.ownership == owned }

// planOthers takes over what an earlier resource of the name had, and leaves all else that
// is not this resource's alone.
func planOthers(o observation) decision {
	if o.predecessor != "" {
		return planTakeOver(o)
	}
	return planForeign(o)
}

// planTakeOver makes the ENI of an earlier resource of the name this resource's.
func planTakeOver(o observation) decision {
	return decision{action: actTakeOver, reason: v1alpha1.ReasonInProgress, message: fmt.Sprintf(
		"Taking over ENI %s, which was made for an earlier resource of this name", o.predecessor)}
}

// planForeign leaves an ENI alone that the status names and the tags give to another.
func planForeign(o observation) decision {
	id := o.eni.Status.NetworkInterfaceID
	d := decision{action: actWait, wait: settledPoll, reason: v1alpha1.ReasonNotOwned}
	if o.ownership == foreign {
		d.message = fmt.Sprintf("ENI %s is left alone: its tags %s and %s name another owner. "+
			"Correct them if the ENI is this resource's; else delete this resource.", id, clusterUIDKey, uidKey)
	} else {
		d.message = fmt.Sprintf("ENI %s is left alone: it carries no tags %s and %s. "+
			"Set them if the ENI is this resource's; else delete this resource, with deletionPolicy Retain.", id, clusterUIDKey, uidKey)
	}
	return d
}

// planForeignDeletion lets go of the resource, and leaves the ENI in EC2 as it is. While
// claims hold addresses of the ENI the resource stays: they say whose the ENI is, and have
// their addresses again when the tags are corrected.
func planForeignDeletion(o observation) decision {
	retained := o.eni.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRetain
	switch {
	case o.ownership == unowned && !retained:
		return planForeign(o)
	case !o.drained && !o.carrierGone():
		return decision{action: actWait, wait: settledPoll, reason: v1alpha1.ReasonNotOwned, message: fmt.Sprintf(
			"ENI %s is left alone: its tags %s and %s do not name this resource. Claims hold addresses of it: "+
				"the resource goes when they are deleted.", o.eni.Status.NetworkInterfaceID, clusterUIDKey, uidKey)}
	case !o.looked:
		return decision{action: actLook, reason: v1alpha1.ReasonNotOwned, message: "Making sure whose the ENI is"}
	default:
		return decision{action: actLetGo, reason: v1alpha1.ReasonNotOwned, message: "The ENI is not this resource's"}
	}
}
