/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package webhooks

import (
	"fmt"
	"testing"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"pgregory.net/rapid"
)

func requirement(key string, operator metav1.LabelSelectorOperator, values ...string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: operator, Values: values}
}

func selecting(requirements ...metav1.LabelSelectorRequirement) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: requirements}
}

func TestCompatible(t *testing.T) {
	const in, notIn, exists, absent = metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist
	poolA := &metav1.LabelSelector{MatchLabels: map[string]string{"pool": "a"}}
	for _, row := range []struct {
		name string
		a, b *metav1.LabelSelector
		want bool
	}{
		{"everything and everything", selecting(), selecting(), true},
		{"everything and something", selecting(), poolA, true},
		{"the same", poolA, poolA, true},
		{"two values of a label", poolA, &metav1.LabelSelector{MatchLabels: map[string]string{"pool": "b"}}, false},
		{"two labels", poolA, &metav1.LabelSelector{MatchLabels: map[string]string{"team": "b"}}, true},
		{"a value in common", selecting(requirement("pool", in, "a", "b")), selecting(requirement("pool", in, "b", "c")), true},
		{"no value in common", selecting(requirement("pool", in, "a", "b")), selecting(requirement("pool", in, "c")), false},
		{"the value is excluded", poolA, selecting(requirement("pool", notIn, "a")), false},
		{"another value is excluded", poolA, selecting(requirement("pool", notIn, "b")), true},
		{"all values are excluded", selecting(requirement("pool", in, "a", "b")), selecting(requirement("pool", notIn, "b", "a")), false},
		{"with and without the label", poolA, selecting(requirement("pool", absent)), false},
		{"without the label twice", selecting(requirement("pool", absent)), selecting(requirement("pool", notIn, "a")), true},
		{"any value but one", selecting(requirement("pool", exists)), selecting(requirement("pool", notIn, "a")), true},
		{"there and not there", selecting(requirement("pool", exists)), selecting(requirement("pool", absent)), false},
		{"one contradicts itself", selecting(requirement("pool", exists), requirement("pool", absent)), selecting(), false},
		{"an unknown operator", selecting(requirement("pool", "Equals", "a")), selecting(), false},
		{"none at all", nil, selecting(), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			assert.Equal(t, compatible(row.a, row.b), row.want)
			assert.Equal(t, compatible(row.b, row.a), row.want)
		})
	}
}

// TestCompatibleTellsTheTruth compares with all labels that could matter: few keys
// and values are enough to meet every case.
func TestCompatibleTellsTheTruth(t *testing.T) {
	values := []string{"a", "b", "c"}
	candidates := everyLabelSet([]string{"x", "y"}, append([]string{"other"}, values...))
	drawn := rapid.Custom(func(t *rapid.T) metav1.LabelSelectorRequirement {
		operator := rapid.SampledFrom([]metav1.LabelSelectorOperator{
			metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist,
		}).Draw(t, "operator")
		r := requirement(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "key"), operator)
		if operator == metav1.LabelSelectorOpIn || operator == metav1.LabelSelectorOpNotIn {
			r.Values = rapid.SliceOfNDistinct(rapid.SampledFrom(values), 1, 3, rapid.ID[string]).Draw(t, "values")
		}
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		a := selecting(rapid.SliceOfN(drawn, 0, 3).Draw(t, "a")...)
		b := selecting(rapid.SliceOfN(drawn, 0, 3).Draw(t, "b")...)
		var both []string
		for _, candidate := range candidates {
			if matches(a, candidate) && matches(b, candidate) {
				both = append(both, fmt.Sprintf("{%s}", candidate))
			}
		}
		if got := compatible(a, b); got != (len(both) > 0) {
			t.Fatalf("compatible says %t of %s and %s; both select %v", got, metav1.FormatLabelSelector(a), metav1.FormatLabelSelector(b), both)
		}
	})
}

func matches(selector *metav1.LabelSelector, set labels.Set) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(set)
}

// everyLabelSet are all label sets of two keys, each absent or with one of the values.
func everyLabelSet(keys, values []string) []labels.Set {
	sets := []labels.Set{{}}
	for _, key := range keys {
		for _, set := range sets {
			for _, value := range values {
				sets = append(sets, labels.Merge(set, labels.Set{key: value}))
			}
		}
	}
	return sets
}
