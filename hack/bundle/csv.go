/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// permission is what one service account may do, in the namespace of the operator
// or in the whole cluster.
type permission struct {
	ServiceAccountName string              `json:"serviceAccountName"`
	Rules              []rbacv1.PolicyRule `json:"rules"`
}

// webhook is one of the CSV's webhook definitions.
type webhook struct {
	AdmissionReviewVersions []string                         `json:"admissionReviewVersions"`
	ContainerPort           int32                            `json:"containerPort"`
	DeploymentName          string                           `json:"deploymentName"`
	FailurePolicy           *admissionv1.FailurePolicyType   `json:"failurePolicy"`
	GenerateName            string                           `json:"generateName"`
	MatchPolicy             *admissionv1.MatchPolicyType     `json:"matchPolicy,omitempty"`
	ObjectSelector          *metav1.LabelSelector            `json:"objectSelector,omitempty"`
	Rules                   []admissionv1.RuleWithOperations `json:"rules"`
	SideEffects             *admissionv1.SideEffectClass     `json:"sideEffects"`
	TargetPort              string                           `json:"targetPort"`
	TimeoutSeconds          *int32                           `json:"timeoutSeconds,omitempty"`
	Type                    string                           `json:"type"`
	WebhookPath             *string                          `json:"webhookPath"`
}

// owned is what people wrote about a kind, and what the generator adds to it.
type owned struct {
	Kind              string           `json:"kind"`
	DisplayName       string           `json:"displayName"`
	Description       string           `json:"description"`
	Resources         []map[string]any `json:"resources,omitempty"`
	Name              string           `json:"name"`
	Version           string           `json:"version"`
	SpecDescriptors   []descriptor     `json:"specDescriptors,omitempty"`
	StatusDescriptors []descriptor     `json:"statusDescriptors,omitempty"`
}

// webhookPort is the name of the container's port that serves webhooks.
const webhookPort = "webhook-server"

// disconnected is the annotation that says whether a cluster that does not reach the image's
// registry can install the bundle from a mirror:
// https://docs.redhat.com/en/documentation/openshift_container_platform/latest/html/operators/developing-operators
const disconnected = "features.operators.openshift.io/disconnected"

// clusterServiceVersion completes what people wrote.
func clusterServiceVersion(s *sources, r release, icon []byte) (*unstructured.Unstructured, error) {
	csv := s.base.DeepCopy()
	csv.SetName(csvName(r.version))
	csv.SetNamespace("") // OLM chooses it
	annotations := csv.GetAnnotations()
	annotations["containerImage"] = r.image
	annotations[disconnected] = strconv.FormatBool(r.byDigest())
	annotations["olm.skipRange"] = fmt.Sprintf(">=%s <%s", r.upgradesFrom, r.version)
	examples, err := almExamples(s.examples)
	if err != nil {
		return nil, err
	}
	annotations["alm-examples"] = examples
	csv.SetAnnotations(annotations)

	kinds, err := describeKinds(s)
	if err != nil {
		return nil, err
	}
	strategy, err := installStrategy(s, r)
	if err != nil {
		return nil, err
	}
	hooks, err := webhookDefinitions(s)
	if err != nil {
		return nil, err
	}
	spec, _, _ := unstructured.NestedMap(csv.Object, "spec")
	spec["version"] = r.version
	spec["customresourcedefinitions"] = map[string]any{"owned": kinds}
	spec["install"] = map[string]any{"strategy": "deployment", "spec": strategy}
	// Mirrors copy what is listed here, and know images by their digest only.
	spec["relatedImages"] = []map[string]any{{"name": packageName, "image": r.image}}
	spec["icon"] = []map[string]any{{"base64data": base64.StdEncoding.EncodeToString(icon), "mediatype": "image/svg+xml"}}
	if r.replaces != "" {
		spec["replaces"] = csvName(r.replaces)
	}
	if len(hooks) > 0 {
		spec["webhookdefinitions"] = hooks
	}
	csv.Object["spec"] = spec
	return csv, nil
}

// almExamples are the samples as a JSON list, in the order of kinds and names.
func almExamples(samples []*unstructured.Unstructured) (string, error) {
	samples = slices.Clone(samples)
	slices.SortFunc(samples, func(a, b *unstructured.Unstructured) int {
		return strings.Compare(a.GetKind()+"/"+a.GetName(), b.GetKind()+"/"+b.GetName())
	})
	text, err := json.MarshalIndent(samples, "", "  ")
	return string(text), err
}

// describeKinds adds descriptors to what people wrote about each kind.
func describeKinds(s *sources) ([]owned, error) {
	var written struct {
		Spec struct {
			CustomResourceDefinitions struct {
				Owned []owned `json:"owned"`
			} `json:"customresourcedefinitions"`
		} `json:"spec"`
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(s.base.Object, &written); err != nil {
		return nil, err
	}
	kinds := written.Spec.CustomResourceDefinitions.Owned
	if len(kinds) != len(s.definitions) {
		return nil, fmt.Errorf("the base ClusterServiceVersion describes %d kinds, and there are %d CRDs", len(kinds), len(s.definitions))
	}
	for i := range kinds {
		if err := describeKind(&kinds[i], s.definitions); err != nil {
			return nil, fmt.Errorf("kind %s: %w", kinds[i].Kind, err)
		}
	}
	return kinds, nil
}

func describeKind(kind *owned, definitions []definition) error {
	i := slices.IndexFunc(definitions, func(d definition) bool { return d.Spec.Names.Kind == kind.Kind })
	if i < 0 {
		return errors.New("there is no CRD of that kind")
	}
	crd := &definitions[i]
	if len(crd.Spec.Versions) != 1 {
		return errors.New("the CRD has several versions; describe each of them")
	}
	kind.Name, kind.Version = crd.Name, crd.Spec.Versions[0].Name
	schema := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties
	var err error
	if kind.SpecDescriptors, err = specDescriptors(schema["spec"]); err != nil {
		return fmt.Errorf("spec: %w", err)
	}
	if kind.StatusDescriptors, err = statusDescriptors(schema["status"]); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	return nil
}

// installStrategy is the deployment, and what its service account may do.
func installStrategy(s *sources, r release) (map[string]any, error) {
	spec, _, err := unstructured.NestedMap(s.deployment.Object, "spec")
	if err != nil {
		return nil, err
	}
	containers, _, err := unstructured.NestedSlice(spec, "template", "spec", "containers")
	if err != nil || len(containers) != 1 {
		return nil, fmt.Errorf("the deployment must have one container: %w", err)
	}
	containers[0].(map[string]any)["image"] = r.image
	if err := unstructured.SetNestedSlice(spec, containers, "template", "spec", "containers"); err != nil {
		return nil, err
	}
	account, _, _ := unstructured.NestedString(spec, "template", "spec", "serviceAccountName")
	clusterRules, rules, err := s.rulesOf(account)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"clusterPermissions": []permission{{ServiceAccountName: account, Rules: clusterRules}},
		"permissions":        []permission{{ServiceAccountName: account, Rules: rules}},
		"deployments": []map[string]any{
			{"name": s.deployment.GetName(), "label": s.deployment.GetLabels(), "spec": spec},
		},
	}, nil
}

// rulesOf are those of all roles that are bound to a service account, in the order
// of the bindings.
func (s *sources) rulesOf(account string) (cluster, namespaced []rbacv1.PolicyRule, err error) {
	ours := func(subjects []rbacv1.Subject) bool {
		return slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool { return s.Kind == "ServiceAccount" && s.Name == account })
	}
	for i := range s.clusterRoleBindings {
		binding := &s.clusterRoleBindings[i]
		if !ours(binding.Subjects) {
			return nil, nil, fmt.Errorf("ClusterRoleBinding %s binds others than ServiceAccount %s", binding.Name, account)
		}
		cluster = append(cluster, s.clusterRoles[binding.RoleRef.Name]...)
	}
	for i := range s.roleBindings {
		binding := &s.roleBindings[i]
		if !ours(binding.Subjects) {
			return nil, nil, fmt.Errorf("RoleBinding %s binds others than ServiceAccount %s", binding.Name, account)
		}
		namespaced = append(namespaced, s.roles[binding.RoleRef.Name]...)
	}
	if len(cluster) == 0 || len(namespaced) == 0 {
		return nil, nil, fmt.Errorf("no role is bound to ServiceAccount %s", account)
	}
	return cluster, namespaced, nil
}

// webhookDefinitions say the same as the webhook configurations, in OLM's words.
func webhookDefinitions(s *sources) ([]webhook, error) {
	all := make([]webhook, 0, len(s.webhooks)+len(s.mutating))
	for i := range s.mutating {
		w := &s.mutating[i]
		if w.NamespaceSelector != nil || len(w.MatchConditions) > 0 || w.ReinvocationPolicy != nil {
			return nil, fmt.Errorf("webhook %s: %w", w.Name, errNotInBundles)
		}
		all = append(all, webhook{
			Type: "MutatingAdmissionWebhook", GenerateName: w.Name, Rules: w.Rules, FailurePolicy: w.FailurePolicy, MatchPolicy: w.MatchPolicy,
			SideEffects: w.SideEffects, TimeoutSeconds: w.TimeoutSeconds, AdmissionReviewVersions: w.AdmissionReviewVersions,
			ObjectSelector: w.ObjectSelector, WebhookPath: w.ClientConfig.Service.Path,
		})
	}
	for i := range s.webhooks {
		w := &s.webhooks[i]
		if w.NamespaceSelector != nil { // Without its match conditions a webhook is only asked more often.
			return nil, fmt.Errorf("webhook %s: %w", w.Name, errNotInBundles)
		}
		all = append(all, webhook{
			Type: "ValidatingAdmissionWebhook", GenerateName: w.Name, Rules: w.Rules, FailurePolicy: w.FailurePolicy, MatchPolicy: w.MatchPolicy,
			SideEffects: w.SideEffects, TimeoutSeconds: w.TimeoutSeconds, AdmissionReviewVersions: w.AdmissionReviewVersions,
			ObjectSelector: w.ObjectSelector, WebhookPath: w.ClientConfig.Service.Path,
		})
	}
	for i := range all {
		all[i].DeploymentName, all[i].ContainerPort, all[i].TargetPort = s.deployment.GetName(), 443, webhookPort
	}
	return all, nil
}

var errNotInBundles = errors.New("namespaceSelector, matchConditions and reinvocationPolicy would be lost in an OLM bundle")
