/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package olm

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/operator-framework/api/pkg/operators/v1alpha1"
	"gotest.tools/v3/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/test/bundle/catalog"
	"github.com/eni-operator/eni-operator/test/flow"
	"github.com/eni-operator/eni-operator/test/shipped"
)

const (
	previousVersion = "0.0.9"
	previousCSV     = packageName + ".v" + previousVersion
	currentCSV      = packageName + ".v0.1.0"
)

// TestOLM subscribes to a release before this one, upgrades, unsubscribes, and
// subscribes again, as docs/install.md says, while claims hold what they hold.
func TestOLM(t *testing.T) {
	w := newWorld(t)
	before, now := w.previous(previousVersion), filepath.Join(w.root, "bundle")
	source := &v1alpha1.CatalogSource{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "catalog"},
		Spec:       v1alpha1.CatalogSourceSpec{SourceType: v1alpha1.SourceTypeGrpc, Address: w.serve(catalog.Bundle{Folder: before})},
	}
	w.create(source)

	t.Log("Subscribing")
	w.subscribe(previousCSV)
	w.awaitSucceeded(previousCSV)
	binary := flow.Build(t)
	story := flow.New(t, w.plane.Config)
	operator := w.runAsPod(story, binary)
	story.Join()
	w.checkWebhooks()
	story.Bind()
	held := story.Holdings()
	assert.Equal(t, len(held), 5)

	t.Log("Upgrading")
	w.update(source, func() {
		source.Spec.Address = w.serve(catalog.Bundle{Folder: before}, catalog.Bundle{Folder: now, Replaces: previousCSV})
	})
	w.awaitSucceeded(currentCSV)
	w.awaitGone(&v1alpha1.ClusterServiceVersion{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: previousCSV}})
	assert.NilError(t, operator.Stop())
	operator = w.runAsPod(story, binary)
	story.AwaitPools()
	assert.DeepEqual(t, story.Holdings(), held)
	w.checkWebhooks()
	story.Change()

	t.Log("Unsubscribing: the operator goes, and what it made stays")
	held = story.Holdings()
	assert.Equal(t, len(held), 3)
	w.unsubscribe(currentCSV)
	assert.NilError(t, operator.Stop())
	w.awaitDeploymentGone()
	w.checkPermissionsGone()
	assert.DeepEqual(t, story.Holdings(), held)

	t.Log("Subscribing again: it goes on where it was")
	w.subscribe("")
	w.awaitSucceeded(currentCSV)
	operator = w.runAsPod(story, binary)
	story.AwaitPools()
	assert.DeepEqual(t, story.Holdings(), held)

	t.Log("Uninstalling before unsubscribing: nothing is left")
	assert.NilError(t, shipped.Grant(t.Context(), w, "config/uninstall"))
	job := story.Start(binary, w.kubeconfig("eni-operator-uninstaller"), "--uninstall=delete", "--leader-elect-namespace="+namespace)
	select {
	case <-job.Done():
		assert.NilError(t, job.Wait(), job.Log())
	case <-time.After(3 * time.Minute):
		t.Fatalf("--uninstall=delete does not end:\n%s", job.Log())
	}
	story.AwaitNothingLeft()
	w.unsubscribe(currentCSV)
	assert.NilError(t, operator.Stop())
	w.awaitDeploymentGone()
	crds := w.definitions()
	assert.Equal(t, len(crds), 4)
	for i := range crds {
		assert.NilError(t, w.Delete(t.Context(), &crds[i]))
		w.awaitGone(&crds[i])
	}
}

// subscribe follows the package's channel, from a version on.
func (w *world) subscribe(from string) {
	w.t.Helper()
	w.create(&v1alpha1.Subscription{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: packageName},
		Spec: &v1alpha1.SubscriptionSpec{
			CatalogSource: "catalog", CatalogSourceNamespace: namespace, Package: packageName, Channel: "candidate", StartingCSV: from,
			InstallPlanApproval: v1alpha1.ApprovalAutomatic,
			Config: &v1alpha1.SubscriptionConfig{Env: []corev1.EnvVar{
				{Name: "ENI_OPERATOR_CLUSTER_NAME", Value: flow.ClusterName}, {Name: "AWS_REGION", Value: "us-east-1"},
			}},
		},
	})
}

// unsubscribe deletes the Subscription and the version that it installed.
func (w *world) unsubscribe(csv string) {
	w.t.Helper()
	for _, object := range []client.Object{
		&v1alpha1.Subscription{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: packageName}},
		&v1alpha1.ClusterServiceVersion{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: csv}},
	} {
		assert.NilError(w.t, w.Delete(w.t.Context(), object))
		w.awaitGone(object)
	}
}

func (w *world) awaitSucceeded(name string) {
	w.t.Helper()
	w.eventually(name+" succeeds", func() error {
		csv := &v1alpha1.ClusterServiceVersion{}
		if err := w.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, csv); err != nil {
			return errors.Join(err, w.resolution())
		}
		if csv.Status.Phase != v1alpha1.CSVPhaseSucceeded {
			return fmt.Errorf("it is %s: %s (%s)", csv.Status.Phase, csv.Status.Message, csv.Status.Reason)
		}
		return nil
	})
}

// resolution is what the Subscription says.
func (w *world) resolution() error {
	subscription := &v1alpha1.Subscription{}
	if err := w.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: packageName}, subscription); err != nil {
		return err
	}
	return fmt.Errorf("the subscription is %q: %+v", subscription.Status.State, subscription.Status.Conditions)
}

// runAsPod runs the operator as a pod of the Deployment that OLM made: with its
// arguments and environment, and a token of its service account.
func (w *world) runAsPod(story *flow.World, binary string) *flow.Operator {
	w.t.Helper()
	deployment := w.deployment()
	container := deployment.Spec.Template.Spec.Containers[0]
	environment := map[string]string{}
	for _, variable := range container.Env {
		environment[variable.Name] = variable.Value
	}
	assert.Equal(w.t, environment["ENI_OPERATOR_CLUSTER_NAME"], flow.ClusterName)
	assert.Equal(w.t, deployment.Spec.Template.Spec.ServiceAccountName, account)
	assert.Assert(w.t, slices.Contains(container.Args, "--enable-webhooks"))
	operator := story.Start(binary, w.kubeconfig(account), append(w.serveWebhooks(), "--leader-elect-namespace="+namespace)...)
	operator.AwaitReady()
	return operator
}

// kubeconfig has a token of the service account that OLM made.
func (w *world) kubeconfig(account string) string {
	w.t.Helper()
	return flow.Kubeconfig(w.t, w.plane.Config, flow.Token(w.t, w, namespace, account))
}

func (w *world) deployment() *appsv1.Deployment {
	w.t.Helper()
	deployments := &appsv1.DeploymentList{}
	assert.NilError(w.t, w.List(w.t.Context(), deployments, client.InNamespace(namespace)))
	assert.Equal(w.t, len(deployments.Items), 1)
	return &deployments.Items[0]
}

func (w *world) awaitDeploymentGone() {
	w.t.Helper()
	w.eventually("the Deployment is gone", func() error {
		deployments := &appsv1.DeploymentList{}
		if err := w.List(w.t.Context(), deployments, client.InNamespace(namespace)); err != nil {
			return err
		}
		if len(deployments.Items) > 0 {
			return errors.New("it is there")
		}
		return nil
	})
}

// checkPermissionsGone: nothing binds the service account to a role any more.
func (w *world) checkPermissionsGone() {
	w.t.Helper()
	w.eventually("the operator's permissions are gone", func() error {
		bindings := &rbacv1.ClusterRoleBindingList{}
		if err := w.List(w.t.Context(), bindings); err != nil {
			return err
		}
		for i := range bindings.Items {
			for _, subject := range bindings.Items[i].Subjects {
				if subject.Name == account && subject.Namespace == namespace {
					return fmt.Errorf("%s binds it to %s", bindings.Items[i].Name, bindings.Items[i].RoleRef.Name)
				}
			}
		}
		return nil
	})
}

// definitions are our CRDs.
func (w *world) definitions() []apiextensionsv1.CustomResourceDefinition {
	w.t.Helper()
	all := &apiextensionsv1.CustomResourceDefinitionList{}
	assert.NilError(w.t, w.List(w.t.Context(), all))
	var ours []apiextensionsv1.CustomResourceDefinition
	for i := range all.Items {
		if all.Items[i].Spec.Group == "networking.eni-operator.dev" {
			ours = append(ours, all.Items[i])
		}
	}
	return ours
}

func (w *world) update(object client.Object, change func()) {
	w.t.Helper()
	w.eventually("an update of "+object.GetName()+" is taken", func() error {
		if err := w.Get(w.t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change()
		return w.Update(w.t.Context(), object)
	})
}

func (w *world) awaitGone(object client.Object) {
	w.t.Helper()
	w.eventually(object.GetName()+" is gone", func() error {
		err := w.Get(w.t.Context(), client.ObjectKeyFromObject(object), object)
		if err == nil {
			return errors.New("it is there")
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}
