/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"fmt"
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// Names of resources are unique in a cluster, and an ENI's tags name its resource by name
// and UID. While a resource of the name exists with another UID, the one that the ENI was
// made for is gone: it was deleted without its finalizer, as restores from a backup do.

// Predecessor returns the id of the ENI on an instance that was made for an earlier
// resource of a name, or "". An ENI that is retained is nobody's. It may be one
// that ENI does not return, since its state is unclear: then Look.
func (i *Inventory) Predecessor(instanceID, name, uid string) string {
	i.mu.Lock()
	defer i.mu.Unlock()

	for _, id := range sortedKeys(i.enis) {
		known := i.enis[id]
		at := known.eni.Attachment
		if at == nil || at.InstanceID != instanceID || ec2.Retained(known.eni.Tags) {
			continue
		}
		if i.succeeds(known, name, uid) == "" {
			return id
		}
	}
	return ""
}

// Orphaned reports whether an ENI was made for a resource of a name in this cluster, and is
// not retained: with no resource of the name, it lacks one.
func (i *Inventory) Orphaned(eni ec2.NetworkInterface, name string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.enis[eni.ID]
	return ok && !ec2.Retained(eni.Tags) && i.succeeds(known, name, "") == ""
}

// succeeds returns why a resource may not take an ENI over from an earlier resource of its
// name, or "" if it may; i.mu is held.
func (i *Inventory) succeeds(known *record, name, uid string) string {
	tags := known.eni.Tags
	switch {
	case known.primary || !known.deletedAt.IsZero():
		return "it is the primary ENI of an instance, or being deleted"
	case tags[ec2.TagClusterUID] != i.options.ClusterUID:
		return fmt.Sprintf("its tag %s is %q", ec2.TagClusterUID, tags[ec2.TagClusterUID])
	case tags[ec2.TagName] != name:
		return fmt.Sprintf("its tag %s is %q", ec2.TagName, tags[ec2.TagName])
	case tags[ec2.TagUID] == "" || tags[ec2.TagUID] == uid:
		return fmt.Sprintf("its tag %s is %q", ec2.TagUID, tags[ec2.TagUID])
	default:
		return ""
	}
}

// TakeOver makes an ENI that was made for an earlier resource of a name the ENI of the
// resource that has the name now. Its tags are read again before they change.
func (i *Inventory) TakeOver(ctx context.Context, ref Ref, name string) error {
	if _, _, err := i.eniReads.Get(ctx, ref.ID); err != nil {
		return fmt.Errorf("reading whose ENI %s is before it is taken over: %w", ref.ID, err)
	}
	if i.OwnedBy(ref.UID) == ref.ID {
		return nil // An earlier attempt succeeded, and its answer was lost.
	}
	err := i.permitUnless(ref.ID, func(known *record) string { return i.succeeds(known, name, ref.UID) })
	if err != nil {
		return err
	}
	owner := map[string]string{ec2.TagUID: ref.UID}
	err = i.client.CreateTags(ctx, ref.ID, owner)
	return i.wrote(ref.ID, err, (*record).doubtAttributes, func(known *record, now time.Time) {
		i.disown(known)
		known.setTags(owner)
		known.attributesAt = now
		i.own(known)
	})
}
