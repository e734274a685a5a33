/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package metrics

import (
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// EC2 calls, from the client.
var (
	ec2Calls = histogram("eni_operator_ec2_call_seconds",
		"Seconds from the sending of an EC2 call to its answer, by action. Its count is the number of attempts, each of which costs a token of EC2's rate limit.",
		callBuckets, "action")
	ec2Errors = counter("eni_operator_ec2_errors_total",
		"EC2 calls that failed, by action and EC2's error code; code none: no answer came; code other: a code that the operator does not know.",
		"action", "code")
	ec2Throttles = counter("eni_operator_ec2_throttles_total",
		"EC2 calls that EC2 refused for its rate limit, by action.", "action")
	ec2Waits = histogram("eni_operator_ec2_wait_seconds",
		"Seconds that EC2 calls waited for their turn in the operator's own rate limiter, by action and priority: urgent (a claim waits for it), normal (the pools' bounds ask for it), background (nobody waits for it).",
		waitBuckets, "action", "priority")
	ec2Batches = histogram("eni_operator_ec2_batch_keys",
		"How many reads were joined in one EC2 call, by action.", []float64{1, 2, 5, 10, 20, 50, 100, 200}, "action")
)

// EC2 observes the calls of a client.
type EC2 struct{}

var _ ec2.Observer = EC2{}

// Waited observes how long a call waited for its turn.
func (EC2) Waited(action string, priority ec2.Priority, waited time.Duration) {
	ec2Waits.WithLabelValues(action, priority.String()).Observe(waited.Seconds())
}

// Answered observes the end of a call.
func (EC2) Answered(action string, took time.Duration, err error) {
	ec2Calls.WithLabelValues(action).Observe(took.Seconds())
	if err == nil {
		return
	}
	ec2Errors.WithLabelValues(action, codeLabel(ec2.Code(err))).Inc()
	if ec2.Classify(err) == ec2.ClassThrottled {
		ec2Throttles.WithLabelValues(action).Inc()
	}
}

// Batched observes a read on behalf of many.
func Batched(action string, keys int) { ec2Batches.WithLabelValues(action).Observe(float64(keys)) }

// codeLabel bounds the label code.
func codeLabel(code string) string {
	switch {
	case code == "":
		return "none"
	case ec2.Known(code):
		return code
	default:
		return "other"
	}
}
