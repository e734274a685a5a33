/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestRefusalsDiffer asserts that the text of a refusal ends in a message which is
// another one each time, but not that of a read.
func TestRefusalsDiffer(t *testing.T) {
	w := newWorld(t, unthrottled())
	w.server.Deny(emulator.AnyAction)
	refusal := func(call func() error) string {
		var known smithy.APIError
		assert.Assert(t, errors.As(call(), &known))
		assert.Equal(t, known.ErrorCode(), "UnauthorizedOperation")
		return known.ErrorMessage()
	}
	write := func() error { return w.tryTags(noENI) }
	first, second := refusal(write), refusal(write)
	const start = "You are not authorized to perform this operation. " +
		"User: arn:aws:iam::123456789012:user/emulator is not authorized to perform: ec2:CreateTags " +
		"on resource: arn:aws:ec2:us-east-1:123456789012:network-interface/" + noENI +
		" because no identity-based policy allows the ec2:CreateTags action. Encoded authorization failure message: "
	assert.Assert(t, strings.HasPrefix(first, start), first)
	assert.Assert(t, strings.HasPrefix(second, start), second)
	assert.Assert(t, first != second)
	assert.Equal(t, refusal(func() error { _, err := w.DescribeVpcs(w.ctx(), &ec2.DescribeVpcsInput{}); return err }),
		"You are not authorized to perform this operation. "+
			"User: arn:aws:iam::123456789012:user/emulator is not authorized to perform: ec2:DescribeVpcs "+
			"because no identity-based policy allows the ec2:DescribeVpcs action")
}

// TestKeepingThePast asserts that a stale fault shows what was before it was added,
// if the past is kept.
func TestKeepingThePast(t *testing.T) {
	for _, kept := range []time.Duration{0, time.Minute} {
		t.Run(kept.String(), func(t *testing.T) {
			w := newWorld(t, unthrottled())
			subnetID := w.subnet("10.0.0.0/24")
			w.server.SetKeepPast(kept)
			w.clock.Step(time.Second)
			w.eni(subnetID)
			w.clock.Step(10 * time.Second)
			w.describeAll()
			w.server.AddFault(emulator.Fault{Action: "DescribeNetworkInterfaces", Stale: 11 * time.Second})
			want := 1
			if kept > 0 {
				want = 0
			}
			assert.Equal(t, len(w.describeAll()), want)
		})
	}
}

func (w *world) describeAll() []types.NetworkInterface {
	w.t.Helper()
	return must(w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{})).NetworkInterfaces
}
