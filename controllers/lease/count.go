/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package lease

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// sight is what was seen of a claim. A change of any part begins a new count: a renewal,
// whatever time it names, but also another duration, and the claim being bound.
type sight struct {
	claim    types.UID
	renewed  string
	duration time.Duration
	phase    v1alpha1.ClaimPhase
}

func sightOf(claim *v1alpha1.ENIClaim) sight {
	s := sight{claim: claim.UID, phase: claim.Status.Phase}
	if lease := claim.Spec.Lease; lease != nil {
		s.duration = lease.Duration.Duration
		if lease.RenewTime != nil {
			s.renewed = lease.RenewTime.UTC().String() // Compared with itself only, never with a clock.
		}
	}
	return s
}

// counts remember since when this process has seen no renewal, by claim. They die
// with the process, so that the next leader counts from the start (docs/protocols.md#leases).
type counts struct {
	mu      sync.Mutex
	byClaim map[types.NamespacedName]count
}

type count struct {
	sight sight
	since time.Time
}

func newCounts() *counts { return &counts{byClaim: map[types.NamespacedName]count{}} }

// see notes what was seen, and returns since when it has been so.
func (c *counts) see(claim types.NamespacedName, s sight, now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, known := c.byClaim[claim]
	if !known || last.sight != s {
		last = count{sight: s, since: now}
		c.byClaim[claim] = last
	}
	return last.since
}

// take returns what was seen, and drops the count.
func (c *counts) take(claim types.NamespacedName) sight {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.byClaim[claim]
	delete(c.byClaim, claim)
	return last.sight
}

// forget drops a count: the next sight begins another.
func (c *counts) forget(claim types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byClaim, claim)
}
