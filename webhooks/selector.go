/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package webhooks

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// judgeSelector refuses what is no label selector. It may be nil.
func (v *verdict) judgeSelector(selector *metav1.LabelSelector, path *field.Path) {
	refusals := metavalidation.ValidateLabelSelector(selector, metavalidation.LabelSelectorValidationOptions{}, path)
	for _, refusal := range refusals {
		if strings.HasSuffix(refusal.Field, ".operator") {
			refusal.Detail += ": use In, NotIn, Exists or DoesNotExist"
		}
	}
	slices.SortFunc(refusals, func(a, b *field.Error) int { return strings.Compare(a.Error(), b.Error()) })
	v.refuse(refusals...)
}

// demand is what selectors ask of one label.
type demand struct {
	// present and absent: the label must, or must not, be there.
	present, absent bool
	// among are the values that it may have; nil for any.
	among map[string]bool
	// not are the values that it may not have.
	not map[string]bool
}

// compatible says whether labels could be selected by both of two selectors. Labels
// are independent of each other, so it is enough to look at each. A selector that is
// no valid one selects nothing.
func compatible(a, b *metav1.LabelSelector) bool {
	demands := map[string]*demand{}
	for _, selector := range []*metav1.LabelSelector{a, b} {
		if selector == nil || !gather(demands, selector) {
			return false
		}
	}
	for _, d := range demands {
		if !d.satisfiable() {
			return false
		}
	}
	return true
}

// gather adds what a selector asks for, and says whether it is a valid one.
func gather(demands map[string]*demand, selector *metav1.LabelSelector) bool {
	if _, err := metav1.LabelSelectorAsSelector(selector); err != nil {
		return false
	}
	of := func(key string) *demand {
		if demands[key] == nil {
			demands[key] = &demand{not: map[string]bool{}}
		}
		return demands[key]
	}
	for key, value := range selector.MatchLabels {
		of(key).oneOf([]string{value})
	}
	for _, requirement := range selector.MatchExpressions {
		d := of(requirement.Key)
		switch requirement.Operator {
		case metav1.LabelSelectorOpIn:
			d.oneOf(requirement.Values)
		case metav1.LabelSelectorOpNotIn: // Also satisfied by labels without it.
			for _, value := range requirement.Values {
				d.not[value] = true
			}
		case metav1.LabelSelectorOpExists:
			d.present = true
		case metav1.LabelSelectorOpDoesNotExist:
			d.absent = true
		}
	}
	return true
}

// oneOf narrows the label down to some values.
func (d *demand) oneOf(values []string) {
	d.present = true
	narrowed := map[string]bool{}
	for _, value := range values {
		if d.among == nil || d.among[value] {
			narrowed[value] = true
		}
	}
	d.among = narrowed
}

func (d *demand) satisfiable() bool {
	if !d.present {
		return true // Without the label, whatever it may not be.
	}
	if d.absent {
		return false
	}
	if d.among == nil {
		return true // There are more values than anybody can exclude.
	}
	for value := range d.among {
		if !d.not[value] {
			return true
		}
	}
	return false
}
