/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package garbagecollection

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/pkg/uninstall"
	"github.com/eni-operator/eni-operator/test/emulator"
)

const (
	// operatorKey and testKey tell the callers apart in the emulator's log.
	operatorKey = "AKIAOPERATOR"
	testKey     = "AKIATEST"
	region      = "us-east-1"
	// interval is the time between two sweeps of the tests.
	interval = 10 * time.Minute
)

// world is a collector between a fake Kubernetes and an emulated EC2.
type world struct {
	ec2.Client // the test's own
	t          *testing.T
	url        string
	server     *emulator.Server
	clock      *clocktesting.FakePassiveClock
	inventory  *inventory.Inventory
	collector  *Collector
	subnet     string
	made       int
	lines      *lines
}

// lines are what the collector logged.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) with(words ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.all), func(line string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) })
	})
}

// options are those of the tests, but for what one is about.
func options(adjust ...func(*Options)) Options {
	o := Options{Cluster: us.cluster, ClusterUID: us.clusterUID, Interval: interval, Grace: grace}
	for _, change := range adjust {
		change(&o)
	}
	return o
}

// newWorld returns a collector whose cache is a Kubernetes, and live the one that
// it asks before it deletes.
func newWorld(t *testing.T, o Options, cache, live client.Reader) *world {
	t.Helper()
	w := &world{t: t, clock: clocktesting.NewFakePassiveClock(now), lines: &lines{}}
	w.server = emulator.New(emulator.Options{Throttling: emulator.Throttling{Off: true}})
	endpoint := httptest.NewServer(w.server)
	t.Cleanup(endpoint.Close)
	w.url = endpoint.URL
	w.Client = w.client(testKey)
	w.inventory = inventory.New(w.client(operatorKey), inventory.Options{
		ClusterUID: us.clusterUID, VisibilityWindow: 30 * time.Second, Clock: w.clock,
	})
	log := funcr.New(func(_, args string) {
		w.lines.mu.Lock()
		defer w.lines.mu.Unlock()
		w.lines.all = append(w.lines.all, args)
	}, funcr.Options{})
	w.collector = newCollector(cache, live, w.inventory, o, log)
	subnets, err := w.DescribeSubnets(t.Context())
	assert.NilError(t, err)
	w.subnet = subnets[0].ID
	return w
}

// client is a client of EC2 with a key of its own.
func (w *world) client(key string) ec2.Client {
	w.t.Helper()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_EC2": w.url, "AWS_REGION": region, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		w.t.Setenv(name, value)
	}
	api, err := ec2.NewClient(w.t.Context(), ec2.Limits{Default: ec2.Limit{Bucket: 1000, PerSecond: 1000}})
	assert.NilError(w.t, err)
	return api
}

// sweep has EC2 read, and the collector look at what was found.
func (w *world) sweep() error {
	w.t.Helper()
	w.clock.SetTime(w.clock.Now().Add(interval))
	assert.NilError(w.t, w.inventory.Sweep(w.t.Context()))
	return w.collector.collect(w.t.Context(), <-w.collector.sweeps)
}

// sweeps sweeps so many times.
func (w *world) sweeps(times int) {
	w.t.Helper()
	for range times {
		assert.NilError(w.t, w.sweep())
	}
}

// leakedTags are the tags of an ENI that was leaked an hour ago.
func leakedTags(uid string) map[string]string {
	return ec2.Ownership{
		Cluster: us.cluster, ClusterUID: us.clusterUID, Name: "name-of-" + uid, UID: uid, Node: "node-1",
		CreatedAt: now.Add(-time.Hour), DeletionPolicy: string(v1alpha1.DeletionPolicyDelete),
	}.Tags(nil)
}

// without returns tags without a key.
func without(tags map[string]string, key string) map[string]string {
	delete(tags, key)
	return tags
}

// with returns tags with another value.
func with(tags map[string]string, key, value string) map[string]string {
	tags[key] = value
	return tags
}

// eni makes an ENI in EC2.
func (w *world) eni(tags map[string]string) string {
	w.t.Helper()
	w.made++
	made, err := w.CreateNetworkInterface(w.t.Context(), ec2.CreateInput{
		SubnetID: w.subnet, Tags: tags, ClientToken: strconv.Itoa(w.made),
	})
	assert.NilError(w.t, err)
	return made.ID
}

var (
	instanceID = regexp.MustCompile(`<instanceId>(i-[0-9a-f]+)</instanceId>`)
	eniID      = regexp.MustCompile(`<networkInterfaceId>(eni-[0-9a-f]+)</networkInterfaceId>`)
)

// instance launches an instance, which the operator never does, and returns its id
// and its primary ENI's.
func (w *world) instance() (id, primary string) {
	w.t.Helper()
	form := url.Values{
		"Action": {"RunInstances"}, "Version": {"2016-11-15"}, "ImageId": {"ami-0123456789abcdef0"}, "InstanceType": {"m5.large"},
		"SubnetId": {w.subnet}, "MinCount": {"1"}, "MaxCount": {"1"},
	}
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url, strings.NewReader(form.Encode()))
	assert.NilError(w.t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	assert.NilError(w.t, err)
	defer func() { assert.NilError(w.t, response.Body.Close()) }()
	answer, err := io.ReadAll(response.Body)
	assert.NilError(w.t, err)
	assert.Equal(w.t, response.StatusCode, http.StatusOK, "%s", answer)
	return string(instanceID.FindSubmatch(answer)[1]), string(eniID.FindSubmatch(answer)[1])
}

func (w *world) attach(eniID, instanceID string) (attachmentID string) {
	w.t.Helper()
	attachmentID, err := w.AttachNetworkInterface(w.t.Context(), eniID, instanceID, ec2.Slot{DeviceIndex: 1})
	assert.NilError(w.t, err)
	return attachmentID
}

// enis are all ENIs in EC2, by id.
func (w *world) enis() map[string]ec2.NetworkInterface {
	w.t.Helper()
	list, err := w.DescribeNetworkInterfaces(w.t.Context())
	assert.NilError(w.t, err)
	all := map[string]ec2.NetworkInterface{}
	for _, eni := range list {
		all[eni.ID] = eni
	}
	return all
}

// exists says whether EC2 has an ENI.
func (w *world) exists(id string) bool {
	w.t.Helper()
	_, ok := w.enis()[id]
	return ok
}

// calls are the collector's calls in order: "Action id id", one for each that
// could change EC2, and for the others the action alone.
func (w *world) calls(mutating bool) []string {
	var calls []string
	for _, call := range w.server.Calls() {
		if call.Caller != operatorKey || call.Mutating != mutating {
			continue
		}
		calls = append(calls, strings.Join(append([]string{call.Action}, call.ResourceIDs...), " "))
	}
	return calls
}

// deletions are the calls that delete these ENIs.
func deletions(ids ...string) []string {
	calls := make([]string, 0, len(ids))
	for _, id := range ids {
		calls = append(calls, "DeleteNetworkInterface "+id)
	}
	return calls
}

// kubernetes is a fake Kubernetes with our CRDs and some objects.
func kubernetes(t *testing.T, objects ...client.Object) client.WithWatch {
	t.Helper()
	return build(t, crds(), objects)
}

func build(t *testing.T, lists ...[]client.Object) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	assert.NilError(t, v1alpha1.AddToScheme(scheme))
	scheme.AddKnownTypeWithName(uninstall.DefinitionKind, &metav1.PartialObjectMetadata{})
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(slices.Concat(lists...)...).Build()
}

func crds() []client.Object {
	objects := make([]client.Object, 0, len(uninstall.Definitions))
	for _, name := range uninstall.Definitions {
		crd := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name}}
		crd.SetGroupVersionKind(uninstall.DefinitionKind)
		objects = append(objects, crd)
	}
	return objects
}

// eniResource is an ElasticNetworkInterface whose status names an ENI, or none.
func eniResource(uid, eniID string) *v1alpha1.ElasticNetworkInterface {
	return &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: "name-of-" + uid, UID: types.UID(uid)},
		Status:     v1alpha1.ElasticNetworkInterfaceStatus{NetworkInterfaceID: eniID},
	}
}

// lists intercepts the lists of a client.
func lists(of client.WithWatch, list func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error) client.Reader {
	return interceptor.NewClient(of, interceptor.Funcs{List: list})
}

// metric is the value of a metric as Prometheus would read it.
func metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	assert.NilError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			one := family.GetMetric()[0]
			return one.GetGauge().GetValue() + one.GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
