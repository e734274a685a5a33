/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

func TestHappyPathIsCheap(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3})
	w.mustSettle()
	assert.DeepEqual(t, w.story(), []string{"CreateNetworkInterface", "AttachNetworkInterface", "ModifyNetworkInterfaceAttribute"})
	w.assertAgrees()
	status := w.eni().Status
	assert.Equal(t, status.SubnetID, w.subnets[0])
	assert.Equal(t, status.SubnetCIDR, "10.0.0.0/24")
	assert.Equal(t, status.AddressCount, int32(3))
	assert.Equal(t, status.State, v1alpha1.ENIAttached)
	assert.Equal(t, status.ObservedGeneration, int64(1))
	assert.Equal(t, w.only().Tags[ec2.TagCreatedAt], string(status.Creation.Tags[ec2.TagCreatedAt]))
	assert.Equal(t, len(w.drain()), 1, "one event: ready")

	version := w.eni().ResourceVersion
	w.mustSettle()
	w.restart()
	w.mustSettle()
	assert.Equal(t, w.eni().ResourceVersion, version, "nothing is written at rest")
	assert.Equal(t, len(w.story()), 3, "nothing is changed at rest")
}

// TestFaults disturbs one call of a life in each way, and asserts what comes of it.
func TestFaults(t *testing.T) {
	e := newEndpoint(t)
	grow := func(w *world) {
		w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 1})
		w.mustSettle()
		w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.AddressCount = 4 })
	}
	create := func(w *world) { w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3}) }
	for _, test := range []struct {
		name    string
		turn    func(w *world)
		fault   emulator.Fault
		class   ec2.Class
		calls   int // of the fault's action, since the turn
		attempt int32
		reason  string // of Ready, after the first failure
	}{
		{
			name: "the answer to Create is lost: the same call again", turn: create,
			fault: emulator.Fault{Action: "CreateNetworkInterface", LoseAnswer: true}, class: ec2.ClassRetryable,
			calls: 2, attempt: 1, reason: v1alpha1.ReasonEC2Error,
		},
		{
			name: "Create is throttled: the same call again", turn: create,
			fault: emulator.Fault{Action: "CreateNetworkInterface", Code: "RequestLimitExceeded", Status: 503}, class: ec2.ClassThrottled,
			calls: 2, attempt: 1, reason: v1alpha1.ReasonThrottled,
		},
		{
			name: "Create fails with 500: the same call again", turn: create,
			fault: emulator.Fault{Action: "CreateNetworkInterface", Code: "InternalError", Status: 500}, class: ec2.ClassRetryable,
			calls: 2, attempt: 1, reason: v1alpha1.ReasonEC2Error,
		},
		{
			name: "Create is refused: another attempt", turn: create,
			fault: emulator.Fault{Action: "CreateNetworkInterface", Code: "SecurityGroupsPerInterfaceLimitExceeded"}, class: ec2.ClassQuota,
			calls: 2, attempt: 2, reason: v1alpha1.ReasonQuotaExceeded,
		},
		{
			name: "Create is not allowed", turn: create,
			fault: emulator.Fault{Action: "CreateNetworkInterface", Code: "UnauthorizedOperation", Status: 403}, class: ec2.ClassUnauthorized,
			calls: 2, attempt: 2, reason: v1alpha1.ReasonUnauthorized,
		},
		{
			name: "the answer to Attach is lost: seen attached", turn: create,
			fault: emulator.Fault{Action: "AttachNetworkInterface", LoseAnswer: true}, class: ec2.ClassRetryable,
			calls: 1, attempt: 1, reason: v1alpha1.ReasonEC2Error,
		},
		{
			name: "Attach never arrives", turn: create,
			fault: emulator.Fault{Action: "AttachNetworkInterface", Discard: true}, class: ec2.ClassRetryable,
			calls: 2, attempt: 1, reason: v1alpha1.ReasonEC2Error,
		},
		{
			name: "Attach meets an instance that is not running", turn: create,
			fault: emulator.Fault{Action: "AttachNetworkInterface", Code: "IncorrectState"}, class: ec2.ClassConflict,
			calls: 2, attempt: 1, reason: v1alpha1.ReasonEC2Error,
		},
		{
			name: "the answer to Assign is lost: seen assigned", turn: grow,
			fault: emulator.Fault{Action: "AssignPrivateIpAddresses", LoseAnswer: true}, class: ec2.ClassRetryable,
			calls: 1, attempt: 1, reason: v1alpha1.ReasonEC2Error,
		},
		{
			name: "Assign never arrives", turn: grow,
			fault: emulator.Fault{Action: "AssignPrivateIpAddresses", Discard: true}, class: ec2.ClassRetryable,
			calls: 2, attempt: 1, reason: v1alpha1.ReasonEC2Error,
		},
		{
			name: "Assign finds the subnet full", turn: grow,
			fault: emulator.Fault{Action: "AssignPrivateIpAddresses", Code: "InsufficientFreeAddressesInSubnet"}, class: ec2.ClassCapacity,
			calls: 2, attempt: 1, reason: v1alpha1.ReasonSubnetExhausted,
		},
		{
			name: "what nobody waits for fails: the ENI is ready all the same", turn: create,
			fault: emulator.Fault{Action: "ModifyNetworkInterfaceAttribute", Code: "InternalError", Status: 500}, class: ec2.ClassRetryable,
			calls: 2, attempt: 1, reason: v1alpha1.ReasonEC2Error,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, e, emulator.Options{})
			test.turn(w)
			w.server.ResetCalls()
			test.fault.Count = 1
			w.server.AddFault(test.fault)
			_, err := w.once()
			assert.Assert(t, err != nil)
			assert.Equal(t, ec2.Classify(err), test.class)
			failed := w.eni()
			assert.Assert(t, strings.HasSuffix(condition(failed, v1alpha1.ConditionReady), test.reason), condition(failed, v1alpha1.ConditionReady))
			assert.Assert(t, strings.Contains(message(failed), test.fault.Action), message(failed))
			if test.fault.Action == "ModifyNetworkInterfaceAttribute" {
				assert.Equal(t, condition(failed, v1alpha1.ConditionReady), "True "+test.reason)
			}
			w.clock.Step(time.Minute)
			w.mustSettle()
			w.assertAgrees()
			assert.Equal(t, len(w.only().Addresses), int(w.eni().Spec.AddressCount))
			assert.Equal(t, w.calls(test.fault.Action), test.calls)
			assert.Equal(t, w.eni().Status.Creation.Attempt, test.attempt)
		})
	}
}

func TestDeletionSurvivesALostAnswer(t *testing.T) {
	e := newEndpoint(t)
	for _, action := range []string{"DetachNetworkInterface", "DeleteNetworkInterface"} {
		t.Run(action, func(t *testing.T) {
			w := newWorld(t, e, emulator.Options{})
			w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
			w.mustSettle()
			w.delete()
			w.server.AddFault(emulator.Fault{Action: action, LoseAnswer: true, Count: 1})
			assert.Equal(t, len(w.settle()), 1)
			assert.Equal(t, len(w.owned()), 0)
			assert.Assert(t, !w.exists())
			assert.Equal(t, w.calls(action), 1)
		})
	}
}

func TestUnauthorizedHeals(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.server.Deny("CreateNetworkInterface")
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	for range 3 {
		_, err := w.once()
		assert.Equal(t, ec2.Classify(err), ec2.ClassUnauthorized)
	}
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False Unauthorized")
	assert.Assert(t, strings.Contains(message(w.eni()), "Allow ec2:CreateNetworkInterface"), message(w.eni()))
	assert.Equal(t, len(w.drain()), 1, "one event, not one for each failure")
	w.server.Allow("CreateNetworkInterface")
	w.mustSettle()
	w.assertAgrees()
}

// TestSubnetsRotate has subnets with room for the ENI alone, but not for its
// addresses: EC2 refuses with a code that says nothing of that.
func TestSubnetsRotate(t *testing.T) {
	for _, test := range []struct {
		name string
		take int // addresses that others have in the first subnet, of 250
		code string
	}{
		{"too few addresses", 245, emulator.CodeInvalidParameterValue},
		{"too few addresses, the other code", 245, emulator.CodeInsufficientFreeAddresses},
		{"no address", 250, emulator.CodeInsufficientFreeAddresses},
	} {
		t.Run(test.name, func(t *testing.T) {
			scarcity := emulator.Scarcity{CountAboveFree: test.code}
			w := newWorld(t, newEndpoint(t), emulator.Options{Limits: emulator.Limits{Scarcity: scarcity}})
			_, _, err := w.reconciler.inventory.Subnet(t.Context(), w.subnets[0]) // What others take then, it does not know.
			assert.NilError(t, err)
			w.fill(w.subnets[0], test.take)
			w.create(v1alpha1.ElasticNetworkInterfaceSpec{
				AddressCount: 9, SubnetIDs: typed[v1alpha1.SubnetID](w.subnets),
			})
			_, err = w.once()
			assert.Equal(t, ec2.Code(err), test.code)
			assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False SubnetExhausted")
			record := w.eni().Status.Creation
			assert.Equal(t, record.Refused, test.code)
			assert.Assert(t, record.SubnetFull && !record.Unclear)
			w.mustSettle()
			w.assertAgrees()
			assert.Equal(t, w.only().SubnetID, w.subnets[1])
			assert.Equal(t, w.eni().Status.Creation.Attempt, int32(2))
		})
	}
}

// fill has others take so many addresses of a subnet.
func (w *world) fill(subnet string, count int) {
	w.t.Helper()
	for count > 0 {
		n := min(count, 50)
		w.ec2("CreateNetworkInterface", "SubnetId", subnet, "SecondaryPrivateIpAddressCount", fmt.Sprint(n-1))
		count -= n
	}
}

// TestASubnetThatIsKnownToBeFullIsNotTried: its free addresses were read.
func TestASubnetThatIsKnownToBeFullIsNotTried(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.fill(w.subnets[0], 245)
	w.server.ResetCalls()
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 9, SubnetIDs: typed[v1alpha1.SubnetID](w.subnets)})
	w.mustSettle()
	w.assertAgrees()
	assert.Equal(t, w.only().SubnetID, w.subnets[1])
	assert.Equal(t, w.calls("CreateNetworkInterface"), 1)
}

// TestATakenTokenIsLookedInto loses the status of an ENI that nobody has heard of:
// the token of the first attempt is taken, by other parameters.
func TestATakenTokenIsLookedInto(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.server.AddFault(emulator.Fault{Action: "CreateNetworkInterface", LoseAnswer: true, Count: 1})
	_, err := w.once()
	assert.Assert(t, ec2.Unclear(err))
	lost := w.eni()
	lost.Status = v1alpha1.ElasticNetworkInterfaceStatus{}
	assert.NilError(t, w.kube.Status().Update(context.Background(), lost))
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Description = "another" })
	_, err = w.once()
	assert.Equal(t, ec2.Code(err), ec2.CodeIdempotentParameterMismatch)
	assert.Assert(t, w.eni().Status.Creation.Unclear)
	w.mustSettle()
	w.assertAgrees()
}

// TestAnOldRecordIsNotReplayed has a record older than EC2's memory of tokens.
func TestAnOldRecordIsNotReplayed(t *testing.T) {
	for _, test := range []struct {
		name    string
		made    bool
		attempt int32
	}{{"and the ENI is found", true, 1}, {"and there is no ENI", false, 2}} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, newEndpoint(t), emulator.Options{})
			w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
			w.server.AddFault(emulator.Fault{Action: "CreateNetworkInterface", LoseAnswer: test.made, Discard: !test.made, Count: 1})
			_, err := w.once()
			assert.Assert(t, ec2.Unclear(err))
			w.clock.Step(2 * time.Hour)
			finds := w.calls("DescribeNetworkInterfaces")
			w.mustSettle()
			w.assertAgrees()
			assert.Equal(t, w.eni().Status.Creation.Attempt, test.attempt)
			if !test.made {
				assert.Assert(t, w.calls("DescribeNetworkInterfaces") >= finds+2, "looked twice")
			}
		})
	}
}

func TestDeletionWithAnOpenRecord(t *testing.T) {
	for _, made := range []bool{true, false} {
		t.Run(fmt.Sprintf("made=%t", made), func(t *testing.T) {
			w := newWorld(t, newEndpoint(t), emulator.Options{Stale: emulator.StaleReads{NewENIs: 20 * time.Second}})
			w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
			w.server.AddFault(emulator.Fault{Action: "CreateNetworkInterface", LoseAnswer: made, Discard: !made, Count: 1})
			_, err := w.once()
			assert.Assert(t, ec2.Unclear(err))
			w.delete()
			began := w.clock.Now()
			w.mustSettle()
			assert.Assert(t, !w.exists())
			assert.Assert(t, made || w.clock.Since(began) >= 30*time.Second, "let go after %s", w.clock.Since(began))
			assert.Equal(t, len(w.owned()), 0)
		})
	}
}

// TestLookedForTwiceBeforeAnotherAttempt: an unclear call and then a refusal leave
// an ENI that becomes visible only after the first look.
func TestLookedForTwiceBeforeAnotherAttempt(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{Stale: emulator.StaleReads{NewENIs: 20 * time.Second}})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.server.AddFault(emulator.Fault{Action: "CreateNetworkInterface", LoseAnswer: true, Count: 1})
	w.server.AddFault(emulator.Fault{Action: "CreateNetworkInterface", Code: "UnauthorizedOperation", Status: 403, Count: 1})
	_, err := w.once()
	assert.Assert(t, ec2.Unclear(err))
	_, err = w.once()
	assert.Equal(t, ec2.Classify(err), ec2.ClassUnauthorized)
	assert.Assert(t, w.eni().Status.Creation.Unclear)
	w.mustSettle()
	w.assertAgrees()
	assert.Equal(t, w.eni().Status.Creation.Attempt, int32(1))
}

// TestAFailedTagDoesNotAssignTwice: EC2 does not show new addresses yet when
// another call fails and the ENI is looked at.
func TestAFailedTagDoesNotAssignTwice(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.mustSettle()
	w.server.SetStaleReads(emulator.StaleReads{NewAddresses: 20 * time.Second})
	w.server.AddFault(emulator.Fault{Action: "CreateTags", Code: "TagLimitExceeded", Count: 1})
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Spec.AddressCount = 4
		eni.Spec.Tags = map[string]v1alpha1.TagValue{"team": "payments"}
	})
	assert.Equal(t, len(w.settle()), 1)
	assert.Equal(t, w.calls("AssignPrivateIpAddresses"), 1)
	assert.Equal(t, len(w.only().Addresses), 4)
	w.assertAgrees()
}

// otherZone adds a subnet of another zone, and returns its id.
func (w *world) otherZone() string {
	w.t.Helper()
	vpc := first(w.t, w.ec2("DescribeSubnets", "SubnetId.1", w.subnets[0]), "vpcId")
	return first(w.t, w.ec2("CreateSubnet", "VpcId", vpc, "AvailabilityZone", region+"b", "CidrBlock", "10.0.9.0/24"), "subnetId")
}

// TestSubnetsOfOtherZonesAreNoCandidates: EC2 creates an ENI in any zone, and then
// attaches it nowhere but there.
func TestSubnetsOfOtherZonesAreNoCandidates(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	far := v1alpha1.SubnetID(w.otherZone())
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{SubnetIDs: []v1alpha1.SubnetID{far}})
	_, err := w.once()
	assert.ErrorContains(t, err, "lies in zone us-east-1b, and the instance in zone us-east-1a")
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False InvalidParameter")
	assert.Equal(t, w.calls("CreateNetworkInterface"), 0)

	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Spec.SubnetIDs = []v1alpha1.SubnetID{far, v1alpha1.SubnetID(w.subnets[1])}
	})
	w.mustSettle()
	assert.Equal(t, w.only().SubnetID, w.subnets[1])
	w.assertAgrees()
}

// TestTooManyAddresses are refused before there is an ENI that no instance takes.
func TestTooManyAddresses(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 10})
	_, err := w.once()
	assert.ErrorContains(t, err, "on instance type m5.large an ENI carries 9 addresses")
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False QuotaExceeded")
	assert.Equal(t, w.calls("CreateNetworkInterface"), 0)
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.AddressCount = 9 })
	w.mustSettle()
	w.assertAgrees()
}

// TestAnENIIsNotMovedToAnotherZone: it is not even detached.
func TestAnENIIsNotMovedToAnotherZone(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	subnet := w.otherZone()
	far := first(t, w.ec2("RunInstances", "ImageId", "ami-0123456789abcdef0", "InstanceType", "m5.large",
		"SubnetId", subnet, "MinCount", "1", "MaxCount", "1"), "instanceId")
	w.clock.Step(time.Minute)
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.mustSettle()
	calls := len(w.story())
	farNode := w.join(far)
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.NodeName, eni.Spec.InstanceID = farNode, far })
	w.mustSettle()
	assert.Equal(t, len(w.story()), calls)
	assert.Assert(t, strings.Contains(message(w.eni()), "lies in zone us-east-1a"), message(w.eni()))
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Spec.NodeName, eni.Spec.InstanceID = nodeName, w.instance
	})
	w.mustSettle()
	w.assertAgrees()
	assert.Equal(t, len(w.story()), calls)
}

// TestANewProcessDoesNotAssignTwice: the last one ended after its Assign, and EC2
// does not show the new addresses yet.
func TestANewProcessDoesNotAssignTwice(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 2})
	w.mustSettle()
	w.clock.Step(time.Hour)
	w.server.SetStaleReads(emulator.StaleReads{NewAddresses: 20 * time.Second})
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.AddressCount = 5 })
	w.wire.reset(func(point int) cut { // The Assign is the first, and its answer is lost.
		if point == 0 {
			return after
		}
		return whole
	})
	_, err := w.once()
	assert.Assert(t, err != nil)
	w.restart()
	w.mustSettle()
	assert.Equal(t, w.calls("AssignPrivateIpAddresses"), 1)
	w.assertAgrees()
	assert.Equal(t, len(w.only().Addresses), 5)
}

// TestANewProcessKeepsWhatTheLastOneStored: EC2 shows the ENI as it was before the
// last process gave one address back and took two others.
func TestANewProcessKeepsWhatTheLastOneStored(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3})
	w.mustSettle()
	w.clock.Step(time.Minute)
	const lag = 10 * time.Second
	consistent := w.server.AddFault(emulator.Fault{Action: "DescribeNetworkInterfaces", Stale: lag})
	w.clock.Step(time.Minute)
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Spec.AddressCount = 4
		eni.Spec.Release = []v1alpha1.AddressOrPrefix{v1alpha1.AddressOrPrefix(eni.Status.Addresses[0])}
	})
	w.mustSettle()
	stored := w.eni().Status.Addresses
	assert.Equal(t, len(stored), 4)
	w.restart()
	known, ok := w.reconciler.inventory.ENI(w.eni().Status.NetworkInterfaceID)
	assert.Assert(t, ok && len(known.Addresses) == 3, "the read is not stale: %v", known.Addresses)
	result, err := w.once()
	assert.NilError(t, err)
	assert.Assert(t, result.RequeueAfter > 0)
	assert.DeepEqual(t, w.eni().Status.Addresses, stored)
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "True Ready")
	consistent()
	w.mustSettle()
	assert.DeepEqual(t, w.eni().Status.Addresses, stored)
	w.assertAgrees()
}

func TestStuckDetachIsForced(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{Timings: emulator.Timings{
		Detach:     emulator.Span{Min: 2 * time.Second, Max: 2 * time.Second},
		SickDetach: emulator.Span{Min: time.Hour, Max: time.Hour},
	}})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.mustSettle()
	w.server.SetSick(region, w.instance, true)
	w.delete()
	began := w.clock.Now()
	// Reads fail now and then: that must not begin the time anew.
	for i := 0; w.exists(); i++ {
		assert.Assert(t, i < 1000 && w.clock.Since(began) < 10*time.Minute, "never forced")
		if i%20 == 10 {
			w.server.AddFault(emulator.Fault{Action: "DescribeNetworkInterfaces", Code: "InternalError", Status: 500, Count: 1})
		}
		result, _ := w.once()
		w.clock.Step(max(result.RequeueAfter, time.Second))
	}
	assert.Assert(t, w.clock.Since(began) >= 3*time.Minute, "forced after %s", w.clock.Since(began))
	assert.Equal(t, len(w.owned()), 0)
	forced := 0
	for _, call := range w.server.Calls() {
		if call.Action == "DetachNetworkInterface" && call.Params.Get("Force") == "true" {
			forced++
		}
	}
	assert.Assert(t, forced >= 1)
}

func TestRetainedENIStays(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.mustSettle()
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain })
	w.delete() // before anything was made of the edit
	w.mustSettle()
	assert.Assert(t, !w.exists())
	kept := w.only()
	assert.Equal(t, kept.Tags[ec2.TagDeletionPolicy], "Retain")
	assert.Assert(t, kept.Attachment != nil && !kept.Attachment.DeleteOnTermination, "it would end with its instance")
	w.ec2("TerminateInstances", "InstanceId.1", w.instance)
	assert.Equal(t, w.only().ID, kept.ID)
}

func TestUninstallingLeavesTheENIAlone(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.mustSettle()
	before := w.story()
	now := metav1.NewTime(w.clock.Now())
	w.crdsGoing = &now
	w.delete()
	result, err := w.once()
	assert.NilError(t, err)
	assert.Assert(t, result.RequeueAfter > 0 && w.exists())
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionUninstallBlocked), "True UninstallBlocked")
	assert.DeepEqual(t, w.story(), before)
	w.crdsGoing = nil
	w.mustSettle()
	assert.Assert(t, !w.exists())
}

// pool is a pool of the world's Node.
func (w *world) pool(instanceID string) *v1alpha1.ENIPool {
	return &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: "pool"}, Spec: v1alpha1.ENIPoolSpec{NodeName: nodeName, InstanceID: instanceID}}
}

// TestAnENIThatOnlyNamesAPoolGoes: the pool knows nothing of it, and will never say
// that it is drained.
func TestAnENIThatOnlyNamesAPoolGoes(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	assert.NilError(t, w.kube.Create(context.Background(), w.pool("i-0fffffffffffffff0")))
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{PoolName: "pool", InstanceID: w.instance})
	w.mustSettle()
	w.delete()
	w.mustSettle()
	assert.Assert(t, !w.exists())
	assert.Equal(t, len(w.owned()), 0)
}

func TestInUseIsNotDetached(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	assert.NilError(t, w.kube.Create(context.Background(), w.pool(w.instance)))
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{PoolName: "pool", InstanceID: w.instance})
	w.mustSettle()
	w.delete()
	result, err := w.once()
	assert.NilError(t, err)
	assert.Equal(t, result.RequeueAfter, settledPoll)
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False WaitingForDrain")
	assert.Equal(t, w.calls("DetachNetworkInterface"), 0)
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.Drained = true })
	w.mustSettle()
	assert.Assert(t, !w.exists())
	assert.Equal(t, len(w.owned()), 0)
}

// TestInUseIsAttachedAgain: claims use it until they are released.
func TestInUseIsAttachedAgain(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	assert.NilError(t, w.kube.Create(context.Background(), w.pool(w.instance)))
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{PoolName: "pool", InstanceID: w.instance})
	w.mustSettle()
	w.delete()
	w.ec2("DetachNetworkInterface", "AttachmentId", w.eni().Status.Attachment.ID)
	w.clock.Step(10 * time.Minute)
	assert.NilError(t, w.reconciler.inventory.Sweep(t.Context()))
	for range 5 {
		result, err := w.once()
		assert.NilError(t, err)
		w.clock.Step(result.RequeueAfter)
	}
	assert.Assert(t, w.eni().Status.Attachment != nil)
	assert.Equal(t, w.owned()[0].Attachment.InstanceID, w.instance)
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False WaitingForDrain")
}

// TestPoolGoneClaimsDecide: without its pool an ENI goes when no claim names it.
func TestPoolGoneClaimsDecide(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{PoolName: "pool", InstanceID: w.instance})
	w.mustSettle()
	claim := &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"}, Spec: v1alpha1.ENIClaimSpec{NodeName: nodeName},
		Status: v1alpha1.ENIClaimStatus{ENIName: eniName},
	}
	assert.NilError(t, w.kube.Create(context.Background(), claim))
	w.delete()
	_, err := w.once()
	assert.NilError(t, err)
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False WaitingForDrain")
	assert.NilError(t, w.kube.Delete(context.Background(), claim))
	w.mustSettle()
	assert.Assert(t, !w.exists())
}

func TestDeletedOutside(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.mustSettle()
	actual := w.only()
	w.ec2("DetachNetworkInterface", "AttachmentId", actual.Attachment.ID)
	w.clock.Step(time.Minute)
	w.ec2("DeleteNetworkInterface", "NetworkInterfaceId", actual.ID)
	assert.NilError(t, w.reconciler.inventory.Sweep(context.Background()))
	w.drain()
	w.mustSettle()
	status := w.eni().Status
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False NotFound")
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionCreated), "False NotFound")
	assert.Assert(t, status.Attachment == nil && status.State != v1alpha1.ENIAttached, "state %s", status.State)
	told := w.drain()
	assert.Equal(t, len(told), 1, "%v", told)
	assert.Equal(t, w.calls("CreateNetworkInterface"), 1)
	w.delete()
	w.mustSettle()
	assert.Assert(t, !w.exists())
}

func TestDetachedOutsideIsRepaired(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 2})
	w.mustSettle()
	w.ec2("DetachNetworkInterface", "AttachmentId", w.only().Attachment.ID, "Force", "true")
	w.clock.Step(time.Minute)
	assert.NilError(t, w.reconciler.inventory.Sweep(context.Background()))
	w.mustSettle()
	w.assertAgrees()
	assert.Equal(t, w.calls("AttachNetworkInterface"), 2)
}

func TestPaused(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Annotations = map[string]string{v1alpha1.PausedAnnotation: "true"}
	})
	w.mustSettle()
	assert.Equal(t, len(w.story()), 0)
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False Paused")
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Annotations = nil })
	w.mustSettle()
	w.assertAgrees()
}

// TestInstances: who waits for whom.
func TestInstances(t *testing.T) {
	t.Run("a Node without a providerID is waited for", func(t *testing.T) {
		w := newWorld(t, newEndpoint(t), emulator.Options{})
		w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
		w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.NodeName = "another" })
		result, err := w.once()
		assert.NilError(t, err)
		assert.Equal(t, result.RequeueAfter, time.Duration(0), "the Node's event comes")
		assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False NodeUnknown")
		assert.Equal(t, w.eni().Status.State, v1alpha1.ENIPending)
	})
	t.Run("an instance that EC2 does not show is asked for again", func(t *testing.T) {
		w := newWorld(t, newEndpoint(t), emulator.Options{})
		w.create(v1alpha1.ElasticNetworkInterfaceSpec{NodeName: w.join("i-0123456789abcdef0"), InstanceID: "i-0123456789abcdef0"})
		result, err := w.once()
		assert.NilError(t, err)
		assert.Assert(t, result.RequeueAfter > 0, "nothing tells when EC2 shows it")
		assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False NodeUnknown")
		assert.Assert(t, strings.Contains(message(w.eni()), "i-0123456789abcdef0"))
	})
	t.Run("a person's ENI goes to instances of Nodes only", func(t *testing.T) {
		w := newWorld(t, newEndpoint(t), emulator.Options{})
		database := w.launch()
		w.clock.Step(time.Minute)
		calls := len(w.story())
		w.create(v1alpha1.ElasticNetworkInterfaceSpec{InstanceID: database})
		_, err := w.once()
		assert.ErrorContains(t, err, "does not stand for instance "+database)
		assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False InvalidParameter")
		assert.Equal(t, len(w.story()), calls, "nothing is asked of EC2")
		w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.InstanceID = w.instance })
		w.mustSettle()
		w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.InstanceID = database })
		calls = len(w.story())
		_, err = w.once()
		assert.ErrorContains(t, err, "does not stand for instance "+database)
		assert.Equal(t, len(w.story()), calls, "nor is an attached one moved there")
	})
	t.Run("no free device index", func(t *testing.T) {
		w := newWorld(t, newEndpoint(t), emulator.Options{})
		three := int32(3) // an m5.large has 0 to 2
		w.create(v1alpha1.ElasticNetworkInterfaceSpec{MinDeviceIndex: &three})
		_, err := w.once()
		assert.ErrorContains(t, err, "no free device index")
		assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False NoFreeDeviceIndex")
		assert.Equal(t, condition(w.eni(), v1alpha1.ConditionCreated), "True Created")
		w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.MinDeviceIndex = nil })
		w.mustSettle()
		w.assertAgrees()
	})
	t.Run("a fixed device index that is taken heals", func(t *testing.T) {
		w := newWorld(t, newEndpoint(t), emulator.Options{})
		foreign := first(t, w.ec2("CreateNetworkInterface", "SubnetId", w.subnets[0]), "networkInterfaceId")
		taken := first(t, w.ec2("AttachNetworkInterface", "NetworkInterfaceId", foreign, "InstanceId", w.instance, "DeviceIndex", "1"), "attachmentId")
		one := int32(1)
		w.create(v1alpha1.ElasticNetworkInterfaceSpec{DeviceIndex: &one})
		_, err := w.once()
		assert.ErrorContains(t, err, "no free device index")
		w.ec2("DetachNetworkInterface", "AttachmentId", taken)
		w.clock.Step(time.Minute)
		w.mustSettle()
		w.assertAgrees()
		assert.Equal(t, w.eni().Status.Attachment.DeviceIndex, one)
	})
	t.Run("a terminated instance takes the ENI with it", func(t *testing.T) {
		w := newWorld(t, newEndpoint(t), emulator.Options{})
		assert.NilError(t, w.kube.Create(context.Background(), w.pool(w.instance)))
		w.create(v1alpha1.ElasticNetworkInterfaceSpec{PoolName: "pool", InstanceID: w.instance})
		w.mustSettle()
		w.ec2("TerminateInstances", "InstanceId.1", w.instance)
		w.clock.Step(time.Minute)
		assert.NilError(t, w.reconciler.inventory.Sweep(context.Background()))
		w.delete() // not drained, but nobody can use it any more
		w.mustSettle()
		assert.Assert(t, !w.exists())
		assert.Equal(t, len(w.owned()), 0)
	})
	t.Run("an ENI moves to another instance", func(t *testing.T) {
		w := newWorld(t, newEndpoint(t), emulator.Options{Timings: timings()})
		w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 2, InstanceID: w.instance})
		w.mustSettle()
		was := w.only()
		other := w.launch()
		w.clock.Step(time.Minute)
		node := w.join(other)
		w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.NodeName, eni.Spec.InstanceID = node, other })
		w.mustSettle()
		w.assertAgrees()
		is := w.only()
		assert.Equal(t, is.Attachment.InstanceID, other)
		assert.DeepEqual(t, []any{is.ID, is.MACAddress, is.Addresses}, []any{was.ID, was.MACAddress, was.Addresses})
	})
}

func TestCandidates(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	n := func(value int32) *int32 { return &value }
	for _, test := range []struct {
		name string
		spec v1alpha1.ElasticNetworkInterfaceSpec
		want []ec2.Slot
	}{
		{"the operator's lowest index", v1alpha1.ElasticNetworkInterfaceSpec{}, []ec2.Slot{{DeviceIndex: 1}, {DeviceIndex: 2}}},
		{"its own lowest index", v1alpha1.ElasticNetworkInterfaceSpec{MinDeviceIndex: n(2)}, []ec2.Slot{{DeviceIndex: 2}}},
		{"above the limit", v1alpha1.ElasticNetworkInterfaceSpec{MinDeviceIndex: n(3)}, nil},
		{"a card that is not there", v1alpha1.ElasticNetworkInterfaceSpec{NetworkCardIndex: n(1)}, nil},
		{"the first card", v1alpha1.ElasticNetworkInterfaceSpec{NetworkCardIndex: n(0)}, []ec2.Slot{{DeviceIndex: 1}, {DeviceIndex: 2}}},
		{"a fixed index", v1alpha1.ElasticNetworkInterfaceSpec{DeviceIndex: n(2), MinDeviceIndex: n(9)}, []ec2.Slot{{DeviceIndex: 2}}},
		{"a fixed index on a card", v1alpha1.ElasticNetworkInterfaceSpec{DeviceIndex: n(2), NetworkCardIndex: n(1)}, []ec2.Slot{{NetworkCardIndex: 1, DeviceIndex: 2}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			slots, err := w.reconciler.candidates(t.Context(), &v1alpha1.ElasticNetworkInterface{Spec: test.spec}, w.instance)
			assert.NilError(t, err)
			assert.DeepEqual(t, slots, test.want)
		})
	}
}

// TestNothingIsRemembered: what was known of an ENI goes with its resource.
func TestNothingIsRemembered(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.mustSettle()
	id := w.eni().Status.NetworkInterfaceID
	w.delete()
	w.mustSettle()
	// A mark that had stayed would say Gone at once.
	_, presence, err := w.reconciler.inventory.Look(context.Background(), id)
	assert.NilError(t, err)
	assert.Equal(t, int(presence), 0, "Unknown")
}
