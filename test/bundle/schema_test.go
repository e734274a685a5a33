/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package bundle

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// definitions are the CRDs of a folder, by their name.
func definitions(t *testing.T, folder string) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	entries, err := os.ReadDir(folder)
	assert.NilError(t, err)
	all := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, entry := range entries {
		content, err := os.ReadFile(folder + "/" + entry.Name())
		assert.NilError(t, err)
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(content, crd); err == nil && crd.Kind == "CustomResourceDefinition" {
			all[crd.Name] = crd
		}
	}
	return all
}

// leaves are the paths of all fields of a schema that have no fields of their own.
func leaves(schema apiextensionsv1.JSONSchemaProps, prefix string) []string {
	if _, selector := schema.Properties["matchLabels"]; selector || len(schema.Properties) == 0 {
		return []string{prefix}
	}
	var all []string
	for name, field := range schema.Properties {
		path := strings.TrimPrefix(prefix+"."+name, ".")
		if field.Items != nil && len(field.Items.Schema.Properties) > 0 {
			field, path = *field.Items.Schema, path+"[0]"
		}
		all = append(all, leaves(field, path)...)
	}
	slices.Sort(all)
	return all
}

func TestEveryFieldThatPeopleSetIsDescribed(t *testing.T) {
	crds := definitions(t, repository(t, "bundle", "manifests"))
	assert.DeepEqual(t, slices.Sorted(maps.Keys(crds)), slices.Sorted(maps.Keys(definitions(t, repository(t, "config", "crd", "bases")))))
	owned := readCSV(t).Spec.CustomResourceDefinitions.Owned
	assert.Equal(t, len(owned), len(crds))
	for _, kind := range owned {
		described := map[string]bool{}
		for _, descriptor := range kind.SpecDescriptors {
			assert.Assert(t, descriptor.DisplayName != "" && descriptor.Description != "", "%s %s", kind.Kind, descriptor.Path)
			described[descriptor.Path] = true
		}
		for _, path := range leaves(crds[kind.Name].Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"], "") {
			assert.Assert(t, described[path], "%s spec.%s has no descriptor", kind.Kind, path)
		}
		assert.Assert(t, len(kind.StatusDescriptors) > 0 && len(kind.Resources) > 0, kind.Kind)
	}
}
