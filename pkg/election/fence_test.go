/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package election

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	dto "github.com/prometheus/client_model/go"
	"gotest.tools/v3/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/clock"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/eni-operator/eni-operator/pkg/metrics"
)

const deadline = 10 * time.Second

// start has no monotonic reading, as fake clocks do not.
var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name string
		age  time.Duration
		want string
	}{
		{name: "just renewed", age: 0},
		{name: "right before", age: deadline - 1},
		{name: "at the deadline", age: deadline, want: "renewed 10s ago"},
		{name: "long ago", age: time.Hour, want: "renewed 1h0m0s ago"},
		{name: "the wall clock was set back", age: -time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := judge(start, start.Add(test.age), deadline)
			if test.want == "" {
				assert.NilError(t, err)
			} else {
				assert.ErrorContains(t, err, test.want)
			}
		})
	}
	assert.ErrorIs(t, judge(time.Time{}, start, deadline), errNotHeld)
}

// TestAgeTakesTheClockThatShowsMore: a time with a monotonic reading, and one whose
// wall clock says otherwise, as after a suspension or a step.
func TestAgeTakesTheClockThatShowsMore(t *testing.T) {
	then := time.Now()
	assert.Equal(t, age(then, then.Add(time.Minute)), time.Minute, "both clocks agree")
	assert.Equal(t, age(then, then.Round(0).Add(time.Minute)), time.Minute, "only the wall clock went on")
	assert.Equal(t, age(then, shiftWall(then.Add(time.Minute), -3600)), time.Minute, "the wall clock was set back meanwhile")
	assert.Equal(t, age(then, shiftWall(then.Add(time.Minute), 3600)), time.Hour+time.Minute, "the monotonic clock stood still for an hour")
}

// shiftWall changes what the wall clock showed at a time, and not its monotonic
// reading, which package time has no way to do: the seconds begin at bit 30.
func shiftWall(at time.Time, seconds int64) time.Time {
	shifted := at
	*(*uint64)(unsafe.Pointer(&shifted)) += uint64(seconds) << 30 //nolint:gosec // wraps around as it should
	if shifted.Sub(at) != 0 || shifted.Round(0).Sub(at.Round(0)) != time.Duration(seconds)*time.Second {
		panic("package time keeps its readings otherwise by now")
	}
	return shifted
}

func TestNilFenceIsOpen(t *testing.T) {
	var fence *Fence
	assert.NilError(t, fence.Check())
}

func TestFenceTellsOnce(t *testing.T) {
	var mu sync.Mutex
	var told []string
	log := funcr.New(func(_, args string) { mu.Lock(); told = append(told, args); mu.Unlock() }, funcr.Options{})
	clk := testingclock.NewFakeClock(start)
	fence := NewFence(deadline, clk, log)
	fence.held(clk.Now())
	assert.NilError(t, fence.Check())
	assert.Equal(t, len(told), 0)
	clk.Step(deadline)
	before := counted(t)
	for range 100 {
		assert.Assert(t, fence.Check() != nil)
	}
	assert.Equal(t, counted(t), before+100)
	fence.held(clk.Now())
	for range 100 {
		assert.NilError(t, fence.Check())
	}
	assert.Equal(t, len(told), 2, strings.Join(told, "\n"))
}

// counted is how many writes the metric says were held back.
func counted(t *testing.T) float64 {
	t.Helper()
	value := &dto.Metric{}
	assert.NilError(t, metrics.WritesFenced.Write(value))
	return value.GetCounter().GetValue()
}

// lease is a lease in memory, whose answers can be slow, fail or be lost.
type lease struct {
	resourcelock.Interface
	mu      sync.Mutex
	record  resourcelock.LeaderElectionRecord
	exists  bool
	written chan struct{} // tells of each record written, unless it is nil
	during  func()
	fail    error
	noReply error
}

func (*lease) Identity() string   { return "me" }
func (*lease) Describe() string   { return "lease" }
func (*lease) RecordEvent(string) {}
func (l *lease) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.exists {
		return nil, nil, apierrors.NewNotFound(schema.GroupResource{}, "lease")
	}
	record := l.record
	return &record, []byte(record.HolderIdentity), nil
}

func (l *lease) Create(ctx context.Context, wanted resourcelock.LeaderElectionRecord) error {
	return l.Update(ctx, wanted)
}

func (l *lease) Update(_ context.Context, wanted resourcelock.LeaderElectionRecord) error {
	if l.during != nil {
		l.during()
	}
	if l.fail != nil {
		return l.fail
	}
	l.mu.Lock()
	l.exists = true
	l.record = wanted
	l.mu.Unlock()
	if l.written != nil {
		l.written <- struct{}{}
	}
	return l.noReply
}

func newLease() (*lease, *fencedLock, *testingclock.FakeClock) {
	clk := testingclock.NewFakeClock(start)
	held := &lease{}
	return held, &fencedLock{Interface: held, fence: NewFence(deadline, clk, logr.Discard())}, clk
}

var (
	mine     = resourcelock.LeaderElectionRecord{HolderIdentity: "me", LeaseDurationSeconds: 15}
	others   = resourcelock.LeaderElectionRecord{HolderIdentity: "another", LeaseDurationSeconds: 15}
	released = resourcelock.LeaderElectionRecord{LeaseDurationSeconds: 1}
)

func TestFenceFollowsTheLease(t *testing.T) {
	held, lock, clk := newLease()
	ctx, fence := t.Context(), lock.fence
	assert.ErrorIs(t, fence.Check(), errNotHeld)
	_, _, err := lock.Get(ctx)
	assert.Assert(t, apierrors.IsNotFound(err))
	assert.NilError(t, lock.Create(ctx, mine))
	assert.NilError(t, fence.Check(), "created")

	clk.Step(deadline - 1)
	assert.NilError(t, fence.Check())
	clk.Step(1)
	assert.ErrorContains(t, fence.Check(), "renewed 10s ago")
	assert.NilError(t, lock.Update(ctx, mine))
	assert.NilError(t, fence.Check(), "renewed")

	held.fail = errors.New("no answer")
	clk.Step(deadline)
	assert.Assert(t, lock.Update(ctx, mine) != nil)
	assert.Assert(t, fence.Check() != nil, "failing to renew is no renewal")
	held.fail = nil
	assert.NilError(t, lock.Update(ctx, mine))

	held.record = others
	_, _, err = lock.Get(ctx)
	assert.NilError(t, err)
	assert.ErrorIs(t, fence.Check(), errNotHeld, "another has it: no need to wait for the deadline")
}

// TestRenewalCountsFromItsRequest: the others count from when they see it, which may
// be as soon as it is sent.
func TestRenewalCountsFromItsRequest(t *testing.T) {
	held, lock, clk := newLease()
	held.during = func() { clk.Step(deadline) } // stopped before the answer was there
	assert.NilError(t, lock.Create(t.Context(), mine))
	assert.Assert(t, lock.fence.Check() != nil)
	held.during = func() { clk.Step(deadline / 2) }
	assert.NilError(t, lock.Update(t.Context(), mine))
	assert.NilError(t, lock.fence.Check())
	clk.Step(deadline / 2)
	assert.Assert(t, lock.fence.Check() != nil)
}

func TestLostAnswerIsNoRenewal(t *testing.T) {
	held, lock, clk := newLease()
	assert.NilError(t, lock.Create(t.Context(), mine))
	clk.Step(deadline - 1)
	held.noReply = errors.New("lost")
	assert.Assert(t, lock.Update(t.Context(), mine) != nil)
	clk.Step(1)
	assert.Assert(t, lock.fence.Check() != nil)
}

// TestFenceShutsBeforeTheRelease: once the request is out, another may lead.
func TestFenceShutsBeforeTheRelease(t *testing.T) {
	held, lock, _ := newLease()
	assert.NilError(t, lock.Create(t.Context(), mine))
	held.during = func() { assert.ErrorIs(t, lock.fence.Check(), errNotHeld) }
	assert.NilError(t, lock.Update(t.Context(), released))
	assert.Equal(t, held.record.HolderIdentity, "")
}

// TestAnothersLeaseIsNotReleased: the elector gives back what it believes to hold,
// with the version of a lease that another holds by now.
func TestAnothersLeaseIsNotReleased(t *testing.T) {
	held, lock, _ := newLease()
	assert.NilError(t, lock.Create(t.Context(), mine))
	held.record = others
	_, _, err := lock.Get(t.Context())
	assert.NilError(t, err)
	assert.ErrorIs(t, lock.Update(t.Context(), released), errNotOurs)
	assert.Equal(t, held.record.HolderIdentity, "another")
}

// TestNobodyLeadsTwice: another led in between, and what this process knows is of
// before that.
func TestNobodyLeadsTwice(t *testing.T) {
	for name, meanwhile := range map[string]func(*lease){
		"another leads":                func(l *lease) { l.record = others },
		"another has led and given up": func(l *lease) { l.record = released },
		"the lease is gone":            func(l *lease) { l.exists = false },
	} {
		t.Run(name, func(t *testing.T) {
			held, lock, _ := newLease()
			assert.NilError(t, lock.Create(t.Context(), mine))
			meanwhile(held)
			_, _, _ = lock.Get(t.Context()) // It may be gone.
			was := held.record
			assert.ErrorIs(t, lock.Update(t.Context(), mine), errOver)
			assert.ErrorIs(t, lock.Create(t.Context(), mine), errOver)
			assert.Equal(t, held.record, was)
			assert.ErrorIs(t, lock.fence.Check(), errNotHeld)
		})
	}
}

// TestStandbyLeadsAfterOthers: what was another's before this process led for the
// first time is nothing to it.
func TestStandbyLeadsAfterOthers(t *testing.T) {
	held, lock, _ := newLease()
	held.exists, held.record = true, others
	_, _, err := lock.Get(t.Context())
	assert.NilError(t, err)
	assert.NilError(t, lock.Update(t.Context(), mine))
	assert.NilError(t, lock.fence.Check())
	_, _, err = lock.Get(t.Context())
	assert.NilError(t, err)
	assert.NilError(t, lock.Update(t.Context(), mine), "still ours")
}

// TestElectorReleasesWhatItHasLost is why: client-go's own elector does just that
// when it is cancelled before it has seen that another leads.
func TestElectorReleasesWhatItHasLost(t *testing.T) {
	for name, want := range map[string]string{"bare": "", "fenced": "another"} {
		t.Run(name, func(t *testing.T) {
			held := &lease{written: make(chan struct{}, 3)}
			var lock resourcelock.Interface = held
			if name == "fenced" {
				lock = &fencedLock{Interface: held, fence: NewFence(deadline, clock.RealClock{}, logr.Discard())}
			}
			elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
				Lock: lock, LeaseDuration: time.Hour, RenewDeadline: time.Minute, RetryPeriod: 30 * time.Second, ReleaseOnCancel: true,
				Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) {}, OnStoppedLeading: func() {}},
			})
			assert.NilError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); elector.Run(ctx) }()
			<-held.written // taken
			<-held.written // renewed at once; the next time is RetryPeriod later
			held.mu.Lock()
			held.record = others
			held.mu.Unlock()
			cancel()
			<-ended
			assert.Equal(t, held.record.HolderIdentity, want)
		})
	}
}
