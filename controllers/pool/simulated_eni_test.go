/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// simulatedENI is an ENI's resource with all its versions, the latest last.
type simulatedENI struct {
	versions []v1alpha1.ElasticNetworkInterface
	attached bool
	// lost: somebody else deleted it in EC2.
	lost bool
}

func (s *simulatedENI) latest() *v1alpha1.ElasticNetworkInterface {
	return s.versions[len(s.versions)-1].DeepCopy()
}

// stepENI does the next thing that an ENI needs, and reports it in its status.
func (w *world) stepENI(name string, twice bool) bool {
	sim := w.enis[name]
	eni := sim.latest()
	switch {
	case !eni.DeletionTimestamp.IsZero():
		return w.stepDeletion(sim, eni)
	case sim.lost:
		return false
	case eni.Status.NetworkInterfaceID == "" && w.noSubnet(eni):
		eni.Status.Refusal = &v1alpha1.GrowthRefusal{Reason: v1alpha1.ReasonSubnetExhausted, Message: "full"}
	case eni.Status.NetworkInterfaceID == "":
		eni.Status.NetworkInterfaceID = "eni-of-" + string(eni.UID)
		eni.Status.SubnetID, eni.Status.SubnetCIDR = subnetA, "10.0.0.0/16"
		if sim.attached = eni.Primary(); !sim.attached {
			eni.Status.SubnetID = w.subnetFor(eni)
		}
		eni.Status.PrimaryAddress = "10.1.0." + eni.Name[len(instanceID)+1:]
		w.assign(eni, eni.Spec.AddressCount, eni.Spec.PrefixCount)
		w.say("created %s", name)
	case !sim.attached:
		sim.attached = true
		w.say("attached %s", name)
	case w.unassign(eni), w.reclaim(eni), givesUp(eni):
	default:
		addresses, prefixes := lacks(eni)
		w.assign(eni, addresses, prefixes)
		if twice && (addresses > 0 || prefixes > 0) {
			w.assign(eni, addresses, prefixes) // The answer was lost, and a retry did it again.
		}
	}
	return w.report(sim, eni)
}

func (w *world) report(sim *simulatedENI, eni *v1alpha1.ElasticNetworkInterface) bool {
	eni.Status.ObservedGeneration = eni.Generation
	slices.Sort(eni.Status.Addresses)
	slices.Sort(eni.Status.Prefixes)
	eni.Status.Missing = slices.DeleteFunc(eni.Status.Missing, func(name v1alpha1.AddressOrPrefix) bool {
		return carries(eni, name) || slices.Contains(eni.Spec.Release, name)
	})
	eni.Status.Lost = slices.DeleteFunc(eni.Status.Lost, func(name v1alpha1.AddressOrPrefix) bool { return !slices.Contains(eni.Spec.Reclaim, name) })
	condition := func(kind string, good bool) {
		state, reason := metav1.ConditionFalse, v1alpha1.ReasonInProgress
		if good {
			state = metav1.ConditionTrue
		}
		if eni.Status.Refusal != nil {
			reason = eni.Status.Refusal.Reason
		}
		meta.SetStatusCondition(&eni.Status.Conditions, metav1.Condition{Type: kind, Status: state, Reason: reason,
			LastTransitionTime: metav1.NewTime(start)})
	}
	full := len(eni.Status.Addresses) >= int(eni.Spec.AddressCount) && len(eni.Status.Prefixes) >= int(eni.Spec.PrefixCount)
	if eni.Status.NetworkInterfaceID != "" && (full || !w.full[eni.Status.SubnetID]) {
		eni.Status.Refusal = nil
	}
	condition(v1alpha1.ConditionAttached, sim.attached)
	eni.Status.Attachment = nil
	if sim.attached {
		eni.Status.Attachment = &v1alpha1.Attachment{InstanceID: instanceID}
	}
	condition(v1alpha1.ConditionReady, sim.attached && full && eni.DeletionTimestamp.IsZero())
	before := len(sim.versions)
	w.writeENI(eni)
	return len(sim.versions) > before
}

func (w *world) stepDeletion(sim *simulatedENI, eni *v1alpha1.ElasticNetworkInterface) bool {
	if !eni.Spec.Drained && !w.nodeGone {
		return w.report(sim, eni)
	}
	for address, owner := range w.cloud {
		if owner == eni.Status.NetworkInterfaceID {
			w.giveBack(address)
		}
	}
	for _, claim := range w.claims {
		held := claim.Status.Phase == v1alpha1.ClaimBound && eni.Status.NetworkInterfaceID != "" &&
			claim.Status.NetworkInterfaceID == eni.Status.NetworkInterfaceID
		if held && !w.nodeGone && !sim.lost {
			w.Fatalf("ENI %s was deleted under claim %s", eni.Name, claim.UID)
		}
	}
	w.say("deleted %s", eni.Name)
	w.buried[eni.Name] = append(w.buried[eni.Name], sim.versions...)
	delete(w.enis, eni.Name)
	return true
}

// noSubnet reports whether every subnet for a new ENI is full.
func (w *world) noSubnet(eni *v1alpha1.ElasticNetworkInterface) bool {
	return !eni.Primary() && w.subnetFor(eni) == ""
}

// subnetFor returns the first subnet for a new ENI that is not full, or nothing.
func (w *world) subnetFor(eni *v1alpha1.ElasticNetworkInterface) string {
	for _, id := range eni.Spec.SubnetIDs {
		if !w.full[string(id)] {
			return string(id)
		}
	}
	return ""
}

// lose has somebody else delete an ENI in EC2, and the ENI's controller notice it.
func (w *world) lose(name string) {
	sim := w.enis[name]
	eni := sim.latest()
	id := eni.Status.NetworkInterfaceID
	w.say("%s is deleted in EC2", name)
	sim.lost = true
	sim.attached = false
	for _, a := range offered(eni) {
		w.vanishes(a, id)
	}
	w.vanishes(v1alpha1.Address(eni.Status.PrimaryAddress), id)
	eni.Status.Lost = append(eni.Status.Lost, v1alpha1.AddressOrPrefix(eni.Status.PrimaryAddress))
	for _, p := range partsOf(eni) {
		eni.Status.Lost = append(eni.Status.Lost, p.name)
	}
	eni.Status.Addresses, eni.Status.Prefixes, eni.Status.Missing, eni.Status.Attachment, eni.Status.PrimaryAddress = nil, nil, nil, nil, ""
	for _, kind := range []string{v1alpha1.ConditionCreated, v1alpha1.ConditionAttached, v1alpha1.ConditionReady} {
		meta.SetStatusCondition(&eni.Status.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionFalse,
			Reason: v1alpha1.ReasonNotFound, LastTransitionTime: metav1.NewTime(start)})
	}
	w.writeENI(eni)
}

// vanishes takes an address from an ENI.
func (w *world) vanishes(address v1alpha1.Address, id string) {
	if w.cloud[address] == id {
		delete(w.cloud, address)
		delete(w.leaving, address)
		delete(w.freed, address)
	}
	if w.vanished[address] == nil {
		w.vanished[address] = map[string]bool{}
	}
	w.vanished[address][id] = true
}

// unassign gives back what the spec names.
func (w *world) unassign(eni *v1alpha1.ElasticNetworkInterface) bool {
	named := func(name v1alpha1.AddressOrPrefix) bool {
		return slices.Contains(eni.Spec.Release, name) && carries(eni, name)
	}
	if !slices.ContainsFunc(eni.Spec.Release, named) {
		return false
	}
	for _, p := range partsOf(eni) {
		if !named(p.name) {
			continue
		}
		for _, address := range p.addresses {
			w.giveBack(address)
		}
	}
	w.say("unassigned %v from %s", eni.Spec.Release, eni.Name)
	eni.Status.Addresses = slices.DeleteFunc(eni.Status.Addresses, func(a v1alpha1.Address) bool { return named(v1alpha1.AddressOrPrefix(a)) })
	eni.Status.Prefixes = slices.DeleteFunc(eni.Status.Prefixes, func(p v1alpha1.Prefix) bool { return named(v1alpha1.AddressOrPrefix(p)) })
	return true
}

func (w *world) giveBack(address v1alpha1.Address) {
	if claim := w.inUse(address); claim != nil && claim.Status.NetworkInterfaceID == w.cloud[address] && !w.nodeGone {
		w.Fatalf("%s went back to the subnet under claim %s", address, claim.UID)
	}
	delete(w.cloud, address)
	delete(w.leaving, address)
	delete(w.freed, address)
}

// vanish has somebody else take an address, or a prefix, from an ENI.
func (w *world) vanish(name string, p part) {
	eni := w.enis[name].latest()
	w.say("%s vanished from %s", p.name, name)
	for _, a := range p.addresses {
		w.vanishes(a, eni.Status.NetworkInterfaceID)
	}
	eni.Status.Addresses = slices.DeleteFunc(eni.Status.Addresses, func(a v1alpha1.Address) bool { return p.name == v1alpha1.AddressOrPrefix(a) })
	eni.Status.Prefixes = slices.DeleteFunc(eni.Status.Prefixes, func(x v1alpha1.Prefix) bool { return p.name == v1alpha1.AddressOrPrefix(x) })
	eni.Status.Missing = append(eni.Status.Missing, p.name)
	w.report(w.enis[name], eni)
}

// reclaim asks for one of the names that the spec has assigned again.
func (w *world) reclaim(eni *v1alpha1.ElasticNetworkInterface) bool {
	for _, name := range eni.Spec.Reclaim {
		if carries(eni, name) || slices.Contains(eni.Status.Lost, name) {
			continue
		}
		addresses := []v1alpha1.Address{v1alpha1.Address(name)}
		prefix := strings.Contains(string(name), "/")
		if prefix {
			addresses = addressesIn(v1alpha1.Prefix(name))
		}
		if slices.ContainsFunc(addresses, func(a v1alpha1.Address) bool { return w.cloud[a] != "" }) {
			w.say("%s is lost to %s", name, eni.Name)
			eni.Status.Lost = append(eni.Status.Lost, name)
			return true
		}
		if prefix {
			eni.Status.Prefixes = append(eni.Status.Prefixes, v1alpha1.Prefix(name))
		} else {
			eni.Status.Addresses = append(eni.Status.Addresses, v1alpha1.Address(name))
		}
		w.take(eni, addresses...)
		w.say("%s has %s again", eni.Name, name)
		return true
	}
	return false
}

// givesUp reports whether an ENI takes nothing because its spec releases what it does
// not carry.
func givesUp(eni *v1alpha1.ElasticNetworkInterface) bool {
	return slices.ContainsFunc(eni.Spec.Release, func(name v1alpha1.AddressOrPrefix) bool { return !carries(eni, name) })
}

// lacks is how many addresses and prefixes an ENI takes by count: not in place of those
// that its pool has to decide about.
func lacks(eni *v1alpha1.ElasticNetworkInterface) (addresses, prefixes int32) {
	addresses = eni.Spec.AddressCount - int32(len(eni.Status.Addresses))
	prefixes = eni.Spec.PrefixCount - int32(len(eni.Status.Prefixes))
	for _, name := range eni.Status.Missing {
		switch {
		case slices.Contains(eni.Status.Lost, name):
		case strings.Contains(string(name), "/"):
			prefixes--
		default:
			addresses--
		}
	}
	return addresses, prefixes
}

// take gives free addresses to an ENI.
func (w *world) take(eni *v1alpha1.ElasticNetworkInterface, addresses ...v1alpha1.Address) {
	for _, a := range addresses {
		w.cloud[a] = eni.Status.NetworkInterfaceID
		delete(w.vanished[a], w.cloud[a])
		delete(w.noticed[a], w.cloud[a])
	}
}

// assign takes the lowest free addresses and prefixes of the subnet.
func (w *world) assign(eni *v1alpha1.ElasticNetworkInterface, addresses, prefixes int32) {
	if addresses <= 0 && prefixes <= 0 {
		return
	}
	if w.full[eni.Status.SubnetID] {
		eni.Status.Refusal = &v1alpha1.GrowthRefusal{Reason: v1alpha1.ReasonSubnetExhausted, Message: "full"}
		return
	}
	for last := 1; addresses > 0; last++ {
		if a := address(9, last); w.cloud[a] == "" {
			w.take(eni, a)
			eni.Status.Addresses = append(eni.Status.Addresses, a)
			addresses--
		}
	}
	for i := 0; prefixes > 0; i++ {
		p := v1alpha1.Prefix(fmt.Sprintf("10.0.8.%d/28", 16*i))
		if inside := addressesIn(p); w.cloud[inside[0]] == "" {
			w.take(eni, inside...)
			eni.Status.Prefixes = append(eni.Status.Prefixes, p)
			prefixes--
		}
	}
	w.say("assigned to %s: now %v %v", eni.Name, eni.Status.Addresses, eni.Status.Prefixes)
}
