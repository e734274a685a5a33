/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"testing"

	"gotest.tools/v3/assert"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

func TestTitlesReadAsPeopleWrite(t *testing.T) {
	for field, want := range map[string]string{
		"priority": "Priority", "minimumIPs": "Minimum IPs", "idleReleaseAfter": "Idle Release After", "ipam": "IPAM", "subnetIDs": "Subnet IDs",
		"vpcID": "VPC ID", "macAddress": "MAC Address", "subnetCIDR": "Subnet CIDR", "poolUID": "Pool UID", "eniName": "ENI Name",
	} {
		assert.Equal(t, displayName(field), want)
	}
}

func TestFieldsAreDescribedWithTheirPaths(t *testing.T) {
	text := apiextensionsv1.JSONSchemaProps{Type: "string", Description: "What it\nis."}
	schema := apiextensionsv1.JSONSchemaProps{Properties: map[string]apiextensionsv1.JSONSchemaProps{
		"mode": {Type: "string", Description: "How.", Enum: []apiextensionsv1.JSON{{Raw: []byte(`"A"`)}, {Raw: []byte(`"B"`)}}},
		"terms": {Type: "array", Description: "Which.", Items: &apiextensionsv1.JSONSchemaPropsOrArray{
			Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"id": text}},
		}},
	}}
	got, err := specDescriptors(schema)
	assert.NilError(t, err)
	assert.DeepEqual(t, got, []descriptor{
		{Path: "mode", DisplayName: "Mode", Description: "How.", XDescriptors: []string{uiSelect + "A", uiSelect + "B"}},
		{Path: "terms", DisplayName: "Terms", Description: "Which."},
		{Path: "terms[0].id", DisplayName: "ID", Description: "What it is.", XDescriptors: []string{uiFieldGroup + "terms", uiText}},
	})
	got, err = statusDescriptors(schema)
	assert.NilError(t, err)
	assert.Equal(t, len(got), 2)
}

func TestFieldsWithoutACommentAreRefused(t *testing.T) {
	_, err := specDescriptors(apiextensionsv1.JSONSchemaProps{Properties: map[string]apiextensionsv1.JSONSchemaProps{"mode": {Type: "string"}}})
	assert.ErrorContains(t, err, "field mode has no description")
}
