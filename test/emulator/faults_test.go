/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// assertNoAnswer asserts that a call failed without an answer of EC2.
func assertNoAnswer(t *testing.T, err error) {
	t.Helper()
	var apiErr smithy.APIError
	assert.Assert(t, err != nil)
	assert.Assert(t, !errors.As(err, &apiErr), "got the answer %v", err)
}

func (w *world) countENIs() int {
	w.t.Helper()
	return len(must(w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{})).NetworkInterfaces)
}

func TestLostAnswer(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	w.server.AddFault(emulator.Fault{Action: "CreateNetworkInterface", Count: 1, LoseAnswer: true})
	_, err := w.CreateNetworkInterface(w.ctx(), tokenInput(subnetID))
	assertNoAnswer(t, err)
	assert.Equal(t, w.countENIs(), 1)
	w.create(tokenInput(subnetID)) // the same ENI, by its client token
	assert.Equal(t, w.countENIs(), 1)
}

func TestDiscardedRequest(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	w.server.AddFault(emulator.Fault{Action: "CreateNetworkInterface", Count: 1, Discard: true})
	_, err := w.CreateNetworkInterface(w.ctx(), tokenInput(subnetID))
	assertNoAnswer(t, err)
	assert.Equal(t, w.countENIs(), 0)
	calls := w.server.Calls()
	assert.Equal(t, calls[len(calls)-2].Unanswered, true)
}

func TestInjectedErrors(t *testing.T) {
	w := newWorld(t, unthrottled())
	remove := w.server.AddFault(emulator.Fault{Action: emulator.AnyAction, Code: "InternalError", Message: "An internal error has occurred", Status: 500})
	w.server.AddFault(emulator.Fault{
		Action: "CreateTags", Params: map[string]string{"ResourceId.1": noENI}, Count: 2,
		Code: "IncorrectState", Message: "Try later.",
	})
	assertAPIError(t, w.tryTags(noENI), "InternalError", "An internal error has occurred")
	remove()
	remove()
	assertAPIError(t, w.tryTags(noENI), "IncorrectState", "Try later.")
	assertAPIError(t, w.tryTags("eni-00000000"), "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID 'eni-00000000' does not exist")
	assertAPIError(t, w.tryTags(noENI), "IncorrectState", "Try later.")
	assertAPIError(t, w.tryTags(noENI), "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '"+noENI+"' does not exist")
}

func TestFaultProbabilityIsSeeded(t *testing.T) {
	failures := func(seed uint64) []bool {
		options := unthrottled()
		options.Seed = seed
		w := newWorld(t, options)
		w.server.AddFault(emulator.Fault{Action: "DescribeVpcs", Probability: 0.5, Code: "Unavailable", Status: 503})
		var failed []bool
		for range 64 {
			_, err := w.DescribeVpcs(w.ctx(), &ec2.DescribeVpcsInput{})
			failed = append(failed, err != nil)
		}
		return failed
	}
	first, again, other := failures(1), failures(1), failures(2)
	assert.DeepEqual(t, first, again)
	differs := false
	for i := range first {
		differs = differs || first[i] != other[i]
	}
	assert.Assert(t, differs)
}

func TestFaultsDecideApart(t *testing.T) {
	failures := func(others int) []bool {
		w := newWorld(t, unthrottled())
		w.server.AddFault(emulator.Fault{Action: "DescribeVpcs", Probability: 0.5, Code: "Unavailable", Status: 503})
		w.server.AddFault(emulator.Fault{Action: "DescribeSubnets", Probability: 0.5, Code: "Unavailable", Status: 503})
		var failed []bool
		for range 32 {
			_, err := w.DescribeVpcs(w.ctx(), &ec2.DescribeVpcsInput{})
			failed = append(failed, err != nil)
			for range others {
				_, _ = w.DescribeSubnets(w.ctx(), &ec2.DescribeSubnetsInput{}) // whatever it answers
			}
		}
		return failed
	}
	assert.DeepEqual(t, failures(0), failures(3))
}

func TestFaultOfOneCallerIsNamedInTheLog(t *testing.T) {
	w := newWorld(t, unthrottled())
	w.server.AddFault(emulator.Fault{Name: "theirs", Action: "DescribeVpcs", Caller: "AKIANOBODY", Code: "Unavailable", Status: 503})
	remove := w.server.AddFault(emulator.Fault{Name: "ours", Action: "DescribeVpcs", Code: "Unavailable", Status: 503})
	_, err := w.DescribeVpcs(w.ctx(), &ec2.DescribeVpcsInput{})
	assert.ErrorContains(t, err, "Unavailable")
	remove()
	must(w.DescribeVpcs(w.ctx(), &ec2.DescribeVpcsInput{}))
	calls := w.server.Calls()
	assert.Equal(t, calls[len(calls)-2].Fault, "ours")
	assert.Equal(t, calls[len(calls)-1].Fault, "")
}

func TestErrorAfterTheEffect(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	w.server.AddFault(emulator.Fault{
		Action: "CreateNetworkInterface", Count: 1, LoseAnswer: true, Code: "InternalError", Message: "An internal error has occurred", Status: 500,
	})
	_, err := w.CreateNetworkInterface(w.ctx(), tokenInput(subnetID))
	assertAPIError(t, err, "InternalError", "An internal error has occurred")
	assert.Equal(t, w.countENIs(), 1)
}

func TestFaultForYoungENIs(t *testing.T) {
	w := newWorld(t, unthrottled())
	id := w.eni(w.subnet("10.0.0.0/24"))
	w.server.AddFault(emulator.Fault{
		Action: emulator.AnyAction, YoungENI: time.Second, Code: "InvalidNetworkInterfaceID.NotFound", Message: "It does not exist",
	})
	assertAPIError(t, w.tryTags(id), "InvalidNetworkInterfaceID.NotFound", "It does not exist")
	assert.Equal(t, w.countENIs(), 1) // a call that names no ENI
	w.clock.Step(time.Second)
	assert.NilError(t, w.tryTags(id))
}

// TestFaultsForManyCallers asserts that callers at the same time do not hold each
// other up for good.
func TestFaultsForManyCallers(t *testing.T) {
	w := newWorld(t, unthrottled())
	id := w.eni(w.subnet("10.0.0.0/24"))
	w.server.AddFault(emulator.Fault{Action: "CreateTags", YoungENI: time.Hour, Probability: 0.5, Code: "IncorrectState"})
	w.server.AddFault(emulator.Fault{Action: "DescribeNetworkInterfaces", Probability: 0.5, Stale: time.Second})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 50 {
				_ = w.tryTags(id) // half of them fail
				_, err := w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{})
				assert.Check(t, err)
			}
		})
	}
	callers.Wait()
}

// TestStaleDescribe asserts that stale reads show what was, in ENIs and instances,
// also where nobody asked meanwhile, and that writes see what is.
func TestStaleDescribe(t *testing.T) {
	options := unthrottled()
	options.Timings.Attach = fixed(time.Second)
	w := newWorld(t, options)
	subnetID := w.subnet("10.0.0.0/24")
	instanceID := *w.run(subnetID, types.InstanceTypeM5Large).InstanceId
	id := w.eni(subnetID)
	const lag = 5 * time.Second
	stale := emulator.Fault{Action: "DescribeNetworkInterfaces", Count: 1, Stale: lag}
	ofInstance := emulator.Fault{Action: "DescribeInstances", Count: 1, Stale: lag}
	keep := w.server.AddFault(emulator.Fault{Action: "DescribeInstances", Params: map[string]string{"InstanceId.1": "none"}, Stale: lag})
	defer keep()

	w.clock.Step(lag)
	w.attach(id, instanceID, 1)
	second := w.eni(subnetID)
	w.clock.Step(lag - time.Second) // Nobody asks meanwhile; the attachment is complete.
	w.server.AddFault(stale)
	assert.Equal(t, w.countENIs(), 2, "the second ENI does not show yet")
	w.server.AddFault(stale)
	assert.Assert(t, w.describe(id).Attachment == nil)
	w.server.AddFault(ofInstance)
	assert.Equal(t, len(w.describeInstance(instanceID).NetworkInterfaces), 1)
	assert.NilError(t, w.tryTags(second))
	assert.Equal(t, w.describe(id).Attachment.Status, types.AttachmentStatusAttached)

	w.clock.Step(time.Second + time.Millisecond)
	w.server.AddFault(stale)
	assert.Equal(t, w.describe(id).Attachment.Status, types.AttachmentStatusAttaching)
	w.clock.Step(lag)
	w.server.AddFault(stale)
	assert.Equal(t, w.describe(id).Attachment.Status, types.AttachmentStatusAttached)
	w.server.AddFault(stale)
	assert.Equal(t, w.countENIs(), 3)
}

func TestDenyAndAllow(t *testing.T) {
	w := newWorld(t, emulator.Options{PlainRefusals: true})
	const message = "You are not authorized to perform this operation. " +
		"User: arn:aws:iam::123456789012:user/emulator is not authorized to perform: ec2:CreateTags " +
		"on resource: arn:aws:ec2:us-east-1:123456789012:network-interface/" + noENI + " because no identity-based policy allows the ec2:CreateTags action"
	w.server.Deny("CreateTags", "DeleteTags")
	for range 101 { // a denied request does not touch its bucket
		assertAPIError(t, w.tryTags(noENI), "UnauthorizedOperation", message)
	}
	w.server.Allow("CreateTags")
	assertAPIError(t, w.tryTags(noENI), "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '"+noENI+"' does not exist")
	w.server.Deny(emulator.AnyAction)
	assertAPIError(t, w.tryTags(noENI), "UnauthorizedOperation", message)
}

// TestPermissions: what one caller may not use, others may; tagging what is created
// needs a permission of its own, as in IAM.
func TestPermissions(t *testing.T) {
	w := newWorld(t, emulator.Options{PlainRefusals: true, Permissions: map[string][]string{"AKIAEXAMPLE": {"CreateNetworkInterface"}}})
	subnetID := w.subnet("10.0.0.0/24")
	settings := w.Options()
	settings.Credentials = credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", "secret", "")
	restricted := ec2.New(settings)
	create := func(tags ...types.TagSpecification) error {
		_, err := restricted.CreateNetworkInterface(w.ctx(), &ec2.CreateNetworkInterfaceInput{SubnetId: &subnetID, TagSpecifications: tags})
		return err
	}
	tagged := types.TagSpecification{
		ResourceType: types.ResourceTypeNetworkInterface, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}},
	}
	refusal := func(action string) string {
		return "You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/emulator is not authorized to perform: ec2:" +
			action + " on resource: arn:aws:ec2:us-east-1:123456789012:network-interface/* because no identity-based policy allows the ec2:" + action + " action"
	}
	assert.NilError(t, create())
	assertAPIError(t, create(tagged), "UnauthorizedOperation", refusal("CreateTags"))
	w.server.SetPermissions("AKIAEXAMPLE", "CreateNetworkInterface", "CreateTags")
	assert.NilError(t, create(tagged))
	w.server.SetPermissions("AKIAEXAMPLE")
	assertAPIError(t, create(), "UnauthorizedOperation", refusal("CreateNetworkInterface"))
	w.eni(subnetID) // others are not restricted
}

func TestStaleNewENIs(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	instanceID := *w.run(subnetID, types.InstanceTypeM5Large).InstanceId
	w.server.SetStaleReads(emulator.StaleReads{NewENIs: time.Second})
	id := w.eni(subnetID)
	notFound := "The networkInterface ID '" + id + "' does not exist"
	_, err := w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}})
	assertAPIError(t, err, "InvalidNetworkInterfaceID.NotFound", notFound)
	_, err = w.AttachNetworkInterface(w.ctx(), &ec2.AttachNetworkInterfaceInput{
		NetworkInterfaceId: &id, InstanceId: &instanceID, DeviceIndex: aws.Int32(1),
	})
	assertAPIError(t, err, "InvalidNetworkInterfaceID.NotFound", notFound)
	assertAPIError(t, w.tryTags(id), "InvalidNetworkInterfaceID.NotFound", notFound)
	assert.Equal(t, w.countENIs(), 1)
	w.clock.Step(time.Second)
	assert.Equal(t, w.countENIs(), 2)
	w.attach(id, instanceID, 1)
}

func TestStaleNewAddresses(t *testing.T) {
	options := unthrottled()
	options.Stale.NewAddresses = time.Second
	w := newWorld(t, options)
	id := w.eni(w.subnet("10.0.0.0/24"))
	assert.Equal(t, len(w.assign(id, count(2))), 2)
	assert.Equal(t, len(slots(w.describe(id))), 1)
	w.clock.Step(time.Second)
	assert.Equal(t, len(slots(w.describe(id))), 3)
}

func TestStaleTerminations(t *testing.T) {
	options := unthrottled()
	options.Stale.Terminations = time.Minute
	w := newWorld(t, options)
	subnetID := w.subnet("10.0.0.0/24")
	instanceID := *w.run(subnetID, types.InstanceTypeM5Large).InstanceId
	forced, waited := w.eni(subnetID), w.eni(subnetID)
	attachmentID := w.attach(forced, instanceID, 1)
	w.attach(waited, instanceID, 2)
	must(w.TerminateInstances(w.ctx(), &ec2.TerminateInstancesInput{InstanceIds: []string{instanceID}}))
	assert.Equal(t, w.describeInstance(instanceID).State.Name, types.InstanceStateNameTerminated)
	_, err := w.DeleteNetworkInterface(w.ctx(), &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &forced})
	assertAPIError(t, err, "InvalidParameterValue", "Network interface '"+forced+"' is currently in use.")
	must(w.DetachNetworkInterface(w.ctx(), &ec2.DetachNetworkInterfaceInput{AttachmentId: &attachmentID, Force: aws.Bool(true)}))
	must(w.DeleteNetworkInterface(w.ctx(), &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &forced}))
	assert.Equal(t, w.describe(waited).Status, types.NetworkInterfaceStatusInUse)
	w.clock.Step(time.Minute)
	assert.Equal(t, w.describe(waited).Status, types.NetworkInterfaceStatusAvailable)
}

func TestSickInstanceDetachesSlowly(t *testing.T) {
	options := unthrottled()
	options.Timings = emulator.Timings{Detach: fixed(2 * time.Second), SickDetach: fixed(4 * time.Minute)}
	w := newWorld(t, options)
	subnetID := w.subnet("10.0.0.0/24")
	instanceID := *w.run(subnetID, types.InstanceTypeM5Large).InstanceId
	slow, forced := w.eni(subnetID), w.eni(subnetID)
	slowID, forcedID := w.attach(slow, instanceID, 1), w.attach(forced, instanceID, 2)
	assert.Assert(t, w.server.SetSick("us-east-1", instanceID, true))
	assert.Assert(t, !w.server.SetSick("us-east-1", noInstance, true))

	for _, id := range []string{slowID, forcedID} {
		must(w.DetachNetworkInterface(w.ctx(), &ec2.DetachNetworkInterfaceInput{AttachmentId: &id}))
	}
	w.clock.Step(time.Minute)
	must(w.DetachNetworkInterface(w.ctx(), &ec2.DetachNetworkInterfaceInput{AttachmentId: &forcedID, Force: aws.Bool(true)}))
	w.clock.Step(2 * time.Second)
	assert.Equal(t, w.describe(slow).Attachment.Status, types.AttachmentStatusDetaching)
	assert.Equal(t, w.describe(forced).Status, types.NetworkInterfaceStatusAvailable)
	w.clock.Step(3 * time.Minute)
	assert.Equal(t, w.describe(slow).Status, types.NetworkInterfaceStatusAvailable)
}

// TestClientThatGivesUp asserts that a request that is held back is never
// executed, whereas latency strikes only once it was.
func TestClientThatGivesUp(t *testing.T) {
	for _, test := range []struct {
		name     string
		latency  emulator.Latency
		fault    emulator.Fault
		wantENIs int
	}{
		{name: "while the request is held back", fault: emulator.Fault{Action: "CreateNetworkInterface", Delay: time.Minute}, wantENIs: 0},
		{name: "while the answer is under way", latency: emulator.Latency{Actions: map[string]emulator.Span{
			"CreateNetworkInterface": fixed(time.Minute),
		}}, wantENIs: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			options := unthrottled()
			options.Timings.Latency = test.latency
			w := newWorld(t, options)
			subnetID := w.subnet("10.0.0.0/24")
			if test.fault.Action != "" {
				w.server.AddFault(test.fault)
			}
			ctx, cancel := context.WithCancel(w.ctx())
			failed := make(chan error)
			go func() {
				_, err := w.CreateNetworkInterface(ctx, tokenInput(subnetID))
				failed <- err
			}()
			w.waitForTimer()
			cancel()
			assertNoAnswer(t, <-failed)
			assert.Equal(t, w.countENIs(), test.wantENIs)
		})
	}
}

// waitForTimer waits until the server waits for its clock.
func (w *world) waitForTimer() {
	for !w.clock.HasWaiters() {
		select {
		case <-w.ctx().Done():
			w.t.Fatal("nothing waits")
		default:
			runtime.Gosched()
		}
	}
}
