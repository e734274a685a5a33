/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import "github.com/eni-operator/eni-operator/pkg/ec2"

// Restore begins with ENIs that an earlier process knew. Nothing of them is
// trusted before EC2 shows them; but they were seen, so that one which the first
// sweep does not show is known to be missing. Call it before the first sweep.
func (i *Inventory) Restore(enis []ec2.NetworkInterface) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.clock.Now()
	for _, eni := range enis {
		if _, known := i.enis[eni.ID]; known || eni.Tags[ec2.TagClusterUID] != i.options.ClusterUID {
			continue
		}
		restored := &record{eni: clone(eni), seen: true}
		restored.distrust(now)
		i.enis[eni.ID] = restored
		i.own(restored)
	}
}
