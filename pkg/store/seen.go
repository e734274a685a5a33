/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// seenInterval is how late a client may learn what its cache has seen without an event.
const seenInterval = time.Second

// Seen makes a client whose reads wait until the cache has seen the client's own writes.
// controller-runtime's takes that from events alone. A cache that lists everything once
// more, as after a watch that failed, has no event with the last version of an object that
// is gone by then: all reads of the kind would wait for ever, if nobody else wrote one.
// Seen therefore looks at the cache itself. The zero value is ready to use; it must run.
type Seen struct {
	mu        sync.Mutex
	followers []*follower
}

// follower waits for what a store has seen.
type follower struct {
	handler toolscache.ResourceEventHandler
	store   toolscache.Store
	told    string
}

// NewClient is a client.NewClientFunc.
func (s *Seen) NewClient(config *rest.Config, options client.Options) (client.Client, error) {
	if options.Cache == nil {
		return client.New(config, options)
	}
	informers, ok := options.Cache.Reader.(cache.Informers)
	if !ok {
		return nil, fmt.Errorf("making a client that reads its own writes: %T has no informers", options.Cache.Reader)
	}
	settings := *options.Cache
	settings.Reader = &followedCache{Reader: options.Cache.Reader, Informers: informers, seen: s}
	options.Cache = &settings
	return client.New(config, options)
}

// Start runs until the context ends.
func (s *Seen) Start(ctx context.Context) error {
	ticker := time.NewTicker(seenInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.tell()
		}
	}
}

// NeedLeaderElection is false: a standby reads as well.
func (*Seen) NeedLeaderElection() bool { return false }

// tell shows each client the version up to which its cache has seen everything.
func (s *Seen) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.followers {
		version := f.store.LastStoreSyncResourceVersion()
		if version == "" || version == f.told {
			continue
		}
		f.told = version
		f.handler.OnUpdate(nil, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version}})
	}
}

func (s *Seen) follow(handler toolscache.ResourceEventHandler, store toolscache.Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.followers = append(s.followers, &follower{handler: handler, store: store})
}

// followedCache returns informers that report to their handlers what the store has seen.
type followedCache struct {
	client.Reader
	cache.Informers
	seen *Seen
}

// GetInformer returns the informer of a kind.
func (c *followedCache) GetInformer(ctx context.Context, object client.Object, options ...cache.InformerGetOption) (cache.Informer, error) {
	informer, err := c.Informers.GetInformer(ctx, object, options...)
	if err != nil {
		return nil, err
	}
	stored, ok := informer.(interface{ GetStore() toolscache.Store })
	if !ok {
		return nil, fmt.Errorf("reading what the cache has seen of %T: %T has no store", object, informer)
	}
	return &followedInformer{Informer: informer, store: stored.GetStore(), seen: c.seen}, nil
}

type followedInformer struct {
	cache.Informer
	store toolscache.Store
	seen  *Seen
}

// AddEventHandler has a handler follow what the store sees.
func (i *followedInformer) AddEventHandler(handler toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	registration, err := i.Informer.AddEventHandler(replacements{handler})
	if err != nil {
		return nil, err
	}
	i.seen.follow(handler, i.store)
	return registration, nil
}

// replacements shows an object that took the place of another one of its name, of which
// a list has no event of its own, as the other one's deletion too.
type replacements struct {
	toolscache.ResourceEventHandler
}

// OnUpdate is called with what the cache had, and what it has now.
func (r replacements) OnUpdate(before, after any) {
	was, okBefore := before.(client.Object)
	is, okAfter := after.(client.Object)
	if okBefore && okAfter && was.GetUID() != is.GetUID() {
		r.OnDelete(before)
	}
	r.ResourceEventHandler.OnUpdate(before, after)
}
