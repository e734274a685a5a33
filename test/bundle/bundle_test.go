/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package bundle proves the folder bundle/ to be what OLM and catalogs expect.
package bundle

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/operator-framework/api/pkg/manifests"
	"github.com/operator-framework/api/pkg/operators/v1alpha1"
	"github.com/operator-framework/api/pkg/validation"
	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/eni-operator/eni-operator/test/controlplane"
)

// repository is the path of a file in the repository.
func repository(t *testing.T, path ...string) string {
	t.Helper()
	root, err := controlplane.RepositoryRoot()
	assert.NilError(t, err)
	return filepath.Join(append([]string{root}, path...)...)
}

// validate returns what the validators of OLM have to say, warnings too.
func validate(t *testing.T, folder string) []string {
	t.Helper()
	bundle, err := manifests.GetBundleFromDir(folder)
	assert.NilError(t, err)
	var found []string
	results := validation.DefaultBundleValidators.WithValidators(
		validation.OperatorHubV2Validator, validation.StandardCapabilitiesValidator, validation.StandardCategoriesValidator,
		validation.GoodPracticesValidator, validation.ObjectValidator, validation.AlphaDeprecatedAPIsValidator,
	).Validate(bundle.ObjectsToValidate()...)
	assert.Assert(t, len(results) > 0)
	for _, result := range results {
		for _, err := range result.Errors {
			found = append(found, err.Error())
		}
		for _, warning := range result.Warnings {
			found = append(found, warning.Error())
		}
	}
	return found
}

func TestValidatorsHaveNothingToSay(t *testing.T) {
	assert.DeepEqual(t, validate(t, repository(t, "bundle")), []string(nil))
}

func TestValidatorsFindWhatIsWrong(t *testing.T) {
	for name, spoil := range map[string]func(csv string) string{
		"provided API should have an example": func(csv string) string { return strings.Replace(csv, `"kind": "ENIPool"`, `"kind": "ENIPolicy"`, 1) },
		"install modes not found":             func(csv string) string { return strings.Replace(csv, "installModes:", "noInstallModes:", 1) },
		"has an empty description": func(csv string) string {
			return strings.Replace(csv, "description: The ENIs and addresses", "notes: The ENIs", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			assert.NilError(t, os.CopyFS(folder, os.DirFS(repository(t, "bundle"))))
			path := filepath.Join(folder, "manifests", "eni-operator.clusterserviceversion.yaml")
			before, err := os.ReadFile(path)
			assert.NilError(t, err)
			after := spoil(string(before))
			assert.Assert(t, after != string(before))
			assert.NilError(t, os.WriteFile(path, []byte(after), 0o600))
			assert.Assert(t, strings.Contains(strings.Join(validate(t, folder), "\n"), name))
		})
	}
}

func readCSV(t *testing.T) *v1alpha1.ClusterServiceVersion {
	t.Helper()
	return readCSVOf(t, repository(t, "bundle"))
}

// readCSVOf refuses fields that OLM does not know.
func readCSVOf(t *testing.T, bundle string) *v1alpha1.ClusterServiceVersion {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(bundle, "manifests", "eni-operator.clusterserviceversion.yaml"))
	assert.NilError(t, err)
	csv := &v1alpha1.ClusterServiceVersion{}
	assert.NilError(t, yaml.UnmarshalStrict(content, csv))
	return csv
}

func TestEveryPromiseToCatalogsIsKept(t *testing.T) {
	csv := readCSV(t)
	for _, key := range []string{
		"alm-examples", "capabilities", "categories", "containerImage", "createdAt", "description", "olm.skipRange", "repository", "support",
		"operatorframework.io/suggested-namespace",
	} {
		assert.Assert(t, csv.Annotations[key] != "", key)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		assert.Equal(t, csv.Labels["operatorframework.io/arch."+arch], "supported")
	}
	assert.Equal(t, csv.Name, "eni-operator.v"+csv.Spec.Version.String())
	assert.Equal(t, csv.Spec.MinKubeVersion, "1.31.0")
	for _, mode := range csv.Spec.InstallModes {
		assert.Equal(t, mode.Supported, mode.Type == v1alpha1.InstallModeTypeAllNamespaces, mode.Type)
	}
	containers := csv.Spec.InstallStrategy.StrategySpec.DeploymentSpecs[0].Spec.Template.Spec.Containers
	assert.Equal(t, containers[0].Image, csv.Annotations["containerImage"])
}

// TestFeaturesAreThere: OpenShift's console and its users take a feature annotation at its
// word.
func TestFeaturesAreThere(t *testing.T) {
	csv := readCSV(t)
	strategy := csv.Spec.InstallStrategy.StrategySpec
	grants := grants(append(rulesOf(strategy.ClusterPermissions), rulesOf(strategy.Permissions)...))
	pod := strategy.DeploymentSpecs[0].Spec.Template.Spec
	has := map[string]bool{
		"token-auth-aws": grants[grant{Group: "cloudcredential.openshift.io", Resource: "credentialsrequests", Verb: "create"}],
		"proxy-aware": slices.ContainsFunc(pod.Volumes, func(volume corev1.Volume) bool {
			return volume.ConfigMap != nil && strings.Contains(volume.ConfigMap.Name, "trusted-ca")
		}),
		"disconnected": strings.Contains(pod.Containers[0].Image, "@sha256:"),
	}
	found := 0
	for key, value := range csv.Annotations {
		if feature, ok := strings.CutPrefix(key, "features.operators.openshift.io/"); ok {
			found++
			assert.Equal(t, value, strconv.FormatBool(has[feature]), feature)
		}
	}
	assert.Assert(t, found > len(has), "every feature is answered")
}

// TestMirrorsFindTheImage: a mirror copies the images that the bundle lists, and a cluster
// finds them there by digest only.
func TestMirrorsFindTheImage(t *testing.T) {
	image := "example.com/eni-operator@sha256:" + strings.Repeat("0a", 32)
	folder := t.TempDir()
	generate(t, folder, "--version", "1.2.3", "--image", image)
	released := filepath.Join(folder, "bundle")
	assert.DeepEqual(t, validate(t, released), []string(nil))

	for csv, disconnected := range map[*v1alpha1.ClusterServiceVersion]string{readCSV(t): "false", readCSVOf(t, released): "true"} {
		runs := csv.Spec.InstallStrategy.StrategySpec.DeploymentSpecs[0].Spec.Template.Spec.Containers[0].Image
		assert.DeepEqual(t, csv.Spec.RelatedImages, []v1alpha1.RelatedImage{{Name: "eni-operator", Image: runs}})
		assert.Equal(t, csv.Annotations["features.operators.openshift.io/disconnected"], disconnected, runs)
	}
}

// TestTheConsoleOffersNoPools: people do not make them.
func TestTheConsoleOffersNoPools(t *testing.T) {
	var hidden []string
	assert.NilError(t, json.Unmarshal([]byte(readCSV(t).Annotations["operators.operatorframework.io/internal-objects"]), &hidden))
	assert.DeepEqual(t, hidden, []string{"enipools.networking.eni-operator.dev"})
}

// TestTheSuggestedNamespaceIsRestricted as that of kustomize is.
func TestTheSuggestedNamespaceIsRestricted(t *testing.T) {
	suggested := &corev1.Namespace{}
	assert.NilError(t, json.Unmarshal([]byte(readCSV(t).Annotations["operatorframework.io/suggested-namespace-template"]), suggested))
	for _, namespace := range ofKind[corev1.Namespace](t, objects(t, "config/default"), "Namespace") {
		assert.Equal(t, suggested.Name, namespace.Name)
		assert.Equal(t, suggested.Labels["pod-security.kubernetes.io/enforce"], namespace.Labels["pod-security.kubernetes.io/enforce"])
	}
}

// notInBundles are kinds that OLM refuses or makes itself.
var notInBundles = []string{
	"Namespace", "Deployment", "ServiceAccount", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy",
	"ValidatingAdmissionPolicyBinding", "Certificate", "Issuer",
}

func TestNothingIsInTheBundleThatOLMDoesNotTake(t *testing.T) {
	files, err := os.ReadDir(repository(t, "bundle", "manifests"))
	assert.NilError(t, err)
	for _, file := range files {
		assert.Assert(t, !file.IsDir(), "the folder must be flat")
		content, err := os.ReadFile(repository(t, "bundle", "manifests", file.Name()))
		assert.NilError(t, err)
		var object struct {
			Kind     string
			Metadata struct{ Namespace string }
		}
		assert.NilError(t, yaml.Unmarshal(content, &object))
		for _, kind := range notInBundles {
			assert.Assert(t, object.Kind != kind, file.Name())
		}
		assert.Equal(t, object.Metadata.Namespace, "", "%s: OLM chooses the namespace", file.Name())
	}
}
