/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package events

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-logr/logr/funcr"
	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

func ready(status metav1.ConditionStatus, reason, message string) []metav1.Condition {
	return []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: message}}
}

func newENI(change func(*v1alpha1.ElasticNetworkInterface)) *v1alpha1.ElasticNetworkInterface {
	eni := &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: "i-1-0", UID: "uid"},
		Spec:       v1alpha1.ElasticNetworkInterfaceSpec{NodeName: "node", Mode: v1alpha1.ModeShared},
	}
	if change != nil {
		change(eni)
	}
	return eni
}

func newPool(change func(*v1alpha1.ENIPool)) *v1alpha1.ENIPool {
	pool := &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: v1alpha1.ENIPoolSpec{NodeName: "node"}}
	if change != nil {
		change(pool)
	}
	return pool
}

func newClaim(change func(*v1alpha1.ENIClaim)) *v1alpha1.ENIClaim {
	claim := &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-0"}, Spec: v1alpha1.ENIClaimSpec{NodeName: "node"},
	}
	if change != nil {
		change(claim)
	}
	return claim
}

func newPolicy(change func(*v1alpha1.ENIPolicy)) *v1alpha1.ENIPolicy {
	policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: "general"}}
	if change != nil {
		change(policy)
	}
	return policy
}

// told renders events, a notice in brackets.
func told(happened []Event) string {
	var lines []string
	for _, e := range happened {
		line := string(e.Type)
		if n := e.Notice; n != nil {
			line += fmt.Sprintf(" [%t %s %s: %s]", n.Warning, n.Reason, n.Action, e.Message)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestStoredENI(t *testing.T) {
	type change func(*v1alpha1.ElasticNetworkInterface)
	isReady := func(e *v1alpha1.ElasticNetworkInterface) {
		e.Status.Conditions = ready(metav1.ConditionTrue, v1alpha1.ReasonReady, "")
		e.Status.NetworkInterfaceID = "eni-1"
	}
	state := func(s v1alpha1.ENIState) change {
		return func(e *v1alpha1.ElasticNetworkInterface) { e.Status.State = s }
	}
	attempt := func(number int32, refused string) change {
		return func(e *v1alpha1.ElasticNetworkInterface) {
			e.Status.Creation = &v1alpha1.CreationRecord{Attempt: number, Refused: refused}
		}
	}
	fails := func(reason string) change {
		return func(e *v1alpha1.ElasticNetworkInterface) {
			e.Status.Conditions = ready(metav1.ConditionFalse, reason, "why")
		}
	}
	for _, row := range []struct {
		name          string
		before, after change
		want          string
	}{
		{"nothing", isReady, isReady, ""},
		{"first state", nil, state(v1alpha1.ENIPending), "ENIStateChanged"},
		{"attempt", nil, attempt(1, ""), "ENICreationAttempted"},
		{"refusal", attempt(1, ""), attempt(1, "InsufficientFreeAddressesInSubnet"), "ENICreationRefused"},
		{"refused again", attempt(1, "A"), attempt(2, "A"), "ENICreationAttempted\nENICreationRefused"},
		{"still refused", attempt(1, "A"), attempt(1, "A"), ""},
		{"addresses", nil, func(e *v1alpha1.ElasticNetworkInterface) { e.Status.AddressCount = 3 }, "ENIAddressesChanged"},
		{"ready", fails(v1alpha1.ReasonAttaching), isReady, "ENIReady [false Ready Attach: ENI eni-1 is attached to node with 0 addresses]"},
		{"on its way", fails(v1alpha1.ReasonCreating), fails(v1alpha1.ReasonAttaching), ""},
		{"in trouble", fails(v1alpha1.ReasonCreating), fails(v1alpha1.ReasonSubnetExhausted), "ENIFailed [true SubnetExhausted Reconcile: why]"},
		{"in trouble, but ready", isReady, func(e *v1alpha1.ElasticNetworkInterface) {
			e.Status.Conditions = ready(metav1.ConditionTrue, v1alpha1.ReasonUnauthorized, "why")
		}, "ENIFailed [true Unauthorized Reconcile: why]"},
		{"deleted", isReady, fails(v1alpha1.ReasonDeleting), "ENINotReady"},
		{"address lost", nil, func(e *v1alpha1.ElasticNetworkInterface) {
			e.Status.NetworkInterfaceID = "eni-1"
			e.Status.Lost = []v1alpha1.AddressOrPrefix{"10.0.0.9"}
		}, "ENIAddressLost [true AddressLost Assign: 10.0.0.9 vanished from eni-1, and EC2 does not assign it again]"},
	} {
		t.Run(row.name, func(t *testing.T) {
			assert.Equal(t, told(Stored(newENI(row.before), newENI(row.after))), row.want)
		})
	}
}

func TestStoredPool(t *testing.T) {
	type change func(*v1alpha1.ENIPool)
	addresses := func(states ...v1alpha1.HolderState) change {
		return func(p *v1alpha1.ENIPool) {
			for i, state := range states {
				p.Status.Addresses = append(p.Status.Addresses, v1alpha1.PoolAddress{Address: v1alpha1.Address(fmt.Sprintf("10.0.0.%d", i)), State: state})
			}
		}
	}
	fails := func(reason string) change {
		return func(p *v1alpha1.ENIPool) {
			p.Status.Conditions = ready(metav1.ConditionFalse, reason, "why")
		}
	}
	for _, row := range []struct {
		name          string
		before, after change
		want          string
		evicted       int32
	}{
		{"nothing", fails("a"), fails("a"), "", 0},
		{"ready", fails("a"), func(p *v1alpha1.ENIPool) {
			p.Status.Conditions = ready(metav1.ConditionTrue, v1alpha1.ReasonReady, "")
			p.Status.ENIs = []v1alpha1.PoolENI{{Name: "a", Ready: true}, {Name: "b", Ready: true}, {Name: "decided"}}
			p.Status.ENICount = 3
		}, "PoolResized\nPoolReady [false Ready Fill: The pool holds its minimum on 2 ENIs]", 0},
		{"waits for ENIs", nil, fails(v1alpha1.ReasonENIsNotReady), "PoolNotReady", 0},
		{"waits for one ENI", nil, fails(v1alpha1.ReasonAttaching), "PoolNotReady", 0},
		{"in trouble", nil, fails(v1alpha1.ReasonInstanceNotFound), "PoolNotReady [true InstanceNotFound Reconcile: why]", 0},
		{"more addresses", nil, func(p *v1alpha1.ENIPool) { p.Status.Shared = &v1alpha1.SharedStatus{Free: 2} }, "PoolResized", 0},
		{"fewer addresses", addresses(v1alpha1.HolderCooling, v1alpha1.HolderReleasing),
			addresses(v1alpha1.HolderReleasing, v1alpha1.HolderReleasing, v1alpha1.HolderReleasing), "PoolResized", 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			happened := Stored(newPool(row.before), newPool(row.after))
			assert.Equal(t, told(happened), row.want)
			if row.evicted > 0 {
				_, after, ok := Change[PoolState](happened[0])
				assert.Assert(t, ok)
				assert.Equal(t, after.EvictedAddresses, row.evicted)
			}
		})
	}
}

func TestStoredPoolGivesENIsBack(t *testing.T) {
	enis := func(states ...v1alpha1.PoolENIState) func(*v1alpha1.ENIPool) {
		return func(p *v1alpha1.ENIPool) {
			for i, state := range states {
				p.Status.ENIs = append(p.Status.ENIs, v1alpha1.PoolENI{Name: fmt.Sprint(i), State: state})
			}
		}
	}
	happened := Stored(newPool(enis(v1alpha1.PoolENIActive, v1alpha1.PoolENIReleasing)), newPool(enis(v1alpha1.PoolENIReleasing, v1alpha1.PoolENIReleasing)))
	assert.Equal(t, told(happened), "PoolResized")
	_, after, _ := Change[PoolState](happened[0])
	assert.Equal(t, after.EvictedENIs, int32(1))
}

func TestStoredClaim(t *testing.T) {
	phase := func(p v1alpha1.ClaimPhase, address, reason, message string) func(*v1alpha1.ENIClaim) {
		return func(c *v1alpha1.ENIClaim) {
			c.Status.Phase, c.Status.Address = p, address
			c.Status.Conditions = ready(metav1.ConditionFalse, reason, message)
		}
	}
	bound := phase(v1alpha1.ClaimBound, "10.0.0.9", "", "")
	for _, row := range []struct {
		name          string
		before, after func(*v1alpha1.ENIClaim)
		want          string
	}{
		{"nothing", bound, bound, ""},
		{"waits", nil, phase(v1alpha1.ClaimPending, "", v1alpha1.ReasonNoPool, "no pool"), "ClaimPending"},
		{"bound", nil, bound, "ClaimBound"},
		{"deleted", bound, func(c *v1alpha1.ENIClaim) {
			c.DeletionTimestamp = &metav1.Time{Time: time.Now()}
			c.Status.Phase = v1alpha1.ClaimPending
		}, ""},
		{"lost", bound, phase(v1alpha1.ClaimLost, "", v1alpha1.ReasonNodeGone, "gone"), "ClaimLost [true NodeGone Bind: gone]"},
		{"expired", bound, phase(v1alpha1.ClaimExpired, "", v1alpha1.ReasonExpired, ""),
			"ClaimExpired [true Expired Expire: The lease was not renewed in time: 10.0.0.9 goes back to the pool]"},
		{"expired before it held anything", nil, phase(v1alpha1.ClaimExpired, "", v1alpha1.ReasonExpired, ""),
			"ClaimExpired [true Expired Expire: The lease was not renewed in time: what it held goes back to the pool]"},
		{"address lost", bound, func(c *v1alpha1.ENIClaim) {
			bound(c)
			c.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionAddressLost, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAddressLost, Message: "lost"}}
		}, "ClaimAddressLost [true AddressLost Assign: lost]"},
	} {
		t.Run(row.name, func(t *testing.T) {
			assert.Equal(t, told(Stored(newClaim(row.before), newClaim(row.after))), row.want)
		})
	}
}

func TestStoredPolicy(t *testing.T) {
	unready := func(p *v1alpha1.ENIPolicy) {
		p.Status.Conditions = ready(metav1.ConditionFalse, v1alpha1.ReasonPoolsNotReady, "0 of 1")
	}
	isReady := func(p *v1alpha1.ENIPolicy) {
		p.Status.Conditions = ready(metav1.ConditionTrue, v1alpha1.ReasonReady, "")
	}
	assert.Equal(t, told(Stored(newPolicy(nil), newPolicy(unready))), "PolicyNotReady")
	assert.Equal(t, told(Stored(newPolicy(unready), newPolicy(isReady))), "PolicyReady")
	assert.Equal(t, told(Stored(newPolicy(isReady), newPolicy(isReady))), "")
}

// TestWho: an event says whose it is, by the names that it had before, too.
func TestWho(t *testing.T) {
	made := metav1.NewTime(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	before := newClaim(func(c *v1alpha1.ENIClaim) {
		c.UID, c.CreationTimestamp = "uid", made
		c.Status.Phase, c.Status.ENIName, c.Status.NetworkInterfaceID = v1alpha1.ClaimBound, "i-1-0", "eni-1"
	})
	after := before.DeepCopy()
	after.Status = v1alpha1.ENIClaimStatus{Phase: v1alpha1.ClaimLost}
	happened := Stored(before, after)
	assert.Equal(t, len(happened), 1)
	e := happened[0]
	assert.Equal(t, e.Topic, TopicClaim)
	assert.DeepEqual(t, e.Object, Reference{APIVersion: "networking.eni-operator.dev/v1alpha1", Kind: "ENIClaim",
		Namespace: "shop", Name: "web-0", UID: "uid", Created: made.Time})
	assert.DeepEqual(t, []string{e.Node, e.ENI, e.ENIID}, []string{"node", "i-1-0", "eni-1"})
	was, is, ok := Change[ClaimState](e)
	assert.Assert(t, ok)
	assert.Equal(t, was.Phase, v1alpha1.ClaimBound)
	assert.Equal(t, is.Phase, v1alpha1.ClaimLost)
	_, _, ok = Change[PoolState](e)
	assert.Assert(t, !ok)
}

func TestFinished(t *testing.T) {
	for _, row := range []struct {
		object client.Object
		want   string
	}{
		{newENI(nil), "ENIGone"}, {newPool(nil), "PoolGone"}, {newClaim(nil), "ClaimReleased"}, {newPolicy(nil), ""}, {&corev1.Node{}, ""},
	} {
		assert.Equal(t, told(Finished(row.object)), row.want, "%T", row.object)
	}
	assert.Equal(t, len(Stored(&corev1.Node{}, &corev1.Node{})), 0)
}

// TestAnnounce: facts are logged, and what leads to them on the level debug only.
func TestAnnounce(t *testing.T) {
	for verbosity, want := range map[int]string{
		0: `"level"=0 "msg"="ENI is ready" "eniID"="eni-1" "addresses"=0 "attempt"=2 "reason"="Ready"`,
		1: `"level"=1 "msg"="Stored" "addresses"=1 "type"="ENIStateChanged"
"level"=0 "msg"="ENI is ready" "eniID"="eni-1" "addresses"=0 "attempt"=2 "reason"="Ready"`,
	} {
		var said []string
		logger := funcr.New(func(_, line string) { said = append(said, line) }, funcr.Options{Verbosity: verbosity})
		b := newBus()
		s := b.Subscribe("test", 2, Filter{})
		Announce(log.IntoContext(t.Context(), logger), b, []Event{numbered("a", 1), {
			Type: ENIReady, ENIID: "eni-1", After: ENIState{Attempt: 2, ErrorCode: "A", Reason: v1alpha1.ReasonReady},
		}})
		assert.Equal(t, strings.Join(said, "\n"), want)
		for _, kind := range []Type{ENIStateChanged, ENIReady} {
			e, err := s.Next(t.Context())
			assert.NilError(t, err)
			assert.Equal(t, e.Type, kind)
		}
	}
}

func TestRecorder(t *testing.T) {
	recorder := events.NewFakeRecorder(3)
	record := Recorder(recorder)
	record(t.Context(), numbered("a", 1))
	record(t.Context(), Warning(PoolNameTaken, newPool(nil), newENI(nil), v1alpha1.ReasonNameTaken, "Create", "100 % taken"))
	assert.Equal(t, <-recorder.Events, "Warning NameTaken 100 % taken")
	record(t.Context(), Warning(PoolNameTaken, newPool(nil), nil, v1alpha1.ReasonNameTaken, "Create", "taken"))
	assert.Equal(t, <-recorder.Events, "Warning NameTaken taken")
	assert.Equal(t, len(recorder.Events), 0)
}

// TestEveryTypeIsListed: a filter of the stream takes every type that there is.
func TestEveryTypeIsListed(t *testing.T) {
	listed := map[Type]bool{}
	for _, kind := range allTypes {
		assert.Assert(t, !listed[kind], "%s is there twice", kind)
		listed[kind] = true
	}
	for kind := range lines {
		assert.Assert(t, listed[kind], "%s", kind)
	}
}

// TestFailuresAreHeardOf: events are for what a person should do something about.
func TestFailuresAreHeardOf(t *testing.T) {
	for reason, heard := range map[string]bool{
		v1alpha1.ReasonUnauthorized: true, v1alpha1.ReasonSubnetExhausted: true, v1alpha1.ReasonInvalidParameter: true,
		v1alpha1.ReasonQuotaExceeded: true, v1alpha1.ReasonNotFound: true, v1alpha1.ReasonNoFreeDeviceIndex: true,
		v1alpha1.ReasonThrottled: false, v1alpha1.ReasonCreating: false, v1alpha1.ReasonAttaching: false,
		v1alpha1.ReasonDeleting: false, v1alpha1.ReasonPaused: false, v1alpha1.ReasonReady: false,
	} {
		assert.Equal(t, failure(reason), heard, reason)
	}
}

// TestLongMessagesFitIntoAnEvent: Kubernetes refuses an Event with a longer note, and then
// nobody sees anything.
func TestLongMessagesFitIntoAnEvent(t *testing.T) {
	assert.Equal(t, noteOf("short"), "short")
	exactly := strings.Repeat("x", 1024)
	assert.Equal(t, noteOf(exactly), exactly)
	for shift := range 3 { // The cut never splits a character.
		cut := noteOf(strings.Repeat("x", shift) + strings.Repeat("ü", 1024))
		assert.Assert(t, len(cut) <= 1024 && len(cut) > 1015, "%d bytes", len(cut))
		assert.Assert(t, utf8.ValidString(cut) && strings.HasSuffix(cut, "ü…"), cut)
	}
}
