/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package webhooks

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/ipam"
)

// judgeMinimum warns of Nodes whose instances hold less than a policy's minimum.
func (v *verdict) judgeMinimum(view policyView, policy *v1alpha1.ENIPolicy) {
	byType := nodesByType(view, policy)
	for _, name := range slices.Sorted(maps.Keys(byType)) {
		limits, known := view.options.InstanceType(name)
		if !known {
			continue
		}
		if path, short := shortOf(limits, &policy.Spec.ENITemplate, view.options.MinDeviceIndex); short != "" {
			v.warn(path, "%s %s: lower the minimum, or select larger instances", nodesWord(byType[name]), short)
		}
	}
}

// nodesByType are the Nodes that a policy will govern, by their instance type where it
// is known.
func nodesByType(view policyView, policy *v1alpha1.ENIPolicy) map[string][]string {
	pools := map[string]*v1alpha1.ENIPool{}
	for i := range view.pools {
		pools[view.pools[i].Name] = &view.pools[i]
	}
	others := slices.DeleteFunc(slices.Clone(view.policies), func(other v1alpha1.ENIPolicy) bool { return other.Spec.Priority <= policy.Spec.Priority })
	byType, selects := map[string][]string{}, policy.NodeMatcher()
	for i := range view.nodes {
		node := &view.nodes[i]
		_, kind := ec2.ParseProviderID(node.Spec.ProviderID)
		if kind == ec2.ProviderIDOther || !selects(node.Labels) || v1alpha1.Governing(others, node.Labels) != nil {
			continue
		}
		name := node.Labels[corev1.LabelInstanceTypeStable]
		if pool := pools[node.Name]; name == "" && pool != nil && pool.Serves(instanceOf(node)) {
			name = pool.Status.InstanceType
		}
		if name != "" {
			byType[name] = append(byType[name], node.Name)
		}
	}
	return byType
}

// shortOf says what of a template's minimum an instance type cannot hold, and which
// field asks for it; nothing if it holds all.
func shortOf(limits ec2.InstanceType, template *v1alpha1.ENITemplate, minDeviceIndex int32) (*field.Path, string) {
	if template.MinDeviceIndex != nil {
		minDeviceIndex = *template.MinDeviceIndex
	}
	room := ipam.Room{
		Slots:        min(int32(len(limits.Slots(minDeviceIndex))), limits.MaxENIs-1), //nolint:gosec // at most a few hundred
		AddressSlots: limits.IPv4PerENI - 1, Nitro: limits.Nitro,
	}
	if minDeviceIndex == 0 {
		room.PrimarySlots = room.AddressSlots
	}
	exclusive, shared, unit := minima(template)
	exclusiveFits, sharedFits := room.Fit(exclusive, shared, unit)
	switch {
	case template.Shared != nil && !room.Carries(unit):
		return specPath.Child("shared", "addressType"), fmt.Sprintf("(%s) carries no prefixes, which only Nitro instance types do", limits.Name)
	case exclusiveFits < exclusive:
		return specPath.Child("exclusive", "minimum"), fmt.Sprintf("(%s) has room for %d ENIs beside the primary one, fewer than %d",
			limits.Name, max(room.Slots, 0), exclusive)
	case sharedFits < shared:
		return specPath.Child("shared", "minimumIPs"), fmt.Sprintf("(%s) has room for %d addresses beside %d exclusive ENIs, fewer than %d",
			limits.Name, sharedFits, exclusive, shared)
	default:
		return nil, ""
	}
}

// minima are what a pool of a template never goes below, and the unit of its
// addresses.
func minima(template *v1alpha1.ENITemplate) (exclusive, shared, unit int32) {
	unit = template.AddressUnit()
	if template.Exclusive != nil {
		exclusive = template.Exclusive.Minimum
	}
	if bounds := template.Shared; bounds != nil {
		plugin, ok := ipam.Get(template.IPAM)
		if !ok {
			plugin, _ = ipam.Get(ipam.Shared)
		}
		size := plugin.Size(ipam.Bounds{Minimum: bounds.MinimumIPs, Warm: bounds.WarmIPs, Maximum: bounds.MaximumIPs}, ipam.Demand{})
		shared = min((size.Minimum+unit-1)/unit*unit, bounds.MaximumIPs/unit*unit)
	}
	return exclusive, shared, unit
}
