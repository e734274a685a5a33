/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"context"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// referee sees every state that any claim ever had, in the order in which
// Kubernetes stored them, and notes when two claims hold the same thing at once.
type referee struct {
	mu    sync.Mutex
	bound map[types.UID]*v1alpha1.ENIClaim
	// gone are the claims that were deleted.
	gone  map[types.UID]bool
	fouls []string
	seen  int
}

func newReferee(ctx context.Context, w *world) (*referee, error) {
	list := &v1alpha1.ENIClaimList{}
	if err := w.List(ctx, list); err != nil {
		return nil, err
	}
	// The API server may end a watch at any time; this one goes on where it ended.
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return w.Watch(ctx, &v1alpha1.ENIClaimList{}, &client.ListOptions{Raw: &options})
		},
	})
	if err != nil {
		return nil, err
	}
	r := &referee{bound: map[types.UID]*v1alpha1.ENIClaim{}, gone: map[types.UID]bool{}}
	go func() {
		for event := range watcher.ResultChan() {
			if claim, ok := event.Object.(*v1alpha1.ENIClaim); ok {
				r.see(claim, event.Type == watch.Deleted)
			}
		}
		r.foul(ctx.Err() == nil, "the watch of the claims ended early")
	}()
	return r, nil
}

func (r *referee) see(claim *v1alpha1.ENIClaim, deleted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen++
	delete(r.bound, claim.UID)
	if deleted {
		r.gone[claim.UID] = true
	}
	if deleted || claim.Status.Address == "" {
		return
	}
	for _, other := range r.bound {
		sameAddress := other.Status.Address == claim.Status.Address
		sameENI := other.Status.NetworkInterfaceID == claim.Status.NetworkInterfaceID
		wholeENI := claim.Spec.Mode == v1alpha1.ModeExclusive || other.Spec.Mode == v1alpha1.ModeExclusive
		if sameAddress || (sameENI && wholeENI) {
			r.fouls = append(r.fouls, fmt.Sprintf("%s of %s is held by the claims %s/%s and %s/%s at once", claim.Status.Address,
				claim.Status.NetworkInterfaceID, claim.Namespace, claim.Name, other.Namespace, other.Name))
		}
	}
	r.bound[claim.UID] = claim
}

func (r *referee) foul(happened bool, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if happened {
		r.fouls = append(r.fouls, what)
	}
}

// report returns all that went wrong so far.
func (r *referee) report() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.fouls...)
}

// sawEnd says whether a claim was deleted.
func (r *referee) sawEnd(uid types.UID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gone[uid]
}

// states is how many states of claims were seen.
func (r *referee) states() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}
