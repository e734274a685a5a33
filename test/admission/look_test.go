/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package admission

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// logged are the lines of the operator's log that contain any of some words.
func (w *world) logged(t *testing.T, words ...string) []string {
	t.Helper()
	content, err := os.ReadFile(w.logFile)
	assert.NilError(t, err)
	var found []string
	for line := range strings.Lines(string(content)) {
		for _, word := range words {
			if strings.Contains(line, word) {
				found = append(found, line)
				break
			}
		}
	}
	return found
}

// panics counts the panics that controller-runtime recovered from, in webhooks and in
// controllers.
func panics(t *testing.T) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	assert.NilError(t, err)
	var count float64
	var seen []string
	for _, family := range families {
		if !strings.HasSuffix(family.GetName(), "_panics_total") {
			continue
		}
		seen = append(seen, family.GetName())
		for _, metric := range family.GetMetric() {
			count += metric.GetCounter().GetValue()
		}
	}
	for _, name := range []string{"controller_runtime_reconcile_panics_total", "controller_runtime_webhook_panics_total"} {
		assert.Assert(t, slices.Contains(seen, name), "%s is not among %v", name, seen)
	}
	return count
}

// noPanics fails if anything of the operator panicked so far.
func noPanics(t *testing.T) {
	t.Helper()
	assert.Equal(t, panics(t), 0.0)
	assert.DeepEqual(t, shared.logged(t, "panic"), []string(nil))
}

func objectsOf(list client.ObjectList) []client.Object {
	var objects []client.Object
	_ = meta.EachListItem(list, func(item runtime.Object) error {
		objects = append(objects, item.(client.Object)) //nolint:forcetypeassert // a list of objects
		return nil
	})
	return objects
}

func copyOf(object client.Object) client.Object {
	return object.DeepCopyObject().(client.Object) //nolint:forcetypeassert // a copy has the same type
}

// none is an error unless a list was read and is empty.
func none(err error, list client.ObjectList) error {
	if err != nil {
		return err
	}
	var names []string
	for _, object := range objectsOf(list) {
		names = append(names, object.GetName())
	}
	if len(names) > 0 {
		return fmt.Errorf("%T: %d are left, such as %s", list, len(names), names[0])
	}
	return nil
}
