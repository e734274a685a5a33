/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
)

// writes counts one user's writes to Kubernetes by verb and resource, as in
// "update enipools/status". A write that was refused counts like any other.
type writes map[string]int

// The keys of writes that are counted apart: they come and go with the clock, and
// none waits for them.
const (
	leaseWrites = "leases"
	eventWrites = "events"
	// conflicts are among the other writes too.
	conflicts = "conflicts"
)

// auditLog follows kube-apiserver's audit log.
type auditLog struct {
	path   string
	user   string
	offset int64
	counts writes
}

// auditEvent is what is needed of audit.k8s.io/v1, Event.
type auditEvent struct {
	Stage string `json:"stage"`
	Verb  string `json:"verb"`
	User  struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef *struct {
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	ResponseStatus *struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// read returns the writes since the start.
func (a *auditLog) read() (writes, error) {
	file, err := os.Open(a.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if _, err := file.Seek(a.offset, io.SeekStart); err != nil {
		return nil, err
	}
	read, err := a.counts.add(file, a.user)
	a.offset += read
	return maps.Clone(a.counts), err
}

// add counts the whole lines of a log, and returns their length.
func (w writes) add(log io.Reader, user string) (read int64, err error) {
	return eachEvent(log, user, w.count)
}

// eachEvent hands over a user's events, and returns the length of the whole lines of
// a log.
func eachEvent(log io.Reader, user string, see func(*auditEvent)) (read int64, err error) {
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return read, nil // The rest of a line comes later.
		}
		if err != nil {
			return read, err
		}
		var event auditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return read, fmt.Errorf("reading the audit log: %w", err)
		}
		read += int64(len(line))
		if event.User.Username == user {
			see(&event)
		}
	}
}

func (e *auditEvent) isWrite() bool {
	return e.Stage == "ResponseComplete" && e.ObjectRef != nil && slices.Contains([]string{"create", "update", "patch", "delete"}, e.Verb)
}

func (w writes) count(e *auditEvent) {
	if !e.isWrite() {
		return
	}
	switch resource := e.ObjectRef.Resource; resource {
	case leaseWrites, eventWrites:
		w[resource]++
		return
	default:
		if e.ObjectRef.Subresource != "" {
			resource += "/" + e.ObjectRef.Subresource
		}
		w[e.Verb+" "+resource]++
	}
	if e.ResponseStatus != nil && e.ResponseStatus.Code == http.StatusConflict {
		w[conflicts]++
	}
}

// since is what came after an earlier count.
func (w writes) since(before writes) writes {
	later := writes{}
	for kind, count := range w {
		if count -= before[kind]; count > 0 {
			later[kind] = count
		}
	}
	return later
}

// kinds are the writes that tell how much work was done, in order.
func (w writes) kinds() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(w)), func(kind string) bool {
		return kind == leaseWrites || kind == eventWrites || kind == conflicts
	})
}

// of counts the writes of some resources, their status included.
func (w writes) of(resources ...string) int {
	sum := 0
	for _, kind := range w.kinds() {
		_, resource, _ := strings.Cut(kind, " ")
		resource, _, _ = strings.Cut(resource, "/")
		if slices.Contains(resources, resource) {
			sum += w[kind]
		}
	}
	return sum
}

func (w writes) total() int {
	total := 0
	for _, kind := range w.kinds() {
		total += w[kind]
	}
	return total
}

// rounds are the writes of pools that serve claims.
type rounds struct {
	// writes of all pools, and idle those of them before which no claim of the pool's
	// node had become one to serve since the last.
	writes, idle int
}

// rounds reads on, and tells the rounds in what it reads. The claims' nodes are given
// by the claims' namespace and name.
func (a *auditLog) rounds(from int64, nodes map[string]string) (rounds, error) {
	file, err := os.Open(a.path)
	if err != nil {
		return rounds{}, err
	}
	defer func() { _ = file.Close() }()
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return rounds{}, err
	}
	var r rounds
	fresh := map[string]bool{}
	_, err = eachEvent(file, a.user, func(e *auditEvent) {
		switch {
		case !e.isWrite():
		case e.ObjectRef.Resource == "eniclaims" && e.Verb == "patch":
			fresh[nodes[e.ObjectRef.Namespace+"/"+e.ObjectRef.Name]] = true
		case e.ObjectRef.Resource == "enipools":
			r.writes++
			if !fresh[e.ObjectRef.Name] {
				r.idle++
			}
			fresh[e.ObjectRef.Name] = false
		}
	})
	return r, err
}
