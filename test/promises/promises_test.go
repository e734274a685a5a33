/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

const (
	operator = "replica-1.1"
	people   = "people"
	instance = "i-1"
)

// stage is a cluster with one node and one ENI of ours, eni-1, which carries 10.0.0.1
// to 10.0.0.3 and is the ENI of the resource u-eni.
type stage struct {
	*Referee
	t     *testing.T
	cloud emulator.State
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t}
	s.Referee = NewReferee(Settings{
		ClusterUID: "us", Operator: func(name string) bool { return strings.HasPrefix(name, "replica-") },
		Look: func() emulator.State { return s.cloud }, LeaderLease: "leader", NodeGoneGrace: 5 * time.Minute, AuditInterval: 10 * time.Minute,
		IdleReleaseAfter: 10 * time.Minute, Cooldown: 30 * time.Second, Hindered: func(*v1alpha1.ENIClaim) bool { return false },
	})
	s.write(operator, "leases", nil, leaderLease("me"))
	s.write(people, "nodes", nil, theNode())
	s.cloud.Instances = []emulator.InstanceState{{ID: instance, State: "running", MostENIs: 3, AddressesPerENI: 10}}
	s.cloud.ENIs = []emulator.ENIState{{
		ID: "eni-1", PrimaryAddress: "10.0.0.100", Addresses: []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, InstanceID: instance,
		AttachmentID: "eni-attach-1", DeviceIndex: 1, Tags: map[string]string{TagClusterUID: "us", TagUID: "u-eni"},
	}}
	s.call("CreateNetworkInterface")
	s.write(operator, "elasticnetworkinterfaces", nil, theENI())
	return s
}

func leaderLease(holder string) *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "leader"}, Spec: coordinationv1.LeaseSpec{HolderIdentity: ptr.To(holder)}}
}

func theNode() *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node", UID: "u-node", Labels: map[string]string{"pool": "general"}}, Spec: corev1.NodeSpec{ProviderID: "aws:///z/" + instance}}
}

func theENI() *v1alpha1.ElasticNetworkInterface {
	return &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: "e", UID: "u-eni"},
		Status:     v1alpha1.ElasticNetworkInterfaceStatus{NetworkInterfaceID: "eni-1"},
	}
}

// bound is a claim that holds an address.
func bound(name, address string) *v1alpha1.ENIClaim {
	return &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("u-" + name)},
		Spec:       v1alpha1.ENIClaimSpec{NodeName: "node", Mode: v1alpha1.ModeShared},
		Status: v1alpha1.ENIClaimStatus{
			Phase: v1alpha1.ClaimBound, Address: address, NetworkInterfaceID: "eni-1", ENIName: "e",
			Conditions: []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue}},
		},
	}
}

func lost(claim *v1alpha1.ENIClaim) *v1alpha1.ENIClaim {
	claim = claim.DeepCopy()
	claim.Status.Phase, claim.Status.Conditions = v1alpha1.ClaimLost, nil
	return claim
}

func (s *stage) write(client, resource string, before, after metav1.Object) {
	s.t.Helper()
	raw := func(object metav1.Object) []byte {
		if object == nil {
			return nil
		}
		text, err := json.Marshal(object)
		assert.NilError(s.t, err)
		return text
	}
	name := ""
	for _, object := range []metav1.Object{before, after} {
		if object != nil {
			name = object.GetName()
		}
	}
	s.See(Write{Client: client, Resource: resource, Name: name, Before: raw(before), After: raw(after)})
}

// giveAway has others tag the ENI as another cluster's, a while ago.
func (s *stage) giveAway(ago time.Duration) {
	s.cloud.ENIs[0].Tags = map[string]string{TagClusterUID: "them"}
	s.Look()
	time.Sleep(ago)
}

func (s *stage) call(action string, parameters ...string) {
	form := url.Values{"Action": {action}}
	for i := 0; i+1 < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	c := Call{Client: operator, Params: form}
	s.Sending(c)
	s.Arriving(c)
	s.Done(c, "")
	s.Ended(c, true)
}

// serve has a policy with room for more, and a pool that lacks all of its minimum.
func (s *stage) serve() {
	s.cloud.Instances[0].Zone = "z"
	s.cloud.Subnets = []emulator.SubnetState{{ID: "subnet-1", Zone: "z", Choosable: 50, Tags: map[string]string{"role": "pods"}}}
	s.write(people, "enipolicies", nil, thePolicy())
	s.write(operator, "enipools", nil, thePool())
}

// freeSlot has the pool lack its minimum for so many minutes after its instance was full.
func (s *stage) freeSlot(minutes int) {
	s.serve()
	full := thePool()
	full.Status.Conditions[0].Reason = "InstanceFull"
	s.cloud.Instances[0].ENIs = s.cloud.Instances[0].MostENIs
	s.write(operator, "enipools", thePool(), full)
	s.minutes(2)
	s.cloud.Instances[0].ENIs--
	s.write(operator, "enipools", full, thePool())
	s.minutes(minutes)
}

// cool has an address of a pool cool down for so many minutes.
func (s *stage) cool(minutes int) {
	cooling := thePool()
	cooling.Status.Addresses = []v1alpha1.PoolAddress{{Address: "10.0.0.1", ENIName: "e", State: v1alpha1.HolderCooling}}
	s.write(operator, "enipools", nil, cooling)
	time.Sleep(time.Hour) // The Node is known for a while.
	s.minutes(minutes)
}

// giveBack has the operator give the ENI's first address back.
func (s *stage) giveBack() {
	s.cloud.ENIs[0].Addresses = []string{"10.0.0.2", "10.0.0.3"}
	s.call("UnassignPrivateIpAddresses", "NetworkInterfaceId", "eni-1", "PrivateIpAddress.1", "10.0.0.1")
}

// blameInstance has the pool say for long that its instance has no room for its minimum,
// for which two ENIs have room.
func (s *stage) blameInstance() {
	s.serve()
	wider := thePolicy()
	wider.Spec.Shared.MinimumIPs = 12
	s.write(people, "enipolicies", thePolicy(), wider)
	blaming := thePool()
	blaming.Status.Conditions[0].Reason = v1alpha1.ReasonInstanceTypeLimit
	s.write(operator, "enipools", thePool(), blaming)
	s.minutes(31)
}

func thePolicy() *v1alpha1.ENIPolicy {
	policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "u-p"}}
	policy.Spec.Shared = &v1alpha1.SharedBounds{MinimumIPs: 3}
	policy.Spec.NodeSelector.MatchLabels = map[string]string{"pool": "general"}
	return policy
}

func thePool() *v1alpha1.ENIPool {
	pool := &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: "node", UID: "u-pool"}}
	pool.Spec.InstanceID = instance
	pool.Status.Shared = &v1alpha1.SharedStatus{}
	pool.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: "PoolGrowing"}}
	return pool
}

// deletePool has the operator delete the pool a while after the Node lost its label.
func (s *stage) deletePool(after time.Duration) {
	s.serve()
	bare := theNode()
	bare.Labels = nil
	s.write(people, "nodes", theNode(), bare)
	time.Sleep(after)
	s.write(operator, "enipools", thePool(), nil)
}

// minutes lets time pass that nothing disturbs.
func (s *stage) minutes(n int) {
	for range n {
		time.Sleep(time.Minute)
		s.Minute(true)
	}
}

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
		{"an address cools down for long", ServedInTime, func(s *stage) { s.cool(8) }},
		{"an address cools down", "", func(s *stage) { s.cool(4) }},
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
		{"an ENI for an instance without a free slot", NoHotLoop, func(s *stage) {
			s.cloud.Instances[0].ENIs = s.cloud.Instances[0].MostENIs
			wanted := theENI()
			wanted.Name, wanted.UID, wanted.Spec.InstanceID, wanted.Status.NetworkInterfaceID = "wanted", "u-2", instance, ""
			s.write(operator, "elasticnetworkinterfaces", nil, wanted)
			s.minutes(21)
			s.call("CreateNetworkInterface", "TagSpecification.1.Tag.1.Key", TagUID, "TagSpecification.1.Tag.1.Value", "u-2")
		}},
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

// moveENI has people attach the ENI to another instance, a while ago.
func (s *stage) moveENI(ago time.Duration) {
	s.write(operator, "enipools", nil, &v1alpha1.ENIPool{
		ObjectMeta: metav1.ObjectMeta{Name: "node", UID: "u-pool"}, Spec: v1alpha1.ENIPoolSpec{NodeName: "node", InstanceID: instance},
	})
	s.cloud.Instances = append(s.cloud.Instances, emulator.InstanceState{ID: "i-2", State: "running"})
	s.cloud.ENIs[0].InstanceID = "i-2"
	s.Moved("eni-1")
	time.Sleep(ago)
}
