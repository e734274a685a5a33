/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package apiserver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"sigs.k8s.io/yaml"
)

// validation is what a CRD's schema says of its objects.
type validation struct {
	structural *structuralschema.Structural
	schema     schemavalidation.SchemaValidator
	rules      *cel.Validator
}

// customKinds are the kinds of config/crd/bases. Their schemas are compiled once for
// all servers, which takes a second.
func customKinds() ([]*kind, error) {
	definitions, err := compiled()
	if err != nil {
		return nil, err
	}
	kinds := make([]*kind, 0, len(definitions))
	for _, d := range definitions {
		fresh := *d
		kinds = append(kinds, &fresh)
	}
	return kinds, nil
}

var compiled = sync.OnceValues(func() ([]*kind, error) {
	_, here, _, _ := runtime.Caller(0) //nolint:dogsled // only the file is of interest
	files, err := filepath.Glob(filepath.Join(filepath.Dir(here), "..", "..", "..", "config", "crd", "bases", "*.yaml"))
	if err != nil {
		return nil, err
	}
	var kinds []*kind
	for _, file := range files {
		k, err := compile(file)
		if err != nil {
			return nil, fmt.Errorf("compiling %s: %w", file, err)
		}
		kinds = append(kinds, k)
	}
	return kinds, nil
})

func compile(file string) (*kind, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(text, crd); err != nil {
		return nil, err
	}
	version := crd.Spec.Versions[0]
	internal := &apiextensions.CustomResourceValidation{}
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(version.Schema, internal, nil); err != nil {
		return nil, err
	}
	v := &validation{}
	if v.structural, err = structuralschema.NewStructural(internal.OpenAPIV3Schema); err != nil {
		return nil, err
	}
	if v.schema, _, err = schemavalidation.NewSchemaValidator(internal.OpenAPIV3Schema); err != nil {
		return nil, err
	}
	v.rules = cel.NewValidator(v.structural, true, celconfig.PerCallLimit)
	return &kind{
		GroupVersionKind: schema.GroupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind},
		resource:         crd.Spec.Names.Plural, namespaced: crd.Spec.Scope == apiextensionsv1.NamespaceScoped, custom: true, validation: v,
	}, nil
}

// complete drops what the schema does not know, and fills in its defaults.
func (v *validation) complete(content map[string]any) {
	pruning.Prune(content, v.structural, true)
	defaulting.PruneNonNullableNullsWithoutDefaults(content, v.structural)
	defaulting.Default(content, v.structural)
}

// judge returns what the schema refuses of an object; old is nil for a new one.
func (v *validation) judge(content, old map[string]any) field.ErrorList {
	if old == nil {
		failed := schemavalidation.ValidateCustomResource(nil, content, v.schema)
		failed = append(failed, listtype.ValidateListSetsAndMaps(nil, v.structural, content)...)
		return append(failed, v.judgeRules(content, nil)...)
	}
	correlated := common.NewCorrelatedObject(content, old, &model.Structural{Structural: v.structural})
	failed := schemavalidation.ValidateCustomResourceUpdate(nil, content, old, v.schema, schemavalidation.WithRatcheting(correlated))
	if len(listtype.ValidateListSetsAndMaps(nil, v.structural, old)) == 0 {
		failed = append(failed, listtype.ValidateListSetsAndMaps(nil, v.structural, content)...)
	}
	if len(failed) > 0 {
		return failed
	}
	return v.judgeRules(content, old, cel.WithRatcheting(correlated))
}

func (v *validation) judgeRules(content, old map[string]any, options ...cel.Option) field.ErrorList {
	if v.rules == nil {
		return nil
	}
	var before any
	if old != nil {
		before = old
	}
	failed, _ := v.rules.Validate(context.Background(), nil, v.structural, content, before, celconfig.RuntimeCELCostBudget, options...)
	return failed
}
