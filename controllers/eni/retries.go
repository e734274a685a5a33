/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"sync"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// retries is a rate limiter for which a pause in EC2's queue is no success: otherwise each
// pause between two failures would have the next retry come as soon as the first.
type retries struct {
	workqueue.TypedRateLimiter[reconcile.Request]

	paused *sync.Map // by reconcile.Request
}

// Forget is called whenever a reconcile ends without an error.
func (r retries) Forget(request reconcile.Request) {
	if _, paused := r.paused.LoadAndDelete(request); !paused {
		r.TypedRateLimiter.Forget(request)
	}
}
