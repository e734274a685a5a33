/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"
	"testing"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestANodeStandsForItsInstance under any name, and under its own while it names none.
func TestANodeStandsForItsInstance(t *testing.T) {
	const another = "aws:///us-east-1a/i-0fedcba9876543210"
	for _, test := range []struct {
		name  string
		nodes map[string]string // providerIDs; "this" is the one of the ENI's instance
		want  bool
	}{
		{"there is no Node", nil, false},
		{"the Node names the instance", map[string]string{nodeName: "this"}, true},
		{"the Node names no instance at the moment", map[string]string{nodeName: ""}, true},
		{"the Node names another instance", map[string]string{nodeName: another}, false},
		{"a Node of another name names the instance", map[string]string{"renamed": "this"}, true},
		{"so it does, and the Node names another one", map[string]string{"renamed": "this", nodeName: another}, true},
		{"a Node of another name names another instance", map[string]string{"renamed": another}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, newEndpoint(t), emulator.Options{})
			this := "aws:///us-east-1a/" + w.instance
			assert.NilError(t, w.kube.DeleteAllOf(t.Context(), &corev1.Node{}))
			for name, providerID := range test.nodes {
				if providerID == "this" {
					providerID = this
				}
				assert.NilError(t, w.kube.Create(t.Context(), &corev1.Node{
					ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: providerID},
				}))
			}
			stands, err := w.reconciler.nodeStands(t.Context(), nodeName, w.instance)
			assert.NilError(t, err)
			assert.Equal(t, stands, test.want)
		})
	}
}

// TestANodeStandsThatTheCacheDoesNotShowYet: Kubernetes itself knows the Node of the name.
func TestANodeStandsThatTheCacheDoesNotShowYet(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.reconciler.client = interceptor.NewClient(w.kube, interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return nil },
	})
	stands, err := w.reconciler.nodeStands(t.Context(), nodeName, w.instance)
	assert.NilError(t, err)
	assert.Assert(t, stands)
}
