/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package snapshot remembers what the operator last knew of each ENI, across
// restarts: with it a restart sees what became of ENIs while it was down. What it
// remembers is a hint, never the truth; EC2 is asked before anything is done.
package snapshot

import (
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// Record is what was last known of an ENI.
type Record struct {
	ENI ec2.NetworkInterface `json:"eni"`
	// SavedAt is when it was known.
	SavedAt time.Time `json:"savedAt"`
}

// Store keeps one record for each ENI, by MAC address. It is safe for concurrent
// use.
type Store interface {
	// Save adds or replaces records, all of them or none.
	Save(records ...Record) error
	// Get returns the record of the ENI with a MAC address.
	Get(mac string) (Record, bool, error)
	// All returns every record, by MAC address in order.
	All() ([]Record, error)
	// GC removes the records that keep refuses, and says how many.
	GC(keep func(Record) bool) (removed int, err error)
	// Close ends the use of the store.
	Close() error
}
