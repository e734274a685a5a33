/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package metrics

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/events"
)

var start = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

// shown are the samples of a metric, as a scrape shows them: of a histogram, count
// and sum.
func shown(t *testing.T, name string) string {
	t.Helper()
	families, err := metrics.Registry.Gather()
	assert.NilError(t, err)
	var lines []string
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			lines = append(lines, labelsOf(m)+" "+valueOf(m))
		}
	}
	return strings.Join(lines, "\n")
}

func labelsOf(m *dto.Metric) string {
	var labels []string
	for _, label := range m.GetLabel() {
		labels = append(labels, label.GetName()+"="+label.GetValue())
	}
	return strings.Join(labels, ",")
}

func valueOf(m *dto.Metric) string {
	switch {
	case m.GetHistogram() != nil:
		return fmt.Sprintf("%d/%gs", m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum())
	case m.GetCounter() != nil:
		return fmt.Sprint(m.GetCounter().GetValue())
	default:
		return fmt.Sprint(m.GetGauge().GetValue())
	}
}

// world is a tracker with a clock; what earlier tests counted is forgotten.
type world struct {
	*Tracker
	t     *testing.T
	clock *clocktesting.FakePassiveClock
}

func newWorld(t *testing.T) *world {
	t.Helper()
	for _, vector := range []interface{ Reset() }{eniCreation, eniAttempts, eniRefusals, eniStates, eniObservations, eniFailures,
		poolSetup, poolUpdate, poolEvictedAddresses, poolEvictedENIs, claimBind, claimLosses, claimExpirations, ec2Calls, ec2Errors, ec2Throttles, ec2Waits} {
		vector.Reset()
	}
	clk := clocktesting.NewFakePassiveClock(start)
	return &world{Tracker: NewTracker(clk), t: t, clock: clk}
}

func (w *world) after(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

// appears says that the cache shows an object that is new.
func (w *world) appears(uid string) {
	w.Handler().OnAdd(&v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid)}}, false)
}

func (w *world) hears(kind events.Type, uid string, before, after events.State) {
	w.Hear(w.t.Context(), events.Event{
		Type: kind, Timestamp: w.clock.Now(), Before: before, After: after,
		// What Kubernetes says is to the second; here it is well before.
		Object: events.Reference{UID: types.UID(uid), Created: start.Add(-time.Hour)},
	})
}

func (w *world) shows(name, want string) {
	w.t.Helper()
	assert.Equal(w.t, shown(w.t, name), want, name)
}

func TestAnENIsLife(t *testing.T) {
	w := newWorld(t)
	was := events.ENIState{Mode: v1alpha1.ModeShared}
	is := func(change func(*events.ENIState)) events.ENIState {
		next := was
		change(&next)
		return next
	}
	step := func(kind events.Type, change func(*events.ENIState)) {
		next := is(change)
		w.hears(kind, "eni", was, next)
		was = next
	}
	w.appears("eni")
	w.Looked("eni")
	step(events.ENIStateChanged, func(s *events.ENIState) { s.State = v1alpha1.ENICreating })
	step(events.ENICreationAttempted, func(s *events.ENIState) { s.Attempt = 1 })
	w.after(2 * time.Second)
	w.Looked("eni")
	step(events.ENICreationRefused, func(s *events.ENIState) { s.ErrorCode = "InsufficientFreeAddressesInSubnet" })
	step(events.ENIFailed, func(s *events.ENIState) { s.Reason = v1alpha1.ReasonSubnetExhausted })
	w.Looked("eni")
	step(events.ENICreationAttempted, func(s *events.ENIState) { s.Attempt, s.ErrorCode = 2, "" })
	w.after(1500 * time.Millisecond)
	step(events.ENIStateChanged, func(s *events.ENIState) { s.State = v1alpha1.ENIAttaching })
	w.after(4 * time.Second)
	step(events.ENIStateChanged, func(s *events.ENIState) { s.State = v1alpha1.ENIAttached })
	step(events.ENIReady, func(s *events.ENIState) { s.Ready, s.Reason = true, v1alpha1.ReasonReady })
	w.shows("eni_creation_seconds", "type=shared 1/7.5s")
	w.shows("eni_observations_until_ready", "type=shared 1/3s")
	w.shows("eni_creation_attempts_total", "type=shared 2")
	w.shows("eni_creation_errors_total", "code=InsufficientFreeAddressesInSubnet,type=shared 1")
	w.shows("eni_failures_total", "reason=SubnetExhausted 1")
	w.shows("eni_state_seconds", "state=Attaching 1/4s\nstate=Creating 1/3.5s")

	// Ready again, after a trouble: it was made once.
	w.after(time.Hour)
	step(events.ENIReady, func(*events.ENIState) {})
	w.shows("eni_creation_seconds", "type=shared 1/7.5s")

	step(events.ENIStateChanged, func(s *events.ENIState) { s.State = v1alpha1.ENIDeleting })
	w.after(3 * time.Second)
	step(events.ENIGone, func(*events.ENIState) {})
	w.shows("eni_state_seconds", "state=Attached 1/3600s\nstate=Attaching 1/4s\nstate=Creating 1/3.5s\nstate=Deleting 1/3s")
	assert.Equal(t, len(w.appeared)+len(w.looks)+len(w.entered), 0, "something is kept of what is gone")
}

// TestAfterARestart: what began before is measured by what Kubernetes kept.
func TestAfterARestart(t *testing.T) {
	w := newWorld(t)
	before := events.ENIState{Mode: v1alpha1.ModeExclusive, State: v1alpha1.ENIAttaching, Since: start.Add(-10 * time.Second)}
	w.Handler().OnAdd(&v1alpha1.ElasticNetworkInterface{ObjectMeta: metav1.ObjectMeta{UID: "eni"}}, true)
	w.Looked("eni")
	w.hears(events.ENIStateChanged, "eni", before, events.ENIState{Mode: v1alpha1.ModeExclusive, State: v1alpha1.ENIAttached})
	w.hears(events.ENIReady, "eni", before, events.ENIState{Mode: v1alpha1.ModeExclusive, State: v1alpha1.ENIAttached, Ready: true})
	w.shows("eni_state_seconds", "state=Attaching 1/10s")
	w.shows("eni_creation_seconds", "type=exclusive 1/3600s")
	w.hears(events.ClaimBound, "claim", events.ClaimState{}, events.ClaimState{Mode: v1alpha1.ModeShared})
	w.shows("eni_claim_bind_seconds", "mode=shared 1/3600s")
}

func TestAPoolsLife(t *testing.T) {
	w := newWorld(t)
	w.appears("pool")
	unready := func(capacity, desired int32) events.PoolState {
		return events.PoolState{Reason: v1alpha1.ReasonENIsNotReady, Shared: v1alpha1.SharedStatus{Capacity: capacity, Desired: desired}}
	}
	isReady := func(capacity, desired int32) events.PoolState {
		return events.PoolState{Ready: true, Reason: v1alpha1.ReasonReady, Shared: v1alpha1.SharedStatus{Capacity: capacity, Desired: desired}}
	}
	w.after(time.Second)
	w.hears(events.PoolResized, "pool", events.PoolState{}, unready(0, 8))
	w.after(5 * time.Second)
	w.hears(events.PoolResized, "pool", unready(0, 8), isReady(8, 8))
	w.shows("ip_pool_setup_seconds", " 1/6s")
	w.shows("ip_pool_update_seconds", " 1/5s")

	w.after(time.Hour)
	shrinks := isReady(8, 6)
	shrinks.EvictedAddresses, shrinks.EvictedENIs = 2, 1
	w.hears(events.PoolResized, "pool", isReady(8, 8), shrinks)
	w.after(2 * time.Second)
	w.hears(events.PoolResized, "pool", shrinks, isReady(6, 6))
	w.shows("ip_pool_evicted_addresses_total", " 2")
	w.shows("ip_pool_evicted_enis_total", " 1")
	w.shows("ip_pool_update_seconds", " 2/7s")
	// Set up once, however often it becomes ready.
	w.hears(events.PoolReady, "pool", unready(6, 6), isReady(6, 6))
	w.shows("ip_pool_setup_seconds", " 1/6s")
	w.hears(events.PoolGone, "pool", isReady(6, 6), isReady(6, 6))
	assert.Equal(t, len(w.appeared)+len(w.unequal)+len(w.settingUp), 0)
}

func TestClaims(t *testing.T) {
	w := newWorld(t)
	w.appears("a")
	w.after(40 * time.Millisecond)
	w.hears(events.ClaimBound, "a", events.ClaimState{}, events.ClaimState{Mode: v1alpha1.ModeShared})
	w.shows("eni_claim_bind_seconds", "mode=shared 1/0.04s")
	w.hears(events.ClaimLost, "a", events.ClaimState{}, events.ClaimState{Mode: v1alpha1.ModeShared})
	w.shows("eni_claims_lost_total", "mode=shared 1")
	w.hears(events.ClaimExpired, "a", events.ClaimState{}, events.ClaimState{Mode: v1alpha1.ModeExclusive})
	w.shows("eni_claims_expired_total", "mode=exclusive 1")

	// Deleted while it waited, also where the watch missed it.
	w.appears("b")
	w.Handler().OnDelete(toolscache.DeletedFinalStateUnknown{Obj: &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{UID: "b"}}})
	w.hears(events.ClaimReleased, "a", events.ClaimState{}, events.ClaimState{})
	assert.Equal(t, len(w.appeared), 0)
}

func TestEC2(t *testing.T) {
	newWorld(t)
	EC2{}.Answered("AttachNetworkInterface", 300*time.Millisecond, nil)
	EC2{}.Answered("AttachNetworkInterface", time.Second, errors.New("the connection broke"))
	Batched("DescribeInstances", 7)
	assert.Equal(t, shown(t, "eni_operator_ec2_call_seconds"), "action=AttachNetworkInterface 2/1.3s")
	assert.Equal(t, shown(t, "eni_operator_ec2_errors_total"), "action=AttachNetworkInterface,code=none 1")
	assert.Equal(t, shown(t, "eni_operator_ec2_throttles_total"), "")
	assert.Equal(t, codeLabel("InvalidNetworkInterfaceID.NotFound"), "InvalidNetworkInterfaceID.NotFound")
	assert.Equal(t, codeLabel("SomethingThatEC2InventsTomorrow"), "other")
}
