/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package flow

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/test/cluster"
	"github.com/eni-operator/eni-operator/test/controlplane"
)

// Build compiles the operator of this working tree.
func Build(t testing.TB) string {
	t.Helper()
	path, err := cluster.BuildOperator(t.Context(), t.TempDir())
	assert.NilError(t, err)
	return path
}

// Token is a token of a service account, good for an hour, as a pod of that account
// has one.
func Token(t testing.TB, api client.Client, namespace, account string) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(3600))}}
	owner := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	assert.NilError(t, api.SubResource("token").Create(t.Context(), owner, request))
	return request.Status.Token
}

// Kubeconfig is a file for whoever has a token and nothing else.
func Kubeconfig(t testing.TB, server *rest.Config, token string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	assert.NilError(t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: server.Host, CertificateAuthorityData: server.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "x",
	}, path))
	return path
}

// Operator is the operator's process.
type Operator struct {
	*controlplane.Process
	t       testing.TB
	health  string
	LogFile string
}

// Start runs the operator's binary with Settings; flags given last win.
func (w *World) Start(binary, kubeconfig string, flags ...string) *Operator {
	w.t.Helper()
	o := &Operator{t: w.t, health: FreeAddress(w.t), LogFile: filepath.Join(w.t.TempDir(), "operator.log")}
	settings := append(Settings(), "--kubeconfig="+kubeconfig, "--health-probe-bind-address="+o.health, "--metrics-bind-address=0")
	o.Process = &controlplane.Process{
		Path: binary, Args: append(settings, flags...), Env: w.Environment(), LogFile: o.LogFile,
	}
	assert.NilError(w.t, o.Start())
	w.t.Cleanup(func() {
		_ = o.Stop()
		if w.t.Failed() {
			w.t.Logf("the operator's last words:\n%s", o.lastWords())
		}
	})
	return o
}

// AwaitReady returns when the operator is ready, and has read EC2 and believes it.
func (o *Operator) AwaitReady() {
	o.t.Helper()
	Eventually(o.t, "the operator is ready", func() error {
		select {
		case <-o.Done():
			o.t.Fatalf("the operator ended (%v); its last words:\n%s", o.Wait(), o.lastWords())
		default:
		}
		request, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, "http://"+o.health+"/readyz?verbose", http.NoBody)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("/readyz?verbose: %s: %s", response.Status, body)
		}
		return err
	})
}

// Log is what the operator has logged so far.
func (o *Operator) Log() string {
	content, err := os.ReadFile(o.LogFile)
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// lastWords are the end of the log.
func (o *Operator) lastWords() string {
	const most = 6000
	log := o.Log()
	return log[max(0, len(log)-most):]
}

// FreeAddress is a port on loopback that nobody listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
