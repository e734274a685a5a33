/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package apiserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// service answers reviews as a test says.
type service func(*http.Request, *admissionv1.AdmissionRequest) (status int, answer *admissionv1.AdmissionResponse, err error)

func (s service) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	review := &admissionv1.AdmissionReview{}
	if err := json.Unmarshal(body, review); err != nil {
		return nil, err
	}
	status, answer, err := s(r, review.Request)
	if err != nil {
		return nil, err
	}
	review.Request, review.Response = nil, answer
	if body, err = json.Marshal(review); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(bytes.NewReader(body))}, nil
}

func (s *Server) installed(t *testing.T, answers service) {
	t.Helper()
	assert.NilError(t, s.Install(Webhooks{Transport: answers, User: func(connection string) string { return "user:" + connection }}))
}

func anENI(name string) *v1alpha1.ElasticNetworkInterface {
	eni := &v1alpha1.ElasticNetworkInterface{ObjectMeta: metav1.ObjectMeta{Name: name}}
	eni.Spec.NodeName = "node"
	eni.Spec.SubnetIDs = []v1alpha1.SubnetID{"subnet-0123456789abcdef0"}
	return eni
}

func allow(asked *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	return &admissionv1.AdmissionResponse{UID: asked.UID, Allowed: true}
}

func TestWebhookIsAskedAsConfigured(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, c client.WithWatch, _ *Connection) {
		ctx := t.Context()
		var asked []*admissionv1.AdmissionRequest
		s.installed(t, func(_ *http.Request, question *admissionv1.AdmissionRequest) (int, *admissionv1.AdmissionResponse, error) {
			asked = append(asked, question)
			return http.StatusOK, allow(question), nil
		})
		own := anENI("own")
		assert.NilError(t, c.Create(ctx, own))
		own.Status.MACAddress = "02:00:00:00:00:01"
		assert.NilError(t, c.Status().Update(ctx, own))
		own.Spec.Drained = true
		assert.NilError(t, c.Update(ctx, own))
		assert.NilError(t, c.Delete(ctx, own))
		var operations []string
		for _, question := range asked {
			operations = append(operations, string(question.Operation)+" "+question.Name)
			assert.Equal(t, question.UserInfo.Username, "user:me")
			assert.Equal(t, question.SubResource, "", "a status is not shown")
		}
		assert.DeepEqual(t, operations, []string{"CREATE own", "UPDATE own", "DELETE own"})
		for i, want := range []struct{ object, old bool }{{object: true}, {object: true, old: true}, {old: true}} {
			assert.Equal(t, len(asked[i].Object.Raw) > 0, want.object)
			assert.Equal(t, len(asked[i].OldObject.Raw) > 0, want.old)
		}
		assert.Assert(t, strings.Contains(string(asked[1].Object.Raw), "drained") && !strings.Contains(string(asked[1].OldObject.Raw), "drained"))
	})
}

func TestRefusalReachesTheWriter(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, c client.WithWatch, _ *Connection) {
		s.installed(t, func(_ *http.Request, question *admissionv1.AdmissionRequest) (int, *admissionv1.AdmissionResponse, error) {
			why := &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: "in use"}
			return http.StatusOK, &admissionv1.AdmissionResponse{UID: question.UID, Result: why}, nil
		})
		err := c.Create(t.Context(), aClaim("a"))
		assert.Assert(t, apierrors.IsForbidden(err), "%v", err)
		assert.Error(t, err, `admission webhook "eniclaims.networking.eni-operator.dev" denied the request: in use`)
		assert.Assert(t, apierrors.IsNotFound(c.Get(t.Context(), client.ObjectKeyFromObject(aClaim("a")), aClaim("a"))))
		refusals := s.Refusals()
		assert.Equal(t, len(refusals), 1)
		assert.Assert(t, strings.HasPrefix(refusals[0], "eniclaims of a by me: "), refusals[0])
	})
}

func TestFailurePolicyDecidesWhereNobodyAnswers(t *testing.T) {
	rows := map[string]service{
		"nobody is there": func(*http.Request, *admissionv1.AdmissionRequest) (int, *admissionv1.AdmissionResponse, error) {
			return 0, nil, errors.New("no endpoints")
		},
		"no answer comes": func(r *http.Request, _ *admissionv1.AdmissionRequest) (int, *admissionv1.AdmissionResponse, error) {
			<-r.Context().Done()
			return 0, nil, r.Context().Err()
		},
	}
	for name, answers := range rows {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *Server, c client.WithWatch, _ *Connection) {
				pool := &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: "node"}}
				pool.Spec.NodeName, pool.Spec.InstanceID, pool.Spec.PolicyName = "node", "i-0123456789abcdef0", "general"
				pool.Spec.SubnetSelectorTerms = []v1alpha1.SubnetSelectorTerm{{ID: "subnet-0123456789abcdef0"}}
				assert.NilError(t, c.Create(t.Context(), pool))
				s.installed(t, answers)
				err := c.Create(t.Context(), aClaim("a"))
				assert.Assert(t, apierrors.IsInternalError(err), "%v", err)
				assert.ErrorContains(t, err, `failed calling webhook "eniclaims.networking.eni-operator.dev"`)
				began := time.Now()
				assert.NilError(t, c.Delete(t.Context(), pool), "its webhook is ignored then")
				assert.Assert(t, time.Since(began) <= 5*time.Second, "the configured timeout")
			})
		})
	}
}

func TestBrokenWebhooksAreNoticed(t *testing.T) {
	rows := map[string]func(*admissionv1.AdmissionRequest) (int, *admissionv1.AdmissionResponse){
		"no such path": func(*admissionv1.AdmissionRequest) (int, *admissionv1.AdmissionResponse) {
			return http.StatusNotFound, nil
		},
		"no response": func(*admissionv1.AdmissionRequest) (int, *admissionv1.AdmissionResponse) { return http.StatusOK, nil },
		"another question's": func(*admissionv1.AdmissionRequest) (int, *admissionv1.AdmissionResponse) {
			return http.StatusOK, &admissionv1.AdmissionResponse{UID: "x"}
		},
		"it cannot read it": broken(http.StatusBadRequest, "unable to decode"),
		"it panics":         broken(http.StatusInternalServerError, "panic: nil map [recovered]"),
	}
	for name, answer := range rows {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *Server, c client.WithWatch, _ *Connection) {
				s.installed(t, func(_ *http.Request, question *admissionv1.AdmissionRequest) (int, *admissionv1.AdmissionResponse, error) {
					status, response := answer(question)
					return status, response, nil
				})
				assert.Assert(t, c.Create(t.Context(), aClaim("a")) != nil)
				refusals := s.Refusals()
				assert.Equal(t, len(refusals), 2)
				assert.Assert(t, strings.HasPrefix(refusals[0], `webhook "eniclaims.networking.eni-operator.dev" is broken: `), refusals[0])
			})
		})
	}
}

func broken(code int32, message string) func(*admissionv1.AdmissionRequest) (int, *admissionv1.AdmissionResponse) {
	return func(question *admissionv1.AdmissionRequest) (int, *admissionv1.AdmissionResponse) {
		return http.StatusOK, &admissionv1.AdmissionResponse{UID: question.UID, Result: &metav1.Status{Code: code, Message: message}}
	}
}

// TestWebhookReadsWhatItIsAskedAbout asserts that a webhook may use the server, and that
// a write starts again where its object changed in the time.
func TestWebhookReadsWhatItIsAskedAbout(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, c client.WithWatch, _ *Connection) {
		ctx, own := t.Context(), anENI("own")
		assert.NilError(t, c.Create(ctx, own))
		questions := 0
		s.installed(t, func(_ *http.Request, question *admissionv1.AdmissionRequest) (int, *admissionv1.AdmissionResponse, error) {
			questions++
			if questions == 1 {
				changed := own.DeepCopy()
				changed.Status.MACAddress = "02:00:00:00:00:01"
				assert.NilError(t, c.Status().Update(ctx, changed))
			}
			return http.StatusOK, allow(question), nil
		})
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"team":"blue"}}}`))
		assert.NilError(t, c.Patch(ctx, own.DeepCopy(), patch))
		assert.Equal(t, questions, 2)
		assert.NilError(t, c.Get(ctx, client.ObjectKeyFromObject(own), own))
		assert.Equal(t, own.Annotations["team"], "blue")
		assert.Equal(t, own.Status.MACAddress, "02:00:00:00:00:01", "what was written in between stays")
		own.ResourceVersion = "1"
		assert.Assert(t, apierrors.IsConflict(c.Update(ctx, own)))
	})
}
