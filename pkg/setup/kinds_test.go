/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"testing"

	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

func TestKindsThatAreNotServedAreNamed(t *testing.T) {
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{v1alpha1.GroupVersion})
	for _, kind := range []string{"ENIPolicy", "ENIPool", "ElasticNetworkInterface"} {
		mapper.Add(v1alpha1.GroupVersion.WithKind(kind), meta.RESTScopeRoot)
	}
	err := requireKinds(mapper)
	assert.ErrorContains(t, err, "kind ENIClaim of networking.eni-operator.dev/v1alpha1 is not served: install the CRDs (make install)")
	assert.ErrorContains(t, err, "docs/uninstall.md")
	mapper.Add(v1alpha1.GroupVersion.WithKind("ENIClaim"), meta.RESTScopeNamespace)
	assert.NilError(t, requireKinds(mapper))
}
