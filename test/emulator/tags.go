/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxTagKey        = 128
	maxTagValue      = 256
	maxTaggedIDs     = 1000
	reservedTagStart = "aws:"
)

// readTags reads a list of tags, none of them named twice.
func readTags(p params, name string) map[string]string {
	tags := make(map[string]string)
	for _, item := range p.structs(name) {
		key, value := item.text("Key"), item.text("Value")
		if _, duplicate := tags[key]; duplicate {
			p.reject(invalidValue("Duplicate tag key '%s' specified.", key))
		}
		p.reject(checkTag(key, value))
		tags[key] = value
	}
	return tags
}

func checkTag(key, value string) error {
	switch {
	case key == "":
		return invalidValue("Tag key cannot be null or empty")
	case strings.HasPrefix(strings.ToLower(key), reservedTagStart):
		return invalidValue("Tag keys starting with 'aws:' are reserved for internal use")
	case utf8.RuneCountInString(key) > maxTagKey:
		return invalidValue("Tag key exceeds the maximum length of %d characters", maxTagKey)
	case utf8.RuneCountInString(value) > maxTagValue:
		return invalidValue("Tag value exceeds the maximum length of %d characters", maxTagValue)
	}
	return nil
}

// readTagSpecifications reads the tags of the resources that a call creates, by
// resource type. Only the types given are taggable by the call.
func (r *region) readTagSpecifications(q *request, types ...string) map[string]map[string]string {
	byType := make(map[string]map[string]string)
	for _, item := range q.structs("TagSpecification") {
		kind := item.required("ResourceType")
		if !slices.Contains(types, kind) {
			q.reject(invalidValue("'%s' is not a valid taggable resource type for this operation.", kind))
		}
		if _, duplicate := byType[kind]; duplicate {
			q.reject(invalidValue("Duplicate resource type '%s' in tag specifications", kind))
		}
		byType[kind] = readTags(item, "Tag")
		q.rejectUnless(len(byType[kind]) > 0, fail("InvalidParameter", "Tag specification must have at least one tag"))
		q.reject(r.checkTagCount(byType[kind]))
	}
	return byType
}

func (r *region) checkTagCount(tags map[string]string) error {
	if len(tags) > r.limits.TagsPerResource {
		return fail("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	return nil
}

// tagged finds any resource by its id.
func (r *region) tagged(id string) (resource, error) {
	prefix, _, _ := strings.Cut(id, "-")
	switch prefix {
	case "vpc":
		return r.vpc(id)
	case "subnet":
		return r.subnet(id)
	case "sg":
		return r.group(id)
	case "i":
		return r.instance(id)
	case "eni":
		return r.eni(id)
	case "scr":
		return r.reservation(id)
	}
	return nil, fail("InvalidID", "The ID '%s' is not valid", id)
}

// readTaggedResources reads the ids of CreateTags and DeleteTags, all of which
// must exist.
func (r *region) readTaggedResources(q *request) ([]resource, error) {
	ids := q.list("ResourceId")
	q.rejectUnless(len(ids) > 0, missingParameter("resourceIdSet"))
	q.rejectUnless(len(ids) <= maxTaggedIDs, invalidValue("The maximum number of resources per request is %d", maxTaggedIDs))
	if err := q.check(); err != nil {
		return nil, err
	}
	var rows []resource
	for _, id := range ids {
		row, err := r.tagged(id)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func createTags(r *region, q *request) (result, error) {
	tags := readTags(q.params, "Tag")
	q.rejectUnless(len(tags) > 0, missingParameter("tagSet"))
	rows, err := r.readTaggedResources(q)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		after := maps.Clone(row.base().tags)
		maps.Copy(after, tags)
		if err := r.checkTagCount(after); err != nil {
			return nil, err
		}
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	for _, row := range rows {
		maps.Copy(row.base().tags, tags)
	}
	return succeeded()
}

// tagMatch is a tag to delete. Without a value any value will do.
type tagMatch struct {
	key      string
	value    string
	anyValue bool
}

// deleteTags removes the tags named, or all tags where none is named.
func deleteTags(r *region, q *request) (result, error) {
	var matches []tagMatch
	for _, item := range q.structs("Tag") {
		value, given := item.lookup("Value")
		matches = append(matches, tagMatch{key: item.required("Key"), value: value, anyValue: !given})
	}
	rows, err := r.readTaggedResources(q)
	if err := firstError(err, q.proceed()); err != nil {
		return nil, err
	}
	for _, row := range rows {
		maps.DeleteFunc(row.base().tags, func(key, value string) bool {
			return len(matches) == 0 || slices.ContainsFunc(matches, func(m tagMatch) bool {
				return m.key == key && (m.anyValue || m.value == value)
			})
		})
	}
	return succeeded()
}

// tagRow is one tag of one resource.
type tagRow struct {
	record
	key, value, kind, resourceID string
}

var tagFilters = filterSet[*tagRow]{
	"key":           one(func(t *tagRow) string { return t.key }),
	"resource-id":   one(func(t *tagRow) string { return t.resourceID }),
	"resource-type": one(func(t *tagRow) string { return t.kind }),
	"value":         one(func(t *tagRow) string { return t.value }),
	"tag-key":       one(func(t *tagRow) string { return t.key }),
}

type describeTagsResult struct {
	reply
	Tags      set[tagRowXML] `xml:"tagSet"`
	NextToken string         `xml:"nextToken,omitempty"`
}

type tagRowXML struct {
	ResourceID   string `xml:"resourceId"`
	ResourceType string `xml:"resourceType"`
	Key          string `xml:"key"`
	Value        string `xml:"value"`
}

func describeTags(r *region, q *request) (result, error) {
	l := listing[*tagRow]{match: readFilters(r, q, tagFilters), page: readPage(q, usualPages)}
	if err := q.check(); err != nil {
		return nil, err
	}
	rows, token := l.scan(r, r.tagTable())
	return &describeTagsResult{
		Tags: setOf(rows, func(t *tagRow) tagRowXML {
			return tagRowXML{ResourceID: t.resourceID, ResourceType: t.kind, Key: t.key, Value: t.value}
		}),
		NextToken: token,
	}, nil
}

// tagTable lists the tags of all resources.
func (r *region) tagTable() *table[*tagRow] {
	tags := newTable[*tagRow]()
	addTags(tags, "vpc", r.vpcs)
	addTags(tags, "subnet", r.subnets)
	addTags(tags, "security-group", r.groups)
	addTags(tags, "instance", r.instances)
	addTags(tags, "network-interface", r.enis)
	addTags(tags, reservationTagType, r.reservations)
	return tags
}

func addTags[R resource](tags *table[*tagRow], kind string, rows *table[R]) {
	for _, row := range rows.ordered {
		owner := row.base()
		for _, key := range slices.Sorted(maps.Keys(owner.tags)) {
			tags.ordered = append(tags.ordered, &tagRow{
				record: record{
					seq:  uint64(tags.len()) + 1,
					tags: map[string]string{key: owner.tags[key]},
				},
				key: key, value: owner.tags[key], kind: kind, resourceID: owner.id,
			})
		}
	}
}
