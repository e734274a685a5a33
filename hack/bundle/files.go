/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// files are contents by path.
type files map[string][]byte

// generate makes the bundle's files.
func generate(s *sources, r release, icon []byte) (files, error) {
	csv, err := clusterServiceVersion(s, r, icon)
	if err != nil {
		return nil, err
	}
	f := files{}
	manifest := func(name string, object map[string]any) error {
		path := "bundle/manifests/" + name + ".yaml"
		if _, taken := f[path]; taken {
			return fmt.Errorf("two manifests would be %s", path)
		}
		var err error
		f[path], err = yaml.Marshal(object)
		return err
	}
	if err := manifest(packageName+".clusterserviceversion", csv.Object); err != nil {
		return nil, err
	}
	for i := range s.definitions {
		crd := &s.definitions[i]
		if err := manifest(crd.Spec.Group+"_"+crd.Spec.Names.Plural, crd.object.Object); err != nil {
			return nil, err
		}
	}
	for _, extra := range s.extras {
		extra = extra.DeepCopy()
		extra.SetNamespace("") // that of the Subscription
		if err := manifest(fileName(extra), extra.Object); err != nil {
			return nil, err
		}
	}
	if f["bundle/tests/scorecard/config.yaml"], err = yaml.Marshal(s.scorecard.Object); err != nil {
		return nil, err
	}
	f.metadata(r)
	return f, nil
}

// fileName is name_group_version_kind, as operator-sdk has it.
func fileName(object *unstructured.Unstructured) string {
	gvk := object.GroupVersionKind()
	parts := []string{object.GetName()}
	if gvk.Group != "" {
		parts = append(parts, gvk.Group)
	}
	return strings.Join(append(parts, gvk.Version, strings.ToLower(gvk.Kind)), "_")
}

// openShiftVersions are those whose Kubernetes is not older than the bundle's
// minKubeVersion: 4.18 has 1.31.
const openShiftVersions = "v4.18"

// metadata are annotations that tools look for beside the manifests, and in the
// image's labels.
func (f files) metadata(r release) {
	about := map[string]string{
		"operators.operatorframework.io.bundle.mediatype.v1":       "registry+v1",
		"operators.operatorframework.io.bundle.manifests.v1":       "manifests/",
		"operators.operatorframework.io.bundle.metadata.v1":        "metadata/",
		"operators.operatorframework.io.bundle.package.v1":         packageName,
		"operators.operatorframework.io.bundle.channels.v1":        r.channel,
		"operators.operatorframework.io.bundle.channel.default.v1": r.channel,
		"com.redhat.openshift.versions":                            openShiftVersions,
		"operators.operatorframework.io.test.mediatype.v1":         "scorecard+v1",
		"operators.operatorframework.io.test.config.v1":            "tests/scorecard/",
	}
	var annotations, labels strings.Builder
	annotations.WriteString("annotations:\n")
	for _, key := range slices.Sorted(maps.Keys(about)) {
		fmt.Fprintf(&annotations, "  %s: %s\n", key, about[key])
		fmt.Fprintf(&labels, "LABEL %s=%s\n", key, about[key])
	}
	f["bundle/metadata/annotations.yaml"] = []byte(annotations.String())
	f["bundle.Dockerfile"] = []byte("# Made by `make bundle`.\nFROM scratch\n\n" + labels.String() + `
COPY bundle/manifests /manifests/
COPY bundle/metadata /metadata/
COPY bundle/tests/scorecard /tests/scorecard/
`)
}

// write replaces the folder bundle and bundle.Dockerfile below a folder.
func (f files) write(below string) error {
	if err := os.RemoveAll(filepath.Join(below, "bundle")); err != nil {
		return err
	}
	for path, content := range f {
		path = filepath.Join(below, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
