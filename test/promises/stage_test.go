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

// keep has a pool keep something for so many minutes.
func (s *stage) keep(minutes int, what func(*v1alpha1.ENIPool)) {
	pool := thePool()
	what(pool)
	s.write(operator, "enipools", nil, pool)
	time.Sleep(time.Hour) // The Node is known for a while.
	s.minutes(minutes)
}

func cooling(pool *v1alpha1.ENIPool) {
	pool.Status.Addresses = []v1alpha1.PoolAddress{{Address: "10.0.0.1", ENIName: "e", State: v1alpha1.HolderCooling}}
}

func surplus(pool *v1alpha1.ENIPool) {
	pool.Status.Shared = &v1alpha1.SharedStatus{Capacity: 5, Free: 3, Desired: 4}
}

// createOnFull has an ENI created, whose resource somebody wrote last, for an instance that
// has been full for long.
func (s *stage) createOnFull(client string) {
	s.cloud.Instances[0].ENIs = s.cloud.Instances[0].MostENIs
	wanted := theENI()
	wanted.Name, wanted.UID, wanted.Spec.InstanceID, wanted.Status.NetworkInterfaceID = "wanted", "u-2", instance, ""
	s.write(client, "elasticnetworkinterfaces", nil, wanted)
	s.minutes(21)
	s.call("CreateNetworkInterface", "TagSpecification.1.Tag.1.Key", TagUID, "TagSpecification.1.Tag.1.Value", "u-2")
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

// share has the operator give one namespace two addresses, of which it may have some.
func (s *stage) share(most int32) {
	before := thePool()
	before.Spec.Shared = &v1alpha1.SharedBounds{MaximumPerNamespace: ptr.To(most)}
	before.Status.Addresses = []v1alpha1.PoolAddress{{Address: "10.0.0.2", State: v1alpha1.HolderCooling, Claim: &v1alpha1.ClaimReference{Namespace: "shop", Name: "old", UID: "u-old"}}}
	claim := bound("a", "10.0.0.1")
	claim.Status = v1alpha1.ENIClaimStatus{}
	s.write(people, "eniclaims", nil, claim)
	after := before.DeepCopy()
	after.Status.Addresses = append(after.Status.Addresses, v1alpha1.PoolAddress{
		Address: "10.0.0.1", State: v1alpha1.HolderAllocated, Claim: &v1alpha1.ClaimReference{Namespace: "shop", Name: "a", UID: claim.UID},
	})
	s.write(operator, "enipools", before, after)
}

// snatch has the operator give a claim the address that one of another namespace released,
// where the pool reserves addresses for some time.
func (s *stage) snatch(asked v1alpha1.Address, reserved time.Duration) {
	before := thePool()
	before.Spec.Shared = &v1alpha1.SharedBounds{ReserveAfterRelease: &metav1.Duration{Duration: reserved}}
	before.Status.Addresses = []v1alpha1.PoolAddress{{Address: "10.0.0.1", State: v1alpha1.HolderCooling, Claim: &v1alpha1.ClaimReference{Namespace: "bank", Name: "old", UID: "u-old"}}}
	claim := bound("a", "10.0.0.1")
	claim.Status = v1alpha1.ENIClaimStatus{}
	if asked != "" {
		claim.Spec.Address = &asked
	}
	s.write(people, "eniclaims", nil, claim)
	after := before.DeepCopy()
	after.Status.Addresses[0].State = v1alpha1.HolderAllocated
	after.Status.Addresses[0].Claim = &v1alpha1.ClaimReference{Namespace: "shop", Name: "a", UID: claim.UID}
	s.write(operator, "enipools", before, after)
}

// restoreRecord has people wipe the status of a claim and put an older record of the pool in
// place, after which the operator gives the address to another claim.
func (s *stage) restoreRecord(wiped, next *v1alpha1.ENIClaim, recorded ...v1alpha1.PoolAddress) {
	older := thePool()
	older.Status.PoolUID, older.Status.Addresses = older.UID, recorded
	s.write(operator, "enipools", nil, thePool())
	s.write(operator, "eniclaims", nil, wiped)
	blank := wiped.DeepCopy()
	blank.Status = v1alpha1.ENIClaimStatus{}
	s.write(people, "eniclaims", wiped, blank)
	s.write(people, "enipools", thePool(), older)
	s.write(operator, "eniclaims", nil, next)
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

// waitingFor is a claim that waits for a reason, or that nobody has looked at.
func waitingFor(reason string) *v1alpha1.ENIClaim {
	claim := bound("a", "")
	claim.Status = v1alpha1.ENIClaimStatus{}
	if reason != "" {
		claim.Status.Phase = v1alpha1.ClaimPending
		claim.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: reason}}
	}
	return claim
}

// urge has a call sent before all others when a claim has waited for so many calm minutes.
func (s *stage) urge(claim *v1alpha1.ENIClaim, minutes int) {
	s.write(people, "eniclaims", nil, claim)
	s.minutes(minutes)
	s.Urgent(operator, "CreateNetworkInterface")
}
