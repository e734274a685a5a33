/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package policy

import (
	"context"
	"slices"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	kubeevents "k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/elapsed"
	"github.com/eni-operator/eni-operator/pkg/events/eventstest"
	"github.com/eni-operator/eni-operator/pkg/index"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

// fakeCloud is what EC2 says of all instances, and whether it is believed.
type fakeCloud struct {
	presence inventory.Presence
	trust    inventory.Trust
	notify   func(inventory.Trust)
}

func (*fakeCloud) WaitForSync(context.Context) error { return nil }

func (c *fakeCloud) RefreshInstance(context.Context, string) (ec2.Instance, inventory.Presence, error) {
	return ec2.Instance{}, c.presence, nil
}

func (c *fakeCloud) Trust() inventory.Trust { return c.trust }

func (c *fakeCloud) SubscribeTrust(notify func(inventory.Trust)) { c.notify = notify }

// world is both controllers on a Kubernetes, behind a cache that may lag.
type world struct {
	client.WithWatch // Kubernetes as it is
	t                *testing.T
	clock            *clocktesting.FakeClock
	cloud            *fakeCloud
	recorder         *kubeevents.FakeRecorder
	nodes            *NodeReconciler
	policies         *StatusReconciler
	// hidden are Nodes that the cache does not show yet.
	hidden map[string]bool
	// hidesPolicies: the cache does not show the policies yet.
	hidesPolicies bool
}

type indexer struct{ *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	i.WithIndex(object, field, extract)
	return nil
}

// newWorld has the policy "general" for Nodes with the label "web", and these objects.
func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	assert.NilError(t, corev1.AddToScheme(scheme))
	assert.NilError(t, v1alpha1.AddToScheme(scheme))
	builder := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.ENIPolicy{}, &v1alpha1.ENIPool{})
	assert.NilError(t, index.Register(t.Context(), indexer{builder}))
	w := &world{
		WithWatch: builder.WithObjects(objects...).Build(), t: t, clock: clocktesting.NewFakeClock(start),
		cloud: &fakeCloud{presence: inventory.Present}, recorder: kubeevents.NewFakeRecorder(10), hidden: map[string]bool{},
	}
	w.restart()
	return w
}

// restart is another process: what the one before counted is gone.
func (w *world) restart() {
	cached := interceptor.NewClient(w.WithWatch, interceptor.Funcs{Get: w.getCached, List: w.listCached})
	w.nodes = &NodeReconciler{
		client: cached, live: w.WithWatch, inventory: w.cloud, clock: w.clock, watch: elapsed.New(w.clock),
		options: Options{StartupTaintPrefix: "example.com/", NodeGoneGrace: grace, IdleReleaseAfter: idle},
	}
	w.policies = &StatusReconciler{client: cached, inventory: w.cloud, taintPrefix: "example.com/", events: eventstest.Recorder(w.recorder)}
}

func (w *world) getCached(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, o ...client.GetOption) error {
	if _, isNode := object.(*corev1.Node); isNode && w.hidden[key.Name] {
		return c.Get(ctx, client.ObjectKey{Name: "hidden"}, object, o...)
	}
	return c.Get(ctx, key, object, o...)
}

func (w *world) listCached(ctx context.Context, c client.WithWatch, list client.ObjectList, o ...client.ListOption) error {
	err := c.List(ctx, list, o...)
	if nodes, ok := list.(*corev1.NodeList); ok {
		nodes.Items = slices.DeleteFunc(nodes.Items, func(node corev1.Node) bool { return w.hidden[node.Name] })
	}
	if policies, ok := list.(*v1alpha1.ENIPolicyList); ok && w.hidesPolicies {
		policies.Items = nil
	}
	return err
}

// reconcile looks at a Node, as often as its pool's changes ask for.
func (w *world) reconcile(name string) ctrl.Result {
	w.t.Helper()
	var result ctrl.Result
	for range 3 {
		var err error
		result, err = w.nodes.Reconcile(w.t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
		assert.NilError(w.t, err)
	}
	return result
}

func (w *world) pass(d time.Duration) { w.clock.Step(d) }

// poolOn is the pool of a Node, or nil.
func (w *world) poolOn(name string) *v1alpha1.ENIPool {
	w.t.Helper()
	pool := &v1alpha1.ENIPool{}
	err := w.Get(w.t.Context(), client.ObjectKey{Name: name}, pool)
	assert.NilError(w.t, client.IgnoreNotFound(err))
	if err != nil || !pool.DeletionTimestamp.IsZero() {
		return nil
	}
	return pool
}

// edit changes an object in Kubernetes.
func edit[T client.Object](w *world, object T, name string, how func(T)) {
	w.t.Helper()
	assert.NilError(w.t, w.Get(w.t.Context(), client.ObjectKey{Name: name}, object))
	how(object)
	assert.NilError(w.t, w.Update(w.t.Context(), object))
}

func general() *v1alpha1.ENIPolicy {
	return policyNamed("general", selecting("web"), func(policy *v1alpha1.ENIPolicy) { policy.Spec.StartupTaint = taint })
}

const taint = "example.com/wait"

// heldPool is the pool of a Node, ready and with a holder.
func heldPool(name string) *v1alpha1.ENIPool {
	pool := poolNamed(name, thisInstance, readyNow, holding(v1alpha1.HolderAllocated))
	pool.UID = types.UID("pool-" + name)
	pool.Finalizers = []string{v1alpha1.Finalizer}
	pool.Spec.ENITemplate = general().Spec.ENITemplate
	return &pool
}
