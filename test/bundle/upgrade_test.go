/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package bundle

import (
	"os"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/crdify/pkg/config"
	"sigs.k8s.io/crdify/pkg/runner"
)

// unsafeChanges are those that would refuse or lose what users of the old
// definition have stored: removed fields and versions, narrowed bounds, new
// requirements, other defaults. Descriptions may change.
func unsafeChanges(t *testing.T, before, after *apiextensionsv1.CustomResourceDefinition) string {
	t.Helper()
	check, err := runner.New(&config.Config{
		UnhandledEnforcement: config.EnforcementPolicyError, Conversion: config.ConversionPolicyNone,
		Validations: []config.ValidationConfig{
			{Name: "description", Enforcement: config.EnforcementPolicyNone},
			{Name: "enum", Enforcement: config.EnforcementPolicyError, Configuration: map[string]any{"additionPolicy": "Allow"}},
		},
	}, runner.DefaultRegistry())
	assert.NilError(t, err)
	results := check.Run(before, after)
	if !results.HasFailures() {
		return ""
	}
	return results.RenderPlainText()
}

// TestUsersOfTheLastReleaseCanUpgrade compares with what `make release-crds` kept
// of the last release.
func TestUsersOfTheLastReleaseCanUpgrade(t *testing.T) {
	now := definitions(t, repository(t, "config", "crd", "bases"))
	for name, before := range definitions(t, repository(t, "test", "bundle", "released")) {
		if assert.Check(t, now[name] != nil, "%s is gone", name) {
			assert.Check(t, unsafeChanges(t, before, now[name]) == "", unsafeChanges(t, before, now[name]))
		}
	}
}

func TestUnsafeChangesAreRefused(t *testing.T) {
	const name = "enipolicies.networking.eni-operator.dev"
	spec := func(crd *apiextensionsv1.CustomResourceDefinition) map[string]apiextensionsv1.JSONSchemaProps {
		return crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties
	}
	change := func(field string, edit func(*apiextensionsv1.JSONSchemaProps)) func(*apiextensionsv1.CustomResourceDefinition) {
		return func(crd *apiextensionsv1.CustomResourceDefinition) {
			schema := spec(crd)[field]
			edit(&schema)
			spec(crd)[field] = schema
		}
	}
	for title, test := range map[string]struct {
		change func(*apiextensionsv1.CustomResourceDefinition)
		want   string // empty: safe
	}{
		"nothing": {func(*apiextensionsv1.CustomResourceDefinition) {}, ""},
		"a new field": {func(c *apiextensionsv1.CustomResourceDefinition) {
			spec(c)["new"] = apiextensionsv1.JSONSchemaProps{Type: "string"}
		}, ""},
		"a description":    {change("priority", func(s *apiextensionsv1.JSONSchemaProps) { s.Description = "Other words." }), ""},
		"a wider bound":    {change("startupTaint", func(s *apiextensionsv1.JSONSchemaProps) { s.MaxLength = ptr.To(*s.MaxLength + 1) }), ""},
		"a narrower bound": {change("startupTaint", func(s *apiextensionsv1.JSONSchemaProps) { s.MaxLength = ptr.To(*s.MaxLength - 1) }), "maxLength"},
		"a new bound":      {change("nodeSelector", func(s *apiextensionsv1.JSONSchemaProps) { s.MaxProperties = ptr.To(int64(1)) }), "maxProperties"},
		"another pattern":  {change("startupTaint", func(s *apiextensionsv1.JSONSchemaProps) { s.Pattern = "^x$" }), "pattern"},
		"another default":  {change("ipam", func(s *apiextensionsv1.JSONSchemaProps) { s.Default = &apiextensionsv1.JSON{Raw: []byte(`"aws"`)} }), "default"},
		"a removed choice": {change("deletionPolicy", func(s *apiextensionsv1.JSONSchemaProps) { s.Enum = s.Enum[:1] }), "enum"},
		"a required field": {change("shared", func(s *apiextensionsv1.JSONSchemaProps) { s.Required = append(s.Required, "warmIPs") }), "required"},
		"another type":     {change("priority", func(s *apiextensionsv1.JSONSchemaProps) { s.Type = "string" }), "type"},
		"a new CEL rule": {change("tags", func(s *apiextensionsv1.JSONSchemaProps) {
			s.XValidations = append(s.XValidations, apiextensionsv1.ValidationRule{Rule: "size(self) < 2"})
		}), "unhandled"},
		"a removed field":   {func(c *apiextensionsv1.CustomResourceDefinition) { delete(spec(c), "tags") }, "existingFieldRemoval"},
		"a removed version": {func(c *apiextensionsv1.CustomResourceDefinition) { c.Spec.Versions[0].Name = "v1" }, "storedVersionRemoval"},
		"another scope":     {func(c *apiextensionsv1.CustomResourceDefinition) { c.Spec.Scope = apiextensionsv1.NamespaceScoped }, "scope"},
	} {
		t.Run(title, func(t *testing.T) {
			before := definitions(t, repository(t, "config", "crd", "bases"))[name]
			before.Status.StoredVersions = []string{"v1alpha1"}
			after := before.DeepCopy()
			test.change(after)
			got := unsafeChanges(t, before, after)
			if test.want == "" {
				assert.Equal(t, got, "")
			} else {
				assert.Assert(t, strings.Contains(got, test.want), got)
			}
		})
	}
}

func TestReleasedFolderIsThere(t *testing.T) {
	_, err := os.Stat(repository(t, "test", "bundle", "released", "README.md"))
	assert.NilError(t, err)
}
