/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package apiserver

import (
	"encoding/json"
	"maps"

	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// decode reads JSON with whole numbers as int64, as Kubernetes does.
func decode(raw []byte) (map[string]any, error) {
	var content map[string]any
	err := utiljson.Unmarshal(raw, &content)
	return content, err
}

func encode(content map[string]any) ([]byte, error) { return json.Marshal(content) }

// metadata returns an object's metadata, which it makes if there is none.
func metadata(content map[string]any) map[string]any {
	meta, ok := content["metadata"].(map[string]any)
	if !ok {
		meta = map[string]any{}
		content["metadata"] = meta
	}
	return meta
}

// lookup returns what stands at a path, or nil.
func lookup(content map[string]any, path ...string) any {
	var value any = content
	for _, name := range path {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[name]
	}
	return value
}

func text(content map[string]any, path ...string) string {
	value, _ := lookup(content, path...).(string)
	return value
}

func keyOf(content map[string]any) string {
	return key(text(content, "metadata", "namespace"), text(content, "metadata", "name"))
}

func terminating(content map[string]any) bool {
	return text(content, "metadata", "deletionTimestamp") != ""
}

func finalizers(content map[string]any) []any {
	list, _ := lookup(content, "metadata", "finalizers").([]any)
	return list
}

// contentLabels are the labels of an object's content, read as they are asked for.
type contentLabels map[string]any

func labelsOf(content map[string]any) contentLabels {
	all, _ := lookup(content, "metadata", "labels").(map[string]any)
	return all
}

func (l contentLabels) Has(name string) bool {
	_, has := l[name]
	return has
}

func (l contentLabels) Get(name string) string {
	value, _ := l[name].(string)
	return value
}

func (l contentLabels) Lookup(name string) (value string, exists bool) {
	return l.Get(name), l.Has(name)
}

// merge applies a JSON merge patch (RFC 7386) to a copy.
func merge(target, patch map[string]any) map[string]any {
	merged := maps.Clone(target)
	if merged == nil {
		merged = map[string]any{}
	}
	for name, value := range patch {
		inner, ok := value.(map[string]any)
		switch {
		case value == nil:
			delete(merged, name)
		case ok:
			old, _ := merged[name].(map[string]any)
			merged[name] = merge(old, inner)
		default:
			merged[name] = value
		}
	}
	return merged
}
