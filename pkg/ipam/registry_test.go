/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ipam_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ipam"
	"github.com/eni-operator/eni-operator/pkg/ipam/ipamtest"
)

func TestPlugins(t *testing.T) {
	for _, name := range ipam.Names() {
		t.Run(name, func(t *testing.T) {
			plugin, ok := ipam.Get(name)
			assert.Assert(t, ok)
			assert.Equal(t, plugin.Name(), name)
			ipamtest.TestPlugin(t, plugin)
		})
	}
}

// TestAPIAcceptsThePlugins: what a policy may name is what there is.
func TestAPIAcceptsThePlugins(t *testing.T) {
	names := ipam.Names()
	want := []any{map[string]any{
		"rule":    "self in ['" + strings.Join(names, "', '") + "']",
		"message": "unknown IPAM plugin; this release has: " + strings.Join(names, ", "),
	}}
	for _, kind := range []string{"enipolicies", "enipools"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "bases", "networking.eni-operator.dev_"+kind+".yaml"))
		assert.NilError(t, err)
		crd := map[string]any{}
		assert.NilError(t, yaml.Unmarshal(content, &crd))
		versions, _, err := unstructured.NestedSlice(crd, "spec", "versions")
		assert.NilError(t, err)
		field, found, err := unstructured.NestedMap(versions[0].(map[string]any),
			"schema", "openAPIV3Schema", "properties", "spec", "properties", "ipam")
		assert.NilError(t, err)
		assert.Assert(t, found)
		assert.DeepEqual(t, field["x-kubernetes-validations"], any(want))
		assert.Equal(t, field["default"], ipam.Shared)
	}
}

func TestRegister(t *testing.T) {
	for name, plugin := range map[string]ipam.Plugin{"taken": named(ipam.Shared), "empty": named("")} {
		t.Run(name, func(t *testing.T) {
			defer func() { assert.Assert(t, recover() != nil) }()
			ipam.Register(plugin)
		})
	}
	_, ok := ipam.Get("dhcp")
	assert.Assert(t, !ok)
}

type named string

func (n named) Name() string { return string(n) }

func (named) Size(ipam.Bounds, ipam.Demand) ipam.Size { return ipam.Size{} }

func (named) AllocateIP(v1alpha1.ClaimReference, []ipam.Candidate) (int, bool) { return 0, false }

func (named) ReleaseIP(ipam.Candidate) ipam.Disposition { return ipam.Keep }
