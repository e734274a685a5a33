/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// A node's addresses and ENIs are shared among the namespaces whose claims name the node.
// None can take them all while others wait: the next to be served is the namespace that has
// the least, and the policy may say how much one namespace can have.

// share is what one namespace has of a node in one mode.
type share struct {
	namespace string
	mode      v1alpha1.Mode
}

func shareOf(claim *v1alpha1.ENIClaim) share {
	if claim.Spec.Mode == v1alpha1.ModeExclusive {
		return share{claim.Namespace, v1alpha1.ModeExclusive}
	}
	return share{claim.Namespace, v1alpha1.ModeShared}
}

// countsFor returns whose share an entry of the record counts for: that of the claim which
// holds the address, or after which it rests, so that claims that come and go in a loop
// count as well. Entries that concern nobody count for the empty share.
func countsFor(entry *v1alpha1.PoolAddress) share {
	inUse := entry.State == v1alpha1.HolderAllocated || entry.State == v1alpha1.HolderCooling
	if !inUse || entry.Claim == nil {
		return share{}
	}
	return share{entry.Claim.Namespace, v1alpha1.ModeShared}
}

// wholeFor is countsFor of an ENI that is handed out whole.
func wholeFor(entry *v1alpha1.PoolENI) share {
	if entry.Claim == nil {
		return share{}
	}
	return share{entry.Claim.Namespace, v1alpha1.ModeExclusive}
}

// shares counts what each namespace has.
func (h *holders) shares() map[share]int32 {
	taken := map[share]int32{}
	for _, entry := range h.addresses {
		taken[countsFor(entry)]++
	}
	for _, entry := range h.enis {
		taken[wholeFor(entry)]++
	}
	return taken
}

// hasMost reports whether a claim's namespace has all that the policy allows it.
func hasMost(o observation, stored *v1alpha1.ENIPoolStatus, claim *v1alpha1.ENIClaim) bool {
	of, taken := shareOf(claim), int32(0)
	for i := range stored.Addresses {
		if countsFor(&stored.Addresses[i]) == of {
			taken++
		}
	}
	for i := range stored.ENIs {
		if wholeFor(&stored.ENIs[i]) == of {
			taken++
		}
	}
	return taken >= o.mostOf(of.mode)
}

// mostOf returns how much one namespace may have of the node in a mode.
func (o observation) mostOf(mode v1alpha1.Mode) int32 {
	var most *int32
	switch shared, exclusive := o.pool.Spec.Shared, o.pool.Spec.Exclusive; {
	case mode == v1alpha1.ModeExclusive && exclusive != nil:
		most = exclusive.MaximumPerNamespace
	case mode == v1alpha1.ModeShared && shared != nil:
		most = shared.MaximumPerNamespace
	}
	if most == nil {
		return math.MaxInt32
	}
	return *most
}

// inTurns orders claims that wait: first that of the namespace which has the least by then,
// and within a namespace the oldest. A claim that chose its address takes no turn, since it
// may never be served.
func inTurns(claims []*v1alpha1.ENIClaim, taken map[share]int32) []*v1alpha1.ENIClaim {
	return ordered(claims, taken, func(claim *v1alpha1.ENIClaim) bool { return claim.Spec.Address == nil })
}

// oneOfEach orders claims so that one of each namespace comes first, the oldest, then a
// second one of each, and so on.
func oneOfEach(claims []*v1alpha1.ENIClaim) []*v1alpha1.ENIClaim {
	return ordered(claims, nil, func(*v1alpha1.ENIClaim) bool { return true })
}

// ordered orders claims by how much their namespace has by their turn, and then by age.
func ordered(claims []*v1alpha1.ENIClaim, taken map[share]int32, takesTurn func(*v1alpha1.ENIClaim) bool) []*v1alpha1.ENIClaim {
	sorted := slices.SortedFunc(slices.Values(claims), oldestFirst)
	next := map[share]int32{}
	maps.Copy(next, taken)
	turns := make(map[types.UID]int32, len(sorted))
	for _, claim := range sorted {
		turns[claim.UID] = next[shareOf(claim)]
		if takesTurn(claim) {
			next[shareOf(claim)]++
		}
	}
	slices.SortStableFunc(sorted, func(a, b *v1alpha1.ENIClaim) int { return cmp.Compare(turns[a.UID], turns[b.UID]) })
	return sorted
}

// newsPerRound and newsTime bound what one round writes for claims that get nothing in it: how
// many new ones get the finalizer and how many that wait are told why, and how long each of the
// two takes, since a busy API server takes its time. The next round, which follows at once, goes
// on. So what some claims wait for costs those of other namespaces a short round at most.
const (
	newsPerRound = 50
	newsTime     = 100 * time.Millisecond
)

// newsBudget is what a round may still write for claims that get nothing.
type newsBudget struct {
	clock clock.PassiveClock
	count int
	began time.Time
}

func (r *Reconciler) newsBudget() *newsBudget {
	return &newsBudget{clock: r.clock, count: newsPerRound}
}

// spent reports whether nothing of it is left. Its time begins with the first question.
func (b *newsBudget) spent() bool {
	if b.began.IsZero() {
		b.began = b.clock.Now()
	}
	return b.count <= 0 || b.clock.Since(b.began) > newsTime
}

// nextRound is how soon the next round follows where this one did not come to all claims.
const nextRound = time.Millisecond

// newcomers are the new claims that are to get the finalizer, those of all namespaces in turns.
func (o observation) newcomers() []*v1alpha1.ENIClaim {
	var newcomers []*v1alpha1.ENIClaim
	for i := range o.claims {
		claim := &o.claims[i]
		if isNew(claim) && !o.queued[claim.UID] {
			newcomers = append(newcomers, claim)
		}
	}
	return oneOfEach(newcomers)
}

// isNew reports whether a claim has not got the finalizer yet.
func isNew(claim *v1alpha1.ENIClaim) bool {
	return claim.DeletionTimestamp.IsZero() && !slices.Contains(claim.Finalizers, v1alpha1.Finalizer)
}

// withinMaximum returns the claims, of those that wait, that would be served if the pool had
// enough: the pool does not grow for the others.
func withinMaximum(o observation, waiting []*v1alpha1.ENIClaim, taken map[share]int32) []*v1alpha1.ENIClaim {
	return slices.DeleteFunc(waiting, func(claim *v1alpha1.ENIClaim) bool {
		of := shareOf(claim)
		if taken[of] >= o.mostOf(of.mode) {
			return true
		}
		if claim.Spec.Address == nil {
			taken[of]++
		}
		return false
	})
}
