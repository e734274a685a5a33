/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// operator is the operator's process.
type operator struct {
	process *controlplane.Process
	logFile string
	health  string // host and port
	// profiles is the host and port of net/http/pprof, if it is there.
	profiles string
	// began is the moment before exec.
	began time.Time
	elect bool
}

// launchOperator starts the binary as it is shipped: further flags are what a row
// needs to change.
func launchOperator(b *bench, logName string, flags []string) (*operator, error) {
	health, err := freeAddress()
	if err != nil {
		return nil, err
	}
	o := &operator{health: health, logFile: filepath.Join(b.folder, logName), elect: b.settings.leaderElect}
	if b.profiled {
		if o.profiles, err = freeAddress(); err != nil {
			return nil, err
		}
		flags = append(flags, "--pprof-bind-address="+o.profiles)
	}
	o.process = &controlplane.Process{
		Path: b.settings.operator,
		Args: append([]string{
			"--kubeconfig=" + b.cluster.operator.KubeconfigPath,
			"--cluster-name=" + clusterName,
			fmt.Sprintf("--leader-elect=%t", o.elect),
			"--leader-elect-namespace=" + namespace,
			"--health-probe-bind-address=" + o.health,
			"--metrics-bind-address=0",
		}, flags...),
		Env:         emulator.Environment(b.cloud.endpoint, region, "AKIAOPERATOR"),
		LogFile:     o.logFile,
		StopTimeout: 30 * time.Second,
	}
	o.began = time.Now()
	return o, o.process.Start()
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// actTimeout bounds the operator's start.
const actTimeout = 2 * time.Minute

// awaitActing returns when the operator is ready and holds the leader lease.
func (o *operator) awaitActing(ctx context.Context, c *cluster) error {
	return o.await(ctx, func(ctx context.Context) error { return errors.Join(o.ready(ctx), o.leads(ctx, c)) })
}

// awaitReady returns when the operator is ready to take the lead.
func (o *operator) awaitReady(ctx context.Context) error { return o.await(ctx, o.ready) }

func (o *operator) await(ctx context.Context, lacks func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	for {
		missing := lacks(ctx)
		if missing == nil {
			return nil
		}
		if err := o.alive(); err != nil {
			return err
		}
		if !pause(ctx, glance) {
			return fmt.Errorf("the operator does not begin to act: %w", missing)
		}
	}
}

// ready returns what /readyz has to say against the operator, with details: whether it
// has read EC2.
func (o *operator) ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.health+"/readyz?verbose", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz?verbose: %s", response.Status)
	}
	return nil
}

var errNotLeading = errors.New("it does not hold the leader lease")

// leads returns an error while somebody who has stopped, or nobody, holds the
// lease.
func (o *operator) leads(ctx context.Context, c *cluster) error {
	if !o.elect {
		return nil
	}
	leases := &coordinationv1.LeaseList{}
	if err := c.List(ctx, leases, client.InNamespace(namespace)); err != nil {
		return err
	}
	for i := range leases.Items {
		spec := &leases.Items[i].Spec
		if ptr.Deref(spec.HolderIdentity, "") != "" && spec.AcquireTime != nil && spec.AcquireTime.After(o.began) {
			return nil
		}
	}
	return errNotLeading
}

// alive fails when the operator has ended by itself.
func (o *operator) alive() error {
	select {
	case <-o.process.Done():
		return fmt.Errorf("the operator ended by itself (%w); its last words:\n%s", cmp.Or(o.process.Wait(), errEnded), tail(o.logFile, lastWords))
	default:
		return nil
	}
}

var errEnded = errors.New("exit status 0")

// lastWords is how many lines of the log explain an end.
const lastWords = 5

// tail returns the last lines of a file, or why there are none.
func tail(path string, lines int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
