/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package garbagecollection holds the test of the collector of leaked ENIs in the
// whole operator: on a real Kubernetes control plane, with the EC2 emulator. The
// decision and its cases are tested beside the collector.
package garbagecollection
