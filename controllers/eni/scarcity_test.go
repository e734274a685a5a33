/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"strconv"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// tolerantly goes on for a while, whatever fails.
func (w *world) tolerantly(duration time.Duration) {
	w.t.Helper()
	for began := w.clock.Now(); w.clock.Since(began) < duration; {
		result, err := w.once()
		if err != nil {
			result.RequeueAfter = 5 * time.Second
		}
		w.clock.Step(max(result.RequeueAfter, time.Second))
	}
}

// freeIn is how many addresses of a subnet are free.
func (w *world) freeIn(subnet string) int {
	w.t.Helper()
	free, err := strconv.Atoi(first(w.t, w.ec2("DescribeSubnets", "SubnetId.1", subnet), "availableIpAddressCount"))
	assert.NilError(w.t, err)
	return free
}

// leave has others give up what they took of a subnet; see fill.
func (w *world) leave(subnet string) {
	w.t.Helper()
	body := w.ec2("DescribeNetworkInterfaces", "Filter.1.Name", "subnet-id", "Filter.1.Value.1", subnet, "Filter.2.Name", "status", "Filter.2.Value.1", "available")
	for _, id := range all(body, "networkInterfaceId") {
		w.ec2("DeleteNetworkInterface", "NetworkInterfaceId", id)
	}
}

// TestWhatIsFreeIsTaken, in the only subnet that there is; then the refusal is reported
// until there is room.
func TestWhatIsFreeIsTaken(t *testing.T) {
	for name, grows := range map[string]bool{"at creation": false, "by growth": true} {
		t.Run(name, func(t *testing.T) {
			const wanted, free = 9, 5
			w := newWorld(t, newEndpoint(t), emulator.Options{})
			spec := v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: wanted, PoolName: nodeName, InstanceID: w.instance}
			if grows {
				spec.AddressCount = 1
				w.create(spec)
				w.mustSettle()
				w.fill(w.subnets[0], w.freeIn(w.subnets[0])-free+1)
				w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.AddressCount = wanted })
			} else {
				w.fill(w.subnets[0], w.freeIn(w.subnets[0])-free-1)
				w.create(spec)
			}
			w.tolerantly(3 * time.Minute)
			assert.Equal(t, w.freeIn(w.subnets[0]), 0)
			assert.Equal(t, len(w.eni().Status.Addresses), free)
			refusal := w.eni().Status.Refusal
			assert.Assert(t, refusal != nil)
			assert.Equal(t, refusal.Reason, v1alpha1.ReasonSubnetExhausted)
			assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False SubnetExhausted")
			assert.Equal(t, condition(w.eni(), v1alpha1.ConditionAttached), "True Attached")
			assert.Assert(t, w.only().Attachment.DeleteOnTermination, "the rest is done all the same")

			calls := len(w.story())
			version := w.eni().ResourceVersion
			w.tolerantly(9 * time.Minute)
			assert.Equal(t, len(w.story()), calls, "EC2 is asked in vain: %v", w.story())
			assert.Equal(t, w.eni().ResourceVersion, version, "nothing is written at rest")

			w.leave(w.subnets[0])
			w.tolerantly(5 * time.Minute)
			assert.Equal(t, len(w.eni().Status.Addresses), wanted)
			assert.Assert(t, w.eni().Status.Refusal == nil)
			assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "True Ready")
		})
	}
}

// TestTheSpecIsMetAgain: the pool lowers the count to what the ENI carries.
func TestTheSpecIsMetAgain(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.fill(w.subnets[0], w.freeIn(w.subnets[0])-4)
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 9, PoolName: nodeName, InstanceID: w.instance})
	w.tolerantly(time.Minute)
	assert.Assert(t, w.eni().Status.Refusal != nil)
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.AddressCount = 3 })
	w.mustSettle()
	assert.Assert(t, w.eni().Status.Refusal == nil)
	w.assertAgrees()
}

// TestAffordable has one rule in each row.
func TestAffordable(t *testing.T) {
	once, twice := shortage{refused: 8, times: 1, free: 50}, shortage{refused: 8, times: 2, free: 50}
	for _, test := range []struct {
		name  string
		room  *room
		short *shortage
		each  int32
		want  int32
	}{
		{"nothing is known", nil, nil, 1, 8},
		{"room for all", &room{free: 100}, nil, 1, 8},
		{"room for some, besides the primary address", &room{free: 5}, nil, 1, 4},
		{"room for the primary address alone", &room{free: 1}, nil, 1, 0},
		{"room for some prefixes", &room{free: 40}, nil, 16, 2},
		{"no block of 16", &room{free: 100, fragmented: true}, nil, 16, 0},
		{"single addresses fit between", &room{free: 100, fragmented: true}, nil, 1, 8},
		{"refused once, though the subnet shows room: once more", &room{free: 50}, &once, 1, 8},
		{"refused twice, though the subnet shows room: fewer", &room{free: 50}, &twice, 1, 4},
		{"refused, and fewer are free", &room{free: 7}, &twice, 1, 6},
		{"one was refused", &room{free: 50}, &shortage{refused: 1, times: 5}, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := observation{rooms: map[string]room{}, shortages: map[string]shortage{}}
			if test.room != nil {
				o.rooms["s"] = *test.room
			}
			if test.short != nil {
				o.shortages["s"] = *test.short
			}
			assert.Equal(t, o.affordable("s", 8, test.each, 1), test.want)
		})
	}
}

func TestAShortageIsOver(t *testing.T) {
	s := shortage{free: 5, need: 4, at: start}
	assert.Assert(t, !s.outlived(start.Add(time.Minute), false, room{}))
	assert.Assert(t, !s.outlived(start.Add(time.Minute), true, room{free: 5}))
	assert.Assert(t, s.outlived(start.Add(time.Minute), true, room{free: 6}), "a read shows more")
	assert.Assert(t, s.outlived(start.Add(shortageFor), false, room{}), "it is old")
	assert.Assert(t, s.outlived(start.Add(shortageFor), true, room{free: 4}), "it is old, and the reads do not explain it")
	assert.Assert(t, !s.outlived(start.Add(shortageFor), true, room{free: 3}), "it goes on")
}

// TestSubnetsByRoom: room for all comes before the order of the candidates.
func TestSubnetsByRoom(t *testing.T) {
	for _, test := range []struct {
		name  string
		rooms map[string]room
		short map[string]shortage
		want  string
		count int32
	}{
		{"the first", nil, nil, "Record attempt 1 in subnet-a", 2},
		{"the second has room for all", map[string]room{"subnet-a": {free: 2}, "subnet-b": {free: 3}}, nil, "Record attempt 1 in subnet-b", 2},
		{"one that is not known may have", map[string]room{"subnet-a": {free: 2}}, nil, "Record attempt 1 in subnet-b", 2},
		{"none has: the one with most", map[string]room{"subnet-a": {free: 1}, "subnet-b": {free: 2}}, nil, "Record attempt 1 in subnet-b", 1},
		{"none has any", map[string]room{"subnet-a": {free: 1}, "subnet-b": {}}, nil, "Wait 1m0s", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := unborn()
			o.rooms = test.rooms
			o.shortages = test.short
			d := plan(o)
			assert.Equal(t, line(d), test.want)
			assert.Equal(t, d.record.AddressCount, test.count)
			assert.Equal(t, d.refusal != nil, test.count == 0)
		})
	}
}

func TestReasonsOfScarcity(t *testing.T) {
	for _, test := range []struct {
		code           string
		prefixes, fits bool
		want           string
	}{
		{ec2.CodeInsufficientFreeAddresses, false, false, v1alpha1.ReasonSubnetExhausted},
		{ec2.CodeInsufficientCidrBlocks, true, true, v1alpha1.ReasonSubnetFragmented},
		{ec2.CodeInsufficientCidrBlocks, true, false, v1alpha1.ReasonSubnetExhausted},
		{ec2.CodeInvalidParameterValue, false, false, v1alpha1.ReasonSubnetExhausted},
		{ec2.CodeInvalidParameterValue, false, true, ""},
		{codeAddressLimit, false, true, v1alpha1.ReasonQuotaExceeded},
	} {
		w := newWorld(t, newEndpoint(t), emulator.Options{})
		w.server.AddFault(emulator.Fault{Action: "CreateTags", Code: test.code, Count: 1})
		err := w.api.CreateTags(t.Context(), "eni-1", map[string]string{"a": "b"})
		assert.Equal(t, capacityReason(err, test.prefixes, test.fits), test.want, "%+v", test)
	}
}

// TestARecordAheadOfTheClockIsNotRepeatedForEver: a process whose clock was wrong wrote
// it.
func TestARecordAheadOfTheClockIsNotRepeatedForEver(t *testing.T) {
	o := unborn()
	o.eni.Status.Creation = &v1alpha1.CreationRecord{Attempt: 3, StartedAt: metav1.NewTime(start.Add(24 * time.Hour)), Description: "kept"}
	d := plan(o)
	assert.Equal(t, d.action, actRestamp)
	assert.Equal(t, d.record.StartedAt.Time, start)
	assert.Equal(t, d.record.Description, "kept")
	o.eni.Status.Creation = &d.record
	assert.Equal(t, plan(o).action, actCreate)
}

// TestADeletedGroupIsReadAgain: the primary ENI has another one by now.
func TestADeletedGroupIsReadAgain(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	reads := w.calls("DescribeInstances")
	w.server.AddFault(emulator.Fault{Action: "CreateNetworkInterface", Code: "InvalidGroup.NotFound", Count: 1})
	_, err := w.once()
	assert.Equal(t, ec2.Classify(err), ec2.ClassNotFound)
	w.mustSettle()
	w.assertAgrees()
	assert.Assert(t, w.calls("DescribeInstances") > reads+1)
}

func TestCardsThatAreFullAreLeftOut(t *testing.T) {
	three := []slot{{card: 0, index: 1}, {card: 1, index: 1}, {card: 1, index: 2}, {card: 2, index: 1}}
	refused := cardRefusal{}.again(start, 1)
	for _, test := range []struct {
		name    string
		cards   map[int32]card
		after   time.Duration
		want    []slot
		refused bool
	}{
		{"all have room", map[int32]card{0: {limit: 2, attached: 1}, 1: {limit: 2}, 2: {limit: 2}}, 0, three, false},
		{"others fill a card", map[int32]card{0: {limit: 2, attached: 2}, 1: {limit: 2, attached: 2}, 2: {limit: 2, attached: 1}}, 0, three[3:], false},
		{"EC2 refused one", map[int32]card{0: {limit: 2, attached: 1, refusal: refused}, 1: {limit: 2}, 2: {limit: 2}}, 0, three[1:], true},
		{
			"which is the last one to be tried again",
			map[int32]card{0: {limit: 2, attached: 1, refusal: refused}, 1: {limit: 2, attached: 2}, 2: {limit: 2}}, refused.pause,
			[]slot{three[3], three[0]}, false,
		},
		{"unless an ENI has left it", map[int32]card{0: {limit: 2, refusal: refused}}, 0, three[:1], false},
	} {
		t.Run(test.name, func(t *testing.T) {
			open, left := openSlots(three, test.cards, start.Add(test.after))
			assert.Equal(t, len(open), len(test.want), "%v", open)
			for at := range open {
				assert.Equal(t, open[at], test.want[at])
			}
			assert.Equal(t, left, test.refused)
		})
	}
}

// TestAnInstanceThatTakesNoMoreIsLeftInPeace: less and less often it is asked.
func TestAnInstanceThatTakesNoMoreIsLeftInPeace(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	full := w.server.AddFault(emulator.Fault{Action: "AttachNetworkInterface", Code: codeAttachmentLimit})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.tolerantly(time.Hour)
	calls := w.calls("AttachNetworkInterface")
	assert.Assert(t, calls > 1 && calls < 16, "%d calls within an hour", calls)
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False QuotaExceeded")
	full()
	w.tolerantly(longestCardPause + time.Minute)
	w.assertAgrees()
}

// TestAStaleTokenIsLookedInto: somebody deleted the ENI before the operator learned of
// it, and EC2 does not make another under the same token.
func TestAStaleTokenIsLookedInto(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.server.AddFault(emulator.Fault{Action: "CreateNetworkInterface", LoseAnswer: true, Count: 1})
	_, err := w.once()
	assert.Assert(t, ec2.Unclear(err))
	w.ec2("DeleteNetworkInterface", "NetworkInterfaceId", w.only().ID)
	w.clock.Step(time.Minute)
	_, err = w.once()
	assert.Equal(t, ec2.Code(err), ec2.CodeIdempotentParameterMismatch)
	assert.Assert(t, w.eni().Status.Creation.Unclear)
	looks := w.calls("DescribeNetworkInterfaces")
	w.mustSettle()
	w.assertAgrees()
	assert.Equal(t, w.eni().Status.Creation.Attempt, int32(2))
	assert.Assert(t, w.calls("DescribeNetworkInterfaces") >= looks+2, "looked twice")
}

// TestAnAssignmentStartsWithALook: what others assigned to the primary ENI since the
// names were chosen is theirs.
func TestAnAssignmentStartsWithALook(t *testing.T) {
	const chosen = v1alpha1.AddressOrPrefix("10.0.0.9")
	for _, test := range []struct {
		name   string
		change func(o *observation)
		want   string
	}{
		{"with a look", func(o *observation) { o.looked = false }, "Look 10.0.0.9"},
		{"and goes on with the call", func(*observation) {}, "Assign 10.0.0.9"},
		{"others have it: none is adopted", func(o *observation) { o.actual.addresses = []string{string(chosen)} }, "Adopt"},
		{
			"after a call it is the operator's",
			func(o *observation) { o.actual.addresses, o.freshAssignment = []string{string(chosen)}, false }, "Adopt 10.0.0.9",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := settled()
			index := int32(0)
			o.eni.Spec.DeviceIndex = &index
			o.eni.Status.Assignment = &v1alpha1.AssignmentRecord{Names: []v1alpha1.AddressOrPrefix{chosen}}
			o.looked, o.freshAssignment = true, true
			test.change(&o)
			assert.Equal(t, line(plan(o)), test.want)
		})
	}
}
