/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/pprof/profile"
)

// bench is the world of one run.
type bench struct {
	settings settings
	fleet    fleet
	// folder holds the logs and the operator's binary.
	folder   string
	cloud    *cloud
	cluster  *cluster
	audit    *auditLog
	pools    *poolWatch
	operator *operator
	// standbys is how many were started.
	standbys int
	// joined: the fleet's Nodes exist and their pools are full.
	joined bool
	// afterStart is done when the operator acts and before the fleet joins.
	afterStart func() error
	// profiled: the operator is, while the fleet joins; cpu is what that found.
	profiled bool
	cpu      *profile.Profile
}

// start brings up everything but the operator. What it returns beside an error is
// to be stopped too.
func start(ctx context.Context, s settings, f fleet) (*bench, error) {
	b := &bench{settings: s, fleet: f, profiled: s.profiles != ""}
	var err error
	if b.folder, err = os.MkdirTemp("", "eni-operator-scale-"); err != nil {
		return nil, err
	}
	if err := b.keepOperator(); err != nil {
		return b, err
	}
	say("Launching %d instances %s; leader election is %s; machine: %s", s.nodes, f.kind, onOff(s.leaderElect), machineLoad())
	if b.cloud, err = startCloud(s.nodes, f.kind); err != nil {
		return b, err
	}
	if err := b.cloud.launchFleet(ctx, s.nodes); err != nil {
		return b, fmt.Errorf("launching the fleet: %w", err)
	}
	say("Starting etcd and kube-apiserver")
	auditFile := filepath.Join(b.folder, "audit.log")
	if b.cluster, err = startCluster(ctx, b.folder, auditFile); err != nil {
		return b, err
	}
	b.audit = &auditLog{path: auditFile, user: operatorUser, counts: writes{}}
	b.pools = watchPools(ctx, b.cluster, f.minimumIPs)
	return b, b.cluster.createPolicy(ctx, f)
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// keepOperator copies the binary, so that a build meanwhile changes nothing.
func (b *bench) keepOperator() error {
	from, err := os.Open(b.settings.operator)
	if err != nil {
		return fmt.Errorf("%w (run: make build)", err)
	}
	defer func() { _ = from.Close() }()
	path := filepath.Join(b.folder, "eni-operator")
	into, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	if _, err := io.Copy(into, from); err != nil {
		_ = into.Close()
		return err
	}
	b.settings.operator = path
	return into.Close()
}

// stop ends everything, and keeps the logs of a run that failed.
func (b *bench) stop(succeeded bool) {
	if b.operator != nil {
		_ = b.operator.process.Stop()
	}
	if b.pools != nil {
		b.pools.stop()
	}
	if b.cluster != nil {
		_ = b.cluster.plane.Stop()
	}
	if b.cloud != nil {
		b.cloud.stop()
	}
	if succeeded {
		_ = os.RemoveAll(b.folder)
		return
	}
	say("The logs are in %s", b.folder)
}

// startOperator starts the operator with its shipped settings and the flags
// given, and returns when it leads and knows EC2.
func (b *bench) startOperator(ctx context.Context, flags ...string) error {
	var err error
	b.operator, err = launchOperator(b, "operator.log", flags)
	if err != nil {
		return err
	}
	return b.operator.awaitActing(ctx, b.cluster)
}

// stopOperator ends the operator with SIGTERM.
func (b *bench) stopOperator() error {
	err := b.operator.process.Stop()
	b.operator = nil
	return err
}

// joinTimeout bounds how long the fleet may take, to tell a slow run from one
// that stands still.
func joinTimeout(nodes int) time.Duration { return 3*joinFloor(nodes) + 3*time.Minute }

// settle makes the fleet join, unless it has, and has the operator run idle.
func (b *bench) settle(ctx context.Context) error {
	if b.operator == nil {
		if err := b.startOperator(ctx); err != nil {
			return err
		}
	}
	if !b.joined {
		say("Filling the fleet, unthrottled by EC2 but at the operator's own pace (at least %s)", joinFloor(b.settings.nodes))
		b.cloud.emulator.SetThrottling(false)
		if _, err := b.joinFleet(ctx); err != nil {
			return err
		}
	}
	if err := b.awaitQuiet(ctx); err != nil {
		return err
	}
	b.cloud.throttle()
	return nil
}

const (
	// quiet is for how long nothing must happen for the operator to be idle.
	quiet = 4 * time.Second
	// quietTimeout is when it is taken for one that never is.
	quietTimeout = 2 * time.Minute
	// glance is the pause between two looks.
	glance = 100 * time.Millisecond
)

// awaitQuiet returns when the operator has called neither EC2 nor, but for its
// lease, Kubernetes for a while. Events come and go as they like.
func (b *bench) awaitQuiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, quietTimeout)
	defer cancel()
	last, since := -1, time.Now()
	for time.Since(since) < quiet {
		kubernetes, err := b.audit.read()
		if err != nil {
			return err
		}
		now := b.cloud.calls().total() + kubernetes.total()
		if now != last {
			last, since = now, time.Now()
		}
		if err := b.operator.alive(); err != nil {
			return err
		}
		if !pause(ctx, glance) {
			return fmt.Errorf("the operator does not come to rest within %s", quietTimeout)
		}
	}
	return nil
}

// pause waits, and says whether it was not interrupted.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
