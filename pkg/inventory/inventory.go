/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package inventory is the operator's picture of EC2. Its own calls update the
// picture at once (write-through), batched reads fill in the rest, and a sweep
// over all our ENIs finds what others changed.
//
// A read never undoes what a later write did, and for the visibility window
// after a write EC2's answers may still be the old ones, so that only progress is
// taken from them.
package inventory

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// Options of an inventory.
type Options struct {
	// ClusterUID marks the ENIs that are ours (tag cluster-uid).
	ClusterUID string
	// VisibilityWindow is for how long after a write EC2 may answer reads with
	// what was before, and how long an unknown ENI may still appear.
	VisibilityWindow time.Duration
	// BatchWindow is how long a read waits for others to join its call, anew with
	// each that does, but ten times at most.
	BatchWindow time.Duration
	// BusyBatchWindow is the same for looks at ENIs while attachments wait for EC2's
	// rate limit, and at instances while creations do: then the whole fleet is not
	// ready sooner by looking sooner.
	BusyBatchWindow time.Duration
	// CreateWait is how long EC2's rate limit would make one more creation of an ENI wait; nil:
	// not at all, as far as is known. Nothing is ready sooner if its instance is read before.
	CreateWait func() time.Duration
	// NetworkTTL is how long subnets and security groups found by selector terms
	// are trusted.
	NetworkTTL time.Duration
	// Elected is closed when this process becomes the leader; nil if it is from the
	// start. What a standby has read, the leader before it may have changed since.
	Elected <-chan struct{}
	// Expected returns what the cluster has in EC2, which each sweep compares with what
	// EC2 shows. It is nil where EC2 is to be believed whatever it shows.
	Expected func(context.Context) (Expected, error)
	// Batched hears how many keys each batched call reads; it may be nil.
	Batched func(action string, keys int)
	// Clock is the time; the real one if nil.
	Clock clock.PassiveClock
}

// Inventory is safe for concurrent use.
type Inventory struct {
	client  ec2.Client
	options Options
	clock   clock.PassiveClock

	eniReads      *ec2.Batcher[ec2.NetworkInterface]
	ownerReads    *ec2.Batcher[[]ec2.NetworkInterface]
	instanceReads *ec2.Batcher[ec2.Instance]
	typeReads     *ec2.Batcher[ec2.InstanceType]
	subnetReads   *ec2.Batcher[ec2.Subnet]
	// censuses are sweeps that absences ask for, and the questions are those by id.
	censuses          *ec2.Batcher[bool]
	eniQuestions      *ec2.Batcher[statement]
	instanceQuestions *ec2.Batcher[statement]
	// occupancyReads read all ENIs of subnets.
	occupancyReads *ec2.Batcher[*occupancy]

	swept atomic.Bool
	// current is closed when a sweep has succeeded that began as the leader.
	current     chan struct{}
	currentOnce sync.Once

	mu     sync.Mutex
	sweeps sweeps
	trust  trust
	// lastSwept is the last instance that a sweep has read, of those perSweep that it
	// reads.
	lastSwept string
	perSweep  int
	// leadingSince is when the first sweep as the leader began: calls of the
	// operator before this one were made earlier.
	leadingSince time.Time
	enis         map[string]*record
	owners       map[string]map[string]bool // ENI ids by owner's UID
	missing      map[string]absence
	instances    map[string]ec2.Instance
	// attached are the slots of our ENIs, by instance and ENI id. It holds what our
	// own calls did, which EC2 may not show yet.
	attached map[string]map[string]ec2.Slot
	// missingInstances are those that EC2 does not show.
	missingInstances map[string]absence
	// needlessInstances are gone, and nobody has asked for them since a sweep at that
	// time.
	needlessInstances map[string]time.Time
	// outdated are instances that are read before somebody uses what is known of them.
	outdated map[string]bool
	types    map[string]ec2.InstanceType
	subnets  map[string]*subnetRecord
	occupied map[string]*occupancy
	networks map[string]networkAnswer
	// flights are the questions about networks that EC2 is being asked.
	flights      map[string]*networkFlight
	reservations map[string]map[ec2.Slot]string
	// addresses are the ENIs that are known to have an address, the oldest evidence first.
	addresses map[place][]string
	// pending are changes that the subscribers are still to be notified of.
	pending []Change
	// refused is what EC2 refused of instances although their types promise it.
	refused          map[string]*refusals
	subscribers      []func(Change)
	sweepSubscribers []func(Swept)
}

// Change tells what a sweep or a look found different.
type Change struct {
	// ENIID of the ENI that changed, and OwnerName of its resource; or
	ENIID     string
	OwnerName string
	// InstanceID of the instance that changed, with ENIID if it is its primary ENI
	// that did.
	InstanceID string
	// Network: selector terms find other subnets or security groups than before in the
	// VPC VPCID.
	Network bool
	VPCID   string
}

// New returns an empty inventory.
func New(client ec2.Client, options Options) *Inventory {
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	if options.Batched == nil {
		options.Batched = func(string, int) {}
	}
	if options.CreateWait == nil {
		options.CreateWait = func() time.Duration { return 0 }
	}
	i := &Inventory{
		client:            client,
		options:           options,
		clock:             options.Clock,
		current:           make(chan struct{}),
		perSweep:          instancesPerSweep,
		enis:              map[string]*record{},
		owners:            map[string]map[string]bool{},
		missing:           map[string]absence{},
		instances:         map[string]ec2.Instance{},
		attached:          map[string]map[string]ec2.Slot{},
		missingInstances:  map[string]absence{},
		needlessInstances: map[string]time.Time{},
		outdated:          map[string]bool{},
		types:             map[string]ec2.InstanceType{},
		subnets:           map[string]*subnetRecord{},
		occupied:          map[string]*occupancy{},
		networks:          map[string]networkAnswer{},
		flights:           map[string]*networkFlight{},
		reservations:      map[string]map[ec2.Slot]string{},
		refused:           map[string]*refusals{},
		addresses:         map[place][]string{},
	}
	window := i.window
	i.eniReads = ec2.NewBatcher(i.eniWindow, ec2.MaxBatch, observed(options, "DescribeNetworkInterfaces", i.fetchENIs))
	i.ownerReads = ec2.NewBatcher(window, ec2.MaxBatch, observed(options, "DescribeNetworkInterfaces", i.fetchByOwner))
	i.instanceReads = ec2.NewBatcher(i.instanceWindow, ec2.MaxBatch, observed(options, "DescribeInstances", i.fetchInstances))
	i.typeReads = ec2.NewBatcher(window, ec2.MaxBatch, observed(options, "DescribeInstanceTypes", i.fetchTypes))
	i.subnetReads = ec2.NewBatcher(window, ec2.MaxBatch, observed(options, "DescribeSubnets", i.fetchSubnets))
	i.censuses = ec2.NewBatcher(window, ec2.MaxBatch, i.takeCensus)
	i.eniQuestions = ec2.NewBatcher(window, maxQuestions, observed(options, "DescribeNetworkInterfaces", i.questionENIs))
	i.instanceQuestions = ec2.NewBatcher(window, maxQuestions, observed(options, "DescribeInstances", i.questionInstances))
	i.occupancyReads = ec2.NewBatcher(window, ec2.MaxBatch, observed(options, "DescribeNetworkInterfaces", i.fetchOccupancy))
	return i
}

// window is how long a read waits for others.
func (i *Inventory) window() ec2.Window {
	return ec2.Window{Idle: i.options.BatchWindow, Most: 10 * i.options.BatchWindow}
}

// busyWindow is how long a read waits for others while calls wait for EC2.
func (i *Inventory) busyWindow() ec2.Window {
	busy := max(i.options.BusyBatchWindow, i.options.BatchWindow)
	return ec2.Window{Idle: busy, Most: busy}
}

// attachTime is the least that EC2 takes to attach an ENI.
const attachTime = time.Second

// eniWindow is how long a look at an ENI waits for others.
func (i *Inventory) eniWindow() ec2.Window {
	waiting, underway := i.client.Backlog(ec2.ActionAttach)
	window := i.window()
	switch {
	case waiting > 0:
		return i.busyWindow()
	case underway > 0: // Those will be looked at next.
		window.Most = min(attachTime, i.busyWindow().Most)
		window.Idle = window.Most
	}
	return window
}

// instanceWindow is how long a read of an instance waits for others.
func (i *Inventory) instanceWindow() ec2.Window {
	waiting, underway := i.client.Backlog(ec2.ActionCreate)
	window := i.window()
	switch {
	case waiting > 0:
		return i.busyWindow()
	case underway > 0: // More nodes are joining: theirs are created next.
		window.Idle = window.Most
	}
	// Half of the wait: what was read has to become creations before the queue runs dry.
	if wait := min(i.options.CreateWait()/2, i.busyWindow().Most); wait > window.Most {
		window = ec2.Window{Idle: wait, Most: wait}
	}
	return window
}

// Subscribe calls notify for each change that a sweep finds. It must not block.
func (i *Inventory) Subscribe(notify func(Change)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.subscribers = append(i.subscribers, notify)
}

func (i *Inventory) notify(changes []Change) {
	i.mu.Lock()
	subscribers := i.subscribers
	i.mu.Unlock()
	for _, change := range changes {
		for _, notify := range subscribers {
			notify(change)
		}
	}
}

// Synced says whether a sweep has succeeded, so that EC2 can be reached.
func (i *Inventory) Synced() bool { return i.swept.Load() }

// Current says whether a sweep has succeeded that began after the election, so
// that what is known here is what EC2 has, and may be acted upon.
func (i *Inventory) Current() bool {
	select {
	case <-i.current:
		return true
	default:
		return false
	}
}

// WaitForSync returns when the inventory is Current or ctx ends.
func (i *Inventory) WaitForSync(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-i.current:
		return nil
	}
}

// leads says whether this process is the leader.
func (i *Inventory) leads() bool {
	if i.options.Elected == nil {
		return true
	}
	select {
	case <-i.options.Elected:
		return true
	default:
		return false
	}
}
