/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestWriteThrough: our own calls are known at once, without a read.
func TestWriteThrough(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	instance := w.run("m5.large")
	w.server.ResetCalls()
	eni := w.create("a", 2)
	assert.Equal(t, w.OwnedBy("a"), eni.ID)
	assert.Equal(t, len(w.known(eni.ID).Addresses), 2)

	assert.NilError(t, w.Attach(w.ctx, w.ref(eni.ID), instance, ec2.Slot{DeviceIndex: 1}))
	at := w.known(eni.ID).Attachment
	assert.Equal(t, at.Status, ec2.AttachmentAttaching)
	assert.Equal(t, at.InstanceID, instance)

	assert.NilError(t, w.assign(eni.ID, ec2.AssignInput{AddressCount: 2}))
	assert.NilError(t, w.assign(eni.ID, ec2.AssignInput{PrefixCount: 1}))
	addresses := w.known(eni.ID).Addresses
	assert.Equal(t, len(addresses), 4)
	assert.Equal(t, len(w.known(eni.ID).Prefixes), 1)
	assert.NilError(t, w.Unassign(w.ctx, w.ref(eni.ID), ec2.Assigned{Addresses: addresses[:1], Prefixes: w.known(eni.ID).Prefixes}))
	assert.DeepEqual(t, w.known(eni.ID).Addresses, addresses[1:])
	assert.Equal(t, len(w.known(eni.ID).Prefixes), 0)

	assert.NilError(t, w.SetDeleteOnTermination(w.ctx, w.ref(eni.ID), at.ID, true))
	assert.Assert(t, w.known(eni.ID).Attachment.DeleteOnTermination)
	assert.NilError(t, w.SetTags(w.ctx, w.ref(eni.ID), map[string]string{"team": "a", "other": "b"}, nil))
	assert.NilError(t, w.SetTags(w.ctx, w.ref(eni.ID), map[string]string{"team": "c"}, []string{"other"}))
	assert.Equal(t, w.known(eni.ID).Tags["team"], "c")
	_, has := w.known(eni.ID).Tags["other"]
	assert.Assert(t, !has)
	assert.NilError(t, w.Detach(w.ctx, w.ref(eni.ID), at.ID, false))
	assert.Equal(t, w.known(eni.ID).Attachment.Status, ec2.AttachmentDetaching)
	assert.Equal(t, w.calls("DescribeNetworkInterfaces"), 0)
}

// TestWhatIsReturnedIsTheCallersOwn: nobody changes what the inventory knows.
func TestWhatIsReturnedIsTheCallersOwn(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni := w.create("a", 1)
	mine := w.known(eni.ID)
	mine.Tags["x"], mine.Addresses[0] = "y", "changed"
	assert.Assert(t, w.known(eni.ID).Tags["x"] == "" && w.known(eni.ID).Addresses[0] != "changed")
}

// TestAReadNeverUndoesAWrite goes through the writes of each kind. Until the
// visibility window is over, EC2's answer may be the old one.
func TestAReadNeverUndoesAWrite(t *testing.T) {
	instance := "i-0123456789abcdef0"
	for _, test := range []struct {
		name string
		// base is what a read shows first, and stale what it goes on to show.
		base  ec2.NetworkInterface
		write func(w *world, id string) error
		kept  func(eni ec2.NetworkInterface) bool
	}{
		{
			name: "assigned addresses",
			write: func(w *world, id string) error {
				return w.assign(id, ec2.AssignInput{AddressCount: 1})
			},
			kept: func(eni ec2.NetworkInterface) bool { return len(eni.Addresses) == 1 },
		},
		{
			name: "assigned prefixes",
			write: func(w *world, id string) error {
				return w.assign(id, ec2.AssignInput{PrefixCount: 1})
			},
			kept: func(eni ec2.NetworkInterface) bool { return len(eni.Prefixes) == 1 },
		},
		{
			name: "unassigned addresses", base: ec2.NetworkInterface{Addresses: []string{"10.0.0.5", "10.0.0.6"}},
			write: func(w *world, id string) error {
				return w.Unassign(w.ctx, w.ref(id), ec2.Assigned{Addresses: []string{"10.0.0.5"}})
			},
			kept: func(eni ec2.NetworkInterface) bool { return len(eni.Addresses) == 1 && eni.Addresses[0] == "10.0.0.6" },
		},
		{
			name: "an attachment",
			write: func(w *world, id string) error {
				return w.Attach(w.ctx, w.ref(id), instance, ec2.Slot{DeviceIndex: 1})
			},
			kept: func(eni ec2.NetworkInterface) bool { return eni.Attachment != nil },
		},
		{
			name:  "a detachment",
			base:  ec2.NetworkInterface{Attachment: &ec2.Attachment{ID: "a", InstanceID: instance, Status: ec2.AttachmentAttached}},
			write: func(w *world, id string) error { return w.Detach(w.ctx, w.ref(id), "a", false) },
			kept:  func(eni ec2.NetworkInterface) bool { return eni.Attachment.Status == ec2.AttachmentDetaching },
		},
		{
			name:  "deletion on termination",
			base:  ec2.NetworkInterface{Attachment: &ec2.Attachment{ID: "a", InstanceID: instance, Status: ec2.AttachmentAttached}},
			write: func(w *world, id string) error { return w.SetDeleteOnTermination(w.ctx, w.ref(id), "a", true) },
			kept:  func(eni ec2.NetworkInterface) bool { return eni.Attachment.DeleteOnTermination },
		},
		{
			name: "security groups", base: ec2.NetworkInterface{SecurityGroups: []string{"sg-1"}},
			write: func(w *world, id string) error { return w.SetSecurityGroups(w.ctx, w.ref(id), []string{"sg-2"}) },
			kept:  func(eni ec2.NetworkInterface) bool { return eni.SecurityGroups[0] == "sg-2" },
		},
		{
			name: "tags", base: ec2.NetworkInterface{Tags: map[string]string{"b": "old"}},
			write: func(w *world, id string) error {
				return w.SetTags(w.ctx, w.ref(id), map[string]string{"a": "new"}, []string{"b"})
			},
			kept: func(eni ec2.NetworkInterface) bool { return eni.Tags["a"] == "new" && eni.Tags["b"] == "" },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, emulator.Options{})
			stub := &stub{}
			w.client = stub
			test.base.ID = "eni-1"
			owned := tags("a")
			maps.Copy(owned, test.base.Tags)
			test.base.Tags = owned
			stub.eni = test.base
			w.look("eni-1")
			assert.NilError(t, test.write(w, "eni-1"))
			w.clk.Step(window - time.Second)
			eni, _ := w.look("eni-1")
			assert.Assert(t, test.kept(eni), "the old answer is believed within the window: %+v", eni)
			w.clk.Step(time.Second)
			eni, _ = w.look("eni-1")
			assert.Assert(t, same(eni, test.base), "the old answer is not believed after the window: %+v", eni)
		})
	}
}

// stub answers every write with success, and every read with one ENI.
type stub struct {
	ec2.Client
	eni ec2.NetworkInterface
	err error
	// wrote counts the writes.
	wrote int
}

func (s *stub) Backlog(string) (waiting, underway int) { return 0, 0 }

func (s *stub) DescribeNetworkInterfaces(context.Context, ...ec2.Filter) ([]ec2.NetworkInterface, error) {
	return []ec2.NetworkInterface{s.eni}, nil
}

func (s *stub) write() error {
	s.wrote++
	return s.err
}

func (s *stub) AttachNetworkInterface(context.Context, string, string, ec2.Slot) (string, error) {
	s.wrote++
	return "eni-attach-1", s.err
}
func (s *stub) DetachNetworkInterface(context.Context, string, bool) error { return s.write() }
func (s *stub) AssignPrivateAddresses(_ context.Context, _ string, input ec2.AssignInput) (ec2.Assigned, error) {
	s.wrote++
	if input.PrefixCount > 0 {
		return ec2.Assigned{Prefixes: []string{"10.0.0.16/28"}}, s.err
	}
	return ec2.Assigned{Addresses: []string{"10.0.0.9"}}, s.err
}
func (s *stub) UnassignPrivateAddresses(context.Context, string, ec2.Assigned) error {
	return s.write()
}
func (s *stub) DeleteNetworkInterface(context.Context, string) error               { return s.write() }
func (s *stub) SetDeleteOnTermination(context.Context, string, string, bool) error { return s.write() }
func (s *stub) SetSecurityGroups(context.Context, string, []string) error          { return s.write() }
func (s *stub) CreateTags(context.Context, string, map[string]string) error        { return s.write() }
func (s *stub) DeleteTags(context.Context, string, []string) error                 { return s.write() }
func (s *stub) DescribeInstances(context.Context, ...ec2.Filter) ([]ec2.Instance, error) {
	return nil, nil
}
func (s *stub) DescribeSubnets(context.Context, ...ec2.Filter) ([]ec2.Subnet, error) { return nil, nil }
func (s *stub) DescribeSecurityGroups(context.Context, ...ec2.Filter) ([]string, error) {
	return nil, nil
}
func (s *stub) DescribeInstanceTypes(context.Context, []string) ([]ec2.InstanceType, error) {
	return nil, nil
}

// TestOthersAreSeenWithinTheWindow: what a write was not about is believed.
func TestOthersAreSeenWithinTheWindow(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni := w.create("a", 1)
	w.ec2("AssignPrivateIpAddresses", "NetworkInterfaceId", eni.ID, "SecondaryPrivateIpAddressCount", "1")
	now, _ := w.look(eni.ID)
	assert.Equal(t, len(now.Addresses), 2)
}

// TestOneDoubtLeavesTheRest: a failed call about one thing does not take away the
// protection of another that EC2 does not show yet.
func TestOneDoubtLeavesTheRest(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni := w.create("a", 0)
	w.server.SetStaleReads(emulator.StaleReads{NewAddresses: 20 * time.Second})
	assert.NilError(t, w.assign(eni.ID, ec2.AssignInput{AddressCount: 3}))
	w.server.AddFault(emulator.Fault{Action: "CreateTags", Code: "TagLimitExceeded", Count: 1})
	assert.Assert(t, w.SetTags(w.ctx, w.ref(eni.ID), map[string]string{"a": "b"}, nil) != nil)
	_, trusted := w.ENI(eni.ID)
	assert.Assert(t, !trusted)
	looked, _ := w.look(eni.ID)
	assert.Equal(t, len(looked.Addresses), 3)
	assert.Equal(t, looked.Tags["a"], "")
}

// TestProgressIsBelieved follows an attachment within the window of its writes.
func TestProgressIsBelieved(t *testing.T) {
	w := newWorld(t, emulator.Options{Timings: emulator.Timings{
		Attach: emulator.Span{Min: 2 * time.Second, Max: 2 * time.Second}, Detach: emulator.Span{Min: 2 * time.Second, Max: 2 * time.Second},
	}})
	eni := w.attached("a", w.run("m5.large"), 1)
	status := func() string {
		looked, _ := w.look(eni.ID)
		if looked.Attachment == nil {
			return ""
		}
		return looked.Attachment.Status
	}
	assert.Equal(t, status(), ec2.AttachmentAttaching)
	w.clk.Step(3 * time.Second)
	assert.Equal(t, status(), ec2.AttachmentAttached)
	assert.NilError(t, w.Detach(w.ctx, w.ref(eni.ID), eni.Attachment.ID, false))
	assert.Equal(t, status(), ec2.AttachmentDetaching)
	w.clk.Step(3 * time.Second)
	assert.Equal(t, status(), "")
}

func TestProgressTable(t *testing.T) {
	at := func(id, status string) *ec2.Attachment { return &ec2.Attachment{ID: id, Status: status} }
	for _, test := range []struct {
		name                string
		written, read, want *ec2.Attachment
	}{
		{"gone stays gone", nil, at("1", "attached"), nil},
		{"attaching is not there yet", at("1", "attaching"), nil, at("1", "attaching")},
		{"attaching, attached", at("1", "attaching"), at("1", "attached"), at("1", "attached")},
		{"attached is not attaching again", at("1", "attached"), at("1", "attaching"), at("1", "attached")},
		{"attaching, an older attachment shown", at("2", "attaching"), at("1", "detaching"), at("2", "attaching")},
		{"attached, detached by somebody", at("1", "attached"), at("1", "detaching"), at("1", "detaching")},
		{"detaching, still shown attached", at("1", "detaching"), at("1", "attached"), at("1", "detaching")},
		{"detaching, gone", at("1", "detaching"), nil, nil},
	} {
		assert.DeepEqual(t, progress(test.written, test.read), test.want)
	}
}

func TestUnclearIsNotTrustedBeforeALook(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni := w.create("a", 0)
	w.server.AddFault(emulator.Fault{Action: "AssignPrivateIpAddresses", LoseAnswer: true, Count: 1})
	assert.Assert(t, ec2.Unclear(w.assign(eni.ID, ec2.AssignInput{AddressCount: 2})))
	_, trusted := w.ENI(eni.ID)
	assert.Assert(t, !trusted)
	looked, presence := w.look(eni.ID)
	assert.Equal(t, presence, Present)
	assert.Equal(t, len(looked.Addresses), 2)
	assert.Equal(t, len(w.known(eni.ID).Addresses), 2)
}

// TestWhatBecomesClearIsAnnounced: a pool counted the ENI for nothing, and does not look again
// by itself.
func TestWhatBecomesClearIsAnnounced(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	instance := w.run("m5.large")
	eni := w.attached("a", instance, 1)
	_, _, err := w.Instance(w.ctx, instance)
	assert.NilError(t, err)
	w.clk.Step(window)
	w.sweep()
	w.server.AddFault(emulator.Fault{Action: "CreateTags", Code: "InternalError", Status: 500, Count: 1})
	assert.Assert(t, w.SetTags(w.ctx, w.ref(eni.ID), map[string]string{"a": "b"}, nil) != nil)
	w.clk.Step(window)
	assert.DeepEqual(t, w.sweep(), []Change{{InstanceID: instance}})
	assert.Equal(t, len(w.sweep()), 0)
}

// TestDoubt: until a read shows the outcome of calls that nobody here knows, the
// addresses may not be all.
func TestDoubt(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	w.sweep()
	led := w.clk.Now()
	eni := w.create("a", 0)
	assert.Equal(t, w.DoubtAddresses(eni.ID), Doubt{}, "created here")

	w.server.AddFault(emulator.Fault{Action: "AssignPrivateIpAddresses", LoseAnswer: true, Count: 1})
	assert.Assert(t, ec2.Unclear(w.assign(eni.ID, ec2.AssignInput{AddressCount: 2})))
	w.look(eni.ID)
	unclear := Doubt{Until: led.Add(window)}
	assert.Equal(t, w.DoubtAddresses(eni.ID), unclear, "a look at once")
	w.clk.Step(window)
	assert.Equal(t, w.DoubtAddresses(eni.ID), unclear, "no look since")
	w.look(eni.ID)
	assert.Equal(t, w.DoubtAddresses(eni.ID), Doubt{}, "a look late enough")

	w.server.AddFault(emulator.Fault{Action: "AssignPrivateIpAddresses", Code: "RequestLimitExceeded", Status: 503, Count: 1})
	assert.Assert(t, w.assign(eni.ID, ec2.AssignInput{AddressCount: 2}) != nil)
	assert.Equal(t, w.DoubtAddresses(eni.ID), Doubt{}, "refused for sure")
}

func TestANewProcessDoubtsWhatItReads(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni := w.create("a", 2)
	elected := make(chan struct{})
	w.Inventory = w.fresh(elected)
	w.sweep()
	w.clk.Step(time.Hour)
	close(elected)
	w.sweep()
	inherited := Doubt{Until: w.clk.Now().Add(window), Inherited: true}
	assert.Equal(t, w.DoubtAddresses(eni.ID), inherited)
	w.clk.Step(window - time.Second)
	w.look(eni.ID)
	assert.Equal(t, w.DoubtAddresses(eni.ID), inherited, "a look too early")
	w.clk.Step(time.Second)
	w.look(eni.ID)
	assert.Equal(t, w.DoubtAddresses(eni.ID), Doubt{})
}

// TestChangesOfOthersCastDoubt: also on an ENI that this process created, and anew
// with each change.
func TestChangesOfOthersCastDoubt(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	w.sweep()
	eni := w.create("a", 2)
	w.clk.Step(time.Hour)
	w.ChangedByOthers(eni.ID)
	w.ChangedByOthers("eni-of-nobody")
	_, trusted := w.ENI(eni.ID)
	assert.Assert(t, !trusted)
	w.look(eni.ID)
	assert.Equal(t, w.DoubtAddresses(eni.ID), Doubt{Until: w.clk.Now().Add(window), Inherited: true}, "a look at once")
	w.clk.Step(window - time.Second)
	w.ChangedByOthers(eni.ID)
	w.clk.Step(time.Second)
	w.look(eni.ID)
	assert.Equal(t, w.DoubtAddresses(eni.ID).Until, w.clk.Now().Add(window-time.Second), "changed again")
	w.clk.Step(window)
	w.look(eni.ID)
	assert.Equal(t, w.DoubtAddresses(eni.ID), Doubt{})
}

// TestAnEarlierReadDoesNotClearUp: a sweep was on its way when a call's answer was
// lost. What it shows is from before the call.
func TestAnEarlierReadDoesNotClearUp(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni := w.create("a", 0)
	w.clk.Step(time.Hour)
	w.api.answered = func() {
		w.clk.Step(time.Second)
		w.server.AddFault(emulator.Fault{Action: "AssignPrivateIpAddresses", LoseAnswer: true, Count: 1})
		assert.Assert(t, ec2.Unclear(w.assign(eni.ID, ec2.AssignInput{AddressCount: 2})))
	}
	w.sweep()
	_, trusted := w.ENI(eni.ID)
	assert.Assert(t, !trusted, "a read from before the call is believed")
	looked, _ := w.look(eni.ID)
	assert.Equal(t, len(looked.Addresses), 2)
}

// TestThrottledIsNoDoubt: what EC2 refused unseen changes nothing.
func TestThrottledIsNoDoubt(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni := w.create("a", 0)
	for _, code := range []string{"RequestLimitExceeded", "UnauthorizedOperation", "InsufficientFreeAddressesInSubnet"} {
		w.server.AddFault(emulator.Fault{Action: "AssignPrivateIpAddresses", Code: code, Count: 1})
		assert.Equal(t, ec2.Code(w.assign(eni.ID, ec2.AssignInput{AddressCount: 2})), code)
		w.known(eni.ID)
	}
	for _, code := range []string{"InvalidParameterValue", "PrivateIpAddressLimitExceeded", "IncorrectState", "InvalidNetworkInterfaceID.NotFound"} {
		w.server.AddFault(emulator.Fault{Action: "AssignPrivateIpAddresses", Code: code, Count: 1})
		assert.Equal(t, ec2.Code(w.assign(eni.ID, ec2.AssignInput{AddressCount: 2})), code)
		_, trusted := w.ENI(eni.ID)
		assert.Assert(t, !trusted, code)
		w.look(eni.ID)
	}
}

func TestPresence(t *testing.T) {
	t.Run("seen before: gone at the first NotFound, but not while it is young", func(t *testing.T) {
		w := newWorld(t, emulator.Options{})
		eni := w.create("a", 0)
		w.look(eni.ID)
		w.ec2("DeleteNetworkInterface", "NetworkInterfaceId", eni.ID)
		w.clk.Step(window - time.Second)
		_, presence := w.look(eni.ID)
		assert.Equal(t, presence, Present)
		w.clk.Step(time.Second)
		_, presence = w.look(eni.ID)
		assert.Equal(t, presence, Gone)
		assert.Equal(t, w.OwnedBy("a"), "")
		_, presence = w.look(eni.ID)
		assert.Equal(t, presence, Gone, "and stays so")
	})
	t.Run("never seen: gone after two, a window apart", func(t *testing.T) {
		w := newWorld(t, emulator.Options{})
		for _, step := range []struct {
			after time.Duration
			want  Presence
		}{{0, Unknown}, {window - time.Second, Unknown}, {time.Second, Gone}, {0, Gone}} {
			w.clk.Step(step.after)
			_, presence := w.look("eni-0123456789abcdef0")
			assert.Equal(t, presence, step.want)
		}
	})
	t.Run("created just now: present, though not visible yet", func(t *testing.T) {
		w := newWorld(t, emulator.Options{Stale: emulator.StaleReads{NewENIs: 10 * time.Second}})
		eni := w.create("a", 0)
		_, presence := w.look(eni.ID)
		assert.Equal(t, presence, Present)
		w.clk.Step(window)
		_, presence = w.look(eni.ID)
		assert.Equal(t, presence, Present)
	})
	t.Run("created just now, and a call met NotFound: unknown until it shows", func(t *testing.T) {
		w := newWorld(t, emulator.Options{Stale: emulator.StaleReads{NewENIs: 10 * time.Second}})
		eni := w.create("a", 0)
		assert.Equal(t, ec2.Classify(w.assign(eni.ID, ec2.AssignInput{AddressCount: 1})), ec2.ClassNotFound)
		_, presence := w.look(eni.ID)
		assert.Equal(t, presence, Unknown)
		w.clk.Step(10 * time.Second)
		_, presence = w.look(eni.ID)
		assert.Equal(t, presence, Present)
	})
	t.Run("a miss long ago does not count for an ENI that came since", func(t *testing.T) {
		w := newWorld(t, emulator.Options{Stale: emulator.StaleReads{NewENIs: 10 * time.Second}})
		eni := w.create("a", 0)
		other := w.fresh(nil)
		_, presence, err := other.Look(w.ctx, eni.ID)
		assert.NilError(t, err)
		assert.Equal(t, presence, Unknown)
		w.clk.Step(time.Hour)
		assert.NilError(t, other.Sweep(w.ctx))
		other.mu.Lock()
		defer other.mu.Unlock()
		assert.Equal(t, len(other.missing), 0)
	})
	t.Run("a read that fails says nothing", func(t *testing.T) {
		w := newWorld(t, emulator.Options{})
		eni := w.create("a", 0)
		w.look(eni.ID)
		w.server.AddFault(emulator.Fault{Action: "DescribeNetworkInterfaces", Code: "InternalError", Status: 500, Count: 1})
		_, presence, err := w.Look(w.ctx, eni.ID)
		assert.Assert(t, err != nil && presence == Unknown)
		w.known(eni.ID)
	})
	t.Run("a read on its way does not bring back what went", func(t *testing.T) {
		w := newWorld(t, emulator.Options{})
		eni := w.create("a", 0)
		w.look(eni.ID)
		w.api.answered = func() {
			w.clk.Step(time.Second)
			assert.NilError(t, w.Delete(w.ctx, w.ref(eni.ID)))
			_, presence := w.look(eni.ID)
			assert.Equal(t, presence, Gone)
		}
		w.sweep()
		_, known := w.ENI(eni.ID)
		assert.Assert(t, !known)
		assert.Equal(t, w.OwnedBy("a"), "")
	})
}

func TestTheSameTokenIsTheSameENI(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni := w.create("a", 0)
	assert.NilError(t, w.assign(eni.ID, ec2.AssignInput{AddressCount: 2}))
	again := w.create("a", 0)
	assert.Equal(t, again.ID, eni.ID)
	assert.Equal(t, len(again.Addresses), 2, "the answer is older than what is known")
}

func TestForeignENIsHaveNoOwner(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	foreign := tags("a")
	foreign[ec2.TagClusterUID] = "another"
	eni, err := w.Create(w.ctx, ec2.CreateInput{SubnetID: w.subnet, Tags: foreign, ClientToken: "x"})
	assert.NilError(t, err)
	w.look(eni.ID)
	assert.Equal(t, w.OwnedBy("a"), "")
	enis, err := w.LookByOwner(w.ctx, "a")
	assert.NilError(t, err)
	assert.Equal(t, len(enis), 0)
}

func TestLookByOwner(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni := w.create("a", 1)
	w.create("b", 0)
	other := w.fresh(nil)
	enis, err := other.LookByOwner(w.ctx, "a")
	assert.NilError(t, err)
	assert.Equal(t, len(enis), 1)
	assert.Equal(t, enis[0].ID, eni.ID)
	known, ok := other.ENI(eni.ID)
	assert.Assert(t, ok && len(known.Addresses) == 1)
	assert.Equal(t, other.OwnedBy("a"), eni.ID)
}

// TestRestoredENIsAreLookedAt: what an earlier process knew is found, not trusted.
func TestRestoredENIsAreLookedAt(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni, gone := w.create("a", 1), w.create("b", 1)
	w.ec2("DeleteNetworkInterface", "NetworkInterfaceId", gone.ID)
	other := w.fresh(nil)
	old := eni
	old.Addresses = nil
	other.Restore([]ec2.NetworkInterface{old, gone})
	_, trusted := other.ENI(eni.ID)
	assert.Assert(t, !trusted)
	w.clk.Step(time.Second)
	assert.NilError(t, other.Sweep(w.ctx))
	known, trusted := other.ENI(eni.ID)
	assert.Assert(t, trusted && len(known.Addresses) == 1)
	assert.Equal(t, other.OwnedBy("a"), eni.ID)
	_, presence, err := other.Look(w.ctx, gone.ID)
	assert.Assert(t, err == nil && presence == Gone, "it was seen before")
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	instance := w.run("m5.4xlarge")
	var done sync.WaitGroup
	for n := range 6 {
		done.Go(func() {
			uid := fmt.Sprint(n)
			eni := w.create(uid, 1)
			slots := ec2.InstanceType{CardENIs: []int32{8}}.Slots(1)
			slot, ok := w.ReserveSlot(instance, eni.ID, slots)
			assert.Check(t, ok)
			assert.Check(t, w.Attach(w.ctx, w.ref(eni.ID), instance, slot))
			w.FreeSlot(instance, eni.ID)
			_, _, err := w.Look(w.ctx, eni.ID)
			assert.Check(t, err)
			_, _, err = w.Instance(w.ctx, instance)
			assert.Check(t, err)
			assert.Check(t, w.SetTags(w.ctx, w.ref(eni.ID), map[string]string{"n": uid}, nil))
			assert.Check(t, w.assign(eni.ID, ec2.AssignInput{AddressCount: 1}))
			assert.Check(t, w.Sweep(w.ctx))
			w.OtherSlots(ec2.Instance{Interfaces: map[string]ec2.Slot{eni.ID: slot}}, nil)
			w.OwnedBy(uid)
			w.known(eni.ID)
		})
	}
	done.Wait()
	instanceNow, _, err := w.RefreshInstance(w.ctx, instance)
	assert.NilError(t, err)
	assert.Equal(t, len(instanceNow.Interfaces), 7)
}

// TestFailedFlagDoesNotUndoAnAttachment: a failed change of deleteOnTermination says
// nothing against the attachment, and a stale read after it must not take it away.
func TestFailedFlagDoesNotUndoAnAttachment(t *testing.T) {
	const lag = 5 * time.Second
	w := newWorld(t, emulator.Options{})
	instance := w.run("m5.large")
	eni := w.create("a", 2)
	// Some fault with a lag has the emulator remember the past.
	t.Cleanup(w.server.AddFault(emulator.Fault{Action: "DescribeVpcs", Stale: lag}))
	w.clk.Step(2 * lag)
	assert.NilError(t, w.Attach(w.ctx, w.ref(eni.ID), instance, ec2.Slot{DeviceIndex: 1}))

	w.clk.Step(time.Second)
	w.server.AddFault(emulator.Fault{Action: "ModifyNetworkInterfaceAttribute", Count: 1, Code: "InternalError", Status: 500})
	assert.Assert(t, w.SetDeleteOnTermination(w.ctx, w.ref(eni.ID), w.known(eni.ID).Attachment.ID, true) != nil)

	w.server.AddFault(emulator.Fault{Action: "DescribeNetworkInterfaces", Count: 1, Stale: lag})
	looked, _, err := w.Look(w.ctx, eni.ID)
	assert.NilError(t, err)
	assert.Assert(t, looked.Attachment != nil, "a stale read has undone the attachment")
}
