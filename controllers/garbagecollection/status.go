/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package garbagecollection

import (
	"github.com/go-logr/logr"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/metrics"
)

// loggers name the ENIs of a decision in the log.
func (c *Collector) loggers(enis []ec2.NetworkInterface, decided decision) map[string]logr.Logger {
	about := make(map[string]logr.Logger, len(decided.findings))
	for _, eni := range enis {
		if _, found := decided.seen[eni.ID]; found {
			about[eni.ID] = c.log.WithValues("eniID", eni.ID, "eni", eni.Tags[ec2.TagName], "node", eni.Tags[ec2.TagNode])
		}
	}
	return about
}

// report counts what was found, and logs what was not found so before.
func report(decided decision, before map[string]sighting, about map[string]logr.Logger) {
	leaked, attached := 0, 0
	for _, f := range decided.findings {
		fresh := before[f.id].verdict != f.verdict
		switch f.verdict {
		case verdictYoung:
		case verdictAttached:
			attached++
			if fresh {
				about[f.id].Info("Found attached ENI that no resource stands for", "reason", f.reason, "age", f.age)
			}
		case verdictDelete: // act tells.
			leaked++
		default:
			leaked++
			if fresh {
				about[f.id].Info("Found leaked ENI", "reason", f.reason, "age", f.age)
			}
		}
	}
	metrics.LeakedENIs.Set(float64(leaked))
	metrics.AttachedOrphans.Set(float64(attached))
}
