/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package index

import (
	"context"
	"testing"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

const instance = "i-0123456789abcdef0"

// indexer registers the operator's indexes with a fake client.
type indexer struct{ *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	i.WithIndex(object, field, extract)
	return nil
}

// kubeWith returns a Kubernetes with one Node for each providerID, by its name.
func kubeWith(t *testing.T, nodes map[string]string) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(corev1.SchemeGroupVersion, &corev1.Node{}, &corev1.NodeList{})
	assert.NilError(t, v1alpha1.AddToScheme(scheme))
	builder := fake.NewClientBuilder().WithScheme(scheme)
	for name, providerID := range nodes {
		builder.WithObjects(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: providerID}})
	}
	assert.NilError(t, Register(t.Context(), indexer{builder}))
	return builder.Build()
}

func TestNodeNaming(t *testing.T) {
	const this, another = "aws:///us-east-1a/" + instance, "aws:///us-east-1a/i-0fedcba9876543210"
	for _, test := range []struct {
		name   string
		cached map[string]string
		live   map[string]string
		want   string
	}{
		{"no Node", nil, nil, ""},
		{"a Node of any name", map[string]string{"a": another, "b": this}, map[string]string{"a": another, "b": this}, "b"},
		{"the cache shows one that is gone", map[string]string{"b": this}, nil, ""},
		{"the cache shows one that names another instance by now", map[string]string{"b": this}, map[string]string{"b": another}, ""},
		{"one of two is gone", map[string]string{"a": this, "b": this}, map[string]string{"b": this}, "b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, err := NodeNaming(t.Context(), kubeWith(t, test.cached), kubeWith(t, test.live), instance)
			assert.NilError(t, err)
			assert.Equal(t, found, test.want)
		})
	}
}
