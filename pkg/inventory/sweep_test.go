/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

func TestSweepTellsWhatDiffers(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	a, b := w.create("a", 1), w.create("b", 1)
	w.clk.Step(time.Minute)
	assert.Equal(t, len(w.sweep()), 0, "nothing differs from what we wrote")
	w.ec2("AssignPrivateIpAddresses", "NetworkInterfaceId", a.ID, "SecondaryPrivateIpAddressCount", "1")
	assert.DeepEqual(t, w.sweep(), []Change{{ENIID: a.ID, OwnerName: "name-of-a"}})
	assert.Equal(t, len(w.sweep()), 0)
	assert.Equal(t, len(w.known(a.ID).Addresses), 2)

	// The name's tag itself is taken away: its owner hears of it.
	w.ec2("DeleteTags", "ResourceId.1", b.ID, "Tag.1.Key", ec2.TagName)
	assert.DeepEqual(t, w.sweep(), []Change{{ENIID: b.ID, OwnerName: "name-of-b"}})
}

func TestSweepFindsWhatANewProcessDoesNotKnow(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni := w.create("a", 1)
	w.ec2("CreateNetworkInterface", "SubnetId", w.subnet) // somebody else's
	other := w.fresh(nil)
	assert.Assert(t, !other.Synced())
	assert.NilError(t, other.Sweep(w.ctx))
	assert.Assert(t, other.Synced())
	assert.DeepEqual(t, w.take(), []Change{{ENIID: eni.ID, OwnerName: "name-of-a"}})
	assert.Equal(t, len(other.enis), 1)
}

// TestSweepNamesTheInstanceOfAnENIThatMoved: its pool counts slots, also those of ENIs that no
// resource stands for.
func TestSweepNamesTheInstanceOfAnENIThatMoved(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	id := w.run("m5.large")
	eni := w.attached("a", id, 1)
	w.clk.Step(time.Minute)
	w.expected.Instances = []string{id}
	w.Inventory = w.fresh(nil) // A process that has not read the ENI.
	w.api.noENIs = true
	w.sweep()
	w.api.noENIs = false
	w.clk.Step(time.Minute)
	assert.DeepEqual(t, w.sweep(), []Change{{InstanceID: id}, {ENIID: eni.ID, OwnerName: "name-of-a"}}) // It is shown for the first time.
	assert.Equal(t, len(w.sweep()), 0)

	w.ec2("DetachNetworkInterface", "AttachmentId", w.known(eni.ID).Attachment.ID, "Force", "true")
	w.clk.Step(time.Minute)
	assert.DeepEqual(t, w.sweep(), []Change{{InstanceID: id}, {ENIID: eni.ID, OwnerName: "name-of-a"}}) // A person detached it.
	assert.Equal(t, len(w.sweep()), 0)
}

// TestSweepDistrustsWhatIsMissing: it is not dropped, but looked at.
func TestSweepDistrustsWhatIsMissing(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	gone, hidden := w.create("gone", 0), w.create("hidden", 0)
	w.clk.Step(time.Minute)
	w.sweep()
	w.ec2("DeleteNetworkInterface", "NetworkInterfaceId", gone.ID)
	w.ec2("DeleteTags", "ResourceId.1", hidden.ID, "Tag.1.Key", ec2.TagClusterUID)
	changes := w.sweep()
	assert.Equal(t, len(changes), 2)
	for _, id := range []string{gone.ID, hidden.ID} {
		_, trusted := w.ENI(id)
		assert.Assert(t, !trusted)
	}
	_, presence := w.look(gone.ID)
	assert.Equal(t, presence, Gone)
	_, presence = w.look(hidden.ID)
	assert.Equal(t, presence, Present)
	w.known(hidden.ID)
}

// TestSweepMissesWhatNobodyEverSaw: created by us and deleted by somebody before a
// read showed it.
func TestSweepMissesWhatNobodyEverSaw(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni := w.create("a", 0)
	w.ec2("DeleteNetworkInterface", "NetworkInterfaceId", eni.ID)
	assert.Equal(t, len(w.sweep()), 0, "it may be not visible yet")
	w.known(eni.ID)
	w.clk.Step(window)
	assert.DeepEqual(t, w.sweep(), []Change{{ENIID: eni.ID, OwnerName: "name-of-a"}})
	_, trusted := w.ENI(eni.ID)
	assert.Assert(t, !trusted)
}

// TestSweepForgetsWhatNobodyAsksFor keeps memory, and notices, from growing with
// ENIs that no resource stands for.
func TestSweepForgetsWhatNobodyAsksFor(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni := w.create("a", 0)
	w.clk.Step(time.Minute)
	w.sweep()
	w.ec2("DeleteNetworkInterface", "NetworkInterfaceId", eni.ID)
	assert.Equal(t, len(w.sweep()), 1)
	assert.Equal(t, len(w.sweep()), 0)
	assert.Equal(t, len(w.enis)+len(w.owners)+len(w.missing)+len(w.Inventory.attached), 0)
}

// TestASlotIsFreeOnceItsENIIsForgotten: the pool of the instance waits for it.
func TestASlotIsFreeOnceItsENIIsForgotten(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	id := w.run("m5.large")
	eni := w.attached("a", id, 1)
	w.clk.Step(time.Minute)
	w.sweep()
	_, _, err := w.Instance(w.ctx, id)
	assert.NilError(t, err)
	w.deleteOutside(eni.ID)
	assert.Equal(t, len(w.sweep()), 1)
	assert.DeepEqual(t, w.sweep(), []Change{{InstanceID: id}})
	instance, _, err := w.Instance(w.ctx, id)
	assert.NilError(t, err)
	_, taken := instance.Interfaces[eni.ID]
	assert.Assert(t, !taken)

	w.server.ResetCalls()
	_, _, err = w.Instance(w.ctx, id)
	assert.NilError(t, err)
	assert.Equal(t, w.calls("DescribeInstances"), 0, "it is read once")
}

// TestTheSlotOfAnENIWithOtherTagsStaysTaken: nobody asks for it, and it is still attached.
func TestTheSlotOfAnENIWithOtherTagsStaysTaken(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	id := w.run("m5.large")
	eni := w.attached("a", id, 1)
	w.clk.Step(time.Minute)
	w.sweep()
	_, _, err := w.Instance(w.ctx, id)
	assert.NilError(t, err)
	w.ec2("CreateTags", "ResourceId.1", eni.ID, "Tag.1.Key", ec2.TagClusterUID, "Tag.1.Value", "another-cluster")
	assert.Equal(t, len(w.sweep()), 1)
	w.sweep()
	instance, _, err := w.Instance(w.ctx, id)
	assert.NilError(t, err)
	_, taken := instance.Interfaces[eni.ID]
	assert.Assert(t, taken)
	slot, free := w.ReserveSlot(id, "eni-x", two)
	assert.Assert(t, free && slot.DeviceIndex == 2, "%v", slot)
}

func TestFailingSweepChangesNothing(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni := w.create("a", 0)
	instance := w.run("m5.large")
	_, _, err := w.Instance(w.ctx, instance)
	assert.NilError(t, err)
	w.sweep()
	w.ec2("AssignPrivateIpAddresses", "NetworkInterfaceId", eni.ID, "SecondaryPrivateIpAddressCount", "1")
	for _, action := range []string{"DescribeNetworkInterfaces", "DescribeInstances"} {
		w.server.AddFault(emulator.Fault{Action: action, Code: "InternalError", Status: 500, Count: 1})
		assert.Equal(t, ec2.Code(w.Sweep(w.ctx)), "InternalError")
		assert.Equal(t, len(w.take()), 0)
		assert.Equal(t, len(w.known(eni.ID).Addresses), 0)
	}
	assert.Equal(t, len(w.sweep()), 1)
}

// TestALeaderReadsAnew: what a standby has read may have changed since.
func TestALeaderReadsAnew(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	elected := make(chan struct{})
	standby := w.fresh(elected)
	assert.NilError(t, standby.Sweep(w.ctx))
	assert.Assert(t, standby.Synced() && !standby.Current())
	ended, end := context.WithCancel(w.ctx)
	end()
	assert.Assert(t, errors.Is(standby.WaitForSync(ended), context.Canceled))

	// Elected while a sweep is on its way: that one began before.
	w.api.answered = func() { close(elected) }
	assert.NilError(t, standby.Sweep(w.ctx))
	assert.Assert(t, !standby.Current())
	assert.NilError(t, standby.Sweep(w.ctx))
	assert.Assert(t, standby.Current())
	assert.NilError(t, standby.WaitForSync(w.ctx))
}

// TestGoneInstancesAreForgotten: once nobody asks for them any more.
func TestGoneInstancesAreForgotten(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	lives, ended, needed := w.run("m5.large"), w.run("m5.large"), w.run("m5.large")
	const unknown = "i-0123456789abcdef0"
	ask := func(id string) Presence {
		_, presence, err := w.Instance(w.ctx, id)
		assert.NilError(t, err)
		return presence
	}
	for _, id := range []string{lives, ended, needed, unknown} {
		ask(id)
	}
	w.ec2("TerminateInstances", "InstanceId.1", ended, "InstanceId.2", needed)
	for range 3 {
		assert.Equal(t, len(w.instances)+len(w.missingInstances), 4)
		w.sweep()
		assert.Equal(t, ask(needed), Gone)
		w.clk.Step(needlessAfter / 2)
	}
	w.sweep()
	assert.DeepEqual(t, slices.Sorted(maps.Keys(w.instances)), slices.Sorted(slices.Values([]string{lives, needed})))
	assert.Equal(t, len(w.missingInstances), 0)
	assert.Equal(t, ask(ended), Gone, "whoever asks again is told again")
	w.ForgetInstance(needed)
	w.ForgetInstance(ended)
	assert.Equal(t, len(w.needlessInstances), 0)
}

// TestSweepsTakeTurnsWithInstances: a large fleet is not read as a whole each time.
func TestSweepsTakeTurnsWithInstances(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	w.perSweep = 2
	var ids []string
	for range 5 {
		id := w.run("m5.large")
		_, presence, err := w.Instance(w.ctx, id)
		assert.NilError(t, err)
		assert.Equal(t, presence, Present)
		ids = append(ids, id)
	}
	w.sweep() // the first of this process
	for _, id := range ids {
		w.ec2("StopInstances", "InstanceId.1", id)
	}
	w.clk.Step(time.Minute)
	stopped := func() (count int) {
		for _, id := range ids {
			if instance, _, err := w.Instance(w.ctx, id); err == nil && instance.State == "stopped" {
				count++
			}
		}
		return count
	}
	var seen []int
	for range 3 {
		w.sweep()
		seen = append(seen, stopped())
	}
	assert.DeepEqual(t, seen, []int{2, 4, 5})
}

func TestNext(t *testing.T) {
	for _, test := range []struct {
		ids   string
		after string
		most  int
		want  string
	}{
		{"", "", 3, ""},
		{"", "b", 3, ""},
		{"a b c", "", 2, "a b"},
		{"a b c", "a", 2, "b c"},
		{"a b c", "b", 2, "c a"},
		{"a b c", "c", 2, "a b"},
		{"a c d", "b", 2, "c d"},
		{"a b c", "b", 5, "c a b"},
	} {
		assert.Equal(t, strings.Join(next(strings.Fields(test.ids), test.after, test.most), " "), test.want, "%+v", test)
	}
}
