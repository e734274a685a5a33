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

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

var (
	seed = flag.Uint64("seed", 1, "Seed of the hostile objects; 0: another one each time.")
	mass = flag.Int("objects", 300, "How many hostile objects are applied; make test-fuzz applies 1,000.")
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// wild is how many objects of a hundred are made of the schemas alone, of which few are
// stored. The others are valid ones with a few hostile fields.
const wild = 40

// TestHostileObjects applies what is made from the schemas with hostile values in it,
// then edits of it, then statuses. Afterwards the replica lives, nothing panicked, it
// still serves claims, has judged everything that was stored, and can bring it to an end.
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
	for kind := range kinds { // Else little was shown of what reconcilers, or admission, do with them.
		taken := hostiles.answers[kind+" create taken"]
		assert.Assert(t, taken > *mass/len(kinds)/5, "too few of %s were stored: %d", kind, taken)
		assert.Assert(t, taken < *mass/len(kinds)*19/20, "too few of %s were refused: %d are stored", kind, taken)
		for _, what := range []string{"edit", "status"} {
			taken := hostiles.answers[kind+" "+what+" taken"]
			assert.Assert(t, taken > *mass/len(kinds)/20, "of %s too few took part in %s: %d", kind, what, taken)
		}
	}

	canary(t, "after the storm")
	noPanics(t)
	hostiles.judged()
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

// TestRenewalsCanBeRead: tenants write the time of a renewal, and no webhook is asked. What
// the API server takes for a time, Go must read, or the operator could read no claim any more.
func TestRenewalsCanBeRead(t *testing.T) {
	taken := 0
	for _, text := range []string{
		"2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456789+01:00", "2026-01-01t00:00:00z", "2026-01-01T23:59:60Z", "2026-01-01T00:00:00",
		"2026-01-01 00:00:00Z", "2026-01-01T00:00:00+0100", "2026-01-01T00:00Z", "20026-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z",
		"2026-01-01T00:00:00,5Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00+23:59", "2026-02-30T00:00:00Z", "2026-01-01", "1767225600",
	} {
		claim := create("ENIClaim", "times", fmt.Sprintf(`{spec: {nodeName: times, lease: {duration: 60s, renewTime: %q}}}`, text))
		_, refused, err := shared.try(t.Context(), claim)
		assert.NilError(t, err)
		if apierrors.IsInvalid(refused) || apierrors.IsBadRequest(refused) {
			continue
		}
		assert.NilError(t, refused, text)
		taken++
		read := &metav1.Time{}
		assert.NilError(t, read.UnmarshalJSON(fmt.Appendf(nil, "%q", text)), text)
	}
	assert.Assert(t, taken >= 2, "%d times were taken", taken)
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
	// edited are those whose spec was the last to be changed.
	edited  []*unstructured.Unstructured
	answers map[string]int
}

// apply makes one object and, if it is stored, edits its status and then its spec, so that
// the operator has to judge it whatever its status says.
func (s *siege) apply(number int) {
	kind := sortedKeys(s.schemas)[number%len(s.schemas)]
	tame := s.g.IntN(100) >= wild
	object := s.object(kind, number, tame)
	err := shared.Create(s.t.Context(), object)
	s.judge(kind, "create", err)
	if err != nil {
		return
	}
	s.stored = append(s.stored, object)
	s.judge(kind, "status", s.rewrite(object, func(latest *unstructured.Unstructured) error {
		s.lie(kind, latest, tame)
		return shared.Status().Update(s.t.Context(), latest)
	}))
	var before, after int64
	s.judge(kind, "edit", s.rewrite(object, func(latest *unstructured.Unstructured) error {
		before = latest.GetGeneration()
		s.edit(kind, latest, tame)
		err := shared.Update(s.t.Context(), latest)
		after = latest.GetGeneration()
		return err
	}))
	if after > before {
		s.edited = append(s.edited, object)
	}
}

// edit changes a spec: one field, or a few where it is to remain valid.
func (s *siege) edit(kind string, object *unstructured.Unstructured, tame bool) {
	field := s.schemas[kind].Properties["spec"]
	spec, ok := object.Object["spec"].(map[string]any)
	switch {
	case !ok:
	case tame:
		object.Object["spec"] = s.g.mutated(spec, &field)
	default:
		name := s.g.oneOf(sortedKeys(field.Properties)...)
		property := field.Properties[name]
		spec[name] = s.g.value(name, &property)
	}
}

// lie changes a status: all of it, or a few fields where it is to remain plausible.
func (s *siege) lie(kind string, object *unstructured.Unstructured, tame bool) {
	if !tame {
		object.Object["status"] = s.part(kind, "status")
		return
	}
	field := s.schemas[kind].Properties["status"]
	status, ok := object.Object["status"].(map[string]any)
	if !ok {
		status = map[string]any{}
	}
	object.Object["status"] = s.g.mutated(status, &field)
}

func (s *siege) object(kind string, number int, tame bool) *unstructured.Unstructured {
	name := fmt.Sprintf("hostile-%d", number)
	object := &unstructured.Unstructured{Object: map[string]any{"spec": s.part(kind, "spec"), "status": s.part(kind, "status")}}
	if tame {
		field := s.schemas[kind].Properties["spec"]
		object.Object = map[string]any{"spec": s.g.mutated(s.g.valid(kind, name, number), &field)}
	}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	object.SetName(name)
	switch kind {
	case "ENIClaim":
		object.SetNamespace(s.g.oneOf("shop", "elsewhere"))
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

// rewrite changes whatever version there is; the operator writes too.
func (s *siege) rewrite(object *unstructured.Unstructured, change func(latest *unstructured.Unstructured) error) error {
	for {
		latest := &unstructured.Unstructured{}
		latest.SetGroupVersionKind(object.GroupVersionKind())
		if err := shared.Get(s.t.Context(), client.ObjectKeyFromObject(object), latest); err != nil {
			return err
		}
		if err := change(latest); !apierrors.IsConflict(err) {
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

// judged waits until the operator has said of each edited object, as it is now, how it is. Of
// a claim with a lease it may have said so before the edit: a renewal is an edit too, and not
// for the pool (docs/leases.md).
func (s *siege) judged() {
	for _, object := range s.edited {
		latest := &unstructured.Unstructured{}
		latest.SetGroupVersionKind(object.GroupVersionKind())
		awaiting(s.t, object.GetKind()+" "+object.GetName()+" is judged", func() error {
			err := shared.Get(s.t.Context(), client.ObjectKeyFromObject(object), latest)
			if err != nil {
				return client.IgnoreNotFound(err)
			}
			_, leased, _ := unstructured.NestedMap(latest.Object, "spec", "lease")
			conditions, _, _ := unstructured.NestedSlice(latest.Object, "status", "conditions")
			for _, condition := range conditions {
				told, ok := condition.(map[string]any)
				if ok && told["type"] == v1alpha1.ConditionReady && (leased || told["observedGeneration"] == latest.GetGeneration()) {
					return nil
				}
			}
			return fmt.Errorf("generation %d: %.2000s", latest.GetGeneration(), fmt.Sprint(conditions))
		})
	}
}

// end deletes what was stored, waits until the operator has let go of all of it, and
// deletes the ENIs that were to be retained in EC2: they would fill the instances.
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
			if err := gone(shared.Get(ctx, client.ObjectKeyFromObject(object), object)); err != nil {
				return fmt.Errorf("%w: %.4000s", err, fmt.Sprint(object.Object))
			}
			return nil
		})
	}
	shared.discardRetained(s.t)
}

// discardRetained detaches and deletes the ENIs that were kept in EC2 without their
// resources, as people do who have no use for them.
func (w *world) discardRetained(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	retained, err := w.cloud.DescribeNetworkInterfaces(ctx, &awsec2.DescribeNetworkInterfacesInput{
		Filters: []ec2types.Filter{{Name: aws.String("tag:" + ec2.TagDeletionPolicy), Values: []string{string(v1alpha1.DeletionPolicyRetain)}}},
	})
	assert.NilError(t, err)
	for _, eni := range retained.NetworkInterfaces {
		if eni.Attachment != nil {
			_, err := w.cloud.DetachNetworkInterface(ctx, &awsec2.DetachNetworkInterfaceInput{AttachmentId: eni.Attachment.AttachmentId, Force: aws.Bool(true)})
			assert.NilError(t, err)
		}
		awaiting(t, aws.ToString(eni.NetworkInterfaceId)+" is deleted", func() error {
			_, err := w.cloud.DeleteNetworkInterface(ctx, &awsec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: eni.NetworkInterfaceId})
			return err
		})
	}
	t.Logf("%d ENIs were retained", len(retained.NetworkInterfaces))
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
