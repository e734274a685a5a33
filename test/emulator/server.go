/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/eni-operator/eni-operator/test/emulator/iam"
)

// Server is an emulated EC2 endpoint. It serves the EC2 actions of all Regions
// at any path and its own control interface below /_emulator/. Its methods may
// be called from several goroutines.
type Server struct {
	clock      clock.Clock
	timings    Timings
	limits     Limits
	types      *table[*instanceType]
	identities *identities
	dice       *dice
	throttle   *throttle
	faults     *faults
	denials    *denials
	stale      *staleReads
	past       *keptPast
	accounts   *accounts
	order      order
	quirks     quirks
	compress   bool
	refusals   refusals
	calls      *callLog
	control    http.Handler

	mu      sync.Mutex
	regions map[regionKey]*region
}

var _ http.Handler = (*Server)(nil)

// New returns a Server with no resources but the default VPC, which each Region of
// each account gets when it is first called.
func New(options Options) *Server {
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	if options.CallLogSize == 0 {
		options.CallLogSize = DefaultCallLogSize
	}
	s := &Server{
		clock:      options.Clock,
		timings:    options.Timings,
		limits:     options.Limits.withDefaults(),
		types:      withCards(options.Cards),
		identities: &identities{seed: options.Seed},
		dice:       newDice(options.Seed),
		throttle:   newThrottle(options.Clock, options.Throttling),
		denials:    &denials{actions: make(map[string]bool), permissions: make(map[string][]string), policies: make(map[string]iam.Policy)},
		stale:      &staleReads{current: options.Stale},
		past:       &keptPast{span: options.KeepPast},
		accounts:   newAccounts(options.Accounts),
		order:      newOrder(options),
		quirks:     quirks{cardBlind: options.CardBlind, filterLimitEach: options.FilterLimitEach},
		compress:   options.Compress,
		refusals:   refusals{plain: options.PlainRefusals, ids: &identities{seed: ^options.Seed}},
		calls:      newCallLog(options.CallLogSize),
		regions:    make(map[regionKey]*region),
	}
	s.faults = &faults{seed: options.Seed}
	for caller, permitted := range options.Permissions {
		s.SetPermissions(caller, permitted...)
	}
	s.control = newControl(s)
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, controlPrefix) {
		s.control.ServeHTTP(w, r)
		return
	}
	q, err := s.newRequest(r)
	if err != nil {
		writeError(w, q, err)
		return
	}
	res, err := s.perform(r.Context(), q)
	switch {
	case q.cut:
		panic(http.ErrAbortHandler) // closes the connection without an answer
	case err != nil:
		writeError(w, q, err)
	default:
		writeResult(w, q, res)
	}
}

// perform passes a request through what stands before an action in EC2, and
// executes it.
func (s *Server) perform(ctx context.Context, q *request) (result, error) {
	fault := s.faults.draw(q, func(age time.Duration) bool { return s.namesYoung(q, age) })
	q.met = fault.Name
	act, err := s.admit(ctx, q, fault)
	if err != nil {
		q.cut = errors.Is(err, errDropped)
		s.calls.add(s.clock.Now(), q, err)
		return nil, err
	}
	q.cut = fault.LoseAnswer && fault.Code == ""
	res, err := s.execute(act, q, fault.Stale)
	s.wait(ctx, s.dice.within(s.timings.Latency.of(q.action, act.mutating)))
	if fault.LoseAnswer && fault.Code != "" {
		return nil, fault.err()
	}
	return res, err
}

// errDropped is the outcome of a request that is neither executed nor answered.
var errDropped = errors.New("request dropped")

// admit decides whether a request may run, in EC2's order: the action must
// exist, the caller have permission, and the token bucket a token. An injected
// fault comes last, but for one that keeps the request from arriving at all.
func (s *Server) admit(ctx context.Context, q *request, fault Fault) (action, error) {
	act, ok := actions[q.action]
	q.mutating = act.mutating
	denied, refused := s.denials.missing(q)
	switch {
	case fault.Discard:
		return act, errDropped
	case !ok:
		return act, invalidAction(q.action)
	case refused:
		return act, s.refusals.unauthorized(q, denied)
	case !s.throttle.admit(q, act):
		return act, throttled()
	case !s.wait(ctx, fault.Delay):
		return act, errDropped
	}
	if fault.LoseAnswer {
		return act, nil
	}
	return act, fault.err()
}

// execute runs an action on its Region and logs the call. Both happen under the
// Region's lock, so that the log has the order in which effects took place.
// A read may see the Region as it was a while before.
func (s *Server) execute(act action, q *request, ago time.Duration) (result, error) {
	r, lag := s.region(q.account, q.region), max(s.faults.lag(), s.past.get()) // no fault's lock is taken under a Region's
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stale = s.stale.get()
	r.advance(s.clock.Now(), lag)
	seen := r
	if ago > 0 && !act.mutating {
		seen = r.before(ago)
	}
	seen.includeManaged = false
	if action, refused := s.denials.unauthorized(r, q); refused {
		err := s.refusals.unauthorized(q, action)
		s.calls.add(r.now, q, err)
		return nil, err
	}
	res, err := act.handle(seen, q)
	if q.dryRun {
		err = dryRunOutcome(err)
	}
	s.calls.add(r.now, q, err)
	return res, err
}

// region returns the state of a Region of an account, which is created on first use.
func (s *Server) region(account, name string) *region {
	key := regionKey{account: account, name: name}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.regions[key]
	if !ok {
		r = newRegion(s, key)
		s.regions[key] = r
	}
	return r
}

// regionsNamed returns the states of one Region in all accounts that have called it.
func (s *Server) regionsNamed(name string) []*region {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*region
	for key, r := range s.regions {
		if key.name == name {
			found = append(found, r)
		}
	}
	return found
}

func (s *Server) allRegions() []*region {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.regions))
}

// wait lets a time pass and tells whether it passed before ctx was done.
func (s *Server) wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := s.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// of returns the latency of an action.
func (l Latency) of(action string, mutating bool) Span {
	if span, ok := l.Actions[action]; ok {
		return span
	}
	if mutating {
		return l.Writes
	}
	return l.Reads
}
