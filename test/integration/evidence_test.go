/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

const (
	// fleetSize is how many nodes stand in for a cluster.
	fleetSize = 20
	// warnedWithin is how long the operator may take to say that EC2 is not trusted, and
	// to go on once it is again.
	warnedWithin = 30 * time.Second
	// wrongFor is how long EC2 stays wrong: many audits and visibility windows of these
	// tests.
	wrongFor = 5 * time.Second
)

// fleet is a cluster with bound claims, and what it looked like before EC2 went wrong.
type fleet struct {
	*scenario
	policy    *v1alpha1.ENIPolicy
	claims    []*v1alpha1.ENIClaim
	enis      []v1alpha1.ElasticNetworkInterface
	mutations map[string]int
}

// fleetOf makes nodes with a shared and an exclusive claim each.
func fleetOf(s *scenario, nodes int) *fleet {
	s.t.Helper()
	f := &fleet{scenario: s, policy: s.policy(sharing(3, 9), exclusive(1, 1))}
	s.create(f.policy)
	var names []string
	for range nodes {
		name, _ := s.machine("m5.large")
		names = append(names, name)
	}
	for _, name := range names {
		s.awaitReady(name)
		f.claims = append(f.claims, s.bind(name, v1alpha1.ModeShared, name+"-web")...)
		f.claims = append(f.claims, s.bind(name, v1alpha1.ModeExclusive, name+"-router")...)
	}
	eventually(s.t, "everything agrees", func() error { return s.consistent(s.t.Context()) })
	f.enis = s.resources(s.t.Context())
	f.mutations = s.mutations()
	return f
}

// isUnderTheBrake waits until policy and pools say that EC2 is not trusted.
func (f *fleet) isUnderTheBrake(reason string) {
	f.t.Helper()
	eventuallyWithin(f.t, warnedWithin, glance, "the policy says that EC2 is not trusted", func() error {
		if err := f.Get(f.t.Context(), key(f.policy), f.policy); err != nil {
			return err
		}
		return conditionIs(f.policy.Status.Conditions, v1alpha1.ConditionEC2Trusted, metav1.ConditionFalse, reason)
	})
	for _, node := range f.nodes {
		f.awaitCondition(node, v1alpha1.ConditionEC2Trusted, metav1.ConditionFalse, reason)
	}
	f.awaitEvent(f.policy.Name, reason)
}

// isUnchanged checks that no claim, no ENI and nothing in EC2 was changed.
func (f *fleet) isUnchanged() {
	f.t.Helper()
	for _, claim := range f.claims {
		now := &v1alpha1.ENIClaim{}
		assert.NilError(f.t, f.Get(f.t.Context(), key(claim), now))
		assert.Equal(f.t, now.ResourceVersion, claim.ResourceVersion, "claim %s was written: %+v", claim.Name, now.Status)
	}
	enis := f.resources(f.t.Context())
	assert.Equal(f.t, len(enis), len(f.enis))
	for i := range enis {
		assert.Equal(f.t, enis[i].UID, f.enis[i].UID)
		assert.Equal(f.t, enis[i].Status.NetworkInterfaceID, f.enis[i].Status.NetworkInterfaceID)
		assert.Assert(f.t, enis[i].DeletionTimestamp.IsZero())
	}
	assert.DeepEqual(f.t, f.scenario.mutations(), f.mutations)
}

// goesOn waits until the fleet serves a new claim again, and checks that all others
// kept what they had.
func (f *fleet) goesOn(waiting *v1alpha1.ENIClaim) {
	f.t.Helper()
	eventuallyWithin(f.t, warnedWithin, glance, "a new claim is served", func() error {
		if err := f.Get(f.t.Context(), key(waiting), waiting); err != nil {
			return err
		}
		return differ("its phase", waiting.Status.Phase, v1alpha1.ClaimBound)
	})
	for _, node := range f.nodes {
		f.awaitCondition(node, v1alpha1.ConditionEC2Trusted, metav1.ConditionTrue, v1alpha1.ReasonEC2Agrees)
		f.awaitReady(node)
	}
	f.isUnchanged()
}

// theRegionIsWrong restarts the operator with another Region, and then with the right
// one.
func theRegionIsWrong(t *testing.T) {
	w := newWorldApart(t, emulator.Timings{})
	o := startOperator(t, w, w.http.URL)
	o.awaitReady()
	f := fleetOf(w.tell(t, "region"), fleetSize)
	o.kill()

	metrics := freeAddress(t)
	wrong := startOperatorWith(t, w, w.http.URL, []string{"AWS_REGION=us-west-2"}, "--metrics-bind-address="+metrics, "--metrics-secure=false")
	f.isUnderTheBrake(v1alpha1.ReasonOtherRegion)
	f.brakeIsAnnounced(wrong, metrics)
	waiting := f.claimOn(f.nodes[0], "waiting", v1alpha1.ModeShared)
	f.create(waiting)
	f.awaitClaim(waiting, v1alpha1.ClaimPending, metav1.ConditionFalse, v1alpha1.ReasonOtherRegion)
	time.Sleep(wrongFor)
	f.isUnchanged()

	wrong.kill()
	startOperator(t, w, w.http.URL).awaitReady()
	f.goesOn(waiting)
	f.end()
}

// brakeIsAnnounced checks what a person on call sees.
func (f *fleet) brakeIsAnnounced(o *operator, metrics string) {
	f.t.Helper()
	status, body := o.probe("/readyz")
	assert.Equal(f.t, status, http.StatusOK, "admission must go on: %s", body)
	_, body = o.probe("/readyz?verbose")
	f.says(body, "[-]ec2-trusted")
	m := &scraper{t: f.t, address: metrics, moved: map[string]bool{}}
	eventually(f.t, "the metric says that EC2 is not trusted", func() error {
		if err := m.scrape(); err != nil {
			return err
		}
		value, found := m.samples["eni_operator_ec2_trusted"]
		return first(differ("found", found, true), differ("value", value, 0.0))
	})
}

// theEndpointAnswersEmpty puts an EC2 without anything behind the endpoint of a
// running operator, as another account would be, and then the right one again.
func theEndpointAnswersEmpty(t *testing.T) {
	w := newWorldApart(t, emulator.Timings{})
	empty := newCloud(emulator.Timings{})
	t.Cleanup(empty.stop)
	var behind atomic.Pointer[emulator.Server]
	behind.Store(w.server)
	endpoint := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		behind.Load().ServeHTTP(response, request)
	}))
	t.Cleanup(endpoint.Close)
	o := startOperator(t, w, endpoint.URL)
	o.awaitReady()
	f := fleetOf(w.tell(t, "empty"), fleetSize)

	behind.Store(empty.server)
	f.isUnderTheBrake(v1alpha1.ReasonNothingKnown)
	waiting := f.claimOn(f.nodes[0], "waiting", v1alpha1.ModeShared)
	f.create(waiting)
	f.awaitClaim(waiting, v1alpha1.ClaimPending, metav1.ConditionFalse, v1alpha1.ReasonNothingKnown)
	time.Sleep(wrongFor)
	f.isUnchanged()
	for _, call := range empty.server.Calls() {
		assert.Assert(t, !call.Mutating, "%s was sent to an EC2 that is not trusted", call.Action)
	}

	behind.Store(w.server)
	f.goesOn(waiting)
	f.end()
}

// anENIIsDeletedByHand deletes both ENIs of a node in EC2, under bound claims.
func anENIIsDeletedByHand(t *testing.T) {
	const audit = 10 * time.Second
	w := newWorldApart(t, emulator.Timings{})
	startOperator(t, w, w.http.URL, "--audit-interval="+audit.String()).awaitReady()
	s := w.tell(t, "by-hand")
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(6, 6), exclusive(1, 1)))
	s.awaitReady(node)
	claims := append(s.bind(node, v1alpha1.ModeShared, "web-1", "web-2"), s.bind(node, v1alpha1.ModeExclusive, "router")...)
	for _, id := range []string{claims[0].Status.NetworkInterfaceID, claims[2].Status.NetworkInterfaceID} {
		s.letGo(id)
	}

	for _, claim := range claims {
		eventuallyWithin(t, 2*audit, glance, "claim "+claim.Name+" says that its address is lost", func() error {
			if err := s.Get(t.Context(), key(claim), claim); err != nil {
				return err
			}
			return first(
				conditionIs(claim.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAddressLost),
				conditionIs(claim.Status.Conditions, v1alpha1.ConditionAddressLost, metav1.ConditionTrue, v1alpha1.ReasonAddressLost))
		})
	}
	eventuallyWithin(t, audit, glance, "the pool is back at its minimum", func() error {
		pool, err := s.pool(node)
		if err != nil {
			return err
		}
		if err := conditionIs(pool.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady); err != nil {
			return err
		}
		return first(differ("capacity", pool.Status.Shared.Capacity, int32(6)), differ("exclusive", pool.Status.Exclusive.Capacity, int32(1)))
	})

	successors := append(s.bind(node, v1alpha1.ModeShared, "web-3", "web-4"), s.bind(node, v1alpha1.ModeExclusive, "router-2")...)
	for i, successor := range successors {
		assert.Assert(t, successor.Status.NetworkInterfaceID != claims[i].Status.NetworkInterfaceID, fmt.Sprintf("%s is on an ENI that is gone", successor.Name))
	}
	for _, claim := range claims {
		s.remove(t.Context(), claim)
		s.awaitGone(t.Context(), claim)
	}
	s.end()
}
