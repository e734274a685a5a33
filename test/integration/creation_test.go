/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// person makes an ENI as a person does. Its description is its name, by which
// faults can tell its creation from any other.
func (s *scenario) person(node, name string, adjust ...func(*v1alpha1.ElasticNetworkInterfaceSpec)) *v1alpha1.ElasticNetworkInterface {
	s.t.Helper()
	eni := &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: s.name + "-" + name},
		Spec:       v1alpha1.ElasticNetworkInterfaceSpec{NodeName: node, Description: s.name + "-" + name},
	}
	for _, change := range adjust {
		change(&eni.Spec)
	}
	s.create(eni)
	return eni
}

// within asks for secondary addresses in the first of some subnets that has room.
func within(count int32, subnets ...subnet) func(*v1alpha1.ElasticNetworkInterfaceSpec) {
	return func(spec *v1alpha1.ElasticNetworkInterfaceSpec) {
		spec.AddressCount = count
		for _, one := range subnets {
			spec.SubnetIDs = append(spec.SubnetIDs, v1alpha1.SubnetID(one.id))
		}
	}
}

// awaitENIReady waits until an ENI is what its latest spec asks for.
func (s *scenario) awaitENIReady(eni *v1alpha1.ElasticNetworkInterface) {
	s.t.Helper()
	s.awaitENI(eni, "is ready", func() error {
		return first(differ("observedGeneration", eni.Status.ObservedGeneration, eni.Generation),
			conditionIs(eni.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady))
	})
}

// creations are the calls that asked for an ENI that a person made.
func (s *scenario) creations(eni *v1alpha1.ElasticNetworkInterface) []emulator.Call {
	return s.operatorCalls("CreateNetworkInterface", eni.Spec.Description)
}

// awaitRepeated waits until the creation of an ENI was repeated, and checks that it
// is the same call each time.
func (s *scenario) awaitRepeated(eni *v1alpha1.ElasticNetworkInterface) {
	s.t.Helper()
	var calls []emulator.Call
	eventually(s.t, "the creation of "+eni.Name+" is repeated", func() error {
		calls = s.creations(eni)
		return differ("enough", len(calls) >= 2, true)
	})
	for _, call := range calls {
		assert.DeepEqual(s.t, call.Params, calls[0].Params)
	}
}

// exhaust takes all addresses that a subnet has left.
func (s *scenario) exhaust(in subnet) {
	s.t.Helper()
	_, err := s.CreateNetworkInterface(s.t.Context(), &ec2.CreateNetworkInterfaceInput{
		SubnetId: &in.id, SecondaryPrivateIpAddressCount: aws.Int32(s.freeAddresses(s.t.Context(), in.id) - 1),
	})
	assert.NilError(s.t, err)
}

// age makes an ENI's creation record older.
func (s *scenario) age(eni *v1alpha1.ElasticNetworkInterface, by time.Duration) {
	s.t.Helper()
	assert.NilError(s.t, s.Get(s.t.Context(), key(eni), eni))
	eni.Status.Creation.StartedAt = metav1.NewTime(eni.Status.Creation.StartedAt.Add(-by))
	assert.NilError(s.t, s.Status().Update(s.t.Context(), eni))
}

// oneENIWhateverBecomesOfItsCreation has creations go wrong in every way of
// protocol 5 at once. Nothing else can heal them: there is no audit and no collector.
func oneENIWhateverBecomesOfItsCreation(t *testing.T) {
	w := newWorldApart(t, emulator.Timings{})
	flags := []string{"--audit-interval=1h", "--gc-interval=0"}
	o := startOperator(t, w, w.http.URL, flags...)
	s := w.tell(t, "one-eni")
	node, _ := s.machine("m5.xlarge")
	other, _ := s.machine("m5.xlarge")
	spoil := func(name string, fault emulator.Fault) (heal func()) {
		fault.Action, fault.Params = "CreateNetworkInterface", in("Description", s.name+"-"+name)
		return s.disturb(fault)
	}
	small, tiny := s.subnet(zoneA, "2.0/28", nil), s.subnet(zoneA, "2.16/28", nil) // eleven addresses each
	spoil("lost", emulator.Fault{LoseAnswer: true})                                // never healed
	healNever := spoil("never", emulator.Fault{Discard: true})
	healCount := spoil("count", emulator.Fault{LoseAnswer: true})
	healMade := spoil("made", emulator.Fault{LoseAnswer: true})
	healUnmade := spoil("unmade", emulator.Fault{Discard: true})
	lost, never := s.person(node, "lost", within(2)), s.person(node, "never", within(2))
	count := s.person(node, "count", within(2))
	made, unmade := s.person(other, "made", within(2, small, s.home)), s.person(other, "unmade", within(2, tiny, s.home))
	enis := []*v1alpha1.ElasticNetworkInterface{lost, never, count, made, unmade}
	for _, eni := range enis {
		s.awaitRepeated(eni)
	}

	t.Log("The count changes while the creation is open: the same call again, and the rest by Assign")
	s.update(count, func() { count.Spec.AddressCount = 4 })
	healCount()
	s.awaitENIReady(count)
	s.awaitRepeated(count)
	assert.Equal(t, len(count.Status.Addresses), 4)
	assert.Equal(t, count.Status.Creation.AddressCount, int32(2))
	assert.Equal(t, len(s.operatorCalls("AssignPrivateIpAddresses", count.Status.NetworkInterfaceID)), 1)

	t.Log("The subnet is exhausted before the creation is repeated: the ENI of the first call, or one in the next subnet")
	s.exhaust(small)
	s.exhaust(tiny)
	healMade()
	healUnmade()
	s.awaitENIReady(made)
	s.awaitRepeated(made)
	s.awaitENIReady(unmade)
	assert.DeepEqual(t, []string{made.Status.SubnetID, unmade.Status.SubnetID}, []string{small.id, s.home.id})
	assert.DeepEqual(t, []int32{made.Status.Creation.Attempt, unmade.Status.Creation.Attempt}, []int32{1, 2})

	t.Log("EC2 may have forgotten the token of a record that is two hours old: it is looked for")
	o.kill()
	calls := len(s.creations(lost))
	s.age(lost, 2*time.Hour)
	s.age(never, 2*time.Hour)
	spoil("never", emulator.Fault{LoseAnswer: true, Count: 2}) // once the calls arrive
	healNever()
	startOperator(t, w, w.http.URL, flags...)
	s.awaitENIReady(lost)
	s.awaitENIReady(never)
	assert.Equal(t, len(s.creations(lost)), calls, "it was there")
	assert.DeepEqual(t, []int32{lost.Status.Creation.Attempt, never.Status.Creation.Attempt}, []int32{1, 2})

	for _, eni := range enis {
		tagged := s.interfaces(t.Context(), "tag:networking.eni-operator.dev/uid", string(eni.UID))
		assert.Equal(t, len(tagged), 1, eni.Name)
		assert.Equal(t, aws.ToString(tagged[0].NetworkInterfaceId), eni.Status.NetworkInterfaceID)
		tokens := map[string]bool{}
		for _, call := range s.creations(eni) {
			tokens[call.Params.Get("ClientToken")] = true
		}
		assert.Equal(t, fmt.Sprint(eni.Name, len(tokens)), fmt.Sprint(eni.Name, eni.Status.Creation.Attempt))
	}
	assert.Equal(t, len(s.ours(t.Context())), len(enis))
	s.end()
}
