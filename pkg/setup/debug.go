/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"net/http"

	"github.com/eni-operator/eni-operator/pkg/events"
)

// debugHandlers are what the metrics server serves besides metrics, to those whom
// Kubernetes authorises.
func debugHandlers(bus *events.Bus) map[string]http.Handler {
	return map[string]http.Handler{
		events.StreamPath: bus.Stream(),
		logLevelPath:      level,
	}
}
