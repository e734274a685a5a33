/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"maps"
	"net/url"
	"strconv"
	"sync"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

// EC2's token buckets, by kind of action.
var (
	networkWrites = Bucket{Burst: 100, PerSecond: 5}
	tagWrites     = Bucket{Burst: 100, PerSecond: 10}
	otherWrites   = Bucket{Burst: 50, PerSecond: 5}
	reads         = Bucket{Burst: 100, PerSecond: 20}
	// plainReads is for some reads with neither a filter nor pagination.
	plainReads   = Bucket{Burst: 50, PerSecond: 10}
	starts       = Bucket{Burst: 5, PerSecond: 2}
	launches     = Bucket{Burst: 5, PerSecond: 2}
	terminations = Bucket{Burst: 100, PerSecond: 5}
	launched     = Bucket{Burst: 1000, PerSecond: 2}
	terminated   = Bucket{Burst: 1000, PerSecond: 20}
	started      = Bucket{Burst: 1000, PerSecond: 2}
	stopped      = Bucket{Burst: 1000, PerSecond: 20}
)

// The names that tell an action's further buckets from its first.
const (
	plainRequests = "/plain"
	perInstance   = "/instances"
)

// bucketUse is what a request takes from one bucket.
type bucketUse struct {
	// name tells the buckets of one action apart.
	name   string
	bucket Bucket
	tokens int
}

// throttle holds the token buckets of all accounts and Regions.
type throttle struct {
	clock     clock.Clock
	overrides map[string]Bucket

	mu       sync.Mutex
	off      bool
	limiters map[limiterKey]*rate.Limiter
}

type limiterKey struct {
	account, region, bucket string
}

func newThrottle(c clock.Clock, options Throttling) *throttle {
	return &throttle{
		clock:     c,
		overrides: maps.Clone(options.Buckets),
		off:       options.Off,
		limiters:  make(map[limiterKey]*rate.Limiter),
	}
}

// admit takes a request's tokens. A request that finds too few in one bucket
// has spent those of the buckets before, as in EC2.
func (t *throttle) admit(q *request, act action) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.off {
		return true
	}
	now := t.clock.Now() // under the lock: a limiter's time must not run backwards
	for _, use := range act.uses(q) {
		if bucket, ok := t.overrides[q.action]; ok && use.name != perInstance {
			use.bucket = bucket
		}
		key := limiterKey{q.account, q.region, q.action + use.name}
		limiter, ok := t.limiters[key]
		if !ok {
			limiter = rate.NewLimiter(rate.Limit(use.bucket.PerSecond), use.bucket.Burst)
			t.limiters[key] = limiter
		}
		if !limiter.AllowN(now, use.tokens) {
			return false
		}
	}
	return true
}

func (t *throttle) set(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.off = !on
}

func (t *throttle) enabled() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.off
}

// refill forgets all buckets: a new one is full.
func (t *throttle) refill() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.limiters)
}

// SetThrottling switches the token buckets on or off. What was taken from them
// stays taken.
func (s *Server) SetThrottling(on bool) { s.throttle.set(on) }

// RefillBuckets fills all token buckets of all Regions.
func (s *Server) RefillBuckets() { s.throttle.refill() }

// uses lists what a request takes from the buckets of its action.
func (a action) uses(q *request) []bucketUse {
	use := bucketUse{bucket: a.bucket, tokens: 1}
	if a.plain != (Bucket{}) && isPlain(q.values) {
		use.name, use.bucket = plainRequests, a.plain
	}
	uses := []bucketUse{use}
	if a.instances != nil {
		uses = append(uses, bucketUse{name: perInstance, bucket: a.instanceBucket, tokens: a.instances(q.values)})
	}
	return uses
}

// isPlain tells whether a request has neither a filter nor pagination.
func isPlain(values url.Values) bool {
	return !values.Has("Filter.1.Name") && !values.Has("MaxResults") && !values.Has("NextToken")
}

// launchCount is the number of instances that RunInstances asks for.
func launchCount(values url.Values) int {
	count, err := strconv.ParseInt(values.Get("MaxCount"), 10, 32)
	if err != nil || count < 1 {
		return 1 // to be refused as soon as it is admitted
	}
	return int(count)
}

// instanceCount is the number of instances that a request names.
func instanceCount(values url.Values) int {
	count := 0
	for values.Has("InstanceId." + strconv.Itoa(count+1)) {
		count++
	}
	return count
}
