/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestAnENIThatStaysAway is looked for soon, and then less and less often: EC2 may show no
// ENI of a whole fleet for long.
func TestAnENIThatStaysAway(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3, PoolName: poolName, InstanceID: w.instance})
	w.mustSettle()
	w.api = &withoutENIs{Client: w.api}
	w.restart()
	var waits []time.Duration
	for end := w.clock.Now().Add(10 * time.Minute); w.clock.Now().Before(end); {
		result, err := w.once()
		assert.NilError(t, err)
		assert.Assert(t, result.RequeueAfter > 0)
		waits = append(waits, result.RequeueAfter)
		w.clock.Step(result.RequeueAfter)
	}
	assert.Equal(t, waits[0], absencePoll)
	assert.Equal(t, waits[len(waits)-1], longestPoll)
	assert.Assert(t, len(waits) < 40, "%v", waits)
}

// withoutENIs is an EC2 that shows no ENI.
type withoutENIs struct{ ec2.Client }

func (w *withoutENIs) DescribeNetworkInterfaces(context.Context, ...ec2.Filter) ([]ec2.NetworkInterface, error) {
	return nil, nil
}
