/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package apiserver

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// create stores a new object.
func (s *Server) create(connection string, k *kind, namespace string, content map[string]any) (*object, error) {
	meta := metadata(content)
	if prefix := text(content, "metadata", "generateName"); prefix != "" && text(content, "metadata", "name") == "" {
		meta["name"] = fmt.Sprintf("%s%05x", prefix, s.rng.Uint32()&0xfffff)
	}
	name := text(content, "metadata", "name")
	if k.namespaced {
		meta["namespace"] = namespace
		if err := s.open(namespace, k, name); err != nil {
			return nil, err
		}
	}
	if _, taken := k.objects[key(namespace, name)]; taken {
		return nil, apierrors.NewAlreadyExists(k.group(), name)
	}
	content["apiVersion"], content["kind"] = k.GroupVersion().String(), k.Kind
	meta["uid"], meta["creationTimestamp"] = s.newUID(), stamp(time.Now())
	for _, dropped := range []string{"resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink"} {
		delete(meta, dropped)
	}
	if k.custom {
		meta["generation"] = int64(1)
		delete(content, "status")
	}
	if err := s.check(connection, k, content, nil); err != nil {
		return nil, err
	}
	request := Request{Connection: connection, Resource: k.resource, Namespace: namespace, Name: name, Verb: "create"}
	if err := s.admit(k, request, content, nil); err != nil {
		return nil, err
	}
	if k.namespaced { // It may have gone while the webhooks were asked.
		if err := s.open(namespace, k, name); err != nil {
			return nil, err
		}
	}
	if k.transient {
		raw, err := encode(content)
		return &object{content: content, raw: raw}, err
	}
	return s.commit(connection, k, nil, content, false)
}

// open is an error unless objects can be made in a namespace.
func (s *Server) open(namespace string, k *kind, name string) error {
	found, ok := s.kinds["/namespaces"].objects[key("", namespace)]
	if !ok {
		return apierrors.NewNotFound(s.kinds["/namespaces"].group(), namespace)
	}
	if terminating(found.content) && !k.transient {
		return apierrors.NewForbidden(k.group(), name, fmt.Errorf("unable to create new content in namespace %s because it is being terminated", namespace))
	}
	return nil
}

// check completes and validates an object.
func (s *Server) check(connection string, k *kind, content, old map[string]any) error {
	name := text(content, "metadata", "name")
	if k.resource == "events" {
		return s.refuseEvent(connection, k, content)
	}
	if k.validation == nil {
		return nil
	}
	k.validation.complete(content)
	if failed := k.validation.judge(content, old); len(failed) > 0 {
		return s.refuse(connection, k, name, apierrors.NewInvalid(k.GroupKind(), name, failed))
	}
	return nil
}

// Limits of events.k8s.io/v1, which older events share.
const (
	longestNote   = 1024
	longestReason = 128
)

func (s *Server) refuseEvent(connection string, k *kind, content map[string]any) error {
	var failed field.ErrorList
	most := func(limit int, path ...string) {
		if value := text(content, path...); utf8.RuneCountInString(value) > limit || (len(value) > limit && limit == longestNote) {
			failed = append(failed, field.TooLong(field.NewPath(path[0]), value, limit))
		}
	}
	most(longestNote, "note")
	most(longestReason, "reason")
	most(longestReason, "action")
	if k.Group != "" && (text(content, "reason") == "" || text(content, "action") == "") {
		failed = append(failed, field.Required(field.NewPath("action"), "events have a reason and an action"))
	}
	if len(failed) == 0 {
		return nil
	}
	name := text(content, "regarding", "name")
	return s.refuse(connection, k, name, apierrors.NewInvalid(k.GroupKind(), name, failed))
}

// admit asks others' admission, and then the webhooks.
func (s *Server) admit(k *kind, request Request, content, old map[string]any) error {
	if s.Admit == nil && len(s.webhooks.hooks) == 0 {
		return nil
	}
	var err error
	if content != nil {
		if request.Object, err = encode(content); err != nil {
			return err
		}
	}
	if old != nil {
		if request.Old, err = encode(old); err != nil {
			return err
		}
	}
	if s.Admit != nil {
		if err := s.Admit(request); err != nil {
			return err
		}
	}
	return s.askWebhooks(k, request, content, old)
}

// update replaces an object, or its status.
func (s *Server) update(connection string, k *kind, before *object, content map[string]any, subresource string) (*object, error) {
	name := text(before.content, "metadata", "name")
	if version := text(content, "metadata", "resourceVersion"); version != "" && version != text(before.content, "metadata", "resourceVersion") {
		return nil, conflict(k, name, "the object has been modified; please apply your changes to the latest version and try again")
	}
	if uid := text(content, "metadata", "uid"); uid != "" && uid != text(before.content, "metadata", "uid") {
		return nil, conflict(k, name, "Precondition failed: UID in precondition: %s, UID in object meta: %s", uid, text(before.content, "metadata", "uid"))
	}
	after := k.replaced(before.content, content, subresource == "status")
	if err := s.check(connection, k, after, before.content); err != nil {
		return nil, err
	}
	if terminating(before.content) && added(finalizers(before.content), finalizers(after)) {
		return nil, apierrors.NewInvalid(k.GroupKind(), name, field.ErrorList{field.Forbidden(
			field.NewPath("metadata", "finalizers"), "no new finalizers can be added if the object is being deleted")})
	}
	request := Request{
		Connection: connection, Resource: k.resource, Namespace: text(after, "metadata", "namespace"), Name: name, Verb: "update", Subresource: subresource,
	}
	if err := s.admit(k, request, after, before.content); err != nil {
		return nil, err
	}
	if reflect.DeepEqual(after, before.content) {
		return before, nil
	}
	return s.commit(connection, k, before, after, subresource == "status")
}

// replaced returns what an update makes of an object: what a client may change is
// taken from its request, and all else stays.
func (k *kind) replaced(before, wanted map[string]any, status bool) map[string]any {
	after := maps.Clone(before)
	if status {
		set(after, "status", wanted["status"])
		after["metadata"] = maps.Clone(metadata(before))
		return after
	}
	for name, value := range wanted {
		after[name] = value
	}
	for name := range before {
		if _, kept := wanted[name]; !kept {
			delete(after, name)
		}
	}
	if k.custom {
		set(after, "status", before["status"])
	}
	after["apiVersion"], after["kind"] = before["apiVersion"], before["kind"]
	meta, old := maps.Clone(metadata(wanted)), metadata(before)
	for _, fixed := range []string{
		"uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "resourceVersion", "name", "namespace",
	} {
		set(meta, fixed, old[fixed])
	}
	delete(meta, "managedFields")
	after["metadata"] = meta
	if k.custom && !reflect.DeepEqual(without(before), without(after)) {
		generation, _ := old["generation"].(int64)
		meta["generation"] = generation + 1
	}
	return after
}

// without leaves out what does not count as a new generation.
func without(content map[string]any) map[string]any {
	rest := maps.Clone(content)
	delete(rest, "metadata")
	delete(rest, "status")
	return rest
}

func set(content map[string]any, name string, value any) {
	if value == nil {
		delete(content, name)
		return
	}
	content[name] = value
}

func added(before, after []any) bool {
	for _, one := range after {
		found := false
		for _, other := range before {
			found = found || one == other
		}
		if !found {
			return true
		}
	}
	return false
}

// remove deletes an object, or marks it as being deleted.
func (s *Server) remove(connection string, k *kind, before *object, options metav1.DeleteOptions) (*object, error) {
	if k.objects[before.key] != before {
		return nil, errMoved
	}
	name := text(before.content, "metadata", "name")
	if p := options.Preconditions; p != nil {
		if p.UID != nil && *p.UID != types.UID(text(before.content, "metadata", "uid")) {
			return nil, conflict(k, name, "Precondition failed: UID in precondition: %s, UID in object meta: %s", *p.UID, text(before.content, "metadata", "uid"))
		}
		if p.ResourceVersion != nil && *p.ResourceVersion != strconv.FormatUint(before.version, 10) {
			return nil, conflict(k, name, "Precondition failed: ResourceVersion in precondition: %s", *p.ResourceVersion)
		}
	}
	if k.transient {
		return nil, errors.New("events are not kept")
	}
	request := Request{Connection: connection, Resource: k.resource, Namespace: text(before.content, "metadata", "namespace"), Name: name, Verb: "delete"}
	if err := s.admit(k, request, nil, before.content); err != nil {
		return nil, err
	}
	if terminating(before.content) {
		return before, nil
	}
	after := maps.Clone(before.content)
	meta := maps.Clone(metadata(after))
	after["metadata"] = meta
	meta["deletionTimestamp"], meta["deletionGracePeriodSeconds"] = stamp(time.Now()), int64(0)
	if generation, ok := meta["generation"].(int64); ok {
		meta["generation"] = generation + 1
	}
	if k.resource == "namespaces" && k.Group == "" {
		meta["finalizers"] = append(finalizers(after), namespaceFinalizer)
	}
	return s.commit(connection, k, before, after, false)
}

// namespaceFinalizer stands for spec.finalizers of a namespace, which keep it until it
// is empty.
const namespaceFinalizer = "kubernetes"
