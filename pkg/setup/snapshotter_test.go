/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"gotest.tools/v3/assert"
	"k8s.io/utils/clock"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/pkg/snapshot"
)

// countedStore counts the saves.
type countedStore struct {
	snapshot.Store
	saves atomic.Int32
}

func (c *countedStore) Save(records ...snapshot.Record) error {
	c.saves.Add(1)
	return c.Store.Save(records...)
}

// createdEC2 creates what it is asked for.
type createdEC2 struct{ ec2.Client }

func (createdEC2) CreateNetworkInterface(_ context.Context, input ec2.CreateInput) (ec2.NetworkInterface, error) {
	return ec2.NetworkInterface{ID: "eni-" + input.ClientToken, MACAddress: "mac-" + input.ClientToken, SubnetID: input.SubnetID}, nil
}

func changedENI(id string, primary bool) events.Event {
	return events.Event{Topic: events.TopicENI, Type: events.ENIStateChanged, ENIID: id, After: events.ENIState{Primary: primary}}
}

// TestSnapshotBetweenSweeps: however many events come, they are saved together, and
// what is left is saved at the end.
func TestSnapshotBetweenSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inv := inventory.New(createdEC2{}, inventory.Options{})
		store := &countedStore{Store: snapshot.NewMemory()}
		s := newSnapshotter(store, inv, clock.RealClock{}, logr.Discard())
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			assert.Check(t, s.Start(ctx))
		}()
		for _, name := range []string{"a", "b", "c"} {
			_, err := inv.Create(ctx, ec2.CreateInput{ClientToken: name})
			assert.NilError(t, err)
		}
		for range 100 {
			s.hear(ctx, changedENI("eni-a", false))
			s.hear(ctx, changedENI("eni-b", false))
			s.hear(ctx, changedENI("eni-c", true))     // An instance's own.
			s.hear(ctx, changedENI("eni-gone", false)) // Not known any more.
			s.hear(ctx, changedENI("", false))
		}
		synctest.Wait()
		assert.Equal(t, store.saves.Load(), int32(0), "a save for each event")
		time.Sleep(snapshotPause)
		synctest.Wait()
		assert.Equal(t, store.saves.Load(), int32(1))
		all, err := store.All()
		assert.NilError(t, err)
		assert.DeepEqual(t, idsOf(all), []string{"eni-a", "eni-b"})

		time.Sleep(time.Hour)
		assert.Equal(t, store.saves.Load(), int32(1), "at rest nothing is saved")
		s.hear(ctx, changedENI("eni-a", false))
		cancel()
		<-ended
		assert.Equal(t, store.saves.Load(), int32(2))
	})
}

func idsOf(records []snapshot.Record) []string {
	ids := make([]string, 0, len(records))
	for _, record := range records {
		ids = append(ids, record.ENI.ID)
	}
	return ids
}
