/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/controlplane"
)

// rule is one rule of a kind's schema: specs that it lets pass, and specs that it
// refuses, naming the field and saying what is wrong.
type rule struct {
	name   string
	accept []string
	refuse []string
	// field is the path that the refusal names.
	field string
	// words are in the refusal.
	words string
}

// checkRules puts every case of every rule before the API server, which stores
// nothing.
func checkRules(t *testing.T, kind, name string, rules []rule) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			assert.Assert(t, len(r.accept) > 0 && len(r.refuse) > 0, "a rule has both cases")
			for _, spec := range r.accept {
				assert.NilError(t, dryRun(t, object(t, kind, name, spec)), "accepted: %s", spec)
			}
			for _, spec := range r.refuse {
				err := dryRun(t, object(t, kind, name, spec))
				assert.Assert(t, apierrors.IsInvalid(err), "refused: %s: %v", spec, err)
				assert.ErrorContains(t, err, r.field+":")
				assert.ErrorContains(t, err, r.words)
			}
		})
	}
}

// object is an object of ours; spec is YAML in one line.
func object(t *testing.T, kind, name, spec string) *unstructured.Unstructured {
	t.Helper()
	content := map[string]any{}
	assert.NilError(t, yaml.Unmarshal([]byte("spec: "+spec), &content), spec)
	made := &unstructured.Unstructured{Object: content}
	made.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	made.SetName(name)
	if kind == "ENIClaim" {
		made.SetNamespace(metav1.NamespaceDefault)
	}
	return made
}

func dryRun(t *testing.T, made client.Object) error {
	t.Helper()
	return shared.Create(t.Context(), made, client.DryRunAll)
}

// change is an edit of an object that exists.
type change struct {
	name   string
	before string
	after  string
	// field and words are in the refusal; both empty: the edit is accepted.
	field string
	words string
}

// checkChanges makes objects and tries to edit them.
func checkChanges(t *testing.T, kind string, changes []change) {
	t.Helper()
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			name := "immutable-" + strings.ReplaceAll(strings.ToLower(kind+"-"+c.name), " ", "-")
			made := object(t, kind, name, c.before)
			assert.NilError(t, shared.Create(t.Context(), made))
			t.Cleanup(func() { assert.NilError(t, deleteForGood(made)) })
			content, err := yaml.YAMLToJSON([]byte("spec: " + c.after))
			assert.NilError(t, err)
			err = shared.Patch(t.Context(), made, client.RawPatch("application/merge-patch+json", content), client.DryRunAll)
			if c.words == "" {
				assert.NilError(t, err)
				return
			}
			assert.Assert(t, apierrors.IsInvalid(err), "%v", err)
			assert.ErrorContains(t, err, c.field+":")
			assert.ErrorContains(t, err, c.words)
		})
	}
}

func TestSamplesAreAccepted(t *testing.T) {
	t.Parallel()
	root, err := controlplane.RepositoryRoot()
	assert.NilError(t, err)
	files, err := filepath.Glob(filepath.Join(root, "config", "samples", "networking_*.yaml"))
	assert.NilError(t, err)
	kinds := map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		assert.NilError(t, err)
		documents := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
		for {
			sample := &unstructured.Unstructured{}
			err := documents.Decode(&sample.Object)
			if errors.Is(err, io.EOF) {
				break
			}
			assert.NilError(t, err, file)
			assert.NilError(t, dryRun(t, sample), file)
			kinds[sample.GetKind()] = true
		}
	}
	assert.DeepEqual(t, kinds, map[string]bool{"ENIPolicy": true, "ENIPool": true, "ElasticNetworkInterface": true, "ENIClaim": true})
}

func TestDefaultsAreFilledIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, spec, want string }{
		{"ENIPolicy", `{nodeSelector: {}, shared: {}, exclusive: {}}`,
			`{nodeSelector: {}, priority: 0, ipam: shared, deletionPolicy: Delete,
			  shared: {addressType: IPv4, minimumIPs: 0, warmIPs: 8, maximumIPs: 1024, cooldown: 30s, reserveAfterRelease: 5m0s, idleReleaseAfter: 10m0s},
			  exclusive: {minimum: 0, warm: 0, maximum: 127}}`},
		{"ENIPool", `{nodeName: defaults, instanceID: i-0123456789abcdef0, shared: {}}`,
			`{nodeName: defaults, instanceID: i-0123456789abcdef0, ipam: shared, deletionPolicy: Delete,
			  shared: {addressType: IPv4, minimumIPs: 0, warmIPs: 8, maximumIPs: 1024, cooldown: 30s, reserveAfterRelease: 5m0s, idleReleaseAfter: 10m0s}}`},
		{"ElasticNetworkInterface", `{nodeName: node}`, `{nodeName: node, mode: Shared, deletionPolicy: Delete}`},
		{"ENIClaim", `{nodeName: node}`, `{nodeName: node, mode: Shared}`},
	} {
		made := object(t, c.kind, "defaults", c.spec)
		assert.NilError(t, dryRun(t, made))
		want := object(t, c.kind, "defaults", c.want)
		got, err := yaml.Marshal(made.Object["spec"])
		assert.NilError(t, err)
		wanted, err := yaml.Marshal(want.Object["spec"])
		assert.NilError(t, err)
		assert.Equal(t, string(got), string(wanted), c.kind)
	}
}
