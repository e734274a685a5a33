/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// longestPause bounds how long Admit asks its caller to stay away, so that a call
	// that has become more urgent is noticed.
	longestPause = 30 * time.Second
	// shortestPause keeps a caller from coming back just before its token is there.
	shortestPause = time.Millisecond
	// placeGrace is how long after that the caller's place is kept.
	placeGrace = 2 * time.Second
)

// Admission is the right to make one call of an action without waiting: the token of
// its bucket is taken already.
type Admission struct {
	action string
	waited time.Duration
	used   atomic.Bool
}

// For reports whether the admission is for an action and not used yet.
func (a *Admission) For(action string) bool {
	return a != nil && a.action == action && !a.used.Load()
}

type admissionKey struct{}

// WithAdmission has the next call of the admission's action made without waiting.
func WithAdmission(ctx context.Context, admission *Admission) context.Context {
	return context.WithValue(ctx, admissionKey{}, admission)
}

// useAdmission takes the admission of a context for a call. It returns how long the
// call waited for it, and false if there is none.
func useAdmission(ctx context.Context, action string) (waited time.Duration, admitted bool) {
	admission, _ := ctx.Value(admissionKey{}).(*Admission)
	if !admission.For(action) || !admission.used.CompareAndSwap(false, true) {
		return 0, false
	}
	return admission.waited, true
}

// place is where a call stands in the order of its queue: the most urgent first, then
// by turns of the nodes, then the oldest.
type place struct {
	order    int
	turn     int64
	sequence int64
}

func (p place) before(other place) bool {
	switch {
	case p.order != other.order:
		return p.order < other.order
	case p.turn != other.turn:
		return p.turn < other.turn
	default:
		return p.sequence < other.sequence
	}
}

// ticket keeps the place of a caller that comes back for its token.
type ticket struct {
	place
	asked time.Time
	// expires is when the place is given up: the caller did not come back.
	expires time.Time
}

// admit takes a token if as many are there as calls stand before this one. Otherwise
// it keeps a place for the caller and returns when to come back.
func (q *queue) admit(c call, action, key string) (*Admission, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock.Now()
	q.recover(now)
	q.dropExpired(now)
	held, again := q.tickets[key]
	if !again {
		held = &ticket{place: q.newPlace(c), asked: now}
		q.tickets[key] = held
	}
	held.order = c.priority.order()
	ahead := q.ahead(held.place)
	if q.take(now, ahead) {
		delete(q.tickets, key)
		q.turn = max(q.turn, held.turn)
		q.forgetTurns()
		return &Admission{action: action, waited: now.Sub(held.asked)}, 0
	}
	pause := min(max(q.untilTokens(now, ahead+1), shortestPause), longestPause)
	held.expires = now.Add(pause + placeGrace)
	return nil, pause
}

// ahead counts the calls that stand before a place; q.mu is held.
func (q *queue) ahead(p place) int {
	count := q.ticketsAhead(p)
	for _, w := range q.waiting {
		if w.before(p) {
			count++
		}
	}
	return count
}

// ticketsAhead counts the tickets before a place; q.mu is held.
func (q *queue) ticketsAhead(p place) int {
	count := 0
	for _, t := range q.tickets {
		if t.before(p) {
			count++
		}
	}
	return count
}

// dropExpired gives up the places of callers that did not come back; q.mu is held.
func (q *queue) dropExpired(now time.Time) {
	for key, t := range q.tickets {
		if !t.expires.IsZero() && now.After(t.expires) {
			delete(q.tickets, key)
		}
	}
}

// rounding is what a bucket's fractions of a token may be off by.
const rounding = 1e-6

// take takes a token if there is one beyond those of the calls ahead; q.mu is held.
func (q *queue) take(now time.Time, ahead int) bool {
	if ahead > 0 && q.bucket.TokensAt(now)+rounding < float64(ahead+1) {
		return false
	}
	return q.bucket.AllowN(now, 1)
}

// untilTokens is how long until the bucket would hold so many tokens, were it large
// enough; q.mu is held.
func (q *queue) untilTokens(now time.Time, count int) time.Duration {
	missing := max(float64(count)-q.bucket.TokensAt(now), 0)
	return time.Duration(missing / float64(q.bucket.Limit()) * float64(time.Second))
}
