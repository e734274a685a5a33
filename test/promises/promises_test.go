/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestEachPromiseCanBeBroken has one story that keeps each promise, and one that
// breaks it.
func TestEachPromiseCanBeBroken(t *testing.T) {
	a, b := bound("a", "10.0.0.1"), bound("b", "10.0.0.1")
	for _, test := range []struct {
		name, broken string
		play         func(*stage)
	}{
		{"two addresses", "", func(s *stage) {
			s.write(operator, "eniclaims", nil, a)
			s.write(operator, "eniclaims", nil, bound("b", "10.0.0.2"))
		}},
		{"one address twice", HeldOnce, func(s *stage) {
			s.write(operator, "eniclaims", nil, a)
			s.write(operator, "eniclaims", nil, b)
		}},
		{"an address whose holder is gone", "", func(s *stage) {
			s.write(operator, "eniclaims", nil, a)
			s.write(operator, "eniclaims", a, nil)
			s.write(operator, "eniclaims", nil, b)
		}},
		{"an address whose holder's status was wiped", HeldOnce, func(s *stage) {
			s.write(operator, "eniclaims", nil, a)
			wiped := a.DeepCopy()
			wiped.Status = v1alpha1.ENIClaimStatus{}
			s.write(people, "eniclaims", a, wiped)
			s.write(operator, "eniclaims", nil, b)
		}},
		{"an address whose holder's status was wiped, and an older record restored", "", func(s *stage) { s.restoreRecord(a, b) }},
		{"an address whose holder's status was wiped, and an older record restored that names it", HeldOnce, func(s *stage) {
			s.restoreRecord(a, b, v1alpha1.PoolAddress{Address: "10.0.0.1", Claim: &v1alpha1.ClaimReference{Namespace: "shop", Name: "a", UID: a.UID}})
		}},
		{"lost on a living instance", LostProved, func(s *stage) {
			s.write(operator, "eniclaims", nil, a)
			s.write(operator, "eniclaims", a, lost(a))
		}},
		{"lost with its instance", "", func(s *stage) {
			s.write(operator, "eniclaims", nil, a)
			s.cloud.Instances[0].State = "terminated"
			s.write(operator, "eniclaims", a, lost(a))
		}},
		{"lost while the Node is away for a minute", LostProved, func(s *stage) {
			s.write(operator, "eniclaims", nil, a)
			s.write(people, "nodes", theNode(), nil)
			time.Sleep(time.Minute)
			s.write(operator, "eniclaims", a, lost(a))
		}},
		{"lost when the Node is gone for good", "", func(s *stage) {
			s.write(operator, "eniclaims", nil, a)
			s.write(people, "nodes", theNode(), nil)
			time.Sleep(6 * time.Minute)
			s.write(operator, "eniclaims", a, lost(a))
		}},
		{"a held address is unassigned", HeldKept, func(s *stage) {
			s.write(operator, "eniclaims", nil, a)
			s.call("UnassignPrivateIpAddresses", "NetworkInterfaceId", "eni-1", "PrivateIpAddress.1", "10.0.0.1")
		}},
		{"a free address is unassigned", "", func(s *stage) {
			s.write(operator, "eniclaims", nil, a)
			s.call("UnassignPrivateIpAddresses", "NetworkInterfaceId", "eni-1", "PrivateIpAddress.1", "10.0.0.2")
		}},
		{"a held ENI is detached", HeldKept, func(s *stage) {
			s.write(operator, "eniclaims", nil, a)
			s.call("DetachNetworkInterface", "AttachmentId", "eni-attach-1")
		}},
		{"a resource is gone, and its ENI not", NothingLeaks, func(s *stage) { s.write(operator, "elasticnetworkinterfaces", theENI(), nil) }},
		{"a resource is gone with its ENI", "", func(s *stage) {
			s.cloud.ENIs = nil
			s.write(operator, "elasticnetworkinterfaces", theENI(), nil)
		}},
		{"two ENIs for a resource", OneENI, func(s *stage) {
			again := s.cloud.ENIs[0]
			again.ID = "eni-2"
			s.cloud.ENIs = append(s.cloud.ENIs, again)
			s.call("CreateNetworkInterface")
		}},
		{"a foreign ENI", OthersKept, func(s *stage) {
			s.cloud.ENIs = append(s.cloud.ENIs, emulator.ENIState{ID: "eni-2", DeviceIndex: 1})
			s.Foreign("eni-2")
			s.call("DeleteNetworkInterface", "NetworkInterfaceId", "eni-2")
		}},
		{"an ENI that was given away", OthersKept, func(s *stage) {
			s.giveAway(11 * time.Minute)
			s.call("CreateTags", "ResourceId.1", "eni-1")
		}},
		{"the tags of an ENI that was given away since the last audit", "", func(s *stage) {
			s.giveAway(time.Minute)
			s.call("CreateTags", "ResourceId.1", "eni-1")
		}},
		{"taking from an ENI that was given away", OthersKept, func(s *stage) {
			s.giveAway(time.Minute)
			s.call("UnassignPrivateIpAddresses", "NetworkInterfaceId", "eni-1", "PrivateIpAddress.1", "10.0.0.9")
		}},
		{"a foreign address on the primary ENI", OthersKept, func(s *stage) {
			s.cloud.ENIs = append(s.cloud.ENIs, emulator.ENIState{ID: "eni-0", InstanceID: instance, Addresses: []string{"10.0.0.9"}})
			s.call("UnassignPrivateIpAddresses", "NetworkInterfaceId", "eni-0", "PrivateIpAddress.1", "10.0.0.9")
		}},
		{"bound to another machine", RightPlace, func(s *stage) {
			other := theNode()
			other.Spec.ProviderID = "aws:///z/i-2"
			s.write(people, "nodes", theNode(), nil)
			s.write(people, "nodes", nil, other)
			time.Sleep(3 * time.Minute)
			s.write(operator, "eniclaims", nil, a)
		}},
		{"bound on an ENI that people moved since the last audits", "", func(s *stage) {
			s.moveENI(19 * time.Minute)
			s.write(operator, "eniclaims", nil, a)
			s.call("DetachNetworkInterface", "AttachmentId", "eni-attach-1")
		}},
		{"bound on an ENI that people moved before the last audits", RightPlace, func(s *stage) {
			s.moveENI(21 * time.Minute)
			s.write(operator, "eniclaims", nil, a)
		}},
		{"bound to what was given back, came again, and was taken by a person", "", func(s *stage) {
			s.giveBack()
			s.cloud.ENIs[0].Addresses = []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}
			s.call("AssignPrivateIpAddresses", "NetworkInterfaceId", "eni-1", "SecondaryPrivateIpAddressCount", "1")
			s.cloud.ENIs[0].Addresses = []string{"10.0.0.2", "10.0.0.3"}
			s.write(operator, "eniclaims", nil, a)
		}},
		{"bound to what was given back", RightPlace, func(s *stage) {
			s.giveBack()
			s.write(operator, "eniclaims", nil, a)
		}},
		{"a namespace gets more than the policy allows", ShareKept, func(s *stage) { s.share(1) }},
		{"a namespace gets what the policy allows", "", func(s *stage) { s.share(2) }},
		{"a claim gets by name what another namespace released", ReservedKept, func(s *stage) { s.snatch("10.0.0.1", time.Minute) }},
		{"a claim gets what another namespace released, and asked for none", "", func(s *stage) { s.snatch("", time.Minute) }},
		{"a claim gets it by name, where nothing is reserved", "", func(s *stage) { s.snatch("10.0.0.1", 0) }},
		{"the taint goes before there is a pool", TaintKept, func(s *stage) {
			tainted := theNode()
			tainted.Spec.Taints = []corev1.Taint{{Key: "not-ready"}}
			s.write(operator, "nodes", tainted, theNode())
		}},
		{"who does not lead acts", OneLeader, func(s *stage) {
			s.write("replica-2.1", "leases", nil, leaderLease("other"))
			s.call("CreateNetworkInterface")
		}},
		{"a claim is Ready for an hour with nothing", TruthTold, func(s *stage) {
			s.write(operator, "eniclaims", nil, a)
			s.cloud.ENIs = nil
			for range 60 {
				s.Minute(true)
			}
		}},
		{"a call is repeated", NoHotLoop, func(s *stage) {
			for range 300 {
				s.call("DescribeInstances")
			}
			s.Minute(true)
		}},
		{"a pool lacks its minimum for a quarter of an hour", ServedInTime, func(s *stage) {
			s.serve()
			s.minutes(18)
		}},
		{"a pool lacks its minimum for a while", "", func(s *stage) {
			s.serve()
			s.minutes(11)
		}},
		{"an address cools down for long", ServedInTime, func(s *stage) { s.keep(8, cooling) }},
		{"an address cools down", "", func(s *stage) { s.keep(4, cooling) }},
		{"addresses that the pool does not want are kept", ServedInTime, func(s *stage) { s.keep(27, surplus) }},
		{"addresses that the pool does not want", "", func(s *stage) { s.keep(21, surplus) }},
		{"a slot came free which an audit shows", "", func(s *stage) { s.freeSlot(19) }},
		{"a slot came free which two audits showed", ServedInTime, func(s *stage) { s.freeSlot(27) }},
		{"a pool lacks what no subnet has", "", func(s *stage) {
			s.serve()
			s.cloud.Subnets[0].Choosable = 1
			full := thePool()
			full.Status.Conditions[0].Reason = "SubnetExhausted"
			s.write(operator, "enipools", thePool(), full)
			s.minutes(31)
		}},
		{"a pool lacks what its instance has", ServedInTime, func(s *stage) { s.blameInstance() }},
		{"a pool lacks the slot of a retained ENI", "", func(s *stage) {
			retained := emulator.ENIState{ID: "eni-2", InstanceID: instance, DeviceIndex: 2, Tags: map[string]string{TagClusterUID: "us", TagDeletionPolicy: "Retain"}}
			s.cloud.ENIs = append(s.cloud.ENIs, retained)
			s.blameInstance()
		}},
		{"a pool lacks the slot of an ENI that a claim holds", "", func(s *stage) {
			s.cloud.ENIs[0].PrimaryAddress = "10.0.0.1"
			whole := bound("whole", "10.0.0.1")
			whole.Spec.Mode = v1alpha1.ModeExclusive
			s.write(operator, "eniclaims", nil, whole)
			s.blameInstance()
		}},
		{"a pool goes with its Node's label", WarmKept, func(s *stage) { s.deletePool(5 * time.Minute) }},
		{"a pool goes whose policy was deleted while its Node was away", "", func(s *stage) {
			s.serve()
			s.write(people, "nodes", theNode(), nil)
			time.Sleep(time.Minute)
			s.write(people, "enipolicies", thePolicy(), nil)
			time.Sleep(5 * time.Minute)
			s.write(people, "nodes", nil, theNode())
			s.write(operator, "enipools", thePool(), nil)
		}},
		{"a pool goes long after its Node's label", "", func(s *stage) { s.deletePool(11 * time.Minute) }},
		{"a pool goes whose Node names no instance yet", WarmKept, func(s *stage) {
			s.serve()
			unnamed := theNode()
			unnamed.Spec.ProviderID = ""
			s.write(people, "nodes", theNode(), nil)
			s.write(people, "nodes", nil, unnamed)
			time.Sleep(6 * time.Minute)
			s.write(operator, "enipools", thePool(), nil)
		}},
		{"a call is urgent for nobody", UrgentWanted, func(s *stage) { s.urge(waitingFor("AddressNotInPool"), 3) }},
		{"a call is urgent for a claim", "", func(s *stage) { s.urge(waitingFor("PoolGrowing"), 3) }},
		{"a call is urgent for a claim that nobody looked at yet", "", func(s *stage) { s.urge(waitingFor(""), 3) }},
		{"a call is urgent while something else happens", "", func(s *stage) { s.urge(waitingFor("AddressNotInPool"), 1) }},
		{"a call is urgent for a claim that was served a moment ago", "", func(s *stage) {
			s.minutes(3)
			s.write(operator, "eniclaims", waitingFor("PoolGrowing"), bound("a", "10.0.0.1"))
			s.Urgent(operator, "CreateNetworkInterface")
		}},
		{"a deletion is asked for again", AskedOnce, func(s *stage) {
			s.call("DeleteNetworkInterface", "NetworkInterfaceId", "eni-1")
			s.call("DeleteNetworkInterface", "NetworkInterfaceId", "eni-1")
		}},
		{"a deletion whose answer was lost is asked for again", "", func(s *stage) {
			c := Call{Client: operator, Params: url.Values{"Action": {"DeleteNetworkInterface"}, "NetworkInterfaceId": {"eni-2"}}}
			for range 2 {
				s.Sending(c)
				s.Done(c, "")
				s.Ended(c, false)
			}
		}},
		{"a question is asked while it is on its way", AskedOnce, func(s *stage) {
			c := Call{Client: operator, Params: url.Values{"Action": {"DescribeSubnets"}, "Filter.1.Name": {"vpc-id"}}}
			for range 3 {
				s.Sending(c)
			}
		}},
		{"an ENI for an instance without a free slot", NoHotLoop, func(s *stage) { s.createOnFull(operator) }},
		{"an ENI whose status others wiped, for an instance without a free slot", "", func(s *stage) { s.createOnFull(people) }},
		{"all is deleted, but for what is retained, others' and a primary ENI", "", func(s *stage) { s.deleteAll(nil) }},
		{"a slot comes free for a retained ENI while all is deleted", "", func(s *stage) {
			s.deleteAll(func() { s.uninstall.enis[2].InstanceID = "" })
		}},
		{"an ENI is left after all was deleted", LeavesNothing, func(s *stage) {
			s.deleteAll(func() {
				s.cloud.ENIs = append(s.cloud.ENIs, emulator.ENIState{ID: "eni-9", Tags: map[string]string{TagClusterUID: "us"}})
			})
		}},
		{"an address is left on a primary ENI", LeavesNothing, func(s *stage) {
			s.deleteAll(func() { s.cloud.ENIs[0].Addresses = append(s.cloud.ENIs[0].Addresses, "10.0.0.8") })
		}},
		{"a pool hangs on its finalizer", LeavesNothing, func(s *stage) {
			s.deleteAll(func() {
				kept := thePool()
				kept.Finalizers = []string{finalizer}
				s.write(operator, "enipools", nil, kept)
			})
		}},
		{"a claim is bound after all was deleted", LeavesNothing, func(s *stage) {
			s.deleteAll(func() { s.write(operator, "eniclaims", nil, bound("b", "10.0.0.3")) })
		}},
		{"a retained ENI goes with the rest", AbandonedKept, func(s *stage) {
			s.deleteAll(func() { s.cloud.ENIs = s.cloud.ENIs[:2] })
		}},
		{"all is abandoned", "", func(s *stage) { s.abandon(nil) }},
		{"an abandoned ENI is detached", AbandonedKept, func(s *stage) {
			s.abandon(func(eni *emulator.ENIState) { eni.InstanceID, eni.AttachmentID = "", "" })
		}},
		{"an abandoned ENI loses an address", AbandonedKept, func(s *stage) {
			s.abandon(func(eni *emulator.ENIState) { eni.Addresses = eni.Addresses[1:] })
		}},
		{"an abandoned ENI is not marked", AbandonedKept, func(s *stage) {
			s.abandon(func(eni *emulator.ENIState) { delete(eni.Tags, TagDeletionPolicy) })
		}},
		{"an abandoned ENI ends with its instance", AbandonedKept, func(s *stage) {
			s.abandon(nil)
			s.cloud.ENIs = nil
			s.Outlived()
		}},
		{"something is written at rest", QuietAtRest, func(s *stage) {
			s.Rest()
			s.call("CreateTags", "ResourceId.1", "eni-1")
			s.Rested()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				test.play(s)
				found := s.Violations()
				if test.broken == "" {
					assert.Equal(t, len(found), 0, "%v", found)
					return
				}
				assert.Equal(t, len(found), 1, "%v", found)
				assert.Equal(t, found[0].Promise, test.broken)
			})
		})
	}
}
