/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

func TestShortRegionName(t *testing.T) {
	for name, want := range map[string]string{
		"us-east-1": "use1", "ap-southeast-2": "apse2", "eu-central-1": "euc1", "us-gov-west-1": "usgw1", "me-south-1": "mes1",
	} {
		assert.Equal(t, shortRegionName(name), want)
	}
}

func TestIdentitiesAreUnique(t *testing.T) {
	g := &identities{seed: 42}
	ids, macs := make(map[string]bool), make(map[string]bool)
	for range 20_000 {
		ids[g.next("eni")] = true
		macs[g.mac()] = true
	}
	assert.Equal(t, len(ids), 20_000)
	assert.Equal(t, len(macs), 20_000)
	assert.Assert(t, wellFormed("eni", g.next("eni")))
	assert.Equal(t, len(g.next("eni")), len("eni-")+17)
}

func TestDiceStayWithinSpans(t *testing.T) {
	d := newDice(1)
	spans := DefaultTimings()
	distinct := make(map[time.Duration]bool)
	for range 100 {
		drawn := d.within(spans.Attach)
		assert.Assert(t, drawn >= spans.Attach.Min && drawn <= spans.Attach.Max)
		distinct[drawn] = true
	}
	assert.Assert(t, len(distinct) > 1)
	assert.Equal(t, d.within(Span{Min: time.Second}), time.Second)
}
