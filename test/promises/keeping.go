/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"fmt"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// lookSlack is how much longer than it should a pool may keep something: it learns of what
// it gave up, and looks again, a while later.
const lookSlack = 5 * time.Minute

// judgeKeeping looks for what pools keep from use for longer than they should, while nothing
// disturbs the operator: stored times may lie ahead, after a clock was wrong.
func (r *Referee) judgeKeeping(calm bool) {
	keeping := map[string]time.Duration{}
	for _, node := range r.world.Nodes {
		pool := r.poolOf(node.Name)
		if !calm || pool == nil || !r.steady(node) || pool.Spec.InstanceID != InstanceOf(node) || pool.Annotations[v1alpha1.PausedAnnotation] != "" {
			continue
		}
		for what, most := range r.kept(pool) {
			key := fmt.Sprintf("%s %d %s", pool.UID, pool.Generation, what) // Another spec may keep it for its own reasons.
			keeping[key] = r.keeping[key] + time.Minute
			if keeping[key] > most+lookSlack {
				r.foul(ServedInTime, key, "pool %s keeps %s for %s, while nothing happened", pool.Name, what, keeping[key])
			}
		}
	}
	r.keeping = keeping
}

// ClockStepped notes that the clock of a replica shows another time: what is counted from a
// stored time may begin again.
func (r *Referee) ClockStepped() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.keeping)
}

// kept is what a pool says that it keeps from use, and for how long it may: what cools
// down, and what it has beyond what it wants while nothing of that changes.
func (r *Referee) kept(pool *v1alpha1.ENIPool) map[string]time.Duration {
	kept := map[string]time.Duration{}
	for i := range pool.Status.Addresses {
		switch entry := &pool.Status.Addresses[i]; entry.State {
		case v1alpha1.HolderCooling:
			kept[string(entry.Address)+" of "+entry.ENIName+" cool"] = r.settings.Cooldown
		case v1alpha1.HolderReserved:
			kept[string(entry.Address)+" of "+entry.ENIName+" reserved"] = 2*reserveTime(pool) + time.Minute // As of surplusTime. The record is tidied once a minute.
		case v1alpha1.HolderAllocated, v1alpha1.HolderReleasing, v1alpha1.HolderQuarantined:
		}
	}
	for i := range pool.Status.ENIs {
		if entry := &pool.Status.ENIs[i]; entry.CoolingSince != nil {
			kept[entry.Name+" cool"] = r.settings.Cooldown
		}
	}
	// Prefixes go as a whole. ENIs may have some from an earlier policy.
	inPrefixes := pool.Spec.Shared != nil && pool.Spec.Shared.AddressType == v1alpha1.AddressTypeIPv4Prefix ||
		slices.ContainsFunc(pool.Status.ENIs, func(entry v1alpha1.PoolENI) bool { return len(entry.Prefixes) > 0 })
	if counts := pool.Status.Shared; counts != nil && !inPrefixes && counts.Capacity > counts.Desired && counts.Free > 0 {
		kept[fmt.Sprintf("%d addresses, %d of them held, where it wants %d,", counts.Capacity, counts.Allocated, counts.Desired)] = r.surplusTime(pool)
	}
	if counts := pool.Status.Exclusive; counts != nil && counts.Capacity > counts.Desired && counts.Free > 0 {
		kept[fmt.Sprintf("%d exclusive ENIs, %d of them held, where it wants %d,", counts.Capacity, counts.Allocated, counts.Desired)] = r.surplusTime(pool)
	}
	return kept
}

// reserveTime is how long a pool reserves what has rested for who released it.
func reserveTime(pool *v1alpha1.ENIPool) time.Duration {
	if shared := pool.Spec.Shared; shared != nil && shared.ReserveAfterRelease != nil {
		return shared.ReserveAfterRelease.Duration
	}
	return 0
}

// surplusTime is how long a pool may keep what it does not want: the idle time begins again
// where the clock of its stored beginning was ahead and is put right.
func (r *Referee) surplusTime(pool *v1alpha1.ENIPool) time.Duration { return 2 * r.idleTime(pool) }

// idleTime is how long a pool keeps what it does not want.
func (r *Referee) idleTime(pool *v1alpha1.ENIPool) time.Duration {
	if shared := pool.Spec.Shared; shared != nil && shared.IdleReleaseAfter != nil {
		return shared.IdleReleaseAfter.Duration
	}
	return r.settings.IdleReleaseAfter
}
