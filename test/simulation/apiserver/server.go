/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package apiserver is a Kubernetes API server in memory, behind an
// http.RoundTripper: an unmodified client-go talks to it without a socket, so that
// both can run on the virtual time of a testing/synctest bubble. It knows the kinds
// that the operator uses, validates those of the operator by their real CRDs, and
// plays the garbage collector and the namespace controller.
//
// Each client has a Connection of its own, whose watches lag, break and expire, and
// whose requests are refused, delayed or lost, as a test asks for.
package apiserver

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Write is a change that was stored.
type Write struct {
	// Connection is the name of the client that asked for it; Controller for the
	// cluster's own controllers.
	Connection string
	Group      string
	Resource   string
	Namespace  string
	Name       string
	// Before and After are the object's JSON; nil where there was or is none.
	Before, After []byte
	Status        bool // of the subresource status
}

// Request is a write that admission may refuse.
type Request struct {
	Connection  string
	Resource    string
	Namespace   string
	Name        string
	Verb        string // create, update, delete
	Subresource string
	// Object and Old are JSON; nil where there is none.
	Object, Old []byte
}

// Controller is the connection of what kube-controller-manager does.
const Controller = "kube-controller-manager"

// Server is the API server. Its methods may be called from several goroutines.
type Server struct {
	// Admit, where set, may refuse a write.
	Admit func(Request) error
	// Observe, where set, sees each change in the order in which they are stored. It
	// must not call the server.
	Observe func(Write)

	mu       sync.Mutex
	webhooks Webhooks
	kinds    map[string]*kind // by group/resource
	ordered  []*kind
	version  uint64
	rng      *rand.Rand
	swept    uint64 // the version up to which the controllers have looked
	refusals []string
}

// kind is a resource and its objects.
type kind struct {
	schema.GroupVersionKind
	resource   string
	namespaced bool
	// custom kinds have a generation and a status subresource.
	custom     bool
	transient  bool // accepted, validated and forgotten
	validation *validation
	objects    map[string]*object
	history    []change
	compacted  uint64 // changes up to here are no longer in history
	news       chan struct{}
}

// object is a stored object. It is never changed, only replaced.
type object struct {
	key     string // namespace/name
	content map[string]any
	raw     []byte
	version uint64
}

// change is an entry of a kind's history.
type change struct {
	version       uint64
	at            time.Time
	before, after *object // before is nil on creation, after on deletion
	deleted       []byte  // the last state, with the deletion's version
}

// historyLength is how many changes of a kind a watch can begin at.
const historyLength = 1000

// New returns an API server without objects.
func New(seed uint64) (*Server, error) {
	s := &Server{kinds: map[string]*kind{}, rng: rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // repeatable, not secret
	for _, k := range builtin() {
		s.addKind(k)
	}
	custom, err := customKinds()
	if err != nil {
		return nil, err
	}
	for _, k := range custom {
		s.addKind(k)
	}
	return s, nil
}

func (s *Server) addKind(k *kind) {
	k.objects = map[string]*object{}
	k.news = make(chan struct{})
	s.kinds[k.Group+"/"+k.resource] = k
	s.ordered = append(s.ordered, k)
}

func builtin() []*kind {
	of := func(group, name, resource string, namespaced bool) *kind {
		return &kind{GroupVersionKind: schema.GroupVersionKind{Group: group, Version: "v1", Kind: name}, resource: resource, namespaced: namespaced}
	}
	events := of("events.k8s.io", "Event", "events", true)
	events.transient = true
	oldEvents := of("", "Event", "events", true)
	oldEvents.transient = true
	selves := of("authentication.k8s.io", "SelfSubjectReview", selfSubjectReviews, false)
	selves.transient = true
	return []*kind{
		of("", "Namespace", "namespaces", false),
		of("", "Node", "nodes", false),
		of("", "Pod", "pods", true),
		of("", "Secret", "secrets", true),
		of("coordination.k8s.io", "Lease", "leases", true),
		of("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", false),
		events, oldEvents, selves,
	}
}

// key is an object's name within its kind.
func key(namespace, name string) string { return namespace + "/" + name }

func (k *kind) group() schema.GroupResource {
	return schema.GroupResource{Group: k.Group, Resource: k.resource}
}

// newUID returns a UID that the seed decides.
func (s *Server) newUID() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", s.rng.Uint32(), s.rng.Uint32()&0xffff,
		s.rng.Uint32()&0xfff, s.rng.Uint32()&0xfff, s.rng.Uint64()&0xffffffffffff)
}

// commit stores an object, or removes it, and tells watches and the observer.
func (s *Server) commit(connection string, k *kind, before *object, content map[string]any, status bool) (*object, error) {
	s.version++
	metadata(content)["resourceVersion"] = strconv.FormatUint(s.version, 10)
	raw, err := encode(content)
	if err != nil {
		return nil, err
	}
	after := &object{key: keyOf(content), content: content, raw: raw, version: s.version}
	entry := change{version: s.version, at: time.Now(), before: before, after: after}
	write := Write{
		Connection: connection, Group: k.Group, Resource: k.resource, Namespace: text(content, "metadata", "namespace"),
		Name: text(content, "metadata", "name"), After: raw, Status: status,
	}
	if before != nil {
		write.Before = before.raw
	}
	if before != nil && terminating(content) && len(finalizers(content)) == 0 {
		delete(k.objects, after.key)
		entry.after, entry.deleted, write.After = nil, raw, nil
	} else {
		k.objects[after.key] = after
	}
	k.history = append(k.history, entry)
	if len(k.history) > historyLength {
		cut := len(k.history) / 2
		k.compacted = k.history[cut-1].version
		k.history = append([]change(nil), k.history[cut:]...)
	}
	close(k.news)
	k.news = make(chan struct{})
	if s.Observe != nil {
		s.Observe(write)
	}
	return after, nil
}

// expire forgets the history of a kind, so that watches cannot go on where they were.
func (s *Server) expire(k *kind) {
	if n := len(k.history); n > 0 {
		k.compacted, k.history = k.history[n-1].version, nil
	}
}

// Refusals are the writes that validation or a webhook refused, the operator's events
// among them, and the answers of broken webhooks, since the last call.
func (s *Server) Refusals() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.refusals
	s.refusals = nil
	return taken
}

// refuse notes a write that validation or a webhook refused.
func (s *Server) refuse(connection string, k *kind, name string, err error) error {
	s.refusals = append(s.refusals, fmt.Sprintf("%s of %s by %s: %v", k.resource, name, connection, err))
	return err
}

func conflict(k *kind, name, format string, arguments ...any) error {
	return apierrors.NewConflict(k.group(), name, fmt.Errorf(format, arguments...))
}

// stamp is a time as the API shows it.
func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// Seed makes an object that has nothing but a name.
func (s *Server) Seed(group, resource, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[group+"/"+resource]
	content := map[string]any{"apiVersion": k.GroupVersion().String(), "kind": k.Kind, "metadata": map[string]any{
		"name": name, "uid": s.newUID(), "creationTimestamp": stamp(time.Now()),
	}}
	if _, err := s.commit(Controller, k, nil, content, false); err != nil {
		panic(err)
	}
}

// Forbidden is how admission refuses.
func Forbidden(resource, name, why string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, name, errors.New(why))
}
