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
)

// Stats are what an inventory knows, in numbers.
type Stats struct {
	ENIs, Instances, InstanceTypes int
	// Subnets are those that are known, by id.
	Subnets []SubnetRoom
	// SweptAt is when the last sweep that succeeded began; zero before the first.
	SweptAt time.Time
	// Sweeps and FailedSweeps count sweeps, and Differences what those after the first
	// found other than it was known.
	Sweeps, FailedSweeps, Differences uint64
}

// SubnetRoom is how many free addresses a subnet has, as last read and less what our
// own calls took since.
type SubnetRoom struct {
	ID, AvailabilityZone string
	Free                 int32
}

// sweeps count the sweeps; the inventory's lock holds for it.
type sweeps struct {
	at                             time.Time
	succeeded, failed, differences uint64
}

// Stats returns what is known now.
func (i *Inventory) Stats() Stats {
	i.mu.Lock()
	defer i.mu.Unlock()
	stats := Stats{
		ENIs: len(i.enis), Instances: len(i.instances), InstanceTypes: len(i.types),
		SweptAt: i.sweeps.at, Sweeps: i.sweeps.succeeded, FailedSweeps: i.sweeps.failed, Differences: i.sweeps.differences,
	}
	for _, id := range slices.Sorted(maps.Keys(i.subnets)) {
		known := i.subnets[id]
		stats.Subnets = append(stats.Subnets, SubnetRoom{
			ID: id, AvailabilityZone: known.AvailabilityZone, Free: max(known.FreeAddresses-known.reserved, 0),
		})
	}
	return stats
}

// countSweep notes how a sweep ended.
func (i *Inventory) countSweep(asked time.Time, differences int, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case err != nil:
		i.sweeps.failed++
		return
	case i.sweeps.succeeded > 0: // To the first one all is new.
		i.sweeps.differences += uint64(differences) //nolint:gosec // a length
	}
	i.sweeps.succeeded++
	i.sweeps.at = asked
}

// reads is how a batcher reads keys.
type reads[V any] func(context.Context, []string) (map[string]V, error)

// observed tells how many keys each call reads.
func observed[V any](options Options, action string, fetch reads[V]) reads[V] {
	return func(ctx context.Context, keys []string) (map[string]V, error) {
		options.Batched(action, len(keys))
		return fetch(ctx, keys)
	}
}
