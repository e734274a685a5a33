/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// populated is a world with nodes, each of which has an attached ENI, and which the
// cluster expects to be there.
func populated(t *testing.T, nodes int) (w *world, instances, enis []string) {
	t.Helper()
	w = newWorld(t, emulator.Options{})
	for n := range nodes {
		instance := w.run("m5.large")
		eni := w.attached(string(rune('a'+n)), instance, 1)
		instances, enis = append(instances, instance), append(enis, eni.ID)
		w.expected.ENIs = append(w.expected.ENIs, ExpectedENI{ID: eni.ID, InstanceID: instance})
	}
	w.expected.Instances = instances
	w.expected.Zones = []string{region + "a"}
	w.clk.Step(time.Hour)
	w.sweep()
	assert.Assert(t, !w.Trust().Broken, w.Trust().Message)
	return w, instances, enis
}

// staysUnknown asserts that an instance and an ENI are neither present nor gone, however
// often EC2 is asked.
func (w *world) staysUnknown(instance, eni string) {
	w.t.Helper()
	for range 3 {
		w.clk.Step(window)
		_, presence, err := w.RefreshInstance(w.ctx, instance)
		assert.NilError(w.t, err)
		assert.Equal(w.t, presence, Unknown)
		_, presence = w.look(eni)
		assert.Equal(w.t, presence, Unknown)
	}
}

func TestAnEmptyAccountIsNotBelieved(t *testing.T) {
	w, instances, enis := populated(t, 2)
	var told []string
	w.SubscribeTrust(func(now Trust) { told = append(told, now.Reason) })
	w.api.blind = true
	w.sweep()
	assert.Equal(t, w.Trust().Reason, v1alpha1.ReasonNothingKnown)

	w.staysUnknown(instances[0], enis[0])
	for name, write := range writes {
		err := write(w, Ref{ID: enis[1], UID: "b"})
		assert.Assert(t, Distrusted(err), "%s: %v", name, err)
		reason, message := ec2.Explain(err)
		assert.Equal(t, reason, v1alpha1.ReasonNothingKnown)
		assert.Equal(t, message, w.Trust().Message)
	}
	_, err := w.Create(w.ctx, ec2.CreateInput{SubnetID: w.subnet, Tags: tags("c"), ClientToken: "c"})
	assert.Assert(t, Distrusted(err) && !ec2.Unclear(err))

	w.api.blind = false
	w.sweep()
	assert.Assert(t, !w.Trust().Broken)
	assert.DeepEqual(t, told, []string{v1alpha1.ReasonNothingKnown, v1alpha1.ReasonEC2Agrees})
	_, presence := w.look(enis[0])
	assert.Equal(t, presence, Present)
}

// TestANewLeaderDistrustsAnotherAccount, although it has never seen anything there.
func TestANewLeaderDistrustsAnotherAccount(t *testing.T) {
	w, instances, _ := populated(t, 1)
	w.Inventory = w.fresh(nil)
	w.api.blind = true
	w.sweep()
	assert.Equal(t, w.Trust().Reason, v1alpha1.ReasonNothingKnown)
	_, presence, err := w.Instance(w.ctx, instances[0])
	assert.Assert(t, err == nil && presence == Unknown)
}

// TestAnEmptyAccountIsNotBelievedForLong either: instances that EC2 does not show, and that
// nobody asks for, are still expected. Only the subnets are shown, which then prove nothing.
func TestAnEmptyAccountIsNotBelievedForLong(t *testing.T) {
	w, _, _ := populated(t, 2)
	w.expected.ENIs = nil // They are being deleted.
	w.expected.Subnets = []string{w.subnet}
	w.api.noInstances, w.api.noENIs = true, true
	for range 4 {
		w.sweep()
		assert.Equal(t, w.Trust().Reason, v1alpha1.ReasonNothingKnown)
		w.clk.Step(needlessAfter)
	}
}

// TestSubnetsAreWitnesses while no Node names an instance, so that nothing else is
// expected of EC2.
func TestSubnetsAreWitnesses(t *testing.T) {
	w, instances, enis := populated(t, 1)
	w.expected.Instances = nil
	w.expected.Subnets = []string{w.subnet}
	w.Inventory = w.fresh(nil)
	w.api.blind = true
	w.sweep()
	assert.Equal(t, w.Trust().Reason, v1alpha1.ReasonNothingKnown)
	w.staysUnknown(instances[0], enis[0])

	w.api.blind = false
	w.ec2("TerminateInstances", "InstanceId.1", instances[0])
	w.clk.Step(time.Hour)
	w.sweep()
	assert.Assert(t, !w.Trust().Broken, w.Trust().Message)
}

// TestAnotherRegionIsKnownWithoutAnAnswer: EC2 may not even be reached.
func TestAnotherRegionIsKnownWithoutAnAnswer(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	w.expected.Zones = []string{"eu-west-1a"}
	w.server.AddFault(emulator.Fault{Action: "DescribeNetworkInterfaces", Code: "InternalError", Status: 500, Count: 1})
	assert.Assert(t, w.Sweep(w.ctx) != nil)
	assert.Equal(t, w.Trust().Reason, v1alpha1.ReasonOtherRegion)
}

// TestWhatHasAReasonDoesNotVanish: a terminated instance takes its ENIs along, tags may
// be removed, and the operator deletes ENIs itself.
func TestWhatHasAReasonDoesNotVanish(t *testing.T) {
	const many = minVanished + 2
	for name, loss := range map[string]func(w *world, instances, enis []string){
		"terminated": func(w *world, instances, enis []string) {
			for n := range enis {
				w.deleteOutside(enis[n])
				w.ec2("TerminateInstances", "InstanceId.1", instances[n])
			}
		},
		"tags removed": func(w *world, _, enis []string) {
			for _, id := range enis {
				w.ec2("DeleteTags", "ResourceId.1", id, "Tag.1.Key", ec2.TagClusterUID)
			}
		},
		"deleted by the operator": func(w *world, _, enis []string) {
			for _, id := range enis {
				assert.NilError(w.t, w.Detach(w.ctx, w.ref(id), w.known(id).Attachment.ID, true))
				w.clk.Step(time.Minute)
				w.look(id)
				assert.NilError(w.t, w.Delete(w.ctx, w.ref(id)))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, instances, enis := populated(t, many)
			loss(w, instances, enis)
			w.sweep()
			assert.Assert(t, !w.Trust().Broken, w.Trust().Message)
		})
	}
}

// TestTooManyENIsVanish: somebody deleted them in EC2.
func TestTooManyENIsVanish(t *testing.T) {
	w, _, enis := populated(t, minVanished+1)
	for _, id := range enis {
		w.deleteOutside(id)
	}
	w.sweep()
	assert.Equal(t, w.Trust().Reason, v1alpha1.ReasonTooManyVanished)
	_, presence := w.look(enis[0])
	assert.Equal(t, presence, Unknown)
}
