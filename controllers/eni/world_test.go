/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/events/eventstest"
	"github.com/eni-operator/eni-operator/pkg/index"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/test/emulator"
)

const (
	region     = "us-east-1"
	clusterUID = "cluster-uid"
	nodeName   = "node-a"
	eniName    = "node-a-eth1"
	eniUID     = types.UID("0b3f1a52-7c44-4d0a-9d3f-2f4e8f1c7a11")
)

// start is when the worlds of the tests begin.
var start = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

// wire is the way to EC2, and to Kubernetes' writes. Every call that passes is one
// point, and a point can be cut: before the call has its effect, or after.
type wire struct {
	mu     sync.Mutex
	next   http.Handler
	points []string
	cut    func(point int) cut
}

type cut int

const (
	whole cut = iota
	before
	after
)

func (c cut) String() string { return [...]string{"whole", "before", "after"}[c] }

func (w *wire) pass(name string) cut {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.points = append(w.points, name)
	if w.cut == nil {
		return whole
	}
	return w.cut(len(w.points) - 1)
}

// reset begins to count anew, with other cuts.
func (w *wire) reset(cuts func(point int) cut) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	points := w.points
	w.points, w.cut = nil, cuts
	return points
}

func (w *wire) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	form, _ := url.ParseQuery(string(body))
	request.Body = io.NopCloser(strings.NewReader(string(body)))
	w.mu.Lock()
	next := w.next
	w.mu.Unlock()
	if strings.HasPrefix(request.UserAgent(), "Go-http-client") { // the test's own
		next.ServeHTTP(response, request)
		return
	}
	switch w.pass(form.Get("Action")) {
	case before:
		panic(http.ErrAbortHandler)
	case after:
		next.ServeHTTP(httptest.NewRecorder(), request)
		panic(http.ErrAbortHandler)
	case whole:
		next.ServeHTTP(response, request)
	}
}

// endpoint is a listener and a client that the worlds of a test share.
type endpoint struct {
	wire *wire
	url  string
	api  ec2.Client
	// deposed is set while the operator does not lead any more.
	deposed *atomic.Bool
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	w := &wire{next: http.NotFoundHandler()}
	listener := httptest.NewUnstartedServer(w)
	listener.Config.ErrorLog = nil
	listener.Start()
	t.Cleanup(listener.Close)
	for key, value := range map[string]string{
		"AWS_ENDPOINT_URL_EC2": listener.URL, "AWS_REGION": region,
		"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(key, value)
	}
	deposed := &atomic.Bool{}
	gate := func() error {
		if deposed.Load() {
			return errors.New("another leads")
		}
		return nil
	}
	api, err := ec2.NewClient(t.Context(), ec2.Limits{Default: ec2.Limit{Bucket: 1 << 30, PerSecond: 1e9}}, ec2.WithGate(gate))
	assert.NilError(t, err)
	return &endpoint{wire: w, url: listener.URL, api: api, deposed: deposed}
}

// world is one Kubernetes, one EC2 and one operator, all on one fake clock.
type world struct {
	*endpoint
	t          testing.TB
	clock      *clocktesting.FakeClock
	server     *emulator.Server
	kube       client.WithWatch
	recorder   *events.FakeRecorder
	reconciler *Reconciler

	// crdsGoing is since when our CRDs are being deleted.
	crdsGoing *metav1.Time

	subnets  []string
	group    string
	instance string
}

// newWorld has one m5.large instance that is the Node node-a, in a subnet with
// room for 250 addresses, and a second subnet of its zone.
func newWorld(t testing.TB, e *endpoint, options emulator.Options) *world {
	t.Helper()
	w := &world{endpoint: e, t: t, clock: clocktesting.NewFakeClock(start)}
	options.Clock, options.Throttling.Off = w.clock, true
	w.server = emulator.New(options)
	e.wire.reset(nil)
	e.wire.mu.Lock()
	e.wire.next = w.server
	e.wire.mu.Unlock()

	vpc := first(t, w.ec2("CreateVpc", "CidrBlock", "10.0.0.0/16"), "vpcId")
	for i := range 2 {
		w.subnets = append(w.subnets, first(t, w.ec2("CreateSubnet", "VpcId", vpc, "AvailabilityZone", region+"a",
			"CidrBlock", fmt.Sprintf("10.0.%d.0/24", i)), "subnetId"))
	}
	w.group = first(t, w.ec2("DescribeSecurityGroups", "Filter.1.Name", "vpc-id", "Filter.1.Value.1", vpc), "groupId")
	w.instance = w.launch()
	w.clock.Step(time.Minute) // The instance runs.
	w.connect()
	assert.NilError(t, w.kube.Create(context.Background(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: nodeName}, Spec: corev1.NodeSpec{ProviderID: "aws:///us-east-1a/" + w.instance},
	}))
	w.restart()
	w.wire.reset(nil)
	w.server.ResetCalls()
	return w
}

func (w *world) launch() string {
	return first(w.t, w.ec2("RunInstances", "ImageId", "ami-0123456789abcdef0", "InstanceType", "m5.large",
		"SubnetId", w.subnets[0], "MinCount", "1", "MaxCount", "1"), "instanceId")
}

// join makes a Node for an instance, and returns the Node's name.
func (w *world) join(instance string) string {
	w.t.Helper()
	name := "node-of-" + instance
	assert.NilError(w.t, w.kube.Create(context.Background(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: "aws:///us-east-1a/" + instance},
	}))
	return name
}

// connect makes an empty Kubernetes whose writes pass the wire.
func (w *world) connect() {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(corev1.SchemeGroupVersion, &corev1.Node{}, &corev1.NodeList{}) // all of them take a second to map
	assert.NilError(w.t, v1alpha1.AddToScheme(scheme))
	builder := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.ElasticNetworkInterface{}).
		WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
				if crd, ok := o.(*metav1.PartialObjectMetadata); ok {
					crd.DeletionTimestamp = w.crdsGoing
					return nil
				}
				return c.Get(ctx, key, o, options...)
			},
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, options ...client.SubResourceUpdateOption) error {
				return w.write("write status", func() error { return c.SubResource(sub).Update(ctx, o, options...) })
			},
			Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
				return w.write("write finalizer", func() error { return c.Patch(ctx, o, p, options...) })
			},
		})
	assert.NilError(w.t, index.Register(context.Background(), indexer{builder}))
	w.kube = builder.Build()
}

type indexer struct{ *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	i.WithIndex(object, field, extract)
	return nil
}

func (w *world) write(name string, do func() error) error {
	switch w.wire.pass(name) {
	case before:
		return apierrors.NewTimeoutError("the request was lost", 1)
	case after:
		if err := do(); err != nil {
			return err
		}
		return apierrors.NewTimeoutError("the answer was lost", 1)
	case whole:
	}
	return do()
}

// restart replaces the operator: what it had in memory is gone.
func (w *world) restart() {
	w.recorder = events.NewFakeRecorder(1000)
	inv := inventory.New(w.api, inventory.Options{
		ClusterUID: clusterUID, VisibilityWindow: 30 * time.Second, NetworkTTL: time.Minute, Clock: w.clock,
	})
	w.reconciler = &Reconciler{
		client: w.kube, live: w.kube, inventory: inv, events: eventstest.Recorder(w.recorder), clock: w.clock,
		options: Options{
			Identity:       Identity{Cluster: "test", ClusterUID: clusterUID, NoManage: true},
			MinDeviceIndex: 1, CreateRecordMaxAge: time.Hour, VisibilityWindow: 30 * time.Second, ForceDetachAfter: 3 * time.Minute,
		},
	}
	for inv.Sweep(context.Background()) != nil { // as the auditor insists
		w.clock.Step(time.Second)
	}
}

// ec2 makes a call of the test's own, which is no point of the wire.
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

// all are the texts of the elements with a name.
func all(body, element string) []string {
	var texts []string
	for _, match := range regexp.MustCompile("<"+element+">([^<]*)</"+element+">").FindAllStringSubmatch(body, -1) {
		texts = append(texts, match[1])
	}
	return texts
}

func first(t testing.TB, body, element string) string {
	t.Helper()
	texts := all(body, element)
	assert.Assert(t, len(texts) > 0, "no %s in %s", element, body)
	return texts[0]
}

// owned are the ENIs in EC2 that carry the resource's UID, visible or not.
func (w *world) owned() []ec2.NetworkInterface {
	w.t.Helper()
	w.clock.Step(time.Minute) // so that nothing is hidden any more
	cuts := w.wire.cut
	points := w.wire.reset(nil)
	defer func() {
		w.wire.reset(cuts)
		w.wire.points = points
	}()
	enis, err := w.api.DescribeNetworkInterfaces(context.Background(), ec2.Filter{Name: "tag:" + ec2.TagUID, Values: []string{string(eniUID)}})
	assert.NilError(w.t, err)
	return enis
}

// only is the one ENI that there is.
func (w *world) only() ec2.NetworkInterface {
	w.t.Helper()
	enis := w.owned()
	assert.Equal(w.t, len(enis), 1, "ENIs of the resource")
	return enis[0]
}

// create makes the resource.
func (w *world) create(spec v1alpha1.ElasticNetworkInterfaceSpec) {
	w.t.Helper()
	spec.NodeName = cmp.Or(spec.NodeName, nodeName)
	if spec.DeletionPolicy == "" {
		spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete
	}
	assert.NilError(w.t, w.kube.Create(context.Background(), &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: eniName, UID: eniUID, Generation: 1}, Spec: spec,
	}))
}

func (w *world) eni() *v1alpha1.ElasticNetworkInterface {
	w.t.Helper()
	eni := &v1alpha1.ElasticNetworkInterface{}
	assert.NilError(w.t, w.kube.Get(context.Background(), types.NamespacedName{Name: eniName}, eni))
	return eni
}

func (w *world) exists() bool {
	return w.kube.Get(context.Background(), types.NamespacedName{Name: eniName}, &v1alpha1.ElasticNetworkInterface{}) == nil
}

// edit changes the resource's spec or metadata.
func (w *world) edit(change func(eni *v1alpha1.ElasticNetworkInterface)) {
	w.t.Helper()
	eni := w.eni()
	change(eni)
	eni.Generation++
	assert.NilError(w.t, w.kube.Update(context.Background(), eni))
}

func (w *world) delete() {
	w.t.Helper()
	assert.NilError(w.t, w.kube.Delete(context.Background(), w.eni()))
}

// once reconciles once.
func (w *world) once() (reconcile.Result, error) {
	ctx := log.IntoContext(context.Background(), logr.Discard())
	return w.reconciler.Reconcile(ctx, reconcile.Request{NamespacedName: types.NamespacedName{Name: eniName}})
}

// settleSteps is more than any story takes.
const settleSteps = 200

// settle reconciles, and comes back when it is asked to, until nothing is left to
// do. It returns the errors on the way.
func (w *world) settle() []error {
	w.t.Helper()
	var failures []error
	for range settleSteps {
		result, err := w.once()
		switch {
		case err != nil:
			failures = append(failures, err)
			w.clock.Step(5 * time.Second)
		case result.RequeueAfter > 0:
			w.clock.Step(result.RequeueAfter)
		default:
			return failures
		}
	}
	w.t.Fatalf("does not settle: %v\nstatus: %+v", failures, w.eni().Status)
	return nil
}

// mustSettle settles without an error.
func (w *world) mustSettle() {
	w.t.Helper()
	assert.Equal(w.t, len(w.settle()), 0)
}

// condition is "True Reason", or "False Reason".
func condition(eni *v1alpha1.ElasticNetworkInterface, kind string) string {
	c := meta.FindStatusCondition(eni.Status.Conditions, kind)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason
}

func message(eni *v1alpha1.ElasticNetworkInterface) string {
	return meta.FindStatusCondition(eni.Status.Conditions, v1alpha1.ConditionReady).Message
}

// calls counts the operator's calls of an action.
func (w *world) calls(action string) int { return w.server.Counts()[action].Calls }

// story is the mutating calls that EC2 saw, in order.
func (w *world) story() []string {
	var actions []string
	for _, call := range w.server.Calls() {
		if call.Mutating {
			actions = append(actions, call.Action)
		}
	}
	return actions
}

// assertAgrees compares the status with EC2.
func (w *world) assertAgrees() {
	w.t.Helper()
	status, actual := w.eni().Status, w.only()
	assert.Equal(w.t, status.NetworkInterfaceID, actual.ID)
	assert.DeepEqual(w.t, stringsOf(status.Addresses), append([]string{}, actual.Addresses...))
	assert.DeepEqual(w.t, stringsOf(status.SecurityGroupIDs), actual.SecurityGroups)
	assert.Assert(w.t, actual.Attachment != nil && status.Attachment != nil)
	assert.Equal(w.t, status.Attachment.ID, actual.Attachment.ID)
	assert.Equal(w.t, status.Attachment.DeviceIndex, actual.Attachment.Slot.DeviceIndex)
	assert.Equal(w.t, actual.Attachment.DeleteOnTermination, w.eni().Spec.DeletionPolicy != v1alpha1.DeletionPolicyRetain)
	assert.Equal(w.t, condition(w.eni(), v1alpha1.ConditionReady), "True Ready")
}

// drain takes the events so far.
func (w *world) drain() []string {
	var texts []string
	for {
		select {
		case text := <-w.recorder.Events:
			texts = append(texts, text)
		default:
			slices.Sort(texts)
			return texts
		}
	}
}
