/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package serving

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// TestOpenConnectionsAreNoFailure: a connection on which nothing was asked yet, as the
// API server keeps some, counts as busy for longer than the operator may take to end.
func TestOpenConnectionsAreNoFailure(t *testing.T) {
	w := newWorld(t)
	webhooks := freeAddress(t)
	_, port, _ := strings.Cut(webhooks, ":")
	o := w.start(plane.KubeconfigPath, "--leader-elect=true", "--enable-webhooks", "--webhook-host=127.0.0.1", "--webhook-port="+port,
		"--webhook-secret="+unique(t))
	o.awaitReady()
	holder := func() string {
		lease := &coordinationv1.Lease{}
		name := types.NamespacedName{Namespace: namespace, Name: "eni-operator.networking.eni-operator.dev"}
		if err := w.kube.Get(t.Context(), name, lease); err != nil {
			return ""
		}
		return ptr.Deref(lease.Spec.HolderIdentity, "")
	}
	eventually(t, func() error {
		if holder() == "" {
			return errors.New("nobody leads")
		}
		return nil
	})
	idle, err := tls.Dial("tcp", webhooks, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // loopback
	assert.NilError(t, err)
	defer func() { _ = idle.Close() }()
	assert.NilError(t, o.process.Stop())
	assert.NilError(t, o.process.Wait())
	assert.Equal(t, holder(), "", "the lease is released")
}
