/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestApart holds the scenarios that bring an operator of their own, as a process.
// They take turns on the control planes apart.
func TestApart(t *testing.T) {
	t.Parallel()
	type play struct {
		name string
		tell func(*testing.T)
	}
	next := make(chan play)
	var turns sync.WaitGroup
	for range planesApart {
		turns.Go(func() {
			for one := range next {
				t.Run(one.name, one.tell)
			}
		})
	}
	for _, one := range []play{
		{"EC2 is down at the start", ec2IsDownAtTheStart},
		{"statuses are wiped under bound claims", statusesAreWipedUnderBoundClaims},
		{"a permission is missing", aPermissionIsMissing},
		{"answers are lost and nothing is audited", answersAreLostAndNothingIsAudited},
		{"one ENI, whatever becomes of its creation", oneENIWhateverBecomesOfItsCreation},
		{"the operator crashes while it creates", crashWhileCreating},
		{"the operator crashes while it deletes", crashWhileDeleting},
		{"a restart changes nothing", aRestartChangesNothing},
		{"a restart begins with the snapshot", aRestartBeginsWithTheSnapshot},
		{"a lease counts anew after each failover", aLeaseCountsAnewAfterEachFailover},
		{"a stuck detach is forced", aStuckDetachIsForced},
		{"a node that stays away is given up", aNodeThatStaysAwayIsGivenUp},
		{"a burst while the operator is down costs what it must", aBurstCostsWhatItMust},
		{"two operators fight", twoOperatorsFight},
		{"the Region is wrong", theRegionIsWrong},
		{"the endpoint answers empty", theEndpointAnswersEmpty},
		{"an ENI is deleted by hand", anENIIsDeletedByHand},
		{"every metric moves", everyMetricMoves},
		{"debug endpoints ask Kubernetes", debugEndpointsAskKubernetes},
	} {
		next <- one
	}
	close(next)
	turns.Wait()
}

func ec2IsDownAtTheStart(t *testing.T) {
	w := newWorldApart(t, emulator.Timings{})
	address := freeAddress(t)
	o := startOperator(t, w, "http://"+address)
	s := w.tell(t, "ec2-down")
	node, _ := s.machine("t3.medium")
	policy := s.policy(sharing(2, 4))
	s.create(policy)
	claim := s.claimOn(node, "web", v1alpha1.ModeShared)
	s.create(claim)

	eventually(t, "the operator is ready for admission, and alive", func() error {
		ready, _ := o.probe("/readyz")
		alive, _ := o.probe("/healthz")
		return first(differ("/readyz", ready, http.StatusOK), differ("/healthz", alive, http.StatusOK))
	})
	eventually(t, "/readyz?verbose says that EC2 is not read", func() error {
		_, body := o.probe("/readyz?verbose")
		return first(differ("[-]ec2", strings.Contains(body, "[-]ec2 "), true), differ("[-]ec2-trusted", strings.Contains(body, "[-]ec2-trusted"), true))
	})
	eventually(t, "the policy says why nothing is done", func() error {
		if err := s.Get(t.Context(), key(policy), policy); err != nil {
			return err
		}
		return conditionIs(policy.Status.Conditions, v1alpha1.ConditionEC2Trusted, metav1.ConditionFalse, v1alpha1.ReasonEC2NotReached)
	})
	eventually(t, "the log says what is missing, again and again", func() error {
		lines := strings.Count(o.log(), "Waiting for EC2")
		return differ("twice", lines >= 2, true)
	})
	s.says(o.log(), "connection refused", "DescribeNetworkInterfaces", address)
	s.awaitPool(node, "is made", func(*v1alpha1.ENIPool) error { return nil })
	assert.Equal(t, len(s.resources(t.Context())), 0, "nothing is done before EC2 is known")

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	assert.NilError(t, err)
	late := &httptest.Server{Listener: listener, Config: &http.Server{Handler: w.server, ReadHeaderTimeout: patience}}
	late.Start()
	t.Cleanup(late.Close)
	o.awaitReady()
	s.awaitReady(node)
	s.awaitBound(claim)
	s.end()
}

func aPermissionIsMissing(t *testing.T) {
	w := newWorldApart(t, emulator.Timings{})
	startOperator(t, w, w.http.URL).awaitReady()
	for _, action := range []string{"CreateNetworkInterface", "AttachNetworkInterface", "DescribeInstances"} {
		t.Run(action, func(t *testing.T) {
			s := w.tell(t, "denied-"+strings.ToLower(action))
			node, _ := s.machine("t3.medium")
			w.server.Deny(action)
			t.Cleanup(func() { w.server.Allow(action) })
			s.create(s.policy(sharing(2, 4)))

			message := s.awaitCondition(node, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnauthorized)
			s.says(message, "Allow ec2:"+action+" for the operator's IAM identity")
			s.awaitEvent(node, v1alpha1.ReasonUnauthorized, "ec2:"+action)
			if action != "DescribeInstances" {
				s.awaitEvent(s.resources(t.Context())[0].Name, v1alpha1.ReasonUnauthorized, "ec2:"+action)
				s.backsOff(action, "")
			}

			w.server.Allow(action)
			s.awaitReady(node)
			s.end()
			w.server.ResetCalls()
		})
	}
}

func answersAreLostAndNothingIsAudited(t *testing.T) {
	w := newWorldApart(t, emulator.Timings{})
	startOperator(t, w, w.http.URL, "--audit-interval=1h").awaitReady()
	s := w.tell(t, "lost")
	s.disturb(emulator.Fault{Action: "CreateNetworkInterface", LoseAnswer: true, Count: 2})
	s.disturb(emulator.Fault{Action: "AttachNetworkInterface", LoseAnswer: true, Count: 1})
	node, _ := s.machine("m5.large")
	policy := s.policy(sharing(3, 9))
	s.create(policy)
	s.awaitReady(node)

	calls := s.operatorCalls("CreateNetworkInterface", s.home.id)
	assert.Equal(t, len(calls), 3, "two answers were lost")
	for _, call := range calls {
		assert.DeepEqual(t, call.Params, calls[0].Params)
	}
	assert.Equal(t, len(s.ours(t.Context())), 1)
	assert.Equal(t, len(s.operatorCalls("AttachNetworkInterface", "")), 1)

	s.disturb(emulator.Fault{Action: "AssignPrivateIpAddresses", LoseAnswer: true, Count: 1})
	s.update(policy, func() { policy.Spec.Shared.MinimumIPs = 7 })
	s.awaitPool(node, "has grown", func(pool *v1alpha1.ENIPool) error { return differ("capacity", pool.Status.Shared.Capacity, int32(7)) })
	assert.Equal(t, len(s.operatorCalls("AssignPrivateIpAddresses", "")), 1)
	s.end()
}

// slowWrites leave time to end the operator between a call's effect and its answer.
func slowWrites() emulator.Timings {
	pause := emulator.Span{Min: 100 * time.Millisecond, Max: 200 * time.Millisecond}
	return emulator.Timings{Latency: emulator.Latency{Writes: pause}}
}

// crashAfter kills the operator once it has made a number of calls of an action,
// whose last answer is still on its way.
func (s *scenario) crashAfter(o *operator, action string, calls int) {
	s.t.Helper()
	eventually(s.t, "the operator calls "+action, func() error {
		return differ("enough", len(s.operatorCalls(action, "")) >= calls, true)
	})
	o.kill()
}

func crashWhileCreating(t *testing.T) {
	w := newWorldApart(t, slowWrites())
	s := w.tell(t, "crash-create")
	var nodes []string
	for range 3 {
		node, _ := s.machine("m5.large")
		nodes = append(nodes, node)
	}
	s.create(s.policy(sharing(3, 9), exclusive(1, 1)))
	for i, action := range []string{"CreateNetworkInterface", "AttachNetworkInterface", "ModifyNetworkInterfaceAttribute"} {
		s.crashAfter(startOperator(t, w, w.http.URL), action, 1+i)
	}
	startOperator(t, w, w.http.URL)
	for _, node := range nodes {
		s.awaitReady(node)
		s.bind(node, v1alpha1.ModeShared, node+"-web")
		s.bind(node, v1alpha1.ModeExclusive, node+"-router")
	}
	assert.Equal(t, len(s.ours(t.Context())), 6)
	s.end()
}

func crashWhileDeleting(t *testing.T) {
	w := newWorldApart(t, slowWrites())
	o := startOperator(t, w, w.http.URL)
	s := w.tell(t, "crash-delete")
	var pools []*v1alpha1.ENIPool
	for range 3 {
		node, _ := s.machine("m5.large")
		pools = append(pools, &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: node}})
	}
	s.create(s.policy(sharing(3, 9), exclusive(1, 1)))
	for _, pool := range pools {
		s.awaitReady(pool.Name)
		s.bind(pool.Name, v1alpha1.ModeShared, pool.Name+"-web")
	}
	for _, claim := range s.claims(t.Context()) {
		s.remove(t.Context(), &claim)
	}
	s.remove(t.Context(), s.policy())
	s.crashAfter(o, "DetachNetworkInterface", 1)
	s.crashAfter(startOperator(t, w, w.http.URL), "DeleteNetworkInterface", 1)
	startOperator(t, w, w.http.URL)
	for _, pool := range pools {
		s.awaitGone(t.Context(), pool)
	}
	assert.Equal(t, len(s.ours(t.Context())), 0)
	s.end()
}

func aRestartChangesNothing(t *testing.T) {
	w := newWorldApart(t, emulator.Timings{})
	o := startOperator(t, w, w.http.URL)
	o.awaitReady()
	s := w.tell(t, "restart")
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(3, 9), exclusive(1, 1)))
	s.awaitReady(node)
	claims := append(s.bind(node, v1alpha1.ModeShared, "web"), s.bind(node, v1alpha1.ModeExclusive, "router")...)
	eventually(t, "everything agrees", func() error { return s.consistent(t.Context()) })
	s.checkCallsPerENI()
	before := s.mutations()

	o.kill()
	again := startOperator(t, w, w.http.URL)
	again.awaitReady()
	s.bind(node, v1alpha1.ModeShared, "after") // When this is bound, the others were looked at.
	assert.DeepEqual(t, s.mutations(), before)
	for _, claim := range claims {
		was := claim.Status
		s.awaitBound(claim)
		assert.DeepEqual(t, claim.Status, was)
	}
	assert.Assert(t, !strings.Contains(again.log(), "panic"))
	s.end()
}

func aNodeThatStaysAwayIsGivenUp(t *testing.T) {
	w := newWorldApart(t, emulator.Timings{})
	startOperator(t, w, w.http.URL, "--node-gone-grace=500ms").awaitReady()
	s := w.tell(t, "given-up")
	node, instance := s.machine("m5.large")
	s.create(s.policy(sharing(3, 9)))
	pool := s.awaitReady(node)
	claim := s.bind(node, v1alpha1.ModeShared, "web")[0]
	s.unregister(node)
	s.awaitGone(t.Context(), pool)
	s.awaitClaim(claim, v1alpha1.ClaimLost, metav1.ConditionFalse, v1alpha1.ReasonNodeGone)
	assert.Equal(t, len(s.ours(t.Context())), 0)
	running := s.interfaces(t.Context(), "attachment.instance-id", instance)
	assert.Equal(t, len(running), 1, "the instance lives, and keeps its primary ENI")

	t.Log("When it comes back it gets a pool again")
	s.nodes = slices.DeleteFunc(s.nodes, func(name string) bool { return name == node })
	s.register(node, instance)
	s.awaitReady(node)
	s.end()
}
