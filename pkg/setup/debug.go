/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"net"
	"net/http"

	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/options"
)

// debugHandlers are what the metrics server serves besides metrics: to those whom Kubernetes
// authorises or, where metrics are served in clear, to those who reach loopback. The stream
// names the claims of all tenants, and the log's level is the operator's alone.
func debugHandlers(bus *events.Bus, o options.Options) map[string]http.Handler {
	if !o.MetricsSecure && !onLoopback(o.MetricsBindAddress) {
		return nil
	}
	return map[string]http.Handler{
		events.StreamPath: bus.Stream(),
		logLevelPath:      level,
	}
}

// onLoopback reports whether nobody outside of the pod, or machine, reaches an address.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
