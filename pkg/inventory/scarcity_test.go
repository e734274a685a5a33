/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

var errLimit = &smithy.GenericAPIError{Code: ec2.CodeAttachmentLimit}

func TestTheLimitOfAnInstanceIsLearned(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	id := w.run("m5.large")
	eni := w.create("a", 0)
	ask := func() {
		t.Helper()
		_, _, err := w.Instance(w.ctx, id)
		assert.NilError(t, err)
		_, _, err = w.InstanceType(w.ctx, "m5.large")
		assert.NilError(t, err)
	}
	refuse := func() {
		t.Helper()
		ask()
		w.client = &stub{err: errLimit}
		assert.Assert(t, w.Attach(w.ctx, w.ref(eni.ID), id, ec2.Slot{DeviceIndex: 1}) != nil)
		w.client = w.api
	}
	learned := func() int32 {
		enis, _ := w.LearnedLimit(id)
		return enis
	}
	assert.Equal(t, learned(), int32(0))
	refuse()
	assert.Equal(t, learned(), int32(1), "it has its primary ENI alone")
	w.clk.Step(learnedFor)
	assert.Equal(t, learned(), int32(0), "tried again")
	refuse()
	w.clk.Step(2*learnedFor - time.Second)
	assert.Equal(t, learned(), int32(1), "twice as long")

	w.Inventory.mu.Lock()
	changed := w.instances[id]
	changed.Type = "m5.4xlarge"
	w.instances[id] = changed
	w.Inventory.mu.Unlock()
	assert.Equal(t, learned(), int32(0), "another type")
}

// TestARefusedPlaceIsTriedLast, where the type has several network cards: another card
// may have room.
func TestARefusedPlaceIsTriedLast(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	id := w.run("m5.large")
	eni := w.create("a", 0)
	_, _, err := w.Instance(w.ctx, id)
	assert.NilError(t, err)
	w.types["m5.large"] = ec2.InstanceType{Name: "m5.large", MaxENIs: 8, CardENIs: []int32{2, 2, 2, 2}}
	slots := w.types["m5.large"].Slots(1)
	first, ok := w.ReserveSlot(id, eni.ID, slots)
	assert.Assert(t, ok)
	w.client = &stub{err: errLimit}
	assert.Assert(t, w.Attach(w.ctx, w.ref(eni.ID), id, first) != nil)
	second, ok := w.ReserveSlot(id, eni.ID, slots)
	assert.Assert(t, ok && second != first, "%v", second)
	_, left := w.LearnedLimit(id)
	assert.Equal(t, left, time.Duration(0))
	w.clk.Step(learnedFor)
	again, _ := w.ReserveSlot(id, eni.ID, slots)
	assert.Equal(t, again, first)
}

func TestRoom(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	assert.Equal(t, w.Room(w.subnet), Room{})
	subnet, _, err := w.RefreshSubnet(w.ctx, w.subnet)
	assert.NilError(t, err)
	assert.Equal(t, w.Room(w.subnet), Room{Known: true, Addresses: subnet.FreeAddresses})

	eni := w.create("a", 0)
	refuse := func(input ec2.AssignInput, code, message string) {
		t.Helper()
		w.client = &stub{err: &smithy.GenericAPIError{Code: code, Message: message}}
		assert.Assert(t, w.assign(eni.ID, input) != nil)
		w.client = w.api
	}
	refuse(ec2.AssignInput{AddressCount: 20}, "InvalidParameterValue", "There aren't sufficient free Ipv4 addresses or prefixes")
	assert.Equal(t, w.Room(w.subnet), Room{Known: true, Addresses: 19}, "some may be free, but not as many")
	refuse(ec2.AssignInput{AddressCount: 1}, "InsufficientFreeAddressesInSubnet", "")
	assert.Equal(t, w.Room(w.subnet), Room{Known: true})
	refuse(ec2.AssignInput{PrefixCount: 1}, "InsufficientCidrBlocks", "")
	assert.Assert(t, w.Room(w.subnet).Fragmented)
	w.clk.Step(fragmentedFor)
	assert.Equal(t, w.Room(w.subnet), Room{}, "old knowledge")
}

// TestOurOwnOrphansTakeSlots: no resource stands for them.
func TestOurOwnOrphansTakeSlots(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	id := w.run("m5.large")
	orphan := w.attached("orphan", id, 1)
	own := w.attached("own", id, 2)
	instance, _, err := w.Instance(w.ctx, id)
	assert.NilError(t, err)
	slots, orphans := w.OtherSlots(instance, map[string]bool{own.ID: true})
	assert.DeepEqual(t, slots, map[ec2.Slot]bool{{}: true, {DeviceIndex: 1}: true})
	assert.DeepEqual(t, orphans, []string{orphan.ID})
}
