/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package garbagecollection

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/inventory"
	"github.com/eni-operator/eni-operator/pkg/uninstall"
	"github.com/eni-operator/eni-operator/test/emulator"
)

func TestLeakedENIIsDeletedAfterTwoSweeps(t *testing.T) {
	cluster := kubernetes(t, eniResource("other", "eni-other"))
	w := newWorld(t, options(), cluster, cluster)
	deletedBefore := metric(t, "eni_operator_leaked_enis_deleted_total")
	leak := w.eni(leakedTags("leaked"))

	w.sweeps(1)
	assert.Assert(t, w.exists(leak))
	assert.Equal(t, metric(t, "eni_operator_leaked_enis"), 1.0)
	assert.Equal(t, len(w.lines.with(`"Found leaked ENI"`, leak, `"node"="node-1"`, `"eni"="name-of-leaked"`)), 1, "%v", w.lines.all)

	w.sweeps(1)
	assert.Assert(t, !w.exists(leak))
	assert.Equal(t, len(w.lines.with(`"Deleting leaked ENI"`, leak)), 1, "%v", w.lines.all)
	assert.Equal(t, metric(t, "eni_operator_leaked_enis_deleted_total")-deletedBefore, 1.0)

	w.sweeps(1)
	assert.Equal(t, metric(t, "eni_operator_leaked_enis"), 0.0)
	assert.Equal(t, len(w.lines.all), 2, "%v", w.lines.all)
	assert.DeepEqual(t, w.calls(true), deletions(leak))
	assert.DeepEqual(t, w.calls(false), slices.Repeat([]string{"DescribeNetworkInterfaces"}, 3))
}

func TestLeakedENIIsGivenItsGrace(t *testing.T) {
	cluster := kubernetes(t, eniResource("other", "eni-other"))
	w := newWorld(t, options(func(o *Options) { o.Grace = 25 * time.Minute }), cluster, cluster)
	created := w.eni(with(leakedTags("a"), ec2.TagCreatedAt, now.Format(time.RFC3339)))
	untold := w.eni(without(leakedTags("b"), ec2.TagCreatedAt))
	garbled := w.eni(with(leakedTags("c"), ec2.TagCreatedAt, "yesterday"))

	// The created-at tag makes the first old at 30 min, the others were seen first at
	// 10 min and are old at 40; each is then seen so once more.
	w.sweeps(3)
	assert.DeepEqual(t, w.calls(true), []string(nil))
	assert.Equal(t, metric(t, "eni_operator_leaked_enis"), 1.0)
	w.sweeps(1)
	assert.DeepEqual(t, w.calls(true), deletions(created))
	w.sweeps(1)
	gone := deletions(untold, garbled)
	slices.Sort(gone)
	assert.DeepEqual(t, w.calls(true)[1:], gone)
}

func TestOthersAreNeverTouched(t *testing.T) {
	cluster := kubernetes(t, eniResource("open", ""))
	w := newWorld(t, options(func(o *Options) { o.Grace = 50 * time.Minute }), cluster, cluster)
	instance, primary := w.instance()
	_, taggedPrimary := w.instance()
	assert.NilError(t, w.CreateTags(t.Context(), taggedPrimary, leakedTags("primary")))
	others := map[string]string{
		"without tags":                           w.eni(nil),
		"of another cluster's name":              w.eni(with(leakedTags("a"), ec2.TagCluster, "staging")),
		"of our name, but another cluster's UID": w.eni(with(leakedTags("b"), ec2.TagClusterUID, "cluster-2")),
		"with our cluster's UID alone":           w.eni(map[string]string{ec2.TagClusterUID: us.clusterUID}),
		"retained":                               w.eni(with(leakedTags("c"), ec2.TagDeletionPolicy, "Retain")),
		"retained, in a person's words":          w.eni(with(leakedTags("d"), ec2.TagDeletionPolicy, "retain")),
		"attached":                               w.eni(leakedTags("e")),
		"young":                                  w.eni(with(leakedTags("f"), ec2.TagCreatedAt, now.Format(time.RFC3339))),
		"without created-at":                     w.eni(without(leakedTags("g"), ec2.TagCreatedAt)),
		"of an open creation":                    w.eni(leakedTags("open")),
		"named by its resource":                  w.eni(leakedTags("named")),
		"primary":                                primary,
		"primary with our tags":                  taggedPrimary,
	}
	w.attach(others["attached"], instance)
	assert.NilError(t, cluster.Create(t.Context(), eniResource("named", others["named by its resource"])))
	leak := w.eni(leakedTags("leaked"))
	w.sweeps(1) // EC2 is settled: nothing is pending or attaching any more.
	before := w.enis()

	w.sweeps(4)
	after := w.enis()
	for what, id := range others {
		assert.DeepEqual(t, after[id], before[id])
		assert.Assert(t, after[id].ID == id, "the ENI %s is gone", what)
	}
	assert.DeepEqual(t, w.calls(true), deletions(leak))
	assert.Equal(t, metric(t, "eni_operator_leaked_enis"), 0.0)
	assert.Equal(t, metric(t, "eni_operator_attached_orphan_enis"), 2.0)
	const found = `"Found attached ENI that no resource stands for"`
	assert.Equal(t, len(w.lines.with(found, others["attached"])), 1, "%v", w.lines.all)
	assert.Equal(t, len(w.lines.with(found)), 2, "%v", w.lines.all)
}

func TestDetachedOrphanIsDeleted(t *testing.T) {
	cluster := kubernetes(t, eniResource("other", "eni-other"))
	w := newWorld(t, options(), cluster, cluster)
	instance, _ := w.instance()
	leak := w.eni(leakedTags("leaked"))
	attachment := w.attach(leak, instance)
	w.sweeps(3)
	assert.Assert(t, w.exists(leak))
	assert.NilError(t, w.DetachNetworkInterface(t.Context(), attachment, false))
	w.sweeps(1)
	assert.Assert(t, w.exists(leak), "only one sweep showed it detached")
	w.sweeps(1)
	assert.Assert(t, !w.exists(leak))
}

func TestKubernetesItselfDecides(t *testing.T) {
	other := func() client.Object { return eniResource("other", "eni-other") }
	t.Run("a resource that the cache lacks keeps its ENI", func(t *testing.T) {
		live := kubernetes(t, other())
		w := newWorld(t, options(), kubernetes(t, other()), live)
		kept, leak := w.eni(leakedTags("kept")), w.eni(leakedTags("leaked"))
		assert.NilError(t, live.Create(t.Context(), eniResource("kept", kept)))
		w.sweeps(3)
		assert.Assert(t, w.exists(kept))
		assert.DeepEqual(t, w.calls(true), deletions(leak))
	})
	t.Run("a cache that is empty does not mean that Kubernetes is", func(t *testing.T) {
		w := newWorld(t, options(), kubernetes(t), kubernetes(t, other()))
		leak := w.eni(leakedTags("leaked"))
		w.sweeps(2)
		assert.Assert(t, !w.exists(leak))
	})
	t.Run("a cache with resources does not mean that Kubernetes has any", func(t *testing.T) {
		w := newWorld(t, options(), kubernetes(t, other()), kubernetes(t))
		w.eni(leakedTags("leaked"))
		w.sweeps(4)
		assert.DeepEqual(t, w.calls(true), []string(nil))
	})
	t.Run("every page counts", func(t *testing.T) {
		store := kubernetes(t)
		var kept string
		live := lists(store, func(_ context.Context, _ client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			asked := (&client.ListOptions{}).ApplyOptions(options)
			page := list.(*v1alpha1.ElasticNetworkInterfaceList) //nolint:forcetypeassert // the only kind that is listed
			switch asked.Continue {
			case "":
				page.Items, page.Continue = []v1alpha1.ElasticNetworkInterface{*eniResource("other", "eni-other")}, "more"
			case "more":
				page.Items = []v1alpha1.ElasticNetworkInterface{*eniResource("kept", kept)}
			}
			return nil
		})
		w := newWorld(t, options(), kubernetes(t), live)
		kept = w.eni(leakedTags("kept"))
		leak := w.eni(leakedTags("leaked"))
		w.sweeps(3)
		assert.DeepEqual(t, w.calls(true), deletions(leak))
	})
	t.Run("nothing is deleted while it does not answer", func(t *testing.T) {
		store, down := kubernetes(t, other()), true
		live := lists(store, func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if down {
				return errors.New("down")
			}
			return c.List(ctx, list, options...)
		})
		w := newWorld(t, options(), store, live)
		leak := w.eni(leakedTags("leaked"))
		w.sweeps(1)
		assert.ErrorContains(t, w.sweep(), "down")
		assert.DeepEqual(t, w.calls(true), []string(nil))
		down = false
		w.sweeps(1)
		assert.DeepEqual(t, w.calls(true), deletions(leak))
	})
	t.Run("it is not asked while nothing is to go", func(t *testing.T) {
		live := lists(kubernetes(t), func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			return errors.New("asked")
		})
		w := newWorld(t, options(), kubernetes(t, other()), live)
		w.eni(with(leakedTags("young"), ec2.TagCreatedAt, now.Add(24*time.Hour).Format(time.RFC3339)))
		w.eni(with(leakedTags("kept"), ec2.TagDeletionPolicy, "Retain"))
		w.sweeps(2)
	})
}

func TestNothingIsDeletedWithoutAnyResource(t *testing.T) {
	cluster := kubernetes(t)
	w := newWorld(t, options(), cluster, cluster)
	leak := w.eni(leakedTags("leaked"))
	w.sweeps(5)
	assert.DeepEqual(t, w.calls(true), []string(nil))
	assert.Equal(t, metric(t, "eni_operator_leaked_enis"), 1.0)
	assert.Equal(t, len(w.lines.with(leak, "Kubernetes shows no ElasticNetworkInterface at all")), 1, "%v", w.lines.all)

	assert.NilError(t, cluster.Create(t.Context(), eniResource("other", "")))
	w.sweeps(1)
	assert.DeepEqual(t, w.calls(true), deletions(leak))
}

func TestNothingIsDeletedWhileCRDsGo(t *testing.T) {
	other := []client.Object{eniResource("other", "eni-other")}
	for _, name := range uninstall.Definitions {
		t.Run(name+" goes", func(t *testing.T) {
			objects := crds()
			at := slices.IndexFunc(objects, func(crd client.Object) bool { return crd.GetName() == name })
			deleted := metav1.NewTime(now)
			objects[at].SetDeletionTimestamp(&deleted)
			objects[at].SetFinalizers([]string{"customresourcecleanup.apiextensions.k8s.io"})
			testUninstalling(t, build(t, objects, other))
		})
		t.Run(name+" is gone", func(t *testing.T) {
			objects := slices.DeleteFunc(crds(), func(crd client.Object) bool { return crd.GetName() == name })
			testUninstalling(t, build(t, objects, other))
		})
	}
}

func testUninstalling(t *testing.T, cluster client.Reader) {
	t.Helper()
	w := newWorld(t, options(), cluster, cluster)
	leak := w.eni(leakedTags("leaked"))
	w.sweeps(3)
	assert.DeepEqual(t, w.calls(true), []string(nil))
	assert.Equal(t, len(w.lines.with(leak, "CRDs")), 1, "%v", w.lines.all)
}

func TestDryRunOnlyReports(t *testing.T) {
	cluster := kubernetes(t, eniResource("other", "eni-other"))
	w := newWorld(t, options(func(o *Options) { o.DryRun = true }), cluster, cluster)
	leak := w.eni(leakedTags("leaked"))
	w.sweeps(5)
	assert.DeepEqual(t, w.calls(true), []string(nil))
	assert.Equal(t, metric(t, "eni_operator_leaked_enis"), 1.0)
	assert.Equal(t, len(w.lines.with(`"Found leaked ENI"`, leak, "dry run")), 1, "%v", w.lines.all)
}

func TestDeletionsOfOneSweepAreLimited(t *testing.T) {
	cluster := kubernetes(t, eniResource("other", "eni-other"))
	w := newWorld(t, options(), cluster, cluster)
	for range 23 {
		w.eni(leakedTags("leaked"))
	}
	for sweep, want := range []int{0, 10, 20, 23, 23} {
		w.sweeps(1)
		assert.Equal(t, len(w.calls(true)), want, "after sweep %d", sweep+1)
	}
}

func TestSweepsWithinTheIntervalDoNotCount(t *testing.T) {
	cluster := kubernetes(t, eniResource("other", "eni-other"))
	w := newWorld(t, options(func(o *Options) { o.Interval = 2 * interval }), cluster, cluster)
	leak := w.eni(leakedTags("leaked"))
	w.sweeps(2)
	assert.DeepEqual(t, w.calls(true), []string(nil))
	w.sweeps(1)
	assert.DeepEqual(t, w.calls(true), deletions(leak))
}

func TestFailedDeletions(t *testing.T) {
	cluster := kubernetes(t, eniResource("other", "eni-other"))
	tests := []struct {
		name  string
		fault emulator.Fault
		// calls of the sweep with the fault, which meets the first call alone, and of
		// the next one, of three ENIs.
		first, second int
		// deleted is how many deletions EC2 confirmed.
		deleted float64
	}{
		{"throttled: not the moment for others", emulator.Fault{Code: "RequestLimitExceeded", Status: 503}, 1, 3, 3},
		{"not allowed: the others neither", emulator.Fault{Code: "UnauthorizedOperation", Status: 403}, 1, 3, 3},
		{"in use after all: the others go", emulator.Fault{Code: "InvalidParameterValue"}, 3, 1, 3},
		{"gone already: the others go", emulator.Fault{Code: "InvalidNetworkInterfaceID.NotFound"}, 3, 1, 3},
		{"answer lost: a sweep will tell", emulator.Fault{LoseAnswer: true}, 1, 2, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, options(), cluster, cluster)
			deletedBefore := metric(t, "eni_operator_leaked_enis_deleted_total")
			var leaks []string
			for range 3 {
				leaks = append(leaks, w.eni(leakedTags("leaked")))
			}
			w.sweeps(1)
			test.fault.Action, test.fault.Count = "DeleteNetworkInterface", 1
			w.server.AddFault(test.fault)
			w.sweeps(1)
			assert.Equal(t, len(w.calls(true)), test.first)
			assert.Equal(t, len(w.lines.with(`"Leaked ENI was not deleted"`)), 1, "%v", w.lines.all)
			w.sweeps(1)
			assert.Equal(t, len(w.calls(true)), test.first+test.second)
			for _, leak := range leaks {
				assert.Assert(t, !w.exists(leak))
			}
			assert.Equal(t, metric(t, "eni_operator_leaked_enis_deleted_total")-deletedBefore, test.deleted)
		})
	}
}

// ENIs that EC2 never lets go of do not take all deletions of a sweep for ever.
func TestStuckENIsDoNotStopOthers(t *testing.T) {
	cluster := kubernetes(t, eniResource("other", "eni-other"))
	w := newWorld(t, options(), cluster, cluster)
	var leaks []string
	for range minDeletions + 1 {
		leaks = append(leaks, w.eni(leakedTags("leaked")))
	}
	slices.Sort(leaks)
	for _, stuck := range leaks[:minDeletions] {
		w.server.AddFault(emulator.Fault{
			Action: "DeleteNetworkInterface", Params: map[string]string{"NetworkInterfaceId": stuck}, Code: "InvalidParameterValue",
		})
	}
	last := leaks[minDeletions]
	w.sweeps(2)
	assert.Assert(t, w.exists(last), "ten others were tried first")
	w.sweeps(1)
	assert.Assert(t, !w.exists(last))
}

// The collector of a manager hears of the sweeps by itself, until it is stopped.
func TestStart(t *testing.T) {
	cluster := kubernetes(t, eniResource("other", "eni-other"))
	looked := make(chan struct{})
	cache := lists(cluster, func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		looked <- struct{}{}
		return c.List(ctx, list, options...)
	})
	w := newWorld(t, options(), cache, cluster)
	assert.Assert(t, w.collector.NeedLeaderElection())
	leak := w.eni(leakedTags("leaked"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() { ended <- w.collector.Start(ctx) }()

	// A third look begins when the second one's deletions are made.
	for range 3 {
		w.clock.SetTime(w.clock.Now().Add(interval))
		assert.NilError(t, w.inventory.Sweep(t.Context()))
		<-looked
	}
	assert.Assert(t, !w.exists(leak))
	cancel()
	assert.NilError(t, <-ended)
}

// While the collector is busy, or stands by, the latest sweep replaces earlier ones.
func TestOnlyTheLatestSweepWaits(t *testing.T) {
	cluster := kubernetes(t)
	w := newWorld(t, options(), cluster, cluster)
	for range 3 {
		w.clock.SetTime(w.clock.Now().Add(interval))
		assert.NilError(t, w.inventory.Sweep(t.Context()))
	}
	swept := <-w.collector.sweeps
	assert.Equal(t, swept.At, now.Add(3*interval))
	select {
	case another := <-w.collector.sweeps:
		t.Fatalf("the sweep of %s waits too", another.At)
	default:
	}
}

// A sweep that fails tells nothing.
func TestFailedSweepIsNotHeardOf(t *testing.T) {
	cluster := kubernetes(t)
	w := newWorld(t, options(), cluster, cluster)
	w.server.AddFault(emulator.Fault{Action: "DescribeNetworkInterfaces", Code: "InternalError", Status: 500, Count: 1})
	assert.ErrorContains(t, w.inventory.Sweep(t.Context()), "InternalError")
	assert.Equal(t, len(w.collector.sweeps), 0)
	assert.NilError(t, w.inventory.Sweep(t.Context()))
	assert.Equal(t, len(w.collector.sweeps), 1)
}

// What was written a moment ago counts, though EC2 does not show it yet: an ENI
// that was just retained is not found at all.
func TestJustRetainedENIIsNoLeak(t *testing.T) {
	cluster := kubernetes(t, eniResource("other", "eni-other"))
	w := newWorld(t, options(), cluster, cluster)
	eni := w.eni(leakedTags("retained"))
	w.sweeps(1)
	ref := inventory.Ref{ID: eni, UID: leakedTags("retained")[ec2.TagUID]}
	assert.NilError(t, w.inventory.SetTags(t.Context(), ref, map[string]string{ec2.TagDeletionPolicy: "Retain"}, nil))
	// EC2 shows what was before for a while.
	assert.NilError(t, w.CreateTags(t.Context(), eni, map[string]string{ec2.TagDeletionPolicy: "Delete"}))
	w.server.ResetCalls()
	assert.NilError(t, w.inventory.Sweep(t.Context()))
	swept := <-w.collector.sweeps
	swept.At = swept.At.Add(interval)
	assert.NilError(t, w.collector.collect(t.Context(), swept))
	assert.DeepEqual(t, w.calls(true), []string(nil))
	assert.Equal(t, metric(t, "eni_operator_leaked_enis"), 0.0)
}
