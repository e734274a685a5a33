/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// record is one ENI and when we last wrote what.
type record struct {
	eni ec2.NetworkInterface
	// places are the addresses under which it is indexed.
	places map[place]bool
	// owner is the UID that its tags last named while they named this cluster too.
	owner string
	// seen: a read has shown it, so that its absence means that it is gone.
	seen bool
	// bornAt and joinedAt are when calls of ours created it and last attached it, or
	// may have: for a while an absence proves nothing.
	bornAt   time.Time
	joinedAt time.Time
	// deletedAt is when EC2 accepted our deletion of it, until a read shows it after the
	// visibility window.
	deletedAt time.Time
	// names are the addresses and prefixes that calls of ours added or removed.
	names map[string]nameChange
	// attachmentAt and attributesAt are when a call of ours last changed them with
	// a known outcome.
	attachmentAt time.Time
	attributesAt time.Time
	// unclear: a call's outcome is unknown; nothing is trusted before a look that
	// begins after unclearAt.
	unclear   bool
	unclearAt time.Time
	// unshown: the last sweep did not show it, and no read has since.
	unshown bool
	// primary: the primary ENI of an instance. Only addresses of it are changed.
	primary bool
	// ours: a call of this process created it, so that no other process has
	// changed its addresses.
	ours bool
	// readAt is when the last read that was believed was asked for.
	readAt time.Time
	// assignUnclearAt is when the outcome of an Assign was last unknown.
	assignUnclearAt time.Time
	// othersAt is when another process was last seen to have changed it.
	othersAt time.Time
}

// nameChange is what a call of ours did to an address or a prefix, and when.
type nameChange struct {
	added bool
	at    time.Time
}

// distrust has everything wait for a look; i.mu is held.
func (r *record) distrust(now time.Time) {
	r.unclear, r.unclearAt = true, now
}

// Presence is what is known of an ENI's existence.
type Presence int

const (
	// Unknown: not seen, but it may be not visible yet.
	Unknown Presence = iota
	// Present: it exists.
	Present
	// Gone: EC2 says that it is not there any more.
	Gone
	// Absent, of an instance: EC2 answers NotFound for its id, which is weaker than
	// a statement that it was terminated: while its Node is there, nothing that cannot
	// be undone follows from it.
	Absent
)

// ENI returns what is known of an ENI without asking EC2. It is not found either
// if its state is unclear: then Look.
func (i *Inventory) ENI(id string) (ec2.NetworkInterface, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.enis[id]
	if !ok || known.unclear {
		return ec2.NetworkInterface{}, false
	}
	return clone(known.eni), true
}

// Doubt is about the addresses of an ENI: calls that added or removed some, and
// whose outcome this process does not know, may not show in what was read yet.
type Doubt struct {
	// Until is when a read shows their outcome for sure; zero: there is no doubt.
	Until time.Time
	// Inherited: the calls were another process's, so that what was read may lack
	// an address of the ENI, or show one that it gave back.
	Inherited bool
}

// DoubtAddresses returns what is to be doubted about the addresses of an ENI that
// ENI or Look returned. As long as there is a doubt, an Assign by count may assign
// twice.
func (i *Inventory) DoubtAddresses(id string) Doubt {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.enis[id]
	if !ok {
		return Doubt{}
	}
	others := known.othersAt
	if !known.ours {
		others = later(others, i.leadingSince)
	}
	if i.settling(others, known.readAt) {
		return Doubt{Until: later(others, known.assignUnclearAt).Add(i.options.VisibilityWindow), Inherited: true}
	}
	if i.settling(known.assignUnclearAt, known.readAt) {
		return Doubt{Until: known.assignUnclearAt.Add(i.options.VisibilityWindow)}
	}
	return Doubt{}
}

// ChangedByOthers notes that another process changes an ENI as well. What is known
// of it is to be looked at again, and its addresses are in doubt, for as long as EC2
// may not show what that process did.
func (i *Inventory) ChangedByOthers(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if known, ok := i.enis[id]; ok {
		known.othersAt = i.clock.Now()
		known.distrust(known.othersAt)
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Look reads an ENI from EC2, together with all others asked for at the moment. It is
// Gone only on a statement; see missENI.
func (i *Inventory) Look(ctx context.Context, id string) (ec2.NetworkInterface, Presence, error) {
	_, found, err := i.eniReads.Get(ctx, id)
	if err != nil {
		return ec2.NetworkInterface{}, Unknown, err
	}
	if !found {
		return i.missENI(ctx, id)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.enis[id]
	if !ok || !known.deletedAt.IsZero() {
		return ec2.NetworkInterface{}, Unknown, nil // On its way out, though EC2 still shows it.
	}
	return clone(known.eni), Present, nil
}

// leaveInstance takes an ENI off its instance; i.mu is held.
func (i *Inventory) leaveInstance(id string) {
	if known, ok := i.enis[id]; ok {
		i.moveInterface(id, known.eni.Attachment, nil)
	}
}

// drop forgets what is known of an ENI. What EC2 showed of its instance keeps its slot
// taken; i.mu is held.
func (i *Inventory) drop(id string) {
	known, ok := i.enis[id]
	if !ok {
		return
	}
	if at := known.eni.Attachment; at != nil {
		i.freeAttached(at.InstanceID, id)
	}
	i.disown(known)
	i.unindex(known)
	delete(i.enis, id)
}

// ForgetENI drops what is remembered of an ENI that is gone, once no resource
// stands for it any more.
func (i *Inventory) ForgetENI(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.missing, id)
}

// LookByOwner reads the ENIs that carry the UID of an ElasticNetworkInterface.
// There is more than one only if a creation was repeated in vain. None is an answer only of
// an EC2 that shows ENIs of instances: another would be made, or a resource let go, on the
// word of one that shows nothing.
func (i *Inventory) LookByOwner(ctx context.Context, uid string) ([]ec2.NetworkInterface, error) {
	enis, _, err := i.ownerReads.Get(ctx, uid)
	if err != nil || len(enis) > 0 {
		return enis, err
	}
	shown, err := i.showsENIs(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking whether EC2 shows ENIs at all: %w", err)
	}
	if !shown {
		return nil, &refusedError{reason: v1alpha1.ReasonNothingKnown,
			text: "EC2 shows no ENIs of instances that it shows or has shown, so that it does not prove that there is none. It is asked again"}
	}
	enis, _, err = i.ownerReads.Get(ctx, uid) // The first answer may be from before it showed any.
	return enis, err
}

func (i *Inventory) fetchENIs(ctx context.Context, ids []string) (map[string]ec2.NetworkInterface, error) {
	asked := i.clock.Now()
	enis, err := i.client.DescribeNetworkInterfaces(ctx, ec2.Filter{Name: "network-interface-id", Values: ids})
	if err != nil {
		return nil, err
	}
	found := make(map[string]ec2.NetworkInterface, len(enis))
	for _, eni := range enis {
		i.merge(eni, asked)
		found[eni.ID] = eni
	}
	return found, nil
}

func (i *Inventory) fetchByOwner(ctx context.Context, uids []string) (map[string][]ec2.NetworkInterface, error) {
	asked := i.clock.Now()
	enis, err := i.client.DescribeNetworkInterfaces(ctx,
		ec2.OwnedFilter(i.options.ClusterUID), ec2.Filter{Name: "tag:" + ec2.TagUID, Values: uids})
	if err != nil {
		return nil, err
	}
	found := map[string][]ec2.NetworkInterface{}
	for _, eni := range enis {
		i.merge(eni, asked)
		if uid := eni.Tags[ec2.TagUID]; !i.deleted(eni.ID) {
			found[uid] = append(found[uid], eni)
		}
	}
	return found, nil
}

// deleted reports whether EC2 accepted our deletion of an ENI.
func (i *Inventory) deleted(id string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.enis[id]
	return ok && !known.deletedAt.IsZero()
}

// merge takes a read that was asked for at a time, and says whether it showed
// anything new, and what was known before.
func (i *Inventory) merge(read ec2.NetworkInterface, asked time.Time) (before ec2.NetworkInterface, differs bool) {
	defer i.flush()
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.enis[read.ID]
	unclear := ok && known.unclear
	before, differs = i.mergeLocked(read, asked)
	if known, ok = i.enis[read.ID]; !ok {
		return before, differs
	}
	if differs {
		i.noteMove(before.Attachment, known.eni.Attachment)
	}
	if unclear && !known.unclear {
		i.noteInstance(instanceOf(known.eni.Attachment)) // What it carries counted for nothing until now.
	}
	return before, differs
}

// noteMove has the subscribers notified of the instances that an ENI came to, or left,
// without a call of ours: whether its resource is there or not, their slots are other
// than before; i.mu is held.
func (i *Inventory) noteMove(before, after *ec2.Attachment) {
	left, came := instanceOf(before), instanceOf(after)
	if left == came {
		return
	}
	i.noteInstance(left)
	i.noteInstance(came)
}

// noteInstance has the subscribers notified of an instance, if it is known; i.mu is held.
func (i *Inventory) noteInstance(id string) {
	if _, known := i.instances[id]; known {
		i.pending = append(i.pending, Change{InstanceID: id})
	}
}

// instanceOf returns the instance of an attachment, or nothing.
func instanceOf(at *ec2.Attachment) string {
	if at == nil {
		return ""
	}
	return at.InstanceID
}

// mergePrimary takes what a read of an instance showed of its primary ENI, and says
// whether it is another than it was known to be; i.mu is held.
func (i *Inventory) mergePrimary(read ec2.NetworkInterface, asked time.Time) (differs bool) {
	if read.ID == "" {
		return false
	}
	_, known := i.enis[read.ID]
	_, differs = i.mergeLocked(read, asked)
	if merged, ok := i.enis[read.ID]; ok {
		merged.primary = true
	}
	return differs && known
}

func (i *Inventory) mergeLocked(read ec2.NetworkInterface, asked time.Time) (before ec2.NetworkInterface, differs bool) {
	known, ok := i.enis[read.ID]
	if missed := i.missing[read.ID]; !ok && asked.Before(missed.goneAt) {
		return before, false // Asked for before it went.
	}
	delete(i.missing, read.ID)
	if !ok {
		shown := &record{eni: clone(read), seen: true, readAt: asked}
		i.enis[read.ID] = shown
		i.own(shown)
		i.reindex(shown)
		i.moveInterface(read.ID, nil, read.Attachment)
		return before, true
	}
	before, known.seen = known.eni, true
	switch {
	case known.unclear && asked.Before(known.unclearAt):
		return before, false // It cannot tell what came of the call.
	case i.settling(known.deletedAt, asked):
		return before, false // It is on its way out.
	case bare(before, read):
		return before, false
	}
	known.deletedAt = time.Time{}
	after := i.settle(known, clone(read), asked)
	known.eni, known.unclear, known.unshown = after, false, false
	known.readAt = later(known.readAt, asked)
	i.own(known)
	i.reindex(known)
	i.moveInterface(read.ID, before.Attachment, after.Attachment)
	return before, !same(before, after)
}

// bare reports whether a read shows next to nothing of an ENI, as EC2's answers do
// while an instance is being terminated.
func bare(known, read ec2.NetworkInterface) bool {
	return known.SubnetID != "" && read.SubnetID == "" && read.VPCID == ""
}

// settle keeps, of a read, what our own writes may not be visible in yet as they
// left it; i.mu is held.
func (i *Inventory) settle(known *record, read ec2.NetworkInterface, asked time.Time) ec2.NetworkInterface {
	for name, change := range known.names {
		switch {
		case !i.settling(change.at, asked):
			delete(known.names, name)
		case change.added:
			addName(&read, name)
		default:
			removeName(&read, name)
		}
	}
	if i.settling(known.attributesAt, asked) {
		read.SecurityGroups, read.Tags = known.eni.SecurityGroups, known.eni.Tags
	}
	if i.settling(known.attachmentAt, asked) {
		read.Attachment = progress(known.eni.Attachment, read.Attachment)
	}
	return read
}

// settling says whether a read asked for at a time may still show what was
// before the write.
func (i *Inventory) settling(written, asked time.Time) bool {
	return !written.IsZero() && asked.Before(written.Add(i.options.VisibilityWindow))
}

// progress is the attachment after a read within the visibility window of a
// write: only the steps that the write leads to are believed.
func progress(written, read *ec2.Attachment) *ec2.Attachment {
	switch {
	case written == nil:
		return nil
	case written.Status == ec2.AttachmentDetaching && read == nil:
		return nil
	case read == nil || read.ID != written.ID || steps[read.Status] < steps[written.Status]:
		return written
	default:
		next := *written
		next.Status = read.Status
		return &next
	}
}

// steps are the statuses of an attachment in the order of its life.
var steps = map[string]int{ec2.AttachmentAttaching: 1, ec2.AttachmentAttached: 2, ec2.AttachmentDetaching: 3}

func same(a, b ec2.NetworkInterface) bool {
	return slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.Prefixes, b.Prefixes) &&
		slices.Equal(a.SecurityGroups, b.SecurityGroups) && maps.Equal(a.Tags, b.Tags) &&
		sameAttachment(a.Attachment, b.Attachment)
}

func sameAttachment(a, b *ec2.Attachment) bool {
	return a == b || (a != nil && b != nil && *a == *b)
}

func clone(eni ec2.NetworkInterface) ec2.NetworkInterface {
	eni.Addresses = slices.Clone(eni.Addresses)
	eni.Prefixes = slices.Clone(eni.Prefixes)
	eni.SecurityGroups = slices.Clone(eni.SecurityGroups)
	eni.Tags = maps.Clone(eni.Tags)
	if eni.Attachment != nil {
		attachment := *eni.Attachment
		eni.Attachment = &attachment
	}
	return eni
}
