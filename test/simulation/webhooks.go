/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/simulation/apiserver"
)

// hookServer serves the webhooks of a process without a socket.
type hookServer struct {
	mux *http.ServeMux

	mu      sync.Mutex
	serving bool
}

var _ webhook.Server = (*hookServer)(nil)

func newHookServer() *hookServer { return &hookServer{mux: http.NewServeMux()} }

// NeedLeaderElection implements webhook.Server.
func (*hookServer) NeedLeaderElection() bool { return false }

// Register implements webhook.Server.
func (h *hookServer) Register(path string, hook http.Handler) { h.mux.Handle(path, hook) }

// WebhookMux implements webhook.Server.
func (h *hookServer) WebhookMux() *http.ServeMux { return h.mux }

// Start serves until ctx ends.
func (h *hookServer) Start(ctx context.Context) error {
	h.set(true)
	<-ctx.Done()
	h.set(false)
	return nil
}

// StartedChecker implements webhook.Server.
func (h *hookServer) StartedChecker() healthz.Checker {
	return func(*http.Request) error {
		if !h.started() {
			return errors.New("the webhook server has not been started yet")
		}
		return nil
	}
}

func (h *hookServer) set(serving bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serving = serving
}

func (h *hookServer) started() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.serving
}

// hookService is the Service of the webhooks: it has one of the replicas answer.
type hookService struct {
	w *world

	mu  sync.Mutex
	rng *rand.Rand
}

// installWebhooks has the API server ask the operator about what is written.
func (w *world) installWebhooks(seed uint64) error {
	return w.api.Install(apiserver.Webhooks{
		Transport: &hookService{w: w, rng: rand.New(rand.NewPCG(seed, 7))}, //nolint:gosec // repeatable, not secret
		User: func(connection string) string {
			switch {
			case connection == people:
				return "kubernetes-admin"
			case strings.HasPrefix(connection, "replica-"), strings.HasPrefix(connection, uninstaller):
				return "system:serviceaccount:" + operatorSpace + ":eni-operator-controller-manager"
			default:
				return "system:" + connection
			}
		},
	})
}

// RoundTrip carries a review to a replica that serves webhooks.
func (s *hookService) RoundTrip(r *http.Request) (*http.Response, error) {
	var serving []*process
	for _, replica := range s.w.replicas {
		if p := replica.current(); p != nil && p.hooks.started() && !p.dead() {
			serving = append(serving, p)
		}
	}
	s.mu.Lock()
	p, ok := choose(s.rng, serving)
	s.mu.Unlock()
	if !ok {
		return nil, errors.New(`no endpoints available for service "webhook-service"`)
	}
	answer := httptest.NewRecorder()
	if err := p.connection.Reach(r.Context(), func() { p.hooks.mux.ServeHTTP(answer, r) }); err != nil {
		return nil, err
	}
	return answer.Result(), nil
}

// denied reports whether a webhook refused a write.
func denied(err error) bool {
	return err != nil && strings.Contains(err.Error(), "admission webhook") && strings.Contains(err.Error(), "denied the request")
}

// deleteInUse deletes an object as its webhook asks for: where it refuses, since the
// object is in use, the person annotates it and tries again.
func (w *world) deleteInUse(object client.Object) {
	err := client.IgnoreNotFound(w.Delete(w.ctx, object))
	w.ignore(err)
	if denied(err) && apierrors.IsForbidden(err) {
		w.annotate(object, v1alpha1.DeleteInUseAnnotation, "true")
		w.ignore(client.IgnoreNotFound(w.Delete(w.ctx, object)))
	}
}
