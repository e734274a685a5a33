/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// debugEndpointsAskKubernetes: the live stream and the log level are for those who
// have the role that comes with the operator, and for nobody else.
func debugEndpointsAskKubernetes(t *testing.T) {
	w := newWorldApart(t, emulator.Timings{})
	address := freeAddress(t)
	o := startOperator(t, w, w.http.URL, "--metrics-bind-address="+address)
	o.awaitReady()
	s := w.tell(t, "debug")
	token := s.tokenOf("watcher")
	// The certificate is the operator's own.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // loopback
	t.Cleanup(transport.CloseIdleConnections)
	send := func(method, path, token string) (*http.Response, error) {
		request, err := http.NewRequestWithContext(t.Context(), method, "https://"+address+path, strings.NewReader("level=debug"))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		return transport.RoundTrip(request)
	}
	eventually(t, "the metrics server, which /readyz does not wait for, answers", func() error {
		response, err := send(http.MethodGet, "/metrics", "")
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
	ask := func(method, path, token string) int {
		t.Helper()
		response, err := send(method, path, token)
		assert.NilError(t, err)
		assert.NilError(t, response.Body.Close())
		return response.StatusCode
	}
	for _, path := range []string{"/metrics", "/debug/events", "/debug/log-level"} {
		assert.Equal(t, ask(http.MethodGet, path, ""), http.StatusUnauthorized, path)
		assert.Equal(t, ask(http.MethodGet, path, token), http.StatusForbidden, path)
	}
	s.grant("debug_reader_role.yaml", "watcher")
	eventually(t, "the grant is known", func() error {
		return differ("/debug/log-level", ask(http.MethodGet, "/debug/log-level", token), http.StatusOK)
	})
	assert.Equal(t, ask(http.MethodPut, "/debug/log-level", token), http.StatusOK)
	assert.Equal(t, ask(http.MethodGet, "/metrics", token), http.StatusForbidden, "that is another role")

	stream, err := send(http.MethodGet, "/debug/events?type=PoolReady", token)
	assert.NilError(t, err)
	defer func() { _ = stream.Body.Close() }()
	assert.Equal(t, stream.StatusCode, http.StatusOK)
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(2, 4)))
	lines := bufio.NewScanner(stream.Body)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "data: ") {
	}
	s.says(lines.Text(), `"type":"PoolReady"`, `"node":"`+node+`"`, "The pool holds its minimum on 1 ENIs")
	s.says(o.log(), "DEBUG")
	s.followed(address, "watcher")
	s.end()
}

// followed: hack/follow-events.sh finds the leader, gets a token and prints what is
// stored. Of kubectl only the way to a pod is not the real one, since that takes a
// kubelet.
func (s *scenario) followed(address, account string) {
	s.t.Helper()
	root, err := controlplane.RepositoryRoot()
	assert.NilError(s.t, err)
	kubectl, err := controlplane.Binary("kubectl")
	assert.NilError(s.t, err)
	_, port, _ := strings.Cut(address, ":")
	shim := filepath.Join(s.t.TempDir(), "kubectl")
	assert.NilError(s.t, os.WriteFile(shim, []byte(`#!/bin/sh
case "$*" in
*" port-forward pod/leader-0 :8443") echo "Forwarding from 127.0.0.1:`+port+` -> 8443"; exec sleep 600 ;;
*) exec `+kubectl+` "$@" ;;
esac
`), 0o700)) //nolint:gosec // a program
	holder := "leader-0_6f1c2b1e"
	s.create(&coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "eni-operator.networking.eni-operator.dev"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder},
	})
	follow := func(more ...string) *exec.Cmd {
		command := exec.Command(filepath.Join(root, "hack", "follow-events.sh"), more...)
		command.Env = append(os.Environ(), "KUBECTL="+shim, "KUBECONFIG="+s.Plane.KubeconfigPath, "NAMESPACE="+s.namespace, "SERVICE_ACCOUNT="+account, "URL=")
		command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		return command
	}
	refused, err := follow("type=Nonsense").Output()
	assert.Assert(s.t, err != nil, "a refusal is no success")
	s.says(string(refused), "Nonsense", "ENIReady")

	following := follow("type=ClaimBound")
	output, err := following.StdoutPipe()
	assert.NilError(s.t, err)
	assert.NilError(s.t, following.Start())
	stop := func() { _ = syscall.Kill(-following.Process.Pid, syscall.SIGINT) } // Ctrl-C
	s.t.Cleanup(stop)
	lines, told := bufio.NewScanner(output), make(chan string, 100)
	go func() {
		defer close(told)
		for lines.Scan() {
			told <- lines.Text()
		}
	}()
	for number := 0; ; number++ { // It begins with what happens next.
		name := fmt.Sprint("followed-", number)
		claim := s.bind(s.nodes[0], v1alpha1.ModeShared, name)[0]
		s.remove(s.t.Context(), claim)
		s.awaitGone(s.t.Context(), claim)
		select {
		case line := <-told:
			s.says(line, `{"type":"ClaimBound"`, `"name":"followed-`)
			stop()
			_ = following.Wait()
			return
		case <-time.After(time.Second):
			assert.Assert(s.t, number < 60, "nothing was printed")
		}
	}
}

// tokenOf makes a service account, and returns a token of it.
func (s *scenario) tokenOf(name string) string {
	s.t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
	s.create(account)
	request := &authenticationv1.TokenRequest{}
	assert.NilError(s.t, s.SubResource("token").Create(s.t.Context(), account, request))
	return request.Status.Token
}

// grant gives a role of config/rbac to a service account.
func (s *scenario) grant(file, account string) {
	s.t.Helper()
	root, err := controlplane.RepositoryRoot()
	assert.NilError(s.t, err)
	content, err := os.ReadFile(filepath.Join(root, "config", "rbac", file))
	assert.NilError(s.t, err)
	role := &rbacv1.ClusterRole{}
	assert.NilError(s.t, yaml.UnmarshalStrict(content, role))
	s.create(role)
	s.create(&rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: s.namespace, Name: account}},
	})
}
