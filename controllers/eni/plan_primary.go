/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// planPrimary decides for a resource that stands for its instance's primary ENI
// (protocol 7). Only addresses that the operator assigned are touched: those that
// its status lists.
func planPrimary(o observation) decision {
	if !o.eni.DeletionTimestamp.IsZero() {
		return planPrimaryDeletion(o)
	}
	if o.presence != present {
		return planNoInstance(o)
	}
	if d := planPrimaryReleases(o, o.eni.Spec.Release); d.action != actNothing {
		return d
	}
	return planPrimaryGrowth(o)
}

// planPrimaryDeletion gives back what is the operator's, unless it goes with the
// instance or is to be retained.
func planPrimaryDeletion(o observation) decision {
	letGo := decision{action: actLetGo, reason: v1alpha1.ReasonDeleting, message: "The operator has no addresses on the primary ENI"}
	switch {
	case o.instance == instanceGone, o.eni.Status.NetworkInterfaceID == "":
		return letGo
	case o.presence != present:
		return planNoInstance(o)
	}
	if d := planProtection(o); d.action != actNothing {
		return d
	}
	if o.eni.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRetain {
		return letGo
	}
	ours := slices.Concat(stringsOf(o.eni.Status.Addresses), stringsOf(o.eni.Status.Prefixes))
	if d := planPrimaryReleases(o, typed[v1alpha1.AddressOrPrefix](ours)); d.action != actNothing {
		return d
	}
	return letGo
}

// planPrimaryReleases gives names back once it is certain what the operator's are.
func planPrimaryReleases(o observation, asked []v1alpha1.AddressOrPrefix) decision {
	switch {
	case o.eni.Status.Assignment != nil:
		return planAssignment(o)
	case contradicts(o):
		return planDoubt(o)
	}
	var names []string
	for _, name := range asked {
		if carries(o.actual, name) && (slices.Contains(o.eni.Status.Addresses, v1alpha1.Address(name)) ||
			slices.Contains(o.eni.Status.Prefixes, v1alpha1.Prefix(name))) {
			names = append(names, string(name))
		}
	}
	if len(names) == 0 {
		return decision{action: actNothing}
	}
	slices.Sort(names)
	return decision{action: actUnassign, names: names, reason: v1alpha1.ReasonAssigning, message: "Giving addresses back to the subnet"}
}

// planAssignment finds out what came of an Assign by count: EC2 assigns as many as
// it is asked for, or none. Any other number of new addresses is somebody else's.
func planAssignment(o observation) decision {
	record := o.eni.Status.Assignment
	d := decision{count: record.AddressCount, prefixes: record.PrefixCount, reason: v1alpha1.ReasonAssigning, message: "Assigning addresses"}
	addresses, prefixes := appeared(o.actual.addresses, record.Carried), appeared(o.actual.prefixes, record.Carried)
	switch {
	case o.freshAssignment:
		d.action = actAssign
	case len(addresses) == int(record.AddressCount) && len(prefixes) == int(record.PrefixCount):
		d.action, d.names = actAdopt, slices.Concat(addresses, prefixes)
	case !o.doubt.until.IsZero():
		return planDoubt(o)
	default:
		d.action = actAdopt
	}
	return d
}

// appeared are the names that an ENI did not carry when a record was written.
func appeared(names []string, carried []v1alpha1.AddressOrPrefix) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.Contains(carried, v1alpha1.AddressOrPrefix(name))
	})
}

// planPrimaryGrowth writes down what will be asked for before it is.
func planPrimaryGrowth(o observation) decision {
	status := &o.eni.Status
	if names := reclaimable(o); len(names) > 0 {
		return planReclaim(names)
	}
	missingAddresses, missingPrefixes := missing(status)
	addresses := o.desired.addressCount - int32(len(status.Addresses)) - missingAddresses //nolint:gosec // bounded by EC2
	prefixes := o.desired.prefixCount - int32(len(status.Prefixes)) - missingPrefixes     //nolint:gosec // bounded by EC2
	if addresses <= 0 && prefixes <= 0 {
		return decision{action: actNothing, reason: v1alpha1.ReasonReady, message: "The primary ENI carries its addresses"}
	}
	return decision{
		action: actRecordAssignment, reason: v1alpha1.ReasonAssigning, message: "Assigning addresses",
		assignment: v1alpha1.AssignmentRecord{
			StartedAt: metav1.NewTime(o.now), AddressCount: max(addresses, 0), PrefixCount: max(prefixes, 0),
			Carried: typed[v1alpha1.AddressOrPrefix](slices.Concat(o.actual.addresses, o.actual.prefixes)),
		},
	}
}
