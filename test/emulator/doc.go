/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package emulator serves Amazon EC2's query protocol for the part of EC2 that
// concerns elastic network interfaces (ENIs): VPCs, subnets, security groups,
// instances, instance types, ENIs and tags.
//
// It is written from EC2's documented behaviour and not from the calls of one
// client: the AWS SDKs and the AWS CLI work against it unchanged. States take
// time, requests are throttled per action, addresses run out, answers can be
// lost and reads can be stale, each as in EC2 and each under a test's control.
//
// A Server is an http.Handler. All state lives in memory, per Region, behind
// one mutex per Region. State changes that take time are kept on an agenda and
// applied when the next request arrives, so that an injected clock decides
// everything and no goroutine or timer exists per resource.
//
// README.md lists what is modelled and what is not.
package emulator
