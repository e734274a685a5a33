/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// Sweep reads all our ENIs and the known instances, page by page, and tells the
// subscribers what differs from what we knew. An error changes nothing: what an
// incomplete answer does not show is not gone.
func (i *Inventory) Sweep(ctx context.Context) error {
	asked := i.clock.Now()
	changes, err := i.sweep(ctx, asked)
	i.countSweep(asked, changes, err)
	return err
}

// sweep returns how many ENIs differ from what was known.
func (i *Inventory) sweep(ctx context.Context, asked time.Time) (differences int, err error) {
	leads := i.leads()
	i.lead(asked, leads)
	expected, err := i.expect(ctx)
	if err != nil {
		return 0, err
	}
	i.reviewRegion(expected, asked)
	differences, err = i.compareWithEC2(ctx, expected, asked, leads)
	if err != nil && ctx.Err() == nil && !i.readFor(leads) {
		i.notReached(err, asked)
	}
	return differences, err
}

// readFor reports whether a sweep has succeeded that counts: for a leader, one since it
// was elected.
func (i *Inventory) readFor(leader bool) bool {
	if leader {
		return i.Current()
	}
	return i.Synced()
}

// compareWithEC2 reads what a sweep reads, takes it over, and returns how many ENIs differ
// from what was known.
func (i *Inventory) compareWithEC2(ctx context.Context, expected Expected, asked time.Time, leads bool) (differences int, err error) {
	enis, err := i.client.DescribeNetworkInterfaces(ctx, ec2.OwnedFilter(i.options.ClusterUID))
	if err != nil {
		return 0, err
	}
	if err := i.sweepInstances(ctx, expected.Instances); err != nil {
		return 0, err
	}
	var changes []Change
	shown := make(map[string]bool, len(enis))
	for _, eni := range enis {
		shown[eni.ID] = true
		if before, differs := i.merge(eni, asked); differs {
			// What was taken away may be the name itself.
			name := cmp.Or(before.Tags[ec2.TagName], eni.Tags[ec2.TagName])
			changes = append(changes, Change{ENIID: eni.ID, OwnerName: name})
		}
	}
	if err := i.review(ctx, expected, shown, asked); err != nil {
		return 0, err
	}
	changes = append(changes, i.distrustMissing(shown, asked)...)
	i.swept.Store(true)
	if leads {
		i.currentOnce.Do(func() { close(i.current) })
	}
	i.auditNetworks(ctx)
	i.notify(changes)
	i.tell(asked, shown)
	return len(changes), nil
}

// lead notes when this process began to act as the leader.
func (i *Inventory) lead(now time.Time, leads bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if leads && i.leadingSince.IsZero() {
		i.leadingSince = now
	}
}

// distrustMissing marks the ENIs that a sweep did not show, so that whoever needs
// one looks at it by its id. What nobody has looked at until the next sweep,
// nobody needs: it is dropped, and its instance is read again. The ENI may be gone, so
// that its slot is free, or be attached there with the tags of another owner.
func (i *Inventory) distrustMissing(shown map[string]bool, asked time.Time) []Change {
	i.mu.Lock()
	defer i.mu.Unlock()
	var changes []Change
	for id, known := range i.enis {
		switch {
		case shown[id], i.young(known, asked):
		case known.primary: // It comes with its instance, and goes with it.
			if i.forgotten(known) && i.settled(known, asked) {
				i.drop(id)
			}
		case known.unshown:
			i.drop(id)
			if at := known.eni.Attachment; at != nil {
				i.readAgain(at.InstanceID)
				changes = append(changes, Change{InstanceID: at.InstanceID})
			}
		default:
			known.distrust(i.clock.Now())
			known.unshown = true
			changes = append(changes, Change{ENIID: id, OwnerName: known.eni.Tags[ec2.TagName]})
		}
	}
	return changes
}

// readAgain has an instance read before what is known of it is used again; i.mu is held.
func (i *Inventory) readAgain(instanceID string) {
	if _, known := i.instances[instanceID]; known {
		i.outdated[instanceID] = true
	}
}

// settled says whether a read asked for at a time shows all that calls of ours did;
// i.mu is held.
func (i *Inventory) settled(known *record, asked time.Time) bool {
	for _, change := range known.names {
		if i.settling(change.at, asked) {
			return false
		}
	}
	return !i.settling(known.readAt, asked) && !i.settling(known.assignUnclearAt, asked)
}

// forgotten says whether nobody asks for the instance of a primary ENI any more;
// i.mu is held.
func (i *Inventory) forgotten(primary *record) bool {
	at := primary.eni.Attachment
	if at == nil {
		return true
	}
	_, known := i.instances[at.InstanceID]
	return !known
}

// instancesPerSweep is how many instances a sweep reads, so that at rest a fleet of
// thousands costs no more than two calls a minute. What becomes of our ENIs shows at
// once, whatever instance they are on; an instance by itself is asked for by whoever
// works on its node.
const instancesPerSweep = 1000

// sweepInstances reads the instances that are next, of those that are known and those
// that the cluster has. A process that has just begun to act reads them all: what it
// knows may be old.
func (i *Inventory) sweepInstances(ctx context.Context, expected []string) error {
	i.mu.Lock()
	ids := slices.Concat(sortedKeys(i.instances), expected)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if i.Current() {
		ids = next(ids, i.lastSwept, i.perSweep)
	}
	i.mu.Unlock()
	for chunk := range slices.Chunk(ids, ec2.MaxBatch) {
		if _, err := i.fetchInstances(ctx, chunk); err != nil {
			return err
		}
	}
	if len(ids) > 0 {
		i.mu.Lock()
		i.lastSwept = ids[len(ids)-1]
		i.mu.Unlock()
	}
	i.dropNeedless(expected)
	return nil
}

// next are the ids, of a sorted list, that follow one of which it may hold none any
// more; after the last comes the first.
func next(ids []string, after string, most int) []string {
	at, found := slices.BinarySearch(ids, after)
	if found {
		at++
	}
	turned := slices.Concat(ids[at:], ids[:at])
	return turned[:min(most, len(turned))]
}

// needlessAfter is how long nobody asks for a gone instance until it is forgotten: far
// longer than whoever needs it waits between two tries.
const needlessAfter = 10 * time.Minute

// dropNeedless forgets the instances that are gone and that nobody needs. Those that the
// cluster has are needed: without them nothing would show that EC2 is not to be trusted.
func (i *Inventory) dropNeedless(expected []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	gone := map[string]bool{}
	for id, known := range i.instances {
		gone[id] = known.Gone()
	}
	for id := range i.missingInstances {
		gone[id] = true
	}
	for _, id := range expected {
		gone[id] = false
	}
	now := i.clock.Now()
	for id, isGone := range gone {
		since, needless := i.needlessInstances[id]
		switch {
		case !isGone:
			delete(i.needlessInstances, id)
		case !needless:
			i.needlessInstances[id] = now
		case now.Sub(since) >= needlessAfter:
			i.forgetInstance(id)
		}
	}
}

// ForgetInstance drops what was read of an instance: it is read again when it is
// needed, and sweeps stop asking for it. Our own ENIs on it stay known, and calls
// that are on their way keep their slots.
func (i *Inventory) ForgetInstance(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.forgetInstance(id)
}

// forgetInstance is ForgetInstance; i.mu is held.
func (i *Inventory) forgetInstance(id string) {
	delete(i.instances, id)
	delete(i.missingInstances, id)
	delete(i.needlessInstances, id)
	delete(i.outdated, id)
}
