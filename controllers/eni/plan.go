/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// action is the next thing to do about an ENI. Each is one call, or one write.
type action string

const (
	// actNothing: all is as it should be, or only an event can change it.
	actNothing action = "Nothing"
	// actWait: look again after decision.wait.
	actWait action = "Wait"
	// actRecord writes the next attempt's creation record.
	actRecord action = "Record"
	// actRestamp replaces a creation record's time, which lies ahead of the clock.
	actRestamp action = "Restamp"
	// actCreate makes the call of the creation record.
	actCreate action = "Create"
	// actFind looks for the ENI by the owner's UID tag.
	actFind action = "Find"
	// actTakeOver makes the ENI of an earlier resource of the name this resource's.
	actTakeOver action = "TakeOver"
	// actLook reads the ENI from EC2.
	actLook action = "Look"
	// actAttach attaches the ENI at a free device index.
	actAttach action = "Attach"
	// actDetach detaches the ENI.
	actDetach action = "Detach"
	// actDelete deletes the ENI.
	actDelete action = "Delete"
	// actUnassign gives the named addresses and prefixes back.
	actUnassign action = "Unassign"
	// actAssign asks for more addresses or prefixes.
	actAssign action = "Assign"
	// actRecordAssignment writes what a primary ENI is to be assigned.
	actRecordAssignment action = "RecordAssignment"
	// actAdopt takes addresses of a primary ENI for the operator's, none included,
	// and closes the record of their assignment.
	actAdopt action = "Adopt"
	// actSetSecurityGroups replaces the security groups.
	actSetSecurityGroups action = "SetSecurityGroups"
	// actSetTags brings the tags in line.
	actSetTags action = "SetTags"
	// actSetTermination says whether EC2 deletes the ENI with its instance.
	actSetTermination action = "SetTermination"
	// actLetGo removes the finalizer.
	actLetGo action = "LetGo"
)

// The waits of this controller.
const (
	// attachPoll is how long a change of an attachment is given before it is looked
	// at: EC2 takes 1 to 5 s to attach and 2 to 3 s to detach. A change that takes
	// longer is looked at less and less often, but every longestPoll.
	attachPoll  = time.Second
	longestPoll = 30 * time.Second
	// terminationPoll is how often an ENI is looked at that EC2 deletes with its
	// instance; that takes as long as the instance takes to shut down.
	terminationPoll = 5 * time.Second
	// forcePoll is how long a forced detach is given before it is forced again.
	forcePoll = 10 * time.Second
	// absencePoll is how long an ENI that EC2 does not show is given to appear. One that
	// stays away is looked for less and less often.
	absencePoll = 5 * time.Second
	// settledPoll re-reads what an outsider may change without telling: whether a
	// drained ENI may go. Events bring it up much sooner.
	settledPoll = time.Minute
)

// instanceState is what is known of the instance that the ENI belongs to.
type instanceState int

const (
	// instanceUnknown: no Node names an instance, or EC2 does not know it.
	instanceUnknown instanceState = iota
	// instanceLive: EC2 knows it and it is not going away.
	instanceLive
	// instanceGone: EC2 says shutting-down or terminated, or knew it once and
	// does not any more.
	instanceGone
)

// presence is what is known of the ENI in EC2.
type presence int

const (
	presenceUnknown presence = iota
	present
	gone
)

// attachment is where the ENI sits in EC2.
type attachment struct {
	id                  string
	instanceID          string
	changing            bool // attaching or detaching
	deleteOnTermination bool
}

// actual is the ENI as EC2 has it. Lists are sorted.
type actual struct {
	addresses      []string
	prefixes       []string
	securityGroups []string
	tags           map[string]string
	zone, subnetID string
	attachment     *attachment
}

// doubt is what is uncertain about the addresses that were read: until when, and
// whether calls of the operator before this one are the cause.
type doubt struct {
	until     time.Time
	inherited bool
}

// desired is what the ENI should look like; see build.
type desired struct {
	subnetIDs      []string
	securityGroups []string
	// keepGroups: the spec names none, so those of the creation stay.
	keepGroups   bool
	addressCount int32
	prefixCount  int32
	description  string
	// tags but the created-at tag.
	tags map[string]string
}

// observation is all that a decision depends on.
type observation struct {
	eni        *v1alpha1.ElasticNetworkInterface
	now        time.Time
	instanceID string
	instance   instanceState
	// zone is the instance's.
	zone string
	// drained: nobody holds anything of the ENI.
	drained bool
	// uninstalling: a CRD of ours is being deleted.
	uninstalling bool
	desired      desired
	presence     presence
	actual       actual
	// ownership is what actual's tags say about whose the ENI is.
	ownership ownership
	// predecessor is an ENI that was made for an earlier resource of this name, which is
	// gone; "" for none.
	predecessor string
	// deleteAccepted: EC2 accepted a Delete so lately that it may show the ENI still.
	deleteAccepted bool
	// changingFor is how long this process has seen the ENI attaching or detaching.
	changingFor time.Duration
	// unseenFor is how long this process has found that EC2 does not show the ENI.
	unseenFor time.Duration
	// doubt is what to doubt about actual's addresses.
	doubt doubt
	// rooms are the subnets whose free space is known, and shortages what EC2 refused
	// lately, by subnet.
	rooms     map[string]room
	shortages map[string]shortage
	// refusedNames are those that EC2 refused to assign again, and since when.
	refusedNames map[v1alpha1.AddressOrPrefix]time.Time
	// looked: EC2 was asked within this reconcile, after the last write.
	looked bool
	// freshAssignment: the record of an assignment was written just now, so that no
	// call was made before.
	freshAssignment bool
	// vacant are addresses, or prefixes, of the subnet that nobody has, as many as a
	// primary ENI is to have more.
	vacant []string
	// stuck: the ENI has been attaching or detaching for too long. forced: it was
	// detached by force within this reconcile.
	stuck, forced bool
	recordMaxAge  time.Duration
	// visibility is how long EC2 may not show what it has.
	visibility time.Duration
}

// underway names the change of the attachment that EC2 works on, or is "".
func (o *observation) underway() string {
	at := o.actual.attachment
	leaves := at != nil && (!o.eni.DeletionTimestamp.IsZero() || at.instanceID != o.instanceID)
	switch {
	case at == nil, !at.changing && !o.carrierGone():
		return ""
	case leaves:
		return "detaching " + at.id
	default:
		return "attaching " + at.id
	}
}

// decision is what plan decides, and why, in words for the status.
type decision struct {
	action  action
	wait    time.Duration
	reason  string
	message string
	record  v1alpha1.CreationRecord
	// assignment is the record of an assignment to a primary ENI.
	assignment v1alpha1.AssignmentRecord
	names      []string
	count      int32
	prefixes   int32
	force      bool
	// refusal is what EC2 lacks the capacity for.
	refusal *v1alpha1.GrowthRefusal
	// detaching: the ENI is on its way off its instance.
	detaching bool
	tags      map[string]string
	untag     []string
}

// plan decides the next action for an ENI.
func plan(o observation) decision {
	switch {
	case o.eni.Primary():
		return planPrimary(o)
	case !o.eni.DeletionTimestamp.IsZero():
		return planDeletion(o)
	case o.eni.Status.NetworkInterfaceID == "":
		return planCreation(o)
	default:
		return planLife(o)
	}
}
