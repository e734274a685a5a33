/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package audit

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

// Referee sees every state that any claim ever has, in the order in which
// Kubernetes stores them, and notes when two hold the same at once.
type Referee struct {
	end context.CancelFunc

	mu     sync.Mutex
	holds  map[types.UID][]string
	holder map[string]*v1alpha1.ENIClaim // by what is held
	fouls  []string
}

// NewReferee returns a referee of the claims from now on. End it.
func NewReferee(ctx context.Context, c client.WithWatch) (*Referee, error) {
	list := &v1alpha1.ENIClaimList{}
	if err := c.List(ctx, list); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	// The API server may end a watch at any time; this one goes on where it ended.
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return c.Watch(ctx, &v1alpha1.ENIClaimList{}, &client.ListOptions{Raw: &options})
		},
	})
	if err != nil {
		cancel()
		return nil, err
	}
	r := &Referee{end: cancel, holds: map[types.UID][]string{}, holder: map[string]*v1alpha1.ENIClaim{}}
	go func() {
		for event := range watcher.ResultChan() {
			if claim, ok := event.Object.(*v1alpha1.ENIClaim); ok {
				r.see(claim, event.Type == watch.Deleted)
			}
		}
		if ctx.Err() == nil {
			r.foul("the watch of the claims ended early")
		}
	}()
	return r, nil
}

// End ends the watch.
func (r *Referee) End() { r.end() }

func (r *Referee) see(claim *v1alpha1.ENIClaim, deleted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, what := range r.holds[claim.UID] {
		delete(r.holder, what)
	}
	delete(r.holds, claim.UID)
	if deleted || claim.Status.Address == "" {
		return
	}
	holds := []string{claim.Status.Address}
	if claim.Spec.Mode == v1alpha1.ModeExclusive {
		holds = append(holds, claim.Status.NetworkInterfaceID)
	}
	for _, what := range holds {
		if other := r.holder[what]; other != nil {
			r.fouls = append(r.fouls, fmt.Sprintf("%s was held by the claims %s and %s at once", what, other.Name, claim.Name))
			continue
		}
		r.holder[what] = claim
		r.holds[claim.UID] = append(r.holds[claim.UID], what)
	}
}

func (r *Referee) foul(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fouls = append(r.fouls, what)
}

// Fouls are all that went wrong so far.
func (r *Referee) Fouls() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.fouls...)
}
