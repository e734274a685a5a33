/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
)

func TestWallClockStepsAndTheMonotonicDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newWallClock()
		before, real := c.Now(), time.Now()
		c.step(-26 * time.Hour)
		time.Sleep(time.Minute)
		after := c.Now()
		assert.Equal(t, after.Sub(before), time.Minute, "by the monotonic reading")
		assert.Equal(t, c.Since(before), time.Minute)
		assert.Equal(t, after.Round(0).Sub(before.Round(0)), time.Minute-26*time.Hour, "by the wall clock")
		assert.Assert(t, before.Round(0).Equal(real))
		c.set(0)
		assert.Assert(t, c.Now().Round(0).Equal(time.Now()))
	})
}

// TestStoriesAreTheirSeeds: the same seed makes up the same story, and leaving a step
// out changes no other.
func TestStoriesAreTheirSeeds(t *testing.T) {
	assert.DeepEqual(t, makeUp(7), makeUp(7))
	assert.Assert(t, makeUp(7).Length != makeUp(8).Length)
	for _, step := range makeUp(7).Steps {
		assert.Equal(t, adversaryNamed(step.Adversary).name, step.Adversary)
	}
}
