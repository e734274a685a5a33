/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package integration holds tests of the whole operator on a real Kubernetes
// control plane, with the EC2 emulator behind the real AWS SDK.
//
// Most scenarios share one world: one control plane, one emulator, and one
// operator in this process. Each has a VPC, nodes, a policy and a namespace of
// its own and runs beside the others. Scenarios that need an operator with other
// settings, or one that is killed, run one after the other in a second world, with
// the operator as a child process. Those that take the CRDs away have a third.
//
// Every scenario ends with the same questions: does every status agree with EC2,
// is nothing held twice, is nothing left behind, and is nothing of others touched?
// The last one is asked once more of the whole call log when all have ended.
package integration
