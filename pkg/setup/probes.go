/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/pkg/options"
)

// Names of the readiness checks.
const (
	webhooksCheck = "webhooks"
	cachesCheck   = "caches"
	ec2Check      = "ec2"
	trustCheck    = "ec2-trusted"
)

// addProbes adds /healthz and /readyz. A replica is ready once it can answer for
// admission: the webhooks are served, and what they read of Kubernetes is there. It need not
// reach EC2, since policies must be corrected and deleted while EC2 is away, by admission;
// /readyz?verbose and the condition EC2Trusted say whether it does.
func addProbes(mgr ctrl.Manager, inv *inventory.Inventory, o options.Options) error {
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	caches := &cachesSynced{}
	if err := mgr.Add(caches); err != nil {
		return err
	}
	checks := map[string]healthz.Checker{
		cachesCheck: caches.check,
		ec2Check:    onDemand(ec2Check, ec2Reached(inv)),
		trustCheck:  onDemand(trustCheck, ec2Trusted(inv)),
	}
	if o.EnableWebhooks {
		checks[webhooksCheck] = mgr.GetWebhookServer().StartedChecker()
	}
	for name, check := range checks {
		if err := mgr.AddReadyzCheck(name, check); err != nil {
			return err
		}
	}
	return nil
}

// cachesSynced is ready once the manager has started it, which it does when its caches
// have what the API server has.
type cachesSynced struct {
	started atomic.Bool
}

var _ manager.LeaderElectionRunnable = (*cachesSynced)(nil)

// NeedLeaderElection says that a standby's caches count as well: it serves webhooks.
func (*cachesSynced) NeedLeaderElection() bool { return false }

// Start notes that the caches are synced.
func (c *cachesSynced) Start(ctx context.Context) error {
	c.started.Store(true)
	<-ctx.Done()
	return nil
}

func (c *cachesSynced) check(*http.Request) error {
	if !c.started.Load() {
		return errors.New("the caches do not have all objects of the API server yet")
	}
	return nil
}

// onDemand makes a check of one that fails only for a person who asks for it, by its name
// or for details: the replica stays ready.
func onDemand(name string, check healthz.Checker) healthz.Checker {
	return func(request *http.Request) error {
		_, verbose := request.URL.Query()["verbose"]
		if !verbose && !strings.HasSuffix(request.URL.Path, "/"+name) {
			return nil
		}
		return check(request)
	}
}

// ec2Reached fails before EC2 has been read for the first time.
func ec2Reached(inv *inventory.Inventory) healthz.Checker {
	return func(*http.Request) error {
		if !inv.Synced() {
			return errors.New("EC2 was not read yet: the condition EC2Trusted of policies and the operator's log say why")
		}
		return nil
	}
}

// ec2Trusted fails while EC2 is not believed.
func ec2Trusted(inv *inventory.Inventory) healthz.Checker {
	return func(*http.Request) error {
		if now := inv.Trust(); now.Broken {
			return fmt.Errorf("%s: %s", now.Reason, now.Message)
		}
		return nil
	}
}
