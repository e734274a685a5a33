/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"hash/fnv"
	"slices"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// A namespace can ask for far more than a node has. What it asks for in vain must cost the
// claims of others nothing: a reconcile considers the claims that hold something, and of those
// that wait as many as the namespace could have at all, the oldest first. The others stand in a
// queue. They get no finalizer, since nothing is given to them, and a status once; they are
// checked again a few at a time.

const (
	// queuePerRound is how many claims of the queue a round looks at that were told before, and
	// how many it tells for the first time.
	queuePerRound = 20
	// queueRate is how many queued claims get their first status per second, on all nodes
	// together.
	queueRate = 20
	// queueRecheck is how long after a round the next one looks at a queue of claims that are
	// all told.
	queueRecheck = 5 * time.Second
)

// newQueueLimit bounds what queues cost the API server.
func newQueueLimit() *rate.Limiter { return rate.NewLimiter(queueRate, 10*queueRate) }

// queues are the claims of a node as a round takes them.
type queues struct {
	// taken are those that the round decides on.
	taken []*v1alpha1.ENIClaim
	// told wait in the queue and have a status, untold have none yet: the oldest of those.
	untold, told []*v1alpha1.ENIClaim
}

// lineUp says which claims of a node a round decides on.
func lineUp(pool *v1alpha1.ENIPool, claims []v1alpha1.ENIClaim) queues {
	var q queues
	beyond := map[types.UID]bool{}
	for of, waiting := range waitingIn(pool, claims) {
		most := mostInLine(pool, of.mode)
		if len(waiting) <= most {
			continue
		}
		slices.SortFunc(waiting, oldestFirst)
		untold := 0
		for _, claim := range waiting[most:] {
			beyond[claim.UID] = true
			switch {
			case len(claim.Status.Conditions) > 0:
				q.told = append(q.told, claim)
			case untold < queuePerRound:
				q.untold = append(q.untold, claim)
				untold++
			}
		}
	}
	for i := range claims {
		if claim := &claims[i]; !beyond[claim.UID] {
			q.taken = append(q.taken, claim)
		}
	}
	return q
}

// waitingIn are the claims that wait, by their lines.
func waitingIn(pool *v1alpha1.ENIPool, claims []v1alpha1.ENIClaim) map[line][]*v1alpha1.ENIClaim {
	named := namedClaims(&pool.Status)
	lines := map[line][]*v1alpha1.ENIClaim{}
	for i := range claims {
		claim := &claims[i]
		_, recorded := named[claim.UID]
		if waits := undecided(claim) && claim.Status.Address == "" && claim.DeletionTimestamp.IsZero(); waits && !recorded {
			of := line{shareOf(claim), claim.Spec.Address != nil}
			lines[of] = append(lines[of], claim)
		}
	}
	return lines
}

// line is where a claim waits: with those of its share that ask for an address by name, which
// may never be had, or with those that take any.
type line struct {
	share
	byName bool
}

// mostInLine is how many waiting claims of one line a pool could serve at all.
func mostInLine(pool *v1alpha1.ENIPool, mode v1alpha1.Mode) int {
	o := observation{pool: pool}
	most := o.highest()
	if mode == v1alpha1.ModeExclusive {
		most = 0
		if pool.Spec.Exclusive != nil {
			most = pool.Spec.Exclusive.Maximum
		}
	}
	return int(min(most, o.mostOf(mode)))
}

// look returns the claims of the queue that this round looks at: as many that were never told
// as the limit allows, those of all namespaces in turns, and of the others a part, each round
// another.
func (q queues) look(limit *rate.Limiter, round uint32, now time.Time) []*v1alpha1.ENIClaim {
	var seen []*v1alpha1.ENIClaim
	for _, claim := range oneOfEach(q.untold) {
		if len(seen) == queuePerRound || !limit.AllowN(now, 1) {
			break
		}
		seen = append(seen, claim)
	}
	parts := uint32(len(q.told)/queuePerRound + 1) //nolint:gosec // what a cluster holds
	for _, claim := range q.told {
		if partOf(claim.UID)%parts == round%parts {
			seen = append(seen, claim)
		}
	}
	return seen
}

// recheck is when the next round looks at the queue; zero: there is none.
func (q queues) recheck() time.Duration {
	switch {
	case len(q.untold) > 0:
		return time.Second
	case len(q.told) > 0:
		return queueRecheck
	default:
		return 0
	}
}

// partOf spreads claims evenly.
func partOf(uid types.UID) uint32 {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(uid)) // It never fails.
	return hash.Sum32()
}
