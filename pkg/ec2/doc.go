/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package ec2 is the operator's edge to EC2: a narrow client in the operator's
// own words, a rate limiter per API action, the meaning of EC2's error codes,
// batched reads and ownership tags. No other package of the operator imports
// the AWS SDK.
package ec2
