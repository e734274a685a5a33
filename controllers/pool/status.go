/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// statusOf writes the record and the counts down, in a fixed order.
func statusOf(o observation, h *holders, s *sizing) v1alpha1.ENIPoolStatus {
	status := recordOf(o, h, s)
	setConditions(o, h, s, &status)
	return status
}

// heldStatus is the status of a pool that is suspended.
func heldStatus(o observation, h *holders) v1alpha1.ENIPoolStatus {
	status := recordOf(o, h, sizeOf(o, h))
	setSuspendedConditions(o, &status)
	return status
}

// recordOf writes the record and the counts down.
func recordOf(o observation, h *holders, s *sizing) v1alpha1.ENIPoolStatus {
	status := *o.pool.Status.DeepCopy()
	status.PoolUID = o.pool.UID
	status.ObservedGeneration = o.pool.Generation
	if o.limits.known {
		status.InstanceType, status.AvailabilityZone = o.limits.instanceType, o.limits.zone
	}
	status.ENIs, status.Addresses = nil, nil
	for _, name := range slices.Sorted(maps.Keys(h.enis)) {
		status.ENIs = append(status.ENIs, *h.enis[name])
	}
	for _, entry := range h.addresses {
		status.Addresses = append(status.Addresses, *entry)
	}
	for _, entry := range h.reserved {
		status.Addresses = append(status.Addresses, *entry)
	}
	slices.SortFunc(status.Addresses, func(a, b v1alpha1.PoolAddress) int {
		return strings.Compare(string(a.Address), string(b.Address))
	})
	status.ENICount = int32(len(status.ENIs)) //nolint:gosec // bounded by EC2
	status.Shared, status.Exclusive = countShared(o, h, s), countExclusive(o, h, s)
	return status
}

func countShared(o observation, h *holders, s *sizing) *v1alpha1.SharedStatus {
	if o.pool.Spec.Shared == nil && s.sharedAllocated == 0 {
		return nil
	}
	counts := &v1alpha1.SharedStatus{Allocated: s.sharedAllocated, Cooling: s.sharedCooling, Desired: s.sharedDesired}
	uses := h.uses()
	for name, entry := range h.enis {
		if entry.Mode != v1alpha1.ModeShared || entry.State == v1alpha1.PoolENIReleasing || !h.serves(name) {
			continue
		}
		counts.Capacity += uses[name].held - uses[name].lost
		if !h.usable(name) {
			continue
		}
		counts.Capacity += uses[name].resting
		if entry.State == v1alpha1.PoolENIActive {
			counts.Free += int32(len(h.free(name))) //nolint:gosec // bounded by EC2
		}
	}
	counts.Capacity += counts.Free
	return counts
}

func countExclusive(o observation, h *holders, s *sizing) *v1alpha1.ExclusiveStatus {
	if o.pool.Spec.Exclusive == nil && s.exclusiveAllocated == 0 {
		return nil
	}
	counts := &v1alpha1.ExclusiveStatus{Allocated: s.exclusiveAllocated, Desired: s.exclusiveDesired}
	for name, entry := range h.enis {
		held := entry.Claim != nil && h.serves(name)
		if entry.Mode != v1alpha1.ModeExclusive || entry.State == v1alpha1.PoolENIReleasing || (!entry.Ready && !held) {
			continue
		}
		counts.Capacity++
		if vacant(entry) {
			counts.Free++
		}
	}
	return counts
}

// vacant reports whether a claim may have an exclusive ENI once it is ready.
func vacant(entry *v1alpha1.PoolENI) bool {
	return entry.State == v1alpha1.PoolENIActive && entry.Claim == nil && entry.CoolingSince == nil
}

// serves reports whether what claims hold of an ENI counts towards the minimum, as it does
// for growth, though the ENI may not be ready: it goes when its claims do, or it is left
// alone because its tags name another owner.
func (h *holders) serves(name string) bool {
	return h.alive(name) && (h.usable(name) || attached(h.resources[name]) || disowned(h.resources[name]))
}

// setter returns what sets a condition of a pool.
func setter(o observation, status *v1alpha1.ENIPoolStatus) func(kind string, good bool, reason, message string) {
	return func(kind string, good bool, reason, message string) {
		state := metav1.ConditionFalse
		if good {
			state = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&status.Conditions, metav1.Condition{
			Type: kind, Status: state, Reason: reason, Message: message, ObservedGeneration: o.pool.Generation,
			LastTransitionTime: metav1.NewTime(o.now),
		})
	}
}

// setConditions and setSuspendedConditions are the only places that build a pool's
// conditions.
func setConditions(o observation, h *holders, s *sizing, status *v1alpha1.ENIPoolStatus) {
	set := setter(o, status)
	set(v1alpha1.ConditionEC2Trusted, true, v1alpha1.ReasonEC2Agrees, "")
	setFindings(o, set)
	switch reason, message := shortage(o, h, s); {
	case reason != "":
		set(v1alpha1.ConditionCapacityAvailable, false, reason, message)
	case o.limits.known:
		set(v1alpha1.ConditionCapacityAvailable, true, v1alpha1.ReasonFits, "")
	}
	ready, reason, message := readiness(o, h, s, status)
	set(v1alpha1.ConditionReady, ready, reason, message)
}

// setSuspendedConditions says why a pool is suspended. While EC2 is not believed,
// everything else stays as it was last known.
func setSuspendedConditions(o observation, status *v1alpha1.ENIPoolStatus) {
	set := setter(o, status)
	if t := o.distrust; t != nil {
		set(v1alpha1.ConditionEC2Trusted, false, t.reason, t.message)
		return
	}
	set(v1alpha1.ConditionEC2Trusted, true, v1alpha1.ReasonEC2Agrees, "")
	setFindings(o, set)
	set(v1alpha1.ConditionReady, false, o.suspended.reason, o.suspended.message)
}

// setFindings says what was found of the instance and the network.
func setFindings(o observation, set func(kind string, good bool, reason, message string)) {
	good := map[string]string{
		v1alpha1.ConditionInstanceFound:   v1alpha1.ReasonInstanceFound,
		v1alpha1.ConditionNetworkResolved: v1alpha1.ReasonNetworkResolved,
	}
	for _, kind := range slices.Sorted(maps.Keys(good)) {
		if t := o.troubleWith(kind); t != nil {
			set(kind, false, t.reason, t.message)
			continue
		}
		message := ""
		if kind == v1alpha1.ConditionInstanceFound && o.stopped != "" {
			message = fmt.Sprintf("Instance %s is %s: what it has stays its own until it runs again", o.pool.Spec.InstanceID, o.stopped)
		}
		set(kind, true, good[kind], message)
	}
}

// shortage says what the policy asks for and the instance, or EC2, has no room for.
func shortage(o observation, h *holders, s *sizing) (reason, message string) {
	orphaned := len(o.orphans) > 0
	switch outside := h.lastResort(o); {
	case orphaned && (s.scarcity == nil || s.scarcity.reason == v1alpha1.ReasonNoFreeDeviceIndex):
		return v1alpha1.ReasonOrphanedENIs, orphansMessage(o)
	case orphaned: // ENIs that have slots cannot grow either, whatever becomes of the orphans.
		return s.scarcity.reason, s.scarcity.message + " " + orphansMessage(o)
	case s.scarcity != nil:
		return s.scarcity.reason, s.scarcity.message
	case s.short:
		return v1alpha1.ReasonInstanceTypeLimit, shortMessage(o, s)
	case len(outside) > 0:
		return v1alpha1.ReasonInstanceFull, outsideMessage(o, outside)
	default:
		return "", ""
	}
}

func orphansMessage(o observation) string {
	return fmt.Sprintf("ENIs of this cluster that no resource stands for take slots of %s: %s. "+
		"Detach and delete them in EC2 once nobody uses them.", o.pool.Spec.InstanceID, strings.Join(o.orphans, ", "))
}

// outsideMessage says what a node waits for whose ENIs all lie outside the policy's
// subnets.
func outsideMessage(o observation, outside []string) string {
	return fmt.Sprintf("%s has no slot for ENIs in the policy's subnets. Until all claims of one of these ENIs outside of them are released, they serve: %s",
		o.limits.instanceType, strings.Join(outside, ", "))
}

func (o observation) troubleWith(condition string) *trouble {
	for i := range o.troubles {
		if o.troubles[i].condition == condition {
			return &o.troubles[i]
		}
	}
	return nil
}

// shortMessage says what fits where the policy asks for more.
func shortMessage(o observation, s *sizing) string {
	if !o.carriesUnit() {
		return fmt.Sprintf("%s carries no prefixes: only Nitro instance types do. Set addressType: IPv4, or select other nodes.",
			o.limits.instanceType)
	}
	onPrimary := ""
	if o.primary.usable {
		onPrimary = fmt.Sprintf(" and for %d addresses on its primary ENI", o.primary.room*o.unit())
	}
	besides, remedy := "", "Lower the minimum, or select larger instances."
	if o.otherENIs > 0 {
		besides = fmt.Sprintf(", besides %d that are not the pool's,", o.otherENIs)
		remedy = "Lower the minimum, detach those ENIs, or select larger instances."
	}
	return fmt.Sprintf("%s has room for %d ENIs of this policy%s with up to %d addresses each%s, which is less than its minimum: "+
		"the pool gets %d addresses and %d exclusive ENIs. %s",
		o.limits.instanceType, max(o.limits.slots-o.otherENIs, 0), besides, o.limits.addressSlots*o.unit(), onPrimary, s.sharedFits, s.exclusiveFits, remedy)
}

// readiness is True when the pool holds its minimum.
func readiness(o observation, h *holders, s *sizing, status *v1alpha1.ENIPoolStatus) (ready bool, reason, message string) {
	switch {
	case !o.pool.DeletionTimestamp.IsZero() && s.sharedAllocated+s.exclusiveAllocated+s.lost > 0:
		return false, v1alpha1.ReasonInUse, fmt.Sprintf("The pool is deleted when %d addresses and %d ENIs are released by their claims",
			s.sharedAllocated, s.exclusiveAllocated) + lostMessage(s)
	case !o.pool.DeletionTimestamp.IsZero():
		return false, v1alpha1.ReasonDeleting, "The pool's ENIs are being deleted"
	case len(o.troubles) > 0:
		return false, o.troubles[0].reason, o.troubles[0].message
	case o.draining():
		return false, v1alpha1.ReasonDraining, "No policy governs the node: the pool goes when its last claim is released"
	}
	return readinessOfENIs(o, h, s, status)
}

// readinessOfENIs is the readiness of a pool that nothing but its ENIs can keep from it.
func readinessOfENIs(o observation, h *holders, s *sizing, status *v1alpha1.ENIPoolStatus) (ready bool, reason, message string) {
	unserved := s.scarcity != nil && s.sharedPending+s.exclusivePending > 0
	switch {
	case holdsMinimum(o, s, status) && !unserved:
		return true, v1alpha1.ReasonReady, ""
	case s.scarcity != nil:
		return false, s.scarcity.reason, s.scarcity.message
	case s.short:
		return false, v1alpha1.ReasonInstanceTypeLimit, shortMessage(o, s)
	case s.full:
		return false, v1alpha1.ReasonInstanceFull, fmt.Sprintf(
			"Every ENI slot of %s is taken: the pool reaches its minimum when claims release ENIs, or draining ENIs are gone", o.limits.instanceType)
	}
	reason, message = waitingFor(h)
	return false, reason, message
}

// lostMessage names claims that hold what is gone.
func lostMessage(s *sizing) string {
	if s.lost == 0 {
		return ""
	}
	return fmt.Sprintf(", and %d claims are deleted that hold what is gone from EC2", s.lost)
}

func holdsMinimum(o observation, s *sizing, status *v1alpha1.ENIPoolStatus) bool {
	if o.pool.Spec.Shared != nil && status.Shared.Capacity < min(s.sharedMinimum, status.Shared.Desired) {
		return false
	}
	exclusive := o.pool.Spec.Exclusive
	return exclusive == nil || status.Exclusive.Capacity >= exclusive.Minimum
}

// waitingFor names the first ENI that is not ready, and why; one in trouble first.
func waitingFor(h *holders) (reason, message string) {
	// The same words from the first ENI to the last: each change would be a write.
	reason, message = v1alpha1.ReasonENIsNotReady, "Waiting for the pool's ENIs to be ready"
	for _, name := range slices.Sorted(maps.Keys(h.resources)) {
		condition := meta.FindStatusCondition(h.resources[name].Status.Conditions, v1alpha1.ConditionReady)
		if condition == nil || condition.Status == metav1.ConditionTrue {
			continue
		}
		if !v1alpha1.Underway(condition.Reason) {
			return condition.Reason, fmt.Sprintf("ENI %s: %s", name, condition.Message)
		}
	}
	return reason, message
}
