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

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/pkg/setup"
	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/emulator"
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
	c.Client = ec2.New(ec2.Options{
		Region: region, BaseEndpoint: aws.String(c.http.URL),
		Credentials: credentials.NewStaticCredentialsProvider(testKey, "secret", ""),
	})
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

// awsEnvironment points the SDK at an endpoint, and away from the account of
// whoever runs the tests.
func awsEnvironment(endpoint string) map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL_EC2":        endpoint,
		"AWS_REGION":                  region,
		"AWS_ACCESS_KEY_ID":           operatorKey,
		"AWS_SECRET_ACCESS_KEY":       "secret",
		"AWS_SESSION_TOKEN":           "",
		"AWS_PROFILE":                 "",
		"AWS_CONFIG_FILE":             "/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		"AWS_EC2_METADATA_DISABLED":   "true",
	}
}

// world is a control plane and an EC2 that belong together.
type world struct {
	client.WithWatch
	*cloud
	plane      *controlplane.ControlPlane
	clusterUID string
	referee    *referee
	end        context.CancelFunc
	networks   atomic.Int32
}

// newWorld watches over a control plane and an EC2. It starts no operator.
func newWorld(plane *controlplane.ControlPlane, c *cloud) (*world, error) {
	scheme, err := setup.Scheme()
	if err != nil {
		return nil, err
	}
	w := &world{cloud: c, plane: plane, end: func() {}}
	if w.WithWatch, err = client.NewWithWatch(plane.Config, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.end = cancel
	system := &corev1.Namespace{}
	if err := w.Get(ctx, types.NamespacedName{Name: metav1.NamespaceSystem}, system); err != nil {
		return nil, err
	}
	w.clusterUID = string(system.UID)
	w.referee, err = newReferee(ctx, w)
	return w, err
}

func (w *world) stop() { w.end() }

// apartStarted says whether the second control plane was asked for.
var apartStarted atomic.Bool

// newWorldApart returns a world without an operator and with an EC2 of its own.
// Only one can be in use at a time.
func newWorldApart(t *testing.T, timings emulator.Timings) *world {
	t.Helper()
	apartStarted.Store(true)
	plane, err := apart()
	if err != nil {
		t.Fatal(err)
	}
	c := newCloud(timings)
	t.Cleanup(c.stop)
	t.Cleanup(func() { assert.DeepEqual(t, c.touched(), []string(nil)) })
	w, err := newWorld(plane, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.stop)
	return w
}
