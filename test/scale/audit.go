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
			w.count(&event)
		}
	}
}

func (w writes) count(e *auditEvent) {
	if e.Stage != "ResponseComplete" || e.ObjectRef == nil || !slices.Contains([]string{"create", "update", "patch", "delete"}, e.Verb) {
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
