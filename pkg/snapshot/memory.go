/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package snapshot

import (
	"maps"
	"slices"
	"sync"
)

// memory forgets everything with the process.
type memory struct {
	mu      sync.Mutex
	records map[string]Record
}

// NewMemory returns a store that lasts as long as the process.
func NewMemory() Store {
	return &memory{records: map[string]Record{}}
}

func (m *memory) Save(records ...Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, record := range records {
		m.records[record.ENI.MACAddress] = record
	}
	return nil
}

func (m *memory) Get(mac string) (Record, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	record, ok := m.records[mac]
	return record, ok, nil
}

func (m *memory) All() ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Record, 0, len(m.records))
	for _, mac := range slices.Sorted(maps.Keys(m.records)) {
		all = append(all, m.records[mac])
	}
	return all, nil
}

func (m *memory) GC(keep func(Record) bool) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.records)
	maps.DeleteFunc(m.records, func(_ string, record Record) bool { return !keep(record) })
	return before - len(m.records), nil
}

func (m *memory) Close() error { return nil }
