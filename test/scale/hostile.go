/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

const (
	// hostileTime is how long one namespace attacks a node, and mostHopeless how many claims
	// it has there that can never be served.
	hostileTime  = 5 * time.Minute
	mostHopeless = 50_000
	// mostLarge is how many claims it has of the largest size that is admitted.
	mostLarge = 1000
	// perNamespace is what the policy lets one namespace have of a node.
	perNamespace = 6
	// peacefulEvery is how often the other namespace has a claim bound, for peacefulFor.
	peacefulEvery = time.Second
	peacefulFor   = 3 * time.Second

	hostileNamespace  = "hostile"
	peacefulNamespace = "peaceful"

	hostileBoundGoal  = 1.0 // s, p99 of the other namespace
	hostileMemoryGoal = 300 // MiB
	hostileWritesGoal = 50  // a second
)

// hostile measures what another namespace waits for on a node that one namespace attacks at
// full speed, under the role that tenants are given, and what that makes the operator do.
func (b *bench) hostile(ctx context.Context, s *sheet) (err error) {
	if err := b.prepareAttack(ctx); err != nil {
		return err
	}
	node := b.cloud.nodeNames()[0]
	watcher, err := b.cluster.watchClaims(ctx, peacefulNamespace)
	if err != nil {
		return err
	}
	defer watcher.stop()
	attack, err := b.cluster.newAttack(ctx, node)
	if err != nil {
		return err
	}
	peaceful, err := b.cluster.tenant(ctx, peacefulNamespace)
	if err != nil {
		return err
	}
	before, err := b.look()
	if err != nil {
		return err
	}
	say("hostile: one namespace attacks %s for %s; machine: %s", node, hostileTime, machineLoad())
	during, cancel := context.WithTimeout(ctx, hostileTime)
	defer cancel()
	ended := attack.begin(during)
	lived, err := live(during, peaceful, node)
	ended.Wait()
	if err := errors.Join(err, ctx.Err(), b.operator.alive()); err != nil {
		return err
	}
	after, err := b.look()
	if err != nil {
		return err
	}
	if err := b.heldOnceOn(ctx, node); err != nil {
		return err
	}
	reportHostile(s, attack, lived, watcher, before, after)
	return b.endAttack(ctx)
}

// prepareAttack has the fleet at rest, the webhooks installed, and bounds in the policy, as
// docs/security.md has platform teams set them.
func (b *bench) prepareAttack(ctx context.Context) error {
	hooks, err := prepareWebhooks()
	if err != nil {
		return err
	}
	if err := b.startOperator(ctx, "--enable-webhooks", "--webhook-host="+hooks.LocalServingHost,
		fmt.Sprintf("--webhook-port=%d", hooks.LocalServingPort), "--webhook-cert-path="+hooks.LocalServingCertDir); err != nil {
		return err
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	if err := hooks.Install(b.cluster.plane.Config); err != nil {
		return err
	}
	policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: policyName}}
	patch := fmt.Appendf(nil, `{"spec":{"shared":{"maximumPerNamespace":%d,"warmIPs":%d,"cooldown":"0s"}}}`, perNamespace, perNamespace)
	if err := b.cluster.Patch(ctx, policy, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return err
	}
	return b.awaitQuiet(ctx)
}

// tenant is a client of somebody who may edit the claims of a namespace, and nothing else.
// The API server treats it as any user: it is in none of the exempt groups.
func (c *cluster) tenant(ctx context.Context, namespace string) (client.Client, error) {
	user, err := c.plane.AddUser(namespace)
	if err != nil {
		return nil, err
	}
	role := &rbacv1.ClusterRole{}
	if err := readRole("eniclaim_editor_role.yaml", role); err != nil {
		return nil, err
	}
	if err := c.Create(ctx, role); client.IgnoreAlreadyExists(err) != nil {
		return nil, err
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: namespace}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
	}
	if err := c.Create(ctx, binding); err != nil {
		return nil, err
	}
	config := rest.CopyConfig(user.Config)
	config.QPS = -1 // At full speed.
	return client.New(config, client.Options{Scheme: c.Scheme()})
}

// attack is what a hostile tenant does on one node.
type attack struct {
	client.Client
	node string
	// made counts the claims that were admitted, and refused what was not.
	made, hopeless, large, renewals, refused atomic.Int64
}

func (c *cluster) newAttack(ctx context.Context, node string) (*attack, error) {
	if err := c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: hostileNamespace}}); err != nil {
		return nil, err
	}
	hostile, err := c.tenant(ctx, hostileNamespace)
	return &attack{Client: hostile, node: node}, err
}

// begin attacks in every way at once until the context ends.
func (a *attack) begin(ctx context.Context) *sync.WaitGroup {
	var all sync.WaitGroup
	for _, way := range []struct {
		workers int
		do      func(context.Context)
	}{
		{8, a.hopelessClaim},
		{2, a.largestClaim},
		{2, a.tooLargeClaim},
		{4, a.createAndDelete},
		{4, a.snatch},
		{2, a.forge},
		{2, a.renew},
	} {
		for range way.workers {
			all.Go(func() {
				for ctx.Err() == nil {
					way.do(ctx)
				}
			})
		}
	}
	return &all
}

func (a *attack) claim(kind string) *v1alpha1.ENIClaim {
	return &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: hostileNamespace, GenerateName: kind + "-"},
		Spec:       v1alpha1.ENIClaimSpec{NodeName: a.node, Mode: v1alpha1.ModeShared},
	}
}

// create makes a claim, and says whether it was admitted.
func (a *attack) create(ctx context.Context, claim *v1alpha1.ENIClaim) bool {
	if err := a.Create(ctx, claim); err != nil {
		a.refused.Add(1)
		return false
	}
	a.made.Add(1)
	return true
}

// hopelessClaim makes one more claim than the namespace's bound lets it have.
func (a *attack) hopelessClaim(ctx context.Context) {
	if a.hopeless.Load() >= mostHopeless {
		pause(ctx, time.Second)
		return
	}
	if a.create(ctx, a.claim("hopeless")) {
		a.hopeless.Add(1)
	}
}

// largestClaim makes one of just the size that is admitted.
func (a *attack) largestClaim(ctx context.Context) {
	if a.large.Load() >= mostLarge {
		pause(ctx, time.Second)
		return
	}
	claim := a.claim("large")
	claim.Annotations = map[string]string{"note": strings.Repeat("x", 15<<10)}
	if a.create(ctx, claim) {
		a.large.Add(1)
	}
}

func (a *attack) tooLargeClaim(ctx context.Context) {
	claim := a.claim("too-large")
	claim.Annotations = map[string]string{"note": strings.Repeat("x", 250<<10)}
	a.create(ctx, claim)
}

func (a *attack) createAndDelete(ctx context.Context) {
	claim := a.claim("loop")
	if a.create(ctx, claim) {
		_ = a.Delete(ctx, claim)
	}
}

// snatch asks for addresses by name, as those of the node's other claims may be.
func (a *attack) snatch(ctx context.Context) {
	claim := a.claim("snatch")
	claim.Spec.Address = ptr.To(v1alpha1.Address(fmt.Sprintf("10.0.%d.%d", rand.IntN(4), rand.IntN(256)))) //nolint:gosec // any will do
	if a.create(ctx, claim) {
		_ = a.Delete(ctx, claim)
	}
}

// forge makes claims that look like what the operator makes.
func (a *attack) forge(ctx context.Context) {
	claim := a.claim("forged")
	claim.Labels = map[string]string{"app.kubernetes.io/managed-by": "eni-operator"}
	claim.Finalizers = []string{v1alpha1.Finalizer}
	if a.create(ctx, claim) {
		_ = a.Delete(ctx, claim)
	}
}

// renew renews a leased claim without end.
func (a *attack) renew(ctx context.Context) {
	claim := a.claim("leased")
	claim.Spec.Lease = &v1alpha1.ClaimLease{Duration: metav1.Duration{Duration: time.Minute}}
	if !a.create(ctx, claim) {
		return
	}
	for range 1000 {
		patch := fmt.Appendf(nil, `{"spec":{"lease":{"renewTime":%q}}}`, time.Now().UTC().Format(time.RFC3339Nano))
		if a.Patch(ctx, claim, client.RawPatch(types.MergePatchType, patch)) != nil {
			break
		}
		a.renewals.Add(1)
	}
	_ = a.Delete(ctx, claim)
}

// lives is when each claim of the other namespace was asked for, by name, and how long the API
// server took to take it.
type lives struct {
	mu    sync.Mutex
	asked map[string]time.Time
	taken []time.Duration
}

// live makes a claim every now and then, and deletes it after a while, until the context ends.
func live(ctx context.Context, peaceful client.Client, node string) (*lives, error) {
	l := &lives{asked: map[string]time.Time{}}
	var (
		claims sync.WaitGroup
		failed error
	)
	for i := 0; pause(ctx, peacefulEvery); i++ {
		claims.Go(func() {
			err := l.one(context.WithoutCancel(ctx), peaceful, node, i)
			l.mu.Lock()
			defer l.mu.Unlock()
			failed = errors.Join(failed, err)
		})
	}
	claims.Wait()
	return l, failed
}

func (l *lives) one(ctx context.Context, peaceful client.Client, node string, number int) error {
	claim := &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: peacefulNamespace, Name: fmt.Sprintf("web-%d", number)},
		Spec:       v1alpha1.ENIClaimSpec{NodeName: node, Mode: v1alpha1.ModeShared},
	}
	began := time.Now()
	if err := peaceful.Create(ctx, claim); err != nil {
		return err
	}
	l.mu.Lock()
	l.asked[claim.Name] = began
	l.taken = append(l.taken, time.Since(began))
	l.mu.Unlock()
	pause(ctx, peacefulFor)
	return peaceful.Delete(ctx, claim)
}

// heldOnceOn is an error if two claims of a node hold the same.
func (b *bench) heldOnceOn(ctx context.Context, node string) error {
	list := &v1alpha1.ENIClaimList{}
	if err := b.cluster.List(ctx, list, client.MatchingFields{"spec.nodeName": node}); err != nil {
		return err
	}
	holder := map[string]string{}
	for i := range list.Items {
		claim := &list.Items[i]
		if claim.Status.Phase != v1alpha1.ClaimBound {
			continue
		}
		if other, twice := holder[claim.Status.Address]; twice {
			return fmt.Errorf("%s is held by %s and %s/%s", claim.Status.Address, other, claim.Namespace, claim.Name)
		}
		holder[claim.Status.Address] = claim.Namespace + "/" + claim.Name
	}
	return nil
}

func reportHostile(s *sheet, a *attack, l *lives, w *claimWatch, before, after look) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(l.asked, func(name string, _ time.Time) bool { // Of what was never bound there is no time.
		_, bound := w.bound[name]
		return !bound
	})
	waits := times(l.asked, w.bound)
	slices.Sort(l.taken)
	length := seconds(after.at.Sub(before.at))
	s.add("hostile claims that were admitted", float64(a.made.Load()), "claims")
	s.add("of them hopeless", float64(a.hopeless.Load()), "claims")
	s.add("of them of the largest size", float64(a.large.Load()), "claims")
	s.add("renewals", float64(a.renewals.Load()), "writes")
	s.add("hostile claims that were refused", float64(a.refused.Load()), "claims")
	s.add("claims of the other namespace", float64(len(l.taken)), "claims")
	s.goal("of them not bound within 3 s", float64(len(l.taken)-len(waits)), "claims", 0)
	s.add("the API server takes one, p99", seconds(percentile(l.taken, 99)), "s")
	s.add("time from create to bound, p50", seconds(percentile(waits, 50)), "s")
	s.goal("time from create to bound, p99", seconds(percentile(waits, 99)), "s", hostileBoundGoal)
	made := after.writes.since(before.writes)
	s.goal("writes of the operator for each claim", float64(made.of("eniclaims"))/float64(int(a.made.Load())+len(l.taken)), "writes", 2)
	s.goal("writes of the operator a second", float64(made.total())/length, "writes", hostileWritesGoal)
	for _, kind := range made.kinds() {
		s.add(kind, float64(made[kind]), "writes")
	}
	s.add("EC2 writes", float64(after.calls.since(before.calls).writes()), "calls")
	s.goal("peak memory of the operator", after.memory, "MiB", hostileMemoryGoal)
	s.add("CPU of the operator", 100*seconds(after.cpu-before.cpu)/length, "%")
}

var errNotDeleted = errors.New("not deleted yet")

// endAttack deletes what the attack left, and waits until the operator rests.
func (b *bench) endAttack(ctx context.Context) error {
	for _, namespace := range []string{hostileNamespace, peacefulNamespace} {
		for err := errNotDeleted; err != nil && pause(ctx, time.Second); { // So many take more than one request.
			err = b.cluster.DeleteAllOf(ctx, &v1alpha1.ENIClaim{}, client.InNamespace(namespace))
		}
	}
	return b.awaitQuiet(ctx)
}
