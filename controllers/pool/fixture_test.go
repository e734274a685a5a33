/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

const (
	nodeName   = "ip-10-0-1-17.ec2.internal"
	instanceID = "i-0123456789abcdef0"
	subnetA    = "subnet-0000000000000000a"
	subnetB    = "subnet-0000000000000000b"
)

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// ago is a time before start, as the record keeps it.
func ago(d time.Duration) metav1.Time { return metav1.NewTime(start.Add(-d)) }

func eniName(slot int) string { return fmt.Sprintf("%s-%d", instanceID, slot) }

// fixture is an observation in the making: an m5.large (2 more ENIs of 9
// addresses) with an empty record, 2 to 20 addresses and no exclusive ENIs.
type fixture struct{ observation }

func newFixture() *fixture {
	pool := &v1alpha1.ENIPool{
		ObjectMeta: metav1.ObjectMeta{Name: nodeName, UID: "pool", Generation: 3},
		Spec: v1alpha1.ENIPoolSpec{NodeName: nodeName, InstanceID: instanceID, PolicyName: "general",
			ENITemplate: v1alpha1.ENITemplate{Shared: &v1alpha1.SharedBounds{MaximumIPs: 20}}},
		Status: v1alpha1.ENIPoolStatus{PoolUID: "pool"},
	}
	return &fixture{observation{
		pool: pool, now: start, vanished: map[string]bool{}, allowed: map[string]bool{"shop": true},
		limits:  limits{known: true, instanceType: "m5.large", zone: "us-east-1a", slots: 2, addressSlots: 9, nitro: true},
		network: network{subnetIDs: []string{subnetA}}, idleAfter: 10 * time.Minute, restFor: 30 * time.Second, lowestSlot: 1,
	}}
}

// bounds sets the shared bounds; cooldown and idle release keep their defaults.
func (f *fixture) bounds(minimum, warm, maximum int32) *fixture {
	f.pool.Spec.Shared = &v1alpha1.SharedBounds{MinimumIPs: minimum, WarmIPs: warm, MaximumIPs: maximum}
	return f
}

func (f *fixture) prefixes() *fixture {
	f.pool.Spec.Shared.AddressType = v1alpha1.AddressTypeIPv4Prefix
	return f
}

func (f *fixture) exclusive(minimum, warm, maximum int32) *fixture {
	f.pool.Spec.Exclusive = &v1alpha1.ExclusiveBounds{Minimum: minimum, Warm: warm, Maximum: maximum}
	return f
}

func (f *fixture) limit(slots, addressSlots int32) *fixture {
	f.limits.slots, f.limits.addressSlots = slots, addressSlots
	return f
}

// change lets a row say what is special about it.
func (f *fixture) change(how func(f *fixture)) *fixture {
	how(f)
	return f
}

// eni adds a ready shared ENI with addresses 10.0.<slot>.<from> and following.
func (f *fixture) eni(slot, from, count int) *fixture {
	eni := readyENI(slot, v1alpha1.ModeShared)
	eni.Spec.AddressCount = int32(count)
	eni.Status.Addresses = addresses(slot, from, count)
	return f.add(eni)
}

// add adds an ENI that the record knows.
func (f *fixture) add(eni v1alpha1.ElasticNetworkInterface) *fixture {
	f.enis = append(f.enis, eni)
	f.pool.Status.ENIs = append(f.pool.Status.ENIs, v1alpha1.PoolENI{
		Name: eni.Name, UID: eni.UID, Mode: eni.Spec.Mode, State: v1alpha1.PoolENIActive,
	})
	return f
}

// prefixENI adds a ready shared ENI with prefixes 10.0.<slot>.0/28 and following.
func (f *fixture) prefixENI(slot, count int) *fixture {
	eni := readyENI(slot, v1alpha1.ModeShared)
	eni.Spec.PrefixCount = int32(count)
	for i := range count {
		eni.Status.Prefixes = append(eni.Status.Prefixes, v1alpha1.Prefix(fmt.Sprintf("10.0.%d.%d/28", slot, 16*i)))
	}
	return f.add(eni)
}

func (f *fixture) exclusiveENI(slot int) *fixture {
	return f.add(readyENI(slot, v1alpha1.ModeExclusive))
}

// last is the ENI that was added last.
func (f *fixture) last(how func(eni *v1alpha1.ElasticNetworkInterface)) *fixture {
	how(&f.enis[len(f.enis)-1])
	return f
}

func readyENI(slot int, mode v1alpha1.Mode) v1alpha1.ElasticNetworkInterface {
	return v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: eniName(slot), UID: types.UID(eniName(slot)), Generation: 1, Finalizers: []string{v1alpha1.Finalizer}},
		Spec:       v1alpha1.ElasticNetworkInterfaceSpec{NodeName: nodeName, InstanceID: instanceID, PoolName: nodeName, Mode: mode},
		Status: v1alpha1.ElasticNetworkInterfaceStatus{
			ObservedGeneration: 1,
			NetworkInterfaceID: fmt.Sprintf("eni-%d", slot), MACAddress: fmt.Sprintf("02:00:00:00:00:%02d", slot),
			PrimaryAddress: fmt.Sprintf("10.0.%d.250", slot), SubnetID: subnetA, SubnetCIDR: "10.0.0.0/16",
			Attachment: &v1alpha1.Attachment{InstanceID: instanceID, DeviceIndex: int32(slot)},
			Conditions: []metav1.Condition{
				{Type: v1alpha1.ConditionAttached, Status: metav1.ConditionTrue},
				{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue},
			},
		},
	}
}

// unready makes an ENI that is not ready for a reason, attached or not.
func unready(reason string, attached bool) func(*v1alpha1.ElasticNetworkInterface) {
	return func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.Status.Conditions[1] = metav1.Condition{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: "as EC2 answered",
		}
		if !attached {
			eni.Status.Conditions[0].Status = metav1.ConditionFalse
		}
	}
}

func address(slot, last int) v1alpha1.Address {
	return v1alpha1.Address(fmt.Sprintf("10.0.%d.%d", slot, last))
}

func addresses(slot, from, count int) []v1alpha1.Address {
	var out []v1alpha1.Address
	for i := range count {
		out = append(out, address(slot, from+i))
	}
	return out
}

// claim adds a claim that was created so long ago; it is prepared and waits.
func (f *fixture) claim(name string, age time.Duration, how ...func(*v1alpha1.ENIClaim)) *fixture {
	claim := v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name), CreationTimestamp: ago(age),
			Finalizers: []string{v1alpha1.Finalizer}},
		Spec: v1alpha1.ENIClaimSpec{NodeName: nodeName, Mode: v1alpha1.ModeShared},
	}
	for _, change := range how {
		change(&claim)
	}
	f.claims = append(f.claims, claim)
	return f
}

func (f *fixture) claimsNamed(names ...string) *fixture {
	for i, name := range names {
		f.claim(name, time.Duration(len(names)-i)*time.Minute)
	}
	return f
}

// lastClaim is the claim that was added last.
func (f *fixture) lastClaim(how func(*v1alpha1.ENIClaim)) *fixture {
	how(&f.claims[len(f.claims)-1])
	return f
}

func wantsENI(claim *v1alpha1.ENIClaim) { claim.Spec.Mode = v1alpha1.ModeExclusive }

func wants(address v1alpha1.Address) func(*v1alpha1.ENIClaim) {
	return func(claim *v1alpha1.ENIClaim) { claim.Spec.Address = &address }
}

func deleting(claim *v1alpha1.ENIClaim) {
	now := ago(time.Second)
	claim.DeletionTimestamp = &now
}

func inPhase(phase v1alpha1.ClaimPhase) func(*v1alpha1.ENIClaim) {
	return func(claim *v1alpha1.ENIClaim) { claim.Status.Phase = phase }
}

// boundTo is the status of a claim that was told what it holds.
func boundTo(slot int, address v1alpha1.Address) func(*v1alpha1.ENIClaim) {
	return func(claim *v1alpha1.ENIClaim) {
		at := ago(time.Hour)
		claim.Status = v1alpha1.ENIClaimStatus{Phase: v1alpha1.ClaimBound, Address: string(address), ENIName: eniName(slot), BoundAt: &at}
	}
}

// toldENI has a claim's status name an ENI.
func toldENI(id string) func(*v1alpha1.ENIClaim) {
	return func(claim *v1alpha1.ENIClaim) { claim.Status.NetworkInterfaceID = id }
}

// holds adds bound claims, each with an address of an ENI in the record.
func (f *fixture) holds(slot int, held map[string]int) *fixture {
	for _, name := range sortedKeys(held) {
		f.claim(name, time.Hour, boundTo(slot, address(slot, held[name])))
		f.record(slot, held[name], v1alpha1.HolderAllocated, name, time.Hour)
	}
	return f
}

func sortedKeys(in map[string]int) []string {
	var keys []string
	for key := range in {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// record adds an entry for an address to the stored record.
func (f *fixture) record(slot, last int, state v1alpha1.HolderState, holder string, since time.Duration) *fixture {
	entry := v1alpha1.PoolAddress{Address: address(slot, last), ENIName: eniName(slot), State: state, Since: ago(since)}
	if holder != "" {
		entry.Claim = reference(holder)
	}
	f.pool.Status.Addresses = append(f.pool.Status.Addresses, entry)
	return f
}

// entry sets the entry for an ENI in the stored record.
func (f *fixture) entry(slot int, mode v1alpha1.Mode, state v1alpha1.PoolENIState, how ...func(*v1alpha1.PoolENI)) *fixture {
	entry := v1alpha1.PoolENI{Name: eniName(slot), UID: types.UID(eniName(slot)), Mode: mode, State: state}
	for _, change := range how {
		change(&entry)
	}
	f.pool.Status.ENIs = slices.DeleteFunc(f.pool.Status.ENIs, func(e v1alpha1.PoolENI) bool { return e.Name == entry.Name })
	f.pool.Status.ENIs = append(f.pool.Status.ENIs, entry)
	return f
}

func heldBy1(name string) func(*v1alpha1.PoolENI) {
	return func(entry *v1alpha1.PoolENI) { entry.Claim = reference(name) }
}

func coolingFor(d time.Duration) func(*v1alpha1.PoolENI) {
	return func(entry *v1alpha1.PoolENI) { since := ago(d); entry.CoolingSince = &since }
}

func reference(name string) *v1alpha1.ClaimReference {
	return &v1alpha1.ClaimReference{Namespace: "shop", Name: name, UID: types.UID(name)}
}
