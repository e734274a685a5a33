/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"fmt"
	"maps"
	"slices"
	"strings"
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
	// actCreate makes the call of the creation record.
	actCreate action = "Create"
	// actFind looks for the ENI by the owner's UID tag.
	actFind action = "Find"
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
	// at: EC2 takes 1 to 5 s to attach and 2 to 3 s to detach.
	attachPoll = time.Second
	// terminationPoll is how often an ENI is looked at that EC2 deletes with its
	// instance; that takes as long as the instance takes to shut down.
	terminationPoll = 5 * time.Second
	// forcePoll is how long a forced detach is given before it is forced again.
	forcePoll = 10 * time.Second
	// absencePoll is how long an ENI that EC2 does not show is given to appear.
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
	// doubt is what to doubt about actual's addresses.
	doubt doubt
	// looked: EC2 was asked within this reconcile, after the last write.
	looked bool
	// freshAssignment: the record of an assignment was written just now, so that no
	// call was made before.
	freshAssignment bool
	// vacant are addresses, or prefixes, of the subnet that nobody has, as many as a
	// primary ENI is to have more.
	vacant []string
	// stuck: the ENI has been detaching for too long. forced: it was detached by
	// force within this reconcile.
	stuck, forced bool
	recordMaxAge  time.Duration
	// visibility is how long EC2 may not show what it has.
	visibility time.Duration
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

// planCreation follows protocol 5: a record before each call, the same call while
// its outcome is open, another only after a definite refusal.
func planCreation(o observation) decision {
	if o.instance != instanceLive {
		return planNoInstance(o)
	}
	record := o.eni.Status.Creation
	switch {
	case record == nil:
		return recordAttempt(o, 1, o.desired.subnetIDs[0])
	case record.Refused == "" && o.now.Sub(record.StartedAt.Time) < o.recordMaxAge:
		return decision{action: actCreate, reason: v1alpha1.ReasonCreating, message: "Creating the ENI"}
	case !mayExist(record):
		return recordAttempt(o, record.Attempt+1, nextSubnet(o.desired.subnetIDs, record))
	default:
		return planSearch(o, recordAttempt(o, record.Attempt+1, nextSubnet(o.desired.subnetIDs, record)))
	}
}

// planNoInstance waits for an instance. A Node that changes tells of it; an
// instance that EC2 begins to show does not.
func planNoInstance(o observation) decision {
	if o.instance == instanceUnknown && o.instanceID != "" {
		return decision{action: actWait, wait: settledPoll, reason: v1alpha1.ReasonNodeUnknown,
			message: "EC2 does not know instance " + o.instanceID + " of Node " + o.eni.Spec.NodeName + "; it is asked again"}
	}
	return decision{action: actNothing, reason: v1alpha1.ReasonNodeUnknown,
		message: "Waiting for Node " + o.eni.Spec.NodeName + " to name a running EC2 instance in spec.providerID"}
}

// planSearch looks for an ENI that an earlier call may have made, twice, a
// visibility window apart, before it goes on with what follows.
func planSearch(o observation, then decision) decision {
	missed := o.eni.Status.Creation.MissedAt
	const message = "Looking for an ENI that an earlier attempt may have created"
	switch {
	case missed == nil:
		return decision{action: actFind, reason: v1alpha1.ReasonCreating, message: message}
	case o.now.Sub(missed.Time) < o.visibility:
		return decision{action: actWait, wait: o.visibility - o.now.Sub(missed.Time), reason: v1alpha1.ReasonCreating, message: message}
	case !o.looked:
		return decision{action: actFind, reason: v1alpha1.ReasonCreating, message: message}
	default:
		return then
	}
}

func recordAttempt(o observation, attempt int32, subnetID string) decision {
	return decision{
		action: actRecord, reason: v1alpha1.ReasonCreating, message: "Creating the ENI",
		record: newRecord(o.desired, attempt, subnetID, o.now),
	}
}

// nextSubnet is the candidate after the one that refused: the same one again if
// the refusal was not for want of addresses.
func nextSubnet(candidates []string, record *v1alpha1.CreationRecord) string {
	at := slices.Index(candidates, string(record.SubnetID))
	if at < 0 {
		return candidates[0]
	}
	if record.SubnetFull {
		at++
	}
	return candidates[at%len(candidates)]
}

// planLife brings an ENI that exists to what it should be: attached first, then
// its addresses, then all that nobody waits for.
func planLife(o observation) decision {
	switch o.presence {
	case gone:
		return decision{action: actNothing, reason: v1alpha1.ReasonNotFound,
			message: "The ENI was deleted outside the operator. Delete this resource; its pool makes another."}
	case presenceUnknown:
		return decision{action: actWait, wait: absencePoll, reason: v1alpha1.ReasonInProgress,
			message: "EC2 does not show the ENI yet"}
	case present:
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
	if d := planAddresses(o); d.action != actNothing {
		return d
	}
	return planAttributes(o)
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
	case at.changing && !o.looked:
		return decision{action: actLook, reason: v1alpha1.ReasonAttaching, message: attachingTo(at.instanceID)}
	case at.changing:
		return decision{action: actWait, wait: attachPoll, reason: v1alpha1.ReasonAttaching, message: attachingTo(at.instanceID)}
	default:
		return decision{action: actNothing}
	}
}

func attachingTo(instanceID string) string { return "Attaching the ENI to " + instanceID }

// planAddresses gives back by name, and takes by count.
func planAddresses(o observation) decision {
	change := changeAddresses(o)
	if o.doubt.until.IsZero() || (change.action == actNothing && !contradicts(o)) {
		return change
	}
	return planDoubt(o)
}

// planDoubt waits until a look tells for sure, since what is in doubt is not
// changed.
func planDoubt(o observation) decision {
	doubtful := decision{action: actLook, reason: v1alpha1.ReasonAssigning,
		message: "Making sure which addresses the ENI has, since EC2 may not show all of them yet"}
	if wait := o.doubt.until.Sub(o.now); wait > 0 {
		doubtful.action, doubtful.wait = actWait, wait
	}
	return doubtful
}

// contradicts says whether a read in doubt differs from what the operator before
// this one stored.
func contradicts(o observation) bool {
	status := &o.eni.Status
	addresses, prefixes := typed[v1alpha1.Address](o.actual.addresses), typed[v1alpha1.Prefix](o.actual.prefixes)
	switch {
	case !inherits(o.doubt, status):
		return false
	case o.eni.Primary(): // Others are not the operator's.
		return len(common(status.Addresses, addresses)) < len(status.Addresses) || len(common(status.Prefixes, prefixes)) < len(status.Prefixes)
	default:
		return !slices.Equal(addresses, status.Addresses) || !slices.Equal(prefixes, status.Prefixes)
	}
}

// common are the names of one list that are in another too.
func common[T comparable](names, others []T) []T {
	return slices.DeleteFunc(slices.Clone(names), func(name T) bool { return !slices.Contains(others, name) })
}

// inherits says whether the addresses in an ENI's status are better than those of a
// read in doubt: the operator before this one stored them.
func inherits(d doubt, status *v1alpha1.ElasticNetworkInterfaceStatus) bool {
	return d.inherited && len(status.Addresses)+len(status.Prefixes) > 0
}

func changeAddresses(o observation) decision {
	if names := releasable(o); len(names) > 0 {
		return decision{action: actUnassign, names: names, reason: v1alpha1.ReasonAssigning, message: "Giving addresses back to the subnet"}
	}
	if names := reclaimable(o); len(names) > 0 {
		return planReclaim(names)
	}
	if givenUp(o) {
		return decision{action: actNothing} // EC2 may assign the very address that the ENI is told to release.
	}
	missingAddresses, missingPrefixes := missing(&o.eni.Status)
	addresses := o.desired.addressCount - int32(len(o.actual.addresses)) - missingAddresses //nolint:gosec // bounded by EC2
	prefixes := o.desired.prefixCount - int32(len(o.actual.prefixes)) - missingPrefixes     //nolint:gosec // bounded by EC2
	if addresses <= 0 && prefixes <= 0 {
		return decision{action: actNothing}
	}
	return decision{action: actAssign, count: max(addresses, 0), prefixes: max(prefixes, 0),
		reason: v1alpha1.ReasonAssigning, message: "Assigning addresses"}
}

// givenUp says whether spec.release names something that the ENI does not carry any
// more, until its pool has taken note.
func givenUp(o observation) bool {
	return o.eni.Spec.PoolName != "" && slices.ContainsFunc(o.eni.Spec.Release, func(name v1alpha1.AddressOrPrefix) bool { return !carries(o.actual, name) })
}

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

// planReclaim asks for one name, so that EC2's refusal is about that one.
func planReclaim(names []string) decision {
	return decision{action: actAssign, names: names[:1], reason: v1alpha1.ReasonAssigning,
		message: "Assigning " + names[0] + " again, which a claim holds and which vanished in EC2"}
}

// reclaimable are the names in spec.reclaim that the ENI does not carry, and that
// EC2 has not refused yet.
func reclaimable(o observation) []string {
	var names []string
	for _, name := range o.eni.Spec.Reclaim {
		if !carries(o.actual, name) && !slices.Contains(o.eni.Status.Lost, name) {
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	return names
}

// missing counts what vanished and is not to be replaced yet.
func missing(status *v1alpha1.ElasticNetworkInterfaceStatus) (addresses, prefixes int32) {
	for _, name := range status.Missing {
		switch {
		case slices.Contains(status.Lost, name):
		case strings.Contains(string(name), "/"):
			prefixes++
		default:
			addresses++
		}
	}
	return addresses, prefixes
}

// releasable are the names in spec.release that the ENI still carries.
func releasable(o observation) []string {
	var names []string
	for _, name := range o.eni.Spec.Release {
		if carries(o.actual, name) {
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	return names
}

func carries(a actual, name v1alpha1.AddressOrPrefix) bool {
	return slices.Contains(a.addresses, string(name)) || slices.Contains(a.prefixes, string(name))
}

// planAttributes is off the critical path: the ENI is ready already.
func planAttributes(o observation) decision {
	ready := planMissing(o, decision{action: actNothing, reason: v1alpha1.ReasonReady, message: "The ENI is attached and carries its addresses"})
	if !o.desired.keepGroups && !slices.Equal(o.desired.securityGroups, o.actual.securityGroups) {
		ready.action = actSetSecurityGroups
		return ready
	}
	if set, remove := tagChanges(o); len(set)+len(remove) > 0 {
		ready.action, ready.tags, ready.untag = actSetTags, set, remove
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

// planDeletion detaches nothing that somebody holds, and lets go only of what EC2
// says is gone, or what is to be retained.
func planDeletion(o observation) decision {
	letGo := decision{action: actLetGo, reason: v1alpha1.ReasonDeleting, message: "The ENI is gone"}
	switch {
	case o.eni.Status.NetworkInterfaceID == "" && !mayExist(o.eni.Status.Creation):
		return letGo
	case o.eni.Status.NetworkInterfaceID == "":
		return planSearch(o, letGo)
	case o.presence == gone:
		return letGo
	case o.presence == presenceUnknown:
		return decision{action: actWait, wait: absencePoll, reason: v1alpha1.ReasonDeleting, message: "Making sure that the ENI is gone"}
	}
	if d := planProtection(o); d.action != actNothing {
		return d
	}
	switch {
	case o.eni.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRetain:
		return planRetain(o, letGo)
	case o.actual.attachment != nil:
		return planDetach(o, "Detaching the ENI")
	default:
		return decision{action: actDelete, reason: v1alpha1.ReasonDeleting, message: "Deleting the ENI"}
	}
}

// planProtection waits while an ENI must not be taken from its instance.
func planProtection(o observation) decision {
	switch {
	case o.uninstalling:
		return decision{action: actWait, wait: settledPoll, reason: v1alpha1.ReasonUninstallBlocked,
			message: "A CRD of the operator is being deleted, so the ENI is left alone in EC2. " +
				"To let go of it, stop the operator and run it once with --uninstall=abandon."}
	case !o.drained && o.instance != instanceGone:
		return decision{action: actWait, wait: settledPoll, reason: v1alpha1.ReasonWaitingForDrain,
			message: "Claims hold addresses of the ENI; it is detached when they are released"}
	default:
		return decision{action: actNothing}
	}
}

// mayExist says whether a creation may have made an ENI that nobody has seen.
func mayExist(record *v1alpha1.CreationRecord) bool {
	return record != nil && (record.Refused == "" || record.Unclear)
}

// planRetain leaves the ENI where it is, marked, so that no collector takes it,
// and so that EC2 does not delete it with its instance.
func planRetain(o observation, letGo decision) decision {
	at := o.actual.attachment
	if at != nil && at.deleteOnTermination && o.instance != instanceGone {
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
	goesWithInstance := o.instance == instanceGone && o.actual.attachment.deleteOnTermination
	switch leaving := o.actual.attachment.changing || goesWithInstance; {
	case !leaving:
	case !o.looked:
		d.action = actLook
	case o.stuck && !o.forced:
		d.force = true
	case o.stuck:
		d.action, d.wait = actWait, forcePoll
	case goesWithInstance:
		d.action, d.wait = actWait, terminationPoll
	default:
		d.action, d.wait = actWait, attachPoll
	}
	return d
}
