/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package metrics

import "github.com/prometheus/client_golang/prometheus"

// The collector of leaked ENIs.
var (
	// LeakedENIs are set after each collection.
	LeakedENIs = single(gauge("eni_operator_leaked_enis",
		"ENIs with this cluster's tags, older than the grace period and attached to nothing, that no resource stood for at the last sweep."))
	// AttachedOrphans are set with them.
	AttachedOrphans = single(gauge("eni_operator_attached_orphan_enis",
		"The same, but attached to an instance: they are not deleted before a person detaches them."))
	// LeakedENIsDeleted counts deletions.
	LeakedENIsDeleted = counter("eni_operator_leaked_enis_deleted_total",
		"Leaked ENIs that were deleted.").WithLabelValues()
)

// WritesFenced counts writes.
var WritesFenced = counter("eni_operator_fenced_writes_total",
	"EC2 writes that were not sent, because the leader lease had not been renewed in time or was another replica's.").WithLabelValues()

func single(vector *prometheus.GaugeVec) prometheus.Gauge { return vector.WithLabelValues() }

var snapshotSaves = counter("eni_operator_snapshot_saves_total",
	"Saves of the snapshot, by outcome: ok or error.", "outcome")

// SnapshotSaved counts a save.
func SnapshotSaved(err error) {
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	snapshotSaves.WithLabelValues(outcome).Inc()
}
