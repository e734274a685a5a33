/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package apiserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// request is one call of the API.
type request struct {
	method      string
	path        string
	kind        *kind // nil for discovery
	namespace   string
	name        string
	subresource string
	watch       bool
	// partial asks for nothing but metadata.
	partial  bool
	patch    types.PatchType
	query    url.Values
	selector labels.Selector
	fields   fields.Selector
	body     []byte
}

func (q *request) resource() string {
	if q.kind == nil {
		return ""
	}
	return q.kind.resource
}

// verb is the verb of a write.
func (q *request) verb() string {
	switch q.method {
	case http.MethodPost:
		return "create"
	case http.MethodDelete:
		return "delete"
	case http.MethodPatch:
		return "patch"
	default:
		return "update"
	}
}

func (s *Server) parse(r *http.Request, body []byte) (*request, error) {
	q := &request{method: r.Method, path: r.URL.Path, query: r.URL.Query(), body: body}
	q.partial = strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata")
	q.patch = types.PatchType(r.Header.Get("Content-Type"))
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var group string
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		group, parts = parts[1], parts[3:]
	default:
		return q, nil
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		q.namespace, parts = parts[1], parts[2:]
	}
	k, ok := s.kinds[group+"/"+parts[0]]
	if !ok {
		return nil, &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound, Message: "the server could not find the requested resource",
		}}
	}
	q.kind = k
	if len(parts) > 1 {
		q.name = parts[1]
	}
	if len(parts) > 2 {
		q.subresource = parts[2]
	}
	err := q.parseQuery()
	return q, err
}

func (q *request) parseQuery() error {
	if q.query.Has("dryRun") {
		return apierrors.NewBadRequest("a dry run is not known here")
	}
	q.watch = q.query.Get("watch") == "true" || q.query.Get("watch") == "1"
	var err error
	if q.selector, err = labels.Parse(q.query.Get("labelSelector")); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	if q.fields, err = fields.ParseSelector(q.query.Get("fieldSelector")); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	return nil
}

// serve executes a request that is no watch.
func (s *Server) serve(connection string, q *request) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		raw, err := s.execute(connection, q)
		if !errors.Is(err, errMoved) {
			return raw, err
		}
	}
}

func (s *Server) execute(connection string, q *request) ([]byte, error) {
	if q.kind == nil {
		return s.discover(q.path)
	}
	switch q.method {
	case http.MethodGet:
		return s.read(q)
	case http.MethodPost:
		if q.kind.resource == selfSubjectReviews {
			return s.reviewSelf(connection)
		}
		content, err := decode(q.body)
		if err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		made, err := s.create(connection, q.kind, q.namespace, content)
		if err != nil {
			return nil, err
		}
		return made.raw, nil
	default:
		return s.change(connection, q)
	}
}

func (s *Server) change(connection string, q *request) ([]byte, error) {
	before, ok := q.kind.objects[key(q.namespace, q.name)]
	if !ok {
		return nil, apierrors.NewNotFound(q.kind.group(), q.name)
	}
	var after *object
	var err error
	switch q.method {
	case http.MethodDelete:
		var options metav1.DeleteOptions
		if len(q.body) > 0 {
			if err := json.Unmarshal(q.body, &options); err != nil {
				return nil, apierrors.NewBadRequest(err.Error())
			}
		}
		after, err = s.remove(connection, q.kind, before, options)
	case http.MethodPut, http.MethodPatch:
		var content map[string]any
		if content, err = decode(q.body); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		if q.method == http.MethodPatch {
			if q.patch != types.MergePatchType {
				return nil, &apierrors.StatusError{ErrStatus: metav1.Status{
					Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
					Message: string(q.patch) + " is not known here",
				}}
			}
			content = merge(before.content, content)
		}
		after, err = s.update(connection, q.kind, before, content, q.subresource)
	}
	if err != nil {
		return nil, err
	}
	if _, stays := q.kind.objects[key(q.namespace, q.name)]; stays {
		return after.raw, nil
	}
	return q.removed(before, after)
}

// removed is the answer to a request with which an object went. It does not have the
// version of that: an update is answered with the version before, and a deletion with none.
func (q *request) removed(before, after *object) ([]byte, error) {
	if q.method == http.MethodDelete {
		return json.Marshal(metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess,
			Details: &metav1.StatusDetails{
				Name: q.name, Group: q.kind.Group, Kind: q.kind.resource, UID: types.UID(text(before.content, "metadata", "uid")),
			},
		})
	}
	content, meta := maps.Clone(after.content), maps.Clone(metadata(after.content))
	meta["resourceVersion"] = text(before.content, "metadata", "resourceVersion")
	content["metadata"] = meta
	return encode(content)
}

func (s *Server) read(q *request) ([]byte, error) {
	if q.name != "" {
		found, ok := q.kind.objects[key(q.namespace, q.name)]
		if !ok {
			return nil, apierrors.NewNotFound(q.kind.group(), q.name)
		}
		return q.shown(found.content, found.raw)
	}
	var out bytes.Buffer
	name, version := q.kind.Kind+"List", q.kind.GroupVersion().String()
	if q.partial {
		name, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
	}
	out.WriteString(`{"kind":"` + name + `","apiVersion":"` + version + `","metadata":{"resourceVersion":"` +
		strconv.FormatUint(s.version, 10) + `"},"items":[`)
	for i, found := range q.kind.list(q) {
		if i > 0 {
			out.WriteByte(',')
		}
		raw, err := q.shown(found.content, found.raw)
		if err != nil {
			return nil, err
		}
		out.Write(raw)
	}
	out.WriteString("]}")
	return out.Bytes(), nil
}

// list returns the objects that a request selects, by name.
func (k *kind) list(q *request) []*object {
	var found []*object
	for _, o := range k.objects {
		if q.selects(o) {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(a, b *object) int { return strings.Compare(a.key, b.key) })
	return found
}

// selects reports whether a list or watch shows an object.
func (q *request) selects(o *object) bool {
	if o == nil || (q.namespace != "" && text(o.content, "metadata", "namespace") != q.namespace) {
		return false
	}
	if !q.selector.Empty() && !q.selector.Matches(labelsOf(o.content)) {
		return false
	}
	for _, wanted := range q.fields.Requirements() {
		if text(o.content, strings.Split(wanted.Field, ".")...) != wanted.Value {
			return false
		}
	}
	return true
}

// shown is an object as the request wants to see it.
func (q *request) shown(content map[string]any, raw []byte) ([]byte, error) {
	if !q.partial {
		return raw, nil
	}
	return encode(map[string]any{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": content["metadata"]})
}

// discover answers what groups and resources there are.
func (s *Server) discover(path string) ([]byte, error) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case path == "/version":
		return []byte(`{"major":"1","minor":"37","gitVersion":"v1.37.2"}`), nil
	case path == "/api":
		return []byte(`{"kind":"APIVersions","versions":["v1"]}`), nil
	case path == "/apis":
		return json.Marshal(s.groups())
	case parts[0] == "api" && len(parts) == 2:
		return json.Marshal(s.resources("", parts[1]))
	case parts[0] == "apis" && len(parts) == 2:
		for _, group := range s.groups().Groups {
			if group.Name == parts[1] {
				group.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
				return json.Marshal(group)
			}
		}
	case parts[0] == "apis" && len(parts) == 3:
		return json.Marshal(s.resources(parts[1], parts[2]))
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "path"}, path)
}

func (s *Server) groups() metav1.APIGroupList {
	list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
	seen := map[string]bool{"": true}
	for _, k := range s.ordered {
		if seen[k.Group] {
			continue
		}
		seen[k.Group] = true
		version := metav1.GroupVersionForDiscovery{GroupVersion: k.GroupVersion().String(), Version: k.Version}
		list.Groups = append(list.Groups, metav1.APIGroup{Name: k.Group, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version})
	}
	return list
}

func (s *Server) resources(group, version string) metav1.APIResourceList {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}}
	list.GroupVersion = strings.TrimPrefix(group+"/"+version, "/")
	for _, k := range s.ordered {
		if k.Group != group || k.Version != version {
			continue
		}
		verbs := metav1.Verbs{"create", "delete", "get", "list", "patch", "update", "watch"}
		list.APIResources = append(list.APIResources, metav1.APIResource{
			Name: k.resource, SingularName: strings.ToLower(k.Kind), Namespaced: k.namespaced, Kind: k.Kind, Verbs: verbs,
		})
		if k.custom {
			list.APIResources = append(list.APIResources, metav1.APIResource{
				Name: k.resource + "/status", Namespaced: k.namespaced, Kind: k.Kind, Verbs: metav1.Verbs{"get", "patch", "update"},
			})
		}
	}
	return list
}
