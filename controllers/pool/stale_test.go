/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"context"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/events/eventstest"
)

// kubernetes is an API server that has these ENIs.
func kubernetes(t *testing.T, enis ...v1alpha1.ElasticNetworkInterface) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	assert.NilError(t, v1alpha1.AddToScheme(scheme))
	builder := fake.NewClientBuilder().WithScheme(scheme)
	for i := range enis {
		builder.WithObjects(enis[i].DeepCopy())
	}
	return builder.Build()
}

// TestConfirmENIs: an ENI that must not be missed is gone only if Kubernetes itself
// does not have it, whatever the cache shows.
func TestConfirmENIs(t *testing.T) {
	version := func(resourceVersion, id string) v1alpha1.ElasticNetworkInterface {
		eni := readyENI(1, v1alpha1.ModeShared)
		eni.ResourceVersion, eni.Status.NetworkInterfaceID = resourceVersion, id
		return eni
	}
	moved := version("7", "eni-1")
	moved.Spec.NodeName = "another"
	type enis = []v1alpha1.ElasticNetworkInterface
	later := func(f *fixture) {
		f.entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive, func(e *v1alpha1.PoolENI) { e.Generation = 2 })
	}
	recorded := func(f *fixture) {
		f.entry(1, v1alpha1.ModeShared, v1alpha1.PoolENIActive, func(e *v1alpha1.PoolENI) { e.NetworkInterfaceID = "eni-1" })
	}
	lostRecord := func(f *fixture) {
		f.pool.Status = v1alpha1.ENIPoolStatus{}
		f.claim("a", 0, boundTo(1, "10.0.1.1"), func(claim *v1alpha1.ENIClaim) { claim.Status.NetworkInterfaceID = "eni-1" })
	}
	for _, row := range []struct {
		name   string
		record func(*fixture)
		cached enis
		live   enis
		stale  bool
	}{
		{"shown as recorded", recorded, enis{version("7", "eni-1")}, nil, false},
		{"not shown, but there", recorded, nil, enis{version("7", "eni-1")}, true},
		{"not shown, and gone", recorded, nil, nil, false},
		{"not shown, since it moved to another node", recorded, nil, enis{moved}, false},
		{"shown as an earlier ENI of its name", recorded, enis{version("3", "eni-0")}, enis{version("7", "eni-1")}, true},
		{"shown from before it had an id", recorded, enis{version("3", "")}, enis{version("7", "eni-1")}, true},
		{"shown, but gone meanwhile", recorded, enis{version("3", "")}, nil, true},
		{"another one by now, and Kubernetes agrees", recorded, enis{version("7", "eni-2")}, enis{version("7", "eni-2")}, false},
		{"shown as older than recorded, and so it was", later, enis{version("3", "eni-1")}, enis{version("7", "eni-1")}, true},
		{"shown as older than recorded, and there is no later one", later, enis{version("7", "eni-1")}, enis{version("7", "eni-1")}, false},
		{"not recorded", func(*fixture) {}, nil, enis{version("7", "eni-1")}, false},
		{"record lost, named by a bound claim, not shown, but there", lostRecord, nil, enis{version("7", "eni-1")}, true},
		{"record lost, named by a bound claim, shown", lostRecord, enis{version("7", "eni-1")}, enis{version("7", "eni-1")}, false},
		{"record lost, shown as it was", lostRecord, enis{version("3", "eni-1")}, enis{version("7", "eni-1")}, true},
		{"record lost, named by a bound claim, gone", lostRecord, nil, nil, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture().change(row.record)
			f.enis = row.cached
			r := &Reconciler{live: kubernetes(t, row.live...)}
			err := r.confirmENIs(context.Background(), f.pool, &f.observation)
			assert.Equal(t, apierrors.IsConflict(err), row.stale, "%v", err)
			assert.Equal(t, err != nil, row.stale, "%v", err)
		})
	}
}

// TestCreateAlreadyExists: what was decided without an ENI that is there is not
// carried on with, or the pool would grow beyond its maximum.
func TestCreateAlreadyExists(t *testing.T) {
	there := readyENI(1, v1alpha1.ModeShared)
	cluster := kubernetes(t, there)
	r := &Reconciler{client: cluster, live: cluster}
	o := newFixture().observation
	err := r.changeENIs(context.Background(), o, decision{creates: []newENI{
		{name: eniName(1), mode: v1alpha1.ModeExclusive}, {name: eniName(2), mode: v1alpha1.ModeShared, count: 9},
	}})
	assert.Assert(t, apierrors.IsConflict(err), "%v", err)
	err = r.client.Get(context.Background(), client.ObjectKey{Name: eniName(2)}, &v1alpha1.ElasticNetworkInterface{})
	assert.Assert(t, apierrors.IsNotFound(err), "%v", err)
}

// TestCreateNameTaken: an ENI of others is no reason to try without a pause.
func TestCreateNameTaken(t *testing.T) {
	there := readyENI(1, v1alpha1.ModeShared)
	there.Spec.NodeName = "another"
	cluster, recorder := kubernetes(t, there), events.NewFakeRecorder(1)
	r := &Reconciler{client: cluster, live: cluster, events: eventstest.Recorder(recorder)}
	err := r.changeENIs(t.Context(), newFixture().observation, decision{creates: []newENI{{name: eniName(1), mode: v1alpha1.ModeShared, count: 9}}})
	assert.ErrorContains(t, err, eniName(1)+" exists and is not this pool's")
	assert.Assert(t, !apierrors.IsConflict(err))
	assert.Assert(t, strings.Contains(<-recorder.Events, "NameTaken"))
}
