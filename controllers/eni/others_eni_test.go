/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestAForeignENIIsNotDescribed: nothing of it gets into the status, so that no pool
// hands out its addresses; and its resource can be deleted.
func TestAForeignENIIsNotDescribed(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	foreign := w.foreignENI(theirTags())
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{Mode: v1alpha1.ModeShared, AddressCount: 3})
	w.nameENI(foreign)
	w.server.ResetCalls()

	for range 3 {
		result, err := w.once()
		assert.NilError(t, err)
		w.clock.Step(result.RequeueAfter)
	}
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False NotOwned")
	assert.Equal(t, len(w.eni().Status.Addresses), 0)
	w.delete()
	w.mustSettle()
	assert.Assert(t, !w.exists())
	assert.Equal(t, len(w.story()), 0, "%v", w.story())
}
