/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// descriptor tells a user interface about one field of a kind.
type descriptor struct {
	Path         string   `json:"path"`
	DisplayName  string   `json:"displayName"`
	Description  string   `json:"description"`
	XDescriptors []string `json:"x-descriptors,omitempty"`
}

// What user interfaces know of fields, see
// https://github.com/openshift/console/blob/main/frontend/packages/operator-lifecycle-manager/src/components/descriptors/reference/reference.md
const (
	uiPrefix       = "urn:alm:descriptor:com.tectonic.ui:"
	uiNumber       = uiPrefix + "number"
	uiText         = uiPrefix + "text"
	uiSwitch       = uiPrefix + "booleanSwitch"
	uiSelect       = uiPrefix + "select:"
	uiFieldGroup   = uiPrefix + "fieldGroup:"
	uiNodeSelector = uiPrefix + "selector:core:v1:Node"
	uiSelector     = uiPrefix + "selector:core:v1:Namespace"
	uiConditions   = "urn:alm:descriptor:io.kubernetes.conditions"
	uiNode         = "urn:alm:descriptor:io.kubernetes:Node"
)

// specDescriptors describe every field that people set.
func specDescriptors(spec apiextensionsv1.JSONSchemaProps) ([]descriptor, error) {
	return describeFields(spec, "", "", true)
}

// statusDescriptors describe what a status says, without the entries of its lists.
func statusDescriptors(status apiextensionsv1.JSONSchemaProps) ([]descriptor, error) {
	return describeFields(status, "", "", false)
}

// describeFields walks a schema. The path of a field of a list's entries is that
// of the first entry.
func describeFields(schema apiextensionsv1.JSONSchemaProps, prefix, group string, lists bool) ([]descriptor, error) {
	var all []descriptor
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		field := schema.Properties[name]
		path := prefix + name
		if field.Description == "" {
			return nil, fmt.Errorf("field %s has no description; its Go field needs a comment", path)
		}
		d := descriptor{
			Path: path, DisplayName: displayName(name), Description: oneLine(field.Description),
			XDescriptors: hints(name, field),
		}
		if group != "" {
			d.XDescriptors = append([]string{uiFieldGroup + group}, d.XDescriptors...)
		}
		all = append(all, d)
		inner, below := field, path+"."
		if field.Items != nil && lists {
			inner, below = *field.Items.Schema, path+"[0]."
		}
		if isSelector(field) || inner.Type != "object" {
			continue
		}
		nested, err := describeFields(inner, below, name, lists)
		if err != nil {
			return nil, err
		}
		all = append(all, nested...)
	}
	return all, nil
}

// isSelector tells a label selector by its fields.
func isSelector(field apiextensionsv1.JSONSchemaProps) bool {
	_, labels := field.Properties["matchLabels"]
	return labels
}

// hints say how a field is shown and edited.
func hints(name string, field apiextensionsv1.JSONSchemaProps) []string {
	switch {
	case name == "conditions":
		return []string{uiConditions}
	case name == "nodeName":
		return []string{uiNode}
	case isSelector(field) && name == "nodeSelector":
		return []string{uiNodeSelector}
	case isSelector(field):
		return []string{uiSelector}
	case len(field.Enum) > 0:
		return choices(field.Enum)
	case field.Type == "integer":
		return []string{uiNumber}
	case field.Type == "boolean":
		return []string{uiSwitch}
	case field.Type == "string":
		return []string{uiText}
	}
	return nil
}

func choices(enum []apiextensionsv1.JSON) []string {
	var all []string
	for _, choice := range enum {
		var value string
		if json.Unmarshal(choice.Raw, &value) == nil {
			all = append(all, uiSelect+value)
		}
	}
	return all
}

// initialisms are the words of field names that are not written like words.
var initialisms = map[string]string{
	"cidr": "CIDR", "cidrs": "CIDRs", "eni": "ENI", "enis": "ENIs", "id": "ID", "ids": "IDs", "ip": "IP", "ips": "IPs",
	"ipam": "IPAM", "mac": "MAC", "uid": "UID", "vpc": "VPC",
}

// displayName makes a title of a field's name: idleReleaseAfter is Idle Release After.
func displayName(field string) string {
	words := splitWords(field)
	for i, word := range words {
		if proper, known := initialisms[strings.ToLower(word)]; known {
			words[i] = proper
			continue
		}
		words[i] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, " ")
}

// splitWords splits before each capital that follows a small letter, and before the
// last of several capitals that begin a word: minimumIPs is minimum and IPs.
func splitWords(name string) []string {
	var words []string
	start := 0
	for i := 1; i < len(name); i++ {
		if unicode.IsUpper(rune(name[i])) && unicode.IsLower(rune(name[i-1])) {
			words = append(words, name[start:i])
			start = i
		}
	}
	return append(words, name[start:])
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
