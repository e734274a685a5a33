/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package bundle

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/operator-framework/api/pkg/operators/v1alpha1"
	"gotest.tools/v3/assert"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// objects are the documents of kustomize's output.
func objects(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(kustomize(t, folder)), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return all
		}
		assert.NilError(t, err)
		all = append(all, object)
	}
}

// ofKind are the objects of one kind, in Go's types.
func ofKind[T any](t *testing.T, all []*unstructured.Unstructured, kind string) []T {
	t.Helper()
	var found []T
	for _, object := range all {
		if object.GetKind() == kind {
			var typed T
			assert.NilError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &typed))
			found = append(found, typed)
		}
	}
	return found
}

// grant is one verb on one resource.
type grant struct{ Group, Resource, Name, URL, Verb string }

// grants spells rules out.
func grants(rules []rbacv1.PolicyRule) map[grant]bool {
	all := map[grant]bool{}
	names := func(rule rbacv1.PolicyRule) []string {
		if len(rule.ResourceNames) == 0 {
			return []string{""}
		}
		return rule.ResourceNames
	}
	for _, rule := range rules {
		for _, verb := range rule.Verbs {
			for _, url := range rule.NonResourceURLs {
				all[grant{URL: url, Verb: verb}] = true
			}
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, name := range names(rule) {
						all[grant{Group: group, Resource: resource, Name: name, Verb: verb}] = true
					}
				}
			}
		}
	}
	return all
}

// TestOLMGrantsWhatKustomizeGrants: nothing more and nothing less.
func TestOLMGrantsWhatKustomizeGrants(t *testing.T) {
	all := objects(t, "config/default")
	strategy := readCSV(t).Spec.InstallStrategy.StrategySpec
	var cluster, namespaced []rbacv1.PolicyRule
	for _, binding := range ofKind[rbacv1.ClusterRoleBinding](t, all, "ClusterRoleBinding") {
		for _, role := range ofKind[rbacv1.ClusterRole](t, all, "ClusterRole") {
			if role.Name == binding.RoleRef.Name {
				cluster = append(cluster, role.Rules...)
			}
		}
	}
	for _, binding := range ofKind[rbacv1.RoleBinding](t, all, "RoleBinding") {
		for _, role := range ofKind[rbacv1.Role](t, all, "Role") {
			if role.Name == binding.RoleRef.Name {
				namespaced = append(namespaced, role.Rules...)
			}
		}
	}
	for _, permission := range slices.Concat(strategy.ClusterPermissions, strategy.Permissions) {
		assert.Equal(t, permission.ServiceAccountName, strategy.DeploymentSpecs[0].Spec.Template.Spec.ServiceAccountName)
	}
	assert.Assert(t, len(cluster) > 0 && len(namespaced) > 0)
	assert.DeepEqual(t, grants(rulesOf(strategy.ClusterPermissions)), grants(cluster))
	assert.DeepEqual(t, grants(rulesOf(strategy.Permissions)), grants(namespaced))
}

func rulesOf(permissions []v1alpha1.StrategyDeploymentPermissions) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, permission := range permissions {
		rules = append(rules, permission.Rules...)
	}
	return rules
}

// TestOLMRunsWhatKustomizeRuns compares the containers, but for what each way to
// install adds: the cluster's name, and where the certificate is.
func TestOLMRunsWhatKustomizeRuns(t *testing.T) {
	deployments := ofKind[appsv1.Deployment](t, objects(t, "config/default"), "Deployment")
	assert.Equal(t, len(deployments), 1)
	theirs, ours := deployments[0].Spec, readCSV(t).Spec.InstallStrategy.StrategySpec.DeploymentSpecs[0].Spec
	assert.Equal(t, *theirs.Replicas, *ours.Replicas)
	their, our := theirs.Template.Spec, ours.Template.Spec
	assert.DeepEqual(t, their.SecurityContext, our.SecurityContext)
	assert.DeepEqual(t, their.TopologySpreadConstraints, our.TopologySpreadConstraints)
	assert.DeepEqual(t, their.Tolerations, our.Tolerations)
	assert.Equal(t, their.PriorityClassName, our.PriorityClassName)
	assert.DeepEqual(t, their.Containers[0].SecurityContext, our.Containers[0].SecurityContext)
	assert.DeepEqual(t, their.Containers[0].Resources, our.Containers[0].Resources)
	assert.DeepEqual(t, their.Containers[0].Ports, our.Containers[0].Ports)
}

// TestOLMCallsTheWebhooksThatKustomizeCalls compares the CSV's definitions with
// config/webhook.
func TestOLMCallsTheWebhooksThatKustomizeCalls(t *testing.T) {
	type hook struct {
		Name, Path string
		Rules      []admissionv1.RuleWithOperations
		Failure    admissionv1.FailurePolicyType
		Effects    admissionv1.SideEffectClass
		Timeout    int32
		Versions   []string
		Selector   *metav1.LabelSelector
	}
	var want []hook
	for _, configuration := range ofKind[admissionv1.ValidatingWebhookConfiguration](t, objects(t, "config/default"), "ValidatingWebhookConfiguration") {
		for _, w := range configuration.Webhooks {
			want = append(want, hook{w.Name, *w.ClientConfig.Service.Path, w.Rules, *w.FailurePolicy, *w.SideEffects, *w.TimeoutSeconds, w.AdmissionReviewVersions, w.ObjectSelector})
		}
	}
	var got []hook
	for _, d := range readCSV(t).Spec.WebhookDefinitions {
		if d.Type == v1alpha1.ValidatingAdmissionWebhook {
			got = append(got, hook{d.GenerateName, *d.WebhookPath, d.Rules, *d.FailurePolicy, *d.SideEffects, *d.TimeoutSeconds, d.AdmissionReviewVersions, d.ObjectSelector})
		}
	}
	assert.Assert(t, len(want) > 0)
	slices.SortFunc(want, func(a, b hook) int { return compare(a.Name, b.Name) })
	slices.SortFunc(got, func(a, b hook) int { return compare(a.Name, b.Name) })
	assert.DeepEqual(t, got, want)
}
