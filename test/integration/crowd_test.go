/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// crowdSize is how many claims the scenarios with many of them have; `make
// test-claims` has far more.
var crowdSize = flag.Int("claims", 60, "How many claims the scenarios with many claims have.")

const (
	// crowdPerNode takes two ENIs of crowdType, with fourteen addresses each.
	crowdType    = "m5.xlarge"
	crowdPerNode = 20
	crowdWriters = 64
)

// crowd is a fleet with many claims on it.
type crowd struct {
	*scenario
	claims []*v1alpha1.ENIClaim
	subnet subnet
	policy *v1alpha1.ENIPolicy
	// free is what the subnet had left before there was an ENI of ours.
	free int32
	// begun is when it began, and writes what the API server had answered by then.
	begun  time.Time
	writes map[string]int
}

// crowd makes a fleet whose pools give back at once what nobody needs.
func (w *world) crowd(t *testing.T, name string) *crowd {
	t.Helper()
	c := &crowd{scenario: w.tell(t, name), begun: time.Now(), writes: w.statusWrites(t)}
	c.subnet = c.scenario.subnet(zoneA, "64.0/18", nil)
	for range (*crowdSize + crowdPerNode - 1) / crowdPerNode {
		c.register(c.nodeName(len(c.nodes)), c.launch(crowdType, c.subnet))
	}
	for i := range *crowdSize {
		c.claims = append(c.claims, c.claimOn(c.nodes[i%len(c.nodes)], fmt.Sprintf("claim-%d", i), v1alpha1.ModeShared))
	}
	c.free = c.freeAddresses(t.Context(), c.subnet.id)
	c.policy = c.scenario.policy(sharing(10, 60), func(spec *v1alpha1.ENIPolicySpec) {
		spec.Shared.WarmIPs = 2
		spec.Shared.IdleReleaseAfter = &metav1.Duration{Duration: 300 * time.Millisecond}
	})
	c.create(c.policy)
	c.settled(0)
	return c
}

// eventually has patience with many claims, and none with a foul.
func (c *crowd) eventually(what string, check func() error) {
	c.t.Helper()
	all := patience + time.Duration(len(c.claims))*200*time.Millisecond
	pause := glance + time.Duration(len(c.claims))*500*time.Microsecond
	eventuallyWithin(c.t, all, pause, what, func() error {
		if fouls := c.referee.report(); len(fouls) > 0 {
			c.t.Fatalf("%d fouls: %s", len(fouls), strings.Join(fouls, "\n"))
		}
		return check()
	})
}

// settled waits until so many claims are there and bound, every pool has what it
// wants, and everything agrees.
func (c *crowd) settled(claims int) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("%d claims are bound and everything is at rest", claims), func() error {
		if err := first(c.allBound(claims), c.poolsAtRest()); err != nil {
			return err
		}
		return c.consistent(c.t.Context())
	})
}

func (c *crowd) poolsAtRest() error {
	pools := &v1alpha1.ENIPoolList{}
	if err := c.List(c.t.Context(), pools); err != nil {
		return err
	}
	ready := 0
	for i := range pools.Items {
		pool := &pools.Items[i]
		if !slices.Contains(c.nodes, pool.Name) {
			continue
		}
		if err := atRest(pool); err != nil {
			return fmt.Errorf("pool %s: %w", pool.Name, err)
		}
		ready++
	}
	return differ("pools", ready, len(c.nodes))
}

// atRest is an error while a pool has something to do.
func atRest(pool *v1alpha1.ENIPool) error {
	if pool.Status.Shared == nil {
		return errors.New("it has no status")
	}
	for _, entry := range pool.Status.Addresses {
		if entry.State != v1alpha1.HolderAllocated && entry.State != v1alpha1.HolderReserved {
			return fmt.Errorf("%s is %s", entry.Address, entry.State)
		}
	}
	return first(
		conditionIs(pool.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady),
		differ("capacity", pool.Status.Shared.Capacity, pool.Status.Shared.Desired),
	)
}

// each does something with claims, with many under way at once.
func (c *crowd) each(claims []*v1alpha1.ENIClaim, do func(context.Context, *v1alpha1.ENIClaim) error) {
	c.t.Helper()
	var (
		workers sync.WaitGroup
		mu      sync.Mutex
		failed  error
		queue   = make(chan *v1alpha1.ENIClaim)
	)
	for range crowdWriters {
		workers.Go(func() {
			for claim := range queue {
				err := do(c.t.Context(), claim)
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	for _, claim := range claims {
		queue <- claim
	}
	close(queue)
	workers.Wait()
	assert.NilError(c.t, failed)
}

// bindAll makes all claims and waits until they are bound.
func (c *crowd) bindAll() {
	c.t.Helper()
	c.each(c.claims, func(ctx context.Context, claim *v1alpha1.ENIClaim) error { return c.Create(ctx, claim) })
	c.settled(len(c.claims))
}

func (c *crowd) allBound(count int) error {
	claims := c.scenario.claims(c.t.Context())
	for i := range claims {
		if claim := &claims[i]; claim.Status.Phase != v1alpha1.ClaimBound || !claim.DeletionTimestamp.IsZero() {
			return fmt.Errorf("claim %s is not bound, or being deleted: %+v", claim.Name, claim.Status)
		} else if err := conditionIs(claim.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonBound); err != nil {
			return fmt.Errorf("claim %s: %w", claim.Name, err)
		}
	}
	return differ("claims", len(claims), count)
}

// again deletes a claim, and makes another of its name as soon as there is room for
// it: when the referee's watch shows its end, since a question every moment for each
// of many claims would be most of what the API server has to do.
func (c *crowd) again(ctx context.Context, claim *v1alpha1.ENIClaim) error {
	if err := c.Delete(ctx, claim); err != nil {
		return err
	}
	for !c.referee.sawEnd(claim.UID) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(glance):
		}
	}
	*claim = *c.claimOn(claim.Spec.NodeName, claim.Name, claim.Spec.Mode)
	return c.Create(ctx, claim)
}

// thirds are a third of the claims of each node, and the others.
func (c *crowd) thirds(round int) (third, others []*v1alpha1.ENIClaim) {
	for i, claim := range c.claims {
		if i/len(c.nodes)%3 == round%3 {
			third = append(third, claim)
		} else {
			others = append(others, claim)
		}
	}
	return third, others
}

// holding is what a claim holds, and since when.
type holding struct {
	claim        types.UID
	address, eni string
	since        time.Time
}

// holdings are what claims hold now, by name.
func (c *crowd) holdings(of []*v1alpha1.ENIClaim) map[string]holding {
	found := map[string]holding{}
	for _, claim := range c.scenario.claims(c.t.Context()) {
		if slices.ContainsFunc(of, func(other *v1alpha1.ENIClaim) bool { return other.Name == claim.Name }) {
			found[claim.Name] = holding{claim.UID, claim.Status.Address, claim.Status.NetworkInterfaceID, claim.Status.BoundAt.Time}
		}
	}
	return found
}

// wipe takes all that the pools know away, whoever else writes them.
func (c *crowd) wipe(ctx context.Context) error {
	for _, node := range c.nodes {
		if err := c.wipeOne(ctx, node); err != nil {
			return err
		}
	}
	return nil
}

func (c *crowd) wipeOne(ctx context.Context, node string) error {
	for {
		pool, err := c.pool(node)
		if err != nil {
			return err
		}
		pool.Status = v1alpha1.ENIPoolStatus{}
		if err := c.Status().Update(ctx, pool); !apierrors.IsConflict(err) {
			return err
		}
	}
}

// finish releases everything, has the pools keep nothing, and looks whether the subnet
// has back what it had.
func (c *crowd) finish(what string) {
	c.t.Helper()
	c.each(c.claims, func(ctx context.Context, claim *v1alpha1.ENIClaim) error { return c.Delete(ctx, claim) })
	c.settled(0)
	c.update(c.policy, func() { c.policy.Spec.Shared.MinimumIPs, c.policy.Spec.Shared.WarmIPs = 0, 0 })
	c.eventually("the subnet has everything back", func() error {
		return differ("free addresses", c.freeAddresses(c.t.Context(), c.subnet.id), c.free)
	})
	fouls := c.referee.report()
	fmt.Printf("claims: %s: %d claims on %d nodes, %d states of claims seen, %d fouls, %d addresses missing from the subnet, %s; %s\n",
		what, len(c.claims), len(c.nodes), c.referee.states(), len(fouls), c.free-c.freeAddresses(c.t.Context(), c.subnet.id),
		time.Since(c.begun).Round(time.Second), c.writesSince())
	assert.Equal(c.t, len(fouls), 0, strings.Join(fouls, "\n"))
	c.end()
}

// statusWrite is a line of the API server's metrics: how many writes of the statuses of
// a kind it answered with an HTTP status.
var statusWrite = regexp.MustCompile(
	`(?m)^apiserver_request_total\{code="(\d+)",.*group="networking.eni-operator.dev",resource="(\w+)",.*subresource="status",verb="PUT",.*\} (\S+)$`)

// statusWrites counts the writes of statuses since the API server's start, by kind and
// HTTP status.
func (w *world) statusWrites(t *testing.T) map[string]int {
	t.Helper()
	kube, err := kubernetes.NewForConfig(w.Plane.Config)
	assert.NilError(t, err)
	page, err := kube.RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	assert.NilError(t, err)
	counts := map[string]int{}
	for _, line := range statusWrite.FindAllStringSubmatch(string(page), -1) {
		count, err := strconv.ParseFloat(line[3], 64)
		assert.NilError(t, err)
		counts[line[2]+" "+line[1]] += int(count)
	}
	return counts
}

// writesSince are the writes of statuses since the beginning, the refused ones too.
func (c *crowd) writesSince() string {
	now := c.statusWrites(c.t)
	var lines []string
	for _, kind := range []string{"enipools", "elasticnetworkinterfaces", "eniclaims"} {
		taken, refused := kind+" 200", kind+" 409"
		lines = append(lines, fmt.Sprintf("%s: %d status writes taken, %d refused", kind, now[taken]-c.writes[taken], now[refused]-c.writes[refused]))
	}
	return strings.Join(lines, ", ")
}

func statusesAreWipedUnderBoundClaims(t *testing.T) {
	w := newWorldApart(t, emulator.Timings{})
	startOperator(t, w, w.http.URL).awaitReady()
	c := w.crowd(t, "wiped")
	c.bindAll()
	for round := range 3 {
		changed, kept := c.thirds(round)
		before := c.holdings(kept)
		var wiped error
		var wiping sync.WaitGroup
		wiping.Go(func() { wiped = c.wipe(t.Context()) })
		c.each(changed, c.again)
		wiping.Wait()
		assert.NilError(t, wiped)
		c.settled(len(c.claims))
		assert.Assert(t, maps.Equal(c.holdings(kept), before), "%v instead of %v", c.holdings(kept), before)
	}
	c.finish("statuses wiped")
}

func twoOperatorsFight(t *testing.T) {
	w := newWorldApart(t, emulator.Timings{})
	one, other := startOperator(t, w, w.http.URL), startOperator(t, w, w.http.URL)
	one.awaitReady()
	other.awaitReady()
	c := w.crowd(t, "two-operators")
	c.bindAll()
	for round := range 3 {
		changed, kept := c.thirds(round)
		before := c.holdings(kept)
		c.each(changed, c.again)
		c.settled(len(c.claims))
		assert.Assert(t, maps.Equal(c.holdings(kept), before), "%v instead of %v", c.holdings(kept), before)
	}
	for _, o := range []*operator{one, other} {
		assert.Assert(t, strings.Contains(o.log(), "Claim is Bound"), "an operator had nothing to do")
		assert.Assert(t, !strings.Contains(o.log(), "panic"))
	}
	c.finish("two operators")
}

// Claims come and go; each time, what nobody needs is idle for long enough to be given
// back.
func TestChurnGivesEverythingBack(t *testing.T) {
	t.Parallel()
	c := shared.crowd(t, "churn")
	c.bindAll()
	for round := range 3 {
		kept, released := c.thirds(round)
		c.each(released, func(ctx context.Context, claim *v1alpha1.ENIClaim) error { return c.Delete(ctx, claim) })
		c.settled(len(kept))
		c.each(released, func(ctx context.Context, claim *v1alpha1.ENIClaim) error {
			return c.Create(ctx, c.claimOn(claim.Spec.NodeName, claim.Name, claim.Spec.Mode))
		})
		c.settled(len(c.claims))
	}
	c.finish("churn")
}

func aBurstCostsWhatItMust(t *testing.T) {
	const (
		claims, warm         = 60, 8
		settled, oneENI      = 16, 29
		missing, primaryOnes = claims + warm - settled, 2
	)
	w := newWorldApart(t, emulator.Timings{})
	o := startOperator(t, w, w.http.URL)
	s := w.tell(t, "burst")
	node, _ := s.machine("m5.4xlarge")
	s.create(s.policy(sharing(settled, 100), func(spec *v1alpha1.ENIPolicySpec) { spec.Shared.WarmIPs = warm }))
	s.awaitReady(node)
	eventually(t, "everything agrees", func() error { return s.consistent(t.Context()) })
	assert.Equal(t, len(s.resourcesOf(node, v1alpha1.ModeShared)), 1)
	o.kill()
	free := s.freeAddresses(t.Context(), s.home.id)
	w.server.ResetCalls()

	var made []*v1alpha1.ENIClaim
	for i := range claims {
		claim := s.claimOn(node, fmt.Sprintf("web-%d", i), v1alpha1.ModeShared)
		s.create(claim)
		made = append(made, claim)
	}
	startOperator(t, w, w.http.URL)
	for _, claim := range made {
		s.awaitBound(claim)
	}
	s.awaitPool(node, "is settled", func(pool *v1alpha1.ENIPool) error {
		return first(differ("shared", *pool.Status.Shared, v1alpha1.SharedStatus{
			Capacity: claims + warm, Allocated: claims, Free: warm, Desired: claims + warm,
		}), atRest(pool))
	})
	eventually(t, "everything agrees", func() error { return s.consistent(t.Context()) })

	// Each of these calls takes at once what it takes, and nothing was given back: the
	// subnet never had less than it has now.
	assert.DeepEqual(t, s.mutations(), map[string]int{
		"AssignPrivateIpAddresses": 1, "CreateNetworkInterface": 2, "AttachNetworkInterface": 2, "ModifyNetworkInterfaceAttribute": 2,
	})
	assert.Equal(t, s.freeAddresses(t.Context(), s.home.id), free-missing-primaryOnes)
	assign := s.operatorCalls("AssignPrivateIpAddresses", "")[0]
	assert.Equal(t, assign.Params.Get("SecondaryPrivateIpAddressCount"), fmt.Sprint(oneENI-settled))
	s.end()
}
