/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"cmp"
	"slices"
)

// record is what every resource has.
type record struct {
	id string
	// seq numbers the resources of a Region in the order of their creation.
	seq  uint64
	tags map[string]string
}

func (r *record) base() *record { return r }

// resource is anything with an id, an age and tags.
type resource interface {
	base() *record
}

// table holds the resources of one kind, by id and in the order of creation,
// which is also the order in which pages list them.
type table[R resource] struct {
	byID    map[string]R
	ordered []R
}

func newTable[R resource]() *table[R] {
	return &table[R]{byID: make(map[string]R)}
}

// add inserts the youngest resource.
func (t *table[R]) add(row R) {
	t.byID[row.base().id] = row
	t.ordered = append(t.ordered, row)
}

func (t *table[R]) remove(row R) {
	delete(t.byID, row.base().id)
	if i, ok := t.position(row.base().seq); ok {
		t.ordered = slices.Delete(t.ordered, i, i+1)
	}
}

func (t *table[R]) get(id string) (R, bool) {
	row, ok := t.byID[id]
	return row, ok
}

// after returns the resources that are younger than seq, oldest first.
func (t *table[R]) after(seq uint64) []R {
	i, _ := t.position(seq + 1)
	return t.ordered[i:]
}

func (t *table[R]) len() int { return len(t.ordered) }

func (t *table[R]) position(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(t.ordered, seq, func(row R, seq uint64) int {
		return cmp.Compare(row.base().seq, seq)
	})
}
