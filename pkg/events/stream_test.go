/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package events

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// follower reads a stream as a person would.
type follower struct {
	t      *testing.T
	body   io.ReadCloser
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

func follow(t *testing.T, server *httptest.Server, query string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+StreamPath+query, http.NoBody)
	assert.NilError(t, err)
	response, err := server.Client().Do(request) //nolint:bodyclose // leave closes it
	assert.NilError(t, err)
	assert.Equal(t, response.StatusCode, http.StatusOK)
	assert.Equal(t, response.Header.Get("Content-Type"), "text/event-stream")
	f := &follower{t: t, body: response.Body, lines: bufio.NewScanner(response.Body), cancel: cancel}
	assert.Equal(t, f.line()[:1], ":") // So the subscription is there.
	assert.Equal(t, f.line(), "")
	return f
}

func (f *follower) line() string {
	f.t.Helper()
	assert.Assert(f.t, f.lines.Scan(), "the stream ended: %v", f.lines.Err())
	return f.lines.Text()
}

// next returns the name and the data of the next event.
func (f *follower) next() (name string, data map[string]any) {
	f.t.Helper()
	name = strings.TrimPrefix(f.line(), "event: ")
	assert.NilError(f.t, json.Unmarshal([]byte(strings.TrimPrefix(f.line(), "data: ")), &data))
	assert.Equal(f.t, f.line(), "")
	return name, data
}

func (f *follower) leave() {
	f.cancel()
	_ = f.body.Close()
}

func serve(t *testing.T, b *Bus) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(b.Stream())
	t.Cleanup(server.Close)
	return server
}

func TestStream(t *testing.T) {
	b := newBus()
	server := serve(t, b)
	all, chosen := follow(t, server, ""), follow(t, server, "?eni=b,c&type=ENIStateChanged")
	defer all.leave()
	defer chosen.leave()
	first := numbered("a", 1)
	first.Before, first.Node = ENIState{}, "node"
	b.Publish(first, numbered("b", 2))

	name, data := all.next()
	assert.Equal(t, name, "ENIStateChanged")
	assert.Equal(t, data["eni"], "a")
	assert.Equal(t, data["node"], "node")
	assert.Equal(t, data["topic"], "eni")
	assert.Equal(t, data["after"].(map[string]any)["addressCount"], float64(1))  //nolint:forcetypeassert // fails the test
	assert.Equal(t, data["before"].(map[string]any)["addressCount"], float64(0)) //nolint:forcetypeassert // fails the test
	when, err := time.Parse(time.RFC3339Nano, data["timestamp"].(string))        //nolint:forcetypeassert // fails the test
	assert.NilError(t, err)
	assert.Assert(t, !when.IsZero())
	_, data = chosen.next()
	assert.Equal(t, data["eni"], "b")
}

func TestStreamRefusals(t *testing.T) {
	b := newBus()
	server := serve(t, b)
	ask := func(method, query string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, server.URL+StreamPath+query, http.NoBody)
		assert.NilError(t, err)
		response, err := server.Client().Do(request)
		assert.NilError(t, err)
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		assert.NilError(t, err)
		return response.StatusCode, string(body)
	}
	status, _ := ask(http.MethodPost, "")
	assert.Equal(t, status, http.StatusMethodNotAllowed)
	status, body := ask(http.MethodGet, "?type=Nonsense")
	assert.Equal(t, status, http.StatusBadRequest)
	assert.Assert(t, strings.Contains(body, `type: there is no "Nonsense"; choose from ENIStateChanged, `), "%s", body)
	status, body = ask(http.MethodGet, "?nodes=a")
	assert.Equal(t, status, http.StatusBadRequest)
	assert.Assert(t, strings.Contains(body, "nodes: there is no such filter; choose from node, eni, type"), "%s", body)

	var open []*follower
	for range maxStreams {
		open = append(open, follow(t, server, ""))
	}
	status, _ = ask(http.MethodGet, "")
	assert.Equal(t, status, http.StatusServiceUnavailable)
	for _, f := range open {
		f.leave()
	}
}

// TestStreamEndsWithTheBus: open streams do not hold up the end of the operator.
func TestStreamEndsWithTheBus(t *testing.T) {
	b := newBus()
	server := serve(t, b)
	stop := start(t, b)
	f := follow(t, server, "")
	defer f.leave()
	stop()
	assert.Assert(t, !f.lines.Scan())
	assert.NilError(t, f.lines.Err())
}

// stuckWriter is a reader who takes the greeting and then nothing.
type stuckWriter struct {
	*httptest.ResponseRecorder
	writes chan struct{}
	taken  chan struct{}
}

func (w *stuckWriter) Write(data []byte) (int, error) {
	w.writes <- struct{}{}
	<-w.taken
	return w.ResponseRecorder.Write(data)
}

// TestStuckReader: a reader who does not read loses events, is told how many once
// it reads again, and holds nobody up.
func TestStuckReader(t *testing.T) {
	b := newBus()
	ctx, cancel := context.WithCancel(t.Context())
	w := &stuckWriter{ResponseRecorder: httptest.NewRecorder(), writes: make(chan struct{}), taken: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.Stream().ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, StreamPath, http.NoBody))
	}()
	<-w.writes // The greeting is on its way, and stays there.
	for number := range streamDepth + 10 {
		b.Publish(numbered("a", number))
	}
	queues := b.Queues()
	assert.Equal(t, queues[0].Length, streamDepth)
	assert.Equal(t, queues[0].Dropped, uint64(10))
	w.taken <- struct{}{}
	<-w.writes // The first event,
	w.taken <- struct{}{}
	<-w.writes // and the word about those that are lost.
	cancel()
	w.taken <- struct{}{}
	<-ended
	assert.Assert(t, strings.Contains(w.Body.String(), `event: dropped`+"\n"+`data: {"dropped":10}`), "%s", w.Body)
}
