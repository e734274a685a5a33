/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// stream is the body of a watch: it is read like a connection over which events come
// as they are due.
type stream struct {
	connection *Connection
	kind       *kind
	query      *request
	ctx        context.Context //nolint:containedctx // that of the request whose body this is
	deadline   time.Time
	from       uint64

	once   sync.Once
	broken chan struct{}
	buffer bytes.Buffer
	over   bool
}

// watch begins a watch. With sendInitialEvents it first shows everything that there is.
func (c *Connection) watch(r *http.Request, q *request) (*http.Response, error) {
	w := &stream{connection: c, kind: q.kind, query: q, ctx: r.Context(), broken: make(chan struct{})}
	timeout := 5 * time.Minute
	if seconds, err := strconv.Atoi(q.query.Get("timeoutSeconds")); err == nil && seconds > 0 {
		timeout = time.Duration(seconds) * time.Second
	}
	w.deadline = time.Now().Add(timeout)
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := w.begin(s); err != nil {
		return answer(r, nil, err), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watches[w] = true
	return &http.Response{
		StatusCode: http.StatusOK, Status: http.StatusText(http.StatusOK), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: w, ContentLength: -1, Request: r,
	}, nil
}

// begin finds out where the watch begins.
func (w *stream) begin(s *Server) error {
	version := w.query.query.Get("resourceVersion")
	if w.query.query.Get("sendInitialEvents") == "true" {
		for _, o := range w.kind.list(w.query) {
			if err := w.put("ADDED", o.content, o.raw); err != nil {
				return err
			}
		}
		w.from = s.version
		w.bookmark(`,"annotations":{"k8s.io/initial-events-end":"true"}`)
		return nil
	}
	if version == "" || version == "0" {
		w.from = s.version
		for _, o := range w.kind.list(w.query) {
			if err := w.put("ADDED", o.content, o.raw); err != nil {
				return err
			}
		}
		return nil
	}
	from, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return apierrors.NewBadRequest("resourceVersion: " + err.Error())
	}
	if from < w.kind.compacted {
		return apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", from, w.kind.compacted))
	}
	w.from = from
	return nil
}

func (w *stream) put(event string, content map[string]any, raw []byte) error {
	shown, err := w.query.shown(content, raw)
	if err != nil {
		return err
	}
	w.buffer.WriteString(`{"type":"` + event + `","object":`)
	w.buffer.Write(shown)
	w.buffer.WriteString("}\n")
	return nil
}

func (w *stream) bookmark(annotations string) {
	name, version := w.kind.Kind, w.kind.GroupVersion().String()
	if w.query.partial {
		name, version = "PartialObjectMetadata", "meta.k8s.io/v1"
	}
	fmt.Fprintf(&w.buffer, `{"type":"BOOKMARK","object":{"kind":"%s","apiVersion":"%s","metadata":{"resourceVersion":"%d","creationTimestamp":null%s}}}`+"\n",
		name, version, w.from, annotations)
}

// Read waits for the next event that is due.
func (w *stream) Read(p []byte) (int, error) {
	for w.buffer.Len() == 0 {
		if w.over {
			return 0, io.EOF
		}
		if err := w.wait(); err != nil {
			return 0, err
		}
	}
	return w.buffer.Read(p)
}

// wait takes the events that are due, or waits until one may be.
func (w *stream) wait() error {
	lag, changed := w.connection.lag(w.kind.resource)
	news, due, err := w.take(lag)
	if err != nil || w.buffer.Len() > 0 || w.over {
		return err
	}
	until := w.deadline
	if !due.IsZero() && due.Before(until) {
		until = due
	}
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-w.ctx.Done():
		return w.ctx.Err()
	case <-w.broken:
		return io.ErrUnexpectedEOF
	case <-news:
	case <-changed:
	case <-timer.C:
		if !time.Now().Before(w.deadline) {
			w.over = true
			if w.query.query.Get("allowWatchBookmarks") == "true" {
				w.bookmark("")
			}
		}
	}
	return nil
}

// take writes down the events that are due. It returns when the next one will be, and
// what is closed when there are others.
func (w *stream) take(lag time.Duration) (news <-chan struct{}, due time.Time, err error) {
	s := w.connection.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.from < w.kind.compacted {
		w.expire()
		return w.kind.news, due, nil
	}
	now := time.Now()
	history := w.kind.history
	for _, entry := range history[sort.Search(len(history), func(i int) bool { return history[i].version > w.from }):] {
		if at := entry.at.Add(lag); at.After(now) {
			return w.kind.news, at, nil
		}
		w.from = entry.version
		if err := w.show(entry); err != nil {
			return nil, due, err
		}
	}
	return w.kind.news, due, nil
}

// expire answers that the watch cannot go on.
func (w *stream) expire() {
	status := apierrors.NewResourceExpired("too old resource version").Status()
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	raw, _ := json.Marshal(status) //nolint:errchkjson // a Status always can
	w.buffer.WriteString(`{"type":"ERROR","object":`)
	w.buffer.Write(raw)
	w.buffer.WriteString("}\n")
	w.over = true
}

func (w *stream) show(entry change) error {
	was, is := w.query.selects(entry.before), w.query.selects(entry.after)
	switch {
	case is && was:
		return w.put("MODIFIED", entry.after.content, entry.after.raw)
	case is:
		return w.put("ADDED", entry.after.content, entry.after.raw)
	case was && entry.deleted != nil:
		return w.put("DELETED", entry.before.content, entry.deleted)
	case was:
		return w.put("DELETED", entry.before.content, entry.before.raw)
	}
	return nil
}

// Close ends the watch.
func (w *stream) Close() error {
	w.end()
	w.connection.mu.Lock()
	defer w.connection.mu.Unlock()
	delete(w.connection.watches, w)
	return nil
}

func (w *stream) end() { w.once.Do(func() { close(w.broken) }) }
