/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestWhatIsRefusedAtBirthCanBeDeleted: what keeps an ENI from being created does not keep its
// resource.
func TestWhatIsRefusedAtBirthCanBeDeleted(t *testing.T) {
	for name, spec := range map[string]func(w *world) v1alpha1.ElasticNetworkInterfaceSpec{
		"more addresses than the instance type takes": func(*world) v1alpha1.ElasticNetworkInterfaceSpec {
			return v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 10}
		},
		"a subnet of another zone": func(w *world) v1alpha1.ElasticNetworkInterfaceSpec {
			return v1alpha1.ElasticNetworkInterfaceSpec{SubnetIDs: []v1alpha1.SubnetID{v1alpha1.SubnetID(w.otherZone())}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, newEndpoint(t), emulator.Options{})
			w.create(spec(w))
			_, err := w.once()
			assert.Assert(t, err != nil, "it is refused")
			w.delete()
			_, err = w.once()
			assert.NilError(t, err)
			assert.Assert(t, !w.exists())
			assert.Equal(t, w.calls("CreateNetworkInterface"), 0)
		})
	}
}
