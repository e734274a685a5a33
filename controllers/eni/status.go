/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"
	"errors"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/logging"
)

// maxTransitions is how many states an ENI's status remembers.
const maxTransitions = 10

// report derives the status from what is known after a step, and stores it if it
// differs. It returns the step's own error, or that of storing.
func (r *Reconciler) report(
	ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, done *progress, o observation, d decision, acted error,
) error {
	if err := speechless(ctx, acted); err != nil {
		return err
	}
	if err := r.describeKnown(ctx, eni, o); err != nil && acted == nil {
		acted = err
	}
	further := d.action == actRecord || d.action == actRecordAssignment
	if !further || len(eni.Status.Conditions) == 0 { // A further attempt does not make the last one's failure any better yet.
		setConditions(eni, o, d, acted)
	}
	setState(eni, o, d)
	setRefusal(eni, o, d)
	eni.Status.ObservedGeneration = eni.Generation
	eni.Status.ResourceUID = eni.UID

	wrote, err := r.written.UpdateStatus(logging.WithCause(ctx, acted), r.client, r.events, done.stored, eni)
	r.told.stored(eni, err)
	if err != nil {
		return err
	}
	if wrote {
		done.stored = eni.DeepCopy()
	}
	return acted
}

// speechless is an error where nothing is to be stored: the operator is stopping, and
// what happened is found again, or it does not lead any more; then nothing was sent,
// and the status is another's to write.
func speechless(ctx context.Context, acted error) error {
	if ec2.NotLeader(acted) {
		return acted
	}
	return ctx.Err()
}

// setRefusal reports what EC2 lacks the capacity for, until it has it or nobody asks
// for it any more.
func setRefusal(eni *v1alpha1.ElasticNetworkInterface, o observation, d decision) {
	switch {
	case d.refusal != nil:
		eni.Status.Refusal = d.refusal
	case d.action != "" && len(o.shortages) == 0:
		eni.Status.Refusal = nil
	}
}

// loseAll notes that an ENI is gone, and with it all that it carried.
func loseAll(status *v1alpha1.ElasticNetworkInterfaceStatus) {
	lost := slices.Concat(status.Lost, status.Missing, namesOf(status.Addresses, status.Prefixes))
	if status.PrimaryAddress != "" {
		lost = append(lost, v1alpha1.AddressOrPrefix(status.PrimaryAddress))
	}
	slices.Sort(lost)
	status.Lost = slices.Compact(lost)

	status.Attachment = nil
	status.PrimaryAddress = ""
	status.Addresses = nil
	status.Prefixes = nil
	status.Missing = nil
	status.Doubtful = nil
	status.Refusal = nil
	status.AddressCount = 0
	status.ForeignCount = 0
}

// describeKnown describes what is known of the ENI after a step. Nothing of an ENI of
// others gets into the status; what the status says of it and EC2 does not have, goes.
func (r *Reconciler) describeKnown(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, o observation) error {
	known, ok := refresh(r.inventory, eni.Status.NetworkInterfaceID)
	switch {
	case o.presence == gone:
		loseAll(&eni.Status)
		return nil
	case ok && o.ownership == owned:
		return r.describe(ctx, eni, known)
	case ok:
		withdraw(eni, known, r.doubtAbout(known.ID))
	case o.presence == present && o.ownership == owned && !eni.Primary():
		correct(&eni.Status, o)
	}
	return nil
}

// correct has a status show what was read before a step that left the ENI's state unclear:
// EC2 refuses to attach an ENI, say, to which somebody assigned too many addresses after they
// detached it. Its pool gives those back once it sees them, and its claims say that it is
// detached.
func correct(status *v1alpha1.ElasticNetworkInterfaceStatus, o observation) {
	if at := o.actual.attachment; at == nil || at.changing || !inPlace(status.Attachment, at.instanceID) {
		status.Attachment = nil
	}
	if !inherits(o.doubt, status) {
		status.Addresses, status.Prefixes = typed[v1alpha1.Address](o.actual.addresses), typed[v1alpha1.Prefix](o.actual.prefixes)
		status.AddressCount = addressCount(status)
	}
}

// withdraw takes out of a status what an ENI that is others' by now does not have: a claim
// on an ENI that somebody detached says so, whatever the ENI's tags are.
func withdraw(eni *v1alpha1.ElasticNetworkInterface, known ec2.NetworkInterface, d doubt) {
	status := &eni.Status
	at := known.Attachment
	if at == nil || at.Status != ec2.AttachmentAttached || !inPlace(status.Attachment, at.InstanceID) {
		status.Attachment = nil
	}
	if inherits(d, status) {
		return
	}
	addresses, prefixes := typed[v1alpha1.Address](known.Addresses), typed[v1alpha1.Prefix](known.Prefixes)
	noteMissing(eni, addresses, prefixes, d)
	status.Addresses = common(status.Addresses, addresses)
	status.Prefixes = common(status.Prefixes, prefixes)
	status.AddressCount = addressCount(status)
}

// addressCount is how many addresses a status shows, those of prefixes included.
func addressCount(status *v1alpha1.ElasticNetworkInterfaceStatus) int32 {
	return int32(len(status.Addresses) + v1alpha1.AddressesPerPrefix*len(status.Prefixes)) //nolint:gosec // bounded by EC2
}

// describe copies what EC2 says into the status.
func (r *Reconciler) describe(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, known ec2.NetworkInterface) error {
	status := &eni.Status
	status.MACAddress, status.VPCID = known.MACAddress, known.VPCID
	status.AvailabilityZone, status.SubnetID = known.AvailabilityZone, known.SubnetID
	status.PrimaryAddress = known.PrimaryAddress
	status.SecurityGroupIDs = typed[v1alpha1.SecurityGroupID](known.SecurityGroups)
	describeAddresses(eni, known, r.doubtAbout(known.ID))
	status.Doubtful = doubtful(status, known, typed[v1alpha1.AddressOrPrefix](r.inventory.Contested(known.ID)))
	status.AddressCount = addressCount(status)
	status.Attachment = nil
	if at := known.Attachment; at != nil && at.Status == ec2.AttachmentAttached {
		status.Attachment = &v1alpha1.Attachment{
			ID: at.ID, InstanceID: at.InstanceID, DeviceIndex: at.Slot.DeviceIndex, NetworkCardIndex: at.Slot.NetworkCardIndex,
		}
	}
	if status.SubnetCIDR != "" {
		return nil
	}
	subnet, found, err := r.inventory.Subnet(ctx, known.SubnetID)
	if err != nil {
		return err
	}
	if !found || !subnet.CIDR.IsValid() {
		return &noCIDRError{subnetID: known.SubnetID}
	}
	status.SubnetCIDR = subnet.CIDR.String()
	return nil
}

// doubtful are the names that a status shows and that EC2 shows on another ENI too, or does
// not show on this one: what the operator before this one stored may be the better, but the
// status may be an older one that somebody restored.
func doubtful(status *v1alpha1.ElasticNetworkInterfaceStatus, known ec2.NetworkInterface, contested []v1alpha1.AddressOrPrefix) []v1alpha1.AddressOrPrefix {
	carried := typed[v1alpha1.AddressOrPrefix](slices.Concat(known.Addresses, known.Prefixes))
	var found []v1alpha1.AddressOrPrefix
	for _, name := range namesOf(status.Addresses, status.Prefixes) {
		if slices.Contains(contested, name) || !slices.Contains(carried, name) {
			found = append(found, name)
		}
	}
	return found
}

// describeAddresses lists what the ENI carries or, of a primary ENI, what of it the
// operator assigned. What the operator before this one stored is better than a read
// in doubt.
func describeAddresses(eni *v1alpha1.ElasticNetworkInterface, known ec2.NetworkInterface, d doubt) {
	status := &eni.Status
	addresses, prefixes := typed[v1alpha1.Address](known.Addresses), typed[v1alpha1.Prefix](known.Prefixes)
	if eni.Primary() {
		status.ForeignCount = foreignCount(status, addresses, prefixes)
	}
	noteMissing(eni, addresses, prefixes, d)
	switch {
	case inherits(d, status):
	case eni.Primary():
		status.Addresses, status.Prefixes = common(status.Addresses, addresses), common(status.Prefixes, prefixes)
	default:
		status.Addresses, status.Prefixes = addresses, prefixes
	}
}

// foreignCount is how many names a primary ENI carries that are not the operator's,
// and not recorded to become so.
func foreignCount(status *v1alpha1.ElasticNetworkInterfaceStatus, addresses []v1alpha1.Address, prefixes []v1alpha1.Prefix) int32 {
	count := int32(0)
	for _, name := range namesOf(addresses, prefixes) {
		if !ours(status, name) {
			count++
		}
	}
	return count
}

// ours says whether a name on a primary ENI is the operator's, or is recorded to
// become so.
func ours(status *v1alpha1.ElasticNetworkInterfaceStatus, name v1alpha1.AddressOrPrefix) bool {
	return slices.Contains(status.Addresses, v1alpha1.Address(name)) || slices.Contains(status.Prefixes, v1alpha1.Prefix(name)) ||
		(status.Assignment != nil && slices.Contains(status.Assignment.Names, name))
}

// noteMissing lists what the status showed and EC2 does not any more, though nobody
// here gave it up. Only a pool knows what to do about it, also while claims keep an ENI
// that is being deleted; of an ENI without a pool, it is replaced.
func noteMissing(eni *v1alpha1.ElasticNetworkInterface, addresses []v1alpha1.Address, prefixes []v1alpha1.Prefix, d doubt) {
	status := &eni.Status
	shown := slices.Clone(status.Missing)
	if !inherits(d, status) {
		if eni.Primary() {
			noteTaken(eni, addresses, prefixes)
			addresses, prefixes = common(status.Addresses, addresses), common(status.Prefixes, prefixes)
		}
		shown = slices.Concat(shown, namesOf(status.Addresses, status.Prefixes))
	}
	status.Missing = nil
	if eni.Spec.PoolName != "" && (eni.DeletionTimestamp.IsZero() || !eni.Spec.Drained) {
		carried := namesOf(addresses, prefixes)
		status.Missing = slices.DeleteFunc(shown, func(name v1alpha1.AddressOrPrefix) bool {
			return slices.Contains(carried, name) || slices.Contains(eni.Spec.Release, name)
		})
		slices.Sort(status.Missing)
		status.Missing = slices.Compact(status.Missing)
	}
	status.Lost = common(status.Lost, eni.Spec.Reclaim)
}

func namesOf(addresses []v1alpha1.Address, prefixes []v1alpha1.Prefix) []v1alpha1.AddressOrPrefix {
	return typed[v1alpha1.AddressOrPrefix](slices.Concat(stringsOf(addresses), stringsOf(prefixes)))
}

// noteTaken finds what vanished from a primary ENI and came back without the
// operator: it is somebody else's now.
func noteTaken(eni *v1alpha1.ElasticNetworkInterface, addresses []v1alpha1.Address, prefixes []v1alpha1.Prefix) {
	status := &eni.Status
	for _, name := range eni.Spec.Reclaim {
		carried := slices.Contains(addresses, v1alpha1.Address(name)) || slices.Contains(prefixes, v1alpha1.Prefix(name))
		if carried && !ours(status, name) && !slices.Contains(status.Lost, name) {
			status.Lost = append(status.Lost, name)
		}
	}
}

// setConditions is the only place that builds an ENI's conditions.
func setConditions(eni *v1alpha1.ElasticNetworkInterface, o observation, d decision, acted error) {
	reason, message := d.reason, d.message
	if acted != nil {
		reason, message = explain(acted)
	}
	set := func(kind string, good bool, goodReason string) {
		condition := metav1.Condition{
			Type: kind, Status: metav1.ConditionTrue, Reason: goodReason, ObservedGeneration: eni.Generation,
		}
		if !good {
			condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, reason, message
		}
		meta.SetStatusCondition(&eni.Status.Conditions, condition)
	}
	status := &eni.Status
	created := status.NetworkInterfaceID != "" && o.mayBeOurs()
	attached := created && inPlace(status.Attachment, o.instanceID)
	assigned := created && len(status.Addresses) >= int(eni.Spec.AddressCount) && len(status.Prefixes) >= int(eni.Spec.PrefixCount)
	setUninstallBlocked(eni, o)
	if d.action == actRecord && d.record.Attempt > 1 {
		return // Why the last attempt failed stands until the next one is through.
	}
	set(v1alpha1.ConditionCreated, created, v1alpha1.ReasonCreated)
	set(v1alpha1.ConditionAttached, attached, v1alpha1.ReasonAttached)
	set(v1alpha1.ConditionAddressesAssigned, assigned, v1alpha1.ReasonAssigned)

	setReady(eni, attached && assigned, reason, message, acted == nil && reason != v1alpha1.ReasonPaused)
}

// inPlace says whether an attachment is to the instance that the spec or the Node
// names, if any does.
func inPlace(at *v1alpha1.Attachment, instanceID string) bool {
	return at != nil && (instanceID == "" || at.InstanceID == instanceID)
}

// setUninstallBlocked is there only while it is true.
func setUninstallBlocked(eni *v1alpha1.ElasticNetworkInterface, o observation) {
	if !o.uninstalling {
		meta.RemoveStatusCondition(&eni.Status.Conditions, v1alpha1.ConditionUninstallBlocked)
		return
	}
	meta.SetStatusCondition(&eni.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionUninstallBlocked, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonUninstallBlocked,
		Message: "A CRD of the operator is being deleted", ObservedGeneration: eni.Generation,
	})
}

// setReady sums up. What is off the critical path may fail, or be paused, without
// making the ENI less ready; then the condition is True and says so.
func setReady(eni *v1alpha1.ElasticNetworkInterface, usable bool, reason, message string, smooth bool) {
	ready := usable && eni.Status.SubnetCIDR != "" && eni.DeletionTimestamp.IsZero()
	condition := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: message,
		ObservedGeneration: eni.Generation,
	}
	if ready {
		condition.Status = metav1.ConditionTrue
		if smooth {
			condition.Reason, condition.Message = v1alpha1.ReasonReady, ""
		}
	}
	meta.SetStatusCondition(&eni.Status.Conditions, condition)
}

// explain returns reason and remedy of a failed step.
func explain(err error) (reason, message string) {
	var own reasoned
	if errors.As(err, &own) {
		return own.reason(), own.Error()
	}
	return ec2.Explain(err)
}

// setState notes where the ENI is on its way, and when it got there.
func setState(eni *v1alpha1.ElasticNetworkInterface, o observation, d decision) {
	state := stateOf(eni, o, d)
	if state == eni.Status.State {
		return
	}
	eni.Status.State = state
	transitions := append(slices.Clone(eni.Status.Transitions), v1alpha1.StateTransition{State: state, At: metav1.NewTime(o.now)})
	eni.Status.Transitions = transitions[max(len(transitions)-maxTransitions, 0):]
}

func stateOf(eni *v1alpha1.ElasticNetworkInterface, o observation, d decision) v1alpha1.ENIState {
	status := &eni.Status
	switch {
	case d.action == "" && status.State != "":
		return status.State // Nothing was learned, so nothing has changed.
	case d.detaching:
		return v1alpha1.ENIDetaching
	case o.presence == gone && eni.DeletionTimestamp.IsZero():
		return v1alpha1.ENILost
	case d.reason == v1alpha1.ReasonDeleting && o.actual.attachment == nil, o.presence == gone:
		return v1alpha1.ENIDeleting
	case status.NetworkInterfaceID != "":
		return stateOfPresent(status, d)
	case status.Creation != nil:
		return v1alpha1.ENICreating
	default:
		return v1alpha1.ENIPending
	}
}

func stateOfPresent(status *v1alpha1.ElasticNetworkInterfaceStatus, d decision) v1alpha1.ENIState {
	switch {
	case status.Attachment != nil:
		return v1alpha1.ENIAttached
	case d.reason == v1alpha1.ReasonNodeUnknown:
		return v1alpha1.ENIAvailable
	default:
		return v1alpha1.ENIAttaching
	}
}
