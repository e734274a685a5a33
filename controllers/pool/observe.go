/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/index"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

// observe reads all that a decision depends on. What EC2 does not tell becomes a
// trouble, and an error to try again by, but never stops what does not need it.
// Only when Kubernetes fails is there no observation.
func (r *Reconciler) observe(ctx context.Context, pool *v1alpha1.ENIPool) (observation, error) {
	o := observation{now: r.clock.Now(), idleAfter: r.options.IdleReleaseAfter, restFor: r.options.Cooldown, lowestSlot: r.lowestSlot(pool)}
	if err := r.observeENIs(ctx, pool, &o); err != nil {
		return observation{}, err
	}
	if err := r.observeClaims(ctx, pool, &o); err != nil {
		return observation{}, err
	}
	if err := r.confirmENIs(ctx, pool, &o); err != nil {
		return observation{}, err
	}
	o.pool = pool
	if since := pool.Spec.NodeGoneSince; since != nil && o.now.Sub(since.Time) >= r.options.NodeGoneGrace {
		o.nodeGone = true
	}
	err := r.observeEC2(ctx, &o)
	return o, err
}

func (r *Reconciler) lowestSlot(pool *v1alpha1.ENIPool) int32 {
	if pool.Spec.MinDeviceIndex != nil {
		return *pool.Spec.MinDeviceIndex
	}
	return r.options.MinDeviceIndex
}

func (r *Reconciler) observeENIs(ctx context.Context, pool *v1alpha1.ENIPool, o *observation) error {
	list := &v1alpha1.ElasticNetworkInterfaceList{}
	if err := r.client.List(ctx, list, client.MatchingFields{index.NodeName: pool.Spec.NodeName}, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	o.otherNames = map[string]bool{}
	for i := range list.Items {
		eni := &list.Items[i]
		switch {
		case pool.Owns(eni):
			o.enis = append(o.enis, *eni.DeepCopy())
			continue
		case eni.Spec.InstanceID != "" && eni.Spec.InstanceID != pool.Spec.InstanceID:
		case eni.Primary():
			o.primary.taken = true
		default:
			o.otherENIs++
		}
		o.otherNames[eni.Name] = true
	}
	slices.SortFunc(o.enis, func(a, b v1alpha1.ElasticNetworkInterface) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// confirmENIs asks Kubernetes itself about ENIs that the record or a bound claim
// names and the cache does not show, or shows as it was before: what it holds is
// forgotten only when the ENI is truly gone. Where the record is lost it asks about
// all of them, since nothing else tells what they carry.
func (r *Reconciler) confirmENIs(ctx context.Context, pool *v1alpha1.ENIPool, o *observation) error {
	expected := expectedENIs(pool, o)
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		cached := o.eni(name)
		if pool.Status.PoolUID == pool.UID && cached != nil && (expected[name] == "" || expected[name] == cached.Status.NetworkInterfaceID) {
			continue
		}
		latest := &v1alpha1.ElasticNetworkInterface{}
		err := r.live.Get(ctx, types.NamespacedName{Name: name}, latest)
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		exists := err == nil && pool.Owns(latest)
		if exists != (cached != nil) || (exists && cached.ResourceVersion != latest.ResourceVersion) {
			return staleENIs(name)
		}
	}
	return nil
}

// expectedENIs are the names of ENIs that must not be missed, with their ids where
// they are known: those of the record or, where it is lost, all that are known.
func expectedENIs(pool *v1alpha1.ENIPool, o *observation) map[string]string {
	expected := map[string]string{}
	if pool.Status.PoolUID == pool.UID {
		for i := range pool.Status.ENIs {
			expected[pool.Status.ENIs[i].Name] = pool.Status.ENIs[i].NetworkInterfaceID
		}
		return expected
	}
	for i := range o.enis {
		expected[o.enis[i].Name] = ""
	}
	for i := range o.claims {
		if status := &o.claims[i].Status; status.Phase == v1alpha1.ClaimBound && status.ENIName != "" {
			expected[status.ENIName] = ""
		}
	}
	return expected
}

// observeClaims reads the node's claims: from the cache, or live where the record
// is lost and only they know who holds what.
func (r *Reconciler) observeClaims(ctx context.Context, pool *v1alpha1.ENIPool, o *observation) error {
	reader := client.Reader(r.client)
	if pool.Status.PoolUID != pool.UID {
		reader = r.live
	}
	list := &v1alpha1.ENIClaimList{}
	if err := reader.List(ctx, list, client.MatchingFields{index.NodeName: pool.Spec.NodeName}, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	o.allowed, o.expired = map[string]bool{}, map[string]bool{}
	for i := range list.Items {
		claim := list.Items[i].DeepCopy()
		o.claims = append(o.claims, *claim)
		if err := r.observeLease(ctx, claim, o); err != nil {
			return err
		}
		if _, known := o.allowed[claim.Namespace]; known {
			continue
		}
		allowed, err := r.namespaceAllowed(ctx, pool, claim.Namespace)
		if err != nil {
			return err
		}
		o.allowed[claim.Namespace] = allowed
	}
	return r.observeVanished(ctx, pool, o)
}

// observeLease reads whether a claim's lease ran out. An older copy of a Lease only
// shows it later: it never runs out twice, nor is it ever taken back.
func (r *Reconciler) observeLease(ctx context.Context, claim *v1alpha1.ENIClaim, o *observation) error {
	if claim.Spec.Lease == nil {
		return nil
	}
	found := &coordinationv1.Lease{}
	err := r.client.Get(ctx, types.NamespacedName{Namespace: claim.Namespace, Name: claim.LeaseName()}, found)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if err == nil && found.Annotations[v1alpha1.LeaseExpiredAnnotation] == string(claim.UID) {
		o.expired[string(claim.UID)] = true
	}
	return nil
}

func (r *Reconciler) namespaceAllowed(ctx context.Context, pool *v1alpha1.ENIPool, name string) (bool, error) {
	if pool.Spec.AdmitsAll() {
		return true, nil
	}
	namespace := &corev1.Namespace{}
	if err := r.client.Get(ctx, types.NamespacedName{Name: name}, namespace); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return pool.Spec.Admits(namespace.Labels), nil
}

// observeVanished asks Kubernetes itself about holders that the cache does not
// show: only their absence there frees what they hold.
func (r *Reconciler) observeVanished(ctx context.Context, pool *v1alpha1.ENIPool, o *observation) error {
	cached := map[types.UID]bool{}
	for i := range o.claims {
		cached[o.claims[i].UID] = true
	}
	o.vanished = map[string]bool{}
	for _, holder := range pool.Status.Holders() {
		if cached[holder.UID] {
			continue
		}
		claim := &v1alpha1.ENIClaim{}
		err := r.live.Get(ctx, types.NamespacedName{Namespace: holder.Namespace, Name: holder.Name}, claim)
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		if apierrors.IsNotFound(err) || claim.UID != holder.UID {
			o.vanished[string(holder.UID)] = true
		}
	}
	return nil
}

// observeEC2 reads the instance, its limits and the network of its ENIs.
func (r *Reconciler) observeEC2(ctx context.Context, o *observation) error {
	id := o.pool.Spec.InstanceID
	instance, state, err := r.inventory.Instance(ctx, id)
	switch {
	case err != nil:
		reason, message := ec2.Explain(err)
		o.trouble(v1alpha1.ConditionInstanceFound, reason, message)
		return err
	case state == inventory.Gone && o.pool.Status.InstanceType != "":
		o.nodeGone = true
		o.trouble(v1alpha1.ConditionInstanceFound, v1alpha1.ReasonInstanceTerminated,
			fmt.Sprintf("EC2 says that instance %s is terminated, or does not know it any more", id))
		return nil
	case state != inventory.Present:
		return r.unknownInstance(o)
	}
	if err := r.observeLimits(ctx, o, instance); err != nil {
		return err
	}
	if o.draining() {
		return nil
	}
	if err := r.observeNetwork(ctx, o, instance); err != nil {
		return err
	}
	o.observePrimary(instance.Primary)
	return nil
}

// observePrimary says whether the pool may use the primary ENI. Its groups and its
// subnet cannot be changed, so they must be what the policy asks for.
func (o *observation) observePrimary(eni ec2.NetworkInterface) {
	rightGroups := len(o.network.securityGroups) == 0 || slices.Equal(o.network.securityGroups, eni.SecurityGroups)
	foreign := int32(len(eni.Addresses) + len(eni.Prefixes)) //nolint:gosec // bounded by EC2
	if resource := o.eni(primaryName(o.pool)); resource != nil && resource.Status.NetworkInterfaceID != "" {
		foreign = resource.Status.ForeignCount
	}
	o.primary = primary{
		known:  eni.ID != "",
		taken:  o.primary.taken,
		usable: o.lowestSlot == 0 && eni.ID != "" && slices.Contains(o.network.subnetIDs, eni.SubnetID) && rightGroups && !o.primary.taken,
		room:   max(o.limits.addressSlots-foreign, 0),
	}
}

// unknownInstance may be one that EC2 does not show yet, so it is asked for again.
func (r *Reconciler) unknownInstance(o *observation) error {
	id := o.pool.Spec.InstanceID
	o.trouble(v1alpha1.ConditionInstanceFound, v1alpha1.ReasonInstanceNotFound, fmt.Sprintf(
		"EC2 does not know instance %s in this account and Region. Check the Node's spec.providerID, and the operator's AWS_REGION and IAM identity.", id))
	return errors.New("EC2 does not know instance " + id)
}

func (o *observation) trouble(condition, reason, message string) {
	o.troubles = append(o.troubles, trouble{condition: condition, reason: reason, message: message})
}

func (r *Reconciler) observeLimits(ctx context.Context, o *observation, instance ec2.Instance) error {
	limitsOf, found, err := r.inventory.InstanceType(ctx, instance.Type)
	if err != nil {
		reason, message := ec2.Explain(err)
		o.trouble(v1alpha1.ConditionInstanceFound, reason, message)
		return err
	}
	if !found {
		o.trouble(v1alpha1.ConditionInstanceFound, v1alpha1.ReasonNotFound,
			fmt.Sprintf("EC2 tells no limits of instance type %s", instance.Type))
		return errors.New("EC2 tells no limits of instance type " + instance.Type)
	}
	foreign := r.inventory.ForeignSlots(instance)
	usable := int32(0)
	for _, slot := range limitsOf.Slots(o.lowestSlot) {
		if !foreign[slot] {
			usable++
		}
	}
	o.limits = limits{
		known: true, instanceType: instance.Type, zone: instance.AvailabilityZone, nitro: limitsOf.Nitro,
		slots: min(usable, limitsOf.MaxENIs-int32(len(foreign))), addressSlots: limitsOf.IPv4PerENI - 1, //nolint:gosec // bounded by EC2
	}
	return nil
}

func (r *Reconciler) observeNetwork(ctx context.Context, o *observation, instance ec2.Instance) error {
	spec := o.pool.Spec
	if len(spec.SubnetSelectorTerms) == 0 {
		o.network.subnetIDs = []string{instance.SubnetID}
	} else {
		subnets, err := r.inventory.Subnets(ctx, instance.VPCID, instance.AvailabilityZone, subnetTerms(spec.SubnetSelectorTerms))
		if err != nil {
			return o.networkFailed(err)
		}
		for _, subnet := range subnets {
			o.network.subnetIDs = append(o.network.subnetIDs, subnet.ID)
		}
		if len(subnets) == 0 {
			return o.nothingFound(v1alpha1.ReasonSubnetNotFound, fmt.Sprintf(
				"subnetSelectorTerms of policy %s find no subnet in %s, zone %s", spec.PolicyName, instance.VPCID, instance.AvailabilityZone))
		}
	}
	if len(spec.SecurityGroupSelectorTerms) == 0 {
		return nil
	}
	groups, err := r.inventory.SecurityGroups(ctx, instance.VPCID, groupTerms(spec.SecurityGroupSelectorTerms))
	if err != nil {
		return o.networkFailed(err)
	}
	if len(groups) == 0 {
		return o.nothingFound(v1alpha1.ReasonSecurityGroupNotFound, fmt.Sprintf(
			"securityGroupSelectorTerms of policy %s find no security group in %s", spec.PolicyName, instance.VPCID))
	}
	o.network.securityGroups = groups
	return nil
}

func (o *observation) networkFailed(err error) error {
	reason, message := ec2.Explain(err)
	o.trouble(v1alpha1.ConditionNetworkResolved, reason, message)
	o.limits.known = false
	return err
}

// nothingFound stops growth until the terms find something; it is asked again.
func (o *observation) nothingFound(reason, message string) error {
	o.trouble(v1alpha1.ConditionNetworkResolved, reason, message)
	o.limits.known = false
	return errors.New(message)
}

func subnetTerms(in []v1alpha1.SubnetSelectorTerm) []inventory.Term {
	out := make([]inventory.Term, 0, len(in))
	for _, term := range in {
		out = append(out, inventory.Term{ID: term.ID, Tags: tagsOf(term.Tags)})
	}
	return out
}

func groupTerms(in []v1alpha1.SecurityGroupSelectorTerm) []inventory.Term {
	out := make([]inventory.Term, 0, len(in))
	for _, term := range in {
		out = append(out, inventory.Term{ID: term.ID, Name: term.Name, Tags: tagsOf(term.Tags)})
	}
	return out
}

func tagsOf(in map[string]v1alpha1.TagValue) map[string]string {
	out := make(map[string]string, len(in))
	for key, value := range in {
		out[key] = string(value)
	}
	return out
}
