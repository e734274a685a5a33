/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package manifests offers everything in config/ to a real API server.
package manifests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gotest.tools/v3/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/shipped"
)

// ofOthers are kinds of others' CRDs, which this API server does not have.
var ofOthers = []string{"Certificate", "Issuer", "ServiceMonitor", "PrometheusRule"}

// kustomize is what kustomize makes of a folder of config, or of another that is named
// by its whole path.
func kustomize(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	if !filepath.IsAbs(folder) {
		folder = filepath.Join("config", folder)
	}
	all, err := shipped.Manifests(folder)
	assert.NilError(t, err)
	return all
}

func TestAPIServerTakesEveryManifest(t *testing.T) {
	plane, err := controlplane.Start(t.Context(), controlplane.Options{WithoutControllerManager: true})
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, plane.Stop()) })
	scheme := runtime.NewScheme()
	assert.NilError(t, clientgoscheme.AddToScheme(scheme))
	api, err := client.New(plane.Config, client.Options{Scheme: scheme})
	assert.NilError(t, err)
	// Everything else is only tried, so what is inside them needs these two.
	for _, object := range kustomize(t, "default") {
		if kind := object.GetKind(); kind == "Namespace" || kind == "ServiceAccount" {
			assert.NilError(t, api.Create(t.Context(), object))
		}
	}
	root, err := controlplane.RepositoryRoot()
	assert.NilError(t, err)
	folders, err := filepath.Glob(filepath.Join(root, "config", "*", "kustomization.yaml"))
	assert.NilError(t, err)
	assert.Assert(t, len(folders) > 8)
	for _, path := range folders {
		folder := filepath.Base(filepath.Dir(path))
		switch folder {
		case "manifests", "scorecard": // for tools, and test/bundle holds what becomes of them
			continue
		case "own-certificates", "tracing": // components: self-managed has one, TestTracing tries the other
			continue
		}
		t.Run(folder, func(t *testing.T) {
			for _, object := range kustomize(t, folder) {
				tryToApply(t, api, object)
				tryPod(t, api, object)
			}
		})
	}
}

// TestTracing: the component adds its variables to the others, whatever the names'
// prefix.
func TestTracing(t *testing.T) {
	overlay := t.TempDir()
	root, err := controlplane.RepositoryRoot()
	assert.NilError(t, err)
	config, err := filepath.Rel(overlay, filepath.Join(root, "config"))
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(filepath.Join(overlay, "kustomization.yaml"),
		[]byte("resources: ["+config+"/default]\ncomponents: ["+config+"/tracing]\n"), 0o600))
	var variables []string
	for _, object := range kustomize(t, overlay) {
		if object.GetKind() != "Deployment" {
			continue
		}
		deployment := &appsv1.Deployment{}
		assert.NilError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, deployment))
		for _, variable := range deployment.Spec.Template.Spec.Containers[0].Env {
			variables = append(variables, variable.Name)
		}
	}
	slices.Sort(variables)
	assert.DeepEqual(t, variables, []string{
		"ENI_OPERATOR_CLUSTER_NAME", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG",
	})
}

// TestScrapersVerifyTheMetrics: config/default with its option config/prometheus has
// Prometheus ask for the name in the certificate, and trust who signs it.
func TestScrapersVerifyTheMetrics(t *testing.T) {
	root, err := controlplane.RepositoryRoot()
	assert.NilError(t, err)
	folder := t.TempDir()
	assert.NilError(t, os.CopyFS(folder, os.DirFS(filepath.Join(root, "config"))))
	file := filepath.Join(folder, "default", "kustomization.yaml")
	content, err := os.ReadFile(file)
	assert.NilError(t, err)
	with := bytes.Replace(content, []byte("# - ../prometheus"), []byte("- ../prometheus"), 1)
	assert.Assert(t, !bytes.Equal(content, with))
	assert.NilError(t, os.WriteFile(file, with, 0o600))

	found := map[string]any{}
	for _, object := range kustomize(t, filepath.Dir(file)) {
		switch object.GetKind() + " " + object.GetName() {
		case "ServiceMonitor eni-operator-controller-manager-metrics":
			endpoints, _, err := unstructured.NestedSlice(object.Object, "spec", "endpoints")
			assert.NilError(t, err)
			endpoint := endpoints[0].(map[string]any) //nolint:forcetypeassert // see config/prometheus
			found["asked"] = endpoint["tlsConfig"]
			assert.Assert(t, endpoint["bearerTokenFile"] == nil, "OpenShift refuses a monitor that names a file")
			found["token"] = endpoint["authorization"]
		case "Secret eni-operator-metrics-scraper-token":
			found["account"] = object.GetAnnotations()[corev1.ServiceAccountNameKey]
		case "ClusterRoleBinding eni-operator-metrics-scraper":
			binding := &rbacv1.ClusterRoleBinding{}
			assert.NilError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, binding))
			found["role"] = binding.RoleRef.Name
			assert.DeepEqual(t, binding.Subjects, []rbacv1.Subject{
				{Kind: "ServiceAccount", Namespace: "eni-operator-system", Name: "eni-operator-metrics-scraper"},
			})
		case "Certificate eni-operator-metrics-cert":
			found["names"], _, err = unstructured.NestedSlice(object.Object, "spec", "dnsNames")
			assert.NilError(t, err)
		}
	}
	const name = "eni-operator-controller-manager-metrics.eni-operator-system.svc"
	assert.DeepEqual(t, found, map[string]any{
		"asked":   map[string]any{"serverName": name, "ca": map[string]any{"secret": map[string]any{"name": "metrics-server-cert", "key": "ca.crt"}}},
		"names":   []any{name, name + ".cluster.local"},
		"token":   map[string]any{"credentials": map[string]any{"name": "eni-operator-metrics-scraper-token", "key": "token"}},
		"account": "eni-operator-metrics-scraper", "role": "eni-operator-metrics-reader",
	})
}

// TestNetworkPoliciesBoundTheOperator: they are about its pods, deny what none of them allows, and
// admit traffic to its ports.
func TestNetworkPoliciesBoundTheOperator(t *testing.T) {
	var pod corev1.PodTemplateSpec
	for _, object := range kustomize(t, "default") {
		if object.GetKind() == "Deployment" {
			deployment := &appsv1.Deployment{}
			assert.NilError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, deployment))
			pod = deployment.Spec.Template
		}
	}
	denied := map[networkingv1.PolicyType]bool{}
	reached := map[int32]bool{}
	var reaches []int32
	for _, object := range kustomize(t, "network-policy") {
		policy := &networkingv1.NetworkPolicy{}
		assert.NilError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, policy))
		selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		assert.NilError(t, err)
		assert.Assert(t, selector.Matches(labels.Set(pod.Labels)) && !selector.Empty(), policy.Name)
		for _, kind := range policy.Spec.PolicyTypes {
			denied[kind] = true
		}
		for _, rule := range policy.Spec.Ingress {
			for _, port := range rule.Ports {
				reached[port.Port.IntVal] = true
			}
		}
		for _, rule := range policy.Spec.Egress {
			for _, port := range rule.Ports {
				reaches = append(reaches, port.Port.IntVal)
			}
		}
	}
	assert.DeepEqual(t, denied, map[networkingv1.PolicyType]bool{networkingv1.PolicyTypeIngress: true, networkingv1.PolicyTypeEgress: true})
	for _, port := range pod.Spec.Containers[0].Ports {
		if port.Name != "health" { // The kubelet asks from the pod's own node.
			assert.Assert(t, reached[port.ContainerPort], port.Name)
		}
	}
	slices.Sort(reaches)
	assert.DeepEqual(t, slices.Compact(reaches), []int32{53, 80, 443, 6443})
}

// TestWebhooksAreNotAskedAboutWhatTheOperatorWrites: the account that the Deployment runs
// under, in whatever namespace and with whatever prefix it is installed.
func TestWebhooksAreNotAskedAboutWhatTheOperatorWrites(t *testing.T) {
	for _, folder := range []string{"default", "self-managed"} {
		t.Run(folder, func(t *testing.T) {
			var account string
			for _, object := range kustomize(t, folder) {
				if object.GetKind() == "Deployment" {
					name, _, err := unstructured.NestedString(object.Object, "spec", "template", "spec", "serviceAccountName")
					assert.NilError(t, err)
					account = fmt.Sprintf("'system:serviceaccount:' + '%s' + ':' + '%s'", object.GetNamespace(), name)
				}
			}
			webhooks, err := shipped.Webhooks("config/" + folder)
			assert.NilError(t, err)
			var exempt []string
			for _, hook := range webhooks.Webhooks {
				for _, condition := range hook.MatchConditions {
					exempt = append(exempt, hook.Name)
					assert.Equal(t, condition.Expression, "request.userInfo.username != "+account)
				}
			}
			assert.DeepEqual(t, exempt, []string{
				"elasticnetworkinterfaces.networking.eni-operator.dev", "update.elasticnetworkinterfaces.networking.eni-operator.dev",
			})
		})
	}
}

// tryToApply has the API server judge an object as if it were applied.
func tryToApply(t *testing.T, api client.Client, object *unstructured.Unstructured) {
	t.Helper()
	if object.GetNamespace() == "system" { // a folder that only config/default gives a namespace
		object.SetNamespace("eni-operator-system")
	}
	err := api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.DryRunAll, client.FieldOwner("test"), client.ForceOwnership)
	if apimeta.IsNoMatchError(err) && slices.Contains(ofOthers, object.GetKind()) {
		t.Logf("%s %s needs CRDs of others, and is not tried", object.GetKind(), object.GetName())
		return
	}
	assert.NilError(t, err, "%s %s", object.GetKind(), object.GetName())
}

// tryPod has the API server judge the pod of a Deployment or Job, which it does
// not by itself: the namespace demands the restricted level of pod security.
func tryPod(t *testing.T, api client.Client, object *unstructured.Unstructured) {
	t.Helper()
	template, found, err := unstructured.NestedMap(object.Object, "spec", "template", "spec")
	assert.NilError(t, err)
	if !found {
		return
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "eni-operator-system", Name: "pod"}}
	assert.NilError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(template, &pod.Spec, true))
	if pod.Spec.ServiceAccountName == "controller-manager" {
		pod.Spec.ServiceAccountName = "eni-operator-controller-manager"
	}
	for _, container := range pod.Spec.Containers { // Else a ResourceQuota of its namespace refuses the pod.
		for _, resource := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			_, requested := container.Resources.Requests[resource]
			assert.Assert(t, requested, "%s %s requests no %s", object.GetKind(), object.GetName(), resource)
		}
	}
	assert.NilError(t, api.Create(t.Context(), pod, client.DryRunAll), "the pod of %s %s", object.GetKind(), object.GetName())
	if object.GetKind() == "Deployment" {
		assert.Equal(t, *pod.Spec.Priority, int32(2_000_000_000), "without the operator no new node gets its addresses")
		pause := pod.Spec.Containers[0].Lifecycle.PreStop.Sleep.Seconds
		assert.Assert(t, pause > 0 && pause+10 < *pod.Spec.TerminationGracePeriodSeconds, "webhooks are called until the API server has heard of the end")
	}
}
