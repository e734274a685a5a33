/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// of puts a claim into a namespace, which the policy admits.
func of(namespace string) func(*v1alpha1.ENIClaim) {
	return func(claim *v1alpha1.ENIClaim) { claim.Namespace = namespace }
}

func admitting(namespaces ...string) func(*fixture) {
	return func(f *fixture) {
		for _, namespace := range namespaces {
			f.allowed[namespace] = true
		}
	}
}

func perNamespace(shared, exclusive int32) func(*fixture) {
	return func(f *fixture) {
		if shared > 0 {
			f.pool.Spec.Shared.MaximumPerNamespace = ptr.To(shared)
		}
		if exclusive > 0 {
			f.pool.Spec.Exclusive.MaximumPerNamespace = ptr.To(exclusive)
		}
	}
}

// TestNamespacesShareANode: what is scarce goes to the namespace that has the least, and
// none gets more than the policy allows, nor has the pool grow for it.
func TestNamespacesShareANode(t *testing.T) {
	for _, row := range []struct {
		name string
		of   *fixture
		// served are the claims that get something in this round.
		served string
		// desired is how many addresses the pool wants.
		desired int32
		// last is why the last claim waits; empty: it does not.
		last string
	}{
		{
			name: "the crowd's oldest claim waits for a namespace that has nothing",
			of: newFixture().bounds(0, 0, 3).eni(1, 1, 3).holds(1, map[string]int{"x": 1, "y": 2}).
				claim("crowd", time.Hour).claim("lone", time.Minute, of("bank")).change(admitting("bank")),
			served: "lone", desired: 3,
		},
		{
			name: "namespaces take turns, the oldest claim of each first",
			of: newFixture().bounds(0, 0, 3).eni(1, 1, 3).claim("a3", 3*time.Minute).claim("a2", 4*time.Minute).claim("a1", 5*time.Minute).
				claim("b2", time.Minute, of("bank")).claim("b1", 2*time.Minute, of("bank")).change(admitting("bank")),
			served: "a1 a2 b1", desired: 3,
		},
		{
			name: "a claim that chose an address that nobody has takes no turn",
			of: newFixture().bounds(0, 0, 2).eni(1, 1, 2).claim("hopeless", time.Hour, wants("10.0.9.9")).claim("a", time.Minute).
				claim("b1", 3*time.Minute, of("bank")).claim("b2", 2*time.Minute, of("bank")).change(admitting("bank")),
			served: "a b1", desired: 2, last: v1alpha1.ReasonPoolAtMaximum,
		},
		{
			name: "what rests counts: a loop of claims that come and go is no way to be first",
			of: newFixture().bounds(0, 0, 3).eni(1, 1, 3).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
				record(1, 1, v1alpha1.HolderCooling, "x", time.Second).record(1, 2, v1alpha1.HolderCooling, "y", time.Second).
				claim("loop", time.Hour).claim("lone", time.Minute, of("bank")).change(admitting("bank")),
			served: "lone", desired: 3,
		},
		{
			name: "a namespace gets its maximum, and the pool does not grow for more",
			of: newFixture().bounds(0, 0, 20).eni(1, 1, 5).claimsNamed("a", "b", "c", "d").
				change(perNamespace(2, 0)),
			served: "a b", desired: 2, last: v1alpha1.ReasonNamespaceAtMaximum,
		},
		{
			name: "the pool grows for what is left of a namespace's maximum",
			of: newFixture().bounds(0, 0, 20).eni(1, 1, 1).claimsNamed("a", "b", "c", "d").
				change(perNamespace(3, 0)),
			served: "a", desired: 3, last: v1alpha1.ReasonPoolGrowing,
		},
		{
			name: "what rests counts against the maximum",
			of: newFixture().bounds(0, 0, 20).eni(1, 1, 5).entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive).
				record(1, 1, v1alpha1.HolderCooling, "x", time.Second).claimsNamed("a", "b").change(perNamespace(2, 0)),
			served: "a", desired: 2, last: v1alpha1.ReasonNamespaceAtMaximum,
		},
		{
			name: "by name neither",
			of: newFixture().bounds(0, 0, 20).eni(1, 1, 5).holds(1, map[string]int{"x": 1}).claim("a", time.Minute, wants("10.0.1.3")).
				change(perNamespace(1, 0)),
			desired: 1, last: v1alpha1.ReasonNamespaceAtMaximum,
		},
		{
			name: "other namespaces are served while one has its maximum",
			of: newFixture().bounds(0, 0, 20).eni(1, 1, 5).holds(1, map[string]int{"x": 1}).claim("a", time.Hour).
				claim("lone", time.Minute, of("bank")).change(admitting("bank")).change(perNamespace(1, 0)),
			served: "lone", desired: 2,
		},
		{
			name: "a lower maximum takes nothing away",
			of: newFixture().bounds(0, 0, 20).eni(1, 1, 5).holds(1, map[string]int{"x": 1, "y": 2, "z": 3}).claim("a", time.Hour).
				change(perNamespace(1, 0)),
			desired: 3, last: v1alpha1.ReasonNamespaceAtMaximum,
		},
		{
			name: "whole ENIs have a maximum of their own",
			of: newFixture().bounds(0, 0, 20).exclusive(0, 0, 3).exclusiveENI(1).exclusiveENI(2).
				claim("a", 2*time.Minute, wantsENI).claim("b", time.Minute, wantsENI).change(perNamespace(0, 1)),
			served: "a", last: v1alpha1.ReasonNamespaceAtMaximum,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := map[string]bool{}
			for i := range row.of.claims {
				before[row.of.claims[i].Name] = heldBy(row.of.observation, &row.of.pool.Status, &row.of.claims[i]).entry != nil
			}
			d := plan(row.of.observation)
			var served []string
			for i := range row.of.claims {
				claim := &row.of.claims[i]
				if heldBy(row.of.observation, &d.status, claim).entry != nil && !before[claim.Name] {
					served = append(served, claim.Name)
				}
			}
			slices.Sort(served)
			assert.Equal(t, strings.Join(served, " "), row.served)
			assert.Equal(t, d.status.Shared.Desired, row.desired)
			if last := lastVerdict(row.of); row.last != "" {
				assert.Equal(t, last.reason, row.last, last.message)
			} else {
				assert.Equal(t, last.phase, v1alpha1.ClaimBound)
			}
		})
	}
}

// TestACrowdOfClaimsHoldsUpNobody: what a namespace asks for in vain, however often, costs a
// claim of another one nothing, is answered once, at a bounded rate, and needs no finalizer.
func TestACrowdOfClaimsHoldsUpNobody(t *testing.T) {
	const crowd, most = 300, 20
	var finalizers, statuses int
	counting := interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			finalizers++
			return c.Patch(ctx, o, p, opts...)
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			if _, ok := o.(*v1alpha1.ENIClaim); ok {
				statuses++
			}
			return c.SubResource(sub).Update(ctx, o, opts...)
		},
	}
	f := newFixture().bounds(0, 0, most).eni(1, 1, 4)
	for i := range crowd {
		f.claim(fmt.Sprintf("vain-%d", i), time.Hour, of("crowd"), wants("10.0.1.200"), unmarked)
	}
	f.claim("lone", time.Minute, unmarked)
	objects := []client.Object{storedPool(f), &f.enis[0]}
	for i := range f.claims {
		objects = append(objects, &f.claims[i])
	}
	kube := cluster(t, counting, objects...)
	r := reconcilerOn(t, &cloud{}, kube, kube)

	round := func() time.Duration {
		result, err := r.Reconcile(t.Context(), request())
		assert.NilError(t, err)
		r.clock.(*clocktesting.FakeClock).Step(result.RequeueAfter)
		return result.RequeueAfter
	}
	first := round()
	assert.Equal(t, claimIn(t, kube, "lone").Status.Phase, v1alpha1.ClaimBound)
	assert.Equal(t, finalizers, most+1, "of those that could be served, and of the other namespace's")
	assert.Equal(t, statuses, most+1+queuePerRound)
	assert.Equal(t, first, time.Second)

	rounds := 1
	for ; round() == time.Second; rounds++ {
	}
	assert.Equal(t, rounds, (crowd-most)/queuePerRound)
	assert.Equal(t, finalizers, most+1)
	assert.Equal(t, statuses, crowd+1)
	for range 20 {
		round()
	}
	assert.Equal(t, finalizers+statuses, most+1+crowd+1, "told once")
}

// TestNewcomersComeInRounds: claims that come all at once are taken in over several rounds.
func TestNewcomersComeInRounds(t *testing.T) {
	f := newFixture().bounds(0, 0, 100).eni(1, 1, 9)
	objects := []client.Object{storedPool(f), &f.enis[0]}
	for i := range newsPerRound + 1 {
		f.claim(fmt.Sprintf("web-%d", i), time.Hour, unmarked)
	}
	for i := range f.claims {
		objects = append(objects, &f.claims[i])
	}
	kube := cluster(t, interceptor.Funcs{}, objects...)
	r := reconcilerOn(t, &cloud{}, kube, kube)
	for _, left := range []int{1, 0} {
		_, err := r.Reconcile(t.Context(), request())
		assert.NilError(t, err)
		claims := &v1alpha1.ENIClaimList{}
		assert.NilError(t, kube.List(t.Context(), claims))
		bare := slices.DeleteFunc(claims.Items, func(claim v1alpha1.ENIClaim) bool { return len(claim.Finalizers) > 0 })
		assert.Equal(t, len(bare), left)
	}
}

// TestThePoolGrowsAtOnceForWhoComesLater: EC2 is asked once for all claims that came at once.
func TestThePoolGrowsAtOnceForWhoComesLater(t *testing.T) {
	f := newFixture().bounds(0, 0, 100).limit(2, 9).eni(1, 1, 2).claim("now", time.Hour)
	for i := range 5 {
		f.claim(fmt.Sprintf("later-%d", i), time.Minute, unmarked)
	}
	f.claim("not-admitted", time.Minute, of("bank"), unmarked).claim("named", time.Minute, wants("10.0.1.1"), unmarked)
	for i := range f.claims[1:] {
		f.coming = append(f.coming, &f.claims[1+i])
	}
	d := plan(f.observation)
	assert.Equal(t, holding(d), "now:10.0.1.1")
	assert.Equal(t, d.status.Shared.Desired, int32(6))
	assert.Equal(t, actions(d), eniName(1)[len(instanceID):]+"=6")
}

// TestABusyAPIServerHoldsUpNobodyElse: where each write takes long, a round writes a few for
// claims that get nothing, and comes to the claims of all namespaces.
func TestABusyAPIServerHoldsUpNobodyElse(t *testing.T) {
	clk := clocktesting.NewFakeClock(start)
	slow := interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			clk.Step(newsTime / 2)
			return c.Patch(ctx, o, p, opts...)
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			clk.Step(newsTime / 2)
			return c.SubResource(sub).Update(ctx, o, opts...)
		},
	}
	f := newFixture().bounds(0, 0, 20).eni(1, 1, 4).change(admitting("bank"))
	objects := []client.Object{storedPool(f), &f.enis[0]}
	for i := range 10 {
		f.claim(fmt.Sprintf("vain-%d", i), time.Hour, wants("10.0.1.200"), unmarked)
	}
	f.claim("lone", time.Minute, of("bank"), unmarked)
	for i := range f.claims {
		objects = append(objects, &f.claims[i])
	}
	kube := cluster(t, slow, objects...)
	r := reconcilerOn(t, &cloud{}, kube, kube)
	r.clock = clk
	result, err := r.Reconcile(t.Context(), request())
	assert.NilError(t, err)
	assert.Equal(t, result.RequeueAfter, nextRound)
	claims := &v1alpha1.ENIClaimList{}
	assert.NilError(t, kube.List(t.Context(), claims))
	var prepared, told int
	for i := range claims.Items {
		claim := &claims.Items[i]
		if len(claim.Finalizers) > 0 {
			prepared++
		}
		switch {
		case claim.Name == "lone":
			assert.Equal(t, claim.Status.Phase, v1alpha1.ClaimBound)
		case claim.Status.Phase != "":
			told++
		}
	}
	assert.Equal(t, prepared, 3)
	assert.Equal(t, told, 2, "those that were prepared, and are no news for others")
}

// TestWhoIsServedIsToldInTheSameRound, however long the writes take: what bounds the news of
// claims that wait does not hold up those that hold something.
func TestWhoIsServedIsToldInTheSameRound(t *testing.T) {
	clk := clocktesting.NewFakeClock(start)
	slow := interceptor.Funcs{
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			clk.Step(2 * newsTime)
			return c.SubResource(sub).Update(ctx, o, opts...)
		},
	}
	f := newFixture().bounds(0, 0, 20).eni(1, 1, 3).claimsNamed("a", "b", "c")
	kube := cluster(t, slow, storedPool(f), &f.enis[0], &f.claims[0], &f.claims[1], &f.claims[2])
	r := reconcilerOn(t, &cloud{}, kube, kube)
	r.clock = clk
	_, err := r.Reconcile(t.Context(), request())
	assert.NilError(t, err)
	for _, name := range []string{"a", "b", "c"} {
		assert.Equal(t, claimIn(t, kube, name).Status.Phase, v1alpha1.ClaimBound, name)
	}
}

// TestLineUp: a round takes in what holds something, and of what waits as many as the namespace
// could have, the oldest first.
func TestLineUp(t *testing.T) {
	names := func(claims []*v1alpha1.ENIClaim) string {
		var all []string
		for _, claim := range claims {
			all = append(all, claim.Name)
		}
		return strings.Join(all, " ")
	}
	told := func(claim *v1alpha1.ENIClaim) {
		claim.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady}}
	}
	for _, row := range []struct {
		name                string
		of                  *fixture
		taken, untold, told string
	}{
		{"all that the node could serve", newFixture().bounds(0, 0, 3).claimsNamed("a", "b", "c"), "a b c", "", ""},
		{"not the youngest", newFixture().bounds(0, 0, 2).claim("young", 0).claim("old", time.Hour).claim("older", 2*time.Hour), "old older", "young", ""},
		{"of each namespace", newFixture().bounds(0, 0, 1).claimsNamed("a", "b").claim("c", 0, of("bank")), "a c", "b", ""},
		{"as many as the policy lets a namespace have", newFixture().bounds(0, 0, 20).change(perNamespace(1, 0)).claimsNamed("a", "b"), "a", "b", ""},
		{"those that ask by name apart", newFixture().bounds(0, 0, 1).claim("named", time.Hour, wants("10.0.1.1")).claimsNamed("a", "b"), "named a", "b", ""},
		{"what holds something takes no place", newFixture().bounds(0, 0, 1).holds(1, map[string]int{"x": 1}).claimsNamed("a", "b"), "x a", "b", ""},
		{"nor what the record names", newFixture().bounds(0, 0, 1).record(1, 1, v1alpha1.HolderAllocated, "x", 0).claim("a", time.Hour).claim("x", 0), "a x", "", ""},
		{"nor what is deleted", newFixture().bounds(0, 0, 1).claim("gone", time.Hour, deleting).claimsNamed("a"), "gone a", "", ""},
		{"who was told before waits apart", newFixture().bounds(0, 0, 1).claimsNamed("a", "b").lastClaim(told), "a", "", "b"},
		{"whole ENIs have a line of their own", newFixture().bounds(0, 0, 1).exclusive(0, 0, 1).claimsNamed("a").claim("b", time.Hour, wantsENI).claim("c", 0, wantsENI), "a b", "c", ""},
		{"none for what is not offered", newFixture().claim("b", 0, wantsENI), "", "b", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			q := lineUp(row.of.pool, row.of.claims)
			assert.Equal(t, names(q.taken), row.taken)
			assert.Equal(t, names(q.untold), row.untold)
			assert.Equal(t, names(q.told), row.told)
		})
	}
}

// TestEachOfAQueueIsLookedAt: what a queued claim was told is put right within some rounds.
func TestEachOfAQueueIsLookedAt(t *testing.T) {
	var q queues
	for i := range 5 * queuePerRound {
		q.told = append(q.told, &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{UID: types.UID(fmt.Sprint("uid-", i))}})
	}
	seen := map[types.UID]int{}
	for round := range uint32(6) {
		for _, claim := range q.look(newQueueLimit(), round, start) {
			seen[claim.UID]++
		}
	}
	assert.Equal(t, len(seen), len(q.told))
	for uid, times := range seen {
		assert.Equal(t, times, 1, uid)
	}
}

// unmarked is a claim that the operator has not seen yet.
func unmarked(claim *v1alpha1.ENIClaim) { claim.Finalizers = nil }
