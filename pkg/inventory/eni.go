/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// record is one ENI and when we last wrote what.
type record struct {
	eni ec2.NetworkInterface
	// seen: a read has shown it, so that its absence means that it is gone.
	seen bool
	// addressesAt, attachmentAt and attributesAt are when a call of ours last
	// changed them with a known outcome.
	addressesAt  time.Time
	attachmentAt time.Time
	attributesAt time.Time
	// unclear: a call's outcome is unknown; nothing is trusted before a look.
	unclear bool
}

// Presence is what is known of an ENI's existence.
type Presence int

const (
	// Unknown: not seen, but it may be not visible yet.
	Unknown Presence = iota
	// Present: it exists.
	Present
	// Gone: EC2 says NotFound for an ENI that was seen before, or said so twice,
	// a visibility window apart.
	Gone
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

// OwnedBy returns the id of a known ENI that carries the UID of an
// ElasticNetworkInterface, or "".
func (i *Inventory) OwnedBy(uid string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.owners[uid]
}

// Look reads an ENI from EC2, together with all others asked for at the moment.
func (i *Inventory) Look(ctx context.Context, id string) (ec2.NetworkInterface, Presence, error) {
	_, found, err := i.eniReads.Get(ctx, id)
	if err != nil {
		return ec2.NetworkInterface{}, Unknown, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if known, ok := i.enis[id]; found && ok {
		delete(i.missing, id)
		return clone(known.eni), Present, nil
	}
	return i.notFound(id)
}

// own notes whose an ENI is; i.mu is held. Foreign ENIs have no owner.
func (i *Inventory) own(eni ec2.NetworkInterface) {
	if uid := eni.Tags[ec2.TagUID]; uid != "" && eni.Tags[ec2.TagClusterUID] == i.options.ClusterUID {
		i.owners[uid] = eni.ID
	}
}

// notFound decides what an answer without the ENI means; i.mu is held.
func (i *Inventory) notFound(id string) (ec2.NetworkInterface, Presence, error) {
	now := i.clock.Now()
	known, ok := i.enis[id]
	if ok && !known.seen && now.Sub(known.addressesAt) < i.options.VisibilityWindow {
		return clone(known.eni), Present, nil
	}
	first, missed := i.missing[id]
	if !missed {
		first = now
		i.missing[id] = first
	}
	if (ok && known.seen) || (missed && now.Sub(first) >= i.options.VisibilityWindow) {
		i.forget(id)
		return ec2.NetworkInterface{}, Gone, nil
	}
	return ec2.NetworkInterface{}, Unknown, nil
}

// forget drops an ENI; i.mu is held. The missing mark stays: asked again, the
// answer is the same.
func (i *Inventory) forget(id string) {
	if known, ok := i.enis[id]; ok && known.eni.Attachment != nil {
		i.removeInterface(known.eni.Attachment.InstanceID, id)
	}
	if known, ok := i.enis[id]; ok && i.owners[known.eni.Tags[ec2.TagUID]] == id {
		delete(i.owners, known.eni.Tags[ec2.TagUID])
	}
	delete(i.enis, id)
	i.missing[id] = i.clock.Now().Add(-i.options.VisibilityWindow)
}

// LookByOwner reads the ENIs that carry the UID of an ElasticNetworkInterface.
// There is more than one only if a creation was repeated in vain.
func (i *Inventory) LookByOwner(ctx context.Context, uid string) ([]ec2.NetworkInterface, error) {
	enis, _, err := i.ownerReads.Get(ctx, uid)
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
		uid := eni.Tags[ec2.TagUID]
		found[uid] = append(found[uid], eni)
	}
	return found, nil
}

// merge takes a read that was asked for at a time, and says whether it showed
// anything new.
func (i *Inventory) merge(read ec2.NetworkInterface, asked time.Time) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.enis[read.ID]
	if !ok {
		i.enis[read.ID] = &record{eni: clone(read), seen: true}
		i.own(read)
		return true
	}
	before := known.eni
	after := clone(read)
	if i.settling(known.addressesAt, asked) {
		after.Addresses, after.Prefixes = before.Addresses, before.Prefixes
	}
	if i.settling(known.attributesAt, asked) {
		after.SecurityGroups, after.Tags = before.SecurityGroups, before.Tags
	}
	if i.settling(known.attachmentAt, asked) {
		after.Attachment = progress(before.Attachment, after.Attachment)
	}
	known.eni, known.seen, known.unclear = after, true, false
	i.moveInterface(read.ID, before.Attachment, after.Attachment)
	return !same(before, after)
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
	case written.Status == ec2.AttachmentDetaching:
		if read != nil && read.Status != ec2.AttachmentDetaching {
			return written
		}
		return read
	case read == nil || read.ID != written.ID:
		return written
	default:
		return read
	}
}

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
