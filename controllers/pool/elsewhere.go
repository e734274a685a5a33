/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/index"
)

// elsewhereRecheck is when to look again whether a claim still holds an address on another
// ENI: its status says that the address is lost once EC2 states that the ENI is gone.
const elsewhereRecheck = 10 * time.Second

// observeElsewhere finds the addresses of the pool's ENIs that claims hold on another ENI,
// of whatever node. EC2 assigns an address again as soon as its ENI is deleted, which may be before
// the operator knows of the deletion. There is nothing to find while all claims are ready.
func (r *Reconciler) observeElsewhere(ctx context.Context, pool *v1alpha1.ENIPool, o *observation) error {
	o.elsewhere = map[v1alpha1.Address]bool{}
	if !slices.ContainsFunc(o.claims, func(claim v1alpha1.ENIClaim) bool { return unserved(&claim) }) {
		return nil
	}

	for i := range o.enis {
		eni := &o.enis[i]
		for _, address := range append(offered(eni), v1alpha1.Address(eni.Status.PrimaryAddress)) {
			held, err := r.heldElsewhere(ctx, pool.Spec.NodeName, eni, address)
			if err != nil {
				return err
			}
			if held {
				o.elsewhere[address] = true
			}
		}
	}
	return nil
}

// moved reports whether EC2 shows an ENI on no instance or on another than the node's. The status
// of its resource may still be that of before: somebody detached or moved it while no operator was
// running.
func (r *Reconciler) moved(eni *v1alpha1.ElasticNetworkInterface, instanceID string) bool {
	known, ok := r.inventory.ENI(eni.Status.NetworkInterfaceID)
	return ok && (known.Attachment == nil || known.Attachment.InstanceID != instanceID)
}

// undecided reports whether a claim has got nothing yet.
func undecided(claim *v1alpha1.ENIClaim) bool {
	return claim.Status.Phase == "" || claim.Status.Phase == v1alpha1.ClaimPending
}

// unserved reports whether a claim has got nothing yet, or cannot use what it holds.
func unserved(claim *v1alpha1.ENIClaim) bool {
	bound := claim.Status.Phase == v1alpha1.ClaimBound
	return undecided(claim) || (bound && !isTrue(claim.Status.Conditions, v1alpha1.ConditionReady))
}

// heldElsewhere reports whether a claim holds an address of an ENI on another ENI, and
// does not say that it lost the address. What claims hold on this ENI is in the record.
func (r *Reconciler) heldElsewhere(ctx context.Context, nodeName string, eni *v1alpha1.ElasticNetworkInterface, address v1alpha1.Address) (bool, error) {
	if address == "" {
		return false, nil
	}
	list := &v1alpha1.ENIClaimList{}
	if err := r.client.List(ctx, list, client.MatchingFields{index.Address: string(address)}, client.UnsafeDisableDeepCopy); err != nil {
		return false, fmt.Errorf("listing the claims that hold %s: %w", address, err)
	}
	for i := range list.Items {
		if holdsElsewhere(&list.Items[i], nodeName, eni) {
			return true, nil
		}
	}
	return false, nil
}

// holdsElsewhere reports whether a claim that shows an address of an ENI holds it on
// another ENI.
func holdsElsewhere(claim *v1alpha1.ENIClaim, nodeName string, eni *v1alpha1.ElasticNetworkInterface) bool {
	holds := claim.Status.Phase == v1alpha1.ClaimBound && !meta.IsStatusConditionTrue(claim.Status.Conditions, v1alpha1.ConditionAddressLost)
	here := claim.Spec.NodeName == nodeName && claim.Status.NetworkInterfaceID == eni.Status.NetworkInterfaceID
	// The same address in another subnet's range is one of another VPC.
	return holds && !here && claim.Status.SubnetCIDR == eni.Status.SubnetCIDR
}

// recheckElsewhere is when to look again at addresses that claims hold on other ENIs, and at
// ENIs that EC2 does not show on the instance though their resources do; zero: there are none that
// a claim may wait for.
func (h *holders) recheckElsewhere() time.Duration {
	waits := len(h.elsewhere) > 0
	for name, eni := range h.resources {
		waits = waits || h.moved[name] && attached(eni)
	}
	if !waits {
		return 0
	}
	return elsewhereRecheck
}

// primaryAddress is that of an ENI, which its claim holds if the ENI is exclusive.
func (h *holders) primaryAddress(name string) v1alpha1.Address {
	if eni := h.resources[name]; eni != nil {
		return v1alpha1.Address(eni.Status.PrimaryAddress)
	}
	return ""
}
