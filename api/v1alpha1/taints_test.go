/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	"testing"

	"gotest.tools/v3/assert"
)

func TestWhyKeepTaint(t *testing.T) {
	const ours = "eni-operator.dev/"
	for _, row := range []struct {
		key, prefix string
		kept        bool
	}{
		{"eni-operator.dev/not-ready", ours, false},
		{"eni-operator.dev.example.com/not-ready", ours, true},
		{"dedicated", ours, true},
		{"dedicated", "", false},
		{"example.com/not-ready", "example.com/", false},
		{"node-role.kubernetes.io/control-plane", ours, true},
		{"node-role.kubernetes.io/control-plane", "", true},
		{"node.cloudprovider.kubernetes.io/uninitialized", "node.", true},
		{"node.cluster.x-k8s.io/uninitialized", "node.", false}, // Of Cluster API, by its own domain.
		{"k8s.io/x", "", true},
	} {
		assert.Equal(t, WhyKeepTaint(row.key, row.prefix) != "", row.kept, "%s with the prefix %q", row.key, row.prefix)
	}
}
