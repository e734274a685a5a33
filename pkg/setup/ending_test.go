/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"context"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// unsyncedCache never syncs, as where the API server does not answer.
type unsyncedCache struct {
	*informertest.FakeInformers
	waits chan struct{}
}

func (c unsyncedCache) WaitForCacheSync(ctx context.Context) bool {
	close(c.waits)
	<-ctx.Done()
	return false
}

// TestAProcessEndsBeforeItsCachesHaveSynced: SIGTERM arrives while the API server does not
// answer.
func TestAProcessEndsBeforeItsCachesHaveSynced(t *testing.T) {
	unsynced := unsyncedCache{&informertest.FakeInformers{}, make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	manager, err := ctrl.NewManager(&rest.Config{Host: "http://127.0.0.1:1"}, ctrl.Options{
		Metrics: metricsserver.Options{BindAddress: "0"},
		NewCache: endingWith(ctx, func(*rest.Config, cache.Options) (cache.Cache, error) {
			return unsynced, nil
		}),
	})
	assert.NilError(t, err)
	ended := make(chan error)
	go func() { ended <- Run(ctx, manager) }()
	<-unsynced.waits
	cancel()
	select {
	case err := <-ended:
		assert.NilError(t, err)
	case <-time.After(time.Minute):
		t.Fatal("the process does not end")
	}
}

// TestNobodyIsToldThatUnsyncedCachesHaveSynced: controllers wait with the context of the
// process.
func TestNobodyIsToldThatUnsyncedCachesHaveSynced(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	made, err := endingWith(ctx, func(*rest.Config, cache.Options) (cache.Cache, error) {
		return unsyncedCache{&informertest.FakeInformers{}, make(chan struct{})}, nil
	})(nil, cache.Options{})
	assert.NilError(t, err)
	cancel()
	assert.Assert(t, !made.WaitForCacheSync(ctx))
}
