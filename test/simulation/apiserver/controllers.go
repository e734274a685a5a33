/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package apiserver

import (
	"context"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// controllerInterval is how often the cluster's own controllers look.
const controllerInterval = 5 * time.Second

// Run plays the namespace controller and the garbage collector until ctx ends.
func (s *Server) Run(ctx context.Context) {
	for pause(ctx, controllerInterval) == nil {
		s.Sweep()
	}
}

// Sweep empties namespaces that are being deleted, and deletes what has only owners
// that are gone.
func (s *Server) Sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.swept == s.version {
		return
	}
	s.swept = s.version
	owners := map[string]bool{}
	for _, k := range s.ordered {
		for _, o := range k.objects {
			owners[text(o.content, "metadata", "uid")] = true
		}
	}
	for _, k := range s.ordered {
		for _, o := range maps.Clone(k.objects) {
			if orphaned(o, owners) {
				s.sweep(k, o)
			}
		}
	}
	namespaces := s.kinds["/namespaces"]
	for _, o := range maps.Clone(namespaces.objects) {
		if terminating(o.content) {
			s.empty(namespaces, o)
		}
	}
}

// sweep deletes an object. Where that fails, the controllers look again.
func (s *Server) sweep(k *kind, o *object) {
	if _, err := s.remove(Controller, k, o, metav1.DeleteOptions{}); err != nil {
		s.swept = 0
	}
}

func orphaned(o *object, owners map[string]bool) bool {
	references, _ := lookup(o.content, "metadata", "ownerReferences").([]any)
	for _, reference := range references {
		owner, _ := reference.(map[string]any)
		if owners[text(owner, "uid")] {
			return false
		}
	}
	return len(references) > 0
}

// empty deletes what is in a namespace and, once nothing is, the namespace.
func (s *Server) empty(namespaces *kind, namespace *object) {
	name, left := text(namespace.content, "metadata", "name"), false
	for _, k := range s.ordered {
		for _, o := range maps.Clone(k.objects) {
			if k.namespaced && text(o.content, "metadata", "namespace") == name {
				s.sweep(k, o)
				_, stays := k.objects[o.key]
				left = left || stays
			}
		}
	}
	if left || namespaces.objects[namespace.key] != namespace {
		s.swept = 0 // Look again, whatever happens.
		return
	}
	after := maps.Clone(namespace.content)
	meta := maps.Clone(metadata(after))
	after["metadata"] = meta
	delete(meta, "finalizers")
	_, _ = s.commit(Controller, namespaces, namespace, after, false)
}
