/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

// Reread has an ENI read before anything is believed of it, its tags included. EC2
// answers a repeated Create with the tags of the request, whatever the ENI has by now.
func (i *Inventory) Reread(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if known, ok := i.enis[id]; ok {
		known.distrust(i.clock.Now())
		known.doubtAttributes()
	}
}
