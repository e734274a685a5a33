/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package serving

import (
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	rbacv1 "k8s.io/api/rbac/v1"
)

// stranger is a client that takes any certificate, as whoever tries does.
func stranger() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // it asks who may ask, not who answers
	}}
}

// TestMetricsAreForThoseWhoMay: also what else the metrics server has.
func TestMetricsAreForThoseWhoMay(t *testing.T) {
	w := newWorld(t)
	address := freeAddress(t)
	o := w.start(plane.KubeconfigPath, "--metrics-bind-address="+address)
	o.awaitReady()
	awaitAnswer(t, "https://"+address)
	nobody := w.token(unique(t) + "-nobody")
	reader := w.token(unique(t)+"-reader", rbacv1.PolicyRule{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}})
	for _, path := range []string{"/metrics", "/debug/events"} {
		status, body := get(t, "https://"+address+path, "")
		assert.NilError(t, wants(http.StatusUnauthorized, status, body), path)
		// controller-runtime answers 500 to a token that is none.
		status, body = get(t, "https://"+address+path, "no-token")
		assert.Assert(t, status >= http.StatusUnauthorized && !strings.Contains(body, "eni_operator"), "%d: %s", status, body)
		status, body = get(t, "https://"+address+path, nobody)
		assert.NilError(t, wants(http.StatusForbidden, status, body), path)
		assert.Assert(t, !strings.Contains(body, "eni_operator"))
	}
	status, body := get(t, "https://"+address+"/metrics", reader)
	assert.NilError(t, wants(http.StatusOK, status, body))
	assert.Assert(t, strings.Contains(body, "eni_operator_fenced_writes_total"))
	status, _ = get(t, "http://"+address+"/metrics", reader)
	assert.Assert(t, status != http.StatusOK, "in clear")
}

// TestProfilingIsOffUnlessAskedFor: on none of the ports that there are.
func TestProfilingIsOffUnlessAskedFor(t *testing.T) {
	w := newWorld(t)
	metrics, profiling := freeAddress(t), freeAddress(t)
	o := w.start(plane.KubeconfigPath, "--metrics-secure=false", "--metrics-bind-address="+metrics)
	o.awaitReady()
	for _, address := range []string{metrics, o.health} {
		awaitAnswer(t, "http://"+address)
		status, body := get(t, "http://"+address+"/debug/pprof/", "")
		assert.NilError(t, wants(http.StatusNotFound, status, body))
	}
	assert.NilError(t, o.process.Stop())

	o = w.start(plane.KubeconfigPath, "--pprof-bind-address="+profiling)
	o.awaitReady()
	awaitAnswer(t, "http://"+profiling)
	status, body := get(t, "http://"+profiling+"/debug/pprof/", "")
	assert.NilError(t, wants(http.StatusOK, status, body))
}

// awaitAnswer waits for a server that /readyz does not wait for.
func awaitAnswer(t *testing.T, url string) {
	t.Helper()
	eventually(t, func() error {
		if status, body := get(t, url, ""); status == 0 {
			return errors.New(body)
		}
		return nil
	})
}
