/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// behindGate is a server that notes what reaches it, and a gate before it.
type behindGate struct {
	gate    *gate
	url     string
	reached []string
	killed  bool
}

func startGate(t *testing.T) *behindGate {
	b := &behindGate{}
	b.gate = newGate(func() {}, func() { b.killed = true })
	server := httptest.NewServer(b.gate.guard(kubernetesCall, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		b.reached = append(b.reached, r.Method+" "+string(body))
		_, _ = io.WriteString(w, "done")
	})))
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

func (b *behindGate) send(t *testing.T, method, path, body string) (answer string, err error) {
	request, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	assert.NilError(t, err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

const pools = "/apis/networking.eni-operator.dev/v1alpha1/enipools"

func TestGateKillsAtItsTargetOnly(t *testing.T) {
	for _, side := range []Side{Before, After} {
		t.Run(string(side), func(t *testing.T) {
			b := startGate(t)
			b.gate.watch(&Point{Side: side, Call: Call{Name: "POST enipools", Number: 2}})
			for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
				answer, err := b.send(t, method, pools, "first")
				assert.NilError(t, err)
				assert.Equal(t, answer, "done")
			}
			assert.Assert(t, !b.killed)

			_, err := b.send(t, http.MethodPost, pools, "second")
			assert.ErrorContains(t, err, "EOF")
			<-b.gate.fired
			assert.Assert(t, b.killed)
			assert.Equal(t, slices.Contains(b.reached, "POST second"), side == After)

			answer, err := b.send(t, http.MethodPost, pools, "third")
			assert.NilError(t, err)
			assert.Equal(t, answer, "done")
			assert.DeepEqual(t, b.gate.seen(), []Call{{"POST enipools", 1}, {"DELETE enipools", 1}, {"POST enipools", 2}, {"POST enipools", 3}})
		})
	}
}

func TestKubernetesCallNamesWrites(t *testing.T) {
	const group = "/apis/networking.eni-operator.dev/v1alpha1/"
	for _, c := range []struct{ method, path, name string }{
		{http.MethodPost, group + "enipools", "POST enipools"},
		{http.MethodPut, group + "enipools/node/status", "PUT enipools/status"},
		{http.MethodPatch, group + "namespaces/shop/eniclaims/web-0", "PATCH eniclaims"},
		{http.MethodPut, group + "namespaces/shop/eniclaims/web-0/status", "PUT eniclaims/status"},
		{http.MethodPatch, "/api/v1/nodes/node", "PATCH nodes"},
		{http.MethodGet, group + "enipools", ""},
		{http.MethodPost, "/apis/events.k8s.io/v1/namespaces/default/events", ""},
		{http.MethodPut, "/apis/coordination.k8s.io/v1/namespaces/default/leases/leader", ""},
		{http.MethodPost, "/healthz", ""},
	} {
		request := httptest.NewRequest(c.method, c.path, http.NoBody)
		assert.Equal(t, kubernetesCall(request), c.name, "%s %s", c.method, c.path)
	}
}

func TestEC2CallLeavesTheBodyAlone(t *testing.T) {
	const body = "Action=DescribeSubnets&Version=2016-11-15"
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	assert.Equal(t, ec2Call(request), "EC2 DescribeSubnets")
	left, err := io.ReadAll(request.Body)
	assert.NilError(t, err)
	assert.Equal(t, string(left), body)
}
