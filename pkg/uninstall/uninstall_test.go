/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package uninstall

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"gotest.tools/v3/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

const clusterUID = "11111111-2222-3333-4444-555555555555"

// world is a cluster with one of each kind, and an emulated EC2.
func world(t *testing.T) *Uninstaller {
	t.Helper()
	server := httptest.NewServer(emulator.New(emulator.Options{}))
	t.Cleanup(server.Close)
	for key, value := range map[string]string{
		"AWS_ENDPOINT_URL_EC2": server.URL, "AWS_REGION": "us-east-1",
		"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret",
	} {
		t.Setenv(key, value)
	}
	api, err := ec2.NewClient(t.Context(), ec2.DefaultLimits())
	assert.NilError(t, err)
	scheme := runtime.NewScheme()
	assert.NilError(t, v1alpha1.AddToScheme(scheme))
	kept := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Finalizers: []string{v1alpha1.Finalizer}}
	}
	claim := &v1alpha1.ENIClaim{ObjectMeta: kept("web-0")}
	claim.Namespace = "shop"
	objects := []client.Object{
		&v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: "general"}},
		&v1alpha1.ENIPool{ObjectMeta: kept("node-1")},
		claim,
	}
	return &Uninstaller{
		Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build(),
		EC2:    api, ClusterUID: clusterUID, Log: logr.Discard(),
	}
}

// addENI creates an ENI in EC2 and a resource that stands for it; known says
// whether the resource's status names it.
func (u *Uninstaller) addENI(t *testing.T, name string, known bool) string {
	t.Helper()
	subnets, err := u.EC2.DescribeSubnets(t.Context())
	assert.NilError(t, err)
	eni := &v1alpha1.ElasticNetworkInterface{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: types.UID("uid-of-" + name), Finalizers: []string{v1alpha1.Finalizer},
	}}
	created, err := u.EC2.CreateNetworkInterface(t.Context(), ec2.CreateInput{
		SubnetID: subnets[0].ID, ClientToken: name,
		Tags: ec2.Ownership{ClusterUID: clusterUID, Name: name, UID: string(eni.UID), DeletionPolicy: "Delete"}.Tags(nil),
	})
	assert.NilError(t, err)
	if known {
		eni.Status.NetworkInterfaceID = created.ID
	}
	assert.NilError(t, u.Client.Create(t.Context(), eni))
	return created.ID
}

func TestAbandonRetainsEveryENIAndLetsGo(t *testing.T) {
	u := world(t)
	u.addENI(t, "known", true)
	u.addENI(t, "answer-lost", false)
	gone := &v1alpha1.ElasticNetworkInterface{ObjectMeta: metav1.ObjectMeta{Name: "gone", Finalizers: []string{v1alpha1.Finalizer}}}
	gone.Status.NetworkInterfaceID = "eni-0123456789abcdef0"
	assert.NilError(t, u.Client.Create(t.Context(), gone))

	assert.NilError(t, u.Abandon(t.Context()))

	inEC2, err := u.EC2.DescribeNetworkInterfaces(t.Context(), ec2.OwnedFilter(clusterUID))
	assert.NilError(t, err)
	assert.Equal(t, len(inEC2), 2)
	for _, eni := range inEC2 {
		assert.Equal(t, eni.Tags[ec2.TagDeletionPolicy], "Retain", eni.Tags[ec2.TagName])
	}
	for _, list := range []client.ObjectList{&v1alpha1.ElasticNetworkInterfaceList{}, &v1alpha1.ENIPoolList{}, &v1alpha1.ENIClaimList{}} {
		assert.NilError(t, u.Client.List(t.Context(), list))
		assert.Assert(t, len(objectsOf(list)) > 0)
		for _, object := range objectsOf(list) {
			assert.Equal(t, len(object.GetFinalizers()), 0, object.GetName())
		}
	}
}

func TestAbandonKeepsWhatItCouldNotMark(t *testing.T) {
	u := world(t)
	u.addENI(t, "known", true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorContains(t, u.Abandon(ctx), "context canceled")
	list := &v1alpha1.ElasticNetworkInterfaceList{}
	assert.NilError(t, u.Client.List(t.Context(), list))
	assert.Equal(t, len(list.Items[0].Finalizers), 1)
}

func TestDeleteWaitsForTheOperator(t *testing.T) {
	u := world(t)
	ctx, cancel := context.WithCancel(t.Context())
	finished := make(chan error)
	go func() { finished <- u.Delete(ctx) }()

	// The operator's part: what is deleted is let go, and pools go with their policy.
	pool := &v1alpha1.ENIPool{}
	assert.NilError(t, u.Client.Get(t.Context(), client.ObjectKey{Name: "node-1"}, pool))
	claims := &v1alpha1.ENIClaimList{}
	for deleted := false; !deleted; {
		policies, err := u.count(t.Context(), &v1alpha1.ENIPolicyList{})
		assert.NilError(t, err)
		assert.NilError(t, u.Client.List(t.Context(), claims))
		deleted = policies == 0 && !claims.Items[0].DeletionTimestamp.IsZero()
	}
	assert.NilError(t, u.letGo(t.Context(), pool))
	assert.NilError(t, u.Client.Delete(t.Context(), pool))
	select {
	case err := <-finished:
		t.Fatalf("a claim still has its finalizer, and nobody would remove it: %v", err)
	case <-time.After(2 * poll):
	}
	assert.NilError(t, u.letGo(t.Context(), &claims.Items[0]))
	assert.NilError(t, <-finished)
	cancel()
}

// TestWhatIsLeft is each pool and ENI, one that was just made and has no finalizer yet included,
// and of the claims those that would wait for the operator.
func TestWhatIsLeft(t *testing.T) {
	u := world(t)
	bare := metav1.ObjectMeta{Name: "bare", Namespace: "shop"}
	assert.NilError(t, u.Client.Create(t.Context(), &v1alpha1.ENIClaim{ObjectMeta: bare}))
	bare.Namespace = ""
	assert.NilError(t, u.Client.Create(t.Context(), &v1alpha1.ENIPool{ObjectMeta: bare}))
	assert.NilError(t, u.Client.Create(t.Context(), &v1alpha1.ElasticNetworkInterface{ObjectMeta: bare}))
	for _, row := range []struct {
		list client.ObjectList
		want int
	}{{&v1alpha1.ENIPoolList{}, 2}, {&v1alpha1.ElasticNetworkInterfaceList{}, 1}, {&v1alpha1.ENIClaimList{}, 1}} {
		left, err := u.count(t.Context(), row.list)
		assert.NilError(t, err)
		assert.Equal(t, left, row.want, "%T", row.list)
	}
}

// TestCRDsThatAreGoneHaveNoResources: whoever deleted the CRDs first may be left
// with some of them.
func TestCRDsThatAreGoneHaveNoResources(t *testing.T) {
	u := world(t)
	u.addENI(t, "known", true)
	u.Client = interceptor.NewClient(u.Client.(client.WithWatch), interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			switch list.(type) {
			case *v1alpha1.ENIClaimList:
				return &meta.NoKindMatchError{GroupKind: v1alpha1.GroupVersion.WithKind("ENIClaim").GroupKind()}
			case *v1alpha1.ENIPoolList:
				return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("enipools").GroupResource(), "")
			default:
				return c.List(ctx, list, options...)
			}
		},
	})
	assert.NilError(t, u.Abandon(t.Context()))
	list := &v1alpha1.ElasticNetworkInterfaceList{}
	assert.NilError(t, u.Client.List(t.Context(), list))
	assert.Equal(t, len(list.Items[0].Finalizers), 0)
}

func TestDeleteSaysWhatIsLeft(t *testing.T) {
	u := world(t)
	ctx, cancel := context.WithCancel(t.Context())
	u.Log = funcr.New(func(_, args string) {
		if strings.Contains(args, `"left"=2`) {
			cancel() // It has counted, and would wait.
		}
	}, funcr.Options{})
	assert.ErrorContains(t, u.Delete(ctx), "2 pools, ENIs and claims are left; is the operator running?")
}
