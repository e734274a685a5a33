/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestLaggingAnswersAreNoStatement: filters show nothing again and again, and the
// question by id shows the truth.
func TestLaggingAnswersAreNoStatement(t *testing.T) {
	w, _, enis := populated(t, 1)
	for range 3 {
		w.clk.Step(time.Minute)
		w.api.lags = 1
		_, presence := w.look(enis[0])
		assert.Equal(t, presence, Unknown)
		w.known(enis[0])
	}
}

// TestOneLaggingAnswerCondemnsNobody: one read joins many young ENIs.
func TestOneLaggingAnswerCondemnsNobody(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	instance := w.run("m5.large")
	eni := w.attached("a", instance, 1)
	w.look(eni.ID)
	w.clk.Step(window - time.Second)
	w.api.lags = 2
	_, presence := w.look(eni.ID)
	assert.Equal(t, presence, Present)
	assert.Equal(t, len(w.sweep()), 0, "a sweep that does not show it")
	w.known(eni.ID)
}

// TestADeletionIsWrittenThrough: EC2 shows the ENI for a while, and nobody deletes it
// again for that.
func TestADeletionIsWrittenThrough(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	eni := w.create("a", 0)
	w.clk.Step(time.Hour)
	shown, _ := w.look(eni.ID)
	assert.NilError(t, w.Delete(w.ctx, w.ref(eni.ID)))
	w.client = &stub{eni: shown}
	w.clk.Step(window - time.Second)
	_, presence := w.look(eni.ID)
	assert.Equal(t, presence, Unknown, "on its way out")
	assert.Equal(t, w.OwnedBy("a"), "")
	found, err := w.LookByOwner(w.ctx, "a")
	assert.Assert(t, err == nil && len(found) == 0, "nobody adopts it")
	w.clk.Step(time.Second)
	_, presence = w.look(eni.ID)
	assert.Equal(t, presence, Present, "the deletion had no effect after all")

	assert.NilError(t, w.Delete(w.ctx, w.ref(eni.ID)))
	w.client = w.api
	_, presence = w.look(eni.ID)
	assert.Equal(t, presence, Gone, "one absence is enough")
}

// TestAnENIThatOthersDeletedIsGone by EC2's word for its id, and a sweep since.
func TestAnENIThatOthersDeletedIsGone(t *testing.T) {
	w, _, enis := populated(t, 2)
	w.deleteOutside(enis[0])
	w.sweep()
	w.clk.Step(time.Second)
	_, presence := w.look(enis[0])
	assert.Equal(t, presence, Unknown, "the last sweep began before")
	w.clk.Step(censusInterval)
	_, presence = w.look(enis[0])
	assert.Equal(t, presence, Gone)
	_, presence = w.look(enis[1])
	assert.Equal(t, presence, Present)
}

// TestNoENIHasAMalformedID: a status can name any text. EC2 refuses to look for it, and
// that fails no question about another ENI.
func TestNoENIHasAMalformedID(t *testing.T) {
	w, _, enis := populated(t, 1)
	const malformed = "eni-"
	w.sweep()
	w.look(malformed)
	w.clk.Step(window + censusInterval)

	answers, err := w.questionENIs(w.ctx, []string{malformed, enis[0]})
	assert.NilError(t, err)
	assert.DeepEqual(t, answers, map[string]statement{malformed: stated, enis[0]: unstated})
	_, presence := w.look(malformed)
	assert.Equal(t, presence, Gone)
}

// TestAnInstanceThatEC2DoesNotKnowIsAbsent, which is less than gone, until it is shown
// again.
func TestAnInstanceThatEC2DoesNotKnowIsAbsent(t *testing.T) {
	w, instances, _ := populated(t, 2)
	api := &oneHidden{Client: w.api, id: instances[0]}
	w.api.unattached = instances[0]
	w.client = api
	w.clk.Step(time.Minute)
	w.take()
	ask := func() Presence {
		_, presence, err := w.RefreshInstance(w.ctx, instances[0])
		assert.NilError(t, err)
		return presence
	}
	for range 5 {
		assert.Equal(t, ask(), Absent)
	}
	assert.DeepEqual(t, w.take(), []Change{{InstanceID: instances[0]}, {InstanceID: instances[0]}}) // missed, and absent
	api.id = ""
	assert.Equal(t, ask(), Present)
}

// TestWhatAnotherAnswerContradictsIsNoStatement: one action answers as another account
// would, and the other shows that the instance carries the ENI.
func TestWhatAnotherAnswerContradictsIsNoStatement(t *testing.T) {
	w, instances, enis := populated(t, 2)
	w.api.noInstances = true
	for range 3 {
		w.clk.Step(time.Minute)
		w.sweep()
		_, presence, err := w.RefreshInstance(w.ctx, instances[0])
		assert.Assert(t, err == nil && presence != Absent, "%v %v", presence, err)
	}
	w.api.noInstances = false
	w.unshownStaysUnknown(enis[0])
}

// unshownStaysUnknown has EC2 show no ENI for some audits, and then all of them.
func (w *world) unshownStaysUnknown(id string) {
	w.t.Helper()
	w.api.noENIs = true
	for range 5 {
		w.clk.Step(time.Minute)
		w.sweep()
		_, presence := w.look(id)
		assert.Equal(w.t, presence, Unknown)
	}
	w.api.noENIs = false
	_, presence := w.look(id)
	assert.Equal(w.t, presence, Present)
}

// TestAnEC2WithoutENIsStatesNothing: it shows instances and none of their ENIs, and no
// instance carries the ENI, which somebody detached.
func TestAnEC2WithoutENIsStatesNothing(t *testing.T) {
	w, _, enis := populated(t, 2)
	w.clk.Step(time.Minute)
	w.ec2("DetachNetworkInterface", "AttachmentId", w.known(enis[0]).Attachment.ID, "Force", "true")
	w.unshownStaysUnknown(enis[0])
}

// TestWithoutAWitnessNothingIsStated: an EC2 that shows no ENI ceases to show the instances, too,
// after the sweep by which it was trusted. The ENI of a terminated cluster is gone all the same.
func TestWithoutAWitnessNothingIsStated(t *testing.T) {
	for name, row := range map[string]struct {
		knows bool // what instances there were
		ended bool
		want  Presence
	}{
		"they were shown before":    {knows: true, want: Unknown},
		"the process is new":        {want: Unknown},
		"all instances have ended":  {knows: true, ended: true, want: Gone},
		"they ended, and it is new": {ended: true, want: Gone},
	} {
		t.Run(name, func(t *testing.T) {
			w, instances, enis := populated(t, 2)
			w.ec2("DetachNetworkInterface", "AttachmentId", w.known(enis[0]).Attachment.ID, "Force", "true")
			if row.ended {
				w.ec2("TerminateInstances", "InstanceId.1", instances[0], "InstanceId.2", instances[1])
				w.clk.Step(time.Minute)
			}
			if !row.knows {
				w.Inventory = w.fresh(nil)
			}
			w.api.noENIs = true
			w.look(enis[0])
			w.clk.Step(time.Minute)
			w.sweep()
			w.clk.Step(time.Second)
			w.api.noInstances = !row.ended
			for _, id := range instances {
				_, _, err := w.RefreshInstance(w.ctx, id)
				assert.NilError(t, err)
			}
			_, presence := w.look(enis[0])
			assert.Equal(t, presence, row.want)
		})
	}
}

// TestTheLastEmptyAnswerIsNoStatement: EC2 shows nothing until right after the question, so
// that what could contradict the answer is of an EC2 that shows all again.
func TestTheLastEmptyAnswerIsNoStatement(t *testing.T) {
	w, _, enis := populated(t, 2)
	w.ec2("DetachNetworkInterface", "AttachmentId", w.known(enis[0]).Attachment.ID, "Force", "true")
	w.api.emptyAnswers = 1
	there, err := w.asksForENI(w.ctx, enis[0])
	assert.NilError(t, err)
	assert.Assert(t, there)

	w.ec2("DeleteNetworkInterface", "NetworkInterfaceId", enis[0])
	there, err = w.asksForENI(w.ctx, enis[0])
	assert.NilError(t, err)
	assert.Assert(t, !there)
}

// TestAnOwnersENIIsMissedOnlyWhereEC2ShowsENIs: if there is none, another one is made, or the
// finalizer of its resource is removed.
func TestAnOwnersENIIsMissedOnlyWhereEC2ShowsENIs(t *testing.T) {
	w, _, enis := populated(t, 2)
	owner := w.known(enis[0]).Tags[ec2.TagUID]
	w.api.noENIs = true
	found, err := w.LookByOwner(w.ctx, owner)
	assert.ErrorContains(t, err, "EC2 shows no ENIs")
	assert.Equal(t, len(found), 0)
	w.api.noENIs = false

	w.api.emptyAnswers = 1
	found, err = w.LookByOwner(w.ctx, owner)
	assert.NilError(t, err)
	assert.Equal(t, found[0].ID, enis[0], "the first answer was from before it showed any")

	found, err = w.LookByOwner(w.ctx, "nobody")
	assert.NilError(t, err)
	assert.Equal(t, len(found), 0)
}

// oneHidden is an EC2 that does not know one instance.
type oneHidden struct {
	ec2.Client
	id string
}

func (o *oneHidden) DescribeInstances(ctx context.Context, filters ...ec2.Filter) ([]ec2.Instance, error) {
	if o.id != "" && filters[0].Name == ec2.ByID().Name && filters[0].Values[0] == o.id {
		return nil, errNotFound
	}
	instances, err := o.Client.DescribeInstances(ctx, filters...)
	for n := range instances {
		if instances[n].ID == o.id {
			return append(instances[:n:n], instances[n+1:]...), err
		}
	}
	return instances, err
}

// TestATerminatedInstanceStaysGone, though EC2 forgets it after an hour.
func TestATerminatedInstanceStaysGone(t *testing.T) {
	w, instances, _ := populated(t, 2)
	w.ec2("TerminateInstances", "InstanceId.1", instances[0])
	w.clk.Step(time.Minute)
	w.sweep()
	_, presence, err := w.Instance(w.ctx, instances[0])
	assert.Assert(t, err == nil && presence == Gone)
	w.client = &oneHidden{Client: w.api, id: instances[0]}
	w.clk.Step(time.Hour)
	assert.Equal(t, len(w.sweep()), 0)
	_, presence, err = w.RefreshInstance(w.ctx, instances[0])
	assert.Assert(t, err == nil && presence == Gone)
}

// instanceEC2 shows one instance, or none.
type instanceEC2 struct {
	stub
	instance ec2.Instance
	hidden   bool
	reads    int
}

func (f *instanceEC2) DescribeInstances(context.Context, ...ec2.Filter) ([]ec2.Instance, error) {
	f.reads++
	if f.hidden {
		return nil, nil
	}
	return []ec2.Instance{f.instance}, nil
}

func (f *instanceEC2) DescribeNetworkInterfaces(context.Context, ...ec2.Filter) ([]ec2.NetworkInterface, error) {
	return nil, nil
}

func instanceWorld(t *testing.T) (*Inventory, *instanceEC2, func() []Change) {
	t.Helper()
	api := &instanceEC2{instance: ec2.Instance{
		ID: "i-1", Type: "t3.medium", State: "running", VPCID: "vpc-1", SubnetID: "subnet-1", SecurityGroups: []string{"sg-1"},
		Primary: ec2.NetworkInterface{ID: "eni-p", VPCID: "vpc-1", SubnetID: "subnet-1", SecurityGroups: []string{"sg-1"}, Addresses: []string{"10.0.0.9"}},
	}}
	inv := New(api, Options{ClusterUID: clusterUID, VisibilityWindow: window, Clock: clocktesting.NewFakeClock(time.Unix(1e9, 0))})
	var changes []Change
	inv.Subscribe(func(change Change) { changes = append(changes, change) })
	take := func() []Change {
		taken := changes
		changes = nil
		return taken
	}
	_, presence, err := inv.Instance(t.Context(), "i-1")
	assert.Assert(t, err == nil && presence == Present)
	take()
	return inv, api, take
}

func TestAnInstanceThatChangesIsAnnounced(t *testing.T) {
	for name, change := range map[string]func(*ec2.Instance){
		"type":   func(i *ec2.Instance) { i.Type = "m5.4xlarge" },
		"state":  func(i *ec2.Instance) { i.State = "stopped" },
		"subnet": func(i *ec2.Instance) { i.SubnetID = "subnet-2" },
		"groups": func(i *ec2.Instance) { i.SecurityGroups = []string{"sg-2"} },
	} {
		t.Run(name, func(t *testing.T) {
			inv, api, take := instanceWorld(t)
			assert.NilError(t, inv.Sweep(t.Context()))
			assert.Equal(t, len(take()), 0, "as it was")
			change(&api.instance)
			assert.NilError(t, inv.Sweep(t.Context()))
			assert.DeepEqual(t, take(), []Change{{InstanceID: "i-1"}})
		})
	}
}

// TestAnAbsenceIsAnnouncedOnce: a subscriber that asks again at each change ends.
func TestAnAbsenceIsAnnouncedOnce(t *testing.T) {
	inv, api, take := instanceWorld(t)
	api.hidden = true
	assert.NilError(t, inv.Sweep(t.Context()))
	for n := 0; len(take()) > 0; n++ {
		assert.Assert(t, n < 3, "each answer leads to the next question")
		_, _, err := inv.Instance(t.Context(), "i-1")
		assert.NilError(t, err)
	}
	assert.Assert(t, api.reads < 10, "%d", api.reads)
}

// TestStubsReplaceNothing: EC2 shows next to nothing of an instance that is about to be
// terminated, while it still calls it stopped.
func TestStubsReplaceNothing(t *testing.T) {
	inv, api, take := instanceWorld(t)
	before := api.instance
	api.instance = ec2.Instance{ID: "i-1", Type: "t3.medium", State: "stopped", Interfaces: map[string]ec2.Slot{"eni-p": {}},
		Primary: ec2.NetworkInterface{ID: "eni-p", Attachment: &ec2.Attachment{InstanceID: "i-1"}}}
	assert.NilError(t, inv.Sweep(t.Context()))
	known, _, err := inv.Instance(t.Context(), "i-1")
	assert.NilError(t, err)
	assert.Equal(t, known.VPCID+known.SubnetID+known.SecurityGroups[0], before.VPCID+before.SubnetID+before.SecurityGroups[0])
	assert.Equal(t, known.State, "stopped")
	assert.DeepEqual(t, take(), []Change{{InstanceID: "i-1"}})
	primary, ok := inv.ENI("eni-p")
	assert.Assert(t, ok && len(primary.Addresses) == 1)
}
