/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

const (
	nodeInstance     = "i-0000000000000000a"
	nodelessInstance = "i-0000000000000000b"
)

func TestWhatIsExpectedOfEC2(t *testing.T) {
	node := func(providerID string) corev1.Node { return corev1.Node{Spec: corev1.NodeSpec{ProviderID: providerID}} }
	pool := func(instance, instanceType string) v1alpha1.ENIPool {
		return v1alpha1.ENIPool{
			Spec:   v1alpha1.ENIPoolSpec{InstanceID: instance},
			Status: v1alpha1.ENIPoolStatus{InstanceType: instanceType, AvailabilityZone: "us-east-1b", ENIs: []v1alpha1.PoolENI{{SubnetID: "subnet-2"}}},
		}
	}
	eni := func(id string, change func(*v1alpha1.ElasticNetworkInterface)) v1alpha1.ElasticNetworkInterface {
		one := v1alpha1.ElasticNetworkInterface{Spec: v1alpha1.ElasticNetworkInterfaceSpec{InstanceID: nodeInstance}}
		one.Status.NetworkInterfaceID = id
		change(&one)
		return one
	}
	expected := expectedOf(
		[]corev1.Node{node("aws:///us-east-1a/" + nodeInstance), node("eks-hybrid:///eu-west-1/cluster/node"), node("")},
		[]v1alpha1.ENIPool{pool(nodeInstance, "m5.large"), pool(nodelessInstance, "m5.large"), pool("i-0000000000000000c", "")},
		[]v1alpha1.ElasticNetworkInterface{
			eni("eni-1", func(*v1alpha1.ElasticNetworkInterface) {}),
			eni("eni-primary", func(e *v1alpha1.ElasticNetworkInterface) { e.Spec.DeviceIndex = ptr.To[int32](0) }),
			eni("eni-going", func(e *v1alpha1.ElasticNetworkInterface) {
				e.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
				e.Status.SubnetID = "subnet-1"
			}),
			eni("", func(e *v1alpha1.ElasticNetworkInterface) { e.Status.AvailabilityZone = "us-east-1c" }),
		})
	assert.DeepEqual(t, expected, inventory.Expected{
		Zones:     []string{"us-east-1a", "us-east-1b", "us-east-1c"},
		Instances: []string{nodeInstance},
		ENIs:      []inventory.ExpectedENI{{ID: "eni-1", InstanceID: nodeInstance}},
		Subnets:   []string{"subnet-1", "subnet-2"},
	})
}

// Region is that of the operator in these tests.
func (*sweptEC2) Region() string { return "us-west-2" }

// TestAWrongRegionKeepsTheReplicaReady expects the readiness probe to pass, and a
// request for details to name the wrong Region.
func TestAWrongRegionKeepsTheReplicaReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &sweptEC2{}
		var zones atomic.Pointer[[]string]
		zones.Store(&[]string{"us-east-1a"})
		inv := inventory.New(api, inventory.Options{Expected: func(context.Context) (inventory.Expected, error) {
			return inventory.Expected{Zones: *zones.Load()}, nil
		}})
		a := newAuditor(inv, nil, 10*time.Minute, logr.Discard())
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- a.Start(ctx) }()
		synctest.Wait()
		handler := &healthz.Handler{Checks: map[string]healthz.Checker{trustCheck: onDemand(trustCheck, ec2Trusted(inv))}}
		get := func(path string) int {
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, http.NoBody))
			return answer.Code
		}
		assert.Equal(t, inv.Trust().Reason, v1alpha1.ReasonOtherRegion)
		assert.Equal(t, get("/"), http.StatusOK)
		assert.Equal(t, get("/?verbose"), http.StatusInternalServerError)
		assert.Equal(t, get("/"+trustCheck), http.StatusInternalServerError)

		zones.Store(&[]string{"us-west-2a"})
		time.Sleep(2 * distrustedInterval)
		assert.Equal(t, inv.Trust().Reason, v1alpha1.ReasonEC2Agrees, "looked at soon, not at the next audit")
		assert.Equal(t, get("/?verbose"), http.StatusOK)
		cancel()
		assert.NilError(t, <-ended)
	})
}
