/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"gotest.tools/v3/assert"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/elapsed"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/index"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

// cloud is an EC2 with one m5.large, which has a primary ENI and others.
type cloud struct {
	ec2.Client
	state  string
	groups []string
	// found are the groups that any selector term finds.
	found  []string
	others map[string]ec2.Slot
	enis   []ec2.NetworkInterface
	// silent has no answer show an ENI, though instances show what they carry.
	silent bool
}

func (c *cloud) DescribeNetworkInterfaces(_ context.Context, filters ...ec2.Filter) ([]ec2.NetworkInterface, error) {
	if c.silent {
		return nil, nil
	}
	if len(filters) > 0 && filters[0].Name == ec2.AttachedTo("").Name {
		return append(slices.Clone(c.enis), ec2.NetworkInterface{ID: "eni-primary", SubnetID: subnetA}), nil
	}
	byID := len(filters) > 0 && filters[0].Name == ec2.ByID().Name
	if byID && !slices.ContainsFunc(c.enis, func(eni ec2.NetworkInterface) bool { return eni.ID == filters[0].Values[0] }) {
		return nil, &smithy.GenericAPIError{Code: "InvalidNetworkInterfaceID.NotFound"}
	}
	return c.enis, nil
}

func (c *cloud) DescribeInstances(_ context.Context, filters ...ec2.Filter) ([]ec2.Instance, error) {
	if len(filters) > 0 && filters[0].Name == ec2.CarriesENI("").Name {
		if _, carried := c.others[filters[0].Values[0]]; !carried {
			return nil, nil
		}
	}
	interfaces := map[string]ec2.Slot{"eni-primary": {}}
	maps.Copy(interfaces, c.others)
	state := c.state
	if state == "" {
		state = "running"
	}
	return []ec2.Instance{{
		ID: instanceID, Type: "m5.large", State: state, VPCID: "vpc", SubnetID: subnetA, AvailabilityZone: "us-east-1a", Interfaces: interfaces,
		Primary: ec2.NetworkInterface{
			ID: "eni-primary", SubnetID: subnetA, SecurityGroups: c.groups, Attachment: &ec2.Attachment{InstanceID: instanceID},
		},
	}}, nil
}

func (c *cloud) DescribeInstanceTypes(context.Context, []string) ([]ec2.InstanceType, error) {
	return []ec2.InstanceType{{Name: "m5.large", MaxENIs: 3, IPv4PerENI: 10, CardENIs: []int32{3}, Nitro: true}}, nil
}

func (c *cloud) DescribeSecurityGroups(context.Context, ...ec2.Filter) ([]string, error) {
	return c.found, nil
}

func (c *cloud) Backlog(string) (waiting, underway int) { return 0, 0 }
func (c *cloud) Limit(string) ec2.Limit                 { return ec2.Limit{Bucket: 100, PerSecond: 5} }

// indexed registers the operator's indexes with a fake client.
type indexed struct{ *fake.ClientBuilder }

func (i indexed) IndexField(_ context.Context, o client.Object, field string, extract client.IndexerFunc) error {
	i.WithIndex(o, field, extract)
	return nil
}

// cluster is a Kubernetes with these objects.
func cluster(t *testing.T, funcs interceptor.Funcs, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme, coordinationv1.AddToScheme} {
		assert.NilError(t, add(scheme))
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(funcs).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.ENIClaim{}, &v1alpha1.ENIPool{}, &v1alpha1.ElasticNetworkInterface{})
	assert.NilError(t, index.Register(t.Context(), indexed{builder}))
	return builder.Build()
}

// nodeGrace is how long a missing Node is waited for.
const nodeGrace = 5 * time.Minute

type noForecast struct{}

func (noForecast) Wait(...string) time.Duration { return 0 }
func (noForecast) Expect(...string)             {}

// reconcilerOn is a reconciler that reads a cache and, where it must, Kubernetes itself.
func reconcilerOn(t *testing.T, c *cloud, cache client.Client, live client.Reader) *Reconciler {
	t.Helper()
	clk := clocktesting.NewFakeClock(start)
	inv := inventory.New(c, inventory.Options{ClusterUID: "cluster", VisibilityWindow: 30 * time.Second, NetworkTTL: time.Minute, Clock: clk})
	assert.NilError(t, inv.Sweep(t.Context()))
	return &Reconciler{
		client: cache, live: live, inventory: inv, events: events.Discard, clock: clk, forecast: noForecast{},
		nodeless: elapsed.New(clk), queueLimit: newQueueLimit(),
		options: Options{MinDeviceIndex: 1, Cooldown: 30 * time.Second, IdleReleaseAfter: 10 * time.Minute, NodeGoneGrace: nodeGrace},
	}
}

// lose has EC2 say of an ENI that it is gone: it does not know the id when it is asked
// after the visibility window.
func (r *Reconciler) lose(t *testing.T, id string) {
	t.Helper()
	_, presence, err := r.inventory.Look(t.Context(), id)
	assert.NilError(t, err)
	assert.Equal(t, presence, inventory.Unknown)
	r.clock.(*clocktesting.FakeClock).Step(31 * time.Second)
	_, presence, err = r.inventory.Look(t.Context(), id)
	assert.NilError(t, err)
	assert.Equal(t, presence, inventory.Gone)
}

// storedPool is the pool of a fixture as Kubernetes has it.
func storedPool(f *fixture, change ...func(*v1alpha1.ENIPool)) *v1alpha1.ENIPool {
	pool := f.pool.DeepCopy()
	pool.Finalizers = []string{v1alpha1.Finalizer}
	for _, how := range change {
		how(pool)
	}
	return pool
}

func nodeWith(providerID string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}, Spec: corev1.NodeSpec{ProviderID: providerID}}
}

// renamedNode is a Node of another name than the pool's.
func renamedNode(providerID string) *corev1.Node {
	node := nodeWith(providerID)
	node.Name = "renamed"
	return node
}

const thisInstance = "aws:///us-east-1a/" + instanceID

func request() reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: nodeName}}
}

// claimIn reads a claim.
func claimIn(t *testing.T, c client.Client, name string) *v1alpha1.ENIClaim {
	t.Helper()
	claim := &v1alpha1.ENIClaim{}
	assert.NilError(t, c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, claim))
	return claim
}

// poolIn reads the pool.
func poolIn(t *testing.T, c client.Client) *v1alpha1.ENIPool {
	t.Helper()
	pool := &v1alpha1.ENIPool{}
	assert.NilError(t, c.Get(t.Context(), client.ObjectKey{Name: nodeName}, pool))
	return pool
}

// enisIn are the ENIs that are not being deleted.
func enisIn(t *testing.T, c client.Client) []v1alpha1.ElasticNetworkInterface {
	t.Helper()
	list := &v1alpha1.ElasticNetworkInterfaceList{}
	assert.NilError(t, c.List(t.Context(), list))
	var kept []v1alpha1.ElasticNetworkInterface
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp.IsZero() {
			kept = append(kept, list.Items[i])
		}
	}
	return kept
}
