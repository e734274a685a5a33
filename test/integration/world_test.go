/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/cluster"
	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/emulator/sdk"
)

const (
	region      = "us-east-1"
	zoneA       = "us-east-1a"
	zoneB       = "us-east-1b"
	clusterName = "integration"
	// operatorKey and testKey tell the callers apart in the emulator's log.
	operatorKey = "AKIAOPERATOR"
	testKey     = "AKIATEST"
)

// cloud is an EC2 endpoint, and a client of the tests' own.
type cloud struct {
	*ec2.Client
	server *emulator.Server
	http   *httptest.Server

	mu sync.Mutex
	// others are the ENIs that are not ours, and their attachments.
	others map[string]bool
}

func newCloud(timings emulator.Timings) *cloud {
	c := &cloud{
		server: emulator.New(emulator.Options{Timings: timings, Throttling: emulator.Throttling{Off: true}}),
		others: map[string]bool{},
	}
	c.http = httptest.NewServer(c.server)
	c.Client = sdk.New(c.http.URL, region, testKey)
	return c
}

func (c *cloud) stop() { c.http.Close() }

// protect has the referee of the call log watch over an ENI of somebody else, or
// over its attachment.
func (c *cloud) protect(ids ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		c.others[id] = true
	}
}

// unprotect takes an ENI out of the referee's watch.
func (c *cloud) unprotect(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.others, id)
}

// touched are the operator's calls, refused ones too, that could have changed
// something of others. The call log must hold all calls.
func (c *cloud) touched() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var fouls []string
	for _, call := range c.server.Calls() {
		if call.Caller != operatorKey || !call.Mutating {
			continue
		}
		for id := range c.others {
			if names(call, id) {
				fouls = append(fouls, fmt.Sprintf("%s of %s, which is not ours: %v", call.Action, id, call.Params))
			}
		}
	}
	return fouls
}

// sharedTimings let states last long enough to be seen in between.
func sharedTimings() emulator.Timings {
	return emulator.Timings{
		CreateENI: emulator.Span{Max: 20 * time.Millisecond},
		Attach:    emulator.Span{Max: 20 * time.Millisecond},
		Detach:    emulator.Span{Max: 20 * time.Millisecond},
	}
}

// awsEnvironment leads the operator to an endpoint.
func awsEnvironment(endpoint string) []string {
	return emulator.Environment(endpoint, region, operatorKey)
}

// world is a control plane and an EC2 that belong together.
type world struct {
	*cluster.Cluster
	*cloud
	referee  *referee
	end      context.CancelFunc
	networks atomic.Int32
}

// newWorld watches over a control plane and an EC2. It starts no operator.
func newWorld(plane *controlplane.ControlPlane, c *cloud) (*world, error) {
	ctx, cancel := context.WithCancel(context.Background())
	kube, err := cluster.Connect(ctx, plane)
	if err != nil {
		cancel()
		return nil, err
	}
	w := &world{Cluster: kube, cloud: c, end: cancel}
	w.referee, err = newReferee(ctx, w)
	return w, err
}

func (w *world) stop() { w.end() }

// newWorldApart returns a world without an operator and with an EC2 of its own, on a
// control plane that no other scenario uses meanwhile.
func newWorldApart(t *testing.T, timings emulator.Timings) *world {
	t.Helper()
	plane := <-apart
	t.Cleanup(func() { apart <- plane })
	if plane.ControlPlane == nil {
		var err error
		plane.ControlPlane, err = controlplane.Start(context.Background(), controlplane.Options{WithoutControllerManager: true})
		assert.NilError(t, err)
	}
	c := newCloud(timings)
	t.Cleanup(c.stop)
	t.Cleanup(func() { assert.DeepEqual(t, c.touched(), []string(nil)) })
	w, err := newWorld(plane.ControlPlane, c)
	assert.NilError(t, err)
	t.Cleanup(w.stop)
	return w
}
