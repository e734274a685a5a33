/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"testing"

	"gotest.tools/v3/assert"
)

func TestLimitsOfAnAccountTakeThePlaceOfTheDefaults(t *testing.T) {
	limits, err := DefaultLimits().With("AttachNetworkInterface=100:20, CreateNetworkInterface=1:0.5,")
	assert.NilError(t, err)
	assert.Equal(t, limits.of(ActionAttach), Limit{Bucket: 100, PerSecond: 20})
	assert.Equal(t, limits.of(ActionCreate), Limit{Bucket: 1, PerSecond: 0.5})
	assert.Equal(t, limits.of(ActionAssign), DefaultLimits().of(ActionAssign))
	assert.Equal(t, DefaultLimits().of(ActionCreate), Limit{Bucket: 100, PerSecond: 5})
	limits, err = DefaultLimits().With("")
	assert.NilError(t, err)
	assert.DeepEqual(t, limits, DefaultLimits())
}

func TestBadLimitsSayWhatIsWrong(t *testing.T) {
	for _, text := range []string{"", "=", "=100", "=100:", "=:5", "=0:5", "=-1:5", "=100:0", "=100:-1", "=100:NaN", "=100:+Inf", "=1e3:5", "=100:5:5", "=a:b"} {
		_, err := DefaultLimits().With(ActionCreate + text)
		assert.ErrorContains(t, err, "CreateNetworkInterface"+text+": must be ACTION=BUCKET:PER-SECOND", "%q", text)
	}
	_, err := DefaultLimits().With("CreateNetworkinterface=100:5")
	assert.ErrorContains(t, err, `"CreateNetworkinterface" is no EC2 action of the operator's: there are AssignPrivateIpAddresses, `)
	assert.ErrorContains(t, err, "AttachNetworkInterface")
}
