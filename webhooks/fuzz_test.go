/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package webhooks

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/index"
)

// indexed adds the cache's indexes to a fake client.
type indexed struct{ *fake.ClientBuilder }

func (i indexed) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	i.WithIndex(object, field, extract)
	return nil
}

// worldOf is a world of some objects.
func worldOf(tb testing.TB, objects ...client.Object) *world {
	tb.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			tb.Fatal(err)
		}
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...)
	if err := index.Register(tb.Context(), indexed{builder}); err != nil {
		tb.Fatal(err)
	}
	c := builder.Build()
	return &world{cached: c, live: c, options: Options{MinDeviceIndex: 1, InstanceType: ec2.PublishedLimits}}
}

// furnished is a world with one of everything, where something may be wrong.
func furnished(tb testing.TB) *world {
	tb.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node", Labels: map[string]string{"pool": "a", corev1.LabelInstanceTypeStable: "m5.large"}}}
	node.Spec.ProviderID = "aws:///us-east-1a/i-0123456789abcdef0"
	policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: "policy"}}
	policy.Spec.NodeSelector.MatchLabels = map[string]string{"pool": "a"}
	policy.Spec.Shared = &v1alpha1.SharedBounds{MinimumIPs: 4, MaximumIPs: 20}
	policy.Spec.ClaimNamespaceSelector = selecting(requirement("team", metav1.LabelSelectorOpExists))
	holder := &v1alpha1.ClaimReference{Namespace: "shop", Name: "web", UID: "1"}
	pool := &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: v1alpha1.ENIPoolSpec{NodeName: "node", PolicyName: "policy"}}
	pool.Status.Shared = &v1alpha1.SharedStatus{Allocated: 1}
	pool.Status.Addresses = []v1alpha1.PoolAddress{{Address: "10.0.0.9", ENIName: "eni", State: v1alpha1.HolderAllocated, Claim: holder}}
	eni := &v1alpha1.ElasticNetworkInterface{ObjectMeta: metav1.ObjectMeta{Name: "eni"}}
	eni.Spec = v1alpha1.ElasticNetworkInterfaceSpec{NodeName: "node", PoolName: "node"}
	eni.Status.SubnetCIDR, eni.Status.PrimaryAddress = "10.0.0.0/24", "10.0.0.5"
	eni.Status.Attachment = &v1alpha1.Attachment{InstanceID: "i-0123456789abcdef0", DeviceIndex: 1}
	claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "1"}, Spec: v1alpha1.ENIClaimSpec{NodeName: "node"}}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"team": "a"}}}
	return worldOf(tb, node, policy, pool, eni, claim, namespace)
}

// FuzzPolicy, FuzzPool, FuzzENI and FuzzClaim send whatever JSON there is through a
// validator as the API server would: it answers, and never panics.
func FuzzPolicy(f *testing.F) {
	w := furnished(f)
	fuzz(f, admission.WithValidator(w.cached.(client.Client).Scheme(), admission.Validator[*v1alpha1.ENIPolicy](&policyValidator{w})), //nolint:forcetypeassert // see worldOf
		`{"metadata":{"name":"p"},"spec":{"nodeSelector":{"matchLabels":{"pool":"a"}},"shared":{"minimumIPs":30,"maximumIPs":4}}}`,
		`{"metadata":{"name":"policy"},"spec":{"nodeSelector":{"matchExpressions":[{"key":"a","operator":"In","values":["b"]}]},"exclusive":{"minimum":9},"ipam":"none"}}`,
		`{"metadata":{"name":"policy"},"spec":{"startupTaint":"a/b","minDeviceIndex":0,"shared":{"addressType":"IPv4Prefix","minimumIPs":-5}}}`)
}

func FuzzPool(f *testing.F) {
	w := furnished(f)
	fuzz(f, admission.WithValidator(w.cached.(client.Client).Scheme(), admission.Validator[*v1alpha1.ENIPool](&poolValidator{w})), //nolint:forcetypeassert // see worldOf
		`{"metadata":{"name":"node"},"spec":{"nodeName":"node"},"status":{"addresses":[{"address":"10.0.0.9","state":"Allocated","claim":{"namespace":"a","name":"b"}}]}}`,
		`{"status":{"enis":[{"name":"e","claim":{"uid":"1"}}]}}`)
}

func FuzzENI(f *testing.F) {
	w := furnished(f)
	fuzz(f, admission.WithValidator(w.cached.(client.Client).Scheme(), admission.Validator[*v1alpha1.ElasticNetworkInterface](&eniValidator{world: w})), //nolint:forcetypeassert // see worldOf
		`{"metadata":{"name":"e"},"spec":{"nodeName":"node","deviceIndex":1,"networkCardIndex":31,"addressCount":5000}}`,
		`{"metadata":{"name":"eni"},"spec":{"nodeName":"node","poolName":"node","deviceIndex":-1}}`)
}

func FuzzClaim(f *testing.F) {
	w := furnished(f)
	fuzz(f, admission.WithValidator(w.cached.(client.Client).Scheme(), admission.Validator[*v1alpha1.ENIClaim](&claimValidator{w})), //nolint:forcetypeassert // see worldOf
		`{"metadata":{"name":"c","namespace":"shop"},"spec":{"nodeName":"node","mode":"Shared","address":"10.0.0.9"}}`,
		`{"metadata":{"name":"c"},"spec":{"nodeName":"../node","mode":"Both","address":"::1"}}`)
}

// fuzz has each seed tried in all operations, as the object and as what it was before.
func fuzz(f *testing.F, hook *admission.Webhook, seeds ...string) {
	f.Helper()
	for _, seed := range seeds {
		f.Add(seed, `{}`)
		f.Add(seed, seeds[0])
	}
	never := false
	hook.RecoverPanic = &never
	f.Fuzz(func(t *testing.T, now, before string) {
		for _, operation := range []admissionv1.Operation{admissionv1.Create, admissionv1.Update, admissionv1.Delete} {
			request := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
				UID: "1", Operation: operation, Object: runtime.RawExtension{Raw: []byte(now)}, OldObject: runtime.RawExtension{Raw: []byte(before)},
			}}
			response := hook.Handle(t.Context(), request)
			if response.Allowed || response.Result == nil {
				continue
			}
			if response.Result.Code >= 500 {
				t.Fatalf("%s of %s is answered with %+v", operation, now, response.Result)
			}
			if response.Result.Message == "" {
				t.Fatalf("%s of %s is refused without a word", operation, now)
			}
		}
	})
}

// FuzzSelectors has two selectors judged and compared: what is judged to be none
// selects nothing, and two that a label set satisfies are compatible.
func FuzzSelectors(f *testing.F) {
	f.Add(`{"matchLabels":{"pool":"a"}}`, `{"matchExpressions":[{"key":"pool","operator":"NotIn","values":["a"]}]}`, "pool", "a")
	f.Add(`{"matchExpressions":[{"key":"pool","operator":"Exists"}]}`, `{}`, "pool", "")
	f.Add(`{"matchExpressions":[{"key":"!","operator":"Equals","values":["a","a"]}]}`, `null`, "", "")
	f.Fuzz(func(t *testing.T, first, second, key, value string) {
		a, b := &metav1.LabelSelector{}, &metav1.LabelSelector{}
		if json.Unmarshal([]byte(first), a) != nil || json.Unmarshal([]byte(second), b) != nil {
			return
		}
		var v verdict
		v.judgeSelector(a, nodeSelectorPath)
		_, err := metav1.LabelSelectorAsSelector(a)
		if err != nil && len(v.refusals) == 0 {
			t.Fatalf("%s passes, and no controller can use it: %v", first, err)
		}
		for _, refusal := range v.refusals {
			if !strings.HasPrefix(refusal.Field, "spec.nodeSelector") {
				t.Fatalf("%s is refused for field %s", first, refusal.Field)
			}
		}
		for _, set := range []map[string]string{{key: value}, {}, a.MatchLabels, b.MatchLabels} {
			if matches(a, set) && matches(b, set) && !compatible(a, b) {
				t.Fatalf("%v satisfies %s and %s, which are said to be incompatible", set, first, second)
			}
		}
	})
}
