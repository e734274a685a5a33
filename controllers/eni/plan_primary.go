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
	return planPrimaryAddresses(o)
}

// planPrimaryAddresses gives back what the spec names, and takes what is missing.
func planPrimaryAddresses(o observation) decision {
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

// planAssignment looks at the ENI before the first call of an assignment: EC2's answer
// names all that was asked for, also what others assigned a moment before. It goes on
// with one that is recorded: asked for again, by the same names, it does no harm. What
// the ENI carries of them then is the operator's.
func planAssignment(o observation) decision {
	d := decision{action: actAssign, names: stringsOf(o.eni.Status.Assignment.Names), reason: v1alpha1.ReasonAssigning, message: "Assigning addresses"}
	var carried []string
	for _, name := range d.names {
		if carries(o.actual, v1alpha1.AddressOrPrefix(name)) {
			carried = append(carried, name)
		}
	}
	switch {
	case o.freshAssignment:
		return planFirstCall(o, d, carried)
	case len(carried) == len(d.names):
		d.action = actAdopt
	case o.eni.DeletionTimestamp.IsZero():
	case !o.doubt.until.IsZero():
		return planDoubt(o)
	default:
		d.action, d.names = actAdopt, carried
	}
	return d
}

// planFirstCall makes the first call of an assignment. What the ENI carries before it is
// another's: other names are chosen then.
func planFirstCall(o observation, d decision, carried []string) decision {
	switch {
	case !o.looked:
		d.action = actLook
	case len(carried) > 0:
		d.action = actAdopt
		d.names = nil
	}
	return d
}

// planPrimaryGrowth writes down what will be asked for before it is: what vanished
// from under claims first, one by one, so that EC2's refusal is about that one.
func planPrimaryGrowth(o observation) decision {
	names := reclaimable(o)
	if len(names) > 0 {
		names = names[:1]
	} else {
		names = o.vacant
	}
	if len(names) == 0 {
		return waitToReclaim(o, planMissing(o, decision{action: actNothing, reason: v1alpha1.ReasonReady, message: "The primary ENI carries its addresses"}))
	}
	return decision{
		action: actRecordAssignment, reason: v1alpha1.ReasonAssigning, message: "Assigning addresses",
		assignment: v1alpha1.AssignmentRecord{StartedAt: metav1.NewTime(o.now), Names: typed[v1alpha1.AddressOrPrefix](names)},
	}
}

// primaryNeed is how many more addresses and prefixes a primary ENI is to have.
func primaryNeed(o observation) (addresses, prefixes int32) {
	status := &o.eni.Status
	missingAddresses, missingPrefixes := missing(status)
	addresses = o.desired.addressCount - int32(len(status.Addresses)) - missingAddresses //nolint:gosec // bounded by EC2
	prefixes = o.desired.prefixCount - int32(len(status.Prefixes)) - missingPrefixes     //nolint:gosec // bounded by EC2
	return max(addresses, 0), max(prefixes, 0)
}
