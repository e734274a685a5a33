/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package serving looks at the operator's process from outside, as whoever can reach
// its ports or read its log: who gets its metrics, what certificates its webhooks have,
// and that no secret is in what it writes.
package serving
