/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Trouble is what goes wrong between a client and the API server.
type Trouble struct {
	// Latency is the longest time that an answer takes.
	Latency time.Duration
	// Lag is how late watches show a change, by resource; AnyLag is for all others.
	Lag    map[string]time.Duration
	AnyLag time.Duration
	// Refused, Lost, Throttled and Failed are the parts of all requests that do not
	// arrive, whose answer does not, and that are answered with 429 and 500.
	Refused, Lost, Throttled, Failed float64
	// Cut lets nothing through.
	Cut bool
}

// Connection is one client's way to the server.
type Connection struct {
	Name   string
	server *Server

	mu      sync.Mutex
	rng     *rand.Rand
	reached *rand.Rand // for calls of the server, which change no draws of the client's
	trouble Trouble
	ended   bool
	// Before and After, where set, see each write's verb and resource before it is
	// sent and after it is stored; an error is what the client gets instead.
	Before, After func(verb, resource string) error
	watches       map[*stream]bool
	changed       chan struct{}
}

var _ http.RoundTripper = (*Connection)(nil)

// Connect returns a new client's connection.
func (s *Server) Connect(name string, seed uint64) *Connection {
	return &Connection{
		Name: name, server: s,
		rng:     rand.New(rand.NewPCG(seed, 2)), //nolint:gosec // repeatable, not secret
		reached: rand.New(rand.NewPCG(seed, 8)), //nolint:gosec // repeatable, not secret
		watches: map[*stream]bool{}, changed: make(chan struct{}),
	}
}

// Config returns what client-go needs to use the connection.
func (c *Connection) Config() *rest.Config {
	return &rest.Config{Host: "http://kubernetes", Transport: c, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
}

// Set changes what goes wrong from now on.
func (c *Connection) Set(change func(*Trouble)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.trouble)
	close(c.changed)
	c.changed = make(chan struct{})
}

// End cuts the connection for good: the client's process is gone.
func (c *Connection) End() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.BreakWatches("", false)
}

// BreakWatches ends the watches of a resource, or all. Where they are to expire, they
// cannot go on where they were.
func (c *Connection) BreakWatches(resource string, expire bool) {
	c.mu.Lock()
	var broken []*stream
	for w := range c.watches {
		if resource == "" || w.kind.resource == resource {
			broken = append(broken, w)
		}
	}
	c.mu.Unlock()
	if expire {
		c.server.mu.Lock()
		for _, k := range c.server.ordered {
			if resource == "" || k.resource == resource {
				c.server.expire(k)
			}
		}
		c.server.mu.Unlock()
	}
	for _, w := range broken {
		w.end()
	}
}

// fate is what becomes of one request.
type fate struct {
	before, after time.Duration
	refused, lost error
	answer        int
}

// errReset is what a client sees of a connection that breaks.
var errReset = fmt.Errorf("read tcp: %w", syscall.ECONNRESET)

func (c *Connection) draw(rng *rand.Rand, watch bool) fate {
	c.mu.Lock()
	defer c.mu.Unlock()
	var f fate
	t := c.trouble
	if c.ended || t.Cut {
		f.refused = fmt.Errorf("dial tcp: %w", syscall.ECONNREFUSED)
		return f
	}
	if t.Latency > 0 {
		f.before = time.Duration(rng.Int64N(int64(t.Latency)))
		f.after = time.Duration(rng.Int64N(int64(t.Latency)))
	}
	switch dice := rng.Float64(); {
	case dice < t.Refused:
		f.refused = fmt.Errorf("dial tcp: %w", syscall.ECONNREFUSED)
	case dice < t.Refused+t.Lost && !watch:
		f.lost = errReset
	case dice < t.Refused+t.Lost+t.Throttled:
		f.answer = http.StatusTooManyRequests
	case dice < t.Refused+t.Lost+t.Throttled+t.Failed:
		f.answer = http.StatusInternalServerError
	}
	return f
}

// Reach carries a call of the server to the client, such as one of a webhook. Where the
// connection is cut, nobody answers until ctx ends.
func (c *Connection) Reach(ctx context.Context, call func()) error {
	f := c.draw(c.reached, false)
	if c.cut() {
		<-ctx.Done()
		return ctx.Err()
	}
	if err := pause(ctx, f.before); err != nil {
		return err
	}
	if f.refused != nil {
		return f.refused
	}
	call()
	if err := pause(ctx, f.after); err != nil {
		return err
	}
	if f.lost != nil || c.dead() {
		return errReset
	}
	return nil
}

// cut reports whether the network lets nothing through.
func (c *Connection) cut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trouble.Cut && !c.ended
}

func (c *Connection) dead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended || c.trouble.Cut
}

// lag is how late watches show changes of a resource now; the channel is closed when
// that changes.
func (c *Connection) lag(resource string) (time.Duration, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if lag, ok := c.trouble.Lag[resource]; ok {
		return lag, c.changed
	}
	return c.trouble.AnyLag, c.changed
}

// RoundTrip answers one request.
func (c *Connection) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	q, err := c.server.parse(r, body)
	if err != nil {
		return answer(r, nil, err), nil
	}
	f := c.draw(c.rng, q.watch)
	if q.kind == nil || q.kind.transient {
		// client-go holds a mutex while it asks what kinds there are, or sends events:
		// that takes no virtual time.
		f = fate{refused: f.refused}
	}
	if err := pause(r.Context(), f.before); err != nil {
		return nil, err
	}
	if f.refused != nil {
		return nil, f.refused
	}
	if f.answer != 0 {
		return answer(r, nil, troubled(f.answer)), nil
	}
	if q.watch {
		return c.watch(r, q)
	}
	return c.execute(r, q, f)
}

func (c *Connection) execute(r *http.Request, q *request, f fate) (*http.Response, error) {
	writes := q.method != http.MethodGet
	if writes && c.Before != nil {
		if err := c.Before(q.verb(), q.resource()); err != nil {
			return nil, err
		}
	}
	content, err := c.server.serve(c.Name, q)
	if writes && c.After != nil {
		if err := c.After(q.verb(), q.resource()); err != nil {
			return nil, err
		}
	}
	if late := pause(r.Context(), f.after); late != nil {
		return nil, late
	}
	if f.lost != nil || c.dead() {
		return nil, errReset
	}
	return answer(r, content, err), nil
}

func troubled(status int) error {
	if status == http.StatusTooManyRequests {
		return apierrors.NewTooManyRequests("the server is busy", 1)
	}
	return apierrors.NewInternalError(errors.New("etcdserver: request timed out"))
}

// pause waits, unless the context ends.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answer makes a response of a body or an error.
func answer(r *http.Request, body []byte, err error) *http.Response {
	status, header := http.StatusOK, http.Header{"Content-Type": {"application/json"}}
	if err != nil {
		var known apierrors.APIStatus
		if !errors.As(err, &known) {
			known = apierrors.NewInternalError(err)
		}
		failure := known.Status()
		failure.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
		status = int(failure.Code)
		body, _ = json.Marshal(failure) //nolint:errchkjson // a Status always can
		if failure.Details != nil && failure.Details.RetryAfterSeconds > 0 {
			header.Set("Retry-After", fmt.Sprint(failure.Details.RetryAfterSeconds))
		}
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
}
