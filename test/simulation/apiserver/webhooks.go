/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/webhook"
	webhookerrors "k8s.io/apiserver/pkg/admission/plugin/webhook/errors"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules"
	webhookrequest "k8s.io/apiserver/pkg/admission/plugin/webhook/request"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

// Webhooks are the validating webhooks of config/webhook/manifests.yaml, and how they
// are reached.
type Webhooks struct {
	// Transport carries a review to the service of the webhooks.
	Transport http.RoundTripper
	// User returns the name of the user that a connection belongs to.
	User func(connection string) string

	hooks []webhook.WebhookAccessor
}

// errMoved says that an object changed while the webhooks were asked about it. The
// write starts again from what the object is then.
var errMoved = errors.New("the object changed while it was admitted")

// Install has the webhooks asked about each write from now on.
func (s *Server) Install(w Webhooks) error {
	read, err := shipped()
	if err != nil {
		return err
	}
	configuration := read.DeepCopy()
	for i := range configuration.Webhooks {
		hook := &configuration.Webhooks[i]
		if hook.ClientConfig.Service == nil {
			return fmt.Errorf("webhook %s has no service: that is not known here", hook.Name)
		}
		hook.MatchConditions = nil // As OLM installs it: the operator is asked about its own writes too.
		complete(hook)
		w.hooks = append(w.hooks, webhook.NewValidatingWebhookAccessor(hook.Name, configuration.Name, hook))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.webhooks = w
	return nil
}

// complete sets the defaults of the API.
func complete(hook *admissionregistrationv1.ValidatingWebhook) {
	if hook.NamespaceSelector == nil {
		hook.NamespaceSelector = &metav1.LabelSelector{}
	}
	if hook.ObjectSelector == nil {
		hook.ObjectSelector = &metav1.LabelSelector{}
	}
	if hook.FailurePolicy == nil {
		hook.FailurePolicy = ptr.To(admissionregistrationv1.Fail)
	}
	if hook.TimeoutSeconds == nil {
		hook.TimeoutSeconds = ptr.To[int32](10)
	}
}

// shipped reads the configuration that users install.
var shipped = sync.OnceValues(func() (*admissionregistrationv1.ValidatingWebhookConfiguration, error) {
	_, here, _, _ := goruntime.Caller(0) //nolint:dogsled // only the file is of interest
	text, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "..", "..", "config", "webhook", "manifests.yaml"))
	if err != nil {
		return nil, err
	}
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := yaml.UnmarshalStrict(text, configuration); err != nil {
		return nil, fmt.Errorf("reading the configuration of the webhooks: %w", err)
	}
	return configuration, nil
})

// askWebhooks asks the webhooks whose rules name a write. The server is unlocked for
// that time, since the webhooks read from it.
func (s *Server) askWebhooks(k *kind, request Request, content, old map[string]any) error {
	asked, err := s.matching(k, request, content, old)
	if err != nil || len(asked) == 0 {
		return err
	}
	before := k.objects[key(request.Namespace, request.Name)]
	review := s.review(k, request)
	s.mu.Unlock()
	var noticed []string
	var refusal error
	for i := 0; i < len(asked) && refusal == nil; i++ {
		var broken *brokenError
		if broken, refusal = s.webhooks.ask(asked[i], review); broken != nil {
			noticed = append(noticed, fmt.Sprintf("%v (asked about %s %s)", broken, k.resource, request.Name))
		}
	}
	s.mu.Lock()
	s.refusals = append(s.refusals, noticed...)
	if apierrors.IsInternalError(refusal) && len(noticed) == 0 {
		return refusal // Nobody answered: nobody has anything against the write.
	}
	if refusal != nil {
		return s.refuse(request.Connection, k, request.Name, refusal)
	}
	if k.objects[key(request.Namespace, request.Name)] != before {
		return errMoved
	}
	return nil
}

// matching returns the webhooks that a write is shown to.
func (s *Server) matching(k *kind, request Request, content, old map[string]any) ([]webhook.WebhookAccessor, error) {
	var found []webhook.WebhookAccessor
	attributes := admission.NewAttributesRecord(nil, nil, k.GroupVersionKind, request.Namespace, request.Name,
		k.GroupVersion().WithResource(k.resource), request.Subresource, admission.Operation(operation(request)), nil, false, nil)
	for _, hook := range s.webhooks.hooks {
		named := false
		for _, rule := range hook.GetRules() {
			named = named || (&rules.Matcher{Rule: rule, Attr: attributes}).Matches()
		}
		if !named {
			continue
		}
		selected, err := s.selected(hook, request.Namespace, content, old)
		if err != nil {
			return nil, err
		}
		if selected {
			found = append(found, hook)
		}
	}
	return found, nil
}

// selected reports whether the selectors of a webhook select an object, as it was or as
// it will be, and its namespace.
func (s *Server) selected(hook webhook.WebhookAccessor, namespace string, content, old map[string]any) (bool, error) {
	spaces, err := hook.GetParsedNamespaceSelector()
	if err != nil {
		return false, err
	}
	if home, ok := s.kinds["/namespaces"].objects[key("", namespace)]; ok && !spaces.Matches(labelsOf(home.content)) {
		return false, nil
	}
	objects, err := hook.GetParsedObjectSelector()
	if err != nil {
		return false, err
	}
	for _, one := range []map[string]any{content, old} {
		if one != nil && objects.Matches(labelsOf(one)) {
			return true, nil
		}
	}
	return false, nil
}

// operation is the word of the admission API for a verb.
func operation(request Request) admissionv1.Operation {
	return admissionv1.Operation(strings.ToUpper(request.Verb))
}

// review is the question about a write.
func (s *Server) review(k *kind, request Request) *admissionv1.AdmissionReview {
	asked := &admissionv1.AdmissionRequest{
		UID:       types.UID(s.newUID()),
		Kind:      metav1.GroupVersionKind(k.GroupVersionKind),
		Resource:  metav1.GroupVersionResource(k.GroupVersion().WithResource(k.resource)),
		Name:      request.Name,
		Namespace: request.Namespace,
		Operation: operation(request),
		UserInfo:  authenticationv1.UserInfo{Username: s.webhooks.User(request.Connection)},
		Object:    runtime.RawExtension{Raw: request.Object},
		OldObject: runtime.RawExtension{Raw: request.Old},
		DryRun:    ptr.To(false), // Requests for dry runs are not known here.
	}
	asked.SubResource = request.Subresource
	asked.RequestKind = &asked.Kind
	asked.RequestResource = &asked.Resource
	asked.RequestSubResource = request.Subresource
	return &admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"}, Request: asked,
	}
}

// brokenError is an answer that no working webhook gives.
type brokenError struct {
	webhook string
	why     error
}

func (b *brokenError) Error() string {
	return fmt.Sprintf("webhook %q is broken: %v", b.webhook, b.why)
}

func (b *brokenError) Unwrap() error { return b.why }

// ask puts a question to a webhook, and returns its refusal, if any. Where no answer comes, or
// one that is broken, the failure policy decides.
func (w *Webhooks) ask(hook webhook.WebhookAccessor, review *admissionv1.AdmissionReview) (broken *brokenError, refusal error) {
	result, err := w.call(hook, review)
	errors.As(err, &broken)
	if err != nil {
		if *hook.GetFailurePolicy() == admissionregistrationv1.Ignore {
			return broken, nil
		}
		return broken, apierrors.NewInternalError(fmt.Errorf("failed calling webhook %q: %w", hook.GetName(), err))
	}
	if result.Allowed {
		return nil, nil
	}
	if status := result.Result; status != nil && (status.Code == http.StatusBadRequest || strings.HasSuffix(status.Message, "[recovered]")) {
		broken = &brokenError{hook.GetName(), errors.New(status.Message)} // It cannot read the question, or panicked.
	}
	return broken, webhookerrors.ToStatusErr(hook.GetName(), result.Result)
}

// call sends a question and reads the answer.
func (w *Webhooks) call(hook webhook.WebhookAccessor, review *admissionv1.AdmissionReview) (*webhookrequest.AdmissionResponse, error) {
	timeout := time.Duration(*hook.GetTimeoutSeconds()) * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	status, body, err := w.send(ctx, hook.GetClientConfig().Service, review)
	if err != nil {
		return nil, fmt.Errorf("failed to call webhook: %w", err)
	}
	if status != http.StatusOK {
		return nil, &brokenError{hook.GetName(), fmt.Errorf("it answers with status %d: %s", status, body)}
	}
	answered := &admissionv1.AdmissionReview{}
	if err := json.Unmarshal(body, answered); err != nil {
		return nil, &brokenError{hook.GetName(), err}
	}
	result, err := webhookrequest.VerifyAdmissionResponse(review.Request.UID, false, answered)
	if err != nil {
		return nil, &brokenError{hook.GetName(), err}
	}
	return result, nil
}

// send posts a review to a service.
func (w *Webhooks) send(
	ctx context.Context, service *admissionregistrationv1.ServiceReference, review *admissionv1.AdmissionReview,
) (status int, answer []byte, err error) {
	body, err := json.Marshal(review)
	if err != nil {
		return 0, nil, err
	}
	url := fmt.Sprintf("https://%s.%s.svc%s", service.Name, service.Namespace, ptr.Deref(service.Path, "/"))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := w.Transport.RoundTrip(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// selfSubjectReviews is the resource by which a client asks who it is.
const selfSubjectReviews = "selfsubjectreviews"

// reviewSelf tells a client the name of its user.
func (s *Server) reviewSelf(connection string) ([]byte, error) {
	name := connection
	if s.webhooks.User != nil {
		name = s.webhooks.User(connection)
	}
	return json.Marshal(&authenticationv1.SelfSubjectReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "SelfSubjectReview"},
		Status:   authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{Username: name}},
	})
}
