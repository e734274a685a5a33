/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"gotest.tools/v3/assert"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

const (
	region     = "us-east-1"
	clusterUID = "cluster-uid"
	window     = 30 * time.Second
)

// world is an EC2 and an inventory of it, on one fake clock.
type world struct {
	*Inventory
	t      *testing.T
	ctx    context.Context //nolint:containedctx // the test's
	clk    *clocktesting.FakeClock
	server *emulator.Server
	url    string
	api    *spy
	subnet string
	vpc    string
	// expected is what Kubernetes says that the cluster has.
	expected Expected

	mu      sync.Mutex
	changes []Change
}

// spy lets a test do something while a read is on its way.
type spy struct {
	ec2.Client
	answered func()
	// lags is how many more answers to filters about ENIs show nothing, and blind has
	// all of them, and those by id, show nothing, as another account would.
	lags  int
	blind bool
	// noInstances and noENIs have only the answers about one kind show nothing.
	noInstances bool
	noENIs      bool
	// emptyAnswers is how many more answers about ENIs, to whatever question, show nothing.
	emptyAnswers int
	// unattached is an instance whose ENIs are not found by it.
	unattached string
}

func (s *spy) DescribeSubnets(ctx context.Context, filters ...ec2.Filter) ([]ec2.Subnet, error) {
	if s.blind {
		return nil, nil
	}
	return s.Client.DescribeSubnets(ctx, filters...)
}

var errNotFound = &smithy.GenericAPIError{Code: "InvalidInstanceID.NotFound"}

func (s *spy) nothing(filters []ec2.Filter) error {
	if filters[0].Name == ec2.ByID().Name {
		return errNotFound
	}
	return nil
}

func (s *spy) DescribeInstances(ctx context.Context, filters ...ec2.Filter) ([]ec2.Instance, error) {
	if s.blind || s.noInstances {
		return nil, s.nothing(filters)
	}
	return s.Client.DescribeInstances(ctx, filters...)
}

func (s *spy) DescribeNetworkInterfaces(ctx context.Context, filters ...ec2.Filter) ([]ec2.NetworkInterface, error) {
	if s.blind || s.noENIs {
		return nil, s.nothing(filters)
	}
	if s.emptyAnswers > 0 {
		s.emptyAnswers--
		return nil, s.nothing(filters)
	}
	if s.unattached != "" && slices.Equal(filters[0].Values, ec2.AttachedTo(s.unattached).Values) {
		return nil, nil
	}
	if s.lags > 0 && filters[0].Name != ec2.ByID().Name {
		s.lags--
		return nil, nil
	}
	enis, err := s.Client.DescribeNetworkInterfaces(ctx, filters...)
	if during := s.answered; during != nil {
		s.answered = nil
		during()
	}
	return enis, err
}

func newWorld(t *testing.T, options emulator.Options) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context(), clk: clocktesting.NewFakeClock(time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC))}
	options.Clock, options.Throttling.Off = w.clk, true
	w.server = emulator.New(options)
	listener := httptest.NewServer(w.server)
	t.Cleanup(listener.Close)
	w.url = listener.URL
	for key, value := range map[string]string{
		"AWS_ENDPOINT_URL_EC2": listener.URL, "AWS_REGION": region,
		"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(key, value)
	}
	client, err := ec2.NewClient(t.Context(), ec2.Limits{Default: ec2.Limit{Bucket: 1 << 30, PerSecond: 1e9}})
	assert.NilError(t, err)
	w.api = &spy{Client: client}
	w.vpc = first(t, w.ec2("CreateVpc", "CidrBlock", "10.0.0.0/16"), "vpcId")
	w.subnet = first(t, w.ec2("CreateSubnet", "VpcId", w.vpc, "AvailabilityZone", region+"a", "CidrBlock", "10.0.0.0/24"), "subnetId")
	w.Inventory = w.fresh(nil)
	w.server.ResetCalls()
	return w
}

// fresh is another inventory of the same EC2, such as that of a new process.
func (w *world) fresh(elected <-chan struct{}) *Inventory {
	i := New(w.api, Options{
		ClusterUID: clusterUID, VisibilityWindow: window, NetworkTTL: time.Minute, Elected: elected, Clock: w.clk,
		Expected: func(context.Context) (Expected, error) { return w.expected, nil },
	})
	i.Subscribe(func(change Change) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changes = append(w.changes, change)
	})
	return i
}

// ec2 makes a call of the test's own.
func (w *world) ec2(action string, parameters ...string) string {
	w.t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2016-11-15"}}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	response, err := http.PostForm(w.url, form)
	assert.NilError(w.t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	assert.NilError(w.t, err)
	assert.Equal(w.t, response.StatusCode, http.StatusOK, "%s: %s", action, body)
	return string(body)
}

func first(t *testing.T, body, element string) string {
	t.Helper()
	match := regexp.MustCompile("<" + element + ">([^<]*)</" + element + ">").FindStringSubmatch(body)
	assert.Assert(t, match != nil, "no %s in %s", element, body)
	return match[1]
}

func tags(uid string) map[string]string {
	return ec2.Ownership{Cluster: "test", ClusterUID: clusterUID, Name: "name-of-" + uid, UID: uid, DeletionPolicy: "Delete"}.Tags(nil)
}

// create makes an ENI of ours through the inventory.
func (w *world) create(uid string, addresses int32) ec2.NetworkInterface {
	w.t.Helper()
	eni, err := w.Create(w.ctx, ec2.CreateInput{SubnetID: w.subnet, AddressCount: addresses, Tags: tags(uid), ClientToken: uid})
	assert.NilError(w.t, err)
	return eni
}

// ref names an ENI and the owner that its tags name.
func (w *world) ref(id string) Ref {
	w.Inventory.mu.Lock()
	defer w.Inventory.mu.Unlock()
	ref := Ref{ID: id}
	if known, ok := w.enis[id]; ok {
		ref.UID = known.eni.Tags[ec2.TagUID]
	}
	return ref
}

func (w *world) assign(id string, input ec2.AssignInput) error {
	_, err := w.Assign(w.ctx, w.ref(id), input)
	return err
}

// run launches an instance, which is running when it returns.
func (w *world) run(instanceType string) string {
	w.t.Helper()
	id := first(w.t, w.ec2("RunInstances", "ImageId", "ami-0123456789abcdef0", "InstanceType", instanceType, "SubnetId", w.subnet,
		"MinCount", "1", "MaxCount", "1"), "instanceId")
	w.clk.Step(time.Minute)
	return id
}

// known is what the inventory knows of an ENI without a look.
func (w *world) known(id string) ec2.NetworkInterface {
	w.t.Helper()
	eni, ok := w.ENI(id)
	assert.Assert(w.t, ok, "%s is not known", id)
	return eni
}

// deleteOutside detaches an ENI by force and deletes it, as a person does.
func (w *world) deleteOutside(id string) {
	w.t.Helper()
	w.ec2("DetachNetworkInterface", "AttachmentId", w.known(id).Attachment.ID, "Force", "true")
	w.clk.Step(time.Minute)
	w.ec2("DeleteNetworkInterface", "NetworkInterfaceId", id)
}

func (w *world) look(id string) (ec2.NetworkInterface, Presence) {
	w.t.Helper()
	eni, presence, err := w.Look(w.ctx, id)
	assert.NilError(w.t, err)
	return eni, presence
}

func (w *world) sweep() []Change {
	w.t.Helper()
	w.take()
	assert.NilError(w.t, w.Sweep(w.ctx))
	return w.take()
}

func (w *world) take() []Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	changes := w.changes
	w.changes = nil
	return changes
}

func (w *world) calls(action string) int { return w.server.Counts()[action].Calls }

// attached creates an ENI and attaches it.
func (w *world) attached(uid, instance string, index int32) ec2.NetworkInterface {
	w.t.Helper()
	eni := w.create(uid, 0)
	assert.NilError(w.t, w.Attach(w.ctx, w.ref(eni.ID), instance, ec2.Slot{DeviceIndex: index}))
	return w.known(eni.ID)
}
