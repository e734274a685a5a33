/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/pkg/metrics"
	"github.com/eni-operator/eni-operator/pkg/snapshot"
)

// snapshotter saves what each sweep showed, and between them the ENIs that the
// controllers changed, so that the next process begins with it.
type snapshotter struct {
	store     snapshot.Store
	inventory *inventory.Inventory
	clock     clock.PassiveClock
	log       logr.Logger
	sweeps    chan inventory.Swept
	// changed says that there are ids in stale, which are not saved yet.
	changed chan struct{}

	mu    sync.Mutex
	stale map[string]bool
}

func newSnapshotter(store snapshot.Store, inv *inventory.Inventory, clk clock.PassiveClock, log logr.Logger) *snapshotter {
	return &snapshotter{
		store: store, inventory: inv, clock: clk, log: log,
		sweeps: make(chan inventory.Swept, 1), changed: make(chan struct{}, 1), stale: map[string]bool{},
	}
}

const (
	// snapshotDepth is how many events may wait for the snapshotter, which only
	// notes them. What is dropped, the next sweep shows.
	snapshotDepth = 1024
	// snapshotPause gathers changes, so that a fleet that joins is saved every now
	// and then: a save waits for the disk.
	snapshotPause = 10 * time.Second
)

// addSnapshotter has the inventory begin with the snapshot at a path, and keeps
// the snapshot up to date; without a path it lasts as long as the process.
func addSnapshotter(mgr manager.Manager, inv *inventory.Inventory, bus *events.Bus, clk clock.PassiveClock, clusterUID, path string) error {
	log := ctrl.Log.WithName("snapshot")
	s := newSnapshotter(snapshot.NewMemory(), inv, clk, log)
	if path != "" {
		var err error
		if s.store, err = snapshot.OpenFile(path, clusterUID, log); err != nil {
			return err
		}
	}
	records, err := s.store.All()
	if err != nil {
		return err
	}
	enis := make([]ec2.NetworkInterface, 0, len(records))
	for _, record := range records {
		enis = append(enis, record.ENI)
	}
	inv.Restore(enis)
	log.Info("Beginning with the snapshot", "path", path, "enis", len(enis))
	inv.SubscribeSweeps(s.offer)
	bus.Handle("snapshot", snapshotDepth, events.Filter{Topics: []events.Topic{events.TopicENI}}, s.hear)
	return mgr.Add(s)
}

// hear notes an ENI of ours that has changed.
func (s *snapshotter) hear(_ context.Context, e events.Event) {
	if _, after, ok := events.Change[events.ENIState](e); !ok || after.Primary || e.ENIID == "" {
		return
	}
	s.mu.Lock()
	s.stale[e.ENIID] = true
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// offer keeps the latest sweep that is not saved yet; an older one gives way.
func (s *snapshotter) offer(swept inventory.Swept) {
	for {
		select {
		case s.sweeps <- swept:
			return
		default:
		}
		select {
		case <-s.sweeps:
		default:
		}
	}
}

var _ manager.LeaderElectionRunnable = (*snapshotter)(nil)

// NeedLeaderElection says that each replica has a snapshot of its own.
func (s *snapshotter) NeedLeaderElection() bool { return false }

// Start saves sweeps until ctx ends. A snapshot that cannot be saved is logged;
// the operator does without.
func (s *snapshotter) Start(ctx context.Context) error {
	defer func() {
		if err := s.store.Close(); err != nil {
			s.log.Error(err, "Closing the snapshot")
		}
	}()
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			s.report(s.saveChanged())
			return nil
		case swept := <-s.sweeps:
			s.report(s.save(swept))
		case <-s.changed:
			if due == nil {
				due = time.After(snapshotPause)
			}
		case <-due:
			due = nil
			s.report(s.saveChanged())
		}
	}
}

func (s *snapshotter) report(err error) {
	metrics.SnapshotSaved(err)
	if err != nil {
		s.log.Error(err, "Saving the snapshot; the next restart may begin with an older one")
	}
}

// saveChanged saves the ENIs that have changed. Those that are gone stay until the
// next sweep, as a sign that they were there.
func (s *snapshotter) saveChanged() error {
	s.mu.Lock()
	stale := s.stale
	s.stale = map[string]bool{}
	s.mu.Unlock()
	var records []snapshot.Record
	for _, id := range slices.Sorted(maps.Keys(stale)) {
		if known, ok := s.inventory.ENI(id); ok {
			records = append(records, snapshot.Record{ENI: known, SavedAt: s.clock.Now()})
		}
	}
	if len(records) == 0 {
		return nil
	}
	return s.store.Save(records...)
}

// save replaces what the store has by what a sweep showed.
func (s *snapshotter) save(swept inventory.Swept) error {
	shown := make(map[string]bool, len(swept.ENIs))
	records := make([]snapshot.Record, 0, len(swept.ENIs))
	for _, eni := range swept.ENIs {
		shown[eni.MACAddress] = true
		records = append(records, snapshot.Record{ENI: eni, SavedAt: swept.At})
	}
	_, err := s.store.GC(func(record snapshot.Record) bool { return shown[record.ENI.MACAddress] })
	return errors.Join(s.store.Save(records...), err)
}
