/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"
	"gotest.tools/v3/assert"
	"k8s.io/utils/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newBus() *Bus { return NewBus(clock.RealClock{}, logr.Discard()) }

// numbered is an event of an ENI that says which of its events it is.
func numbered(eni string, number int) Event {
	return Event{Type: ENIStateChanged, Topic: TopicENI, ENI: eni, After: ENIState{AddressCount: int32(number)}} //nolint:gosec // small
}

// start runs a bus; the returned function ends it and waits for that.
func start(t *testing.T, b *Bus) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Start(ctx) }()
	return func() {
		cancel()
		assert.NilError(t, <-ended)
	}
}

// TestOrderPerENI: whoever publishes at the same time, each ENI's events come in
// the order in which they were published.
func TestOrderPerENI(t *testing.T) {
	const enis, each = 20, 200
	b := newBus()
	got := map[string][]int32{}
	b.Handle("test", enis*each, Filter{}, func(_ context.Context, e Event) {
		_, after, _ := Change[ENIState](e)
		got[e.ENI] = append(got[e.ENI], after.AddressCount)
	})
	stop := start(t, b)
	var publishing sync.WaitGroup
	for eni := range enis {
		publishing.Go(func() {
			for number := range each {
				b.Publish(numbered(fmt.Sprint(eni), number))
			}
		})
	}
	publishing.Wait()
	stop() // Which waits until the queue is empty.
	assert.Equal(t, len(got), enis)
	for eni, numbers := range got {
		assert.Equal(t, len(numbers), each, "ENI %s", eni)
		for i, number := range numbers {
			assert.Equal(t, number, int32(i), "ENI %s", eni) //nolint:gosec // small
		}
	}
}

// TestStuckSubscriber: one that never comes back costs the others, and the
// publishers, nothing. In the bubble any wait of a publisher would be a deadlock.
func TestStuckSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus()
		release := make(chan struct{})
		b.Handle("stuck", 3, Filter{}, func(context.Context, Event) { <-release })
		var heard int
		b.Handle("quick", 100, Filter{}, func(context.Context, Event) { heard++ })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = b.Start(ctx)
		}()
		synctest.Wait()
		began := time.Now()
		for number := range 50 {
			b.Publish(numbered("a", number))
			synctest.Wait()
		}
		assert.Equal(t, time.Since(began), time.Duration(0), "publishing waited")
		assert.Equal(t, heard, 50)
		assert.DeepEqual(t, b.Queues(), []Queue{
			{Subscriber: "quick", Subscriptions: 1, Capacity: 100, Delivered: 50},
			{Subscriber: "stuck", Subscriptions: 1, Length: 3, Capacity: 3, Delivered: 1, Dropped: 46},
		})
		cancel()
		<-ended
		assert.Equal(t, time.Since(began), drainTimeout, "the end waits for a stuck subscriber, but not for ever")
		close(release)
	})
}

func TestDrainsAtTheEnd(t *testing.T) {
	b := newBus()
	heard := 0
	b.Handle("test", 100, Filter{}, func(context.Context, Event) { heard++ })
	for number := range 100 {
		b.Publish(numbered("a", number))
	}
	start(t, b)()
	assert.Equal(t, heard, 100)
	b.Publish(numbered("a", 101)) // Too late, and no harm.
}

func TestPanicOfASubscriber(t *testing.T) {
	b := newBus()
	heard := 0
	b.Handle("test", 10, Filter{}, func(context.Context, Event) {
		heard++
		panic("mistake")
	})
	b.Publish(numbered("a", 0), numbered("a", 1))
	start(t, b)()
	assert.Equal(t, heard, 2)
}

func TestWrap(t *testing.T) {
	b := newBus()
	var heard []string
	b.Wrap(func(next Handler) Handler {
		return func(ctx context.Context, e Event) {
			heard = append(heard, "before")
			next(ctx, e)
		}
	})
	b.Handle("test", 1, Filter{}, func(context.Context, Event) { heard = append(heard, "it") })
	b.Publish(numbered("a", 0))
	start(t, b)()
	assert.DeepEqual(t, heard, []string{"before", "it"})
}

func TestFilters(t *testing.T) {
	e := Event{Type: ClaimBound, Topic: TopicClaim, ENI: "i-1-0", ENIID: "eni-1", Node: "node"}
	for _, row := range []struct {
		name   string
		filter Filter
		want   bool
	}{
		{"all", Filter{}, true},
		{"topic", Filter{Topics: []Topic{TopicENI, TopicClaim}}, true},
		{"another topic", Filter{Topics: []Topic{TopicENI}}, false},
		{"type", Filter{Types: []Type{ClaimBound}}, true},
		{"another type", Filter{Types: []Type{ClaimLost}}, false},
		{"node", Filter{Nodes: []string{"node"}}, true},
		{"another node", Filter{Nodes: []string{"other"}}, false},
		{"name of the ENI", Filter{ENIs: []string{"i-1-0"}}, true},
		{"id of the ENI", Filter{ENIs: []string{"eni-1"}}, true},
		{"another ENI", Filter{ENIs: []string{"eni-2"}}, false},
		{"one of two", Filter{Types: []Type{ClaimBound}, Nodes: []string{"other"}}, false},
	} {
		assert.Equal(t, row.filter.lets(&e), row.want, row.name)
	}
}

func TestClose(t *testing.T) {
	b := newBus()
	first, second := b.Subscribe("test", 1, Filter{}), b.Subscribe("test", 1, Filter{})
	b.Publish(numbered("a", 0), numbered("a", 1))
	first.Close()
	b.Publish(numbered("a", 2))
	assert.Equal(t, first.Dropped(), uint64(1))
	assert.Equal(t, second.Dropped(), uint64(2))
	// What a closed subscription lost stays counted.
	assert.DeepEqual(t, b.Queues(), []Queue{{Subscriber: "test", Subscriptions: 1, Length: 1, Capacity: 1, Dropped: 3}})
}

func TestNextEnds(t *testing.T) {
	b := newBus()
	s := b.Subscribe("test", 1, Filter{})
	b.Publish(numbered("a", 0))
	stop := start(t, b)
	stop()
	e, err := s.Next(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, e.ENI, "a")
	_, err = s.Next(t.Context())
	assert.Assert(t, errors.Is(err, ErrStopped))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Next(ended)
	assert.Assert(t, errors.Is(err, context.Canceled))
}

func BenchmarkPublish(b *testing.B) {
	bus := newBus()
	for range 3 {
		bus.Subscribe("test", 8192, Filter{})
	}
	e := numbered("a", 0)
	b.ReportAllocs()
	for b.Loop() {
		bus.Publish(e)
	}
}
