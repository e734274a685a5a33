/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// buildENI says what a new ENI of a pool looks like as a resource.
func buildENI(o observation, n newENI) *v1alpha1.ElasticNetworkInterface {
	spec := o.pool.Spec
	eni := &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{
			Name:       n.name,
			Finalizers: []string{v1alpha1.Finalizer},
			Labels:     v1alpha1.OperatorLabels(),
		},
		Spec: v1alpha1.ElasticNetworkInterfaceSpec{
			NodeName: spec.NodeName, InstanceID: spec.InstanceID, PoolName: o.pool.Name, Mode: n.mode,
			MinDeviceIndex: spec.MinDeviceIndex,
		},
	}
	if n.primary {
		eni.Spec.DeviceIndex, eni.Spec.MinDeviceIndex = new(int32), nil
	}
	if n.mode == v1alpha1.ModeShared {
		switch {
		case o.returns(n.name):
			eni.Spec.AddressCount = n.count
			eni.Spec.PrefixCount = n.prefixes
		case o.unit() > 1:
			eni.Spec.PrefixCount = n.count
		default:
			eni.Spec.AddressCount = n.count
		}
	}
	follow(o, eni)
	return eni
}

// follow brings what a policy may change in place into an ENI's spec: groups,
// tags, deletion policy, and the subnets of an ENI that has none yet.
func follow(o observation, eni *v1alpha1.ElasticNetworkInterface) {
	spec := o.pool.Spec
	eni.Spec.DeletionPolicy = spec.DeletionPolicy
	if eni.Primary() {
		return // Nothing else of it is ours.
	}
	eni.Spec.Tags = spec.Tags
	if o.draining() {
		return
	}
	if len(o.network.securityGroups) > 0 || len(spec.SecurityGroupSelectorTerms) == 0 {
		eni.Spec.SecurityGroupIDs = as[v1alpha1.SecurityGroupID](o.network.securityGroups)
	}
	if eni.Status.NetworkInterfaceID == "" && len(o.network.subnetIDs) > 0 && !sameSet(eni.Spec.SubnetIDs, o.network.subnetIDs) {
		eni.Spec.SubnetIDs = as[v1alpha1.SubnetID](o.network.subnetIDs)
	}
}

// sameSet says whether two lists of subnets differ in their order only, which changes
// with every ENI that is created.
func sameSet(ids []v1alpha1.SubnetID, others []string) bool {
	return len(ids) == len(others) && !slices.ContainsFunc(ids, func(id v1alpha1.SubnetID) bool { return !slices.Contains(others, string(id)) })
}

// reshape changes a copy of an ENI's spec by what was decided: more addresses, or
// fewer, by name. Names that the ENI has given up are dropped from the list.
func reshape(o observation, eni *v1alpha1.ElasticNetworkInterface, d decision) {
	follow(o, eni)
	eni.Spec.Release = slices.DeleteFunc(eni.Spec.Release, func(name v1alpha1.AddressOrPrefix) bool {
		return !carries(eni, name) && !slices.Contains(eni.Status.Missing, name) && !o.releasing(eni.Name, name)
	})
	eni.Spec.Release = append(eni.Spec.Release, d.releases[eni.Name]...)
	if len(eni.Spec.Release) == 0 {
		eni.Spec.Release = nil
	}
	eni.Spec.Reclaim = d.reclaims[eni.Name]
	count, changes := d.counts[eni.Name]
	switch {
	case !changes:
	case inPrefixes(eni) || (specSize(eni) == 0 && o.unit() > 1):
		eni.Spec.PrefixCount = count
	default:
		eni.Spec.AddressCount = count
	}
}

// releasing says whether the stored record has anything that a name stands for on
// its way back from an ENI.
func (o observation) releasing(eni string, name v1alpha1.AddressOrPrefix) bool {
	return slices.ContainsFunc(o.pool.Status.Addresses, func(entry v1alpha1.PoolAddress) bool {
		return entry.ENIName == eni && entry.State == v1alpha1.HolderReleasing && covers(name, entry.Address)
	})
}

func as[T ~string](values []string) []T {
	if len(values) == 0 {
		return nil
	}
	out := make([]T, 0, len(values))
	for _, value := range values {
		out = append(out, T(value))
	}
	return out
}
