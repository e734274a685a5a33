/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// AnyAction is the name that stands for all actions, in Fault and Server.Deny.
const AnyAction = "*"

// Fault makes requests go wrong. A request meets at most one fault: the oldest
// that matches it.
type Fault struct {
	// Action is the name of the API action to disturb, or AnyAction.
	Action string
	// Params, where set, restricts the fault to requests with these
	// parameters, in the form of the query protocol: InstanceId, Filter.1.Name.
	Params map[string]string

	// Count is the number of requests to disturb. Zero means all, until the
	// fault is removed.
	Count int
	// Probability, where not zero, disturbs only that part of the matching
	// requests, in (0, 1].
	Probability float64

	// Code, where set, is answered as an error, after Delay, and nothing is
	// executed. The request has passed its token bucket.
	Code string
	// Message is the error's text.
	Message string
	// Status is the error's HTTP status. Zero means 400.
	Status int
	// Delay holds the request back before it is executed. A client that gives
	// up meanwhile has not changed anything.
	Delay time.Duration
	// LoseAnswer executes the request and then closes the connection.
	LoseAnswer bool
	// Discard closes the connection without executing the request.
	Discard bool
}

// err is the error that the fault answers with, if any.
func (f Fault) err() error {
	if f.Code == "" {
		return nil
	}
	return &apiError{Code: f.Code, Message: f.Message, Status: cmp.Or(f.Status, http.StatusBadRequest)}
}

func (f Fault) matches(q *request) bool {
	if f.Action != q.action && f.Action != AnyAction {
		return false
	}
	for name, value := range f.Params {
		if q.values.Get(name) != value {
			return false
		}
	}
	return true
}

// activeFault is a fault with an identity.
type activeFault struct {
	id string
	Fault
}

type faults struct {
	dice *dice

	mu     sync.Mutex
	issued int
	active []*activeFault
}

func (f *faults) add(fault Fault) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.issued++
	id := strconv.Itoa(f.issued)
	f.active = append(f.active, &activeFault{id: id, Fault: fault})
	return id
}

// remove tells whether the fault was still active.
func (f *faults) remove(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.active)
	f.active = slices.DeleteFunc(f.active, func(a *activeFault) bool { return a.id == id })
	return len(f.active) < before
}

func (f *faults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active = nil
}

func (f *faults) list() []activeFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]activeFault, 0, len(f.active))
	for _, a := range f.active {
		all = append(all, *a)
	}
	return all
}

// draw returns the fault that a request meets, or one without effect.
func (f *faults) draw(q *request) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, a := range f.active {
		if !a.matches(q) || (a.Probability > 0 && !f.dice.chance(a.Probability)) {
			continue
		}
		if a.Count == 1 {
			f.active = slices.Delete(f.active, i, i+1)
		}
		a.Count = max(0, a.Count-1)
		return a.Fault
	}
	return Fault{}
}

// AddFault makes matching requests go wrong from now on. The function returned
// removes the fault; it may be called more than once.
func (s *Server) AddFault(fault Fault) (remove func()) {
	id := s.faults.add(fault)
	return func() { s.faults.remove(id) }
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() { s.faults.clear() }

// denials are the actions that the caller has no permission for.
type denials struct {
	mu      sync.Mutex
	actions map[string]bool
}

func (d *denials) includes(action string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.actions[action] || d.actions[AnyAction]
}

func (d *denials) list() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	denied := make([]string, 0, len(d.actions))
	for name := range d.actions {
		denied = append(denied, name)
	}
	slices.Sort(denied)
	return denied
}

// Deny refuses actions as IAM does, with UnauthorizedOperation. Their token
// buckets are not touched.
func (s *Server) Deny(actions ...string) {
	s.denials.mu.Lock()
	defer s.denials.mu.Unlock()
	for _, name := range actions {
		s.denials.actions[name] = true
	}
}

// Allow takes back Deny.
func (s *Server) Allow(actions ...string) {
	s.denials.mu.Lock()
	defer s.denials.mu.Unlock()
	for _, name := range actions {
		delete(s.denials.actions, name)
	}
}

// staleReads is the present setting of StaleReads.
type staleReads struct {
	mu      sync.Mutex
	current StaleReads
}

func (s *staleReads) get() StaleReads {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// SetStaleReads makes reads lag behind the changes that follow.
func (s *Server) SetStaleReads(stale StaleReads) {
	s.stale.mu.Lock()
	defer s.stale.mu.Unlock()
	s.stale.current = stale
}

// SetSick makes an instance sick or well again. Detaching an ENI from a sick
// instance takes Timings.SickDetach, unless it is forced. The Region is that of
// the instance; false is returned where it knows no such instance.
func (s *Server) SetSick(regionName, instanceID string, sick bool) bool {
	r := s.region(regionName)
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ok := r.instances.get(instanceID)
	if ok {
		i.sick = sick
	}
	return ok
}
