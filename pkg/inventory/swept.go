/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"maps"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// Swept is what a sweep showed.
type Swept struct {
	// At is when EC2 was asked.
	At time.Time
	// ENIs are those of our cluster that EC2 showed, by id, with what we wrote
	// meanwhile. Those whose state is unclear are not among them.
	ENIs []ec2.NetworkInterface
}

// SubscribeSweeps calls notify with the result of each sweep that succeeds, so
// that whoever needs all our ENIs does not read them again. It must not block.
func (i *Inventory) SubscribeSweeps(notify func(Swept)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.sweepSubscribers = append(i.sweepSubscribers, notify)
}

// tell passes on what a sweep showed.
func (i *Inventory) tell(asked time.Time, shown map[string]bool) {
	i.mu.Lock()
	subscribers := i.sweepSubscribers
	swept := Swept{At: asked, ENIs: make([]ec2.NetworkInterface, 0, len(shown))}
	for _, id := range slices.Sorted(maps.Keys(shown)) {
		if known, ok := i.enis[id]; ok && !known.unclear {
			swept.ENIs = append(swept.ENIs, clone(known.eni))
		}
	}
	i.mu.Unlock()
	for _, notify := range subscribers {
		notify(swept)
	}
}
