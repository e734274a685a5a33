/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// copyInterval is the shortest time between two copies of a Region: stale reads
// are that much less exact, and the copies that much cheaper.
const copyInterval = 100 * time.Millisecond

// keptPast is how much of the past stale reads may ask for whatever faults there are.
type keptPast struct {
	mu   sync.Mutex
	span time.Duration
}

func (k *keptPast) get() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.span
}

// SetKeepPast has the past be kept from now on, for reads of faults with Stale that
// are added later. Zero keeps it only as long as there is such a fault.
func (s *Server) SetKeepPast(span time.Duration) {
	s.past.mu.Lock()
	s.past.span = span
	s.past.mu.Unlock()
	for _, r := range s.allRegions() {
		r.mu.Lock()
		r.advance(s.clock.Now(), span)
		r.mu.Unlock()
	}
}

// advance brings the Region to the present, and keeps copies of it on the way if
// stale reads may ask for what was a lag before.
func (r *region) advance(now time.Time, lag time.Duration) {
	if lag == 0 {
		r.past = nil
		r.settle(now)
		return
	}
	r.keep() // as the last request left it
	if then := now.Add(-lag); then.After(r.now) {
		// Nobody has asked for a while, and what was then is still to be found out.
		r.settle(then)
		r.keep()
	}
	r.settle(now)
	// All but the youngest that is old enough are not needed any more.
	if i := r.lastCopy(now.Add(-lag)); i > 0 {
		r.past = slices.Delete(r.past, 0, i)
	}
}

// keep copies the Region, unless that was done just before.
func (r *region) keep() {
	if len(r.past) == 0 || r.now.Sub(r.past[len(r.past)-1].now) >= copyInterval {
		r.past = append(r.past, r.copy())
	}
}

// before returns the Region as it was: the youngest copy that is old enough, or
// else the oldest of all. It is for reading only.
func (r *region) before(ago time.Duration) *region {
	if len(r.past) == 0 {
		return r
	}
	return r.past[max(0, r.lastCopy(r.now.Add(-ago)))]
}

// lastCopy is the index of the last copy made no later than a moment, or -1.
func (r *region) lastCopy(moment time.Time) int {
	after := slices.IndexFunc(r.past, func(p *region) bool { return p.now.After(moment) })
	if after < 0 {
		after = len(r.past)
	}
	return after - 1
}

// copy returns the Region with its ENIs and instances as they are now. Everything
// else is shared.
func (r *region) copy() *region {
	past := &region{
		name: r.name, account: r.account, orderDice: r.orderDice, sorted: r.sorted, fullPages: r.fullPages,
		zones: r.zones, limits: r.limits, types: r.types, timings: r.timings, ids: r.ids, dice: r.dice, now: r.now, stale: r.stale,
		vpcs: r.vpcs, subnets: r.subnets, groups: r.groups, reservations: r.reservations,
		instances: newTable[*instance](), enis: newTable[*eni](), attachments: make(map[string]*attachment, len(r.attachments)),
	}
	for _, i := range r.instances.ordered {
		same := *i
		same.tags, same.attachments, same.ghosts = maps.Clone(i.tags), nil, nil
		past.instances.add(&same)
	}
	for _, e := range r.enis.ordered {
		same := *e
		same.tags, same.slots = maps.Clone(e.tags), slices.Clone(e.slots)
		same.attachment, same.ghost = past.copyAttachment(e.attachment, &same), past.copyAttachment(e.ghost, &same)
		past.enis.add(&same)
	}
	for _, i := range r.instances.ordered {
		same := past.instances.byID[i.id]
		same.attachments, same.ghosts = past.copied(i.attachments), past.copied(i.ghosts)
	}
	return past
}

// copyAttachment copies the attachment of a copied ENI.
func (r *region) copyAttachment(a *attachment, e *eni) *attachment {
	if a == nil {
		return nil
	}
	same := *a
	same.eni, same.instance = e, r.instances.byID[a.instance.id]
	r.attachments[a.id] = &same
	return &same
}

// copied are the copies of an instance's attachments. The ghost of an ENI that is
// deleted has none, and does not show anyway.
func (r *region) copied(attachments []*attachment) []*attachment {
	var same []*attachment
	for _, a := range attachments {
		if c, ok := r.attachments[a.id]; ok {
			same = append(same, c)
		}
	}
	return same
}

// namesYoung tells whether a request names an ENI that is younger than an age.
func (s *Server) namesYoung(q *request, age time.Duration) bool {
	r := s.region(q.account, q.region)
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(namedResources(q), func(id string) bool {
		e, ok := r.enis.get(id)
		return ok && strings.HasPrefix(id, "eni-") && s.clock.Since(e.createdAt) < age
	})
}
