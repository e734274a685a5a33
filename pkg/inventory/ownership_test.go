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

// writes are all calls that change an ENI.
var writes = map[string]func(w *world, ref Ref) error{
	"Attach": func(w *world, ref Ref) error {
		return w.Attach(w.ctx, ref, "i-0123456789abcdef0", ec2.Slot{DeviceIndex: 1})
	},
	"Detach": func(w *world, ref Ref) error { return w.Detach(w.ctx, ref, "eni-attach-1", true) },
	"Delete": func(w *world, ref Ref) error { return w.Delete(w.ctx, ref) },
	"Assign": func(w *world, ref Ref) error {
		_, err := w.Assign(w.ctx, ref, ec2.AssignInput{AddressCount: 1})
		return err
	},
	"Unassign": func(w *world, ref Ref) error {
		return w.Unassign(w.ctx, ref, ec2.Assigned{Addresses: []string{"10.0.0.9"}})
	},
	"SetDeleteOnTermination": func(w *world, ref Ref) error { return w.SetDeleteOnTermination(w.ctx, ref, "eni-attach-1", true) },
	"SetSecurityGroups":      func(w *world, ref Ref) error { return w.SetSecurityGroups(w.ctx, ref, []string{"sg-1"}) },
	"SetTags":                func(w *world, ref Ref) error { return w.SetTags(w.ctx, ref, map[string]string{"a": "b"}, nil) },
}

func TestEveryWriteAsksForTheOwner(t *testing.T) {
	ours := tags("a")
	with := func(change func(map[string]string)) map[string]string {
		changed := tags("a")
		change(changed)
		return changed
	}
	for _, test := range []struct {
		name string
		// before are the tags that this process saw, and now those that EC2 shows.
		before, now map[string]string
		owned       bool
	}{
		{"its own", ours, ours, true},
		{"of another cluster", with(func(t map[string]string) { t[ec2.TagClusterUID] = "another" }), nil, false},
		{"of another resource", tags("b"), nil, false},
		{"without tags, never seen otherwise", map[string]string{}, nil, false},
		{"without tags, seen with them", ours, map[string]string{}, true},
		{"without the owner's tag, seen with it", ours, with(func(t map[string]string) { delete(t, ec2.TagUID) }), true},
		{"handed over to another cluster", ours, with(func(t map[string]string) { t[ec2.TagClusterUID] = "another" }), false},
		{"handed over to another resource", ours, tags("b"), false},
	} {
		for name, write := range writes {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				w := newWorld(t, emulator.Options{})
				stub := &stub{eni: ec2.NetworkInterface{ID: "eni-1", Tags: test.before}}
				w.client = stub
				w.look("eni-1")
				if test.now != nil {
					stub.eni.Tags = test.now
					w.clk.Step(time.Hour)
					w.look("eni-1")
				}
				err := write(w, Ref{ID: "eni-1", UID: "a"})
				assert.Equal(t, NotOwned(err), !test.owned, "%v", err)
				assert.Equal(t, stub.wrote > 0, test.owned)
				assert.Assert(t, !ec2.Unclear(err), "nothing was sent")
			})
		}
	}
}

func TestNothingIsWrittenToWhatIsNotKnown(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	for name, write := range writes {
		assert.Assert(t, NotOwned(write(w, Ref{ID: "eni-0123456789abcdef0", UID: "a"})), name)
	}
	assert.Equal(t, len(w.server.Counts()), 0)
}

func TestOfAPrimaryENIAddressesAloneChange(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	instance, _, err := w.Instance(w.ctx, w.run("m5.large"))
	assert.NilError(t, err)
	w.client = &stub{}
	for name, write := range writes {
		err := write(w, Ref{ID: instance.Primary.ID, UID: "a"})
		assert.Equal(t, NotOwned(err), name != "Assign" && name != "Unassign", "%s: %v", name, err)
	}
}

// TestARestoredENIWasSeen: the snapshot of an earlier process is evidence too.
func TestARestoredENIWasSeen(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni := w.create("a", 0)
	w.ec2("DeleteTags", "ResourceId.1", eni.ID, "Tag.1.Key", ec2.TagUID, "Tag.2.Key", ec2.TagClusterUID)
	w.clk.Step(time.Hour)
	for _, restored := range []bool{false, true} {
		w.Inventory = w.fresh(nil)
		if restored {
			w.Restore([]ec2.NetworkInterface{eni})
		}
		w.look(eni.ID)
		err := w.SetTags(w.ctx, Ref{ID: eni.ID, UID: "a"}, map[string]string{"team": "a"}, nil)
		assert.Equal(t, NotOwned(err), !restored, "%v", err)
	}
}

// TestTwoENIsOfOneUID: the one that is in use is chosen, whichever was seen first.
func TestTwoENIsOfOneUID(t *testing.T) {
	free := ec2.NetworkInterface{ID: "eni-1", Tags: tags("a")}
	used := ec2.NetworkInterface{ID: "eni-2", Tags: tags("a"), Attachment: &ec2.Attachment{}}
	other := ec2.NetworkInterface{ID: "eni-3", Tags: tags("a")}
	assert.Assert(t, AdoptFirst(used, free) < 0 && AdoptFirst(free, used) > 0)
	assert.Assert(t, AdoptFirst(free, other) < 0 && AdoptFirst(other, free) > 0)

	w := newWorld(t, emulator.Options{})
	stub := &stub{}
	w.client = stub
	for _, eni := range []ec2.NetworkInterface{other, free, used} {
		stub.eni = eni
		w.look(eni.ID)
		w.known(eni.ID)
	}
	assert.Equal(t, w.OwnedBy("a"), used.ID)
}

// TestAnENIThatWasGivenAwayIsNotOwned, though it was seen with the resource's tags before.
func TestAnENIThatWasGivenAwayIsNotOwned(t *testing.T) {
	for name, given := range map[string]string{"to another cluster": ec2.TagClusterUID, "to another resource": ec2.TagUID} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, emulator.Options{})
			stub := &stub{eni: ec2.NetworkInterface{ID: "eni-1", Tags: tags("a")}}
			w.client = stub
			w.look("eni-1")
			assert.Equal(t, w.OwnedBy("a"), "eni-1")
			stub.eni.Tags = tags("a")
			stub.eni.Tags[given] = "another"
			w.look("eni-1")
			assert.Equal(t, w.OwnedBy("a"), "")
		})
	}
}

// TestOfWhichENIAResourceIsTheSuccessor: of one on its instance that names an earlier resource of
// its name. One that names no resource may be anybody's.
func TestOfWhichENIAResourceIsTheSuccessor(t *testing.T) {
	for _, row := range []struct{ name, uid, want string }{
		{"it names an earlier resource", "earlier", "eni-1"},
		{"it names the resource itself", "a", ""},
		{"it names none", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, emulator.Options{})
			owner := tags("a")
			owner[ec2.TagUID] = row.uid
			w.client = &stub{eni: ec2.NetworkInterface{ID: "eni-1", Tags: owner, Attachment: &ec2.Attachment{InstanceID: "i-1"}}}
			w.look("eni-1")
			assert.Equal(t, w.Predecessor("i-1", owner[ec2.TagName], "a"), row.want)
		})
	}
}

// TestTagsAreReadBeforeSomethingIsTaken: others gave the ENI away since it was last read.
func TestTagsAreReadBeforeSomethingIsTaken(t *testing.T) {
	for name, take := range map[string]func(w *world, ref Ref, known ec2.NetworkInterface) error{
		"detach": func(w *world, ref Ref, known ec2.NetworkInterface) error {
			return w.Detach(w.ctx, ref, known.Attachment.ID, false)
		},
		"unassign": func(w *world, ref Ref, known ec2.NetworkInterface) error {
			return w.Unassign(w.ctx, ref, ec2.Assigned{Addresses: known.Addresses})
		},
		"delete": func(w *world, ref Ref, _ ec2.NetworkInterface) error { return w.Delete(w.ctx, ref) },
	} {
		t.Run(name, func(t *testing.T) {
			w, _, enis := populated(t, 1)
			ref := w.ref(enis[0])
			known := w.known(enis[0])
			w.clk.Step(time.Minute)
			w.ec2("CreateTags", "ResourceId.1", enis[0], "Tag.1.Key", ec2.TagClusterUID, "Tag.1.Value", "another-cluster")
			w.clk.Step(window)
			w.server.ResetCalls()
			err := take(w, ref, known)
			assert.Assert(t, NotOwned(err), "%v", err)
			assert.Equal(t, w.server.Counts()["DescribeNetworkInterfaces"].Calls, 1)
			assert.Equal(t, len(w.server.Counts()), 1)
		})
	}
}
