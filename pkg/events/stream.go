/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// StreamPath is where the live stream is served.
const StreamPath = "/debug/events"

// streamName is the name of all streams among the subscribers.
const streamName = "stream"

const (
	// streamDepth is how many events one stream may be behind: those of 100 nodes
	// that join.
	streamDepth = 1024
	// maxStreams bounds the memory and connections that people can take.
	maxStreams = 16
	// streamKeepAlive is how often a stream without events says that it lives, so that
	// proxies keep it open.
	streamKeepAlive = 15 * time.Second
	// streamWriteTimeout is how long a reader may take nothing before it is
	// disconnected.
	streamWriteTimeout = time.Minute
)

// Stream serves the events from now on as server-sent events, those of a replica
// that leads: the query node=, eni= (a name or an id) and type=, each of them more
// than once or with commas, choose some. An event named dropped says how many the
// reader has lost by being slow.
// https://html.spec.whatwg.org/multipage/server-sent-events.html
func (b *Bus) Stream() http.Handler {
	places := make(chan struct{}, maxStreams)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		filter, err := filterOf(r)
		switch {
		case r.Method != http.MethodGet:
			w.Header().Set("Allow", http.MethodGet)
			http.Error(w, "only GET", http.StatusMethodNotAllowed)
			return
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			http.Error(w, fmt.Sprintf("%d streams are open already: close one", maxStreams), http.StatusServiceUnavailable)
			return
		}
		b.stream(w, r, filter)
	})
}

// filterOf reads the query of a request.
func filterOf(r *http.Request) (Filter, error) {
	var filter Filter
	for key, values := range r.URL.Query() {
		values = strings.Split(strings.Join(values, ","), ",")
		switch key {
		case "node":
			filter.Nodes = values
		case "eni":
			filter.ENIs = values
		case "type":
			for _, value := range values {
				if !slices.Contains(allTypes, Type(value)) {
					return filter, fmt.Errorf("type: there is no %q; choose from %s", value, listOf(allTypes))
				}
				filter.Types = append(filter.Types, Type(value))
			}
		default:
			return filter, fmt.Errorf("%s: there is no such filter; choose from node, eni, type", key)
		}
	}
	return filter, nil
}

func listOf(types []Type) string {
	names := make([]string, 0, len(types))
	for _, t := range types {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// stream writes until the reader leaves or the operator ends.
func (b *Bus) stream(w http.ResponseWriter, r *http.Request, filter Filter) {
	subscription := b.Subscribe(streamName, streamDepth, filter)
	defer subscription.Close()
	out := &streamWriter{response: w, control: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // as reverse proxies hear it
	out.print(": events of the ENI operator; only the replica that leads has some\n\n")
	told := uint64(0)
	for out.err == nil {
		next, cancel := context.WithTimeout(r.Context(), streamKeepAlive)
		e, err := subscription.Next(next)
		cancel()
		switch {
		case err == nil:
			out.event(string(e.Type), e)
		case errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil:
			out.print(": still here\n\n")
		default:
			return
		}
		if dropped := subscription.Dropped(); dropped != told {
			out.event("dropped", map[string]uint64{"dropped": dropped})
			told = dropped
		}
	}
}

// streamWriter writes until the first error.
type streamWriter struct {
	response http.ResponseWriter
	control  *http.ResponseController
	err      error
}

func (s *streamWriter) event(name string, data any) {
	line, err := json.Marshal(data)
	if err != nil {
		s.err = err
		return
	}
	s.print(fmt.Sprintf("event: %s\ndata: %s\n\n", name, line))
}

func (s *streamWriter) print(text string) {
	if s.err != nil {
		return
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(streamWriteTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.err = err
		return
	}
	if _, s.err = fmt.Fprint(s.response, text); s.err == nil {
		s.err = s.control.Flush()
	}
}
