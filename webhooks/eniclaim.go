/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// Claims that exist are not admitted: nothing of ours may keep them, or their
// namespace, from being deleted.
//
// +kubebuilder:webhook:path=/validate-networking-eni-operator-dev-v1alpha1-eniclaim,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,groups=networking.eni-operator.dev,resources=eniclaims,verbs=create,versions=v1alpha1,name=eniclaims.networking.eni-operator.dev,admissionReviewVersions=v1

type claimValidator struct{ *world }

var _ admission.Validator[*v1alpha1.ENIClaim] = (*claimValidator)(nil)

// ValidateCreate judges a new claim by the policy that governs its Node.
func (c *claimValidator) ValidateCreate(ctx context.Context, claim *v1alpha1.ENIClaim) (admission.Warnings, error) {
	found, err := confirmed(ctx, c.world, func(ctx context.Context, reader client.Reader) (verdict, error) {
		view, err := c.view(ctx, reader, claim)
		return judgeClaim(view, claim), err
	})
	if err != nil {
		return nil, err
	}
	return found.answer("ENIClaim", claim.Name)
}

// ValidateUpdate accepts: the schema says what of a claim may change.
func (*claimValidator) ValidateUpdate(context.Context, *v1alpha1.ENIClaim, *v1alpha1.ENIClaim) (admission.Warnings, error) {
	return nil, nil
}

// ValidateDelete accepts: whoever made a claim may end it.
func (*claimValidator) ValidateDelete(context.Context, *v1alpha1.ENIClaim) (admission.Warnings, error) {
	return nil, nil
}

// claimView is what a verdict on a claim depends on.
type claimView struct {
	node *corev1.Node
	// policies are all that are not being deleted, ranked.
	policies  []v1alpha1.ENIPolicy
	namespace *corev1.Namespace
	// What follows is read where a claim chooses its address: the pool that serves the
	// Node, its ENIs, and the claim that holds the address.
	pool   *v1alpha1.ENIPool
	enis   []v1alpha1.ElasticNetworkInterface
	holder *v1alpha1.ENIClaim
}

func (c *claimValidator) view(ctx context.Context, reader client.Reader, claim *v1alpha1.ENIClaim) (view claimView, err error) {
	if view.node, err = find(ctx, reader, named(claim.Spec.NodeName), &corev1.Node{}); err != nil {
		return view, err
	}
	if view.policies, err = policies(ctx, reader); err != nil {
		return view, err
	}
	if view.namespace, err = find(ctx, reader, named(claim.Namespace), &corev1.Namespace{}); err != nil {
		return view, err
	}
	if claim.Spec.Address == nil {
		return view, nil
	}
	instance := instanceOf(view.node)
	enis, err := c.enisOn(ctx, claim.Spec.NodeName)
	if err != nil {
		return view, err
	}
	view.enis = slices.DeleteFunc(enis, func(eni v1alpha1.ElasticNetworkInterface) bool {
		return eni.Spec.InstanceID != "" && eni.Spec.InstanceID != instance
	})
	pool, err := find(ctx, reader, named(claim.Spec.NodeName), &v1alpha1.ENIPool{})
	if err != nil || pool == nil || !pool.Serves(instance) {
		return view, err
	}
	view.pool = pool
	if holder := view.pool.Status.HolderOf(*claim.Spec.Address); holder != nil {
		view.holder, err = find(ctx, reader, types.NamespacedName{Namespace: holder.Namespace, Name: holder.Name}, &v1alpha1.ENIClaim{})
	}
	return view, err
}

// judgeClaim judges a new claim.
func judgeClaim(view claimView, claim *v1alpha1.ENIClaim) verdict {
	var v verdict
	v.judgeSize(claim)
	v.judgeNode(view.node, claim.Spec.NodeName)
	if view.node == nil {
		v.judgeAnyPolicy(view, claim)
	}
	if view.node == nil || len(v.refusals) > 0 {
		return v
	}
	policy := v1alpha1.Governing(view.policies, view.node.Labels)
	if policy == nil {
		v.refuse(field.Invalid(specPath.Child("nodeName"), claim.Spec.NodeName,
			"no ENIPolicy selects this Node: name a Node that one selects, or have one select this Node"))
		return v
	}
	v.judgeTerms(policy, view.namespace, claim)
	if claim.Spec.Address != nil {
		v.judgeAddress(view, claim.Namespace, *claim.Spec.Address)
	}
	return v
}

// Bounds of what a claim's metadata may hold. The API server bounds it by what etcd takes,
// 1.5 MiB, which leaves no room for the operator's own finalizer and status, and the cache of
// each replica keeps it.
const (
	maxClaimBytes      = 16 << 10 // As JSON. A claim needs less than one KiB.
	maxFinalizers      = 8
	maxOwnerReferences = 8
)

var metadataPath = field.NewPath("metadata")

// judgeSize refuses claims that are larger than any use of them needs.
func (v *verdict) judgeSize(claim *v1alpha1.ENIClaim) {
	if count := len(claim.Finalizers); count > maxFinalizers {
		v.refuse(field.TooMany(metadataPath.Child("finalizers"), count, maxFinalizers))
	}
	if count := len(claim.OwnerReferences); count > maxOwnerReferences {
		v.refuse(field.TooMany(metadataPath.Child("ownerReferences"), count, maxOwnerReferences))
	}
	raw, err := json.Marshal(claim)
	if err == nil && len(raw) > maxClaimBytes {
		v.refuse(field.Forbidden(metadataPath, fmt.Sprintf("the claim has more than %d bytes as JSON: keep its labels and annotations short", maxClaimBytes)))
	}
}

// judgeAnyPolicy refuses a claim for a Node that is not there yet if no policy, whichever
// will govern the Node, can serve the claim.
func (v *verdict) judgeAnyPolicy(view claimView, claim *v1alpha1.ENIClaim) {
	var labels map[string]string
	if view.namespace != nil {
		labels = view.namespace.Labels
	}
	serves := func(policy v1alpha1.ENIPolicy) bool {
		return policy.Spec.Offers(claim.Spec.Mode) && policy.Spec.Admits(labels)
	}
	if len(view.policies) == 0 || slices.ContainsFunc(view.policies, serves) {
		return
	}
	v.refuse(field.Invalid(metadataPath.Child("namespace"), claim.Namespace, fmt.Sprintf(
		"there is no Node %s, and no policy serves %s claims of this namespace on any: have a policy admit the namespace",
		claim.Spec.NodeName, claim.Spec.Mode)))
}

// judgeTerms refuses what a policy does not offer on its Nodes.
func (v *verdict) judgeTerms(policy *v1alpha1.ENIPolicy, namespace *corev1.Namespace, claim *v1alpha1.ENIClaim) {
	if mode := claim.Spec.Mode; !policy.Spec.Offers(mode) {
		v.refuse(field.Invalid(specPath.Child("mode"), mode, fmt.Sprintf(
			"policy %s, which governs Node %s, does not offer this mode: choose the other, name another Node, or add %s to the policy",
			policy.Name, claim.Spec.NodeName, strings.ToLower(string(mode)))))
	}
	var labels map[string]string
	if namespace != nil {
		labels = namespace.Labels
	}
	if !policy.Spec.Admits(labels) {
		v.refuse(field.Invalid(metadataPath.Child("namespace"), claim.Namespace, fmt.Sprintf(
			"policy %s, which governs Node %s, does not serve this namespace: name another Node, or have the policy's owner admit the namespace",
			policy.Name, claim.Spec.NodeName)))
	}
}

// judgeAddress refuses an address that the claim cannot get.
func (v *verdict) judgeAddress(view claimView, namespace string, address v1alpha1.Address) {
	path := specPath.Child("address")
	if subnets := subnetsOf(view.enis); len(subnets) > 0 && !within(subnets, string(address)) {
		v.refuse(field.Invalid(path, address, fmt.Sprintf("lies in none of the subnets of the Node's ENIs (%s): "+
			"choose an address that one of them carries, or leave address unset", strings.Join(subnets, ", "))))
		return
	}
	for i := range view.enis {
		if view.enis[i].Status.PrimaryAddress == string(address) {
			v.refuse(field.Invalid(path, address, fmt.Sprintf("is ENI %s's own, which no claim can have: "+
				"choose one of its secondary addresses, or leave address unset", view.enis[i].Name)))
		}
	}
	if view.pool != nil {
		v.judgeHolder(view, namespace, address)
	}
}

// judgeHolder refuses an address that another claim holds, and warns of one that is reserved
// for another namespace.
func (v *verdict) judgeHolder(view claimView, namespace string, address v1alpha1.Address) {
	path := specPath.Child("address")
	holder := view.pool.Status.HolderOf(address)
	switch owner := view.pool.ReservedFor(address); {
	case holder == nil && owner != "" && owner != namespace:
		v.warn(path, "%s is reserved for the namespace that released it: this claim waits until that is over, and other claims may have the address by then", address)
	case holder == nil:
	case view.holder == nil || view.holder.UID != holder.UID || !view.holder.DeletionTimestamp.IsZero():
		v.warn(path, "%s is held by %s, which is going: this claim waits until the address has rested", address, holder.SeenFrom(namespace))
	case holder.Namespace != namespace:
		v.refuse(field.Invalid(path, address, fmt.Sprintf("is held by %s: choose another, or leave address unset", holder.SeenFrom(namespace))))
	default:
		v.refuse(field.Invalid(path, address, fmt.Sprintf("is held by %s: choose another, delete that claim, or leave address unset", holder.SeenFrom(namespace))))
	}
}

// subnetsOf are the CIDRs of ENIs' subnets, as far as they are known.
func subnetsOf(enis []v1alpha1.ElasticNetworkInterface) []string {
	var subnets []string
	for i := range enis {
		if cidr := enis[i].Status.SubnetCIDR; cidr != "" {
			subnets = append(subnets, cidr)
		}
	}
	slices.Sort(subnets)
	return slices.Compact(subnets)
}

// within says whether an address lies in any of some subnets. What cannot be parsed is
// left to others.
func within(subnets []string, address string) bool {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(subnets, func(cidr string) bool {
		subnet, err := netip.ParsePrefix(cidr)
		return err != nil || subnet.Contains(ip)
	})
}
