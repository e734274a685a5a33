/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

var two = ec2.InstanceType{CardENIs: []int32{3}}.Slots(1)

func TestInstanceIsReadOnce(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	id := w.run("m5.large")
	w.server.ResetCalls()
	for range 3 {
		instance, presence, err := w.Instance(w.ctx, id)
		assert.NilError(t, err)
		assert.Equal(t, presence, Present)
		assert.Equal(t, instance.Type, "m5.large")
		assert.Equal(t, instance.SubnetID, w.subnet)
		clear(instance.Interfaces) // the caller's own
	}
	assert.Equal(t, w.calls("DescribeInstances"), 1)
	limits, found, err := w.InstanceType(w.ctx, "m5.large")
	assert.NilError(t, err)
	assert.Assert(t, found && limits.MaxENIs == 3)
	_, found, err = w.InstanceType(w.ctx, "no.such")
	assert.Assert(t, err == nil && !found)
}

func TestSlotsAreReserved(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	id := w.run("m5.large")
	_, _, err := w.Instance(w.ctx, id)
	assert.NilError(t, err)
	first, ok := w.ReserveSlot(id, "eni-a", two)
	assert.Assert(t, ok && first.DeviceIndex == 1)
	second, ok := w.ReserveSlot(id, "eni-b", two)
	assert.Assert(t, ok && second.DeviceIndex == 2)
	_, ok = w.ReserveSlot(id, "eni-c", two)
	assert.Assert(t, !ok)
	again, ok := w.ReserveSlot(id, "eni-a", two)
	assert.Assert(t, ok && again == first, "the earlier reservation is its own")
	// Another ENI's failure makes us read the instance again; calls on their way
	// keep their slots.
	w.ForgetInstance(id)
	_, ok = w.ReserveSlot(id, "eni-c", two)
	assert.Assert(t, !ok)
	w.FreeSlot(id, "eni-a")
	third, ok := w.ReserveSlot(id, "eni-c", two)
	assert.Assert(t, ok && third == first)
	w.FreeSlot(id, "eni-b")
	w.FreeSlot(id, "eni-c")
	assert.Equal(t, len(w.reservations), 0)
}

func TestSlotsOfOthers(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	id := w.run("m5.large")
	foreign := foreignENI(w)
	w.ec2("AttachNetworkInterface", "NetworkInterfaceId", foreign, "InstanceId", id, "DeviceIndex", "1")
	ours := w.attached("a", id, 2)
	instance, _, err := w.Instance(w.ctx, id)
	assert.NilError(t, err)
	others, orphans := w.OtherSlots(instance, map[string]bool{ours.ID: true})
	assert.DeepEqual(t, others, map[ec2.Slot]bool{{}: true, {DeviceIndex: 1}: true})
	assert.Equal(t, len(orphans), 0)
	_, ok := w.ReserveSlot(id, "eni-x", two)
	assert.Assert(t, !ok)
	assert.NilError(t, w.Detach(w.ctx, w.ref(ours.ID), ours.Attachment.ID, false))
	_, ok = w.ReserveSlot(id, "eni-x", two)
	assert.Assert(t, !ok, "detaching is not detached")
	w.clk.Step(time.Minute)
	w.look(ours.ID)
	slot, ok := w.ReserveSlot(id, "eni-x", two)
	assert.Assert(t, ok && slot.DeviceIndex == 2)
}

func foreignENI(w *world) string {
	w.t.Helper()
	return first(w.t, w.ec2("CreateNetworkInterface", "SubnetId", w.subnet), "networkInterfaceId")
}

// TestOurAttachmentsOutlastReads: a read of an instance that does not show an
// attachment of ours yet does not free its slot, nor does forgetting the instance.
func TestOurAttachmentsOutlastReads(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	id := w.run("m5.large")
	before, _, err := w.Instance(w.ctx, id)
	assert.NilError(t, err)
	eni := w.attached("a", id, 1)

	w.Inventory.mu.Lock()
	stale := w.interfacesOf(before)
	w.Inventory.mu.Unlock()
	w.Inventory.mu.Lock()
	old := w.instances[id]
	old.Interfaces = before.Interfaces
	w.instances[id] = old
	w.Inventory.mu.Unlock()
	assert.Equal(t, stale[eni.ID], ec2.Slot{DeviceIndex: 1})
	slot, ok := w.ReserveSlot(id, "eni-x", two)
	assert.Assert(t, ok && slot.DeviceIndex == 2)
	w.FreeSlot(id, "eni-x")

	w.ForgetInstance(id)
	slot, ok = w.ReserveSlot(id, "eni-x", two)
	assert.Assert(t, ok && slot.DeviceIndex == 2)
}

func TestInstanceGone(t *testing.T) {
	t.Run("terminated", func(t *testing.T) {
		w := newWorld(t, emulator.Options{})
		id := w.run("m5.large")
		_, presence, err := w.Instance(w.ctx, id)
		assert.Assert(t, err == nil && presence == Present)
		w.ec2("TerminateInstances", "InstanceId.1", id)
		assert.DeepEqual(t, w.sweep(), []Change{{InstanceID: id}})
		_, presence, err = w.Instance(w.ctx, id)
		assert.Assert(t, err == nil && presence == Gone)
	})
	t.Run("never seen: absent after a window, when EC2 answers NotFound for the id", func(t *testing.T) {
		w := newWorld(t, emulator.Options{})
		for _, step := range []struct {
			after time.Duration
			want  Presence
		}{{0, Unknown}, {window - time.Second, Unknown}, {time.Second, Absent}, {0, Absent}} {
			w.clk.Step(step.after)
			_, presence, err := w.Instance(w.ctx, "i-0123456789abcdef0")
			assert.NilError(t, err)
			assert.Equal(t, presence, step.want)
		}
	})
	t.Run("forgotten while it was asked for", func(t *testing.T) {
		w := newWorld(t, emulator.Options{})
		_, presence, err := w.Instance(w.ctx, "i-0123456789abcdef0")
		assert.Assert(t, err == nil && presence == Unknown)
		w.ForgetInstance("i-0123456789abcdef0")
		_, presence, decided := w.lastKnown("i-0123456789abcdef0")
		assert.Assert(t, decided && presence == Unknown, "nothing known is no evidence")
	})
}

// TestInstancesAreReadWhileCreationsWait: a read waits for half of what a creation would.
func TestInstancesAreReadWhileCreationsWait(t *testing.T) {
	for _, c := range []struct {
		name       string
		createWait func() time.Duration
		waiting    int
		idle, most time.Duration
	}{
		{"nothing is known of it", nil, 0, 50 * time.Millisecond, 500 * time.Millisecond},
		{"it would not wait", func() time.Duration { return 0 }, 0, 50 * time.Millisecond, 500 * time.Millisecond},
		{"it would wait less than the read does", func() time.Duration { return 900 * time.Millisecond }, 0, 50 * time.Millisecond, 500 * time.Millisecond},
		{"it would wait", func() time.Duration { return 6 * time.Second }, 0, 3 * time.Second, 3 * time.Second},
		{"it would wait for long", func() time.Duration { return time.Hour }, 0, 10 * time.Second, 10 * time.Second},
		{"others wait already", func() time.Duration { return 0 }, 1, 10 * time.Second, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv := New(backlog{waiting: c.waiting}, Options{
				BatchWindow: 50 * time.Millisecond, BusyBatchWindow: 10 * time.Second, CreateWait: c.createWait,
			})
			assert.Equal(t, inv.instanceWindow(), ec2.Window{Idle: c.idle, Most: c.most})
		})
	}
}

// backlog is an EC2 client for whose calls others wait.
type backlog struct {
	ec2.Client
	waiting int
}

func (b backlog) Backlog(string) (waiting, underway int) { return b.waiting, 0 }
