/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package metrics

import (
	"context"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/events"
)

// ENIs, from what is stored of them.
var (
	eniCreation = histogram("eni_creation_seconds",
		"Seconds from the making of an ENI's resource to its first being ready. type: shared or exclusive; primary for an instance's primary ENI, which is not created but taken up.",
		lifeBuckets, "type")
	eniAttempts = counter("eni_creation_attempts_total",
		"CreateNetworkInterface attempts that were recorded; an attempt that is repeated with the same client token counts once.", "type")
	eniRefusals = counter("eni_creation_errors_total",
		"CreateNetworkInterface attempts that EC2 refused for good, by its error code. Every failed call, also one that is repeated, is in eni_operator_ec2_errors_total.",
		"type", "code")
	eniStates = histogram("eni_state_seconds",
		"Seconds that ENIs spent in a state, observed when they leave it.", lifeBuckets, "state")
	eniObservations = histogram("eni_observations_until_ready",
		"How many times the operator looked at an ENI until it was ready for the first time.",
		[]float64{1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 50, 100}, "type")
	eniFailures = counter("eni_failures_total",
		"Times that something began to keep an ENI from being what its spec asks for, by the reason of its condition Ready.", "reason")
	eniAddressesLost = counter("eni_addresses_lost_total",
		"Addresses and prefixes that vanished in EC2 and could not be had again.")
)

// Pools, from what is stored of them.
var (
	poolSetup = histogram("ip_pool_setup_seconds",
		"Seconds from the making of a pool to its first holding its minimum.", lifeBuckets)
	poolUpdate = histogram("ip_pool_update_seconds",
		"Seconds from a pool's wanting more or fewer addresses or exclusive ENIs than it has to its having what it wants.", lifeBuckets)
	poolEvictedAddresses = counter("ip_pool_evicted_addresses_total",
		"Addresses that pools began to give back to their subnets.")
	poolEvictedENIs = counter("ip_pool_evicted_enis_total",
		"ENIs that pools began to give back.")
)

// Claims, from what is stored of them.
var (
	claimBind = histogram("eni_claim_bind_seconds",
		"Seconds from a claim's appearing to its being told what it holds.", bindBuckets, "mode")
	claimLosses = counter("eni_claims_lost_total",
		"Claims that lost what they held with their node.", "mode")
	claimExpirations = counter("eni_claims_expired_total",
		"Claims whose lease was not renewed in time.", "mode")
)

// Conflicts counts writes that Kubernetes refused because the object had changed.
var Conflicts = counter("eni_operator_kubernetes_conflicts_total",
	"Writes that Kubernetes refused because the object had changed, by controller.", "controller")

// Tracker turns events into metrics. It remembers when things began that are not
// over yet; after a restart it goes by the times in their status, to the second.
type Tracker struct {
	clock clock.PassiveClock

	mu sync.Mutex
	// appeared is when an ENI or claim that is new came into the cache.
	appeared map[types.UID]time.Time
	// looks are how many times an ENI that was never ready was looked at.
	looks map[types.UID]int
	// entered is when an ENI entered its state.
	entered map[types.UID]time.Time
	// settingUp are the pools that never held their minimum, unequal those that want
	// other than they have, and since when.
	settingUp map[types.UID]time.Time
	unequal   map[types.UID]time.Time
}

// NewTracker returns a tracker that knows nothing yet.
func NewTracker(clk clock.PassiveClock) *Tracker {
	return &Tracker{
		clock: clk, appeared: map[types.UID]time.Time{}, looks: map[types.UID]int{}, entered: map[types.UID]time.Time{},
		settingUp: map[types.UID]time.Time{}, unequal: map[types.UID]time.Time{},
	}
}

// Looked counts an observation of an ENI that is on its way to being ready for the
// first time.
func (t *Tracker) Looked(uid types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.looks[uid]++
}

// Handler notes when objects come into a cache, and go: an object's own creation
// time tells no more than the second.
func (t *Tracker) Handler() toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, isInInitialList bool) {
			if made, ok := object.(client.Object); ok && !isInInitialList {
				t.mu.Lock()
				t.appeared[made.GetUID()] = t.clock.Now()
				t.mu.Unlock()
			}
		},
		DeleteFunc: func(object any) {
			if unknown, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = unknown.Obj
			}
			if gone, ok := object.(client.Object); ok {
				t.mu.Lock()
				t.forget(gone.GetUID())
				t.mu.Unlock()
			}
		},
	}
}

// forget drops what is known of an object; t.mu is held.
func (t *Tracker) forget(uid types.UID) {
	for _, known := range []map[types.UID]time.Time{t.appeared, t.entered, t.settingUp, t.unequal} {
		delete(known, uid)
	}
	delete(t.looks, uid)
}

// since is when an object appeared; t.mu is held.
func (t *Tracker) since(object events.Reference) time.Time {
	if appeared, ok := t.appeared[object.UID]; ok {
		return appeared
	}
	return object.Created
}

// Hear is a handler of the event bus.
func (t *Tracker) Hear(_ context.Context, e events.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if before, after, ok := events.Change[events.ENIState](e); ok {
		t.hearENI(e, before, after)
	}
	if before, after, ok := events.Change[events.PoolState](e); ok {
		t.hearPool(e, before, after)
	}
	if _, after, ok := events.Change[events.ClaimState](e); ok {
		t.hearClaim(e, after)
	}
}

// kindOf is the label type of an ENI.
func kindOf(mode v1alpha1.Mode, primary bool) string {
	if primary {
		return "primary"
	}
	return strings.ToLower(string(mode))
}

func (t *Tracker) hearENI(e events.Event, before, after events.ENIState) {
	kind := kindOf(after.Mode, after.Primary)
	switch e.Type {
	case events.ENICreationAttempted:
		eniAttempts.WithLabelValues(kind).Inc()
	case events.ENICreationRefused:
		eniRefusals.WithLabelValues(kind, codeLabel(after.ErrorCode)).Inc()
	case events.ENIStateChanged:
		t.enteredState(e, before)
	case events.ENIReady:
		t.eniReady(e, kind)
	case events.ENIFailed:
		eniFailures.WithLabelValues(after.Reason).Inc()
	case events.ENIAddressLost:
		eniAddressesLost.WithLabelValues().Inc()
	case events.ENIGone:
		t.enteredState(e, before)
		t.forget(e.Object.UID)
	}
}

// enteredState observes how long an ENI was in the state that it leaves.
func (t *Tracker) enteredState(e events.Event, before events.ENIState) {
	since, known := t.entered[e.Object.UID]
	if !known {
		since = before.Since
	}
	t.entered[e.Object.UID] = e.Timestamp
	if before.State != "" && !since.IsZero() {
		eniStates.WithLabelValues(string(before.State)).Observe(seconds(since, e.Timestamp))
	}
}

// eniReady observes how long an ENI took, the first time.
func (t *Tracker) eniReady(e events.Event, kind string) {
	looks, fresh := t.looks[e.Object.UID]
	if !fresh {
		return // It was ready before, or became so under another operator's eyes.
	}
	eniCreation.WithLabelValues(kind).Observe(seconds(t.since(e.Object), e.Timestamp))
	eniObservations.WithLabelValues(kind).Observe(float64(looks))
	delete(t.looks, e.Object.UID)
	delete(t.appeared, e.Object.UID)
}

func (t *Tracker) hearPool(e events.Event, before, after events.PoolState) {
	uid := e.Object.UID
	switch e.Type {
	case events.PoolResized:
		poolEvictedAddresses.WithLabelValues().Add(float64(after.EvictedAddresses))
		poolEvictedENIs.WithLabelValues().Add(float64(after.EvictedENIs))
	case events.PoolGone:
		t.forget(uid)
		return
	}
	if before.Reason == "" && !before.Ready {
		t.settingUp[uid] = t.since(e.Object) // The first status that it gets.
	}
	if began, settingUp := t.settingUp[uid]; settingUp && after.Ready {
		poolSetup.WithLabelValues().Observe(seconds(began, e.Timestamp))
		delete(t.settingUp, uid)
	}
	t.compare(e, after)
}

// compare observes how long a pool wanted other than it had.
func (t *Tracker) compare(e events.Event, after events.PoolState) {
	uid := e.Object.UID
	began, unequal := t.unequal[uid]
	equal := after.Shared.Desired == after.Shared.Capacity && after.Exclusive.Desired == after.Exclusive.Capacity
	switch {
	case !equal && !unequal:
		t.unequal[uid] = e.Timestamp
	case equal && unequal:
		poolUpdate.WithLabelValues().Observe(seconds(began, e.Timestamp))
		delete(t.unequal, uid)
	}
}

func (t *Tracker) hearClaim(e events.Event, after events.ClaimState) {
	mode := strings.ToLower(string(after.Mode))
	switch e.Type {
	case events.ClaimBound:
		claimBind.WithLabelValues(mode).Observe(seconds(t.since(e.Object), e.Timestamp))
		delete(t.appeared, e.Object.UID)
	case events.ClaimLost:
		claimLosses.WithLabelValues(mode).Inc()
	case events.ClaimExpired:
		claimExpirations.WithLabelValues(mode).Inc()
	case events.ClaimReleased:
		t.forget(e.Object.UID)
	}
}

// seconds is never negative, whatever clocks say.
func seconds(from, to time.Time) float64 { return max(to.Sub(from).Seconds(), 0) }
