/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Publisher takes events; it never blocks.
type Publisher interface {
	Publish(happened ...Event)
}

// Discard is a Publisher without subscribers.
var Discard Publisher = discard{}

type discard struct{}

func (discard) Publish(...Event) {}

// Filter says which events a subscriber gets; an empty field lets all through.
type Filter struct {
	Topics []Topic
	Types  []Type
	// Nodes are names of nodes; ENIs names of ElasticNetworkInterfaces, or ids.
	Nodes, ENIs []string
}

func (f Filter) lets(e *Event) bool {
	return one(f.Topics, e.Topic) && one(f.Types, e.Type) && one(f.Nodes, e.Node) && (one(f.ENIs, e.ENI) || one(f.ENIs, e.ENIID))
}

func one[T comparable](wanted []T, value T) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value)
}

// Bus hands events on to subscribers. It is safe for concurrent use, and works
// from its making on; Start only runs the handlers.
type Bus struct {
	clock clock.WithTicker
	log   logr.Logger
	// subscriptions is replaced, never changed, so that publishing takes no lock.
	subscriptions atomic.Pointer[[]*Subscription]
	stopped       chan struct{}
	wrap          func(Handler) Handler

	mu       sync.Mutex
	handlers []handler
	counts   map[string]*counts
}

// counts are those of all subscriptions of a name, past ones included.
type counts struct{ delivered, dropped atomic.Uint64 }

// NewBus returns a bus without subscribers.
func NewBus(clk clock.WithTicker, log logr.Logger) *Bus {
	b := &Bus{
		clock: clk, log: log, stopped: make(chan struct{}), counts: map[string]*counts{},
		wrap: func(handle Handler) Handler { return handle },
	}
	b.subscriptions.Store(&[]*Subscription{})
	return b
}

// Subscription is a subscriber's queue.
type Subscription struct {
	name    string
	filter  Filter
	queue   chan *Event
	dropped atomic.Uint64
	counts  *counts
	bus     *Bus
}

// Subscribe begins to keep events for a subscriber, at most depth of them: what
// comes while the queue is full is dropped. Names are few; they label metrics.
func (b *Bus) Subscribe(name string, depth int, filter Filter) *Subscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.counts[name] == nil {
		b.counts[name] = &counts{}
	}
	s := &Subscription{name: name, filter: filter, queue: make(chan *Event, depth), counts: b.counts[name], bus: b}
	subscriptions := append(slices.Clone(*b.subscriptions.Load()), s)
	b.subscriptions.Store(&subscriptions)
	return s
}

// Next returns the next event. It fails when ctx ends, or when the bus has stopped
// and nothing is left in the queue.
func (s *Subscription) Next(ctx context.Context) (Event, error) {
	if err := ctx.Err(); err != nil {
		return Event{}, err
	}
	select { // What is left comes before the end.
	case e := <-s.queue:
		return s.take(e), nil
	default:
	}
	select {
	case e := <-s.queue:
		return s.take(e), nil
	case <-ctx.Done():
		return Event{}, ctx.Err()
	case <-s.bus.stopped:
		return Event{}, ErrStopped
	}
}

// ErrStopped says that no more events come.
var ErrStopped = errors.New("the event bus has stopped")

func (s *Subscription) take(e *Event) Event {
	s.counts.delivered.Add(1)
	return *e
}

// Dropped is how many events this subscription has lost.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Close ends a subscription; what is in its queue is lost.
func (s *Subscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	subscriptions := slices.DeleteFunc(slices.Clone(*s.bus.subscriptions.Load()), func(other *Subscription) bool { return other == s })
	s.bus.subscriptions.Store(&subscriptions)
}

// Publish puts events into the queues of those who want them.
func (b *Bus) Publish(happened ...Event) {
	subscriptions := *b.subscriptions.Load()
	for _, e := range happened {
		if e.Timestamp.IsZero() {
			e.Timestamp = b.clock.Now()
		}
		for _, s := range subscriptions {
			s.offer(&e)
		}
	}
}

func (s *Subscription) offer(e *Event) {
	if !s.filter.lets(e) {
		return
	}
	select {
	case s.queue <- e:
	default:
		s.dropped.Add(1)
		s.counts.dropped.Add(1)
	}
}

// Handler does something with an event. Its context ends when the operator has waited
// long enough for it at the end.
type Handler func(context.Context, Event)

type handler struct {
	subscription *Subscription
	handle       Handler
}

// Wrap has each handler that is added from now on be replaced by what a function
// makes of it.
func (b *Bus) Wrap(wrap func(Handler) Handler) { b.wrap = wrap }

// Handle has Start call a function with each event that the filter lets through,
// one after the other. Call it before Start.
func (b *Bus) Handle(name string, depth int, filter Filter, handle Handler) {
	s := b.Subscribe(name, depth, filter)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handlers = append(b.handlers, handler{subscription: s, handle: b.wrap(handle)})
}

var _ manager.LeaderElectionRunnable = (*Bus)(nil)

// NeedLeaderElection says that each replica has its bus: it begins before the
// controllers and ends after them.
func (b *Bus) NeedLeaderElection() bool { return false }

// drainTimeout bounds how long the end of the operator, and with it the release of the
// leader lease, waits for handlers. They take microseconds.
const drainTimeout = time.Second

// Start runs the handlers until ctx ends, and then, for a while, until their queues
// are empty.
func (b *Bus) Start(ctx context.Context) error {
	b.mu.Lock()
	handlers := slices.Clone(b.handlers)
	b.mu.Unlock()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var running sync.WaitGroup
	for _, h := range handlers {
		running.Go(func() { b.run(work, h) })
	}
	<-ctx.Done()
	close(b.stopped)
	b.drain(&running)
	return nil
}

func (b *Bus) drain(running *sync.WaitGroup) {
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		running.Wait()
	}()
	timer := b.clock.NewTimer(drainTimeout)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C():
		for _, queue := range b.Queues() {
			if queue.Length > 0 {
				b.log.Info("Stopping before all events are delivered", "subscriber", queue.Subscriber, "left", queue.Length)
			}
		}
	}
}

func (b *Bus) run(ctx context.Context, h handler) {
	for {
		e, err := h.subscription.Next(ctx)
		if err != nil {
			return
		}
		b.deliver(ctx, h, e)
	}
}

// deliver keeps a handler's mistake from ending the operator.
func (b *Bus) deliver(ctx context.Context, h handler, e Event) {
	defer func() {
		if mistake := recover(); mistake != nil {
			b.log.Error(fmt.Errorf("%v", mistake), "A subscriber panicked", "subscriber", h.subscription.name, "type", e.Type)
		}
	}()
	h.handle(ctx, e)
}

// Queue is how the subscribers of a name do.
type Queue struct {
	Subscriber string
	// Subscriptions is how many there are now, and Length how many events wait in
	// their queues, which hold Capacity.
	Subscriptions, Length, Capacity int
	// Delivered and Dropped count events since the start.
	Delivered, Dropped uint64
}

// Queues returns all subscribers that there are or were, by name.
func (b *Bus) Queues() []Queue {
	b.mu.Lock()
	defer b.mu.Unlock()
	byName := map[string]*Queue{}
	for name, c := range b.counts {
		byName[name] = &Queue{Subscriber: name, Delivered: c.delivered.Load(), Dropped: c.dropped.Load()}
	}
	for _, s := range *b.subscriptions.Load() {
		queue := byName[s.name]
		queue.Subscriptions++
		queue.Length += len(s.queue)
		queue.Capacity += cap(s.queue)
	}
	queues := make([]Queue, 0, len(byName))
	for _, queue := range byName {
		queues = append(queues, *queue)
	}
	slices.SortFunc(queues, func(x, y Queue) int { return cmp.Compare(x.Subscriber, y.Subscriber) })
	return queues
}
