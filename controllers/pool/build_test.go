/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// TestReshape changes specs as decided, and forgets names that were given up.
func TestReshape(t *testing.T) {
	names := func(names ...v1alpha1.AddressOrPrefix) []v1alpha1.AddressOrPrefix { return names }
	const eni = instanceID + "-1"
	for _, row := range []struct {
		name    string
		of      *fixture
		d       decision
		count   int32
		release []v1alpha1.AddressOrPrefix
	}{
		{"grows", newFixture().eni(1, 1, 2), decision{counts: map[string]int32{eni: 5}}, 5, nil},
		{"shrinks by name", newFixture().eni(1, 1, 2), decision{counts: map[string]int32{eni: 1},
			releases: map[string][]v1alpha1.AddressOrPrefix{eni: names("10.0.1.2")}}, 1, names("10.0.1.2")},
		{"gives back what was never in the count", newFixture().eni(1, 1, 2),
			decision{releases: map[string][]v1alpha1.AddressOrPrefix{eni: names("10.0.1.2")}}, 2, names("10.0.1.2")},
		{"keeps a name that it still carries", newFixture().eni(1, 1, 2).last(func(eni *v1alpha1.ElasticNetworkInterface) {
			eni.Spec.Release = names("10.0.1.2")
		}), decision{}, 2, names("10.0.1.2")},
		{"keeps a name that the record still has", newFixture().eni(1, 1, 1).last(func(eni *v1alpha1.ElasticNetworkInterface) {
			eni.Spec.Release = names("10.0.1.2")
		}).record(1, 2, v1alpha1.HolderReleasing, "", 0), decision{}, 1, names("10.0.1.2")},
		{"keeps a prefix of which the record has an address", newFixture().prefixes().prefixENI(1, 1).last(func(eni *v1alpha1.ElasticNetworkInterface) {
			eni.Spec.Release = names("10.0.1.16/28")
		}).record(1, 17, v1alpha1.HolderReleasing, "", 0), decision{}, 1, names("10.0.1.16/28")},
		{"forgets a name that is given up", newFixture().eni(1, 1, 1).last(func(eni *v1alpha1.ElasticNetworkInterface) {
			eni.Spec.Release = names("10.0.1.2")
		}), decision{}, 1, nil},
		{"forgets a name that another ENI has by now", newFixture().eni(1, 1, 1).last(func(eni *v1alpha1.ElasticNetworkInterface) {
			eni.Spec.Release = names("10.0.2.2")
		}).record(2, 2, v1alpha1.HolderAllocated, "a", 0), decision{}, 1, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := row.of.enis[0].DeepCopy()
			reshape(row.of.observation, got, row.d)
			assert.Equal(t, specSize(got), row.count)
			assert.DeepEqual(t, got.Spec.Release, row.release)
		})
	}
}
