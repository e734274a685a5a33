/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/pkg/tracing"
)

// auditor sweeps EC2 at the start and on being elected, until it succeeds, and
// then from time to time. It runs on every replica, so that a standby knows EC2
// when it takes over, but for what the last leader did since its last sweep.
type auditor struct {
	inventory *inventory.Inventory
	elected   <-chan struct{}
	interval  time.Duration
	log       logr.Logger
}

func newAuditor(inv *inventory.Inventory, elected <-chan struct{}, interval time.Duration, log logr.Logger) *auditor {
	return &auditor{inventory: inv, elected: elected, interval: interval, log: log}
}

var _ manager.LeaderElectionRunnable = (*auditor)(nil)

// NeedLeaderElection says that standbys sweep too.
func (a *auditor) NeedLeaderElection() bool { return false }

// firstSweep is how a sweep is repeated while EC2 cannot be reached.
var firstSweep = wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.2, Steps: 6, Cap: 30 * time.Second}

// auditJitter keeps the replicas, and the clusters of an account, apart.
const auditJitter = 0.1

// Start sweeps until ctx ends.
func (a *auditor) Start(ctx context.Context) error {
	for a.insist(ctx) {
		if !a.audit(ctx) {
			return nil
		}
	}
	return nil
}

// insist sweeps until it succeeds, and says whether it did before ctx ended.
func (a *auditor) insist(ctx context.Context) bool {
	a.log.Info("Reading our ENIs from EC2")
	backoff := firstSweep
	for !a.sweep(ctx, "Waiting for EC2: nothing is done before our ENIs are known") {
		if !pause(ctx, backoff.Step()) {
			return false
		}
	}
	a.log.Info("EC2 is reachable and our ENIs are known")
	return true
}

// audit sweeps from time to time, until this replica is elected or ctx ends, and
// says which it was. An election that the inventory knows of is none any more.
func (a *auditor) audit(ctx context.Context) (elected bool) {
	election := a.elected
	if a.inventory.Current() {
		election = nil
	}
	for {
		timer := time.NewTimer(wait.Jitter(a.untilNext(), auditJitter))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-election:
			timer.Stop()
			return true
		case <-timer.C:
			a.sweep(ctx, "Auditing failed; what is known stays")
		}
	}
}

// distrustedInterval is how long EC2 is given to agree again while it is not believed:
// all work waits for that.
const distrustedInterval = 15 * time.Second

// untilNext is the time until the next sweep.
func (a *auditor) untilNext() time.Duration {
	if a.inventory.Trust().Broken {
		return min(distrustedInterval, a.interval)
	}
	return a.interval
}

// sweep says whether it succeeded, and logs why not.
func (a *auditor) sweep(ctx context.Context, failure string) bool {
	ctx, span := tracing.Start(ctx, tracing.SpanAudit)
	defer span.End()
	err := a.inventory.Sweep(ctx)
	tracing.Fail(span, err)
	if err != nil && ctx.Err() == nil {
		reason, message := ec2.Explain(err)
		a.log.Error(err, failure, "reason", reason, "remedy", message)
	}
	return err == nil
}

// pause waits, and says whether it was not interrupted.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
