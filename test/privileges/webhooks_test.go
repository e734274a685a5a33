/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package privileges

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"gotest.tools/v3/assert"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/test/flow"
)

// serviceRoute stands in for kube-proxy: what the API server sends to a Service goes to
// the replica that is named.
type serviceRoute struct {
	t       *testing.T
	replica atomic.Value // host and port
}

// newServiceRoute returns one, and the argument that has the API server use it.
func newServiceRoute(t *testing.T) (*serviceRoute, string) {
	t.Helper()
	route := &serviceRoute{t: t}
	folder := t.TempDir()
	socket, config := filepath.Join(folder, "socket"), filepath.Join(folder, "egress.yaml")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	assert.NilError(t, err)
	server := &http.Server{Handler: route, ReadHeaderTimeout: 0} //nolint:gosec // the API server alone knows of it
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	assert.NilError(t, os.WriteFile(config, []byte(`apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      uds:
        udsName: `+socket+`
`), 0o600))
	return route, "--egress-selector-config-file=" + config
}

// ServeHTTP answers CONNECT.
func (r *serviceRoute) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	replica, _ := r.replica.Load().(string)
	there, err := net.Dial("tcp", replica)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = there.Close() }()
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = here.Close() }()
	_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() {
		_, _ = io.Copy(there, here)
		_ = there.Close()
	}()
	_, _ = io.Copy(here, there)
}

// webhookFlags have a replica serve its webhooks where the route can be led to.
func webhookFlags(t *testing.T) (address string, flags []string) {
	t.Helper()
	address = flow.FreeAddress(t)
	host, port, _ := strings.Cut(address, ":")
	return address, []string{"--enable-webhooks", "--webhook-host=" + host, "--webhook-port=" + port}
}

// installWebhooks makes Service and configuration as config/self-managed ships them.
func installWebhooks(t *testing.T, w *flow.World) {
	t.Helper()
	for _, object := range manifests(t, "config/self-managed") {
		if kind := object.GetKind(); kind == "ValidatingWebhookConfiguration" || kind == "Service" {
			assert.NilError(t, w.Create(t.Context(), object))
		}
	}
}

// awaitAsked returns when the API server asks the replica, and trusts it.
func awaitAsked(t *testing.T, w *flow.World) {
	t.Helper()
	wrong := flow.Policy()
	wrong.Name, wrong.Spec.StartupTaint = "wrong", "a..b/c"
	flow.Eventually(t, "the API server asks the replica", func() error {
		err := w.Create(t.Context(), wrong.DeepCopy(), client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), "spec.startupTaint") {
			return fmt.Errorf("a wrong policy is answered with: %w", err)
		}
		return nil
	})
}

// rotate breaks the kept certificates: another replica makes them anew, and the API
// server trusts those.
func rotate(t *testing.T, w *flow.World, route *serviceRoute, start func(flags ...string) *flow.Operator) (standby *flow.Operator) {
	t.Helper()
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: namespace, Name: "eni-operator-webhook-certificate"}
	assert.NilError(t, w.Get(t.Context(), key, secret))
	before := string(secret.Data["ca.crt"])
	delete(secret.Data, "ca.key")
	assert.NilError(t, w.Update(t.Context(), secret))

	address, flags := webhookFlags(t)
	standby = start(flags...)
	standby.AwaitReady()
	assert.NilError(t, w.Get(t.Context(), key, secret))
	after := string(secret.Data["ca.crt"])
	assert.Assert(t, after != before && after != "", "the authority is a new one")
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	assert.NilError(t, w.Get(t.Context(), client.ObjectKey{Name: "eni-operator-validating-webhook-configuration"}, configuration))
	for _, hook := range configuration.Webhooks {
		assert.Equal(t, string(hook.ClientConfig.CABundle), after, hook.Name)
	}
	route.replica.Store(address)
	awaitAsked(t, w)
	return standby
}

// removeWebhooks has the API server ask nobody any more, as uninstalling does.
func removeWebhooks(t *testing.T, w *flow.World) {
	t.Helper()
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	configuration.Name = "eni-operator-validating-webhook-configuration"
	assert.NilError(t, w.Delete(t.Context(), configuration))
	flow.Eventually(t, "the API server asks nobody any more", func() error {
		err := w.Create(t.Context(), flow.Policy(), client.DryRunAll)
		if err != nil && strings.Contains(err.Error(), "webhook") {
			return err
		}
		return nil
	})
}
