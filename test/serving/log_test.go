/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package serving

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestNoSecretIsLogged: not at the most talkative level, and not when calls fail, of
// which libraries like to tell all.
func TestNoSecretIsLogged(t *testing.T) {
	w := newWorld(t)
	token := w.token(unique(t), rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}})
	metrics := freeAddress(t)
	for _, fault := range []emulator.Fault{
		{Action: "DescribeNetworkInterfaces", Code: "AuthFailure", Status: http.StatusUnauthorized, Probability: 0.3},
		{Action: "DescribeInstances", Code: "UnauthorizedOperation", Status: http.StatusForbidden, Probability: 0.3},
		{Action: "DescribeInstances", Code: "SignatureDoesNotMatch", Status: http.StatusForbidden, Probability: 0.3},
		{Action: "DescribeNetworkInterfaces", Discard: true, Probability: 0.3},
	} {
		w.ec2.AddFault(fault)
	}
	_, port, _ := strings.Cut(freeAddress(t), ":")
	o := w.start(w.kubeconfig(token), "--leader-elect=true", "--log-level=debug", "--metrics-bind-address="+metrics,
		"--enable-webhooks", "--webhook-host=127.0.0.1", "--webhook-port="+port, "--webhook-secret="+unique(t))
	assert.NilError(t, w.kube.Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node.ec2.internal"},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///us-east-1a/i-0123456789abcdef0"},
	}))
	policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: unique(t)}}
	policy.Spec.Shared = &v1alpha1.SharedBounds{MinimumIPs: 1, MaximumIPs: 2}
	assert.NilError(t, w.kube.Create(t.Context(), policy))
	o.awaitReady()
	reader := w.token(unique(t)+"-reader", rbacv1.PolicyRule{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}})
	eventually(t, func() error {
		status, body := get(t, "https://"+metrics+"/metrics", reader)
		return wants(http.StatusOK, status, body)
	})
	get(t, "https://"+metrics+"/metrics", "a-token-that-is-wrong")
	for _, code := range []string{"AuthFailure", "SignatureDoesNotMatch", "UnauthorizedOperation"} {
		eventually(t, func() error { return mentions(o.log(), code) }) // It has said what it has to say.
	}
	pair := &corev1.Secret{}
	assert.NilError(t, w.kube.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: unique(t)}, pair))
	assert.NilError(t, o.process.Stop())

	log := o.log()
	for what, text := range map[string]string{
		"the secret access key": secretKey, "the session token": sessionToken, "the access key id": accessKey,
		"the API server's token": token, "a reader's token": reader, "a wrong token": "a-token-that-is-wrong",
		"a signature": "Signature=", "a signed header": "AWS4-HMAC-SHA256", "a header with the session token": "X-Amz-Security-Token",
		"an authorization header": "Bearer ", "a private key": "PRIVATE KEY",
		"the webhooks' key": base64.StdEncoding.EncodeToString(pair.Data["tls.key"])[:60], "the authority's key": base64.StdEncoding.EncodeToString(pair.Data["ca.key"])[:60],
	} {
		assert.Check(t, !strings.Contains(log, text), "the log has %s", what)
	}
	for _, line := range strings.Split(string(pair.Data["tls.key"]), "\n")[1:3] {
		assert.Check(t, line == "" || !strings.Contains(log, line), "the log has the webhooks' key")
	}
}
