/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// observe is what the controller's does. It reports false where the round ends as a conflict.
func (w *world) observe(r reading) (observation, bool) {
	o := w.spec.observation
	o.pool, o.enis, o.now, o.nodeGone = r.pool, r.enis, w.now, w.nodeGone
	if o.recordLost() {
		o.enis = w.fresh().enis // As observeENIs does.
	}
	if !w.nodeGone && o.pool.DeletionTimestamp.IsZero() {
		o.suspended = suspension(o.pool, nil)
	}
	w.observeEC2(&o)
	w.observeClaims(&o, r)
	if !w.observeUnnamed(&o, r) {
		return o, false
	}
	w.observeElsewhere(&o, r)
	err := w.confirmENIs(&o)
	return o, err
}

// observeEC2 reads what EC2 has, and what this process remembers of it.
func (w *world) observeEC2(o *observation) {
	o.network.rooms = map[string]subnetRoom{}
	for _, id := range []string{subnetA, subnetB} {
		o.network.rooms[id] = subnetRoom{known: w.full[id]}
	}
	o.refused = w.refusals.recall(o.pool.Name, o.enis, w.now)
	o.emptyFor = w.empty.elapsed(o.pool.Name, emptyENIs(o.pool), w.now)
	o.standing = map[string]standing{}
	o.unrecorded = map[string][]v1alpha1.Address{}
	for name, sim := range w.enis {
		eni := sim.latest()
		if eni.Status.NetworkInterfaceID == "" || sim.lost {
			continue
		}
		if sim.attached {
			addresses := append(textsOf(eni.Status.Addresses), eni.Status.PrimaryAddress)
			o.standing[eni.Status.NetworkInterfaceID] = standing{addresses: addresses, prefixes: textsOf(eni.Status.Prefixes)}
		}
		recorded := entryOf(&o.pool.Status, name).Mode != "" && !o.recordLost()
		if o.eni(name) != nil && !recorded && !eni.Primary() {
			o.unrecorded[name] = offered(eni)
		}
	}
}

func textsOf[T ~string](values []T) []string {
	texts := make([]string, 0, len(values))
	for _, value := range values {
		texts = append(texts, string(value))
	}
	return texts
}

// observeClaims reads the claims from the cache, or live where the record is lost.
func (w *world) observeClaims(o *observation, r reading) {
	o.vanished = map[string]bool{}
	for _, holder := range o.pool.Status.Holders() {
		if w.claims[holder.UID] == nil {
			o.vanished[string(holder.UID)] = true
		}
	}
	o.claims = w.shownClaims(r)
	if o.recordLost() {
		o.claims = w.shownClaims(reading{})
	}
}

// shownClaims are the claims that a cache shows, or that Kubernetes itself has.
func (w *world) shownClaims(r reading) []v1alpha1.ENIClaim {
	var claims []v1alpha1.ENIClaim
	for _, uid := range w.claimUIDs() {
		claim := w.claims[uid]
		if r.renewed[uid] {
			claim = w.unexpired[uid]
		}
		if !r.hidden[uid] {
			claims = append(claims, *claim.DeepCopy())
		}
	}
	return claims
}

// observeUnnamed reads the claims live if the record, as Kubernetes itself has it, does not
// name one that is bound.
func (w *world) observeUnnamed(o *observation, r reading) bool {
	if o.recordLost() || len(unnamedClaims(o.pool, o)) == 0 {
		return true
	}
	if r.pool.ResourceVersion != w.pool().ResourceVersion {
		return false
	}
	o.claims = w.shownClaims(reading{})
	o.unnamed = unnamedClaims(o.pool, o)
	return true
}

// observeElsewhere finds the addresses that claims hold on other ENIs, by the cache.
func (w *world) observeElsewhere(o *observation, r reading) {
	o.elsewhere = map[v1alpha1.Address]bool{}
	if !slices.ContainsFunc(o.claims, func(claim v1alpha1.ENIClaim) bool { return unserved(&claim) }) {
		return
	}
	shown := w.shownClaims(r)
	for i := range o.enis {
		eni := &o.enis[i]
		for _, address := range append(offered(eni), v1alpha1.Address(eni.Status.PrimaryAddress)) {
			holds := func(claim v1alpha1.ENIClaim) bool {
				return claim.Status.Address == string(address) && holdsElsewhere(&claim, nodeName, eni)
			}
			if address != "" && slices.ContainsFunc(shown, holds) {
				o.elsewhere[address] = true
			}
		}
	}
}

// confirmENIs asks Kubernetes itself about ENIs for which the cache does not do.
func (w *world) confirmENIs(o *observation) bool {
	o.confirmed = map[string]types.UID{}
	for _, name := range unconfirmedENIs(o.pool, o) {
		var latest *v1alpha1.ElasticNetworkInterface
		if sim := w.enis[name]; sim != nil {
			latest = sim.latest()
		}
		if !o.confirm(name, latest) {
			return false
		}
	}
	return true
}
