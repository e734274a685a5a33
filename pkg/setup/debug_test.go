/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"gotest.tools/v3/assert"
	"k8s.io/client-go/rest"

	"github.com/eni-operator/eni-operator/pkg/options"
)

// TestDebugEndpointsInClearAreOnLoopbackOnly: the stream names every tenant's claims, and
// who raises the log's level fills the disk.
func TestDebugEndpointsInClearAreOnLoopbackOnly(t *testing.T) {
	for address, served := range map[string]bool{
		":8443": false, "0.0.0.0:8443": false, "10.0.0.7:8443": false, "[::]:8443": false, "0": false,
		"127.0.0.1:8080": true, "[::1]:8080": true, "localhost:8080": true,
	} {
		assert.Equal(t, len(debugHandlers(nil, options.Options{MetricsBindAddress: address})) > 0, served, address)
		assert.Assert(t, len(debugHandlers(nil, options.Options{MetricsBindAddress: address, MetricsSecure: true})) > 0, address)
	}
}

// TestStrangersDoNotHammerTheAPIServer: each request with another token is a question who
// that is.
func TestStrangersDoNotHammerTheAPIServer(t *testing.T) {
	var reviews atomic.Int32
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reviews.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":false}}`)
	}))
	defer api.Close()
	filter, err := authorized(&rest.Config{Host: api.URL, QPS: 1000, Burst: 1000}, api.Client())
	assert.NilError(t, err)
	guarded, err := filter(logr.Discard(), http.NotFoundHandler())
	assert.NilError(t, err)

	const strangers = 2*reviewsPerSecond + 15
	begun := time.Now()
	var asking sync.WaitGroup
	for i := range strangers {
		asking.Go(func() {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody)
			request.Header.Set("Authorization", fmt.Sprintf("Bearer stranger-%d", i))
			answer := httptest.NewRecorder()
			guarded.ServeHTTP(answer, request)
			assert.Check(t, answer.Code != http.StatusNotFound, "nobody is let through")
		})
	}
	asking.Wait()
	assert.Equal(t, reviews.Load(), int32(strangers), "each is asked about, in turn")
	least := (strangers - 2*reviewsPerSecond - 1) * time.Second / reviewsPerSecond
	assert.Assert(t, time.Since(begun) >= least, "%s for %d questions", time.Since(begun), strangers)
}
