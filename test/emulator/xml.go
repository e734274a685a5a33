/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"slices"
	"time"
)

// set is a list as EC2 writes it: an element that is present also when it is
// empty, with one <item> per member.
type set[T any] struct {
	Items []T `xml:"item"`
}

func (s *set[T]) add(item T) { s.Items = append(s.Items, item) }

// setOf converts rows into a set.
func setOf[R, T any](rows []R, convert func(R) T) set[T] {
	items := make([]T, 0, len(rows))
	for _, row := range rows {
		items = append(items, convert(row))
	}
	return set[T]{Items: items}
}

type tagXML struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

// tagsXML lists tags in any order, as EC2 does.
func (r *region) tagsXML(tags map[string]string) set[tagXML] {
	keys := make([]string, 0, len(tags))
	for key := range tags {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	shuffle(r, keys)
	return setOf(keys, func(key string) tagXML {
		return tagXML{Key: key, Value: tags[key]}
	})
}

type groupXML struct {
	ID   string `xml:"groupId"`
	Name string `xml:"groupName"`
}

func groupsXML(groups []*securityGroup) set[groupXML] {
	return setOf(groups, func(g *securityGroup) groupXML {
		return groupXML{ID: g.id, Name: g.name}
	})
}

// timestamp writes a time as EC2 does.
func timestamp(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
