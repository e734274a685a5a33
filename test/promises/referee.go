/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// Settings are what a Referee must know.
type Settings struct {
	ClusterUID string
	// Operator reports whether a client of Kubernetes is one of the operator's replicas.
	Operator func(client string) bool
	// Look returns what EC2 really has.
	Look func() emulator.State
	// LeaderLease is the name of the operator's own lease.
	LeaderLease string
	// NodeGoneGrace, AuditInterval, IdleReleaseAfter and Cooldown are the operator's flags.
	NodeGoneGrace, AuditInterval, IdleReleaseAfter, Cooldown time.Duration
	// Hindered reports whether others keep the operator from writing a claim.
	Hindered func(claim *v1alpha1.ENIClaim) bool
}

// Write is a change of Kubernetes as the API server stored it.
type Write struct {
	Client, Resource, Name string
	Before, After          []byte // JSON; nil where there was or is none
	Status                 bool
}

// given is what the operator told a claim that it holds.
type given struct {
	address, eni, instance string
	exclusive              bool
}

// lapsed is what a claim held when others took its status away.
type lapsed struct {
	given
	claim string
}

// Referee watches over the promises.
type Referee struct {
	settings Settings

	mu    sync.Mutex
	world World
	given map[types.UID]given
	// lapsed is by address.
	lapsed map[string]lapsed
	// forged are the objects whose status others wrote after the operator.
	forged map[types.UID]bool
	leader string
	// nodeless is since when no Node names an instance.
	nodeless map[string]time.Time
	// ready are the pools that were ready once.
	ready map[types.UID]bool
	// changed is when a Node last began to name an instance, by the Node's name.
	changed map[string]time.Time
	// made are the ENIs that the operator created, with their resource's UID.
	made map[string]string
	// assigned are the addresses that the operator assigned, by ENI and address.
	assigned map[string]bool
	// carried is what ENIs had as the last call arrived that assigns addresses to them: what is
	// looked at after it may show what it did already.
	carried map[string][]string
	// absent is when EC2 last lacked an address of an ENI; moved when an ENI was last not
	// attached where it was.
	absent map[string]time.Time
	// givenAway is since when the tags of an ENI that the operator made name another cluster.
	givenAway map[string]time.Time
	// moved is when people last attached an ENI to another instance.
	moved map[string]time.Time

	// stale and waiting are for how long claims say what is not so, and for how long
	// claims and Nodes lack what they could have.
	stale, waiting map[types.UID]time.Duration
	// ungoverned is since when no policy selects a Node, by its name, and governed when one
	// was last seen to.
	ungoverned, governed map[string]time.Time
	policyDeleted        time.Time
	// accepted are the ENIs of whose accepted deletion a process knows, by process.
	accepted map[string]bool
	// gaveBack is when the operator gave an address of an ENI back to EC2 that the ENI has
	// not had since.
	gaveBack map[string]time.Time
	// underway is how many processes' reads of one question are on their way.
	underway map[string]int
	// full is for how long an instance has had no slot free.
	full map[string]time.Duration
	// keeping is for how long pools have kept something from use.
	keeping map[string]time.Duration
	// lastFull is when an instance was last seen without a free slot.
	lastFull map[string]time.Time

	uninstall  uninstall
	rates      map[string]int
	writes     []string
	resting    bool
	wanting    bool // something is scarce, which is tried again and again
	violations []Violation
	seen       map[string]bool
	// calmFor is for how long nothing has disturbed the operator, and growthWaited when a claim
	// last waited for its pool to grow.
	calmFor      time.Duration
	growthWaited time.Time
}

// NewReferee returns a Referee of a cluster that has nothing yet.
func NewReferee(settings Settings) *Referee {
	r := &Referee{
		settings: settings, given: map[types.UID]given{}, lapsed: map[string]lapsed{},
		forged:   map[types.UID]bool{},
		nodeless: map[string]time.Time{}, changed: map[string]time.Time{}, ready: map[types.UID]bool{},
		made: map[string]string{}, assigned: map[string]bool{}, carried: map[string][]string{}, absent: map[string]time.Time{}, givenAway: map[string]time.Time{},
		stale: map[types.UID]time.Duration{}, waiting: map[types.UID]time.Duration{}, ungoverned: map[string]time.Time{}, governed: map[string]time.Time{},
		accepted: map[string]bool{}, gaveBack: map[string]time.Time{}, underway: map[string]int{}, full: map[string]time.Duration{}, lastFull: map[string]time.Time{}, rates: map[string]int{}, seen: map[string]bool{},
	}
	r.moved = map[string]time.Time{}
	r.world = World{
		ClusterUID: settings.ClusterUID, Claims: map[types.UID]*v1alpha1.ENIClaim{}, Pools: map[types.UID]*v1alpha1.ENIPool{},
		ENIs: map[types.UID]*v1alpha1.ElasticNetworkInterface{}, Policies: map[types.UID]*v1alpha1.ENIPolicy{},
		Nodes: map[types.UID]*corev1.Node{}, Namespaces: map[types.UID]*corev1.Namespace{},
	}
	return r
}

// Violations are all that were seen so far.
func (r *Referee) Violations() []Violation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Violation(nil), r.violations...)
}

// foul notes a violation, once for each key.
func (r *Referee) foul(promise, key, format string, arguments ...any) {
	if r.seen[promise+key] {
		return
	}
	r.seen[promise+key] = true
	r.violations = append(r.violations, Violation{At: time.Now(), Promise: promise, What: fmt.Sprintf(format, arguments...)})
}

// Foul notes a violation that a test found by itself.
func (r *Referee) Foul(promise, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.foul(promise, what, "%s", what)
}

// refresh takes over what EC2 has now.
func (r *Referee) refresh() {
	r.world.Cloud, r.world.Now = r.settings.Look(), time.Now()
	for uid, g := range r.given {
		if claim := r.world.Claims[uid]; claim != nil && !Carries(r.world.ENI(g.eni), g.address) {
			r.absent[g.eni+"|"+g.address] = r.world.Now
		}
	}
	r.noteGivenAway()
	maps.DeleteFunc(r.gaveBack, func(key string, _ time.Time) bool {
		id, address, _ := strings.Cut(key, "|")
		return Carries(r.world.ENI(id), address) // EC2 gave it to the ENI again.
	})
	for address, l := range r.lapsed {
		if !Carries(r.world.ENI(l.eni), address) {
			delete(r.lapsed, address) // It went back to the subnet.
		}
	}
}

// noteGivenAway notes since when tags name another cluster.
func (r *Referee) noteGivenAway() {
	for id := range r.made {
		eni := r.world.ENI(id)
		given := false
		if eni != nil {
			uid, tagged := eni.Tags[TagClusterUID]
			given = tagged && uid != r.settings.ClusterUID
		}
		switch {
		case !given:
			delete(r.givenAway, id)
		case r.givenAway[id].IsZero():
			r.givenAway[id] = r.world.Now
		}
	}
}

// Look has the referee look at EC2, after others changed something there.
func (r *Referee) Look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
}

// See takes in a change of Kubernetes.
func (r *Referee) See(w Write) {
	r.mu.Lock()
	defer r.mu.Unlock()
	operator := r.settings.Operator(w.Client)
	if operator {
		r.count(w)
	}
	switch w.Resource {
	case "eniclaims":
		before, after := decode[v1alpha1.ENIClaim](w.Before), decode[v1alpha1.ENIClaim](w.After)
		keep(r.world.Claims, before, after)
		r.seeClaim(before, after, operator)
		r.noteGrowth(before, after)
	case "enipools":
		before, after := decode[v1alpha1.ENIPool](w.Before), decode[v1alpha1.ENIPool](w.After)
		keep(r.world.Pools, before, after)
		if operator && before != nil && before.DeletionTimestamp.IsZero() && (after == nil || !after.DeletionTimestamp.IsZero()) {
			r.judgePoolDeletion(before)
		}
		switch {
		case after == nil:
		case operator:
			delete(r.forged, after.UID)
			r.judgeShares(before, after)
			r.judgeReservations(before, after)
		case before == nil || !equality.Semantic.DeepEqual(before.Status, after.Status):
			r.forgeRecord(after)
		}
		if after != nil && conditionTrue(after.Status.Conditions, "Ready") {
			r.ready[after.UID] = true
		}
	case "enipolicies":
		after := decode[v1alpha1.ENIPolicy](w.After)
		keep(r.world.Policies, decode[v1alpha1.ENIPolicy](w.Before), after)
		r.seeGoverned(after == nil || !after.DeletionTimestamp.IsZero())
	case "elasticnetworkinterfaces":
		before, after := decode[v1alpha1.ElasticNetworkInterface](w.Before), decode[v1alpha1.ElasticNetworkInterface](w.After)
		keep(r.world.ENIs, before, after)
		r.seeENI(before, after, operator)
	case "nodes":
		keep(r.world.Nodes, decode[corev1.Node](w.Before), decode[corev1.Node](w.After))
		r.seeGoverned(false)
		r.seeNodes(decode[corev1.Node](w.Before))
		r.seeNode(decode[corev1.Node](w.Before), decode[corev1.Node](w.After), operator)
	case "namespaces":
		keep(r.world.Namespaces, decode[corev1.Namespace](w.Before), decode[corev1.Namespace](w.After))
	case "leases":
		if w.Name == r.settings.LeaderLease {
			r.seeLease(decode[coordinationv1.Lease](w.After), w.Client)
		}
	}
}

// object is any kind by pointer.
type object[T any] interface {
	*T
	GetUID() types.UID
}

func decode[T any](raw []byte) *T {
	if raw == nil {
		return nil
	}
	into := new(T)
	if err := json.Unmarshal(raw, into); err != nil {
		panic(fmt.Sprintf("the API server stored what cannot be read: %v", err))
	}
	return into
}

func keep[T any, P object[T]](all map[types.UID]*T, before, after *T) {
	switch {
	case after != nil:
		all[P(after).GetUID()] = after
	case before != nil:
		delete(all, P(before).GetUID())
	}
}

func (r *Referee) seeLease(lease *coordinationv1.Lease, client string) {
	r.leader = ""
	if lease != nil && lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != "" {
		r.leader = client
	}
}

// seeNodes finds out which instances have no Node any more.
func (r *Referee) seeNodes(before *corev1.Node) {
	named := map[string]bool{}
	for _, node := range r.world.Nodes {
		named[InstanceOf(node)] = true
	}
	for id := range r.nodeless {
		if named[id] {
			delete(r.nodeless, id)
		}
	}
	if before == nil {
		return
	}
	if id := InstanceOf(before); id != "" && !named[id] && r.nodeless[id].IsZero() {
		r.nodeless[id] = time.Now()
	}
}

// seeNode judges a change of a Node: the operator takes the startup taint off it once
// the pool of its very instance is ready.
func (r *Referee) seeNode(before, after *corev1.Node, operator bool) {
	if after == nil {
		return
	}
	if before == nil || InstanceOf(before) != InstanceOf(after) {
		r.changed[after.Name] = time.Now()
	}
	if !operator || before == nil || len(after.Spec.Taints) >= len(before.Spec.Taints) {
		return
	}
	pool := r.poolOf(after.Name)
	if pool == nil || pool.Spec.InstanceID != InstanceOf(after) || !r.ready[pool.UID] {
		r.foul(TaintKept, after.Name, "the startup taint is taken off Node %s (%s), whose pool was never ready", after.Name, InstanceOf(after))
	}
}

// nodeGone reports whether nobody stands for an instance, and has not for the grace.
// A Node of its name that names no instance yet may be its own.
func (r *Referee) nodeGone(instance, node string) bool {
	since, gone := r.nodeless[instance]
	if !gone {
		return false
	}
	for _, other := range r.world.Nodes {
		if other.Name == node && other.Spec.ProviderID == "" {
			return false
		}
	}
	return time.Since(since) >= r.settings.NodeGoneGrace-time.Second
}

func within(prefix, address string) bool {
	network, err := netip.ParsePrefix(prefix)
	ip, err2 := netip.ParseAddr(address)
	return err == nil && err2 == nil && network.Contains(ip)
}

func shortly(names []string) string {
	const most = 6
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// ClusterUID is who the cluster is.
func (r *Referee) ClusterUID() string { return r.settings.ClusterUID }
