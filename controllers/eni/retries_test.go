/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// TestAPauseInTheQueueIsNoSuccess: what fails again and again is retried ever more rarely,
// also where it has to wait for its turn in between.
func TestAPauseInTheQueueIsNoSuccess(t *testing.T) {
	paused := &sync.Map{}
	limiter := retries{workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Second, time.Minute), paused}
	request := reconcile.Request{NamespacedName: types.NamespacedName{Name: "eni"}}

	assert.Equal(t, limiter.When(request), time.Second)
	paused.Store(request, true)
	limiter.Forget(request)
	assert.Equal(t, limiter.When(request), 2*time.Second)
	assert.Equal(t, limiter.NumRequeues(request), 2)
	limiter.Forget(request)
	assert.Equal(t, limiter.When(request), time.Second, "a success is one")
}
