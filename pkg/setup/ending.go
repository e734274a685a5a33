/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"context"
	"fmt"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// endingCache lets a manager shut down before its caches have synced. Without it the
// manager's Start waits for them in a busy loop, for as long as the API server does not
// answer, until the kubelet kills the process:
// https://github.com/kubernetes-sigs/controller-runtime/pull/3440
type endingCache struct {
	cache.Cache
	process context.Context
}

// endingWith makes caches for a process that ends with ctx.
func endingWith(ctx context.Context, newCache cache.NewCacheFunc) cache.NewCacheFunc {
	return func(config *rest.Config, options cache.Options) (cache.Cache, error) {
		made, err := newCache(config, options)
		if err != nil {
			return nil, fmt.Errorf("making the caches: %w", err)
		}
		return endingCache{Cache: made, process: ctx}, nil
	}
}

// WaitForCacheSync implements cache.Cache. When the process shuts down, it returns true to
// the manager, whose context is still open, so that Start goes on to its shutdown. To
// controllers, whose context has ended with the process, it returns false.
func (c endingCache) WaitForCacheSync(ctx context.Context) bool {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(c.process, stop)() //nolint:contextcheck // its end is what ends the waiting
	return c.Cache.WaitForCacheSync(waiting) || (c.process.Err() != nil && ctx.Err() == nil)
}
