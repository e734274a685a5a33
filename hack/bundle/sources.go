/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// sources are the manifests that a bundle is made of, by what becomes of them.
type sources struct {
	base       *unstructured.Unstructured // the ClusterServiceVersion that people wrote
	scorecard  *unstructured.Unstructured
	deployment *unstructured.Unstructured
	// definitions and their objects, by kind, in the order of their names.
	definitions []definition
	examples    []*unstructured.Unstructured

	roles               map[string][]rbacv1.PolicyRule
	clusterRoles        map[string][]rbacv1.PolicyRule
	roleBindings        []rbacv1.RoleBinding
	clusterRoleBindings []rbacv1.ClusterRoleBinding
	webhooks            []admissionv1.ValidatingWebhook
	mutating            []admissionv1.MutatingWebhook

	// extras go into the bundle as they are.
	extras []*unstructured.Unstructured
}

// definition is a CRD, as it is shipped and as the generator reads it.
type definition struct {
	object *unstructured.Unstructured
	apiextensionsv1.CustomResourceDefinition
}

// readSources reads a stream of YAML documents.
func readSources(stream io.Reader) (*sources, error) {
	s := &sources{roles: map[string][]rbacv1.PolicyRule{}, clusterRoles: map[string][]rbacv1.PolicyRule{}}
	decoder := yaml.NewYAMLOrJSONDecoder(stream, 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			err = s.complete()
			return s, err
		}
		if err != nil {
			return nil, err
		}
		if object.Object == nil {
			continue
		}
		if err := s.add(object); err != nil {
			return nil, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
}

// sorters put an object where it belongs. Kinds that are not named are extras.
var sorters = map[string]func(*sources, *unstructured.Unstructured) error{
	"Namespace":      nil, // whoever subscribes chooses one
	"ServiceAccount": nil, // OLM makes it
	"ClusterServiceVersion": func(s *sources, object *unstructured.Unstructured) error {
		s.base = object
		return nil
	},
	"Configuration": func(s *sources, object *unstructured.Unstructured) error {
		s.scorecard = object
		return nil
	},
	"Deployment": func(s *sources, object *unstructured.Unstructured) error {
		s.deployment = object
		return nil
	},
	"CustomResourceDefinition": func(s *sources, object *unstructured.Unstructured) error {
		d := definition{object: object}
		s.definitions = append(s.definitions, d)
		return convert(object, &s.definitions[len(s.definitions)-1].CustomResourceDefinition)
	},
	"Role": func(s *sources, object *unstructured.Unstructured) error {
		role := rbacv1.Role{}
		err := convert(object, &role)
		s.roles[role.Name] = role.Rules
		return err
	},
	"RoleBinding": func(s *sources, object *unstructured.Unstructured) error {
		s.roleBindings = append(s.roleBindings, rbacv1.RoleBinding{})
		return convert(object, &s.roleBindings[len(s.roleBindings)-1])
	},
	"ClusterRole": func(s *sources, object *unstructured.Unstructured) error {
		role := rbacv1.ClusterRole{}
		err := convert(object, &role)
		s.clusterRoles[role.Name] = role.Rules
		s.extras = append(s.extras, object) // complete takes out those that are bound
		return err
	},
	"ClusterRoleBinding": func(s *sources, object *unstructured.Unstructured) error {
		s.clusterRoleBindings = append(s.clusterRoleBindings, rbacv1.ClusterRoleBinding{})
		return convert(object, &s.clusterRoleBindings[len(s.clusterRoleBindings)-1])
	},
	"ValidatingWebhookConfiguration": func(s *sources, object *unstructured.Unstructured) error {
		configuration := admissionv1.ValidatingWebhookConfiguration{}
		err := convert(object, &configuration)
		s.webhooks = append(s.webhooks, configuration.Webhooks...)
		return err
	},
	"MutatingWebhookConfiguration": func(s *sources, object *unstructured.Unstructured) error {
		configuration := admissionv1.MutatingWebhookConfiguration{}
		err := convert(object, &configuration)
		s.mutating = append(s.mutating, configuration.Webhooks...)
		return err
	},
}

func (s *sources) add(object *unstructured.Unstructured) error {
	if sorter, known := sorters[object.GetKind()]; known {
		if sorter == nil {
			return nil
		}
		return sorter(s, object)
	}
	s.extras = append(s.extras, object)
	return nil
}

// complete says what is missing, and tells examples and bound roles from extras.
func (s *sources) complete() error {
	for what, missing := range map[string]bool{
		"ClusterServiceVersion": s.base == nil, "scorecard Configuration": s.scorecard == nil,
		"Deployment": s.deployment == nil, "CustomResourceDefinition": len(s.definitions) == 0,
	} {
		if missing {
			return fmt.Errorf("there is no %s; is this what kustomize makes of config/manifests?", what)
		}
	}
	owned := map[string]bool{}
	for i := range s.definitions {
		owned[s.definitions[i].Spec.Names.Kind] = true
	}
	bound := map[string]bool{}
	for i := range s.clusterRoleBindings {
		bound[s.clusterRoleBindings[i].RoleRef.Name] = true
	}
	s.extras = slices.DeleteFunc(s.extras, func(object *unstructured.Unstructured) bool {
		if owned[object.GetKind()] {
			s.examples = append(s.examples, object)
			return true
		}
		return object.GetKind() == "ClusterRole" && bound[object.GetName()] || s.isWebhookService(object)
	})
	return s.checkExamples(owned)
}

// isWebhookService tells the Service of the webhooks: OLM makes one of its own.
func (s *sources) isWebhookService(object *unstructured.Unstructured) bool {
	if object.GetKind() != "Service" {
		return false
	}
	named := func(config admissionv1.WebhookClientConfig) bool {
		return config.Service != nil && config.Service.Name == object.GetName()
	}
	return slices.ContainsFunc(s.webhooks, func(w admissionv1.ValidatingWebhook) bool { return named(w.ClientConfig) }) ||
		slices.ContainsFunc(s.mutating, func(w admissionv1.MutatingWebhook) bool { return named(w.ClientConfig) })
}

func (s *sources) checkExamples(owned map[string]bool) error {
	for _, kind := range slices.Sorted(maps.Keys(owned)) {
		if !slices.ContainsFunc(s.examples, func(o *unstructured.Unstructured) bool { return o.GetKind() == kind }) {
			return fmt.Errorf("config/samples has no %s", kind)
		}
	}
	return nil
}

// convert refuses fields that the type does not have.
func convert(object *unstructured.Unstructured, into any) error {
	return runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, into, true)
}
