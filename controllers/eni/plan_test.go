/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

const (
	instanceA = "i-0123456789abcdef0"
	instanceB = "i-0123456789abcdef1"
)

// settled is an ENI that is as it should be.
func settled() observation {
	tags := map[string]string{"networking.eni-operator.dev/uid": "u", "team": "a"}
	recorded := map[string]v1alpha1.TagValue{createdAtKey: "2026-01-02T03:04:05Z", "networking.eni-operator.dev/uid": "u", "team": "a"}
	return observation{
		eni: &v1alpha1.ElasticNetworkInterface{
			ObjectMeta: metav1.ObjectMeta{Name: eniName, UID: eniUID},
			Spec:       v1alpha1.ElasticNetworkInterfaceSpec{NodeName: nodeName, DeletionPolicy: v1alpha1.DeletionPolicyDelete},
			Status: v1alpha1.ElasticNetworkInterfaceStatus{
				NetworkInterfaceID: "eni-1",
				Creation:           &v1alpha1.CreationRecord{Attempt: 1, SubnetID: "subnet-a", StartedAt: metav1.NewTime(start), Tags: recorded},
			},
		},
		now: start, instanceID: instanceA, instance: instanceLive, presence: present, drained: true,
		recordMaxAge: time.Hour, visibility: 30 * time.Second,
		desired: desired{
			subnetIDs: []string{"subnet-a", "subnet-b"}, securityGroups: []string{"sg-1"}, addressCount: 2, description: "text", tags: tags,
		},
		actual: actual{
			addresses: []string{"10.0.0.5", "10.0.0.6"}, securityGroups: []string{"sg-1"},
			tags:       map[string]string{"networking.eni-operator.dev/uid": "u", "team": "a", createdAtKey: "2026-01-02T03:04:05Z"},
			attachment: &attachment{id: "eni-attach-1", instanceID: instanceA, deleteOnTermination: true},
		},
	}
}

// unborn is a resource without an ENI.
func unborn() observation {
	o := settled()
	o.eni.Status = v1alpha1.ElasticNetworkInterfaceStatus{}
	o.presence, o.actual = presenceUnknown, actual{}
	return o
}

// dying is a settled ENI whose resource is deleted.
func dying() observation {
	o := settled()
	now := metav1.NewTime(start)
	o.eni.DeletionTimestamp = &now
	return o
}

// line is a decision in words.
func line(d decision) string {
	var with []string
	add := func(ok bool, format string, arguments ...any) {
		if ok {
			with = append(with, fmt.Sprintf(format, arguments...))
		}
	}
	add(d.action == actRecord, "attempt %d in %s", d.record.Attempt, d.record.SubnetID)
	add(d.wait > 0, "%s", d.wait)
	add(len(d.names) > 0, "%s", strings.Join(d.names, " "))
	add(d.count > 0, "%d addresses", d.count)
	add(d.prefixes > 0, "%d prefixes", d.prefixes)
	add(d.force, "by force")
	add(len(d.tags) > 0, "set %v", d.tags)
	add(len(d.untag) > 0, "remove %v", d.untag)
	return strings.TrimSpace(string(d.action) + " " + strings.Join(with, ", "))
}

// inUse is an ENI that claims hold something of.
func inUse(o *observation) { o.drained = false }

func ago(d time.Duration) *metav1.Time {
	at := metav1.NewTime(start.Add(-d))
	return &at
}

// doubting has doubts about the addresses for a while.
func doubting(left time.Duration, inherited bool) func(o *observation) {
	return func(o *observation) { o.doubt = doubt{until: o.now.Add(left), inherited: inherited} }
}

// TestPlan has one rule in each row.
func TestPlan(t *testing.T) {
	for _, test := range []struct {
		name   string
		from   func() observation
		change func(o *observation)
		want   string
		reason string
	}{
		{"what an instance would not take is given back before", settled, func(o *observation) {
			o.actual.attachment = nil
			o.eni.Spec.Release = []v1alpha1.AddressOrPrefix{"10.0.0.6"}
		}, "Unassign 10.0.0.6", v1alpha1.ReasonAssigning},
		{"an ENI of another zone stays", settled, func(o *observation) { o.instanceID, o.zone = instanceB, "us-east-1b" }, "Nothing", v1alpha1.ReasonInvalidParameter},
		// What is doubtful about the addresses is not acted upon.
		{"doubt changes nothing where nothing is to be done", settled, doubting(time.Second, false), "Nothing", v1alpha1.ReasonReady},
		{"no count is asked for in doubt", settled, func(o *observation) {
			doubting(time.Second, false)(o)
			o.actual.addresses = nil
		}, "Wait 1s", v1alpha1.ReasonAssigning},
		{"what is certain from now on is looked at", settled, func(o *observation) {
			doubting(0, false)(o)
			o.actual.addresses = nil
		}, "Look", v1alpha1.ReasonAssigning},
		{"what the last process stored is confirmed", settled, func(o *observation) {
			doubting(0, true)(o)
			o.eni.Status.Addresses = []v1alpha1.Address{"10.0.0.5", "10.0.0.7"}
		}, "Look", v1alpha1.ReasonAssigning},
		{"what the last process stored is as it was read", settled, func(o *observation) {
			doubting(0, true)(o)
			o.eni.Status.Addresses = []v1alpha1.Address{"10.0.0.5", "10.0.0.6"}
		}, "Nothing", v1alpha1.ReasonReady},
		// Creation (protocol 5).
		{"the record comes before the call", unborn, nil, "Record attempt 1 in subnet-a", v1alpha1.ReasonCreating},
		{"no instance, no record", unborn, func(o *observation) { o.instance, o.instanceID = instanceUnknown, "" }, "Nothing", v1alpha1.ReasonNodeUnknown},
		{"an instance that EC2 does not show", unborn, func(o *observation) { o.instance = instanceUnknown }, "Wait 1m0s", v1alpha1.ReasonNodeUnknown},
		{"an instance that is gone", unborn, func(o *observation) { o.instance = instanceGone }, "Nothing", v1alpha1.ReasonNodeUnknown},
		{"a fresh record is called", unborn, record(v1alpha1.CreationRecord{StartedAt: *ago(59 * time.Minute)}), "Create", v1alpha1.ReasonCreating},
		{"an old record is looked for", unborn, record(v1alpha1.CreationRecord{StartedAt: *ago(time.Hour)}), "Find", v1alpha1.ReasonCreating},
		{
			"a clear refusal permits another attempt, in the same subnet", unborn,
			record(v1alpha1.CreationRecord{Attempt: 3, Refused: "InvalidParameterValue", SubnetID: "subnet-b"}),
			"Record attempt 4 in subnet-b", v1alpha1.ReasonCreating,
		},
		{
			"a full subnet gives way to the next", unborn,
			record(v1alpha1.CreationRecord{Attempt: 1, Refused: "x", SubnetFull: true, SubnetID: "subnet-a"}),
			"Record attempt 2 in subnet-b", v1alpha1.ReasonCreating,
		},
		{
			"and the last to the first", unborn,
			record(v1alpha1.CreationRecord{Attempt: 2, Refused: "x", SubnetFull: true, SubnetID: "subnet-b"}),
			"Record attempt 3 in subnet-a", v1alpha1.ReasonCreating,
		},
		{
			"a subnet that is no candidate any more gives way to the best", unborn,
			record(v1alpha1.CreationRecord{Attempt: 2, Refused: "x", SubnetFull: true, SubnetID: "subnet-z"}),
			"Record attempt 3 in subnet-a", v1alpha1.ReasonCreating,
		},
		{
			"a refusal after an unclear call is looked into", unborn,
			record(v1alpha1.CreationRecord{Attempt: 1, Refused: "x", Unclear: true}), "Find", v1alpha1.ReasonCreating,
		},
		{
			"the second look comes a window later", unborn,
			record(v1alpha1.CreationRecord{Attempt: 1, Refused: "x", Unclear: true, MissedAt: ago(10 * time.Second)}), "Wait 20s", v1alpha1.ReasonCreating,
		},
		{
			"a first look that is yet to come", unborn,
			record(v1alpha1.CreationRecord{Attempt: 1, Refused: "x", Unclear: true, MissedAt: ago(-time.Hour)}), "Find", v1alpha1.ReasonCreating,
		},
		{
			"the attempt after the last that can be counted", unborn,
			record(v1alpha1.CreationRecord{Attempt: math.MaxInt32, Refused: "x", SubnetID: "subnet-a"}), "Record attempt 1 in subnet-a", v1alpha1.ReasonCreating,
		},
		{
			"the second look", unborn,
			record(v1alpha1.CreationRecord{Attempt: 1, Refused: "x", Unclear: true, MissedAt: ago(30 * time.Second)}), "Find", v1alpha1.ReasonCreating,
		},
		{
			"found nothing twice", unborn, both(looked,
				record(v1alpha1.CreationRecord{Attempt: 1, Refused: "x", SubnetID: "subnet-a", Unclear: true, MissedAt: ago(30 * time.Second)})),
			"Record attempt 2 in subnet-a", v1alpha1.ReasonCreating,
		},

		// Life.
		{"as it should be", settled, nil, "Nothing", v1alpha1.ReasonReady},
		{"deleted by others", settled, func(o *observation) { o.presence = gone }, "Nothing", v1alpha1.ReasonNotFound},
		{"a foreign ENI is left alone", settled, both(of(foreign), func(o *observation) { o.actual.attachment = nil }), "Wait 1m0s", v1alpha1.ReasonNotOwned},
		{"an ENI of nobody is left alone", settled, both(of(unowned), func(o *observation) { o.desired.addressCount = 9 }), "Wait 1m0s", v1alpha1.ReasonNotOwned},
		{"not visible yet", settled, func(o *observation) { o.presence = presenceUnknown }, "Wait 5s", v1alpha1.ReasonInProgress},
		{"not attached", settled, func(o *observation) { o.actual.attachment = nil }, "Attach", v1alpha1.ReasonAttaching},
		{"nothing to attach to", settled, func(o *observation) { o.actual.attachment, o.instance = nil, instanceGone }, "Nothing", v1alpha1.ReasonNodeUnknown},
		{"attaching is looked at", settled, func(o *observation) { o.actual.attachment.changing = true }, "Look", v1alpha1.ReasonAttaching},
		{"and waited for", settled, both(looked, func(o *observation) { o.actual.attachment.changing = true }), "Wait 1s", v1alpha1.ReasonAttaching},
		{"less and less often", settled, both(looked, changingFor(time.Minute)), "Wait 15s", v1alpha1.ReasonAttaching},
		{"but at least so often", settled, both(looked, changingFor(time.Hour)), "Wait 30s", v1alpha1.ReasonAttaching},
		{"attaching for far too long", settled, both(looked, changingFor(time.Hour), func(o *observation) { o.stuck = true }), "Wait 30s", v1alpha1.ReasonAttachmentStuck},
		{"attached elsewhere: moved (protocol 9)", settled, func(o *observation) { o.actual.attachment.instanceID = instanceB }, "Detach", v1alpha1.ReasonInProgress},
		{
			"and forced off, where it is stuck", settled,
			both(looked, func(o *observation) {
				o.actual.attachment.instanceID, o.actual.attachment.changing, o.stuck = instanceB, true, true
			}), "Detach by force", v1alpha1.ReasonInProgress,
		},
		{
			"attached elsewhere, and nowhere to go", settled,
			func(o *observation) { o.actual.attachment.instanceID, o.instance = instanceB, instanceUnknown }, "Nothing", v1alpha1.ReasonReady,
		},
		{"an instance that is gone changes nothing by itself", settled, func(o *observation) { o.instance = instanceGone }, "Nothing", v1alpha1.ReasonReady},
		{"attachment comes before addresses", settled, func(o *observation) { o.actual.attachment, o.actual.addresses = nil, nil }, "Attach", v1alpha1.ReasonAttaching},
		{"too few addresses", settled, func(o *observation) { o.desired.addressCount = 5 }, "Assign 3 addresses", v1alpha1.ReasonAssigning},
		{"too many addresses stay: counts only grow", settled, func(o *observation) { o.desired.addressCount = 1 }, "Nothing", v1alpha1.ReasonReady},
		{
			"too few prefixes", settled,
			func(o *observation) { o.desired.addressCount, o.desired.prefixCount, o.actual.addresses = 0, 2, nil }, "Assign 2 prefixes", v1alpha1.ReasonAssigning,
		},
		{"what is named is given back", settled, release("10.0.0.6", "10.0.0.5"), "Unassign 10.0.0.5 10.0.0.6", v1alpha1.ReasonAssigning},
		{"what is named and gone is not asked for", settled, release("10.0.0.99", "10.0.1.0/28"), "Nothing", v1alpha1.ReasonReady},
		{"giving comes before taking", settled, both(release("10.0.0.5"), func(o *observation) { o.desired.addressCount = 9 }), "Unassign 10.0.0.5", v1alpha1.ReasonAssigning},
		{"other security groups", settled, func(o *observation) { o.desired.securityGroups = []string{"sg-2"} }, "SetSecurityGroups", v1alpha1.ReasonReady},
		{
			"the spec names no groups: those of the creation stay", settled,
			func(o *observation) { o.desired.securityGroups, o.desired.keepGroups = []string{"sg-2"}, true }, "Nothing", v1alpha1.ReasonReady,
		},
		{"a tag changed", settled, func(o *observation) { o.actual.tags["team"] = "b" }, "SetTags set map[team:a]", v1alpha1.ReasonReady},
		{"a tag was taken away", settled, func(o *observation) { delete(o.actual.tags, "team") }, "SetTags set map[team:a]", v1alpha1.ReasonReady},
		{"a tag of ours is no longer asked for", settled, func(o *observation) { delete(o.desired.tags, "team") }, "SetTags remove [team]", v1alpha1.ReasonReady},
		{"a tag of others stays", settled, func(o *observation) { o.actual.tags["cost"] = "1" }, "Nothing", v1alpha1.ReasonReady},
		{"created-at stays", settled, func(o *observation) { o.actual.tags[createdAtKey] = "other" }, "Nothing", v1alpha1.ReasonReady},
		{"it ends with its instance", settled, func(o *observation) { o.actual.attachment.deleteOnTermination = false }, "SetTermination", v1alpha1.ReasonReady},
		{"unless it is retained", settled, retain, "SetTermination", v1alpha1.ReasonReady},

		// Deletion (promise 9, protocols 4, 5 and 12).
		{"never created", dying, unmade(nil), "LetGo", v1alpha1.ReasonDeleting},
		{"clearly refused", dying, unmade(&v1alpha1.CreationRecord{Refused: "x"}), "LetGo", v1alpha1.ReasonDeleting},
		{"perhaps created", dying, unmade(&v1alpha1.CreationRecord{}), "Find", v1alpha1.ReasonCreating},
		{"refused after an unclear call", dying, unmade(&v1alpha1.CreationRecord{Refused: "x", Unclear: true}), "Find", v1alpha1.ReasonCreating},
		{"found nothing yet", dying, both(looked, unmade(&v1alpha1.CreationRecord{MissedAt: ago(29 * time.Second)})), "Wait 1s", v1alpha1.ReasonCreating},
		{"found nothing twice", dying, both(looked, unmade(&v1alpha1.CreationRecord{MissedAt: ago(30 * time.Second)})), "LetGo", v1alpha1.ReasonDeleting},
		{"gone", dying, func(o *observation) { o.presence = gone }, "LetGo", v1alpha1.ReasonDeleting},
		{"gone, though in use", dying, func(o *observation) { o.presence, o.drained = gone, false }, "LetGo", v1alpha1.ReasonDeleting},
		{"perhaps gone", dying, func(o *observation) { o.presence = presenceUnknown }, "Wait 5s", v1alpha1.ReasonDeleting},
		{"uninstalling (protocol 14)", dying, func(o *observation) { o.uninstalling = true }, "Wait 1m0s", v1alpha1.ReasonUninstallBlocked},
		{"in use", dying, func(o *observation) { o.drained = false }, "Wait 1m0s", v1alpha1.ReasonWaitingForDrain},
		{"in use, and the instance may only be hidden", dying, func(o *observation) { o.drained, o.instance = false, instanceUnknown }, "Wait 1m0s", v1alpha1.ReasonWaitingForDrain},
		{
			"in use, and detached by a person", dying,
			func(o *observation) { o.drained, o.actual.attachment = false, nil }, "Attach", v1alpha1.ReasonWaitingForDrain,
		},
		{
			"in use, and on its way", dying,
			func(o *observation) { o.drained, o.actual.attachment.changing = false, true }, "Look", v1alpha1.ReasonWaitingForDrain,
		},
		{
			"in use, and detached from an instance that may only be hidden", dying,
			func(o *observation) { o.drained, o.instance, o.actual.attachment = false, instanceUnknown, nil }, "Wait 1m0s", v1alpha1.ReasonWaitingForDrain,
		},
		{
			"in use, and detached in another zone", dying,
			func(o *observation) { o.drained, o.zone, o.actual.attachment = false, "us-east-1z", nil }, "Wait 1m0s", v1alpha1.ReasonWaitingForDrain,
		},
		{
			"in use on an instance that is gone", dying,
			func(o *observation) { o.drained, o.instance, o.actual.attachment = false, instanceGone, nil }, "Delete", v1alpha1.ReasonDeleting,
		},
		{"detached first", dying, nil, "Detach", v1alpha1.ReasonDeleting},
		{"detaching is looked at", dying, func(o *observation) { o.actual.attachment.changing = true }, "Look", v1alpha1.ReasonDeleting},
		{"and waited for", dying, both(looked, func(o *observation) { o.actual.attachment.changing = true }), "Wait 1s", v1alpha1.ReasonDeleting},
		{"not for ever", dying, both(looked, func(o *observation) { o.actual.attachment.changing, o.stuck = true, true }), "Detach by force", v1alpha1.ReasonDeleting},
		{
			"forced once is enough for now", dying,
			both(looked, func(o *observation) { o.actual.attachment.changing, o.stuck, o.forced = true, true, true }), "Wait 10s", v1alpha1.ReasonDeleting,
		},
		{"stuck before, and attached still: not forced", dying, func(o *observation) { o.stuck = true }, "Detach", v1alpha1.ReasonDeleting},
		{"EC2 deletes it with its instance", dying, both(looked, func(o *observation) { o.instance = instanceGone }), "Wait 5s", v1alpha1.ReasonDeleting},
		{
			"an instance that does not carry it takes nothing with it", dying,
			both(looked, func(o *observation) { o.instance, o.actual.attachment.instanceID = instanceGone, instanceB }), "Detach", v1alpha1.ReasonDeleting,
		},
		{
			"in use, and moved away from the instance that it was made for", dying, func(o *observation) {
				o.drained, o.eni.Spec.InstanceID, o.actual.attachment.instanceID = false, instanceA, instanceB
			}, "Detach", v1alpha1.ReasonWaitingForDrain,
		},
		{
			"in use where its Node's instance was", dying, func(o *observation) {
				o.drained, o.actual.attachment.instanceID = false, instanceB
			}, "Wait 1m0s", v1alpha1.ReasonWaitingForDrain,
		},
		{
			"in use elsewhere than on the instance that is gone", dying, func(o *observation) {
				o.drained, o.instance, o.actual.attachment.instanceID = false, instanceGone, instanceB
			}, "Wait 1m0s", v1alpha1.ReasonWaitingForDrain,
		},
		{
			"unless it was told not to", dying,
			func(o *observation) { o.instance, o.actual.attachment.deleteOnTermination = instanceGone, false }, "Detach", v1alpha1.ReasonDeleting,
		},
		{"then deleted", dying, func(o *observation) { o.actual.attachment = nil }, "Delete", v1alpha1.ReasonDeleting},
		{"deleted, and shown still: looked at", dying, deleteAccepted, "Look", v1alpha1.ReasonDeleting},
		{"deleted, and shown still: waited for", dying, both(deleteAccepted, looked), "Wait 5s", v1alpha1.ReasonDeleting},
		{"a foreign ENI: looked at", dying, of(foreign), "Look", v1alpha1.ReasonNotOwned},
		{"a foreign ENI: let go, and left alone", dying, both(of(foreign), looked), "LetGo", v1alpha1.ReasonNotOwned},
		{"a foreign ENI in use: its claims keep it", dying, both(of(foreign), looked, inUse), "Wait 1m0s", v1alpha1.ReasonNotOwned},
		{"an ENI of nobody in use, to be retained: its claims keep it", dying, both(of(unowned), looked, retain, inUse), "Wait 1m0s", v1alpha1.ReasonNotOwned},
		{
			"a foreign ENI in use on an instance that is gone: let go", dying,
			both(of(foreign), looked, inUse, func(o *observation) { o.instance = instanceGone }), "LetGo", v1alpha1.ReasonNotOwned,
		},
		{"an ENI of nobody: a person decides", dying, both(of(unowned), looked), "Wait 1m0s", v1alpha1.ReasonNotOwned},
		{"an ENI of nobody, to be retained: left alone", dying, both(of(unowned), looked, retain), "LetGo", v1alpha1.ReasonNotOwned},
		{"a foreign ENI while uninstalling", dying, both(of(foreign), looked, func(o *observation) { o.uninstalling = true }), "Wait 1m0s", v1alpha1.ReasonUninstallBlocked},
		{"retained: it outlives its instance", dying, retain, "SetTermination", v1alpha1.ReasonDeleting},
		{
			"retained: marked", dying, both(retain, func(o *observation) { o.actual.attachment = nil }),
			"SetTags set map[networking.eni-operator.dev/deletion-policy:Retain]", v1alpha1.ReasonDeleting,
		},
		{
			"retained: left where it is", dying, both(retain, func(o *observation) {
				o.actual.attachment.deleteOnTermination = false
				o.actual.tags[deletionPolicyKey] = "Retain"
			}), "LetGo", v1alpha1.ReasonDeleting,
		},
		{"retained, but in use", dying, both(retain, func(o *observation) { o.drained = false }), "Wait 1m0s", v1alpha1.ReasonWaitingForDrain},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := test.from()
			if test.change != nil {
				test.change(&o)
			}
			decided := plan(o)
			assert.Equal(t, line(decided), test.want)
			assert.Equal(t, decided.reason, test.reason)
			assert.Assert(t, decided.message != "")
		})
	}
}

func record(r v1alpha1.CreationRecord) func(o *observation) {
	return func(o *observation) { o.eni.Status.Creation = &r }
}

func unmade(r *v1alpha1.CreationRecord) func(o *observation) {
	return func(o *observation) {
		o.eni.Status.NetworkInterfaceID, o.eni.Status.Creation = "", r
		o.presence, o.actual = presenceUnknown, actual{}
	}
}

func both(changes ...func(*observation)) func(*observation) {
	return func(o *observation) {
		for _, change := range changes {
			change(o)
		}
	}
}

func looked(o *observation) { o.looked = true }

func of(whose ownership) func(*observation) { return func(o *observation) { o.ownership = whose } }

func changingFor(taken time.Duration) func(*observation) {
	return func(o *observation) {
		o.actual.attachment.changing = true
		o.changingFor = taken
	}
}

func deleteAccepted(o *observation) {
	o.actual.attachment = nil
	o.deleteAccepted = true
}

func TestOwnership(t *testing.T) {
	ours := map[string]string{clusterUIDKey: "c", uidKey: "u"}
	for _, test := range []struct {
		name string
		tags map[string]string
		seen bool
		want ownership
	}{
		{"of the cluster and the resource", ours, false, owned},
		{"of another resource", map[string]string{clusterUIDKey: "c", uidKey: "v"}, true, foreign},
		{"of another cluster", map[string]string{clusterUIDKey: "d", uidKey: "u"}, true, foreign},
		{"of another cluster, the resource untold", map[string]string{clusterUIDKey: "d"}, true, foreign},
		{"without tags, and never seen with them", nil, false, unowned},
		{"without tags, and seen with them", nil, true, owned},
		{"one tag removed, and seen with it", map[string]string{uidKey: "u"}, true, owned},
		{"one tag removed, and never seen with it", map[string]string{uidKey: "u"}, false, unowned},
	} {
		t.Run(test.name, func(t *testing.T) { assert.Equal(t, ownershipOf(test.tags, "c", "u", test.seen), test.want) })
	}
}

func retain(o *observation) { o.eni.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain }

func release(names ...v1alpha1.AddressOrPrefix) func(*observation) {
	return func(o *observation) { o.eni.Spec.Release = names }
}

// TestPlanIsPure: the same observation is the same decision, and is not changed.
func TestPlanIsPure(t *testing.T) {
	for _, from := range []func() observation{unborn, settled, dying} {
		o := from()
		o.desired.tags["a"], o.desired.tags["b"] = "1", "2"
		first := line(plan(o))
		for range 20 {
			assert.Equal(t, line(plan(o)), first)
		}
	}
}
