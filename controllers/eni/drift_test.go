/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"k8s.io/utils/ptr"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

const poolName = "node-a"

// take has somebody else take an address from the ENI, and the next sweep find out.
func (w *world) take(address v1alpha1.Address) {
	w.t.Helper()
	w.clock.Step(time.Minute) // Reads show what the operator did.
	w.ec2("UnassignPrivateIpAddresses", "NetworkInterfaceId", w.eni().Status.NetworkInterfaceID, "PrivateIpAddress.1", string(address))
}

func (w *world) sweep() {
	w.t.Helper()
	assert.NilError(w.t, w.reconciler.inventory.Sweep(w.t.Context()))
	w.mustSettle()
}

func released(addresses ...v1alpha1.Address) []v1alpha1.AddressOrPrefix {
	return typed[v1alpha1.AddressOrPrefix](stringsOf(addresses))
}

// TestWhatVanishesIsReported: the pool says whether it is to be had again, or given
// up and replaced.
func TestWhatVanishesIsReported(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3, PoolName: poolName, InstanceID: w.instance})
	w.mustSettle()
	held, free := w.eni().Status.Addresses[0], w.eni().Status.Addresses[1]
	w.take(held)
	w.take(free)
	w.sweep()
	assert.DeepEqual(t, w.eni().Status.Missing, released(held, free))
	assert.Equal(t, len(w.eni().Status.Addresses), 1)
	assert.Equal(t, w.calls("AssignPrivateIpAddresses"), 0, "replaced before the pool said so")

	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False InProgress")
	assert.Assert(t, strings.Contains(message(w.eni()), string(held)+" vanished"), message(w.eni()))

	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Spec.Reclaim, eni.Spec.Release = released(held), released(free)
	})
	w.mustSettle()
	status := w.eni().Status
	assert.Equal(t, len(status.Missing)+len(status.Lost), 0)
	assert.Assert(t, strings.Contains(strings.Join(stringsOf(status.Addresses), " "), string(held)))
	assert.Equal(t, w.calls("AssignPrivateIpAddresses"), 1, "the held one, by name")
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Reclaim, eni.Spec.Release = nil, nil })
	w.mustSettle()
	w.assertAgrees()
	assert.Equal(t, len(w.eni().Status.Addresses), 3, "the other one is replaced")
}

// TestWhatEC2DoesNotShowIsDoubtful: a status from before another process was in charge may be
// better than what EC2 shows, or an older one that was restored.
func TestWhatEC2DoesNotShowIsDoubtful(t *testing.T) {
	status := &v1alpha1.ElasticNetworkInterfaceStatus{
		Addresses: []v1alpha1.Address{"10.0.0.5", "10.0.0.6", "10.0.0.7"}, Prefixes: []v1alpha1.Prefix{"10.0.1.0/28", "10.0.1.16/28"},
	}
	known := ec2.NetworkInterface{Addresses: []string{"10.0.0.5", "10.0.0.7"}, Prefixes: []string{"10.0.1.16/28"}}
	assert.DeepEqual(t, doubtful(status, known, []v1alpha1.AddressOrPrefix{"10.0.0.7"}), []v1alpha1.AddressOrPrefix{"10.0.0.6", "10.0.0.7", "10.0.1.0/28"})
	known.Addresses, known.Prefixes = []string{"10.0.0.5", "10.0.0.6", "10.0.0.7"}, []string{"10.0.1.0/28", "10.0.1.16/28"}
	assert.Equal(t, len(doubtful(status, known, nil)), 0)
}

// TestWhatIsOnTwoENIsIsDoubtful until EC2 shows it on one alone.
func TestWhatIsOnTwoENIsIsDoubtful(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 2, PoolName: poolName, InstanceID: w.instance})
	w.mustSettle()
	inv := w.reconciler.inventory
	eni := w.eni()
	moved := eni.Status.Addresses[0]
	known, ok := inv.ENI(eni.Status.NetworkInterfaceID)
	assert.Assert(t, ok)
	w.take(moved)
	other, err := w.api.CreateNetworkInterface(t.Context(), ec2.CreateInput{SubnetID: w.subnets[0], ClientToken: "theirs"})
	assert.NilError(t, err)
	w.ec2("AssignPrivateIpAddresses", "NetworkInterfaceId", other.ID, "PrivateIpAddress.1", string(moved))
	w.clock.Step(10 * time.Minute)
	_, _, err = inv.Look(t.Context(), other.ID)
	assert.NilError(t, err)

	assert.NilError(t, w.reconciler.describe(t.Context(), eni, known))
	assert.DeepEqual(t, eni.Status.Doubtful, released(moved))
	w.mustSettle()
	assert.Equal(t, len(w.eni().Status.Doubtful), 0, "it was looked at, and is not there any more")
	assert.DeepEqual(t, w.eni().Status.Missing, released(moved))
}

// TestWhatOthersTookIsLost: EC2 refuses it twice, a visibility window apart.
func TestWhatOthersTookIsLost(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 2, PoolName: poolName, InstanceID: w.instance})
	w.mustSettle()
	held := w.eni().Status.Addresses[0]
	w.take(held)
	w.ec2("CreateNetworkInterface", "SubnetId", w.subnets[0], "PrivateIpAddress", string(held))
	w.sweep()
	w.drain()
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Reclaim = released(held) })
	w.mustSettle()
	assert.DeepEqual(t, w.eni().Status.Lost, released(held))
	assert.Equal(t, len(w.eni().Status.Addresses), 2, "another takes its place")
	assert.Equal(t, w.calls("AssignPrivateIpAddresses"), 3)
	assert.Assert(t, strings.Contains(strings.Join(w.drain(), "\n"), "AddressLost "+string(held)+" vanished"))
	w.sweep()
	assert.Equal(t, w.calls("AssignPrivateIpAddresses"), 3, "asked again")

	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Reclaim, eni.Spec.Release = nil, released(held) })
	w.mustSettle()
	assert.Equal(t, len(w.eni().Status.Missing)+len(w.eni().Status.Lost), 0)
	w.assertAgrees()
}

// inUse has the resource deleted while its pool says that claims hold something of it.
func (w *world) inUse(spec v1alpha1.ElasticNetworkInterfaceSpec) {
	w.t.Helper()
	spec.PoolName = "pool"
	spec.InstanceID = w.instance
	assert.NilError(w.t, w.kube.Create(w.t.Context(), w.pool(w.instance)))
	w.create(spec)
	w.mustSettle()
	w.delete()
}

// turn reconciles a few times: an ENI that waits for its claims never settles.
func (w *world) turn() {
	w.t.Helper()
	for range 8 {
		result, err := w.once()
		assert.NilError(w.t, err)
		w.clock.Step(result.RequeueAfter)
	}
}

// lookAgain has a sweep find what others changed.
func (w *world) lookAgain() {
	w.t.Helper()
	assert.NilError(w.t, w.reconciler.inventory.Sweep(w.t.Context()))
	w.turn()
}

// TestWhatVanishesFromAnENIInUseIsHadBack, though the resource is being deleted: the
// claims on it know nothing of that. It takes nothing beyond what they hold.
func TestWhatVanishesFromAnENIInUseIsHadBack(t *testing.T) {
	kinds := map[string]v1alpha1.ElasticNetworkInterfaceSpec{
		"secondary": {AddressCount: 3},
		"primary":   {AddressCount: 3, DeviceIndex: ptr.To[int32](0), Mode: v1alpha1.ModeShared},
	}
	for name, spec := range kinds {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, newEndpoint(t), emulator.Options{})
			w.inUse(spec)
			held, free := w.eni().Status.Addresses[0], w.eni().Status.Addresses[1]
			w.take(held)
			w.take(free)
			w.server.ResetCalls()
			w.lookAgain()
			assert.DeepEqual(t, w.eni().Status.Missing, released(held, free))
			assert.Equal(t, w.calls("AssignPrivateIpAddresses"), 0, "assigned before the pool said so")

			w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
				eni.Spec.Reclaim = released(held)
				eni.Spec.Release = released(free)
			})
			w.turn()
			w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
				eni.Spec.Reclaim = nil
				eni.Spec.Release = nil
			})
			w.turn()
			status := w.eni().Status
			assert.Equal(t, len(status.Missing)+len(status.Lost), 0)
			assert.Equal(t, len(status.Addresses), 2)
			assert.Assert(t, slices.Contains(status.Addresses, held))
			assert.Equal(t, w.calls("AssignPrivateIpAddresses"), 1, "the held one alone, by name")
			assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False WaitingForDrain")
			assert.Equal(t, w.calls("DetachNetworkInterface"), 0)
		})
	}
}

// TestWhatOthersTookFromAnENIInUseIsLost, and stays so, though the resource is being
// deleted.
func TestWhatOthersTookFromAnENIInUseIsLost(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.inUse(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 2})
	held := w.eni().Status.Addresses[0]
	w.take(held)
	w.ec2("CreateNetworkInterface", "SubnetId", w.subnets[0], "PrivateIpAddress", string(held))
	w.lookAgain()
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Reclaim = released(held) })
	result, err := w.once()
	assert.NilError(t, err)
	assert.Equal(t, result.RequeueAfter, w.reconciler.options.VisibilityWindow, "no longer than it takes to be sure")
	w.turn()
	w.lookAgain()
	assert.DeepEqual(t, w.eni().Status.Lost, released(held))
	assert.DeepEqual(t, w.eni().Status.Missing, released(held))
	assert.Equal(t, w.calls("AssignPrivateIpAddresses"), 2, "asked for once more, a visibility window later")
	assert.Equal(t, len(w.eni().Status.Addresses), 1, "nothing takes its place")

	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Spec.Reclaim = nil
		eni.Spec.Drained = true
	})
	w.mustSettle()
	assert.Assert(t, !w.exists())
}

// TestWhatIsGivenUpIsNotAssignedAtOnce: the subnet has nothing but the very address.
func TestWhatIsGivenUpIsNotAssignedAtOnce(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3, PoolName: poolName, InstanceID: w.instance})
	w.mustSettle()
	free := w.eni().Status.Addresses[0]
	w.take(free)
	w.fill(w.subnets[0], 250-4)
	w.sweep()
	w.server.ResetCalls()
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Release = released(free) })
	w.mustSettle()
	assert.Equal(t, len(w.story()), 0, "%v", w.story())
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Release = nil })
	w.mustSettle()
	assert.DeepEqual(t, w.story(), []string{"AssignPrivateIpAddresses"})
	w.assertAgrees()
}

// TestWhatIsInUseIsLost, unless it was so for a moment only: EC2's reads and writes
// agree with each other after a while.
func TestWhatIsInUseIsLost(t *testing.T) {
	for _, code := range []string{"InvalidIPAddress.InUse", "PrivateIpAddressLimitExceeded"} {
		for refusals, lost := range map[int]bool{1: false, 2: true} {
			t.Run(fmt.Sprintf("%s %d times", code, refusals), func(t *testing.T) {
				w := newWorld(t, newEndpoint(t), emulator.Options{})
				w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3, PoolName: poolName, InstanceID: w.instance})
				w.mustSettle()
				held := w.eni().Status.Addresses[0]
				w.take(held)
				w.sweep()
				w.server.AddFault(emulator.Fault{Action: "AssignPrivateIpAddresses", Code: code, Count: refusals})
				w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Reclaim = released(held) })
				began := w.clock.Now()
				w.mustSettle()
				assert.Equal(t, slices.Contains(w.eni().Status.Lost, v1alpha1.AddressOrPrefix(held)), lost)
				assert.Equal(t, slices.Contains(w.eni().Status.Addresses, held), !lost)
				assert.Assert(t, w.clock.Since(began) >= 30*time.Second)
			})
		}
	}
}

// TestAnENIThatTakesNoMoreIsAskedTwice, however many of its addresses claims hold: the
// refusal is about the ENI.
func TestAnENIThatTakesNoMoreIsAskedTwice(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 9, PoolName: poolName, InstanceID: w.instance})
	w.mustSettle()
	held := w.eni().Status.Addresses[:8]
	for _, address := range held {
		w.take(address)
	}
	w.sweep()
	id := w.eni().Status.NetworkInterfaceID
	w.ec2("AssignPrivateIpAddresses", "NetworkInterfaceId", id, "SecondaryPrivateIpAddressCount", "8") // An m5.large carries nine.
	w.sweep()
	w.server.ResetCalls()
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Reclaim = released(held...) })
	w.mustSettle()
	assert.DeepEqual(t, w.eni().Status.Lost, released(held...))
	assert.Equal(t, w.calls("AssignPrivateIpAddresses"), 2)
}

// TestWhatVanishesFromAPersonsENIIsReplaced: no claim can hold it.
func TestWhatVanishesFromAPersonsENIIsReplaced(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 2})
	w.mustSettle()
	w.take(w.eni().Status.Addresses[0])
	w.sweep()
	assert.Equal(t, len(w.eni().Status.Missing), 0)
	assert.Equal(t, w.calls("AssignPrivateIpAddresses"), 1)
	w.assertAgrees()
}

// TestGroupsAndTagsOfOthersHandsAreRepaired: only tags that are the operator's are.
func TestGroupsAndTagsOfOthersHandsAreRepaired(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{
		Tags: map[string]v1alpha1.TagValue{"team": "payments"}, SecurityGroupIDs: []v1alpha1.SecurityGroupID{v1alpha1.SecurityGroupID(w.group)},
	})
	w.mustSettle()
	w.clock.Step(time.Minute)
	id := w.eni().Status.NetworkInterfaceID
	vpc := first(t, w.ec2("DescribeSubnets", "SubnetId.1", w.subnets[0]), "vpcId")
	other := first(t, w.ec2("CreateSecurityGroup", "VpcId", vpc, "GroupName", "other", "GroupDescription", "other"), "groupId")
	w.ec2("ModifyNetworkInterfaceAttribute", "NetworkInterfaceId", id, "SecurityGroupId.1", other)
	w.ec2("CreateTags", "ResourceId.1", id, "Tag.1.Key", "team", "Tag.1.Value", "billing", "Tag.2.Key", "note", "Tag.2.Value", "mine")
	w.sweep()
	w.assertAgrees()
	assert.DeepEqual(t, w.only().SecurityGroups, []string{w.group})
	assert.Equal(t, w.only().Tags["team"], "payments")
	assert.Equal(t, w.only().Tags["note"], "mine")
}

// TestAnENIThatGotTooMuchWhileItWasDetached expects its status to say what it carries, and
// that it is not attached, so that its pool gives back what nobody holds; EC2 attaches it then.
func TestAnENIThatGotTooMuchWhileItWasDetached(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 9})
	w.mustSettle()
	before := w.eni().Status
	w.ec2("DetachNetworkInterface", "AttachmentId", before.Attachment.ID, "Force", "true")
	w.clock.Step(time.Minute)
	w.ec2("AssignPrivateIpAddresses", "NetworkInterfaceId", before.NetworkInterfaceID, "SecondaryPrivateIpAddressCount", "2")
	assert.NilError(t, w.reconciler.inventory.Sweep(t.Context()))
	_, err := w.once()
	assert.ErrorContains(t, err, codeAddressLimit)
	status := w.eni().Status
	assert.Assert(t, status.Attachment == nil)
	assert.Equal(t, status.State, v1alpha1.ENIAttaching)
	assert.Equal(t, len(status.Addresses), 11)

	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
		for _, address := range status.Addresses {
			if !slices.Contains(before.Addresses, address) {
				eni.Spec.Release = append(eni.Spec.Release, v1alpha1.AddressOrPrefix(address))
			}
		}
	})
	w.clock.Step(time.Minute)
	w.mustSettle()
	assert.DeepEqual(t, w.eni().Status.Addresses, before.Addresses)
	assert.Assert(t, w.eni().Status.Attachment != nil)
}
