/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package olm installs the bundle with OLM's own operators, on a control plane
// without kubelets: what they make of it is what they make anywhere, but for the
// pods, in whose place the test runs the operator's binary.
package olm

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	operatorsv1 "github.com/operator-framework/api/pkg/operators/v1"
	"github.com/operator-framework/api/pkg/operators/v1alpha1"
	"github.com/operator-framework/operator-registry/alpha/declcfg"
	"github.com/operator-framework/operator-registry/pkg/api"
	"github.com/operator-framework/operator-registry/pkg/cache"
	"github.com/operator-framework/operator-registry/pkg/server"
	"google.golang.org/grpc"
	"gotest.tools/v3/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/pkg/setup"
	"github.com/eni-operator/eni-operator/test/bundle/catalog"
	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/flow"
)

const (
	olmNamespace = "olm"
	namespace    = "eni-operator-system"
	packageName  = "eni-operator"
	account      = "eni-operator-controller-manager"
)

// world is a control plane with OLM.
type world struct {
	client.Client
	t     *testing.T
	plane *controlplane.ControlPlane
	root  string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	root, err := controlplane.RepositoryRoot()
	assert.NilError(t, err)
	plane, err := controlplane.Start(t.Context(), controlplane.Options{
		CRDs:          []string{filepath.Join(olmSources(t, root), "deploy", "chart", "crds")},
		APIServerArgs: []string{"--enable-aggregator-routing=true"},
	})
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, plane.Stop()) })
	scheme, err := setup.Scheme()
	assert.NilError(t, err)
	assert.NilError(t, v1alpha1.AddToScheme(scheme))
	assert.NilError(t, apiextensionsv1.AddToScheme(scheme))
	assert.NilError(t, operatorsv1.AddToScheme(scheme))
	w := &world{t: t, plane: plane, root: root}
	w.Client, err = client.New(plane.Config, client.Options{Scheme: scheme})
	assert.NilError(t, err)

	for _, name := range []string{olmNamespace, namespace} {
		w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	w.create(&operatorsv1.OLMConfig{ObjectMeta: metav1.ObjectMeta{Name: "cluster"}})
	w.create(&operatorsv1.OperatorGroup{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "all-namespaces"}})
	w.startOLM("olm", "--namespace="+olmNamespace)
	w.startOLM("catalog", "--kubeconfig="+plane.KubeconfigPath, "--namespace="+olmNamespace)
	go w.runDeployments(t.Context())
	return w
}

// olmSources is the folder of OLM's Go module.
func olmSources(t *testing.T, root string) string {
	t.Helper()
	command := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/operator-framework/operator-lifecycle-manager")
	command.Dir = filepath.Join(root, "hack", "olm")
	output, err := command.Output()
	assert.NilError(t, err)
	return strings.TrimSpace(string(output))
}

// startOLM starts one of OLM's operators. Both listen on port 8080; the second only
// logs that it cannot.
func (w *world) startOLM(name string, arguments ...string) {
	w.t.Helper()
	path := filepath.Join(w.root, "build", "olm", name)
	if _, err := os.Stat(path); err != nil {
		w.t.Fatalf("%s is missing: run `make test-olm`", path)
	}
	process := &controlplane.Process{
		Path: path, Args: arguments, LogFile: filepath.Join(w.t.TempDir(), name+".log"),
		Env: []string{"KUBECONFIG=" + w.plane.KubeconfigPath, "OPERATOR_NAMESPACE=" + olmNamespace, "OPERATOR_NAME=" + name},
	}
	assert.NilError(w.t, process.Start())
	w.t.Cleanup(func() {
		_ = process.Stop()
		if w.t.Failed() {
			content, _ := os.ReadFile(process.LogFile)
			w.t.Logf("the last words of %s:\n%s", name, content[max(0, len(content)-5000):])
		}
	})
}

func (w *world) create(object client.Object) {
	w.t.Helper()
	assert.NilError(w.t, w.Create(w.t.Context(), object))
}

// runDeployments stands in for the deployment controller and kubelets: each
// Deployment is available at once.
func (w *world) runDeployments(ctx context.Context) {
	for ctx.Err() == nil {
		deployments := &appsv1.DeploymentList{}
		if err := w.List(ctx, deployments, client.InNamespace(namespace)); err == nil {
			for i := range deployments.Items {
				w.makeAvailable(ctx, &deployments.Items[i])
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (w *world) makeAvailable(ctx context.Context, deployment *appsv1.Deployment) {
	if deployment.Status.ObservedGeneration == deployment.Generation {
		return
	}
	replicas := *deployment.Spec.Replicas
	deployment.Status = appsv1.DeploymentStatus{
		ObservedGeneration: deployment.Generation,
		Replicas:           replicas, UpdatedReplicas: replicas, ReadyReplicas: replicas, AvailableReplicas: replicas,
		Conditions: []appsv1.DeploymentCondition{
			{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable"},
			{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
		},
	}
	_ = w.Status().Update(ctx, deployment) // a conflict is looked at again
}

// serve offers a catalog of bundles over gRPC and returns its address.
func (w *world) serve(bundles ...catalog.Bundle) string {
	w.t.Helper()
	config, err := catalog.Build(bundles...)
	assert.NilError(w.t, err)
	folder := w.t.TempDir()
	file, err := os.Create(filepath.Join(folder, "catalog.json"))
	assert.NilError(w.t, err)
	assert.NilError(w.t, declcfg.WriteJSON(*config, file))
	assert.NilError(w.t, file.Close())
	store, err := cache.New(w.t.TempDir())
	assert.NilError(w.t, err)
	assert.NilError(w.t, cache.LoadOrRebuild(w.t.Context(), store, os.DirFS(folder)))
	listener, err := (&net.ListenConfig{}).Listen(w.t.Context(), "tcp", "127.0.0.1:0")
	assert.NilError(w.t, err)
	registry := grpc.NewServer()
	api.RegisterRegistryServer(registry, server.NewRegistryServer(store))
	go func() { _ = registry.Serve(listener) }()
	w.t.Cleanup(func() {
		registry.Stop()
		_ = store.Close()
	})
	return listener.Addr().String()
}

// previous is the bundle of a release before this one, made as that one would be.
func (w *world) previous(version string) string {
	w.t.Helper()
	folder := w.t.TempDir()
	kustomize := exec.Command(filepath.Join(w.root, "build", "tools", "kustomize"), "build", filepath.Join(w.root, "config", "manifests"))
	manifests, err := kustomize.Output()
	assert.NilError(w.t, err)
	generate := exec.Command("go", "run", "./hack/bundle", "--output", folder, "--version", version, "--image", "example.com/eni-operator:v"+version)
	generate.Dir = w.root
	generate.Stdin = strings.NewReader(string(manifests))
	said, err := generate.CombinedOutput()
	assert.NilError(w.t, err, string(said))
	return filepath.Join(folder, "bundle")
}

// eventually is flow.Eventually.
func (w *world) eventually(what string, check func() error) {
	w.t.Helper()
	flow.Eventually(w.t, what, check)
}
