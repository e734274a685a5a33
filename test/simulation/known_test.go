/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"strings"
	"testing"
)

// known are plots that broke a promise once, with what was wrong in the operator. The
// cause of each has a test of its own in the package where it was mended.
var known = []struct {
	name string
	seed uint64
}{
	{"a deleted pool lost its claims the moment its Node was away", 438844521006},
	{"the same on another schedule", 1068416778657},
	{"the same, and the ENIs went too", 762268019363},
	{"an ENI that was given away took its resource along, in use", 123249423920},
	{"the last holder of an address at rest passed for its holder", 827070046859},
	{"what vanished from a deleted ENI in use was never known", 382868626726},
	{"a deleted ENI in use forgot what it had lost", 624293792727},
	{"reads of a kind waited for ever after a list without events", 127811963697},
	{"an address was handed out before its earlier claim on the node said that it was lost", 673499641743},
	{"the same on two nodes", 133184160388},
	{"an ENI that somebody moved while the operator saw another account served claims", 236017272927},
}

// TestKnownStories plays them again.
func TestKnownStories(t *testing.T) {
	go watchdog()
	for _, row := range known {
		t.Run(row.name, func(t *testing.T) {
			one := playStory(t, plot(row.seed), "")
			if len(one.Broken) > 0 {
				t.Errorf("seed %d:\n%s\nbroken promises: %v", row.seed, strings.Join(one.Lines, "\n"), one.Broken)
			}
		})
	}
}
