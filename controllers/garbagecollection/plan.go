/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package garbagecollection

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// The most that one sweep deletes: a mistake of ours, or of whoever restored a
// cluster, stays small, and is seen before it is large.
const (
	// minDeletions may be deleted however few ENIs there are.
	minDeletions = 10
	// deletionPercent of the cluster's ENIs may be deleted if that is more.
	deletionPercent = 5
)

// verdict is what becomes of an ENI that no resource stands for.
type verdict string

const (
	// verdictYoung: the grace period is not over. It may be on its way to or from
	// its resource, so it does not count as leaked.
	verdictYoung verdict = "Young"
	// verdictAttached: it is attached, so somebody may use it. People decide.
	verdictAttached verdict = "Attached"
	// verdictSeenOnce: it waits for a second sweep to show the same.
	verdictSeenOnce verdict = "SeenOnce"
	// verdictUninstalling: our kinds are being removed from the cluster.
	verdictUninstalling verdict = "Uninstalling"
	// verdictNoResources: Kubernetes shows no ENI resource at all.
	verdictNoResources verdict = "NoResources"
	// verdictDryRun: it would be deleted.
	verdictDryRun verdict = "DryRun"
	// verdictOverLimit: it waits for a later sweep.
	verdictOverLimit verdict = "OverLimit"
	// verdictDelete: it is deleted now.
	verdictDelete verdict = "Delete"
)

// identity is whose the ENIs are: what the tags cluster and cluster-uid must say.
type identity struct {
	cluster    string
	clusterUID string
}

// candidate is an ENI as a sweep showed it.
type candidate struct {
	id string
	// owner is what its tags say about whose it is.
	owner identity
	// uid of the resource that it was created for; "" where the tag is missing.
	uid types.UID
	// createdAt is zero where the tag is missing or malformed.
	createdAt time.Time
	retained  bool
	attached  bool
}

// resource is what an ElasticNetworkInterface says about which ENI is its own.
type resource struct {
	uid types.UID
	// eniID is "" until the resource has found its ENI: a creation may be open.
	eniID string
}

// sighting is what is remembered of an ENI without a resource until the next
// sweep.
type sighting struct {
	// since is when a sweep first showed it so.
	since time.Time
	// ripe: at the last sweep all but the second sighting spoke for deleting it.
	ripe bool
	// tries counts the calls that were to delete it; what keeps failing goes last.
	tries int
	// verdict of the last sweep.
	verdict verdict
}

// input is all that a decision depends on.
type input struct {
	identity  identity
	enis      []candidate
	resources []resource
	// seen are the sightings of the sweep before, by ENI id.
	seen map[string]sighting
	// now is when EC2 showed the ENIs.
	now   time.Time
	grace time.Duration
	// uninstalling: a CRD of ours is missing, or going.
	uninstalling bool
	dryRun       bool
}

// finding is an ENI that no resource stands for, what becomes of it, and why.
type finding struct {
	id      string
	uid     types.UID
	verdict verdict
	reason  string
	age     time.Duration
	tries   int
}

// decision is what plan decides.
type decision struct {
	// findings by ENI id.
	findings []finding
	// seen are the sightings for the next sweep.
	seen map[string]sighting
}

// due says whether anything is to be deleted but for what Kubernetes says as a
// whole, so that Kubernetes itself must be asked and not a cache.
func (d decision) due() bool {
	return slices.ContainsFunc(d.findings, func(f finding) bool {
		return f.verdict != verdictYoung && f.verdict != verdictAttached && f.verdict != verdictSeenOnce
	})
}

// plan decides what becomes of the ENIs of our cluster that belong to no resource.
func plan(in input) decision {
	claimed := claimsOf(in.resources)
	d := decision{seen: map[string]sighting{}}
	ours := 0
	for _, eni := range in.enis {
		if eni.owner != in.identity || eni.uid == "" {
			continue
		}
		ours++
		if !eni.retained && !claimed.include(eni) {
			d.findings = append(d.findings, judge(in, eni))
		}
	}
	allow(d.findings, max(minDeletions, ours*deletionPercent/100))
	slices.SortFunc(d.findings, func(a, b finding) int { return strings.Compare(a.id, b.id) })
	for _, f := range d.findings {
		d.seen[f.id] = remember(in, f)
	}
	return d
}

// claims are the ENIs that belong to resources.
type claims struct {
	named   map[string]bool
	seeking map[types.UID]bool
}

func claimsOf(resources []resource) claims {
	c := claims{named: map[string]bool{}, seeking: map[types.UID]bool{}}
	for _, r := range resources {
		if r.eniID == "" {
			c.seeking[r.uid] = true
		} else {
			c.named[r.eniID] = true
		}
	}
	return c
}

// include says whether an ENI belongs to a resource: one that names it, or one
// that names none yet and has its UID, since its creation may be open, and it
// adopts what carries its UID. A resource that names another ENI has no use for
// this one, though it carries its UID.
func (c claims) include(eni candidate) bool {
	return c.named[eni.id] || c.seeking[eni.uid]
}

// judge says what becomes of one ENI without a resource, if there were no limit.
func judge(in input, eni candidate) finding {
	before := in.seen[eni.id]
	age := in.now.Sub(born(in, eni))
	f := finding{id: eni.id, uid: eni.uid, age: age, tries: before.tries}
	switch {
	case age <= in.grace:
		f.verdict, f.reason = verdictYoung, fmt.Sprintf("it is not older than the grace period of %s", in.grace)
	case eni.attached:
		f.verdict, f.reason = verdictAttached, "it is attached: detach it if nobody uses it, and it is deleted"
	case !before.ripe:
		f.verdict, f.reason = verdictSeenOnce, "it is deleted if the next sweep shows the same"
	case in.uninstalling:
		f.verdict, f.reason = verdictUninstalling, "nothing is deleted while the operator's CRDs are missing or being removed"
	case len(in.resources) == 0:
		f.verdict, f.reason = verdictNoResources, "nothing is deleted while Kubernetes shows no ElasticNetworkInterface at all"
	case in.dryRun:
		f.verdict, f.reason = verdictDryRun, "it would be deleted, but this is a dry run"
	default:
		f.verdict, f.reason = verdictDelete, "no resource stands for it, as two sweeps have shown"
	}
	return f
}

// born is when an ENI came to be: when its tag says so, but not after a sweep
// showed it. Where the tag is missing or malformed it is as young as can be.
func born(in input, eni candidate) time.Time {
	since := in.now
	if before, again := in.seen[eni.id]; again {
		since = before.since
	}
	if eni.createdAt.IsZero() || eni.createdAt.After(since) {
		return since
	}
	return eni.createdAt
}

// allow keeps the deletions to a limit. Those that failed before go last, so that
// they do not stand in the way of others.
func allow(findings []finding, limit int) {
	slices.SortFunc(findings, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.tries, b.tries), strings.Compare(a.id, b.id))
	})
	left := limit
	for i := range findings {
		f := &findings[i]
		switch {
		case f.verdict != verdictDelete:
		case left > 0:
			left--
		default:
			f.verdict, f.reason = verdictOverLimit, fmt.Sprintf("at most %d ENIs are deleted in one sweep", limit)
		}
	}
}

// remember is the sighting that a finding makes.
func remember(in input, f finding) sighting {
	s := sighting{since: in.now, tries: f.tries, verdict: f.verdict}
	if before, again := in.seen[f.id]; again {
		s.since = before.since
	}
	s.ripe = f.verdict != verdictYoung && f.verdict != verdictAttached
	return s
}
