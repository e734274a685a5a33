/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"testing"

	"gotest.tools/v3/assert"
)

// TestWithoutItems takes items out of an answer, with all that is in them, and nothing else.
func TestWithoutItems(t *testing.T) {
	const answer = `<Response><reservationSet><item><id>r-1</id><instancesSet>` +
		`<item><instanceId>i-1</instanceId><networkInterfaceSet><item><instanceId>i-2</instanceId></item></networkInterfaceSet></item>` +
		`<item><instanceId>i-2</instanceId></item></instancesSet></item></reservationSet><nextToken>t</nextToken></Response>`
	const left = `<Response><reservationSet><item><id>r-1</id><instancesSet>` +
		`<item><instanceId>i-2</instanceId></item></instancesSet></item></reservationSet><nextToken>t</nextToken></Response>`

	for _, row := range []struct{ name, omitted, want string }{
		{"one", "i-1", left},
		{"none", "i-3", answer},
	} {
		t.Run(row.name, func(t *testing.T) {
			found := withoutItems([]byte(answer), "instancesSet", "instanceId", func(id string) bool { return id == row.omitted })
			assert.Equal(t, string(found), row.want)
		})
	}
}
