/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// How much is too much within a minute.
const (
	callsAMinute  = 120 // of one action by one replica
	calmAMinute   = 40  // of one read by one replica, while nothing disturbs it, and so many more
	calmPerNode   = 8   // for each Node, of which all may be joining while EC2 is asked three times about each ENI that somebody deleted
	targetAMinute = 15  // writes of one action on one ENI
	writesAMinute = 60  // of one object in Kubernetes
)

func (r *Referee) countCall(c Call) {
	r.rates[c.Client+" "+c.Action()]++
	if c.Mutating() {
		for _, id := range r.targets(c) {
			r.rates["on "+c.Action()+" "+id]++
		}
	}
}

func (r *Referee) count(w Write) {
	if w.Name == r.settings.LeaderLease {
		return
	}
	r.rates["of "+w.Resource+" "+w.Name]++
	if r.resting {
		r.writes = append(r.writes, w.Resource+" "+w.Name)
	}
}

// Minute is to be called every minute. Calm says that nothing but others' changes
// disturbs the operator: EC2 and Kubernetes answer, and somebody leads.
func (r *Referee) Minute(calm bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	r.calmFor += time.Minute
	if !calm {
		r.calmFor = 0
	}
	for what, n := range r.rates {
		limit := callsAMinute
		switch {
		case strings.HasPrefix(what, "on "):
			limit = targetAMinute
		case strings.HasPrefix(what, "of "):
			limit = writesAMinute
		case calm && strings.Contains(what, "Describe"):
			limit = calmAMinute + calmPerNode*len(r.world.Nodes)
		}
		if n > limit {
			r.foul(NoHotLoop, what, "%d times in a minute: %s", n, what)
		}
	}
	clear(r.rates)
	r.judgeStaleness(calm)
	r.judgeService(calm)
	r.noteFull(calm)
	r.judgeKeeping(calm)
}

// judgeStaleness looks for claims whose status shows what EC2 does not have.
func (r *Referee) judgeStaleness(calm bool) {
	for uid, claim := range r.world.Claims {
		held, ok := r.given[uid]
		if !ok || !holds(claim) || !claim.DeletionTimestamp.IsZero() || r.settings.Hindered(claim) {
			delete(r.stale, uid)
			continue
		}
		eni := r.world.ENI(held.eni)
		if Carries(eni, held.address) && eni.InstanceID == held.instance {
			delete(r.stale, uid)
			continue
		}
		if calm {
			r.stale[uid] += time.Minute
		}
		if r.stale[uid] > 2*r.settings.AuditInterval+r.settings.AuditInterval/2 {
			r.foul(TruthTold, string(uid), "claim %s has been Bound and Ready for %s with %s of %s, which EC2 does not have there",
				nameOf(claim), r.stale[uid], held.address, held.eni)
		}
	}
}

// Rest starts a time in which nothing happens, so that the operator has nothing to
// write.
func (r *Referee) Rest() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resting, r.writes = true, nil
}

// Rested ends it.
func (r *Referee) Rested() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resting = false
	if len(r.writes) > 0 && !r.wanting {
		r.foul(QuietAtRest, "", "%d writes while nothing happened: %s", len(r.writes), shortly(r.writes))
	}
}

// Unsettled is what has not come to rest, though nothing disturbs it any more.
func (r *Referee) Unsettled() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	r.wanting = false
	var left []string
	left = append(left, r.leaks()...)
	left = append(left, r.unfinished()...)
	left = append(left, r.unpaired()...)
	left = append(left, r.unrested()...)
	left = append(left, r.mistaken()...)
	for _, uid := range slices.Sorted(maps.Keys(r.world.Claims)) {
		if problem := r.unserved(r.world.Claims[uid]); problem != "" {
			left = append(left, problem)
		}
	}
	for _, uid := range slices.Sorted(maps.Keys(r.world.Nodes)) {
		if problem := r.unready(r.world.Nodes[uid].Name, InstanceOf(r.world.Nodes[uid]), r.world.Nodes[uid].Labels); problem != "" {
			left = append(left, problem)
		}
	}
	return left
}

// leaks are ENIs of ours that nothing stands for. Attached ones are not collected, and
// none at all while Kubernetes shows no resource: docs/protocols.md, "Collecting".
func (r *Referee) leaks() []string {
	if len(r.world.ENIs) == 0 {
		return nil
	}
	var found []string
	named := r.idsOfResources()
	for i := range r.world.Cloud.ENIs {
		eni := &r.world.Cloud.ENIs[i]
		if eni.Tags[TagClusterUID] == r.settings.ClusterUID && !named[eni.ID] && eni.Tags[TagDeletionPolicy] != "Retain" && eni.InstanceID == "" {
			found = append(found, fmt.Sprintf("%s: %s carries our tags, and no resource stands for it", NothingLeaks, eni.ID))
		}
	}
	return found
}

// idsOfResources are the ENIs for which a resource stands.
func (r *Referee) idsOfResources() map[string]bool {
	ids := map[string]bool{}
	for _, eni := range r.world.ENIs {
		ids[eni.Status.NetworkInterfaceID] = true
	}
	return ids
}

// unfinished are objects that are being deleted.
func (r *Referee) unfinished() []string {
	var found []string
	tell := func(kind, name string) {
		found = append(found, fmt.Sprintf("%s: %s %s waits for its deletion", NothingLeaks, kind, name))
	}
	for _, o := range r.world.Claims {
		if !o.DeletionTimestamp.IsZero() {
			tell("claim", nameOf(o))
		}
	}
	for _, o := range r.world.Pools {
		if !o.DeletionTimestamp.IsZero() && !r.inUse(o) {
			tell("pool", o.Name)
		}
	}
	for _, o := range r.world.ENIs {
		if !o.DeletionTimestamp.IsZero() && !r.heldENI(o.Name) {
			tell("ENI", o.Name)
		}
	}
	for _, o := range r.world.Namespaces {
		if !o.DeletionTimestamp.IsZero() {
			tell("namespace", o.Name)
		}
	}
	slices.Sort(found)
	return found
}

// inUse reports whether claims hold something of a pool, which then may not go.
func (r *Referee) inUse(pool *v1alpha1.ENIPool) bool {
	for _, claim := range r.world.Claims {
		if claim.Spec.NodeName == pool.Name && claim.Status.Phase == v1alpha1.ClaimBound {
			return true
		}
	}
	return false
}

func (r *Referee) heldENI(name string) bool {
	for _, claim := range r.world.Claims {
		if claim.Status.ENIName == name && claim.Status.Phase == v1alpha1.ClaimBound {
			return true
		}
	}
	return false
}

// unpaired are resources that say Ready and differ from EC2.
func (r *Referee) unpaired() []string {
	var found []string
	for _, uid := range slices.Sorted(maps.Keys(r.world.ENIs)) {
		resource := r.world.ENIs[uid]
		if !conditionTrue(resource.Status.Conditions, "Ready") {
			continue
		}
		actual := r.world.ENI(resource.Status.NetworkInterfaceID)
		if actual == nil {
			found = append(found, fmt.Sprintf("%s: ENI %s is Ready, and EC2 has no %s", TruthTold, resource.Name, resource.Status.NetworkInterfaceID))
			continue
		}
		if actual.DeviceIndex == 0 && actual.InstanceID != "" {
			continue
		}
		if told, is := texts(resource.Status.Addresses), sorted(actual.Addresses); !slices.Equal(told, is) {
			found = append(found, fmt.Sprintf("%s: ENI %s shows the addresses %v, and %s has %v", TruthTold, resource.Name, told, actual.ID, is))
		}
		if resource.Status.Attachment == nil || resource.Status.Attachment.InstanceID != actual.InstanceID {
			found = append(found, fmt.Sprintf("%s: ENI %s is Ready, and %s is attached to %q", TruthTold, resource.Name, actual.ID, actual.InstanceID))
		}
	}
	return found
}
