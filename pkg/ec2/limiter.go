/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"
)

// Limit is a token bucket: so many calls at once, and so many a second for good.
type Limit struct {
	Bucket    int
	PerSecond float64
}

// Limits are the token buckets by API action; Default is every other action's.
type Limits struct {
	ByAction map[string]Limit
	Default  Limit
}

// DefaultLimits are EC2's own buckets per account, Region and action, for calls
// that filter or paginate, as all of ours do.
// https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
func DefaultLimits() Limits {
	write := Limit{Bucket: 100, PerSecond: 5}
	tags := Limit{Bucket: 100, PerSecond: 10}
	read := Limit{Bucket: 100, PerSecond: 20}
	return Limits{
		Default: Limit{Bucket: 50, PerSecond: 5},
		ByAction: map[string]Limit{
			"CreateNetworkInterface":          write,
			"DeleteNetworkInterface":          write,
			"ModifyNetworkInterfaceAttribute": write,
			"AssignPrivateIpAddresses":        write,
			"UnassignPrivateIpAddresses":      write,
			"CreateTags":                      tags,
			"DeleteTags":                      tags,
			"DescribeNetworkInterfaces":       read,
			"DescribeInstances":               read,
			"DescribeSecurityGroups":          read,
			"DescribeSubnets":                 read,
			"DescribeInstanceTypes":           read,
		},
	}
}

// limiter makes each attempt of a call wait for its action's bucket, so that one
// action's queue never slows another.
type limiter struct {
	byAction map[string]*rate.Limiter
	other    *rate.Limiter
}

func newLimiter(limits Limits) *limiter {
	l := &limiter{byAction: make(map[string]*rate.Limiter, len(limits.ByAction)), other: newBucket(limits.Default)}
	for action, limit := range limits.ByAction {
		l.byAction[action] = newBucket(limit)
	}
	return l
}

func newBucket(limit Limit) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(limit.PerSecond), limit.Bucket)
}

func (l *limiter) bucket(action string) *rate.Limiter {
	if bucket, ok := l.byAction[action]; ok {
		return bucket
	}
	return l.other
}

// addTo puts the limiter behind the SDK's retry step, so that no attempt can
// pass it by, and before signing, so that a signature does not age in the queue.
func (l *limiter) addTo(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("ActionLimiter",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
			middleware.FinalizeOutput, middleware.Metadata, error,
		) {
			if err := l.bucket(awsmiddleware.GetOperationName(ctx)).Wait(ctx); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, &notSentError{cause: err}
			}
			return next.HandleFinalize(ctx, in)
		}), "Retry", middleware.After)
}
