/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package garbagecollection

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/options"
	"github.com/eni-operator/eni-operator/pkg/setup"
	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/emulator/sdk"
)

const (
	clusterName = "collected"
	region      = "us-east-1"
	operatorKey = "AKIAOPERATOR"
	testKey     = "AKIATEST"
	// patience is much longer than anything takes, since the machine may be busy.
	patience = 90 * time.Second
	glance   = 50 * time.Millisecond
)

// world is a control plane, an EC2 and an operator.
type world struct {
	client.Client
	t          *testing.T
	server     *emulator.Server
	ec2        *awsec2.Client
	clusterUID string
	subnet     string
}

// newWorld starts an operator that sweeps EC2 every second.
func newWorld(t *testing.T) *world {
	t.Helper()
	plane, err := controlplane.Start(t.Context(), controlplane.Options{WithoutControllerManager: true})
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, plane.Stop()) })
	w := &world{t: t, server: emulator.New(emulator.Options{Sorted: true, Throttling: emulator.Throttling{Off: true}})}
	endpoint := httptest.NewServer(w.server)
	t.Cleanup(endpoint.Close)
	w.ec2 = sdk.New(endpoint.URL, region, testKey, func(o *awsec2.Options) { o.Retryer = aws.NopRetryer{} })
	subnets, err := w.ec2.DescribeSubnets(t.Context(), &awsec2.DescribeSubnetsInput{})
	assert.NilError(t, err)
	w.subnet = aws.ToString(subnets.Subnets[0].SubnetId)
	scheme, err := setup.Scheme()
	assert.NilError(t, err)
	w.Client, err = client.New(plane.Config, client.Options{Scheme: scheme})
	assert.NilError(t, err)
	system := &corev1.Namespace{}
	assert.NilError(t, w.Get(t.Context(), types.NamespacedName{Name: metav1.NamespaceSystem}, system))
	w.clusterUID = string(system.UID)
	startOperator(t, plane, endpoint.URL)
	return w
}

// startOperator starts the operator as main.go does, in this process, until the
// test ends.
func startOperator(t *testing.T, plane *controlplane.ControlPlane, endpoint string) {
	t.Helper()
	for key, value := range map[string]string{
		"AWS_ENDPOINT_URL_EC2": endpoint, "AWS_REGION": region, "AWS_ACCESS_KEY_ID": operatorKey, "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		t.Setenv(key, value)
	}
	o, err := options.Parse([]string{
		"--cluster-name=" + clusterName, "--leader-elect=false", "--metrics-bind-address=0", "--health-probe-bind-address=0",
		"--log-format=console", "--audit-interval=1s", "--gc-interval=1s", "--gc-grace=30m", "--visibility-window=300ms",
	}, nil)
	assert.NilError(t, err)
	logFile := filepath.Join(t.TempDir(), "operator.log")
	log, err := os.Create(logFile)
	assert.NilError(t, err)
	assert.NilError(t, setup.Logging(log, o))
	ctx, cancel := context.WithCancel(context.Background())
	api, err := ec2.NewClient(ctx, ec2.DefaultLimits())
	assert.NilError(t, err)
	manager, err := setup.New(ctx, plane.Config, api, nil, o)
	assert.NilError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NilError(t, <-ended)
		assert.NilError(t, log.Close())
		if content, err := os.ReadFile(logFile); err == nil && t.Failed() {
			t.Logf("%s", content)
		}
	})
}

// eni makes an ENI in EC2.
func (w *world) eni(tags map[string]string) string {
	w.t.Helper()
	input := &awsec2.CreateNetworkInterfaceInput{SubnetId: &w.subnet}
	if len(tags) > 0 {
		specification := ec2types.TagSpecification{ResourceType: ec2types.ResourceTypeNetworkInterface}
		for key, value := range tags {
			specification.Tags = append(specification.Tags, ec2types.Tag{Key: aws.String(key), Value: aws.String(value)})
		}
		input.TagSpecifications = []ec2types.TagSpecification{specification}
	}
	made, err := w.ec2.CreateNetworkInterface(w.t.Context(), input)
	assert.NilError(w.t, err)
	return aws.ToString(made.NetworkInterface.NetworkInterfaceId)
}

// primary launches an instance: its primary ENI, which has an address of somebody
// else, and a leaked ENI's tags.
func (w *world) primary() string {
	w.t.Helper()
	launched, err := w.ec2.RunInstances(w.t.Context(), &awsec2.RunInstancesInput{
		ImageId: aws.String("ami-0123456789abcdef0"), InstanceType: ec2types.InstanceTypeM5Large, SubnetId: &w.subnet,
		MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	})
	assert.NilError(w.t, err)
	id := launched.Instances[0].NetworkInterfaces[0].NetworkInterfaceId
	_, err = w.ec2.AssignPrivateIpAddresses(w.t.Context(), &awsec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: id, SecondaryPrivateIpAddressCount: aws.Int32(1)})
	assert.NilError(w.t, err)
	var tags []ec2types.Tag
	for key, value := range w.tags(time.Hour) {
		tags = append(tags, ec2types.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	_, err = w.ec2.CreateTags(w.t.Context(), &awsec2.CreateTagsInput{Resources: []string{aws.ToString(id)}, Tags: tags})
	assert.NilError(w.t, err)
	return aws.ToString(id)
}

// tags are those of an ENI of this cluster that was created some time ago.
func (w *world) tags(age time.Duration, change ...string) map[string]string {
	tags := ec2.Ownership{
		Cluster: clusterName, ClusterUID: w.clusterUID, Name: "leaked", UID: "no-such-resource", Node: "node",
		CreatedAt: time.Now().Add(-age), DeletionPolicy: string(v1alpha1.DeletionPolicyDelete),
	}.Tags(nil)
	for i := 0; i < len(change); i += 2 {
		tags[change[i]] = change[i+1]
	}
	return tags
}

// describe returns an ENI as JSON; "" if EC2 has none.
func (w *world) describe(id string) string {
	w.t.Helper()
	answer, err := w.ec2.DescribeNetworkInterfaces(w.t.Context(), &awsec2.DescribeNetworkInterfacesInput{
		Filters: []ec2types.Filter{{Name: aws.String("network-interface-id"), Values: []string{id}}},
	})
	assert.NilError(w.t, err)
	if len(answer.NetworkInterfaces) == 0 {
		return ""
	}
	text, err := json.Marshal(answer.NetworkInterfaces[0])
	assert.NilError(w.t, err)
	return string(text)
}

// eventually looks until something is so.
func (w *world) eventually(what string, check func() bool) {
	w.t.Helper()
	err := wait.PollUntilContextTimeout(w.t.Context(), glance, patience, true, func(context.Context) (bool, error) { return check(), nil })
	assert.NilError(w.t, err, "it never happened that %s", what)
}

// calls counts the operator's successful calls of an action.
func (w *world) calls(action string) int {
	return len(slices.DeleteFunc(w.server.Calls(), func(call emulator.Call) bool {
		return call.Caller != operatorKey || call.Action != action || call.ErrorCode != ""
	}))
}

// awaitSweeps waits until the operator has swept EC2 so many times more.
func (w *world) awaitSweeps(more int) {
	w.t.Helper()
	target := w.calls("DescribeNetworkInterfaces") + more
	w.eventually("EC2 is swept", func() bool { return w.calls("DescribeNetworkInterfaces") >= target })
}

// mutated are the ENIs that calls of the operator could have changed.
func (w *world) mutated() []string {
	var ids []string
	for _, call := range w.server.Calls() {
		if call.Caller == operatorKey && call.Mutating {
			ids = append(ids, call.ResourceIDs...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// The operator deletes a leaked ENI, but not before Kubernetes shows an ENI
// resource, and touches nothing else.
func TestOperatorCollectsLeakedENIs(t *testing.T) {
	w := newWorld(t)
	leaked := w.eni(w.tags(time.Hour))
	others := []string{
		w.eni(nil),
		w.eni(w.tags(time.Hour, ec2.TagCluster, "another")),
		w.eni(w.tags(time.Hour, ec2.TagClusterUID, "another")),
		w.eni(w.tags(time.Hour, ec2.TagDeletionPolicy, string(v1alpha1.DeletionPolicyRetain))),
		w.eni(w.tags(time.Minute)),
		w.primary(),
	}
	resource := &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: "waiting"},
		Spec:       v1alpha1.ElasticNetworkInterfaceSpec{NodeName: "no-such-node"},
	}
	w.awaitSweeps(1) // Nothing is pending any more.
	before := make([]string, 0, len(others))
	for _, id := range others {
		before = append(before, w.describe(id))
	}
	w.awaitSweeps(4)
	assert.DeepEqual(t, w.mutated(), []string(nil))

	assert.NilError(t, w.Create(t.Context(), resource))
	claimed := w.eni(w.tags(time.Hour, ec2.TagUID, string(resource.UID), ec2.TagName, resource.Name))
	w.eventually("the leaked ENI is deleted", func() bool { return w.describe(leaked) == "" })
	w.awaitSweeps(4)
	assert.Assert(t, w.describe(claimed) != "")
	for i, id := range others {
		assert.Equal(t, w.describe(id), before[i])
	}
	assert.DeepEqual(t, w.mutated(), []string{leaked})
	assert.Equal(t, w.calls("DeleteNetworkInterface"), 1)
}
