/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"maps"
	"slices"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// Sweep reads all our ENIs and the known instances, page by page, and tells the
// subscribers what differs from what we knew. An error changes nothing: what an
// incomplete answer does not show is not gone.
func (i *Inventory) Sweep(ctx context.Context) error {
	asked := i.clock.Now()
	enis, err := i.client.DescribeNetworkInterfaces(ctx, ec2.OwnedFilter(i.options.ClusterUID))
	if err != nil {
		return err
	}
	if err := i.sweepInstances(ctx); err != nil {
		return err
	}
	var changes []Change
	shown := make(map[string]bool, len(enis))
	for _, eni := range enis {
		shown[eni.ID] = true
		if i.merge(eni, asked) {
			changes = append(changes, Change{ENIID: eni.ID, OwnerName: eni.Tags[ec2.TagName]})
		}
	}
	changes = append(changes, i.distrustMissing(shown)...)
	if i.swept.CompareAndSwap(false, true) {
		close(i.sweptOnce)
	}
	i.notify(changes)
	i.tell(asked, shown)
	return nil
}

// distrustMissing marks the ENIs that a sweep did not show, so that whoever needs
// one looks at it by its id.
func (i *Inventory) distrustMissing(shown map[string]bool) []Change {
	i.mu.Lock()
	defer i.mu.Unlock()
	var changes []Change
	for id, known := range i.enis {
		if shown[id] || !known.seen {
			continue
		}
		known.unclear = true
		changes = append(changes, Change{ENIID: id, OwnerName: known.eni.Tags[ec2.TagName]})
	}
	return changes
}

func (i *Inventory) sweepInstances(ctx context.Context) error {
	i.mu.Lock()
	ids := slices.Sorted(maps.Keys(i.instances))
	i.mu.Unlock()
	for chunk := range slices.Chunk(ids, ec2.MaxBatch) {
		if _, err := i.fetchInstances(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// ForgetInstance drops an instance that no pool stands for any more, so that
// sweeps stop asking for it.
func (i *Inventory) ForgetInstance(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.instances, id)
	delete(i.missingInstances, id)
	delete(i.reservations, id)
}
