/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/audit"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// disturb makes the operator's calls go wrong until the test ends, or the function
// returned is called.
func (s *scenario) disturb(fault emulator.Fault) (heal func()) {
	s.t.Helper()
	heal = s.server.AddFault(fault)
	s.t.Cleanup(heal)
	return heal
}

// in are the parameters of calls for a subnet, an instance and so on.
func in(parameter, value string) map[string]string { return map[string]string{parameter: value} }

func TestLostAnswersOfCreateStillMakeOneENI(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "create-lost")
	s.disturb(emulator.Fault{Action: "CreateNetworkInterface", Params: in("SubnetId", s.home.id), LoseAnswer: true, Count: 2})
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(4, 9)))
	s.awaitReady(node)

	assert.Equal(t, len(s.ours(t.Context())), 1)
	calls := s.operatorCalls("CreateNetworkInterface", s.home.id)
	for _, call := range calls { // An audit may have found the ENI before the call was repeated.
		assert.DeepEqual(t, call.Params, calls[0].Params) // the same call, with the same token
	}
	eni := s.resources(t.Context())[0]
	assert.Equal(t, len(eni.Status.Addresses), 4)
	assert.Equal(t, eni.Status.Creation.Attempt, int32(1))
}

func TestRefusalAfterALostAnswerAdoptsTheENI(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "create-adopted")
	s.disturb(emulator.Fault{Action: "CreateNetworkInterface", Params: in("SubnetId", s.home.id), LoseAnswer: true, Count: 1})
	s.disturb(emulator.Fault{Action: "CreateNetworkInterface", Params: in("SubnetId", s.home.id), Count: 1,
		Code: "UnauthorizedOperation", Status: 403, Message: "You are not authorized to perform this operation."})
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(4, 9)))
	s.awaitReady(node)
	assert.Equal(t, len(s.ours(t.Context())), 1)
	calls := len(s.operatorCalls("CreateNetworkInterface", s.home.id))
	assert.Assert(t, calls <= 2, "the ENI of the first call is found and kept; there were %d calls", calls)
}

func TestCreateThatNeverArrivedIsRepeated(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "create-discarded")
	s.disturb(emulator.Fault{Action: "CreateNetworkInterface", Params: in("SubnetId", s.home.id), Discard: true, Count: 2})
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(4, 9)))
	s.awaitReady(node)
	assert.Equal(t, len(s.ours(t.Context())), 1)
}

func TestServerErrorsAreRepeatedWithTheSameToken(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "create-500")
	s.disturb(emulator.Fault{Action: "CreateNetworkInterface", Params: in("SubnetId", s.home.id), Code: "InternalError", Status: 500,
		Message: "An internal error has occurred", Count: 2})
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(4, 9)))
	s.awaitReady(node)
	tokens := map[string]bool{}
	for _, call := range s.operatorCalls("CreateNetworkInterface", s.home.id) {
		tokens[call.Params.Get("ClientToken")] = true
	}
	assert.Equal(t, len(tokens), 1)
	assert.Equal(t, len(s.ours(t.Context())), 1)
}

func TestLostAnswersOfAttachAttachOnce(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "attach-lost")
	node, instance := s.machine("m5.xlarge")
	s.disturb(emulator.Fault{Action: "AttachNetworkInterface", Params: in("InstanceId", instance), LoseAnswer: true, Count: 2})
	s.create(s.policy(sharing(4, 9), exclusive(1, 1)))
	s.awaitReady(node)
	for _, eni := range s.resources(t.Context()) {
		assert.Equal(t, len(s.operatorCalls("AttachNetworkInterface", eni.Status.NetworkInterfaceID)), 1, "it is looked at, not repeated")
	}
	assert.Equal(t, len(s.ours(t.Context())), 2)
}

func TestLostAnswersOfAssignNeverGiveMoreThanAskedFor(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "assign-lost")
	node, _ := s.machine("m5.large")
	policy := s.policy(sharing(2, 9))
	s.create(policy)
	s.awaitReady(node)
	id := s.resources(t.Context())[0].Status.NetworkInterfaceID
	s.disturb(emulator.Fault{Action: "AssignPrivateIpAddresses", Params: in("NetworkInterfaceId", id), LoseAnswer: true, Count: 1})

	s.update(policy, func() { policy.Spec.Shared.MinimumIPs = 7 })
	s.awaitPool(node, "has grown", func(pool *v1alpha1.ENIPool) error { return differ("capacity", pool.Status.Shared.Capacity, int32(7)) })
	assert.Equal(t, len(audit.Secondaries(*s.eni(t.Context(), id))), 7)
	assert.Equal(t, len(s.operatorCalls("AssignPrivateIpAddresses", id)), 1)
}

func TestLostAnswersOfDetachAndDelete(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "delete-lost")
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(4, 9)))
	pool := s.awaitReady(node)
	eni := s.resources(t.Context())[0]
	id := eni.Status.NetworkInterfaceID
	s.disturb(emulator.Fault{Action: "DetachNetworkInterface", Params: in("AttachmentId", eni.Status.Attachment.ID), LoseAnswer: true, Count: 1})
	s.disturb(emulator.Fault{Action: "DeleteNetworkInterface", Params: in("NetworkInterfaceId", id), LoseAnswer: true, Count: 1})
	s.remove(t.Context(), s.policy())
	s.awaitGone(t.Context(), pool)
	assert.Assert(t, s.eni(t.Context(), id) == nil)
	assert.Equal(t, succeeded(s.operatorCalls("DeleteNetworkInterface", id)), 1)
}

func TestSubnetWithoutAddressesGivesWayToTheNext(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "next-subnet")
	large := s.subnet(zoneA, "4.0/23", map[string]string{"role": "pods"}) // more free addresses, so it comes first
	small := s.subnet(zoneA, "2.0/24", map[string]string{"role": "pods"})
	s.disturb(emulator.Fault{Action: "CreateNetworkInterface", Params: in("SubnetId", large.id), Code: "InsufficientFreeAddressesInSubnet",
		Message: "The specified subnet does not have enough free addresses to satisfy the request."})
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(4, 9), func(spec *v1alpha1.ENIPolicySpec) {
		spec.SubnetSelectorTerms = []v1alpha1.SubnetSelectorTerm{{Tags: map[string]v1alpha1.TagValue{"role": "pods"}}}
	}))
	s.awaitReady(node)
	_, subnetID, _ := s.actualENI(node, v1alpha1.ModeShared)
	assert.Equal(t, subnetID, small.id)
	assert.Equal(t, s.resources(t.Context())[0].Status.Creation.Attempt, int32(2))
	claim := s.bind(node, v1alpha1.ModeShared, "web")[0]
	assert.Equal(t, claim.Status.SubnetCIDR, small.cidr)
}

func TestExhaustedSubnetIsToldAndHeals(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "exhausted")
	tiny := s.subnet(zoneA, "9.0/28", nil) // eleven addresses
	hog, err := s.CreateNetworkInterface(t.Context(), &ec2.CreateNetworkInterfaceInput{SubnetId: &tiny.id, SecondaryPrivateIpAddressCount: aws.Int32(8)})
	assert.NilError(t, err)
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(4, 9), func(spec *v1alpha1.ENIPolicySpec) {
		spec.SubnetSelectorTerms = []v1alpha1.SubnetSelectorTerm{{ID: tiny.id}}
	}))

	message := s.awaitCondition(node, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSubnetExhausted)
	s.says(message, tiny.id, "too few free addresses", "Add a subnet to subnetSelectorTerms")
	t.Log("What there is, is taken: the ENI's own address and one for a claim")
	s.bind(node, v1alpha1.ModeShared, "first")
	assert.Equal(t, s.freeAddresses(t.Context(), tiny.id), int32(0))
	claim := s.claimOn(node, "web", v1alpha1.ModeShared)
	s.create(claim)
	s.awaitPending(claim, v1alpha1.ReasonSubnetExhausted)
	eni := s.resources(t.Context())[0]
	s.awaitEvent(eni.Name, v1alpha1.ReasonSubnetExhausted, tiny.id, "subnetSelectorTerms")
	told := s.events(eni.Name, v1alpha1.ReasonSubnetExhausted)
	assert.Equal(t, len(told), 1, "the same thing again is counted, not told again: %v", told)

	s.letGo(aws.ToString(hog.NetworkInterface.NetworkInterfaceId))
	s.awaitReady(node)
	s.awaitBound(claim)
}

// backsOff waits until an action has failed a few times, and says whether the
// pauses between grow as they should.
func (s *scenario) backsOff(action, resource string) {
	s.t.Helper()
	s.slowsDown(action+" failed", func() []emulator.Call {
		return slices.DeleteFunc(s.operatorCalls(action, resource), func(call emulator.Call) bool { return call.ErrorCode == "" })
	})
}

// slowsDown waits for a few calls, and says whether the pauses between are those of
// the backoff: each is at least as long, and a busy machine can only make it longer.
func (s *scenario) slowsDown(what string, calls func() []emulator.Call) {
	s.t.Helper()
	const tries = 4
	var made []emulator.Call
	eventually(s.t, what+" again and again", func() error {
		if made = calls(); len(made) < tries {
			return fmt.Errorf("there were %d calls", len(made))
		}
		return nil
	})
	pause, slept := retryBaseDelay, made[tries-1].Time.Sub(made[0].Time)
	least := pause + 2*pause + 4*pause
	// Something else may have asked once in between.
	if slept < least/2 {
		s.t.Errorf("%s %d times within %s; its backoff takes %s", what, tries, slept, least)
	}
}
