/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

func aStuckDetachIsForced(t *testing.T) {
	const limit = 2 * time.Second
	w := newWorldApart(t, emulator.Timings{SickDetach: emulator.Span{Min: time.Hour, Max: time.Hour}})
	startOperator(t, w, w.http.URL, "--force-detach-after="+limit.String()).awaitReady()
	s := w.tell(t, "stuck")
	node, instance := s.machine("m5.large")
	s.create(s.policy(sharing(3, 9)))
	pool := s.awaitReady(node)
	eni := s.resourcesOf(node, v1alpha1.ModeShared)[0]
	id, attachment := eni.Status.NetworkInterfaceID, eni.Status.Attachment.ID

	assert.Assert(t, w.server.SetSick(region, instance, true))
	s.remove(t.Context(), s.policy())
	s.awaitENI(&eni, "is detaching", func() error { return differ("state", eni.Status.State, v1alpha1.ENIDetaching) })
	s.awaitGone(t.Context(), &eni)
	s.awaitGone(t.Context(), pool)
	calls := s.operatorCalls("DetachNetworkInterface", attachment)
	assert.Equal(t, len(calls), 2)
	assert.Equal(t, calls[0].Params.Get("Force"), "")
	assert.Equal(t, calls[1].Params.Get("Force"), "true")
	// The status tells whole seconds, so that the wait may seem one longer than it was.
	assert.Assert(t, calls[1].Time.Sub(calls[0].Time) >= limit-time.Second, "forced after %s", calls[1].Time.Sub(calls[0].Time))
	assert.Assert(t, s.eni(t.Context(), id) == nil)
	s.end()
}
