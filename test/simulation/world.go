/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/setup"
	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/promises"
	"github.com/eni-operator/eni-operator/test/simulation/apiserver"
)

// people is the connection of those who are neither operator nor cluster.
const people = "people"

// namespaces are those of the claims.
var namespaces = []string{"shop", "bank", "lab"}

// world is a cluster, its account and the operator's replicas.
type world struct {
	client.Client
	api   *apiserver.Server
	cloud *account
	// elsewhere is an account that has nothing of this cluster.
	elsewhere *account
	referee   *promises.Referee
	replicas  []*replica
	folder    string
	start     time.Time
	ctx       context.Context //nolint:containedctx // the whole world ends with it

	turn chan struct{}
	// webhooks is set where they are installed.
	webhooks bool
	// repairing is set while the owners repair what is theirs, and calming once the
	// adversaries have ended.
	repairing, calming atomic.Bool

	mu sync.Mutex
	// lines are the story as it happened.
	lines []string
	// nodes are the Nodes that there should be in the end, with their instances.
	nodes map[string]*member
	// past are earlier statuses, by kind/namespace/name.
	past map[string][][]byte
	// locked are namespaces and kinds whose writes others' admission refuses.
	locked map[string]bool
	// hindered is until when writes of a namespace's claims are refused, or the operator
	// may still wait for the next try.
	hindered map[string]time.Time
	// troubled is until when something outside disturbs the operator.
	troubled time.Time
	// silent are claims whose holder does not renew any more.
	silent map[string]bool
	// outlived are Nodes whose instance is terminated, and which nobody deletes for long.
	outlived map[string]bool
	// reserved are the CIDR reservations that were made.
	reserved []string
	// backups are objects that are deleted and not made again yet.
	backups []*backup
	named   int
	// policies are those that there should be in the end.
	policies []*v1alpha1.ENIPolicy
}

// member is a node of the cluster.
type member struct {
	instance, kind, zone string
}

func newWorld(ctx context.Context, seed uint64, folder string) (*world, error) {
	rng := rand.New(rand.NewPCG(seed, 4)) //nolint:gosec // repeatable, not secret
	w := &world{
		folder: folder, start: time.Now(), ctx: ctx, nodes: map[string]*member{}, past: map[string][][]byte{},
		turn: make(chan struct{}, 1), locked: map[string]bool{}, hindered: map[string]time.Time{}, silent: map[string]bool{},
		outlived: map[string]bool{},
	}
	var err error
	if w.api, err = apiserver.New(seed); err != nil {
		return nil, err
	}
	w.cloud, w.elsewhere = newAccount(seed, 26+rng.IntN(3)), newAccount(seed+1, 26)
	scheme, err := setup.Scheme()
	if err != nil {
		return nil, err
	}
	connection := w.api.Connect(people, seed)
	if w.Client, err = client.New(connection.Config(), client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	if err := w.populate(rng); err != nil {
		return nil, err
	}
	w.webhooks = seed%3 != 0 // They are off by default, and some clusters leave them so.
	if !w.webhooks {
		w.tell("the webhooks are off")
	} else if err := w.installWebhooks(seed); err != nil { // After the policies: nobody answers for them yet.
		return nil, err
	}
	for i := range 2 {
		w.replicas = append(w.replicas, w.newReplica(fmt.Sprintf("replica-%d", i+1), rng.Uint64()))
	}
	return w, nil
}

// populate makes what is there before the operator.
func (w *world) populate(rng *rand.Rand) error {
	for _, name := range slices.Concat([]string{"kube-system", operatorSpace}, namespaces) {
		made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"name": name}}}
		if err := w.Create(w.ctx, made); err != nil {
			return err
		}
		if name == "kube-system" {
			w.referee = promises.NewReferee(promises.Settings{
				ClusterUID: string(made.UID), Operator: func(name string) bool { return strings.HasPrefix(name, "replica-") },
				Look: func() emulator.State { return w.cloud.Look(region) }, LeaderLease: leaderLease,
				NodeGoneGrace: nodeGoneGrace, AuditInterval: auditInterval, Hindered: w.isHindered,
				IdleReleaseAfter: operatorOptions("", false).IdleReleaseAfter, Cooldown: operatorOptions("", false).Cooldown,
			})
			w.api.Observe, w.api.Admit = w.observe, w.admit
		}
	}
	if err := w.define(); err != nil {
		return err
	}
	w.policies = basePolicies(rng)
	for _, policy := range w.policies {
		if err := w.Create(w.ctx, policy.DeepCopy()); err != nil {
			return fmt.Errorf("creating policy %s: %w", policy.Name, err)
		}
	}
	kinds := []string{"t3.medium", "m5.large", "m5.large", "m5.xlarge"}
	for range 2 + rng.IntN(3) {
		zone := zoneA
		if rng.IntN(3) == 0 {
			zone = zoneB
		}
		w.join(kinds[rng.IntN(len(kinds))], zone)
	}
	return nil
}

// define makes the definitions of our kinds, which the operator looks for before it
// lets go of anything.
func (w *world) define() error {
	for _, name := range []string{"elasticnetworkinterfaces", "eniclaims", "enipolicies", "enipools"} {
		crd := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name + "." + v1alpha1.GroupVersion.Group}}
		w.api.Seed("apiextensions.k8s.io", "customresourcedefinitions", crd.Name)
	}
	return nil
}

// observe sees each change of Kubernetes.
func (w *world) observe(write apiserver.Write) {
	if write.Group != v1alpha1.GroupVersion.Group && write.Resource != "nodes" && write.Resource != "namespaces" && write.Resource != "leases" {
		return
	}
	if write.Status && write.Before != nil {
		w.remember(write)
	}
	w.referee.See(promises.Write{
		Client: write.Connection, Resource: write.Resource, Name: write.Name, Before: write.Before, After: write.After, Status: write.Status,
	})
}

// remember keeps earlier statuses, for those who restore them.
func (w *world) remember(write apiserver.Write) {
	const most = 8
	w.mu.Lock()
	defer w.mu.Unlock()
	key := write.Resource + "/" + write.Namespace + "/" + write.Name
	w.past[key] = append(w.past[key], write.Before)
	if len(w.past[key]) > most {
		w.past[key] = w.past[key][1:]
	}
}

// admit is others' admission, which knows nothing of the operator.
func (w *world) admit(r apiserver.Request) error {
	if r.Connection == apiserver.Controller || r.Connection == people {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.locked[r.Resource+"/"+r.Namespace] || w.locked[r.Resource+"/"+r.Subresource+"/"+r.Name] || (w.locked[r.Verb+" "+r.Resource]) {
		return apiserver.Forbidden(r.Resource, r.Name, "the change freeze is on")
	}
	return nil
}

// join adds a node.
func (w *world) join(kind, zone string) string {
	w.named++
	name := fmt.Sprintf("node-%d", w.named)
	w.nodes[name] = &member{instance: w.cloud.launch(kind, zone), kind: kind, zone: zone}
	w.addNode(name)
	return name
}

// addNode makes the Node of a member.
func (w *world) addNode(name string) {
	m := w.nodes[name]
	w.ignore(w.Create(w.ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			"pool": "general", "node.kubernetes.io/instance-type": m.kind, "topology.kubernetes.io/zone": m.zone,
		}},
		Spec: corev1.NodeSpec{
			ProviderID: "aws:///" + m.zone + "/" + m.instance, Taints: []corev1.Taint{{Key: startupTaint, Effect: corev1.TaintEffectNoSchedule}},
		},
	}))
}

// ignore is for what people try, which may be refused, but for the repair.
func (w *world) ignore(err error) {
	if err == nil {
		return
	}
	w.tell("  refused: %v", err)
	if w.repairing.Load() && !apierrors.IsNotFound(err) && !apierrors.IsAlreadyExists(err) {
		w.referee.Foul(promises.WritesAccept, "the repair is refused: "+err.Error())
	}
}

// insist does what has to be done in the end: where it is refused, the person tries
// again for some minutes, such as until a replica answers for the webhooks.
func (w *world) insist(do func() error) {
	const tries, pause = 20, 30 * time.Second
	var err error
	for range tries {
		if err = do(); err == nil || apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) {
			return
		}
		time.Sleep(pause)
	}
	w.ignore(err)
}

// tell adds a line to the story.
func (w *world) tell(format string, arguments ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf("%s  %s", at(time.Since(w.start)), fmt.Sprintf(format, arguments...)))
}

// at writes a virtual time down.
func at(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

// disturbed notes that something outside keeps the operator from its work for a while.
func (w *world) disturbed(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if until := time.Now().Add(d); until.After(w.troubled) {
		w.troubled = until
	}
}

// isHindered reports whether others keep the operator from writing a claim.
func (w *world) isHindered(claim *v1alpha1.ENIClaim) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Before(w.hindered[claim.Namespace].Add(quieting))
}

// quieting is how long the operator has to come back to what failed.
const quieting = 3 * time.Minute

// calm reports whether nothing has kept the operator from its work for some minutes.
func (w *world) calm() bool {
	w.mu.Lock()
	troubled := w.troubled
	w.mu.Unlock()
	led := false
	for _, r := range w.replicas {
		if p := r.current(); p != nil && w.referee.Leads(p.connection.Name) {
			led = true
		}
	}
	return led && time.Since(troubled) > quieting
}

// later does something after a while, unless the world ends before.
func (w *world) later(d time.Duration, do func()) {
	go func() {
		select {
		case <-time.After(d):
			w.inTurn(do)
		case <-w.ctx.Done():
		}
	}()
}

// inTurn has people act one after the other. They wait for each other in a channel,
// which virtual time knows, and not in a mutex.
func (w *world) inTurn(do func()) {
	select {
	case w.turn <- struct{}{}:
		do()
		<-w.turn
	case <-w.ctx.Done():
	}
}

// Lists of what there is.

func (w *world) claims() []v1alpha1.ENIClaim {
	list := &v1alpha1.ENIClaimList{}
	w.ignore(w.List(w.ctx, list))
	return list.Items
}

func (w *world) enis() []v1alpha1.ElasticNetworkInterface {
	list := &v1alpha1.ElasticNetworkInterfaceList{}
	w.ignore(w.List(w.ctx, list))
	return list.Items
}

func (w *world) pools() []v1alpha1.ENIPool {
	list := &v1alpha1.ENIPoolList{}
	w.ignore(w.List(w.ctx, list))
	return list.Items
}

// ours are the ENIs in EC2 with this cluster's tag.
func (w *world) ours() []emulator.ENIState {
	found := w.cloud.Look(region).ENIs
	return slices.DeleteFunc(found, func(eni emulator.ENIState) bool { return eni.Tags[promises.TagUID] == "" })
}

// nodeNames are the names of the members.
func (w *world) nodeNames() []string { return slices.Sorted(maps.Keys(w.nodes)) }

// patch merges something into an object.
func (w *world) patch(object client.Object, patch map[string]any) error {
	raw, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	return w.Patch(w.ctx, object, client.RawPatch("application/merge-patch+json", raw))
}

// choose draws one of several; ok is false where there is none.
func choose[T any](rng *rand.Rand, from []T) (one T, ok bool) {
	if len(from) == 0 {
		return one, false
	}
	return from[rng.IntN(len(from))], true
}
