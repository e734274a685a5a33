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

	"github.com/eni-operator/eni-operator/test/emulator/iam"
)

// AnyAction is the name that stands for all actions, in Fault and Server.Deny.
const AnyAction = "*"

// Fault makes requests go wrong. A request meets at most one fault: the oldest
// that matches it.
type Fault struct {
	// Name, where set, is what the call log calls a request that met the fault.
	Name string
	// Action is the name of the API action to disturb, or AnyAction.
	Action string
	// Caller, where set, restricts the fault to requests that are signed with this
	// access key id.
	Caller string
	// Params, where set, restricts the fault to requests with these
	// parameters, in the form of the query protocol: InstanceId, Filter.1.Name.
	Params map[string]string
	// YoungENI, where set, restricts the fault to requests that name an ENI which
	// was created less than this before.
	YoungENI time.Duration

	// Count is the number of requests to disturb. Zero means all, until the
	// fault is removed.
	Count int
	// Probability, where not zero, disturbs only that part of the matching
	// requests, in (0, 1]. Options.Seed and the faults added before decide which
	// of them, counted from the first; other requests have no part in it.
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
	// LoseAnswer executes the request and then closes the connection or, where
	// Code is set, answers with that error all the same.
	LoseAnswer bool
	// Discard closes the connection without executing the request.
	Discard bool
	// Stale has Describe actions show ENIs and instances as they were about this
	// long before: at least as long, and less than twice as long and a tenth of a
	// second more. What was there before the fault was added is the oldest that
	// can show. Other actions are not concerned.
	Stale time.Duration
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
	if f.Caller != "" && f.Caller != q.caller {
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
	// dice are the fault's own, so that each decides alone.
	dice *dice
}

// oddStep keeps the seeds of faults apart from each other and from those of other
// servers.
const oddStep = 0x9e3779b97f4a7c15

type faults struct {
	seed uint64

	mu     sync.Mutex
	issued uint64
	active []*activeFault
}

func (f *faults) add(fault Fault) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.issued++
	id := strconv.FormatUint(f.issued, 10)
	f.active = append(f.active, &activeFault{id: id, Fault: fault, dice: newDice(f.seed + f.issued*oddStep)})
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

// draw returns the fault that a request meets, or one without effect. Young says
// whether the request names an ENI that is younger than that.
func (f *faults) draw(q *request, young func(time.Duration) bool) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, a := range f.active {
		if !a.matches(q) || (a.YoungENI > 0 && !young(a.YoungENI)) || (a.Probability > 0 && !a.dice.chance(a.Probability)) {
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

// lag is how long before the present the oldest read is that a fault asks for.
func (f *faults) lag() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	var most time.Duration
	for _, a := range f.active {
		most = max(most, a.Stale)
	}
	return most
}

// AddFault makes matching requests go wrong from now on. The function returned
// removes the fault; it may be called more than once.
func (s *Server) AddFault(fault Fault) (remove func()) {
	id := s.faults.add(fault)
	return func() { s.faults.remove(id) }
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() { s.faults.clear() }

// denials are the actions that callers have no permission for.
type denials struct {
	mu sync.Mutex
	// actions are denied to everybody.
	actions map[string]bool
	// permissions are all that a caller may use, by access key id, and policies what IAM
	// decides by.
	permissions map[string][]string
	policies    map[string]iam.Policy
}

// missing is the first action of those that a request needs and its caller lacks.
func (d *denials) missing(q *request) (action string, refused bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	permitted, restricted := d.permissions[q.caller]
	for _, needed := range q.permissionsNeeded() {
		if d.actions[needed] || d.actions[AnyAction] || (restricted && !slices.Contains(permitted, needed)) {
			return needed, true
		}
	}
	return "", false
}

// permissionsNeeded are the IAM actions that a request is checked for: its own, and
// that of tagging what it creates.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
func (q *request) permissionsNeeded() []string {
	needed := []string{q.action}
	if q.values.Has("TagSpecification.1.ResourceType") {
		needed = append(needed, "CreateTags")
	}
	return needed
}

// SetPermissions says what a caller may use from now on, by access key id, as an
// IAM policy with just these actions would: everything else is answered with
// UnauthorizedOperation. SetPolicy knows resources and conditions, too.
func (s *Server) SetPermissions(caller string, actions ...string) {
	s.denials.mu.Lock()
	defer s.denials.mu.Unlock()
	s.denials.permissions[caller] = slices.Clone(actions)
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
	return s.withInstance(regionName, instanceID, func(_ *region, i *instance) { i.sick = sick })
}

// SetHanging has ENIs that are being attached to an instance stay so, from now on
// or no more. Attachments that were to be complete before are complete once they
// hang no more. False is returned where the Region knows no such instance.
func (s *Server) SetHanging(regionName, instanceID string, hanging bool) bool {
	return s.withInstance(regionName, instanceID, func(_ *region, i *instance) {
		i.hanging = hanging
		if hanging {
			return
		}
		for _, a := range i.attachments {
			if a.overdue {
				a.complete()
			}
		}
	})
}

// withInstance calls change with an instance, under the lock of its Region. It
// reports whether there is such an instance in any account.
func (s *Server) withInstance(regionName, id string, change func(*region, *instance)) bool {
	for _, r := range s.regionsNamed(regionName) {
		if r.changeInstance(s.clock.Now(), id, change) {
			return true
		}
	}
	return false
}

func (r *region) changeInstance(now time.Time, id string, change func(*region, *instance)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ok := r.instances.get(id)
	if ok {
		r.settle(now)
		change(r, i)
	}
	return ok
}
