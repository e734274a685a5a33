/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"container/heap"
	"time"
)

// transition is a state change that comes due at a time.
type transition struct {
	due   time.Time
	seq   uint64
	apply func()
}

// agenda is a heap of transitions, the next one first. Those due at the same
// time keep the order in which they were planned.
type agenda []transition

func (a agenda) Len() int { return len(a) }

func (a agenda) Less(i, j int) bool {
	if a[i].due.Equal(a[j].due) {
		return a[i].seq < a[j].seq
	}
	return a[i].due.Before(a[j].due)
}

func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push is for container/heap.
func (a *agenda) Push(x any) { *a = append(*a, x.(transition)) }

// Pop is for container/heap.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	next := (*a)[last]
	(*a)[last] = transition{}
	*a = (*a)[:last]
	return next
}

// after plans a state change. Even without delay it happens only once the
// present request is answered: EC2 answers with the state that a change starts
// from.
func (r *region) after(delay time.Duration, apply func()) {
	heap.Push(&r.agenda, transition{due: r.now.Add(delay), seq: r.nextSeq(), apply: apply})
}

// settle applies, in order, everything that has come due. While a change is
// applied it is its own time, so that what follows from it is timed exactly
// however late the next request arrives.
func (r *region) settle(now time.Time) {
	for len(r.agenda) > 0 && !r.agenda[0].due.After(now) {
		next := heap.Pop(&r.agenda).(transition)
		r.now = next.due
		next.apply()
	}
	r.now = now
}
