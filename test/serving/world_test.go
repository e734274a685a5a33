/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package serving

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/eni-operator/eni-operator/pkg/setup"
	"github.com/eni-operator/eni-operator/test/cluster"
	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/emulator"
)

const (
	namespace = metav1.NamespaceDefault
	region    = "us-east-1"
	// What must not be in a log.
	accessKey    = "AKIAQWERTZUIOP123456"
	secretKey    = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYqwertzuiop"
	sessionToken = "FwoGZXIvYXdzEBYaDHqwertzuiopASDFGHJKL"

	patience = 90 * time.Second
	glance   = 50 * time.Millisecond
)

// plane is the control plane of all tests of this package.
var plane *controlplane.ControlPlane

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	var err error
	if plane, err = controlplane.Start(context.Background(), controlplane.Options{WithoutControllerManager: true}); err != nil {
		fmt.Fprintln(os.Stderr, "test/serving:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := plane.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "test/serving:", err)
		code = 1
	}
	os.Exit(code)
}

// binary builds the operator once.
var binary = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "eni-operator-serving-")
	if err != nil {
		return "", err
	}
	return cluster.BuildOperator(context.Background(), folder)
})

// world is an EC2, and a client of the control plane.
type world struct {
	t    *testing.T
	kube client.WithWatch
	ec2  *emulator.Server
	url  string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	scheme, err := setup.Scheme()
	assert.NilError(t, err)
	kube, err := client.NewWithWatch(plane.Config, client.Options{Scheme: scheme})
	assert.NilError(t, err)
	w := &world{t: t, kube: kube, ec2: emulator.New(emulator.Options{Throttling: emulator.Throttling{Off: true}})}
	server := httptest.NewServer(w.ec2)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// operator is the operator's process.
type operator struct {
	t       *testing.T
	process *controlplane.Process
	logFile string
	health  string
}

// start runs the operator with a kubeconfig; flags given last win.
func (w *world) start(kubeconfig string, flags ...string) *operator {
	w.t.Helper()
	path, err := binary()
	assert.NilError(w.t, err)
	o := &operator{t: w.t, logFile: filepath.Join(w.t.TempDir(), "operator.log"), health: freeAddress(w.t)}
	o.process = &controlplane.Process{
		Path: path, LogFile: o.logFile,
		Args: append([]string{
			"--kubeconfig=" + kubeconfig, "--cluster-name=serving", "--leader-elect=false", "--leader-elect-namespace=" + namespace,
			"--log-level=debug", "--metrics-bind-address=0", "--health-probe-bind-address=" + o.health,
			"--retry-base-delay=100ms", "--retry-max-delay=1s", "--audit-interval=1s", "--batch-window=5ms",
		}, flags...),
		Env: []string{
			"AWS_ENDPOINT_URL_EC2=" + w.url, "AWS_REGION=" + region, "AWS_ACCESS_KEY_ID=" + accessKey,
			"AWS_SECRET_ACCESS_KEY=" + secretKey, "AWS_SESSION_TOKEN=" + sessionToken, "AWS_PROFILE=",
			"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
		},
	}
	assert.NilError(w.t, o.process.Start())
	w.t.Cleanup(func() {
		assert.Check(w.t, o.process.Stop())
		if w.t.Failed() {
			w.t.Log(o.log())
		}
	})
	return o
}

// awaitReady returns when the operator is ready, and has read EC2 and believes it.
func (o *operator) awaitReady() {
	o.t.Helper()
	eventually(o.t, func() error {
		select {
		case <-o.process.Done():
			o.t.Fatal("the operator has ended")
		default:
		}
		status, body := get(o.t, "http://"+o.health+"/readyz?verbose", "")
		return wants(http.StatusOK, status, body)
	})
}

// lives fails if the operator has ended.
func (o *operator) lives() {
	o.t.Helper()
	select {
	case <-o.process.Done():
		o.t.Error("the operator has ended")
	default:
	}
}

func (o *operator) log() string {
	content, err := os.ReadFile(o.logFile)
	assert.NilError(o.t, err)
	return string(content)
}

// eventually looks until there is no error.
func eventually(t *testing.T, look func() error) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if err := look(); err != nil {
			return poll.Continue("%v", err)
		}
		return poll.Success()
	}, poll.WithTimeout(patience), poll.WithDelay(glance))
}

// get asks for a page with a bearer token, if any: its status, or 0 if nobody answers.
func get(t *testing.T, url, token string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	assert.NilError(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := stranger().Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil { // A server of HTTPS hangs up on who speaks in clear.
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

func wants(want, got int, body string) error {
	if got != want {
		return fmt.Errorf("status %d, not %d: %s", got, want, body)
	}
	return nil
}

// freeAddress is a port on loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// token makes a ServiceAccount with rules, and returns a token of it.
func (w *world) token(name string, rules ...rbacv1.PolicyRule) string {
	w.t.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	account := &corev1.ServiceAccount{ObjectMeta: meta}
	assert.NilError(w.t, w.kube.Create(w.t.Context(), account))
	if len(rules) > 0 {
		assert.NilError(w.t, w.kube.Create(w.t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}))
		assert.NilError(w.t, w.kube.Create(w.t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
		}))
	}
	request := &authenticationv1.TokenRequest{}
	assert.NilError(w.t, w.kube.SubResource("token").Create(w.t.Context(), account, request))
	return request.Status.Token
}

// kubeconfig is a file with which a token speaks to the control plane.
func (w *world) kubeconfig(token string) string {
	w.t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: plane.Config.Host, CertificateAuthorityData: rest.CopyConfig(plane.Config).CAData}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	path := filepath.Join(w.t.TempDir(), "kubeconfig")
	assert.NilError(w.t, clientcmd.WriteToFile(*config, path))
	return path
}

// unique is a name that no other test of this run has.
func unique(t *testing.T) string {
	return strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
}
