/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// world is one node with its pool, as Kubernetes and EC2 have it. Kubernetes
// keeps every version of the pool and the ENIs, so that a reconcile may read old
// ones; a write that is based on an old version is refused. EC2 hands out the
// lowest free address, so that what was released comes back at once.
type world struct {
	*rapid.T
	now  time.Time
	spec *fixture // bounds, limits, network
	// plugins are those that the policy may name.
	plugins []string
	pools   []*v1alpha1.ENIPool
	enis    map[string]*simulatedENI
	claims  map[types.UID]*v1alpha1.ENIClaim
	// cloud says which ENI an address is assigned to.
	cloud map[v1alpha1.Address]string
	// leaving are addresses that the record gave up and EC2 still has assigned.
	leaving map[v1alpha1.Address]bool
	// vanished are the ENIs from which somebody else took an address, until they have it
	// again, or which somebody else deleted.
	vanished map[v1alpha1.Address]map[string]bool
	// noticed are those of them of which a stored record knows.
	noticed map[v1alpha1.Address]map[string]bool
	// buried are the versions of ENI resources that were deleted.
	buried map[string][]v1alpha1.ElasticNetworkInterface
	// full are subnets without a free address.
	full     map[string]bool
	refusals refusals
	empty    sightings
	// freed is when an address began to rest.
	freed map[v1alpha1.Address]time.Time
	// unexpired are expired claims as they were before.
	unexpired map[types.UID]*v1alpha1.ENIClaim
	// ended are claims that were told that they expired.
	ended map[types.UID]bool
	// told is what claims were told that they hold.
	told     map[types.UID]string
	nodeGone bool
	made     int
	said     []string
}

// newWorld has a pool with one of these IPAM plugins.
func newWorld(t *rapid.T, plugins ...string) *world {
	f := newFixture().bounds(2, 3, 14).exclusive(0, 0, 2).limit(4, 6)
	if rapid.Bool().Draw(t, "prefixes") {
		f.bounds(16, 3, 64).prefixes().limit(4, 2)
	}
	if rapid.Bool().Draw(t, "primary ENI") {
		f.withPrimary(rapid.Int32Range(0, 3).Draw(t, "room"))
	}
	f.pool.Spec.IPAM = rapid.SampledFrom(plugins).Draw(t, "ipam")
	f.pool.Spec.Shared.ReserveAfterRelease = &metav1.Duration{Duration: 5 * time.Minute}
	f.change(admitting("market"))
	return worldOf(t, f, plugins...)
}

// worldOf has a pool as a fixture says.
func worldOf(t *rapid.T, f *fixture, plugins ...string) *world {
	w := &world{T: t, now: start, plugins: plugins, spec: f, enis: map[string]*simulatedENI{}, claims: map[types.UID]*v1alpha1.ENIClaim{},
		cloud: map[v1alpha1.Address]string{}, leaving: map[v1alpha1.Address]bool{}, vanished: map[v1alpha1.Address]map[string]bool{},
		noticed: map[v1alpha1.Address]map[string]bool{},
		buried:  map[string][]v1alpha1.ElasticNetworkInterface{}, full: map[string]bool{}, freed: map[v1alpha1.Address]time.Time{}, told: map[types.UID]string{},
		unexpired: map[types.UID]*v1alpha1.ENIClaim{}, ended: map[types.UID]bool{}}
	f.pool.Status = v1alpha1.ENIPoolStatus{}
	f.pool.ResourceVersion = "0"
	w.pools = []*v1alpha1.ENIPool{f.pool}
	return w
}

func (w *world) say(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
	w.Logf(format, args...)
}

func (w *world) pool() *v1alpha1.ENIPool { return w.pools[len(w.pools)-1].DeepCopy() }

// writePool stores a version of the pool, unless another came between.
func (w *world) writePool(pool *v1alpha1.ENIPool) bool {
	latest := w.pools[len(w.pools)-1]
	if pool.ResourceVersion != latest.ResourceVersion {
		return false
	}
	pool = pool.DeepCopy()
	pool.ResourceVersion = fmt.Sprint(len(w.pools))
	for i := range pool.Status.Addresses { // The API keeps seconds.
		at := &pool.Status.Addresses[i].Since
		*at = metav1.NewTime(at.Truncate(time.Second))
	}
	w.pools = append(w.pools, pool)
	return true
}

func (w *world) changePool(how func(*v1alpha1.ENIPool)) {
	pool := w.pool()
	how(pool)
	pool.Generation++
	w.writePool(pool)
}

// writeENI stores a version of an ENI; a changed spec is a new generation.
func (w *world) writeENI(eni *v1alpha1.ElasticNetworkInterface) bool {
	sim := w.enis[eni.Name]
	if sim == nil {
		return false
	}
	latest := sim.latest()
	if eni.ResourceVersion != latest.ResourceVersion || eni.UID != latest.UID {
		return false
	}
	if equality.Semantic.DeepEqual(eni, latest) {
		return true
	}
	eni = eni.DeepCopy()
	if !equality.Semantic.DeepEqual(eni.Spec, latest.Spec) {
		eni.Generation++
	}
	eni.ResourceVersion = fmt.Sprint(len(sim.versions))
	sim.versions = append(sim.versions, *eni)
	return true
}

// --- claims ---

// createClaim makes a claim. Some names are of another namespace.
func (w *world) createClaim(name string, mode v1alpha1.Mode, fixed *v1alpha1.Address, leased bool) {
	namespace := "shop"
	if strings.HasSuffix(name, "3") || strings.HasSuffix(name, "5") || strings.HasSuffix(name, "7") {
		namespace = "market"
	}
	for _, claim := range w.claims {
		if claim.Name == name {
			return
		}
	}
	w.made++
	uid := types.UID(fmt.Sprintf("%s#%d", name, w.made))
	w.claims[uid] = &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: uid, CreationTimestamp: metav1.NewTime(w.now)},
		Spec:       v1alpha1.ENIClaimSpec{NodeName: nodeName, Mode: mode, Address: fixed},
	}
	if leased {
		w.claims[uid].Spec.Lease = &v1alpha1.ClaimLease{Duration: metav1.Duration{Duration: time.Minute}}
	}
	w.say("create claim %s %s", uid, mode)
}

func (w *world) deleteClaim(uid types.UID) {
	claim := w.claims[uid]
	w.say("delete claim %s", uid)
	if len(claim.Finalizers) == 0 {
		delete(w.claims, uid)
		return
	}
	if claim.DeletionTimestamp.IsZero() {
		now := metav1.NewTime(w.now)
		claim.DeletionTimestamp = &now
	}
}

// runOut is what the lease controller does with a bound claim that was not renewed in
// time.
func (w *world) runOut(uid types.UID) {
	if claim := w.claims[uid]; claim.Spec.Lease != nil && claim.Status.Phase == v1alpha1.ClaimBound && claim.DeletionTimestamp.IsZero() {
		w.say("the lease of %s ran out", uid)
		w.unexpired[uid] = claim.DeepCopy()
		expire(claim)
		w.ended[uid] = true
	}
}

// overtaken reports whether the copy of a claim is from before its end: what is written by
// it is refused.
func (w *world) overtaken(claim *v1alpha1.ENIClaim) bool {
	return w.ended[claim.UID] && claim.Status.Phase != v1alpha1.ClaimExpired && w.claims[claim.UID] != nil
}

func (w *world) claimUIDs() []types.UID { return slices.Sorted(maps.Keys(w.claims)) }

// inUse says whether a live claim was told that it holds an address.
func (w *world) inUse(address v1alpha1.Address) *v1alpha1.ENIClaim {
	for _, claim := range w.claims {
		if claim.Status.Phase == v1alpha1.ClaimBound && claim.Status.Address == string(address) {
			return claim
		}
	}
	return nil
}

// --- EC2 and the ENI controller ---

// --- the pool controller ---

// reading is what a reconcile reads and how far it gets.
type reading struct {
	pool *v1alpha1.ENIPool
	enis []v1alpha1.ElasticNetworkInterface
	// hidden are claims that the cache does not show yet; live reads do.
	hidden map[types.UID]bool
	// renewed are claims of which the cache does not show yet that their lease ran
	// out.
	renewed map[types.UID]bool
	// steps after which the process dies: 1 the decision is stored, 2 the claims
	// are told, 3 all is done.
	steps int
}

func (w *world) fresh() reading {
	r := reading{pool: w.pool(), steps: 3}
	for _, name := range slices.Sorted(maps.Keys(w.enis)) {
		r.enis = append(r.enis, *w.enis[name].latest())
	}
	return r
}

// reconcile does what the controller does, and says whether anything changed.
func (w *world) reconcile(r reading) bool {
	o, ok := w.observe(r)
	if !ok {
		return true
	}
	changed := w.prepare(o)
	before := w.pool()
	d := plan(o)
	w.judge(o, d)
	r.pool = r.pool.DeepCopy()
	o.pool = r.pool // If nothing is written, nobody notices that it is old.
	if !equality.Semantic.DeepEqual(d.status, r.pool.Status) {
		r.pool.Status = d.status
		if !w.writePool(r.pool) {
			return true // Somebody else wrote: the decision is void.
		}
		w.judgeRecord(before, o)
		o.pool = w.pool()
		o.latestRecord = true
		changed = true
	}
	if r.steps > 1 {
		told, stale := w.tell(o)
		if stale {
			return true
		}
		changed = told || changed
	}
	if r.steps > 2 && o.suspended == nil {
		changed = w.changeENIs(o, d) || changed
	}
	return changed
}

// prepare is what prepareClaims does.
func (w *world) prepare(o observation) bool {
	changed := false
	for i := range o.claims {
		claim := &o.claims[i]
		switch {
		case w.overtaken(claim):
			continue
		case claim.DeletionTimestamp.IsZero() && len(claim.Finalizers) == 0:
			claim.Finalizers = []string{v1alpha1.Finalizer}
		case !claim.DeletionTimestamp.IsZero() && claim.Status.Address != "":
			surrender(claim)
		default:
			continue
		}
		changed = true
		w.claims[claim.UID] = claim.DeepCopy()
	}
	return changed
}

// tell is what tellClaims does.
func (w *world) tell(o observation) (changed, stale bool) {
	for i := range o.claims {
		claim := &o.claims[i]
		v := verdictOn(o, &o.pool.Status, claim)
		if o.keeps(claim, v) || w.overtaken(claim) {
			continue
		}
		if !claim.DeletionTimestamp.IsZero() {
			if v.phase != v1alpha1.ClaimBound {
				delete(w.claims, claim.UID)
				changed = true
			}
			continue
		}
		if o.needsLatestRecord(claim, v) && o.pool.ResourceVersion != w.pool().ResourceVersion {
			return changed, true
		}
		before := claim.DeepCopy()
		applyVerdict(claim, v, metav1.NewTime(o.now))
		if !equality.Semantic.DeepEqual(before, claim) {
			w.say("claim %s is %s %s", claim.UID, claim.Status.Phase, claim.Status.Address)
			w.claims[claim.UID] = claim.DeepCopy()
			changed = true
		}
	}
	return changed, false
}

// changeENIs is what the controller's does.
func (w *world) changeENIs(o observation, d decision) bool {
	for _, n := range d.creates {
		if w.enis[n.name] != nil {
			return true
		}
		w.made++
		eni := buildENI(o, n)
		eni.UID, eni.Generation, eni.ResourceVersion = types.UID(fmt.Sprint(w.made)), 1, "0"
		w.enis[n.name] = &simulatedENI{versions: []v1alpha1.ElasticNetworkInterface{*eni}}
		w.say("new ENI %s %s of %d", n.name, n.mode, n.count)
	}
	changed := len(d.creates) > 0
	for i := range o.enis {
		eni := o.enis[i].DeepCopy()
		if slices.Contains(d.removals, eni.Name) {
			eni.Spec.Drained = true
			now := metav1.NewTime(w.now.Truncate(time.Second))
			if eni.DeletionTimestamp.IsZero() {
				eni.DeletionTimestamp = &now
			}
		} else {
			reshape(o, eni, d)
		}
		if equality.Semantic.DeepEqual(*eni, o.enis[i]) {
			continue
		}
		changed = true
		if !w.writeENI(eni) {
			return true
		}
		w.say("changed %s: count %d/%d, release %v, drained %v", eni.Name, eni.Spec.AddressCount, eni.Spec.PrefixCount, eni.Spec.Release, eni.Spec.Drained)
	}
	return changed
}
