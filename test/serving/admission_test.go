/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package serving

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// TestAdmissionAnswersWithoutEC2 expects a replica that has never reached EC2 to be ready,
// so that it is an endpoint of the webhooks' Service, and to judge: a wrong Region must not
// keep anybody from correcting or deleting a policy.
func TestAdmissionAnswersWithoutEC2(t *testing.T) {
	w := newWorld(t)
	w.url = "http://" + freeAddress(t)
	webhooks := freeAddress(t)
	_, port, _ := strings.Cut(webhooks, ":")
	o := w.start(plane.KubeconfigPath, "--enable-webhooks", "--webhook-host=127.0.0.1", "--webhook-port="+port, "--webhook-secret="+unique(t))
	eventually(t, func() error {
		status, body := get(t, "http://"+o.health+"/readyz", "")
		return wants(http.StatusOK, status, body)
	})
	_, body := get(t, "http://"+o.health+"/readyz?verbose", "")
	assert.Assert(t, cmp.Contains(body, "[-]ec2 "))

	policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: unique(t)}}
	policy.Spec.StartupTaint = "node.kubernetes.io/not-ready"
	judged := review(t, webhooks, policy)
	assert.Assert(t, !judged.Allowed, "a policy that would remove a taint of Kubernetes")
	assert.Assert(t, cmp.Contains(judged.Result.Message, "spec.startupTaint"))
}

// review asks the webhook whether a policy may be created, as the API server does.
func review(t *testing.T, address string, policy *v1alpha1.ENIPolicy) *admissionv1.AdmissionResponse {
	t.Helper()
	policy.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ENIPolicy"))
	object, err := json.Marshal(policy)
	assert.NilError(t, err)
	asked := admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "1", Operation: admissionv1.Create, Name: policy.Name, Object: runtime.RawExtension{Raw: object},
			Kind: metav1.GroupVersionKind(policy.GroupVersionKind()),
		},
	}
	body, err := json.Marshal(asked)
	assert.NilError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		"https://"+address+"/validate-networking-eni-operator-dev-v1alpha1-enipolicy", bytes.NewReader(body))
	assert.NilError(t, err)
	request.Header.Set("Content-Type", "application/json")
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // loopback
	response, err := insecure.Do(request)
	assert.NilError(t, err)
	defer func() { _ = response.Body.Close() }()
	var answered admissionv1.AdmissionReview
	assert.NilError(t, json.NewDecoder(response.Body).Decode(&answered))
	return answered.Response
}
