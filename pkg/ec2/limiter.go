/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"k8s.io/utils/clock"
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

// With returns the limits with others for some actions, which are named in a list
// as ACTION=BUCKET:PER-SECOND,... It fails on an action that the operator does not
// call.
func (l Limits) With(list string) (Limits, error) {
	merged := Limits{Default: l.Default, ByAction: maps.Clone(l.ByAction)}
	for entry := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		action, text, _ := strings.Cut(strings.TrimSpace(entry), "=")
		if _, listed := l.ByAction[action]; !listed && !slices.Contains(unlistedActions, action) {
			return l, fmt.Errorf("%q is no EC2 action of the operator's: there are %s", action,
				strings.Join(slices.Sorted(maps.Keys(l.ByAction)), ", ")+", "+strings.Join(unlistedActions, ", "))
		}
		limit, err := parseLimit(text)
		if err != nil {
			return l, fmt.Errorf("%s: %w", strings.TrimSpace(entry), err)
		}
		merged.ByAction[action] = limit
	}
	return merged, nil
}

// unlistedActions are those of the operator's that have EC2's default bucket.
var unlistedActions = []string{ActionAttach, "DetachNetworkInterface"}

var errLimit = errors.New("must be ACTION=BUCKET:PER-SECOND, such as AttachNetworkInterface=100:20, with both numbers above 0")

func parseLimit(text string) (Limit, error) {
	bucket, perSecond, _ := strings.Cut(text, ":")
	size, err := strconv.Atoi(bucket)
	if err != nil || size < 1 {
		return Limit{}, errLimit
	}
	refill, err := strconv.ParseFloat(perSecond, 64)
	if err != nil || !(refill > 0) || math.IsInf(refill, 1) {
		return Limit{}, errLimit
	}
	return Limit{Bucket: size, PerSecond: refill}, nil
}

// of is the bucket of an action.
func (l Limits) of(action string) Limit {
	if limit, listed := l.ByAction[action]; listed {
		return limit
	}
	return l.Default
}

// limiter makes each attempt of a call wait in its action's queue, so that one
// action never slows another.
type limiter struct {
	// stop ends all waiting.
	stop        <-chan struct{}
	limits      Limits
	clock       clock.WithDelayedExecution
	callTimeout time.Duration
	observer    Observer

	mu     sync.Mutex
	queues map[string]*queue
}

func newLimiter(ctx context.Context, limits Limits, clk clock.WithDelayedExecution) *limiter {
	return &limiter{stop: ctx.Done(), limits: limits, clock: clk, callTimeout: callTimeout, observer: unobserved{}, queues: map[string]*queue{}}
}

// reserve is how many tokens of each bucket stay unused: our clock and EC2's differ
// by a little, and a call that comes a moment too early is throttled.
const reserve = 2

// queue is the queue of an action; each action has one of its own (EC2).
func (l *limiter) queue(action string) *queue {
	l.mu.Lock()
	defer l.mu.Unlock()
	q, ok := l.queues[action]
	if !ok {
		limit := l.limits.of(action)
		limit.Bucket = max(limit.Bucket-reserve, 1)
		q = newQueue(l.stop, limit, l.clock)
		l.queues[action] = q
	}
	return q
}

// callTimeout bounds one attempt from its sending to the end of its answer. The
// SDK has no such bound, and a call that is never answered would hold a worker
// for ever. EC2 takes seconds at most, also for a thousand ENIs.
const callTimeout = 30 * time.Second

// readFactor is how much longer a read may take than a write: nothing is in doubt while
// it is waited for, and cutting it off only starts a slow sweep again.
const readFactor = 4

func (l *limiter) timeout(action string) time.Duration {
	if strings.HasPrefix(action, "Describe") {
		return readFactor * l.callTimeout
	}
	return l.callTimeout
}

// errEmptyAnswer is a success without a word, which EC2 never answers: something
// on the way lost it, and what it would have listed is not gone.
var errEmptyAnswer = errors.New("the answer is empty")

// addTo puts the limiter behind the SDK's retry step, so that no attempt can
// pass it by, and before signing, so that a signature does not age in the queue.
func (l *limiter) addTo(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("ActionLimiter",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
			middleware.FinalizeOutput, middleware.Metadata, error,
		) {
			action, asked := awsmiddleware.GetOperationName(ctx), l.clock.Now()
			q := l.queue(action)
			waited, admitted := useAdmission(ctx, action)
			if err := q.pass(ctx, admitted); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, &notSentError{cause: err}
			}
			sent := l.clock.Now()
			waited += sent.Sub(asked)
			l.observer.Waited(action, callOf(ctx).priority, waited)
			noteSent(ctx, waited)
			q.underway.Add(1)
			defer q.underway.Add(-1)
			ctx, cancel := context.WithTimeout(ctx, l.timeout(action))
			defer cancel()
			out, metadata, err := next.HandleFinalize(ctx, in)
			if response, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response); ok && err == nil && response.ContentLength == 0 {
				err = errEmptyAnswer
			}
			if err != nil && Classify(err) == ClassThrottled {
				q.throttled()
			}
			l.observer.Answered(action, l.clock.Since(sent), err)
			return out, metadata, err
		}), "Retry", middleware.After)
}

// Priority orders the calls of one action that wait for its bucket.
type Priority int

const (
	// PriorityNormal is what the pools' bounds ask for.
	PriorityNormal Priority = iota
	// PriorityUrgent is what a claim waits for.
	PriorityUrgent
	// PriorityBackground is what nobody waits for: attributes, clean-up.
	PriorityBackground
)

// String is the priority as metrics and logs have it.
func (p Priority) String() string {
	switch p {
	case PriorityUrgent:
		return "urgent"
	case PriorityNormal:
		return "normal"
	default:
		return "background"
	}
}

// order of the priorities in a queue, the first served first.
func (p Priority) order() int {
	switch p {
	case PriorityUrgent:
		return 0
	case PriorityNormal:
		return 1
	default:
		return 2
	}
}

type callKey struct{}

// call is on whose behalf a call is made.
type call struct {
	priority Priority
	node     string
	attempt  int32
}

// WithPriority says how urgent the calls made with a context are, and for which
// node; calls of the same priority take turns by node.
func WithPriority(ctx context.Context, priority Priority, node string) context.Context {
	return context.WithValue(ctx, callKey{}, call{priority: priority, node: node})
}

// WithAttempt says which attempt, from 1, of its purpose a call is; traces tell.
func WithAttempt(ctx context.Context, attempt int32) context.Context {
	c := callOf(ctx)
	c.attempt = attempt
	return context.WithValue(ctx, callKey{}, c)
}

func callOf(ctx context.Context) call {
	c, _ := ctx.Value(callKey{}).(call)
	return c
}
