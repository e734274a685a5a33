/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// Ref names an ENI, and the resource on whose behalf it is changed.
type Ref struct {
	// ID of the ENI in EC2.
	ID string
	// UID of the ElasticNetworkInterface. The ENI's tags must name the same one.
	UID string
}

// OfCluster reports whether an ENI's tags name this cluster.
func (i *Inventory) OfCluster(eni ec2.NetworkInterface) bool {
	return eni.Tags[ec2.TagClusterUID] == i.options.ClusterUID
}

// scope is what a call changes of an ENI.
type scope int

const (
	// wholeENI: anything but its addresses, or the ENI as a whole.
	wholeENI scope = iota
	// addressesOnly: its addresses and prefixes. No other change of a primary ENI is
	// permitted.
	addressesOnly
)

// refusedError is a write that this package did not send.
type refusedError struct {
	reason string
	text   string
}

func (e *refusedError) Error() string { return e.text }

// Reason is the reason of the condition that reports the refusal.
func (e *refusedError) Reason() string { return e.reason }

// Unsent reports that EC2 was not called; see ec2.Unclear.
func (*refusedError) Unsent() bool { return true }

// NotOwned reports whether a write was refused because the ENI's tags name another
// owner, or none.
func NotOwned(err error) bool { return refusedFor(err, v1alpha1.ReasonNotOwned) }

func refusedFor(err error, reasons ...string) bool {
	var refused *refusedError
	return errors.As(err, &refused) && slices.Contains(reasons, refused.reason)
}

// permit is the guard before each call that changes an ENI. Ownership is decided by
// the tags in EC2, never by a status that names an id.
func (i *Inventory) permit(ref Ref, change scope) error {
	return i.permitUnless(ref.ID, func(known *record) string {
		switch tag := i.foreignTag(known, ref.UID); {
		case known.primary && change == addressesOnly:
			return ""
		case known.primary:
			return "it is the primary ENI of an instance, which is changed in nothing but some addresses"
		case tag != "":
			return fmt.Sprintf("its tag %s is %q. Correct the tag if the ENI is this resource's, or else delete the resource",
				tag, known.eni.Tags[tag])
		default:
			return ""
		}
	})
}

// permitUnless permits a change of an ENI, unless EC2 is not trusted, has not shown the
// ENI, or what is known of it is a reason to refuse.
func (i *Inventory) permitUnless(id string, refusal func(known *record) string) error {
	i.mu.Lock()
	defer i.mu.Unlock()

	if err := i.refuseDistrusted(); err != nil {
		return err
	}
	known, ok := i.enis[id]
	if !ok {
		return notOwned(id, "EC2 has not shown its tags yet")
	}
	if why := refusal(known); why != "" {
		return notOwned(id, why)
	}
	return nil
}

// ownershipAge is how old the tags may be that permit taking something from an ENI.
const ownershipAge = 5 * time.Second

// permitTaking is the guard before each call that takes something from an ENI, which
// cannot be undone: its tags are read again, since others may have given it away.
func (i *Inventory) permitTaking(ctx context.Context, ref Ref, change scope) error {
	if err := i.permit(ref, change); err != nil {
		return err
	}
	if !i.tagsOlderThan(ref.ID, ownershipAge) {
		return nil
	}
	if _, _, err := i.eniReads.Get(ctx, ref.ID); err != nil {
		return fmt.Errorf("reading whose ENI %s is before something is taken from it: %w", ref.ID, err)
	}
	return i.permit(ref, change)
}

// tagsOlderThan reports whether the tags of an ENI, unless it is a primary one, were last
// read, or written by this process, longer ago than that.
func (i *Inventory) tagsOlderThan(id string, age time.Duration) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.enis[id]
	if !ok || known.primary {
		return false
	}
	at := later(known.readAt, later(known.bornAt, known.attributesAt))
	return i.clock.Now().Sub(at) > age
}

// permitCreation is the guard before an ENI is created.
func (i *Inventory) permitCreation() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.refuseDistrusted()
}

func notOwned(id, why string) error {
	return &refusedError{reason: v1alpha1.ReasonNotOwned, text: fmt.Sprintf(
		"ENI %s is left alone, since nothing proves that it is this resource's: %s.", id, why)}
}

// foreignTag returns the ownership tag of an ENI that does not name the owner, or "".
// A tag that somebody removed is no obstacle if the ENI was seen with it before.
// i.mu is held.
func (i *Inventory) foreignTag(known *record, uid string) string {
	for _, tag := range []struct{ key, want string }{{ec2.TagClusterUID, i.options.ClusterUID}, {ec2.TagUID, uid}} {
		value, tagged := known.eni.Tags[tag.key]
		if value == tag.want && tagged {
			continue
		}
		if tagged || known.owner == "" || known.owner != uid {
			return tag.key
		}
	}
	return ""
}

// own indexes an ENI by its owner's UID, if its tags name one in this cluster, and
// remembers that it was seen so; i.mu is held.
func (i *Inventory) own(known *record) {
	uid := known.eni.Tags[ec2.TagUID]
	if uid == "" || known.eni.Tags[ec2.TagClusterUID] != i.options.ClusterUID {
		return
	}
	known.owner = uid
	if i.owners[uid] == nil {
		i.owners[uid] = map[string]bool{}
	}
	i.owners[uid][known.eni.ID] = true
}

// disown drops an ENI from the index of owners; i.mu is held.
func (i *Inventory) disown(known *record) {
	delete(i.owners[known.owner], known.eni.ID)
	if len(i.owners[known.owner]) == 0 {
		delete(i.owners, known.owner)
	}
}

// OwnedBy returns the id of the known ENI that carries the UID of an
// ElasticNetworkInterface, or "". Of several it is the one that AdoptFirst puts first.
func (i *Inventory) OwnedBy(uid string) string {
	i.mu.Lock()
	defer i.mu.Unlock()

	var first ec2.NetworkInterface
	for _, id := range slices.Sorted(maps.Keys(i.owners[uid])) {
		known, ok := i.enis[id]
		if !ok || !known.deletedAt.IsZero() || i.foreignTag(known, uid) != "" {
			continue
		}
		if first.ID == "" || AdoptFirst(known.eni, first) < 0 {
			first = known.eni
		}
	}
	return first.ID
}

// AdoptFirst orders ENIs that carry the same UID: an attached one may be in use
// already. The others are left to the collector.
func AdoptFirst(a, b ec2.NetworkInterface) int {
	attached := func(eni ec2.NetworkInterface) int {
		if eni.Attachment != nil {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(attached(a), attached(b)), strings.Compare(a.ID, b.ID))
}
