/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package failover

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// request is a call of EC2 as it came in.
type request struct {
	caller string // the access key id
	action string
	at     time.Time // when it was complete
}

func (r request) write() bool { return !strings.HasPrefix(r.action, "Describe") }

// wiretap notes what comes in before EC2 sees it. The emulator's own log tells when a
// call took effect, which is later.
type wiretap struct {
	next http.Handler

	mu       sync.Mutex
	requests []request
}

var credential = regexp.MustCompile(`Credential=([A-Z0-9]+)/`)

// ServeHTTP notes a request, and passes it on.
func (w *wiretap) ServeHTTP(response http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // Whoever sent it is gone: it was never complete.
	}
	at := time.Now()
	r.Body = io.NopCloser(bytes.NewReader(body))
	if form, err := url.ParseQuery(string(body)); err == nil {
		seen := request{action: form.Get("Action"), at: at}
		if match := credential.FindStringSubmatch(r.Header.Get("Authorization")); match != nil {
			seen.caller = match[1]
		}
		w.mu.Lock()
		w.requests = append(w.requests, seen)
		w.mu.Unlock()
	}
	w.next.ServeHTTP(response, r)
}

// of are the requests of a caller from a time on.
func (w *wiretap) of(caller string, from time.Time) []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []request
	for _, r := range w.requests {
		if r.caller == caller && r.at.After(from) {
			found = append(found, r)
		}
	}
	return found
}

// writes are those of a caller from a time on that can change something.
func (w *wiretap) writes(caller string, from time.Time) []request {
	var found []request
	for _, r := range w.of(caller, from) {
		if r.write() {
			found = append(found, r)
		}
	}
	return found
}

// all are the requests of all callers, in the order in which they were complete.
func (w *wiretap) all() []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]request(nil), w.requests...)
}
