/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"slices"
	"strings"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// An ENI resource can go without its ENI: a person removes its finalizer, or it is about to
// be restored from a backup. Nothing is lost then. What claims hold is still theirs, and the
// pool makes the resource again, which takes the ENI over.

// standing is an ENI that EC2 shows on the pool's instance.
type standing struct{ addresses, prefixes []string }

func (s standing) carries(address v1alpha1.Address) bool {
	return slices.Contains(s.addresses, string(address)) || covered(as[v1alpha1.AddressOrPrefix](s.prefixes), address)
}

// stands reports whether nothing says that a claim lost what it was told: EC2 shows that on
// the pool's instance, or could not be asked.
func (o observation) stands(claim *v1alpha1.ENIClaim) bool {
	status := &claim.Status
	if o.nodeGone || status.Phase != v1alpha1.ClaimBound || status.NetworkInterfaceID == "" {
		return false
	}
	eni := o.eni(status.ENIName)
	if eni != nil && gone(eni) && eni.Status.NetworkInterfaceID == status.NetworkInterfaceID {
		return false
	}
	return !o.limits.known || o.standing[status.NetworkInterfaceID].carries(v1alpha1.Address(status.Address))
}

// mayReturn reports whether the ENI of an entry without a resource may still be there.
func (o observation) mayReturn(entry *v1alpha1.PoolENI) bool {
	if o.nodeGone || entry.NetworkInterfaceID == "" {
		return false
	}
	_, stands := o.standing[entry.NetworkInterfaceID]
	return stands || !o.limits.known
}

// tookOver reports whether a resource has the ENI of an entry whose resource is gone: what
// the record says of the ENI is still so.
func (o observation) tookOver(entry *v1alpha1.PoolENI, eni *v1alpha1.ElasticNetworkInterface) bool {
	other := entry.UID != "" && entry.UID != eni.UID && o.confirmed[eni.Name] == eni.UID
	return other && entry.NetworkInterfaceID != "" && entry.NetworkInterfaceID == eni.Status.NetworkInterfaceID
}

// takeUp has the resources made again that ENIs of the pool lack.
func (h *holders) takeUp(o observation, d *decision) {
	if !o.pool.DeletionTimestamp.IsZero() {
		return
	}
	for _, n := range o.returning {
		if h.resources[n.name] != nil || h.strangers[n.name] != nil {
			continue
		}
		if entry := entryOf(&o.pool.Status, n.name); entry.Mode != "" && !o.recordLost() {
			n.mode = entry.Mode
		}
		d.creates = append(d.creates, n)
	}
}

// returns reports whether a name is that of a resource that is made again.
func (o observation) returns(name string) bool {
	return slices.ContainsFunc(o.returning, func(n newENI) bool { return n.name == name })
}

// enterUnshown makes an entry for an ENI that a claim holds something of, and that has no
// resource at the moment. If EC2 says that the ENI is gone, the entry keeps what the claim was
// told from others until the claim is deleted, as it does where the record was not lost.
func (h *holders) enterUnshown(o observation, claim *v1alpha1.ENIClaim) {
	name, state := claim.Status.ENIName, v1alpha1.PoolENIActive
	if claim.Status.Phase != v1alpha1.ClaimBound || name == "" || h.enis[name] != nil {
		return
	}
	if !o.stands(claim) {
		if !o.ofInstance(name) {
			return // Of an earlier instance of the Node.
		}
		state = v1alpha1.PoolENIReleasing
	}
	h.enis[name] = &v1alpha1.PoolENI{
		Name: name, Mode: claim.Spec.Mode, State: state, NetworkInterfaceID: claim.Status.NetworkInterfaceID,
	}
}

// ofInstance reports whether a name is one that the pool gives to its ENIs.
func (o observation) ofInstance(name string) bool {
	return strings.HasPrefix(name, o.pool.Spec.InstanceID+"-")
}
