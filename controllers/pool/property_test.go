/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ipam"
)

// histories is how many of them TestHistories runs, unless -rapid.checks says
// another number: make test-long runs more.
const histories = "300"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", histories); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// TestHistories runs random histories of one node against what must always hold.
func TestHistories(t *testing.T) {
	count := 0
	rapid.Check(t, func(t *rapid.T) {
		count++
		w := newWorld(t, ipam.Shared, ipam.AWS)
		t.Repeat(w.actions())
		w.settle()
	})
	t.Logf("%d histories", count)
}

// TestHostilePlugin: whatever a plugin says, the promises hold. Only claims may wait.
func TestHostilePlugin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, "hostile")
		t.Repeat(w.actions())
	})
}

// actions are what can happen, and what must hold after each of them.
func (w *world) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"createClaim":    w.drawClaim,
		"createClaims":   func(t *rapid.T) { w.drawClaim(t); w.drawClaim(t); w.drawClaim(t) },
		"deleteClaim":    func(*rapid.T) { w.withClaim(w.deleteClaim) },
		"recreateClaim":  func(*rapid.T) { w.withClaim(w.recreateClaim) },
		"runOut":         func(*rapid.T) { w.withClaim(w.runOut) },
		"loseFinalizer":  func(*rapid.T) { w.withClaim(func(uid types.UID) { w.say("vanished %s", uid); delete(w.claims, uid) }) },
		"reconcile":      func(*rapid.T) { w.reconcile(w.fresh()) },
		"reconcileAgain": func(*rapid.T) { w.reconcile(w.fresh()) },
		"reconcileOld":   func(*rapid.T) { w.reconcile(w.old()) },
		"crash":          w.crash,
		"stepENI":        w.drawStep,
		"stepENIs":       func(*rapid.T) { w.stepAll() },
		"vanish":         w.drawVanish,
		"wait":           w.wait,
		"changeBounds":   w.changeBounds,
		"movePolicy":     w.movePolicy,
		"changePlugin":   w.changePlugin,
		"loseRecord":     w.loseRecord,
		"loseNode":       w.loseNode,
		"loseENI":        w.drawLoss,
		"missNode":       w.missNode,
		"fillSubnet":     w.fillSubnet,
		"":               w.check,
	}
}

func (w *world) drawClaim(*rapid.T) {
	mode, fixed := v1alpha1.ModeShared, (*v1alpha1.Address)(nil)
	switch rapid.IntRange(0, 5).Draw(w.T, "kind") { // The others ask for any address.
	case 0:
		mode = v1alpha1.ModeExclusive
	case 1:
		a := address(9, rapid.IntRange(1, 8).Draw(w.T, "address"))
		fixed = &a
	case 2:
		if entries := w.pool().Status.Addresses; len(entries) > 0 {
			a := rapid.SampledFrom(entries).Draw(w.T, "recorded").Address
			fixed = &a
		}
	}
	w.createClaim(fmt.Sprintf("web-%d", rapid.IntRange(0, 19).Draw(w.T, "name")), mode, fixed, rapid.Bool().Draw(w.T, "leased"))
}

func (w *world) withClaim(do func(types.UID)) {
	if uids := w.claimUIDs(); len(uids) > 0 {
		do(rapid.SampledFrom(uids).Draw(w.T, "claim"))
	}
}

func (w *world) recreateClaim(uid types.UID) {
	claim := w.claims[uid]
	delete(w.claims, uid)
	w.createClaim(claim.Name, claim.Spec.Mode, claim.Spec.Address, claim.Spec.Lease != nil)
}

// old is a reading of which every part may be out of date.
func (w *world) old() reading {
	r := w.fresh()
	r.enis = nil
	if back := rapid.IntRange(0, min(2, len(w.pools)-1)).Draw(w.T, "pool versions back"); back > 0 {
		r.pool = w.pools[len(w.pools)-1-back].DeepCopy()
	}
	names := map[string]bool{}
	for name := range w.enis {
		names[name] = true
	}
	for name := range w.buried {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if eni := w.oldENI(name); eni != nil {
			r.enis = append(r.enis, *eni)
		}
	}
	r.hidden, r.renewed = map[types.UID]bool{}, map[types.UID]bool{}
	for _, uid := range w.claimUIDs() {
		r.hidden[uid] = rapid.IntRange(0, 3).Draw(w.T, "hidden") == 0
		r.renewed[uid] = w.ended[uid] && rapid.Bool().Draw(w.T, "still renewed")
	}
	w.say("reading old versions")
	return r
}

// oldENI is a version of an ENI, possibly of an earlier one of its name, or nothing.
func (w *world) oldENI(name string) *v1alpha1.ElasticNetworkInterface {
	versions := slices.Clone(w.buried[name])
	latest := 0 // Nothing.
	if sim := w.enis[name]; sim != nil {
		versions = append(versions, sim.versions...)
		latest = 1
	}
	back := rapid.IntRange(latest-1, len(versions)).Draw(w.T, "ENI versions back")
	if back < 0 || back == len(versions) {
		return nil
	}
	return versions[len(versions)-1-back].DeepCopy()
}

func (w *world) crash(*rapid.T) { w.crashAfter(rapid.IntRange(1, 2).Draw(w.T, "steps")) }

func (w *world) crashAfter(steps int) {
	r := w.fresh()
	w.refusals, w.empty = refusals{}, sightings{}
	r.steps = steps
	w.say("crashing after step %d", r.steps)
	w.reconcile(r)
}

func (w *world) drawStep(*rapid.T) {
	if names := slices.Sorted(maps.Keys(w.enis)); len(names) > 0 {
		w.stepENI(rapid.SampledFrom(names).Draw(w.T, "eni"), rapid.IntRange(0, 4).Draw(w.T, "twice") == 0)
	}
}

// drawVanish takes something from an ENI that was not to be given back.
func (w *world) drawVanish(*rapid.T) {
	if rapid.IntRange(0, 3).Draw(w.T, "really") > 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(w.enis)) {
		eni := w.enis[name].latest()
		parts := slices.DeleteFunc(partsOf(eni), func(p part) bool { return slices.Contains(eni.Spec.Release, p.name) })
		if len(parts) > 0 && eni.DeletionTimestamp.IsZero() && rapid.Bool().Draw(w.T, "this one") {
			w.vanish(name, rapid.SampledFrom(parts).Draw(w.T, "part"))
			return
		}
	}
}

func (w *world) stepAll() bool {
	changed := false
	for _, name := range slices.Sorted(maps.Keys(w.enis)) {
		for steps := 0; w.enis[name] != nil && w.stepENI(name, false); steps++ {
			if changed = true; steps > 20 {
				w.Fatalf("ENI %s takes and gives back in circles", name)
			}
		}
	}
	return changed
}

func (w *world) wait(*rapid.T) {
	w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{100, 5_000, 30_000, 600_000}).Draw(w.T, "ms")) * time.Millisecond)
}

func (w *world) changeBounds(*rapid.T) {
	unit := w.spec.unit()
	minimum := rapid.Int32Range(0, 8).Draw(w.T, "minimum") * unit
	maximum := max(minimum, rapid.Int32Range(1, 20).Draw(w.T, "maximum")*unit)
	exclusive := rapid.Int32Range(0, 2).Draw(w.T, "exclusive")
	w.say("bounds %d..%d, exclusive %d", minimum, maximum, exclusive)
	w.changePool(func(pool *v1alpha1.ENIPool) {
		pool.Spec.Shared.MinimumIPs, pool.Spec.Shared.MaximumIPs = minimum, maximum
		pool.Spec.Exclusive.Minimum = exclusive
	})
}

// movePolicy takes the node to other subnets, to no policy, or back.
func (w *world) movePolicy(*rapid.T) {
	policy := rapid.SampledFrom([]string{"general", ""}).Draw(w.T, "policy")
	w.spec.network.subnetIDs = []string{rapid.SampledFrom([]string{subnetA, subnetB}).Draw(w.T, "subnet")}
	w.spec.primary.usable = w.spec.primary.known && w.spec.network.subnetIDs[0] == subnetA
	w.say("policy %q, subnets %v", policy, w.spec.network.subnetIDs)
	w.changePool(func(pool *v1alpha1.ENIPool) { pool.Spec.PolicyName = policy })
}

func (w *world) changePlugin(*rapid.T) {
	name := rapid.SampledFrom(w.plugins).Draw(w.T, "ipam")
	w.say("plugin %s", name)
	w.changePool(func(pool *v1alpha1.ENIPool) { pool.Spec.IPAM = name })
}

// loseRecord wipes the status, or puts an old one in its place under another UID.
func (w *world) loseRecord(*rapid.T) {
	if rapid.IntRange(0, 3).Draw(w.T, "really") > 0 {
		return
	}
	lost := v1alpha1.ENIPoolStatus{}
	if rapid.Bool().Draw(w.T, "restored") {
		lost = *w.pools[rapid.IntRange(0, len(w.pools)-1).Draw(w.T, "backup")].Status.DeepCopy()
		lost.PoolUID = "before"
	}
	w.loseRecordFor(lost)
}

// loseRecordFor puts a status in place of the record.
func (w *world) loseRecordFor(status v1alpha1.ENIPoolStatus) {
	w.say("the record is lost")
	w.changePool(func(pool *v1alpha1.ENIPool) { pool.Status = status })
	// Of what no ENI shows, nothing tells that it was to rest: EC2 may assign it anew.
	maps.DeleteFunc(w.freed, func(a v1alpha1.Address, _ time.Time) bool { return w.cloud[a] == "" })
	maps.DeleteFunc(w.leaving, func(a v1alpha1.Address, _ bool) bool { // Only what an ENI was told is still on its way.
		for _, sim := range w.enis {
			if covered(sim.latest().Spec.Release, a) {
				return false
			}
		}
		return true
	})
}

func (w *world) loseNode(*rapid.T) {
	if rapid.IntRange(0, 9).Draw(w.T, "really") == 0 {
		w.say("the node is gone")
		w.nodeGone = true
	}
}

// drawLoss has somebody delete an ENI in EC2.
func (w *world) drawLoss(*rapid.T) {
	if rapid.IntRange(0, 3).Draw(w.T, "really") > 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(w.enis)) {
		eni := w.enis[name].latest()
		if eni.Status.NetworkInterfaceID != "" && !eni.Primary() && !w.enis[name].lost && rapid.Bool().Draw(w.T, "this one") {
			w.lose(name)
			return
		}
	}
}

// missNode has the policy controller note that the Node is missing, or is back.
func (w *world) missNode(*rapid.T) {
	w.changePool(func(pool *v1alpha1.ENIPool) {
		if pool.Spec.NodeGoneSince != nil {
			w.say("the Node is back")
			pool.Spec.NodeGoneSince = nil
			return
		}
		w.say("the Node is missing")
		now := metav1.NewTime(w.now)
		pool.Spec.NodeGoneSince = &now
	})
}

// fillSubnet takes the last address of a subnet, or frees many.
func (w *world) fillSubnet(*rapid.T) {
	id := rapid.SampledFrom([]string{subnetA, subnetB}).Draw(w.T, "subnet")
	w.full[id] = !w.full[id]
	w.say("%s full: %v", id, w.full[id])
}

// settle lets everything come to rest, and expects it to: first with the subnets as they
// are, then with room in all of them.
func (w *world) settle() {
	if w.pool().Spec.NodeGoneSince != nil {
		w.missNode(w.T)
	}
	w.rest()
	if w.scarce() {
		clear(w.full)
		w.rest()
	}
}

// scarce reports whether EC2 has not all that could be asked for.
func (w *world) scarce() bool { return w.full[subnetA] || w.full[subnetB] }

func (w *world) rest() {
	unchanged := 0
	for range 60 {
		changed := w.stepAll()
		changed = w.reconcile(w.fresh()) || changed
		w.check(w.T)
		unchanged++
		if changed {
			unchanged = 0
			continue
		}
		if w.nothingDue(unchanged) {
			w.atRest()
			return
		}
		w.now = w.now.Add(5 * time.Minute)
	}
	o, _ := w.observe(w.fresh())
	w.Fatalf("no rest:\n%s", render(o, plan(o)))
}

// nothingDue reports whether time alone changes nothing any more. What EC2 lacks is looked
// for again and again: then nothing has changed for longer than any other wait.
func (w *world) nothingDue(unchanged int) bool {
	o, _ := w.observe(w.fresh())
	recheck := plan(o).recheck
	return recheck == 0 || (w.scarce() && recheck == scarcityRetry && unchanged > 4)
}

// atRest: nothing is on its way, and whoever waits waits for good reason.
func (w *world) atRest() {
	o, _ := w.observe(w.fresh())
	d := plan(o)
	if !equality.Semantic.DeepEqual(d.status, o.pool.Status) || len(d.creates)+len(d.counts)+len(d.releases)+len(d.removals) > 0 {
		w.Fatalf("not at rest:\n%s", render(o, d))
	}
	for _, entry := range d.status.Addresses {
		tainted := entry.State == v1alpha1.HolderQuarantined && w.spec.unit() > 1 // Its prefix is in use.
		if entry.State != v1alpha1.HolderAllocated && !tainted {
			w.Fatalf("%s is %s at rest:\n%s", entry.Address, entry.State, render(o, d))
		}
	}
	if shared := d.status.Shared; o.pool.Spec.IPAM == ipam.AWS && !o.draining() && o.unit() == 1 && shared.Free > 0 {
		w.Fatalf("%d addresses that nobody asked for at rest:\n%s", shared.Free, render(o, d))
	}
	for i := range o.enis {
		eni := &o.enis[i]
		kept := w.scarce() || o.pool.Spec.IPAM != ipam.AWS || o.draining() || o.unit() != 1
		held := len(d.status.HoldersOf(eni.Name)) > 0 // By a claim on an address that others have: it stays under the claim.
		if !kept && !held && eni.Spec.Mode == v1alpha1.ModeShared && len(offered(eni)) == 0 {
			w.Fatalf("ENI %s is empty, and still there at rest:\n%s", eni.Name, render(o, d))
		}
	}
	for _, holder := range d.status.Holders() {
		if w.ended[holder.UID] {
			w.Fatalf("claim %s expired, and holds something at rest", holder.UID)
		}
	}
	for i := range o.claims {
		claim := &o.claims[i]
		w.judgeReady(claim)
		if !claim.DeletionTimestamp.IsZero() {
			w.Fatalf("claim %s is not gone at rest", claim.UID)
		}
		if claim.Status.Phase == v1alpha1.ClaimPending && claim.Spec.Address == nil && !o.draining() {
			reason, _ := whyPending(o, &d.status, claim)
			full := reason == v1alpha1.ReasonSubnetExhausted && w.scarce()
			if reason != v1alpha1.ReasonPoolAtMaximum && reason != v1alpha1.ReasonInstanceFull && !full {
				w.Fatalf("claim %s waits at rest: %s\n%s", claim.UID, reason, render(o, d))
			}
		}
	}
	full := instanceFull(o, &d.status, v1alpha1.ModeShared) || w.scarce() || o.draining()
	if shared := d.status.Shared; !full && shared.Capacity < shared.Desired && shared.Capacity+o.unit() <= o.highest() {
		w.Fatalf("%d of %d addresses at rest:\n%s", shared.Capacity, shared.Desired, render(o, d))
	}
	if o.draining() && len(d.status.Holders()) == 0 && len(o.enis) > 0 {
		w.Fatalf("%d ENIs are left of an empty pool without a policy", len(o.enis))
	}
}
