/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// coolingSlack is how much longer than the cooldown a pool may say that something cools
// down: it learns of what it gave up, and looks again, a while later.
const coolingSlack = 5 * time.Minute

// judgeCooling looks for what cools down for longer than it should, while nothing disturbs
// the operator: stored times may lie ahead, after a clock was wrong.
func (r *Referee) judgeCooling(calm bool) {
	cooling := map[string]time.Duration{}
	for _, node := range r.world.Nodes {
		pool := r.poolOf(node.Name)
		if !calm || pool == nil || !r.steady(node) || pool.Spec.InstanceID != InstanceOf(node) || pool.Annotations[v1alpha1.PausedAnnotation] != "" {
			continue
		}
		for _, what := range coolingOf(pool) {
			key := string(pool.UID) + " " + what
			cooling[key] = r.cooling[key] + time.Minute
			if cooling[key] > r.settings.Cooldown+coolingSlack {
				r.foul(ServedInTime, key, "pool %s lets %s cool down for %s, while nothing happened", pool.Name, what, cooling[key])
			}
		}
	}
	r.cooling = cooling
}

// coolingOf is what a pool says that it lets cool down.
func coolingOf(pool *v1alpha1.ENIPool) (all []string) {
	for i := range pool.Status.Addresses {
		if entry := &pool.Status.Addresses[i]; entry.State == v1alpha1.HolderCooling {
			all = append(all, string(entry.Address)+" of "+entry.ENIName)
		}
	}
	for i := range pool.Status.ENIs {
		if entry := &pool.Status.ENIs[i]; entry.CoolingSince != nil {
			all = append(all, entry.Name)
		}
	}
	return all
}
