/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package webhooks

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// An ENI has our finalizer, and the operator makes, changes and deletes those of its
// pools: see the package comment. Kustomize fills in the operator's namespace and account.
//
// +kubebuilder:webhook:path=/validate-networking-eni-operator-dev-v1alpha1-elasticnetworkinterface,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,groups=networking.eni-operator.dev,resources=elasticnetworkinterfaces,verbs=create,versions=v1alpha1,name=elasticnetworkinterfaces.networking.eni-operator.dev,admissionReviewVersions=v1,patch=`{"matchConditions":[{"name":"not-the-operator","expression":"request.userInfo.username != 'system:serviceaccount:' + 'NAMESPACE' + ':' + 'ACCOUNT'"}]}`
// +kubebuilder:webhook:path=/validate-networking-eni-operator-dev-v1alpha1-elasticnetworkinterface,mutating=false,failurePolicy=ignore,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,groups=networking.eni-operator.dev,resources=elasticnetworkinterfaces,verbs=update,versions=v1alpha1,name=update.elasticnetworkinterfaces.networking.eni-operator.dev,admissionReviewVersions=v1,patch=`{"matchConditions":[{"name":"not-the-operator","expression":"request.userInfo.username != 'system:serviceaccount:' + 'NAMESPACE' + ':' + 'ACCOUNT'"}]}`
// +kubebuilder:webhook:path=/validate-networking-eni-operator-dev-v1alpha1-elasticnetworkinterface,mutating=false,failurePolicy=ignore,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,groups=networking.eni-operator.dev,resources=elasticnetworkinterfaces,verbs=delete,versions=v1alpha1,name=delete.elasticnetworkinterfaces.networking.eni-operator.dev,admissionReviewVersions=v1

type eniValidator struct {
	*world

	// operator is the name by which the API server knows the operator.
	operator string
}

var _ admission.Validator[*v1alpha1.ElasticNetworkInterface] = (*eniValidator)(nil)

// ValidateCreate judges a person's new ENI.
func (e *eniValidator) ValidateCreate(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface) (admission.Warnings, error) {
	if askedBy(ctx, e.operator) {
		return nil, nil
	}
	return e.validate(ctx, nil, eni)
}

// ValidateUpdate judges what an edit of a person's ENI changes for the worse.
func (e *eniValidator) ValidateUpdate(ctx context.Context, before, after *v1alpha1.ElasticNetworkInterface) (admission.Warnings, error) {
	if !after.DeletionTimestamp.IsZero() || askedBy(ctx, e.operator) || equality.Semantic.DeepEqual(before.Spec, after.Spec) {
		return nil, nil
	}
	return e.validate(ctx, before, after)
}

func (e *eniValidator) validate(ctx context.Context, before, after *v1alpha1.ElasticNetworkInterface) (admission.Warnings, error) {
	found, err := confirmed(ctx, e.world, func(ctx context.Context, reader client.Reader) (verdict, error) {
		view, err := e.view(ctx, reader, after)
		return judgeENI(view, before, after), err
	})
	if err != nil && before != nil {
		return acceptUnread(err)
	}
	if err != nil {
		return nil, err
	}
	return found.answer("ElasticNetworkInterface", after.Name)
}

// ValidateDelete keeps an ENI that claims use. Of its pools' ENIs the operator deletes
// those only that it has drained.
func (e *eniValidator) ValidateDelete(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface) (admission.Warnings, error) {
	if mayBeDeleted(eni) || eni.Spec.Drained || eni.Spec.PoolName == "" {
		return nil, nil
	}
	var holders []v1alpha1.ClaimReference
	for _, reader := range []client.Reader{e.cached, e.live} { // What was released a moment ago may not be in the cache yet.
		var err error
		holders, err = holdersIn(ctx, reader, eni.Spec.PoolName, func(pool *v1alpha1.ENIPoolStatus) []v1alpha1.ClaimReference {
			return pool.HoldersOf(eni.Name)
		})
		if err != nil {
			return acceptUnread(err)
		}
		if len(holders) == 0 {
			return nil, nil
		}
	}
	return nil, forbidDeletion("elasticnetworkinterfaces", eni.Name, whyKeepENI(holders))
}

func whyKeepENI(holders []v1alpha1.ClaimReference) string {
	return fmt.Sprintf("%d claims use this ENI (%s), and its Node is there. %s", len(holders), shownClaims(holders), deletionRemedy)
}

// eniView is what a verdict on an ENI depends on.
type eniView struct {
	node *corev1.Node
	// others on the Node.
	others  []v1alpha1.ElasticNetworkInterface
	options Options
}

func (e *eniValidator) view(ctx context.Context, reader client.Reader, eni *v1alpha1.ElasticNetworkInterface) (view eniView, err error) {
	view.options = e.options
	if view.node, err = find(ctx, reader, named(eni.Spec.NodeName), &corev1.Node{}); err != nil {
		return view, err
	}
	view.others, err = e.enisOn(ctx, eni.Spec.NodeName)
	return view, err
}

// judgeENI judges an ENI and, unless it is new, what it was before.
func judgeENI(view eniView, before, after *v1alpha1.ElasticNetworkInterface) verdict {
	var v verdict
	v.judgePlace(view, before, after)
	if after.Spec.PoolName != "" && (before == nil || before.Spec.PoolName == "") {
		v.refuse(field.Forbidden(specPath.Child("poolName"), "is for the ENIs that the operator makes for its pools: leave it unset"))
	}
	if view.node != nil && view.options.InstanceType != nil {
		if limits, known := view.options.InstanceType(view.node.Labels[corev1.LabelInstanceTypeStable]); known {
			v.judgeLimits(limits, after)
		}
	}
	return v
}

// judgePlace judges where an ENI is to be attached, as far as that is new.
func (v *verdict) judgePlace(view eniView, before, after *v1alpha1.ElasticNetworkInterface) {
	movesNode := before == nil || before.Spec.NodeName != after.Spec.NodeName
	if movesNode {
		v.judgeNode(view.node, after.Spec.NodeName)
	}
	if movesNode || before.Spec.InstanceID != after.Spec.InstanceID {
		v.judgeInstance(view.node, after)
	}
	if before == nil || movesSlot(before, after) {
		v.judgeSlot(view, after)
	}
}

// judgeInstance refuses an instance that the Node does not stand for.
func (v *verdict) judgeInstance(node *corev1.Node, eni *v1alpha1.ElasticNetworkInterface) {
	if id := eni.Spec.InstanceID; id != "" && id != instanceOf(node) {
		v.refuse(field.Invalid(specPath.Child("instanceID"), id, fmt.Sprintf(
			"Node %s does not stand for this instance, and the operator attaches ENIs only to instances of Nodes: leave it unset", eni.Spec.NodeName)))
	}
}

// movesSlot says whether an edit changes where an ENI is to be attached.
func movesSlot(before, after *v1alpha1.ElasticNetworkInterface) bool {
	return before.Spec.NodeName != after.Spec.NodeName || before.Spec.InstanceID != after.Spec.InstanceID ||
		!equality.Semantic.DeepEqual(before.Spec.DeviceIndex, after.Spec.DeviceIndex) ||
		!equality.Semantic.DeepEqual(before.Spec.NetworkCardIndex, after.Spec.NetworkCardIndex)
}

// judgeSlot refuses a device index that another ENI of the Node has, or is to have.
func (v *verdict) judgeSlot(view eniView, eni *v1alpha1.ElasticNetworkInterface) {
	if eni.Spec.DeviceIndex == nil {
		return // The lowest free one is taken.
	}
	instance := eni.Spec.InstanceID
	if instance == "" {
		instance = instanceOf(view.node)
	}
	wanted, _ := eni.SlotOn(instance)
	for i := range view.others {
		other := &view.others[i]
		taken, known := other.SlotOn(instance)
		if other.Name == eni.Name || !known || taken != wanted || !eni.SameInstance(other) || !other.DeletionTimestamp.IsZero() {
			continue
		}
		if eni.Primary() {
			v.refuse(field.Invalid(specPath.Child("deviceIndex"), *eni.Spec.DeviceIndex, fmt.Sprintf(
				"ElasticNetworkInterface %s stands for the primary ENI of Node %s already: delete it, or choose another device index", other.Name, eni.Spec.NodeName)))
			return
		}
		v.refuse(field.Invalid(specPath.Child("deviceIndex"), *eni.Spec.DeviceIndex, fmt.Sprintf(
			"on network card %d of Node %s this device index is that of ElasticNetworkInterface %s: choose another, or leave it unset and a free one is taken",
			wanted.NetworkCardIndex, eni.Spec.NodeName, other.Name)))
		return
	}
}

// judgeLimits warns of what the Node's instance type cannot hold.
func (v *verdict) judgeLimits(limits ec2.InstanceType, eni *v1alpha1.ElasticNetworkInterface) {
	most := limits.IPv4PerENI - 1
	if eni.Spec.AddressCount > most {
		v.warn(specPath.Child("addressCount"), "an ENI of %s carries %d addresses at most besides its primary one: lower the count, or use a larger instance",
			limits.Name, most)
	}
	if eni.Spec.PrefixCount > most {
		v.warn(specPath.Child("prefixCount"), "an ENI of %s carries %d prefixes at most besides its primary address: lower the count, or use a larger instance",
			limits.Name, most)
	}
	if eni.Spec.PrefixCount > 0 && !limits.Nitro {
		v.warn(specPath.Child("prefixCount"), "%s carries no prefixes, which only Nitro instance types do: set addressCount instead", limits.Name)
	}
	card := int32(0)
	if eni.Spec.NetworkCardIndex != nil {
		card = *eni.Spec.NetworkCardIndex
	}
	if int(card) >= len(limits.CardENIs) {
		v.warn(specPath.Child("networkCardIndex"), "%s has %d network cards: choose one below %d, or leave it unset", limits.Name, len(limits.CardENIs), len(limits.CardENIs))
		return
	}
	last := limits.CardENIs[card]
	if card == 0 {
		last-- // The primary ENI has index 0.
	}
	if index := eni.Spec.DeviceIndex; index != nil && *index > last {
		v.warn(specPath.Child("deviceIndex"), "the last device index of network card %d of %s is %d: choose that or a lower one, or leave it unset", card, limits.Name, last)
	}
}
