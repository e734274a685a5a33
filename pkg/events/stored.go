/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package events

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// Announce publishes what happened, and logs what an operator of the cluster wants
// to read; the rest on the level debug. Call it when it is stored.
func Announce(ctx context.Context, publisher Publisher, happened []Event) {
	publisher.Publish(happened...)
	trace(ctx, happened)
	logger := log.FromContext(ctx)
	for i := range happened {
		e := &happened[i]
		if line, wanted := lines[e.Type]; wanted {
			logger.Info(line, details(e)...)
		} else if debug := logger.V(1); debug.Enabled() {
			debug.Info("Stored", append(details(e), "type", e.Type)...)
		}
	}
}

// lines are what the log says of events.
var lines = map[Type]string{
	ENIReady:           "ENI is ready",
	ENIFailed:          "ENI is not ready",
	ENICreationRefused: "EC2 refused to create the ENI",
	ENIAddressLost:     "Address of the ENI is lost",
	ENIGone:            "ENI is gone",
	PoolReady:          "Pool is ready",
	PoolNotReady:       "Pool is not ready",
	PoolGone:           "Pool is gone",
	ClaimPending:       "Claim is Pending",
	ClaimBound:         "Claim is Bound",
	ClaimLost:          "Claim is Lost",
	ClaimExpired:       "Claim is Expired",
	ClaimAddressLost:   "Address of the claim is lost",
	ClaimReleased:      "Claim is released",
}

// details are the keys that the log says of an event, besides those that the
// controller's logger has: eni, node, pool.
func details(e *Event) []any {
	var pairs []any
	add := func(key, value string) {
		if value != "" {
			pairs = append(pairs, key, value)
		}
	}
	add("eniID", e.ENIID)
	switch after := e.After.(type) {
	case ENIState:
		pairs = append(pairs, "addresses", after.AddressCount)
		if after.Attempt > 0 {
			pairs = append(pairs, "attempt", after.Attempt)
		}
		add("reason", after.Reason)
	case PoolState:
		pairs = append(pairs, "enis", after.ENIs)
		add("reason", after.Reason)
	case ClaimState:
		add("claim", e.Object.Namespace+"/"+e.Object.Name)
		add("eni", e.ENI)
		add("address", after.Address)
		add("reason", after.Reason)
	}
	add("message", e.Message)
	return pairs
}

// Stored returns what it means that an object's status was stored: of one of our
// kinds, what differs between the two; of any other, nothing.
func Stored(before, after client.Object) []Event {
	switch after := after.(type) {
	case *v1alpha1.ElasticNetworkInterface:
		if before, ok := before.(*v1alpha1.ElasticNetworkInterface); ok {
			return ofENI(before, after)
		}
	case *v1alpha1.ENIPool:
		if before, ok := before.(*v1alpha1.ENIPool); ok {
			return ofPool(before, after)
		}
	case *v1alpha1.ENIClaim:
		if before, ok := before.(*v1alpha1.ENIClaim); ok {
			return ofClaim(before, after)
		}
	case *v1alpha1.ENIPolicy:
		if before, ok := before.(*v1alpha1.ENIPolicy); ok {
			return ofPolicy(before, after)
		}
	}
	return nil
}

// Finished returns what it means that the operator's finalizer was taken off an
// object.
func Finished(object client.Object) []Event {
	finished := map[Topic]Type{TopicENI: ENIGone, TopicPool: PoolGone, TopicClaim: ClaimReleased}
	e, known := about(object)
	kind, told := finished[e.Topic]
	if !known || !told {
		return nil
	}
	e.Type, e.Before = kind, e.After
	return []Event{e}
}

// Warning returns an event of a type about one of our objects that no status tells,
// for people to act upon. The related object may be nil.
func Warning(kind Type, object, related client.Object, reason, action, message string) Event {
	e, _ := about(object)
	e.Type, e.Before, e.Message = kind, e.After, message
	e.Notice = &Notice{Warning: true, Reason: reason, Action: action}
	if related != nil {
		e.Notice.Related = referenceTo(related)
	}
	return e
}

// Note returns an event of a type about one of our objects that no status shows, for
// people to know.
func Note(kind Type, object client.Object, reason, action, message string) Event {
	e, _ := about(object)
	e.Type, e.Before, e.Message = kind, e.After, message
	e.Notice = &Notice{Reason: reason, Action: action}
	return e
}

// about returns an event that says who an object is and what state it is in.
func about(object client.Object) (Event, bool) {
	e := Event{Object: *referenceTo(object)}
	switch o := object.(type) {
	case *v1alpha1.ElasticNetworkInterface:
		e.After, e.ENI, e.ENIID, e.Node = stateOfENI(o), o.Name, o.Status.NetworkInterfaceID, o.Spec.NodeName
	case *v1alpha1.ENIPool:
		e.After, e.Node = stateOfPool(o), o.Spec.NodeName
	case *v1alpha1.ENIClaim:
		e.After, e.ENI, e.ENIID, e.Node = stateOfClaim(o), o.Status.ENIName, o.Status.NetworkInterfaceID, o.Spec.NodeName
	case *v1alpha1.ENIPolicy:
		e.After = stateOfPolicy(o)
	default:
		return e, false
	}
	e.Topic = e.After.topic()
	return e, true
}

// referenceTo names an object. Objects that were read do not know their own kind.
func referenceTo(object client.Object) *Reference {
	reference := &Reference{
		APIVersion: v1alpha1.GroupVersion.String(), Namespace: object.GetNamespace(), Name: object.GetName(),
		UID: object.GetUID(), Created: object.GetCreationTimestamp().Time,
	}
	switch object.(type) {
	case *v1alpha1.ElasticNetworkInterface:
		reference.Kind = "ElasticNetworkInterface"
	case *v1alpha1.ENIPool:
		reference.Kind = "ENIPool"
	case *v1alpha1.ENIClaim:
		reference.Kind = "ENIClaim"
	case *v1alpha1.ENIPolicy:
		reference.Kind = "ENIPolicy"
	case *corev1.Node:
		reference.APIVersion, reference.Kind = "v1", "Node"
	}
	return reference
}

// teller collects what one write means.
type teller struct {
	base  Event
	found []Event
}

func newTeller(before, after client.Object) *teller {
	t := &teller{}
	t.base, _ = about(after)
	was, _ := about(before)
	t.base.Before = was.After
	// What it leaves is as good a name as what it enters.
	t.base.ENI, t.base.ENIID = cmp.Or(t.base.ENI, was.ENI), cmp.Or(t.base.ENIID, was.ENIID)
	return t
}

func (t *teller) tell(kind Type, message string, notice *Notice) {
	e := t.base
	e.Type, e.Message, e.Notice = kind, message, notice
	t.found = append(t.found, e)
}

// turned returns the condition Ready if its status or reason has changed.
func turned(before, after []metav1.Condition) (was, is *metav1.Condition) {
	was, is = meta.FindStatusCondition(before, v1alpha1.ConditionReady), meta.FindStatusCondition(after, v1alpha1.ConditionReady)
	if is == nil || (was != nil && was.Status == is.Status && was.Reason == is.Reason) {
		return was, nil
	}
	return was, is
}

func readyReason(conditions []metav1.Condition) (ready bool, reason string) {
	is := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	if is == nil {
		return false, ""
	}
	return is.Status == metav1.ConditionTrue, is.Reason
}

func stateOfENI(eni *v1alpha1.ElasticNetworkInterface) ENIState {
	status := &eni.Status
	state := ENIState{State: status.State, Mode: eni.Spec.Mode, Primary: eni.Primary(), AddressCount: status.AddressCount}
	state.Ready, state.Reason = readyReason(status.Conditions)
	if at := status.Attachment; at != nil {
		index := at.DeviceIndex
		state.DeviceIndex = &index
	}
	if record := status.Creation; record != nil {
		state.Attempt, state.ErrorCode = record.Attempt, record.Refused
	}
	if last := len(status.Transitions) - 1; last >= 0 {
		state.Since = status.Transitions[last].At.Time
	}
	return state
}

func ofENI(before, after *v1alpha1.ElasticNetworkInterface) []Event {
	t := newTeller(before, after)
	was, is := stateOfENI(before), stateOfENI(after)
	if is.Attempt > was.Attempt {
		t.tell(ENICreationAttempted, "", nil)
	}
	if is.ErrorCode != "" && (is.ErrorCode != was.ErrorCode || is.Attempt != was.Attempt) {
		t.tell(ENICreationRefused, "", nil)
	}
	if is.State != was.State {
		t.tell(ENIStateChanged, "", nil)
	}
	if is.AddressCount != was.AddressCount {
		t.tell(ENIAddressesChanged, "", nil)
	}
	t.addressesLost(before, after)
	t.eniTurned(before, after)
	return t.found
}

// addressesLost adds an event for each address that is lost. Where the whole ENI is lost,
// only the event about the ENI is a notice.
func (t *teller) addressesLost(before, after *v1alpha1.ElasticNetworkInterface) {
	for _, name := range after.Status.Lost {
		if slices.Contains(before.Status.Lost, name) {
			continue
		}
		if after.Status.State == v1alpha1.ENILost {
			t.tell(ENIAddressLost, "", nil)
			continue
		}
		t.tell(ENIAddressLost, fmt.Sprintf("%s vanished from %s, and EC2 does not assign it again", name, after.Status.NetworkInterfaceID),
			&Notice{Warning: true, Reason: v1alpha1.ReasonAddressLost, Action: "Assign"})
	}
}

func (t *teller) eniTurned(before, after *v1alpha1.ElasticNetworkInterface) {
	was, is := turned(before.Status.Conditions, after.Status.Conditions)
	wasReady := was != nil && was.Status == metav1.ConditionTrue
	switch {
	case is == nil:
	case is.Status == metav1.ConditionTrue && !wasReady:
		t.tell(ENIReady, fmt.Sprintf("ENI %s is attached to %s with %d addresses",
			after.Status.NetworkInterfaceID, after.Spec.NodeName, after.Status.AddressCount),
			&Notice{Reason: v1alpha1.ReasonReady, Action: "Attach"})
	case failure(is.Reason):
		t.tell(ENIFailed, is.Message, &Notice{Warning: true, Reason: is.Reason, Action: "Reconcile"})
	case wasReady && is.Status != metav1.ConditionTrue:
		t.tell(ENINotReady, is.Message, nil)
	}
}

// failure says whether an ENI's reason is a trouble that a person should hear of.
func failure(reason string) bool {
	switch reason {
	case v1alpha1.ReasonUnauthorized, v1alpha1.ReasonSubnetExhausted, v1alpha1.ReasonInvalidParameter,
		v1alpha1.ReasonQuotaExceeded, v1alpha1.ReasonNotFound, v1alpha1.ReasonNoFreeDeviceIndex,
		v1alpha1.ReasonNodeUnknown, v1alpha1.ReasonEC2Error:
		return true
	default:
		return false
	}
}

func stateOfPool(pool *v1alpha1.ENIPool) PoolState {
	state := PoolState{Policy: pool.Spec.PolicyName, Zone: pool.Status.AvailabilityZone, ENIs: pool.Status.ENICount}
	state.Ready, state.Reason = readyReason(pool.Status.Conditions)
	if pool.Status.Shared != nil {
		state.Shared = *pool.Status.Shared
	}
	if pool.Status.Exclusive != nil {
		state.Exclusive = *pool.Status.Exclusive
	}
	return state
}

func ofPool(before, after *v1alpha1.ENIPool) []Event {
	t := newTeller(before, after)
	was, is := stateOfPool(before), stateOfPool(after)
	is.EvictedAddresses, is.EvictedENIs = evictedAddresses(before, after), evictedENIs(before, after)
	t.base.After = is
	resized := is.ENIs != was.ENIs || is.Shared != was.Shared || is.Exclusive != was.Exclusive
	if resized || is.EvictedAddresses+is.EvictedENIs > 0 {
		t.tell(PoolResized, "", nil)
	}
	switch _, turn := turned(before.Status.Conditions, after.Status.Conditions); {
	case turn == nil:
	case turn.Status == metav1.ConditionTrue:
		t.tell(PoolReady, fmt.Sprintf("The pool holds its minimum on %d ENIs", readyENIs(&after.Status)),
			&Notice{Reason: turn.Reason, Action: "Fill"})
	case turn.Reason == v1alpha1.ReasonENIsNotReady || v1alpha1.Underway(turn.Reason):
		t.tell(PoolNotReady, turn.Message, nil)
	default:
		t.tell(PoolNotReady, turn.Message, &Notice{Warning: true, Reason: turn.Reason, Action: "Reconcile"})
	}
	return t.found
}

// readyENIs counts the ENIs that are ready: more may be on their way.
func readyENIs(status *v1alpha1.ENIPoolStatus) int {
	count := 0
	for i := range status.ENIs {
		if status.ENIs[i].Ready {
			count++
		}
	}
	return count
}

// evictedAddresses counts the addresses that began to be given back. Both lists are
// sorted by address.
func evictedAddresses(before, after *v1alpha1.ENIPool) int32 {
	count, earlier := int32(0), before.Status.Addresses
	for i := range after.Status.Addresses {
		is := &after.Status.Addresses[i]
		if is.State != v1alpha1.HolderReleasing {
			continue
		}
		at, found := slices.BinarySearchFunc(earlier, is.Address, func(was v1alpha1.PoolAddress, address v1alpha1.Address) int {
			return strings.Compare(string(was.Address), string(address))
		})
		if !found || earlier[at].State != v1alpha1.HolderReleasing {
			count++
		}
	}
	return count
}

// evictedENIs counts the ENIs that began to be given back.
func evictedENIs(before, after *v1alpha1.ENIPool) int32 {
	count := int32(0)
	for i := range after.Status.ENIs {
		is := &after.Status.ENIs[i]
		earlier := slices.IndexFunc(before.Status.ENIs, func(was v1alpha1.PoolENI) bool { return was.Name == is.Name })
		if is.State == v1alpha1.PoolENIReleasing && earlier >= 0 && before.Status.ENIs[earlier].State != v1alpha1.PoolENIReleasing {
			count++
		}
	}
	return count
}

func stateOfClaim(claim *v1alpha1.ENIClaim) ClaimState {
	state := ClaimState{Phase: claim.Status.Phase, Mode: claim.Spec.Mode, Address: claim.Status.Address}
	_, state.Reason = readyReason(claim.Status.Conditions)
	return state
}

func ofClaim(before, after *v1alpha1.ENIClaim) []Event {
	t := newTeller(before, after)
	// One that is deleted waits for nothing: the next that is heard of it is its end.
	if before.Status.Phase != after.Status.Phase && after.DeletionTimestamp.IsZero() {
		t.claimEntered(before, after)
	}
	lost := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionAddressLost)
	if lost != nil && lost.Status == metav1.ConditionTrue && !meta.IsStatusConditionTrue(before.Status.Conditions, lost.Type) {
		t.tell(ClaimAddressLost, lost.Message, &Notice{Warning: true, Reason: lost.Reason, Action: "Assign"})
	}
	return t.found
}

// claimEntered tells of a claim's new phase.
func (t *teller) claimEntered(before, after *v1alpha1.ENIClaim) {
	message := ""
	if ready := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		message = ready.Message
	}
	switch after.Status.Phase {
	case v1alpha1.ClaimPending:
		t.tell(ClaimPending, message, nil)
	case v1alpha1.ClaimBound:
		t.tell(ClaimBound, message, nil)
	case v1alpha1.ClaimLost:
		t.tell(ClaimLost, message, &Notice{Warning: true, Reason: v1alpha1.ReasonNodeGone, Action: "Bind"})
	case v1alpha1.ClaimExpired:
		message = fmt.Sprintf("The lease was not renewed in time: %s goes back to the pool", cmp.Or(before.Status.Address, "what it held"))
		t.tell(ClaimExpired, message, &Notice{Warning: true, Reason: v1alpha1.ReasonExpired, Action: "Expire"})
	}
}

func stateOfPolicy(policy *v1alpha1.ENIPolicy) PolicyState {
	state := PolicyState{Nodes: policy.Status.Nodes, ReadyPools: policy.Status.ReadyPools}
	state.Ready, state.Reason = readyReason(policy.Status.Conditions)
	return state
}

func ofPolicy(before, after *v1alpha1.ENIPolicy) []Event {
	t := newTeller(before, after)
	if _, turn := turned(before.Status.Conditions, after.Status.Conditions); turn != nil {
		kind := PolicyNotReady
		if turn.Status == metav1.ConditionTrue {
			kind = PolicyReady
		}
		t.tell(kind, turn.Message, nil)
	}
	return t.found
}
