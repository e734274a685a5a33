/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package admission applies good and bad objects to a real API server that asks the
// operator's webhooks: every rule has a case that it lets pass and one that it refuses.
// The operator is built as its binary builds it, and runs in the process of the tests
// against the EC2 emulator.
package admission
