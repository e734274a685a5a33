/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package garbagecollection

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
	"k8s.io/apimachinery/pkg/types"
)

var (
	now = time.Date(2026, time.March, 4, 12, 0, 0, 0, time.UTC)
	us  = identity{cluster: "prod", clusterUID: "cluster-1"}
	// another resource, so that Kubernetes shows one.
	another = resource{uid: "uid-other", eniID: "eni-other"}
)

const grace = 10 * time.Minute

// leaked is an ENI that is deleted if nothing is changed about it.
func leaked(id string) candidate {
	return candidate{id: id, owner: us, uid: types.UID("uid-" + id), createdAt: now.Add(-time.Hour)}
}

// situation is one in which every leaked ENI is deleted.
func situation(enis ...candidate) input {
	in := input{identity: us, enis: enis, resources: []resource{another}, now: now, grace: grace, seen: map[string]sighting{}}
	for _, eni := range enis {
		in.seen[eni.id] = sighting{since: now.Add(-5 * time.Minute), ripe: true, verdict: verdictSeenOnce}
	}
	return in
}

// ofNobody is the verdict of an ENI that is not among the findings.
const ofNobody = verdict("")

func TestPlan(t *testing.T) {
	first := func(change func(*input, *candidate)) func(*input) {
		return func(in *input) { change(in, &in.enis[0]) }
	}
	tests := []struct {
		name   string
		change func(*input)
		want   verdict
	}{
		{"leaked", func(*input) {}, verdictDelete},
		{"without tags of ours", first(func(_ *input, eni *candidate) { eni.owner, eni.uid = identity{}, "" }), ofNobody},
		{"another cluster's name", first(func(_ *input, eni *candidate) { eni.owner.cluster = "staging" }), ofNobody},
		{"our name, another cluster's UID", first(func(_ *input, eni *candidate) { eni.owner.clusterUID = "cluster-2" }), ofNobody},
		{"without the tag uid", first(func(_ *input, eni *candidate) { eni.uid = "" }), ofNobody},
		{"retained", first(func(_ *input, eni *candidate) { eni.retained = true }), ofNobody},
		{"attached", first(func(_ *input, eni *candidate) { eni.attached = true }), verdictAttached},
		{"attached at the last sweep", first(func(in *input, eni *candidate) {
			in.seen[eni.id] = sighting{since: now.Add(-time.Hour), verdict: verdictAttached}
		}), verdictSeenOnce},

		{"as old as the grace period", first(func(_ *input, eni *candidate) { eni.createdAt = now.Add(-grace) }), verdictYoung},
		{"just older than the grace period", first(func(_ *input, eni *candidate) { eni.createdAt = now.Add(-grace - 1) }), verdictDelete},
		{"old now, young at the last sweep", first(func(in *input, eni *candidate) {
			in.seen[eni.id] = sighting{since: now.Add(-11 * time.Minute), verdict: verdictYoung}
		}), verdictSeenOnce},
		{"not seen at the last sweep", func(in *input) { clear(in.seen) }, verdictSeenOnce},
		{"no created-at, never seen before", first(func(in *input, eni *candidate) {
			eni.createdAt = time.Time{}
			clear(in.seen)
		}), verdictYoung},
		{"no created-at, seen within the grace period", first(func(in *input, eni *candidate) {
			eni.createdAt = time.Time{}
			in.seen[eni.id] = sighting{since: now.Add(-grace), ripe: true}
		}), verdictYoung},
		{"no created-at, seen longer ago", first(func(in *input, eni *candidate) {
			eni.createdAt = time.Time{}
			in.seen[eni.id] = sighting{since: now.Add(-grace - 1), ripe: true}
		}), verdictDelete},
		{"created-at in the future is as good as none", first(func(in *input, eni *candidate) {
			eni.createdAt = now.Add(time.Hour)
			in.seen[eni.id] = sighting{since: now.Add(-grace - 1), ripe: true}
		}), verdictDelete},

		{"its resource names it", first(func(in *input, eni *candidate) {
			in.resources = append(in.resources, resource{uid: eni.uid, eniID: eni.id})
		}), ofNobody},
		{"its resource names none yet", first(func(in *input, eni *candidate) {
			in.resources = append(in.resources, resource{uid: eni.uid})
		}), ofNobody},
		{"its resource names another", first(func(in *input, eni *candidate) {
			in.resources = append(in.resources, resource{uid: eni.uid, eniID: "eni-2"})
		}), verdictDelete},
		{"another resource names it", first(func(in *input, eni *candidate) {
			in.resources = append(in.resources, resource{uid: "uid-2", eniID: eni.id})
		}), ofNobody},
		{"another resource names none yet", func(in *input) {
			in.resources = append(in.resources, resource{uid: "uid-2"})
		}, verdictDelete},

		{"no resource at all", func(in *input) { in.resources = nil }, verdictNoResources},
		{"a CRD goes", func(in *input) { in.uninstalling = true }, verdictUninstalling},
		{"dry run", func(in *input) { in.dryRun = true }, verdictDryRun},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := situation(leaked("eni-1"))
			test.change(&in)
			got := ofNobody
			decided := plan(in)
			if len(decided.findings) > 0 {
				got = decided.findings[0].verdict
			}
			assert.Equal(t, got, test.want)
			_, remembered := decided.seen["eni-1"]
			assert.Equal(t, remembered, test.want != ofNobody, "remembered")
		})
	}
}

// An ENI's way from its leak to its end, sweep by sweep, and what interrupts it.
func TestPlanRemembers(t *testing.T) {
	const sweep = 10 * time.Minute
	claimed := func(in *input) { in.resources = append(in.resources, resource{uid: "uid-eni-1"}) }
	attached := func(in *input) { in.enis[0].attached = true }
	hidden := func(in *input) { in.enis = nil }
	as := func(*input) {}
	tests := []struct {
		name   string
		sweeps []func(*input)
		want   []verdict
	}{
		{"undisturbed", []func(*input){as, as, as, as}, []verdict{verdictYoung, verdictSeenOnce, verdictDelete, verdictDelete}},
		{"claimed for a while", []func(*input){as, as, claimed, as, as}, []verdict{verdictYoung, verdictSeenOnce, ofNobody, verdictSeenOnce, verdictDelete}},
		{"attached for a while", []func(*input){as, as, attached, as, as}, []verdict{verdictYoung, verdictSeenOnce, verdictAttached, verdictSeenOnce, verdictDelete}},
		{"not shown for a while", []func(*input){as, as, hidden, as, as}, []verdict{verdictYoung, verdictSeenOnce, ofNobody, verdictSeenOnce, verdictDelete}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			seen, at := map[string]sighting{}, now
			var got []verdict
			for _, change := range test.sweeps {
				in := situation(leaked("eni-1"))
				in.seen, in.now, in.enis[0].createdAt = seen, at, now.Add(-time.Minute)
				change(&in)
				decided := plan(in)
				seen, at = decided.seen, at.Add(sweep)
				what := ofNobody
				if len(decided.findings) > 0 {
					what = decided.findings[0].verdict
				}
				got = append(got, what)
			}
			assert.DeepEqual(t, got, test.want)
		})
	}
}

func TestPlanLimit(t *testing.T) {
	tests := []struct {
		name                     string
		leaked, claimed, foreign int
		want                     int
	}{
		{"a few", 3, 0, 0, 3},
		{"ten of few", 50, 0, 0, 10},
		{"five per cent of many", 100, 900, 0, 50},
		{"five per cent, rounded down", 100, 199, 0, 14},
		{"of ours alone", 50, 0, 5000, 10},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var enis []candidate
			for i := range test.leaked {
				enis = append(enis, leaked(fmt.Sprintf("eni-a%04d", i)))
			}
			for i := range test.claimed {
				enis = append(enis, leaked(fmt.Sprintf("eni-b%04d", i)))
			}
			for i := range test.foreign {
				foreign := leaked(fmt.Sprintf("eni-c%04d", i))
				foreign.owner.cluster = "staging"
				enis = append(enis, foreign)
			}
			in := situation(enis...)
			for _, eni := range enis[test.leaked : test.leaked+test.claimed] {
				in.resources = append(in.resources, resource{uid: eni.uid, eniID: eni.id})
			}
			deleted, over := count(plan(in), verdictDelete), count(plan(in), verdictOverLimit)
			assert.Equal(t, deleted, test.want)
			assert.Equal(t, deleted+over, test.leaked)
		})
	}
}

// What cannot be deleted does not keep others from it.
func TestPlanLeavesFailuresForLast(t *testing.T) {
	var enis []candidate
	for i := range 12 {
		enis = append(enis, leaked(fmt.Sprintf("eni-%02d", i)))
	}
	in := situation(enis...)
	for i := range 10 {
		before := in.seen[enis[i].id]
		before.tries = 1
		in.seen[enis[i].id] = before
	}
	var over []string
	for _, f := range plan(in).findings {
		if f.verdict == verdictOverLimit {
			over = append(over, f.id)
		}
	}
	assert.DeepEqual(t, over, []string{"eni-08", "eni-09"})
}

func count(d decision, what verdict) int {
	n := 0
	for _, f := range d.findings {
		if f.verdict == what {
			n++
		}
	}
	return n
}

// Whatever comes together, only what may be deleted is, and the order of the input
// changes nothing.
func TestPlanKeepsItsPromises(t *testing.T) {
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any number
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test
	deleted := 0
	for range 2000 {
		in := randomInput(random)
		decided := plan(in)
		mine := slices.DeleteFunc(slices.Clone(in.enis), func(eni candidate) bool { return eni.owner != us || eni.uid == "" })
		assert.Assert(t, count(decided, verdictDelete) <= max(10, len(mine)/20))
		for _, f := range decided.findings {
			if f.verdict != verdictDelete {
				continue
			}
			deleted++
			eni := in.enis[slices.IndexFunc(in.enis, func(eni candidate) bool { return eni.id == f.id })]
			before, again := in.seen[f.id]
			assert.Assert(t, eni.owner == us && eni.uid != "" && !eni.retained && !eni.attached, "%+v", eni)
			assert.Assert(t, again && before.ripe && f.age > in.grace, "%+v %+v", eni, before)
			assert.Assert(t, len(in.resources) > 0 && !in.dryRun && !in.uninstalling)
			for _, r := range in.resources {
				assert.Assert(t, r.eniID != eni.id && (r.uid != eni.uid || r.eniID != ""), "%+v %+v", eni, r)
			}
		}
		random.Shuffle(len(in.enis), func(i, j int) { in.enis[i], in.enis[j] = in.enis[j], in.enis[i] })
		random.Shuffle(len(in.resources), func(i, j int) { in.resources[i], in.resources[j] = in.resources[j], in.resources[i] })
		assert.Equal(t, written(plan(in)), written(decided))
	}
	assert.Assert(t, deleted > 0, "nothing was ever deleted, so that nothing was shown")
}

func randomInput(random *rand.Rand) input {
	in := input{identity: us, now: now, grace: grace, seen: map[string]sighting{}}
	in.dryRun, in.uninstalling = random.IntN(8) == 0, random.IntN(8) == 0
	for i := range random.IntN(40) {
		eni := candidate{
			id: fmt.Sprintf("eni-%02d", i), owner: us, uid: types.UID(fmt.Sprintf("uid-%02d", random.IntN(40))),
			createdAt: now.Add(-time.Duration(random.IntN(60)) * time.Minute),
			retained:  random.IntN(6) == 0, attached: random.IntN(6) == 0,
		}
		switch random.IntN(12) {
		case 0:
			eni.owner.cluster = "staging"
		case 1:
			eni.owner.clusterUID = "cluster-2"
		case 2:
			eni.uid = ""
		case 3:
			eni.createdAt = time.Time{}
		}
		in.enis = append(in.enis, eni)
		if random.IntN(4) > 0 {
			in.seen[eni.id] = sighting{
				since: now.Add(-time.Duration(random.IntN(60)) * time.Minute), ripe: random.IntN(3) > 0, tries: random.IntN(3),
			}
		}
	}
	for range random.IntN(20) {
		r := resource{uid: types.UID(fmt.Sprintf("uid-%02d", random.IntN(40)))}
		if random.IntN(2) == 0 {
			r.eniID = fmt.Sprintf("eni-%02d", random.IntN(40))
		}
		in.resources = append(in.resources, r)
	}
	return in
}

// written is a decision for people.
func written(d decision) string {
	var out strings.Builder
	for _, f := range d.findings {
		fmt.Fprintf(&out, "%s %s: %s\n", f.id, f.verdict, f.reason)
	}
	return out.String()
}

// Every verdict, with the words that the log gives people.
func TestPlanGolden(t *testing.T) {
	young, attached, once, named := leaked("eni-1-young"), leaked("eni-2-attached"), leaked("eni-3-once"), leaked("eni-4-named")
	young.createdAt = now.Add(-time.Minute)
	attached.attached = true
	retained, foreign := leaked("eni-5-retained"), leaked("eni-6-foreign")
	retained.retained, foreign.owner.clusterUID = true, "cluster-2"
	enis := []candidate{young, attached, once, named, retained, foreign}
	for i := range 11 {
		enis = append(enis, leaked(fmt.Sprintf("eni-7-leaked-%02d", i)))
	}
	slices.Reverse(enis)

	var out strings.Builder
	for _, scene := range []struct {
		title  string
		change func(*input)
	}{
		{"usually", func(*input) {}},
		{"dry run", func(in *input) { in.dryRun = true }},
		{"uninstalling", func(in *input) { in.uninstalling = true }},
		{"no resources", func(in *input) { in.resources = nil }},
	} {
		in := situation(enis...)
		in.resources = append(in.resources, resource{uid: named.uid, eniID: named.id})
		delete(in.seen, once.id)
		delete(in.seen, young.id)
		scene.change(&in)
		fmt.Fprintf(&out, "# %s\n%s\n", scene.title, written(plan(in)))
	}
	golden.Assert(t, out.String(), "plan.golden")
}
