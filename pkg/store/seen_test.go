/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package store

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// TestReadsEndAfterAListWithoutEvents: a pool is written while the watch shows nothing, and
// is gone when the cache lists everything once more. No event ever has the version that was
// written, and reads end all the same.
func TestReadsEndAfterAListWithoutEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSight(t, pool("a", "1", 5))
		written := pool("a", "1", 5)
		w.answer = pool("a", "1", 17)
		assert.NilError(t, w.client.Status().Update(t.Context(), written))
		assert.ErrorContains(t, w.read(), "failed waiting to observe resource version 17", "the cache has not seen it")

		w.relist(20)
		assert.NilError(t, w.read())
	})
}

// TestReadsEndAfterAReplacement: a pool is deleted while the watch shows nothing, and
// another one has its name when the cache lists everything once more.
func TestReadsEndAfterAReplacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSight(t, pool("a", "1", 5))
		assert.NilError(t, w.client.Delete(t.Context(), pool("a", "1", 5)))
		assert.ErrorContains(t, w.read(), "failed waiting to observe deletes", "the cache has not seen it")

		w.relist(20, pool("a", "2", 19))
		assert.NilError(t, w.read())
	})
}

func pool(name, uid string, version int) *v1alpha1.ENIPool {
	return &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid), ResourceVersion: strconv.Itoa(version)}}
}

// sight is a client with a cache of pools that sees what the test lets it see.
type sight struct {
	t        *testing.T
	client   client.Client
	informer toolscache.SharedIndexInformer
	answer   *v1alpha1.ENIPool // to a write

	mu    sync.Mutex
	list  v1alpha1.ENIPoolList
	watch *watch.FakeWatcher
}

func newSight(t *testing.T, pools ...*v1alpha1.ENIPool) *sight {
	t.Helper()
	w := &sight{t: t}
	w.show(5, pools...)
	w.informer = toolscache.NewSharedIndexInformer(listWatch{&toolscache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.list.DeepCopy(), nil
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.watch = watch.NewFakeWithOptions(watch.FakeOptions{})
			return w.watch, nil
		},
	}}, &v1alpha1.ENIPool{}, 0, nil)
	go w.informer.RunWithContext(t.Context())

	scheme := runtime.NewScheme()
	assert.NilError(t, v1alpha1.AddToScheme(scheme))
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(v1alpha1.GroupVersion.WithKind("ENIPool"), meta.RESTScopeRoot)
	seen := &Seen{}
	var err error
	w.client, err = seen.NewClient(&rest.Config{Host: "http://kubernetes"}, client.Options{
		Scheme: scheme, Mapper: mapper, HTTPClient: &http.Client{Transport: w},
		Cache: &client.CacheOptions{Reader: onePoolCache{informer: w.informer}, EnableReadYourWritesConsistency: ptr.To(true)},
	})
	assert.NilError(t, err)
	go func() { assert.Check(t, seen.Start(t.Context())) }()
	assert.NilError(t, w.read())
	return w
}

// show is what the next list finds.
func (w *sight) show(version int, pools ...*v1alpha1.ENIPool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = v1alpha1.ENIPoolList{ListMeta: metav1.ListMeta{ResourceVersion: strconv.Itoa(version)}}
	for _, one := range pools {
		w.list.Items = append(w.list.Items, *one)
	}
}

// relist has the watch end in a way that makes the cache list everything once more.
func (w *sight) relist(version int, pools ...*v1alpha1.ENIPool) {
	w.show(version, pools...)
	w.mu.Lock()
	ended := w.watch
	w.mu.Unlock()
	ended.Error(&metav1.Status{Status: metav1.StatusFailure, Code: http.StatusGone, Reason: metav1.StatusReasonExpired})
}

// read lists pools for at most ten seconds.
func (w *sight) read() error {
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	return w.client.List(ctx, &v1alpha1.ENIPoolList{})
}

// RoundTrip answers a write.
func (w *sight) RoundTrip(r *http.Request) (*http.Response, error) {
	var content any = &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess}
	if r.Method != http.MethodDelete {
		content = w.answer
	}
	body, err := json.Marshal(content)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), Request: r,
	}, err
}

// listWatch lists, and streams no list.
type listWatch struct{ *toolscache.ListWatch }

func (listWatch) IsWatchListSemanticsUnSupported() bool { return true }

// onePoolCache is a cache of one kind.
type onePoolCache struct {
	client.Reader
	cache.Informers
	informer toolscache.SharedIndexInformer
}

func (c onePoolCache) GetInformer(context.Context, client.Object, ...cache.InformerGetOption) (cache.Informer, error) {
	return c.informer, nil
}

func (onePoolCache) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }
