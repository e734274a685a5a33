/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// TestDefaultsReadAsGoWritesThem: a client that reads an object with these types and writes it
// back, to annotate it, say, must not change its spec: that would be a new generation.
func TestDefaultsReadAsGoWritesThem(t *testing.T) {
	files, err := filepath.Glob("../../config/crd/bases/*.yaml")
	assert.NilError(t, err)
	found := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		assert.NilError(t, err)
		crd := &apiextensionsv1.CustomResourceDefinition{}
		assert.NilError(t, yaml.Unmarshal(content, crd))
		for _, version := range crd.Spec.Versions {
			found += durationsIn(t, crd.Name, version.Schema.OpenAPIV3Schema)
		}
	}
	assert.Assert(t, found > 0)
}

// durationsIn checks and counts the defaults that are durations.
func durationsIn(t *testing.T, path string, schema *apiextensionsv1.JSONSchemaProps) int {
	t.Helper()
	found := 0
	if schema.Default != nil && schema.Type == "string" {
		var value string
		assert.NilError(t, yaml.Unmarshal(schema.Default.Raw, &value))
		if duration, err := time.ParseDuration(value); err == nil {
			assert.Equal(t, value, duration.String(), path)
			found++
		}
	}
	for name := range schema.Properties {
		property := schema.Properties[name]
		found += durationsIn(t, path+"."+name, &property)
	}
	return found
}
