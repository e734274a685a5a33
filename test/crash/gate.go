/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
)

// gate stands before the servers that the operator talks to. It numbers the
// operator's calls by their names, and kills the operator at one of them.
type gate struct {
	// strike is called when the operator is about to be killed, before the call
	// has its effect.
	strike func()
	// kill returns when the operator is dead.
	kill func()
	// fired is closed once the operator was killed.
	fired chan struct{}

	mu     sync.Mutex
	target *Point
	counts map[string]int
	calls  []Call
}

func newGate(strike, kill func()) *gate {
	return &gate{strike: strike, kill: kill, fired: make(chan struct{}), counts: map[string]int{}}
}

// watch begins to number the calls anew, and kills at the target unless that is
// nil.
func (g *gate) watch(target *Point) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.target, g.calls = target, nil
	clear(g.counts)
}

// seen are the calls since watch.
func (g *gate) seen() []Call {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]Call(nil), g.calls...)
}

// note numbers a call, and returns on which side of it the operator is to die:
// on neither, mostly.
func (g *gate) note(name string) (side Side, die bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counts[name]++
	call := Call{Name: name, Number: g.counts[name]}
	g.calls = append(g.calls, call)
	if g.target == nil || g.target.Call != call {
		return "", false
	}
	side = g.target.Side
	g.target = nil
	return side, true
}

// guard puts the gate before a server. Requests without a name are let through
// unseen.
func (g *gate) guard(name func(*http.Request) string, server http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called := name(r)
		if called == "" {
			server.ServeHTTP(w, r)
			return
		}
		side, die := g.note(called)
		if !die {
			server.ServeHTTP(w, r)
			return
		}
		g.strike()
		if side == After {
			// The effect is complete, the answer complete but unsent, when the operator dies.
			server.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
		}
		g.kill()
		close(g.fired)
		panic(http.ErrAbortHandler) // Closes the connection without an answer.
	})
}
