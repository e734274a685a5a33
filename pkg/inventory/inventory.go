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
	// BatchWindow is how long a read waits for others to join its call.
	BatchWindow time.Duration
	// NetworkTTL is how long subnets and security groups found by selector terms
	// are trusted.
	NetworkTTL time.Duration
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

	swept     atomic.Bool
	sweptOnce chan struct{}

	mu        sync.Mutex
	enis      map[string]*record
	owners    map[string]string // ENI ids by owner's UID
	missing   map[string]time.Time
	instances map[string]ec2.Instance
	// missingInstances are when EC2 first did not show an instance.
	missingInstances map[string]time.Time
	types            map[string]ec2.InstanceType
	subnets          map[string]ec2.Subnet
	networks         map[string]networkAnswer
	reservations     map[string]map[ec2.Slot]string
	subscribers      []func(Change)
	sweepSubscribers []func(Swept)
}

// Change tells what a sweep or a look found different.
type Change struct {
	// ENIID and OwnerName of the ENI that changed, or
	ENIID     string
	OwnerName string
	// InstanceID of the instance that changed.
	InstanceID string
}

// New returns an empty inventory.
func New(client ec2.Client, options Options) *Inventory {
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	i := &Inventory{
		client:           client,
		options:          options,
		clock:            options.Clock,
		sweptOnce:        make(chan struct{}),
		enis:             map[string]*record{},
		owners:           map[string]string{},
		missing:          map[string]time.Time{},
		instances:        map[string]ec2.Instance{},
		missingInstances: map[string]time.Time{},
		types:            map[string]ec2.InstanceType{},
		subnets:          map[string]ec2.Subnet{},
		networks:         map[string]networkAnswer{},
		reservations:     map[string]map[ec2.Slot]string{},
	}
	i.eniReads = ec2.NewBatcher(options.BatchWindow, ec2.MaxBatch, i.fetchENIs)
	i.ownerReads = ec2.NewBatcher(options.BatchWindow, ec2.MaxBatch, i.fetchByOwner)
	i.instanceReads = ec2.NewBatcher(options.BatchWindow, ec2.MaxBatch, i.fetchInstances)
	i.typeReads = ec2.NewBatcher(options.BatchWindow, ec2.MaxBatch, i.fetchTypes)
	i.subnetReads = ec2.NewBatcher(options.BatchWindow, ec2.MaxBatch, i.fetchSubnets)
	return i
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

// Synced says whether a sweep has succeeded, so that what is missing here is
// missing in EC2.
func (i *Inventory) Synced() bool { return i.swept.Load() }

// WaitForSync returns when a sweep has succeeded or ctx ends.
func (i *Inventory) WaitForSync(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-i.sweptOnce:
		return nil
	}
}
