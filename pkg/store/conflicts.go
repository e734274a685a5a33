/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/metrics"
	"github.com/eni-operator/eni-operator/pkg/tracing"
)

// conflictBackoff gives the cache time to show the write that came first: it is
// behind by more the busier the API server is, which another writer's retries make
// it. Two operators at once, by mistake, must not keep each other from going on.
var conflictBackoff = wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 1, Steps: 6}

// Conflicts are the requests of one controller whose last write was refused. The zero
// value is ready for use.
type Conflicts struct {
	mu       sync.Mutex
	backoffs map[reconcile.Request]*row
}

// row is a request's conflicts in a row.
type row struct {
	wait.Backoff
	length int
}

// idleDelay is how soon a replica that may not act looks whether it may again. Mostly
// it ends before.
const idleDelay = time.Second

// Settle turns a conflict into a counted requeue, each further one of a request in a
// row about twice as late. So it does, uncounted, with what is nobody's fault and would
// fill the log: work that was cut short because the operator is stopping, or because it
// does not lead any more. It leaves every other outcome as it is.
func (c *Conflicts) Settle(ctx context.Context, controller string, request reconcile.Request, result ctrl.Result, err error) (ctrl.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !apierrors.IsConflict(err) {
		delete(c.backoffs, request)
		if errors.Is(err, context.Canceled) || ec2.NotLeader(err) {
			return ctrl.Result{RequeueAfter: idleDelay}, nil
		}
		return result, err
	}
	metrics.Conflicts.WithLabelValues(controller).Inc()
	conflicts := c.backoffs[request]
	if conflicts == nil {
		conflicts = &row{Backoff: conflictBackoff}
		if c.backoffs == nil {
			c.backoffs = map[reconcile.Request]*row{}
		}
		c.backoffs[request] = conflicts
	}
	conflicts.length++
	tracing.Note(ctx, func() []attribute.KeyValue { return []attribute.KeyValue{tracing.Conflicts.Int(conflicts.length)} })
	return ctrl.Result{RequeueAfter: conflicts.Step()}, nil
}
