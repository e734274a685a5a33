/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"context"
	"errors"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/pkg/snapshot"
)

// snapshotter saves what each sweep showed, so that the next process begins with
// it.
type snapshotter struct {
	store  snapshot.Store
	log    logr.Logger
	sweeps chan inventory.Swept
}

// addSnapshotter has the inventory begin with the snapshot at a path, and keeps
// the snapshot up to date; without a path it lasts as long as the process.
func addSnapshotter(mgr manager.Manager, inv *inventory.Inventory, clusterUID, path string, log logr.Logger) error {
	s := &snapshotter{store: snapshot.NewMemory(), log: log, sweeps: make(chan inventory.Swept, 1)}
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
	return mgr.Add(s)
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
	for {
		select {
		case <-ctx.Done():
			return nil
		case swept := <-s.sweeps:
			if err := s.save(swept); err != nil {
				s.log.Error(err, "Saving the snapshot; the next restart may begin with an older one")
			}
		}
	}
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
