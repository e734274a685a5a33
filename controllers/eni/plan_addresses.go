/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"slices"
	"strings"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// planAddresses gives back by name, and takes by count.
func planAddresses(o observation) decision {
	change := changeAddresses(o)
	if o.doubt.until.IsZero() || (change.action != actAssign && change.action != actUnassign && !contradicts(o)) {
		return change
	}
	return planDoubt(o)
}

// planDoubt waits until a look tells for sure, since what is in doubt is not
// changed.
func planDoubt(o observation) decision {
	doubtful := decision{action: actLook, reason: v1alpha1.ReasonAssigning,
		message: "Making sure which addresses the ENI has, since EC2 may not show all of them yet"}
	if wait := o.doubt.until.Sub(o.now); wait > 0 {
		doubtful.action, doubtful.wait = actWait, wait
	}
	return doubtful
}

// contradicts says whether a read in doubt differs from what the operator before
// this one stored.
func contradicts(o observation) bool {
	status := &o.eni.Status
	addresses, prefixes := typed[v1alpha1.Address](o.actual.addresses), typed[v1alpha1.Prefix](o.actual.prefixes)
	switch {
	case !inherits(o.doubt, status):
		return false
	case o.eni.Primary(): // Others are not the operator's.
		return len(common(status.Addresses, addresses)) < len(status.Addresses) || len(common(status.Prefixes, prefixes)) < len(status.Prefixes)
	default:
		return !slices.Equal(addresses, status.Addresses) || !slices.Equal(prefixes, status.Prefixes)
	}
}

// common are the names of one list that are in another too.
func common[T comparable](names, others []T) []T {
	return slices.DeleteFunc(slices.Clone(names), func(name T) bool { return !slices.Contains(others, name) })
}

// inherits says whether the addresses in an ENI's status are better than those of a
// read in doubt: the operator before this one stored them.
func inherits(d doubt, status *v1alpha1.ElasticNetworkInterfaceStatus) bool {
	return d.inherited && len(status.Addresses)+len(status.Prefixes) > 0
}

func changeAddresses(o observation) decision {
	if names := releasable(o); len(names) > 0 {
		return decision{action: actUnassign, names: names, reason: v1alpha1.ReasonAssigning, message: "Giving addresses back to the subnet"}
	}
	if names := reclaimable(o); len(names) > 0 {
		return planReclaim(names)
	}
	if !o.eni.DeletionTimestamp.IsZero() {
		return decision{action: actNothing} // It keeps what claims hold, and takes nothing more.
	}
	if givenUp(o) {
		return decision{action: actNothing} // EC2 may assign the very address that the ENI is told to release.
	}
	missingAddresses, missingPrefixes := missing(&o.eni.Status)
	addresses := o.desired.addressCount - int32(len(o.actual.addresses)) - missingAddresses //nolint:gosec // bounded by EC2
	prefixes := o.desired.prefixCount - int32(len(o.actual.prefixes)) - missingPrefixes     //nolint:gosec // bounded by EC2
	if addresses <= 0 && prefixes <= 0 {
		return decision{action: actNothing}
	}
	return planGrowth(o, addresses, prefixes)
}

// givenUp says whether spec.release names something that the ENI does not carry any
// more, until its pool has taken note.
func givenUp(o observation) bool {
	return o.eni.Spec.PoolName != "" && slices.ContainsFunc(o.eni.Spec.Release, func(name v1alpha1.AddressOrPrefix) bool { return !carries(o.actual, name) })
}

// planReclaim asks for one name, so that EC2's refusal is about that one.
func planReclaim(names []string) decision {
	return decision{action: actAssign, names: names[:1], reason: v1alpha1.ReasonAssigning,
		message: "Assigning " + names[0] + " again, which a claim holds and which vanished in EC2"}
}

// reclaimable are the names in spec.reclaim that the ENI does not carry, and that
// EC2 has not refused yet.
func reclaimable(o observation) []string {
	var names []string
	for _, name := range o.eni.Spec.Reclaim {
		if !carries(o.actual, name) && !slices.Contains(o.eni.Status.Lost, name) && o.untilAskedAgain(name) <= 0 {
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	return names
}

// untilAskedAgain is how long a name is not asked for again that EC2 refused once. A
// second refusal, a visibility window later, is final: the first may have been EC2's
// reads lagging.
func (o *observation) untilAskedAgain(name v1alpha1.AddressOrPrefix) time.Duration {
	since, refused := o.refusedNames[name]
	if !refused {
		return 0
	}
	return since.Add(o.visibility).Sub(o.now)
}

// waitToReclaim turns a decision to do nothing into a wait, if a name is to be asked
// for again.
func waitToReclaim(o observation, d decision) decision {
	if d.action != actNothing {
		return d
	}
	for _, name := range o.eni.Spec.Reclaim {
		left := o.untilAskedAgain(name)
		if left > 0 && !carries(o.actual, name) && (d.action == actNothing || left < d.wait) {
			d.action = actWait
			d.wait = left
		}
	}
	return d
}

// missing counts what vanished and is not to be replaced yet.
func missing(status *v1alpha1.ElasticNetworkInterfaceStatus) (addresses, prefixes int32) {
	for _, name := range status.Missing {
		switch {
		case slices.Contains(status.Lost, name):
		case strings.Contains(string(name), "/"):
			prefixes++
		default:
			addresses++
		}
	}
	return addresses, prefixes
}

// releasable are the names in spec.release that the ENI still carries.
func releasable(o observation) []string {
	var names []string
	for _, name := range o.eni.Spec.Release {
		if carries(o.actual, name) {
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	return names
}

func carries(a actual, name v1alpha1.AddressOrPrefix) bool {
	return slices.Contains(a.addresses, string(name)) || slices.Contains(a.prefixes, string(name))
}
