/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package admission

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

var (
	seed = flag.Uint64("seed", 0, "Seed of the hostile objects; 0: another one each time.")
	mass = flag.Int("objects", 1000, "How many hostile objects are applied.")
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// TestHostileObjects applies what is made from the schemas with hostile values in it,
// then edits of it, then statuses. Afterwards the replica lives, nothing panicked, it
// still serves claims, and it can bring everything that was stored to an end.
func TestHostileObjects(t *testing.T) {
	kinds, err := schemas()
	assert.NilError(t, err)
	assert.Equal(t, len(kinds), 4)
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) //nolint:gosec // any number
	}
	t.Logf("seed %d: go test ./test/admission -run TestHostileObjects -args -seed=%d", *seed, *seed)
	g := &generator{Rand: rand.New(rand.NewPCG(*seed, 0)), spite: 0.01} //nolint:gosec // to be repeated
	keepCanary(t)
	canary(t, "before the storm")
	hostiles := &siege{t: t, g: g, schemas: kinds, answers: map[string]int{}}
	for i := range *mass {
		hostiles.apply(i)
	}
	t.Logf("%d objects: %v", *mass, hostiles.answers)
	assert.Assert(t, len(hostiles.stored) > *mass/20, "too few were stored: %d", len(hostiles.stored))
	assert.Assert(t, len(hostiles.stored) < *mass*19/20, "too few were refused: %d are stored", len(hostiles.stored))

	canary(t, "after the storm")
	noPanics(t)
	hostiles.end()
	canary(t, "after the end")
	noPanics(t)
}

// TestTimesAreTimes: the API server takes an array where the schema has a string with a
// format, and no client can read the list of a kind any more once one is stored; and a
// time that Go takes for none is written back as null. A rule on each time keeps both
// away.
func TestTimesAreTimes(t *testing.T) {
	kinds, err := schemas()
	assert.NilError(t, err)
	for kind, of := range kinds {
		for _, path := range unguardedTimes(of, nil, false) {
			t.Errorf("%s: %s has no rule", kind, path)
		}
	}
	for _, bad := range []string{`[]`, `["2026-01-01T00:00:00Z"]`, `"0001-01-01T00:00:00Z"`, `"today"`, `1`, `{}`} {
		_, refused, err := shared.try(t.Context(), create("ENIPool", "times", `{spec: {nodeName: times, instanceID: i-01234567, shared: {}, nodeGoneSince: `+bad+`}}`))
		assert.NilError(t, err)
		assert.Assert(t, apierrors.IsInvalid(refused), "%s: %v", bad, refused)
		assert.ErrorContains(t, refused, "spec.nodeGoneSince", bad)
	}
}

// unguardedTimes are the times of a schema that no rule compares with a time.
func unguardedTimes(s *schema, path []string, guarded bool) []string {
	guarded = guarded || slices.ContainsFunc(s.XValidations, func(rule apiextensionsv1.ValidationRule) bool {
		return strings.Contains(rule.Rule, "> timestamp(")
	})
	var found []string
	if s.Format == "date-time" && !guarded {
		found = append(found, fieldOf(path))
	}
	for _, name := range sortedKeys(s.Properties) {
		property := s.Properties[name]
		found = append(found, unguardedTimes(&property, append(slices.Clone(path), name), guarded && s.Type == "object" && len(path) > 1)...)
	}
	if s.Items != nil && s.Items.Schema != nil {
		found = append(found, unguardedTimes(s.Items.Schema, append(slices.Clone(path), "0"), guarded)...)
	}
	return found
}

// siege is what is being applied.
type siege struct {
	t       *testing.T
	g       *generator
	schemas map[string]*schema
	stored  []*unstructured.Unstructured
	answers map[string]int
}

// apply makes one object and, if it is stored, edits its spec and its status.
func (s *siege) apply(number int) {
	kind := sortedKeys(s.schemas)[number%len(s.schemas)]
	object := s.object(kind, fmt.Sprintf("hostile-%d", number))
	err := shared.Create(s.t.Context(), object)
	s.judge(kind, "create", err)
	if err != nil {
		return
	}
	s.stored = append(s.stored, object)
	edited := object.DeepCopy()
	s.edit(kind, edited)
	s.judge(kind, "edit", s.retry(edited, func(o client.Object) error { return shared.Update(s.t.Context(), o) }))
	told := object.DeepCopy()
	told.Object["status"] = s.part(kind, "status")
	s.judge(kind, "status", s.retry(told, func(o client.Object) error { return shared.Status().Update(s.t.Context(), o) }))
}

// edit changes one field of a spec.
func (s *siege) edit(kind string, object *unstructured.Unstructured) {
	fields := s.schemas[kind].Properties["spec"].Properties
	name := sortedKeys(fields)[s.g.IntN(len(fields))]
	field := fields[name]
	if spec, ok := object.Object["spec"].(map[string]any); ok {
		spec[name] = s.g.value(name, &field)
	}
}

func (s *siege) object(kind, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{"spec": s.part(kind, "spec"), "status": s.part(kind, "status")}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	object.SetName(name)
	switch kind {
	case "ENIClaim":
		object.SetNamespace([]string{"shop", "elsewhere"}[s.g.IntN(2)])
	case "ElasticNetworkInterface":
		if s.g.IntN(3) == 0 { // as whoever goes around admission would
			object.SetLabels(v1alpha1.OperatorLabels())
		}
	case "ENIPool": // Its name is its Node's.
		if spec, ok := object.Object["spec"].(map[string]any); ok {
			spec["nodeName"] = name
		}
	}
	return object
}

func (s *siege) part(kind, name string) any {
	part := s.schemas[kind].Properties[name]
	return s.g.value(name, &part)
}

// retry writes over whatever version there is; the operator writes too.
func (s *siege) retry(object *unstructured.Unstructured, write func(client.Object) error) error {
	for {
		object.SetResourceVersion("")
		latest := &unstructured.Unstructured{}
		latest.SetGroupVersionKind(object.GroupVersionKind())
		if err := shared.Get(s.t.Context(), client.ObjectKeyFromObject(object), latest); err != nil {
			return err
		}
		for _, part := range []string{"spec", "status"} {
			if _, has := object.Object[part]; has {
				latest.Object[part] = object.Object[part]
			}
		}
		if err := write(latest); !apierrors.IsConflict(err) {
			return err
		}
	}
}

// judge counts the answer, and fails where the webhooks or the API server broke.
func (s *siege) judge(kind, what string, err error) {
	answer := "taken"
	if err != nil {
		answer = string(apierrors.ReasonForError(err))
	}
	s.answers[kind+" "+what+" "+answer]++
	if apierrors.IsInternalError(err) || apierrors.ReasonForError(err) == metav1.StatusReasonUnknown && err != nil {
		s.t.Errorf("%s of %s: %v", what, kind, err)
	}
}

// end deletes what was stored, and waits until the operator has let go of all of it.
func (s *siege) end() {
	ctx := context.Background()
	allow := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"`+v1alpha1.DeleteInUseAnnotation+`":"true"}}}`))
	for _, object := range s.stored {
		if object.GetKind() != "ENIClaim" {
			assert.NilError(s.t, client.IgnoreNotFound(shared.Patch(ctx, object.DeepCopy(), allow)), "%s %s", object.GetKind(), object.GetName())
		}
		assert.NilError(s.t, client.IgnoreNotFound(shared.Delete(ctx, object)), "%s %s", object.GetKind(), object.GetName())
	}
	for _, object := range s.stored {
		awaiting(s.t, object.GetKind()+" "+object.GetName()+" is gone", func() error {
			return gone(shared.Get(ctx, client.ObjectKeyFromObject(object), object))
		})
	}
}

// keepCanary makes a Node, and a policy for it that no other outranks.
func keepCanary(t *testing.T) {
	t.Helper()
	policy := policySelecting("canary", "canary")
	policy.Spec.Priority = 1_000_000
	assert.NilError(t, shared.node("canary", "m5.large", "pool", "canary"))
	assert.NilError(t, shared.Create(t.Context(), policy))
	t.Cleanup(func() {
		assert.NilError(t, shared.Delete(context.Background(), policy))
		shared.terminate(t, "canary")
	})
}

// canary sees that a claim is served and let go of.
func canary(t *testing.T, when string) {
	t.Helper()
	claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "canary"}, Spec: v1alpha1.ENIClaimSpec{NodeName: "canary"}}
	assert.NilError(t, shared.Create(t.Context(), claim), when)
	awaiting(t, "a claim is bound "+when, func() error { return shared.ready(claim) })
	assert.NilError(t, shared.Delete(t.Context(), claim), when)
	awaiting(t, "a claim is let go of "+when, func() error {
		return gone(shared.Get(t.Context(), client.ObjectKeyFromObject(claim), claim))
	})
}
