/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"errors"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"time"
)

// Call is a request as the server saw it.
type Call struct {
	// Seq numbers the calls from 1 in the order in which they took effect.
	Seq uint64 `json:"seq"`
	// Time is when the request was executed or refused, by the server's clock.
	Time time.Time `json:"time"`
	// Region is the Region of the signature.
	Region string `json:"region"`
	// Account is the account that the caller acted in.
	Account string `json:"account"`
	// Caller is the access key id of the signature.
	Caller string `json:"caller,omitempty"`
	// Action is the name of the API action.
	Action string `json:"action"`
	// Params are the decoded form parameters.
	Params url.Values `json:"params"`
	// RequestID is the id in the answer.
	RequestID string `json:"requestId"`
	// ErrorCode is EC2's error code; empty when the call succeeded.
	ErrorCode string `json:"errorCode,omitempty"`
	// Throttled tells that the answer was RequestLimitExceeded.
	Throttled bool `json:"throttled,omitempty"`
	// Mutating tells that the action can change state.
	Mutating bool `json:"mutating,omitempty"`
	// Unanswered tells that the connection was closed without an answer, with
	// the request executed or not.
	Unanswered bool `json:"unanswered,omitempty"`
	// Fault is the name of the injected fault that the request met, if it has one.
	Fault string `json:"fault,omitempty"`
	// ResourceIDs are the resources that the request named and, in the end,
	// those that it created.
	ResourceIDs []string `json:"resourceIds,omitempty"`
}

// ActionCount sums up the calls of one action.
type ActionCount struct {
	// Calls is the number of all calls.
	Calls int `json:"calls"`
	// Errors are the calls that failed, by error code.
	Errors map[string]int `json:"errors,omitempty"`
	// Throttled is the number of calls answered with RequestLimitExceeded, which
	// are among the errors too.
	Throttled int `json:"throttled,omitempty"`
}

type callLog struct {
	mu     sync.Mutex
	size   int
	seq    uint64
	ring   []Call // the oldest at next, once full
	next   int
	counts map[string]ActionCount
}

func newCallLog(size int) *callLog {
	return &callLog{size: size, counts: make(map[string]ActionCount)}
}

// resourceID matches the ids of what calls are about.
var resourceID = regexp.MustCompile(`^(eni|eni-attach|i|subnet|sg|vpc|scr)-[0-9a-f]{8,17}$`)

// add logs a call with its outcome.
func (l *callLog) add(now time.Time, q *request, err error) {
	call := Call{
		Time:        now,
		Region:      q.region,
		Account:     q.account,
		Caller:      q.caller,
		Action:      q.action,
		Params:      q.values,
		RequestID:   q.id,
		Mutating:    q.mutating,
		Unanswered:  q.cut,
		Fault:       q.met,
		ResourceIDs: append(namedResources(q), q.created...),
	}
	var known *apiError
	if errors.As(err, &known) {
		call.ErrorCode = known.Code
		call.Throttled = known.Code == codeThrottled
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	call.Seq = l.seq
	l.keep(call)
	l.count(call)
}

func namedResources(q *request) []string {
	var ids []string
	for _, key := range q.form.keys {
		if value := q.values.Get(key); resourceID.MatchString(value) && !slices.Contains(ids, value) {
			ids = append(ids, value)
		}
	}
	return ids
}

func (l *callLog) keep(call Call) {
	if len(l.ring) < l.size {
		l.ring = append(l.ring, call)
		return
	}
	l.ring[l.next] = call
	l.next = (l.next + 1) % l.size
}

func (l *callLog) count(call Call) {
	count := l.counts[call.Action]
	count.Calls++
	if call.ErrorCode != "" {
		if count.Errors == nil {
			count.Errors = make(map[string]int)
		}
		count.Errors[call.ErrorCode]++
	}
	if call.Throttled {
		count.Throttled++
	}
	l.counts[call.Action] = count
}

// Calls returns the call log, oldest first. It holds the last
// Options.CallLogSize calls since the start or since ResetCalls.
func (s *Server) Calls() []Call {
	l := s.calls
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Concat(l.ring[l.next:], l.ring[:l.next])
}

// Counts sums up, by action, all calls since the start or since ResetCalls.
func (s *Server) Counts() map[string]ActionCount {
	l := s.calls
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := make(map[string]ActionCount, len(l.counts))
	for name, count := range l.counts {
		count.Errors = maps.Clone(count.Errors)
		counts[name] = count
	}
	return counts
}

// ResetCalls empties the call log and the counts. Calls go on to be numbered.
func (s *Server) ResetCalls() {
	l := s.calls
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring, l.next = nil, 0
	clear(l.counts)
}
