/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"go.uber.org/zap/zapcore"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/pkg/options"
)

// sweptEC2 counts the sweeps that it answers, and fails when it is told to.
type sweptEC2 struct {
	ec2.Client
	asked atomic.Int32
	down  atomic.Bool
}

func (*sweptEC2) Backlog(string) (waiting, underway int) { return 0, 0 }

func (s *sweptEC2) DescribeNetworkInterfaces(context.Context, ...ec2.Filter) ([]ec2.NetworkInterface, error) {
	s.asked.Add(1)
	if s.down.Load() {
		return nil, errors.New("connection refused")
	}
	return nil, nil
}

// startAuditor starts an auditor in a bubble, which ends with the test.
func startAuditor(t *testing.T, api *sweptEC2, elected chan struct{}) *inventory.Inventory {
	t.Helper()
	inv := inventory.New(api, inventory.Options{Elected: elected})
	a := newAuditor(inv, elected, 10*time.Minute, logr.Discard())
	assert.Assert(t, !a.NeedLeaderElection())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- a.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NilError(t, <-ended)
	})
	synctest.Wait()
	return inv
}

func TestAuditorSweepsFromTimeToTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &sweptEC2{}
		elected := make(chan struct{})
		close(elected)
		inv := startAuditor(t, api, elected)
		assert.Assert(t, inv.Current())
		assert.Equal(t, api.asked.Load(), int32(1), "once, not once more for the election")
		time.Sleep(12 * time.Minute) // in the bubble: an interval and its jitter
		assert.Equal(t, api.asked.Load(), int32(2))
	})
}

func TestAuditorWaitsForEC2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &sweptEC2{}
		api.down.Store(true)
		elected := make(chan struct{})
		close(elected)
		inv := startAuditor(t, api, elected)
		ready := ec2Reached(inv)
		time.Sleep(10 * time.Minute)
		tries := api.asked.Load()
		assert.Assert(t, tries > 10 && tries < 60, "%d tries in ten minutes", tries)
		assert.ErrorContains(t, ready(nil), "EC2 was not read yet")
		assert.Equal(t, inv.Trust().Reason, v1alpha1.ReasonEC2NotReached)
		assert.Assert(t, cmp.Contains(inv.Trust().Message, "AWS_ENDPOINT_URL_EC2"))
		api.down.Store(false)
		time.Sleep(time.Minute)
		assert.NilError(t, ready(nil))
		assert.Assert(t, !inv.Trust().Broken)
		assert.Assert(t, inv.Current())

		api.down.Store(true)
		time.Sleep(time.Hour)
		assert.NilError(t, ready(nil), "once is enough: nothing is forgotten")
		assert.Assert(t, !inv.Trust().Broken, "a later audit that fails is no reason to stop")
	})
}

// TestAuditorSweepsWhenElected: a standby is ready, but acts on nothing that it
// read before the election.
func TestAuditorSweepsWhenElected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, elected := &sweptEC2{}, make(chan struct{})
		inv := startAuditor(t, api, elected)
		assert.NilError(t, ec2Reached(inv)(nil))
		assert.Assert(t, !inv.Current())
		time.Sleep(5 * time.Minute)
		assert.Equal(t, api.asked.Load(), int32(1))
		api.down.Store(true)
		close(elected)
		time.Sleep(10 * time.Second)
		assert.Assert(t, !inv.Current())
		api.down.Store(false)
		time.Sleep(time.Minute)
		assert.Assert(t, inv.Current(), "insisted")
		asked := api.asked.Load()
		time.Sleep(5 * time.Minute)
		assert.Equal(t, api.asked.Load(), asked, "an election counts once")
	})
}

func TestClusterUID(t *testing.T) {
	scheme, err := Scheme()
	assert.NilError(t, err)
	uid, err := clusterUID(t.Context(), fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem, UID: "the-uid"}}).Build())
	assert.NilError(t, err)
	assert.Equal(t, uid, "the-uid")
	_, err = clusterUID(t.Context(), fake.NewClientBuilder().WithScheme(scheme).Build())
	assert.ErrorContains(t, err, "kube-system")
}

func TestSlimNode(t *testing.T) {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "u", Labels: map[string]string{"l": "v"}, Annotations: map[string]string{"a": "v"}},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///z/i-1", Taints: []corev1.Taint{{Key: "k"}}},
		Status:     corev1.NodeStatus{Phase: corev1.NodeRunning},
	}
	slim, err := slimNode(node)
	assert.NilError(t, err)
	assert.DeepEqual(t, slim, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "u", Labels: map[string]string{"l": "v"}},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///z/i-1", Taints: []corev1.Taint{{Key: "k"}}},
	})
	other, err := slimNode("a tombstone")
	assert.Assert(t, err == nil && other == "a tombstone")
}

func TestManagerOptions(t *testing.T) {
	o, err := options.Parse([]string{"--cluster-name=test", "--leader-elect-namespace=ns", "--metrics-secure=false"}, nil)
	assert.NilError(t, err)
	m := managerOptions(nil, o)
	assert.Assert(t, m.LeaderElection && m.LeaderElectionReleaseOnCancel)
	assert.Equal(t, m.LeaderElectionNamespace, "ns")
	assert.Equal(t, *m.LeaseDuration, 15*time.Second)
	assert.Equal(t, *m.RenewDeadline, 10*time.Second)
	assert.Equal(t, *m.RetryPeriod, time.Second)
	assert.Assert(t, !m.Metrics.SecureServing && m.Metrics.FilterProvider == nil)
	o.MetricsSecure = true
	m = managerOptions(nil, o)
	assert.Assert(t, m.Metrics.SecureServing && m.Metrics.FilterProvider != nil, "no metrics for just anybody")
}

func TestLogging(t *testing.T) {
	for format, want := range map[string]string{"json": `"eni":"a"`, "console": `{"eni": "a"}`} {
		t.Run(format, func(t *testing.T) {
			var out strings.Builder
			assert.NilError(t, Logging(&out, options.Options{LogLevel: "info", LogFormat: format}))
			log := klog.Background() // which takes a second logger, for the second test
			log.Info("Creating ENI", "eni", "a")
			log.V(1).Info("Not worth telling")
			assert.Assert(t, strings.Contains(out.String(), want), out.String())
			assert.Assert(t, !strings.Contains(out.String(), "Not worth"))
		})
	}
	assert.ErrorContains(t, Logging(os.Stderr, options.Options{LogLevel: "loud"}), "--log-level")
}

func TestLogLevelChangesAtRunTime(t *testing.T) {
	var out strings.Builder
	level.SetLevel(zapcore.InfoLevel)
	log := newLogger(&out, options.Options{LogFormat: "json"})
	put := func(body string) int {
		answer, request := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPut, logLevelPath, strings.NewReader(body))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl -d does
		level.ServeHTTP(answer, request)
		return answer.Code
	}
	log.V(1).Info("Before")
	assert.Equal(t, put("level=debug"), http.StatusOK)
	log.V(1).Info("Meanwhile")
	assert.Equal(t, put("level=loud"), http.StatusBadRequest)
	assert.Equal(t, put("level=info"), http.StatusOK)
	log.V(1).Info("After")
	assert.Assert(t, strings.Contains(out.String(), "Meanwhile"), out.String())
	assert.Assert(t, !strings.Contains(out.String(), "Before") && !strings.Contains(out.String(), "After"), out.String())
}

func TestKubernetes(t *testing.T) {
	t.Setenv("KUBECONFIG", "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err := Kubernetes(options.Options{Kubeconfig: filepath.Join(t.TempDir(), "none")})
	assert.ErrorContains(t, err, "--kubeconfig")
	path := filepath.Join(t.TempDir(), "config")
	assert.NilError(t, os.WriteFile(path, []byte(`apiVersion: v1
kind: Config
current-context: a
contexts: [{name: a, context: {cluster: a, user: a}}]
clusters: [{name: a, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: a}]
`), 0o600))
	config, err := Kubernetes(options.Options{Kubeconfig: path})
	assert.NilError(t, err)
	assert.Equal(t, config.Host, "https://127.0.0.1:1")
}

// TestClaimsInTheCache expects the caches not to keep what tenants write on claims, but for
// the trace.
func TestClaimsInTheCache(t *testing.T) {
	claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{
		Name: "web-0", Labels: map[string]string{"app": "web"}, Finalizers: []string{v1alpha1.Finalizer, "example.com/other"},
		Annotations:     map[string]string{"example.com/note": strings.Repeat("x", 1<<10), v1alpha1.TraceparentAnnotation: "00-1"},
		OwnerReferences: []metav1.OwnerReference{{Name: "web"}}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}}
	slim, err := slimClaim(claim)
	assert.NilError(t, err)
	assert.DeepEqual(t, slim, &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{
		Name: "web-0", Finalizers: []string{v1alpha1.Finalizer, "example.com/other"}, Annotations: map[string]string{v1alpha1.TraceparentAnnotation: "00-1"},
	}})
}
