/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package bundle

import (
	"cmp"
	"encoding/json"
	"testing"

	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/test/controlplane"
)

func compare(a, b string) int { return cmp.Compare(a, b) }

// TestExamplesAreTaken applies the bundle's CRDs to a real API server and offers
// it every example, and the samples of config.
func TestExamplesAreTaken(t *testing.T) {
	plane, err := controlplane.Start(t.Context(), controlplane.Options{
		CRDs: []string{repository(t, "bundle", "manifests")}, WithoutControllerManager: true,
	})
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, plane.Stop()) })
	api, err := client.New(plane.Config, client.Options{Scheme: runtime.NewScheme(), FieldOwner: "test"})
	assert.NilError(t, err)

	var examples []*unstructured.Unstructured
	assert.NilError(t, json.Unmarshal([]byte(readCSV(t).Annotations["alm-examples"]), &examples))
	kinds := map[string]bool{}
	for _, example := range append(examples, objects(t, "config/samples")...) {
		kinds[example.GetKind()] = true
		assert.NilError(t, api.Create(t.Context(), example, client.DryRunAll, client.FieldValidation("Strict")), "%s %s", example.GetKind(), example.GetName())
	}
	assert.Equal(t, len(kinds), 4)
}
