/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

func conditionTrue(conditions []metav1.Condition, name string) bool {
	return meta.IsStatusConditionTrue(conditions, name)
}

func texts[S ~string](values []S) []string {
	found := make([]string, 0, len(values))
	for _, value := range values {
		found = append(found, string(value))
	}
	slices.Sort(found)
	return found
}

func sorted(values []string) []string {
	values = slices.Clone(values)
	slices.Sort(values)
	if values == nil {
		return []string{}
	}
	return values
}

// selects reports whether a selector matches labels; nil selects everything.
func selects(selector *metav1.LabelSelector, of map[string]string) bool {
	if selector == nil {
		return true
	}
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(labels.Set(of))
}

// governing is the policy that a Node's pool follows: the highest priority, then the
// oldest, then the first by name.
func (r *Referee) governing(of map[string]string) *v1alpha1.ENIPolicy {
	var best *v1alpha1.ENIPolicy
	for _, policy := range r.world.Policies {
		if !policy.DeletionTimestamp.IsZero() || !selects(&policy.Spec.NodeSelector, of) {
			continue
		}
		if best == nil || outranks(policy, best) {
			best = policy
		}
	}
	return best
}

func outranks(a, b *v1alpha1.ENIPolicy) bool {
	if a.Spec.Priority != b.Spec.Priority {
		return a.Spec.Priority > b.Spec.Priority
	}
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Name < b.Name
}

func (r *Referee) poolOf(node string) *v1alpha1.ENIPool {
	for _, pool := range r.world.Pools {
		if pool.Name == node {
			return pool
		}
	}
	return nil
}

func (r *Referee) nodeNamed(name string) *corev1.Node {
	for _, node := range r.world.Nodes {
		if node.Name == name {
			return node
		}
	}
	return nil
}

// unready is what is wrong with the pool of a living node.
func (r *Referee) unready(name, instance string, of map[string]string) string {
	policy := r.governing(of)
	if policy == nil || instance == "" || !r.world.Living(instance) {
		return ""
	}
	pool := r.poolOf(name)
	if pool == nil {
		return fmt.Sprintf("%s: node %s has no pool, though policy %s selects it", EverythingEnd, name, policy.Name)
	}
	if !pool.DeletionTimestamp.IsZero() && r.inUse(pool) {
		return "" // It goes when its claims do, and another is made then.
	}
	if pool.Spec.InstanceID != instance {
		return fmt.Sprintf("%s: the pool of node %s is of instance %s, and the node is %s", EverythingEnd, name, pool.Spec.InstanceID, instance)
	}
	if !conditionTrue(pool.Status.Conditions, "Ready") {
		ready := meta.FindStatusCondition(pool.Status.Conditions, "Ready")
		if ready == nil {
			return fmt.Sprintf("%s: the pool of node %s says nothing", EverythingEnd, name)
		}
		if ready.Reason == v1alpha1.ReasonInstanceTypeLimit && !r.fits(instance, policy) {
			return ""
		}
		if scarce(ready.Reason) && !r.roomFor(instance, policy, lacking(pool, policy)) {
			r.wanting = true
			return ""
		}
		return fmt.Sprintf("%s: the pool of node %s is not ready: %s: %s", EverythingEnd, name, ready.Reason, ready.Message)
	}
	shared, bounds := pool.Status.Shared, policy.Spec.Shared
	if shared != nil && bounds != nil && shared.Capacity < bounds.MinimumIPs && r.fits(instance, policy) {
		return fmt.Sprintf("%s: the pool of node %s is ready with %d addresses, and its minimum is %d", EverythingEnd, name, shared.Capacity, bounds.MinimumIPs)
	}
	return ""
}

// unrested is what still rests, is reserved or is being given back on living nodes: nobody
// has released anything for long, and each of these ends, also what a wrong clock began.
func (r *Referee) unrested() []string {
	var found []string
	for _, uid := range slices.Sorted(maps.Keys(r.world.Pools)) {
		pool := r.world.Pools[uid]
		node := r.nodeNamed(pool.Name)
		if node == nil || r.governing(node.Labels) == nil || !r.world.Living(pool.Spec.InstanceID) {
			continue
		}
		for _, entry := range pool.Status.Addresses {
			if slices.Contains([]v1alpha1.HolderState{"Cooling", "Reserved", "Releasing"}, entry.State) {
				found = append(found, fmt.Sprintf("%s: address %s of node %s is %s since %s", EverythingEnd, entry.Address, pool.Name, entry.State, entry.Since.UTC()))
			}
		}
		for _, entry := range pool.Status.ENIs {
			if entry.CoolingSince != nil {
				found = append(found, fmt.Sprintf("%s: ENI %s of node %s rests since %s", EverythingEnd, entry.Name, pool.Name, entry.CoolingSince.UTC()))
			}
		}
	}
	return found
}

// mistaken are the ENIs of the pools' records of whose names there is another resource than
// the one that the record means.
func (r *Referee) mistaken() []string {
	var found []string
	for _, uid := range slices.Sorted(maps.Keys(r.world.Pools)) {
		for _, entry := range r.world.Pools[uid].Status.ENIs {
			if eni := r.resourceNamed(entry.Name); eni != nil && entry.UID != "" && entry.UID != eni.UID {
				found = append(found, fmt.Sprintf("%s: ENI %s of node %s is resource %s, and the pool's record means %s", EverythingEnd, entry.Name, r.world.Pools[uid].Name, eni.UID, entry.UID))
			}
		}
	}
	return found
}

// lacking are the modes of which a pool has less than its policy's minimum. Claims that
// wait for more are judged by themselves.
func lacking(pool *v1alpha1.ENIPool, policy *v1alpha1.ENIPolicy) (modes []v1alpha1.Mode) {
	shared, exclusive := pool.Status.Shared, pool.Status.Exclusive
	if bounds := policy.Spec.Shared; bounds != nil && (shared == nil || shared.Capacity < bounds.MinimumIPs) {
		modes = append(modes, v1alpha1.ModeShared)
	}
	if bounds := policy.Spec.Exclusive; bounds != nil && (exclusive == nil || exclusive.Capacity < bounds.Minimum) {
		modes = append(modes, v1alpha1.ModeExclusive)
	}
	return modes
}

// roomFor reports whether an instance could have more of one of the modes.
func (r *Referee) roomFor(id string, policy *v1alpha1.ENIPolicy, modes []v1alpha1.Mode) bool {
	return slices.ContainsFunc(modes, func(mode v1alpha1.Mode) bool { return r.room(id, policy, mode) })
}

// fits reports whether an instance can hold the minima of a policy, beside what others
// attached to it and what claims hold as a whole.
func (r *Referee) fits(instance string, policy *v1alpha1.ENIPolicy) bool {
	found := r.world.Instance(instance)
	if found == nil || policy.Spec.Shared == nil {
		return false
	}
	if unit := policy.Spec.AddressUnit(); unit > 1 && policy.Spec.Shared.MaximumIPs/unit*unit < policy.Spec.Shared.MinimumIPs {
		return false // Too few whole prefixes lie below the maximum.
	}
	exclusive := r.heldWhole(instance)
	if policy.Spec.Exclusive != nil {
		exclusive = max(exclusive, int(policy.Spec.Exclusive.Minimum))
	}
	slots := found.MostENIs - 1 - r.foreignOn(instance) - exclusive
	return slots*(found.AddressesPerENI-1) >= int(policy.Spec.Shared.MinimumIPs)
}

// heldWhole is how many ENIs of an instance claims hold as a whole.
func (r *Referee) heldWhole(instance string) int {
	count := 0
	for _, claim := range r.world.Claims {
		eni := r.world.ENI(claim.Status.NetworkInterfaceID)
		if claim.Spec.Mode == v1alpha1.ModeExclusive && claim.Status.Phase == v1alpha1.ClaimBound && eni != nil && eni.InstanceID == instance {
			count++
		}
	}
	return count
}

// foreignOn is how many slots of an instance are taken by ENIs that do not carry our tags
// and by retained ones, its primary ENI not counted.
func (r *Referee) foreignOn(instance string) int {
	named := r.idsOfResources()
	count := 0
	for i := range r.world.Cloud.ENIs {
		eni := &r.world.Cloud.ENIs[i]
		retained := eni.Tags[TagDeletionPolicy] == "Retain" && !named[eni.ID]
		if eni.InstanceID == instance && eni.DeviceIndex != 0 && (retained || r.disowned(eni)) {
			count++
		}
	}
	return count
}

// disowned reports whether the tags of an ENI do not say that it is a resource's of this
// cluster: the operator leaves it alone unless it has seen them.
func (r *Referee) disowned(eni *emulator.ENIState) bool {
	return eni.Tags[TagClusterUID] != r.settings.ClusterUID || eni.Tags[TagUID] == ""
}

// scarce reports whether a reason says that there is no room for more.
func scarce(reason string) bool {
	return slices.Contains([]string{
		"SubnetExhausted", "SubnetFragmented", "InstanceFull", "InvalidParameter", "WaitingForDrain", "QuotaExceeded", "NoFreeDeviceIndex", "NotOwned",
		"SubnetNotFound", "OrphanedENIs", "InstanceTypeLimit",
	}, reason)
}

// room reports whether an instance could have more: it takes another ENI, and a subnet
// has addresses for it, or one of its shared ENIs and that one's subnet have room.
func (r *Referee) room(id string, policy *v1alpha1.ENIPolicy, mode v1alpha1.Mode) bool {
	instance, roomy := r.world.Instance(id), map[string]bool{}
	blocks := mode == v1alpha1.ModeShared && policy.Spec.Shared != nil && policy.Spec.Shared.AddressType == v1alpha1.AddressTypeIPv4Prefix
	for _, subnet := range r.world.Cloud.Subnets {
		if subnet.Zone != instance.Zone || subnet.Tags["role"] != "pods" {
			continue
		}
		roomy[subnet.ID] = worthwhile(subnet, blocks)
		if roomy[subnet.ID] && instance.ENIs < instance.MostENIs {
			return true
		}
	}
	if mode == v1alpha1.ModeExclusive {
		return false
	}
	return slices.ContainsFunc(r.world.Cloud.ENIs, func(eni emulator.ENIState) bool {
		full := len(eni.Addresses)+len(eni.Prefixes)+1 >= instance.AddressesPerENI
		return eni.InstanceID == id && !full && roomy[eni.SubnetID] && r.sharedENI(eni)
	})
}

// worthwhile reports whether a subnet has an ENI's own address, something for a claim,
// and something that may be gone by then.
func worthwhile(subnet emulator.SubnetState, blocks bool) bool {
	if blocks {
		return subnet.FreeBlocks >= 2
	}
	return subnet.Choosable >= 3
}

// sharedENI reports whether an ENI is one of ours that a pool may fill.
func (r *Referee) sharedENI(eni emulator.ENIState) bool {
	if r.disowned(&eni) {
		return false
	}
	for _, resource := range r.world.ENIs {
		its := eni.Tags[TagUID] == string(resource.UID) || eni.Tags[TagName] == resource.Name // Of an earlier resource, which it takes over.
		if its && resource.Status.NetworkInterfaceID == eni.ID && resource.Spec.Mode == v1alpha1.ModeShared && resource.DeletionTimestamp.IsZero() {
			return true
		}
	}
	return false
}

// unserved is what is wrong with a claim.
func (r *Referee) unserved(claim *v1alpha1.ENIClaim) string {
	node := r.nodeNamed(claim.Spec.NodeName)
	if !claim.DeletionTimestamp.IsZero() || node == nil || !r.world.Living(InstanceOf(node)) {
		return ""
	}
	switch claim.Status.Phase {
	case v1alpha1.ClaimBound:
		return r.badlyServed(claim)
	case v1alpha1.ClaimLost, v1alpha1.ClaimExpired:
		return ""
	}
	policy, pool := r.governing(node.Labels), r.poolOf(node.Name)
	if policy == nil || pool == nil || !r.offered(claim, policy) || (!pool.DeletionTimestamp.IsZero() && r.inUse(pool)) {
		return ""
	}
	ready := meta.FindStatusCondition(claim.Status.Conditions, "Ready")
	if ready == nil {
		return fmt.Sprintf("%s: claim %s does not say why it waits", EverythingEnd, nameOf(claim))
	}
	switch {
	case claim.Spec.Address != nil:
		return ""
	case ready.Reason == "NamespaceAtMaximum":
		return r.underShare(claim, pool)
	case ready.Reason == "AddressInUse" && r.free(claim) && r.shownElsewhere(claim, pool):
		return "" // It is handed out once that claim says that it lost the address, or is deleted.
	case r.free(claim):
		return fmt.Sprintf("%s: claim %s waits (%s), and its pool has something free", EverythingEnd, nameOf(claim), ready.Reason)
	case ready.Reason == "PoolAtMaximum":
		return ""
	case scarce(ready.Reason) && !r.room(InstanceOf(node), policy, claim.Spec.Mode):
		r.wanting = true
		return ""
	}
	return fmt.Sprintf("%s: claim %s waits: %s: %s", EverythingEnd, nameOf(claim), ready.Reason, ready.Message)
}

// underShare is what is wrong where a claim is told that its namespace has its maximum.
func (r *Referee) underShare(claim *v1alpha1.ENIClaim, pool *v1alpha1.ENIPool) string {
	taken, most := shareOf(claim.Namespace, claim.Spec.Mode, pool)
	if most == nil || taken < *most {
		return fmt.Sprintf("%s: claim %s waits, and its namespace has %d of the most that it may have", EverythingEnd, nameOf(claim), taken)
	}
	return ""
}

// free reports whether the pool of a claim says that it has something for it.
func (r *Referee) free(claim *v1alpha1.ENIClaim) bool {
	pool := r.poolOf(claim.Spec.NodeName)
	if pool == nil {
		return false
	}
	if claim.Spec.Mode == v1alpha1.ModeExclusive {
		return pool.Status.Exclusive != nil && pool.Status.Exclusive.Free > 0
	}
	return pool.Status.Shared != nil && pool.Status.Shared.Free > 0
}

// shownElsewhere reports whether all that a pool has free for an exclusive claim are ENIs
// whose address EC2 took from another ENI, of which a claim still shows it: that ENI was
// given to others, so that the operator reads nothing of it any more.
func (r *Referee) shownElsewhere(claim *v1alpha1.ENIClaim, pool *v1alpha1.ENIPool) bool {
	if claim.Spec.Mode != v1alpha1.ModeExclusive {
		return false
	}
	for _, entry := range pool.Status.ENIs {
		if entry.Mode != v1alpha1.ModeExclusive || entry.Claim != nil || entry.CoolingSince != nil {
			continue
		}
		if eni := r.resourceNamed(entry.Name); eni == nil || !r.shown(eni.Status.PrimaryAddress, eni.Status.NetworkInterfaceID) {
			return false
		}
	}
	return true
}

func (r *Referee) resourceNamed(name string) *v1alpha1.ElasticNetworkInterface {
	for _, eni := range r.world.ENIs {
		if eni.Name == name {
			return eni
		}
	}
	return nil
}

// shown reports whether a claim shows an address that it has on another ENI than one.
func (r *Referee) shown(address, id string) bool {
	for _, claim := range r.world.Claims {
		bound := claim.Status.Phase == v1alpha1.ClaimBound && !addressLost(claim)
		if bound && claim.Status.Address == address && claim.Status.NetworkInterfaceID != id {
			return true
		}
	}
	return false
}

// badlyServed is what is wrong with a bound claim.
func (r *Referee) badlyServed(claim *v1alpha1.ENIClaim) string {
	eni := r.world.ENI(claim.Status.NetworkInterfaceID)
	there := claim.Status.Address != "" && Carries(eni, claim.Status.Address) && eni.InstanceID != ""
	if there && !isReady(claim) && r.disowned(eni) {
		return "" // Its tags name another owner, and the claim says so.
	}
	switch {
	case isReady(claim) && !there:
		return fmt.Sprintf("%s: claim %s is Bound and Ready with %s of %s, which EC2 does not have there",
			TruthTold, nameOf(claim), claim.Status.Address, claim.Status.NetworkInterfaceID)
	case !isReady(claim) && there:
		ready := meta.FindStatusCondition(claim.Status.Conditions, "Ready")
		reason := ""
		if ready != nil {
			reason = ready.Reason + ": " + ready.Message
		}
		return fmt.Sprintf("%s: claim %s has %s, and is not Ready: %s", TruthTold, nameOf(claim), claim.Status.Address, reason)
	}
	return ""
}

// offered reports whether a policy serves a claim.
func (r *Referee) offered(claim *v1alpha1.ENIClaim, policy *v1alpha1.ENIPolicy) bool {
	for _, namespace := range r.world.Namespaces {
		if namespace.Name == claim.Namespace && !selects(policy.Spec.ClaimNamespaceSelector, namespace.Labels) {
			return false
		}
	}
	if claim.Spec.Mode == v1alpha1.ModeExclusive {
		return policy.Spec.Exclusive != nil
	}
	return policy.Spec.Shared != nil
}
