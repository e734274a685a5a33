/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestDeposedLeaderChangesNothing: whatever there is to do, an operator that does not
// lead any more sends no write to EC2, says nothing about it, in the status or as an
// error, and goes on where it was once it leads again.
func TestDeposedLeaderChangesNothing(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	for _, chapter := range life {
		w.deposed.Store(true)
		chapter.turn(w)
		calls := len(w.story())
		for range 5 {
			result, err := w.once()
			assert.NilError(t, err, chapter.name)
			assert.Assert(t, result.RequeueAfter > 0, "%s: it looks again", chapter.name)
		}
		assert.Equal(t, len(w.story()), calls, chapter.name)
		before := w.eni()
		_, err := w.once()
		assert.NilError(t, err)
		assert.DeepEqual(t, w.eni(), before)

		w.deposed.Store(false)
		w.mustSettle()
		chapter.end(w)
	}
}
