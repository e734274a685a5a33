/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package admission

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	"gotest.tools/v3/assert"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/uninstall"
	"github.com/eni-operator/eni-operator/test/controlplane"
)

// TestUninstallPasses: --uninstall=delete ends everything while admission guards it and
// claims are bound.
func TestUninstallPasses(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	uninstaller := &uninstall.Uninstaller{Client: shared, Log: logr.Discard()}
	assert.NilError(t, uninstaller.Delete(ctx))
	for _, list := range []client.ObjectList{
		&v1alpha1.ENIPolicyList{}, &v1alpha1.ENIPoolList{}, &v1alpha1.ElasticNetworkInterfaceList{}, &v1alpha1.ENIClaimList{},
	} {
		awaiting(t, "nothing is left", func() error { return none(shared.List(t.Context(), list), list) })
	}
	noOwnWriteRefused(t)
	assert.NilError(t, shared.furnish())
}

// TestTheEndOfADefinition: while a CRD is being deleted the API server deletes the
// objects without asking anybody, so a webhook that nobody answers for holds nothing up. It is
// the last of the tests, since whoever watched the policies takes its time to watch again.
func TestTheEndOfADefinition(t *testing.T) {
	assert.NilError(t, apiextensionsv1.AddToScheme(shared.Scheme()))
	plug, err := shared.unplug()
	assert.NilError(t, err)
	definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "enipolicies." + v1alpha1.GroupVersion.Group}}
	assert.ErrorContains(t, shared.Delete(t.Context(), policySelecting("shared-only", "")), "failed calling webhook")
	assert.NilError(t, shared.Delete(t.Context(), definition))
	awaiting(t, "the CRD and all policies are gone", func() error {
		return gone(shared.Get(t.Context(), client.ObjectKeyFromObject(definition), definition))
	})
	root, err := controlplane.RepositoryRoot()
	assert.NilError(t, err)
	_, err = envtest.InstallCRDs(shared.plane.Config, envtest.CRDInstallOptions{
		Paths: []string{filepath.Join(root, "config", "crd", "bases")}, MaxTime: patience,
	})
	assert.NilError(t, err)
	assert.NilError(t, plug())
}
