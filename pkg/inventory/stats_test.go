/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"errors"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// shownEC2 shows what it is told to.
type shownEC2 struct {
	ec2.Client
	enis []ec2.NetworkInterface
	err  error
}

func (s *shownEC2) DescribeNetworkInterfaces(context.Context, ...ec2.Filter) ([]ec2.NetworkInterface, error) {
	return s.enis, s.err
}

func (*shownEC2) DescribeSubnets(context.Context, ...ec2.Filter) ([]ec2.Subnet, error) {
	return []ec2.Subnet{{ID: "subnet-2", AvailabilityZone: "b", FreeAddresses: 7}}, nil
}

func TestStats(t *testing.T) {
	clk := clocktesting.NewFakePassiveClock(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	api := &shownEC2{enis: []ec2.NetworkInterface{{ID: "eni-1"}, {ID: "eni-2"}}}
	batched := map[string]int{}
	inv := New(api, Options{Clock: clk, Batched: func(action string, keys int) { batched[action] += keys }})
	assert.DeepEqual(t, inv.Stats(), Stats{})

	began := clk.Now()
	assert.NilError(t, inv.Sweep(t.Context()))
	assert.DeepEqual(t, inv.Stats(), Stats{ENIs: 2, SweptAt: began, Sweeps: 1}) // All was new, nothing had changed.

	clk.SetTime(began.Add(time.Hour))
	api.enis = []ec2.NetworkInterface{{ID: "eni-1", Addresses: []string{"10.0.0.9"}}}
	assert.NilError(t, inv.Sweep(t.Context())) // One has another address, the other is not there.
	api.err = errors.New("EC2 is down")
	assert.ErrorContains(t, inv.Sweep(t.Context()), "EC2 is down")
	_, _, err := inv.Subnet(t.Context(), "subnet-2")
	assert.NilError(t, err)
	done := inv.reserve("subnet-2", 2, 0)
	assert.DeepEqual(t, inv.Stats(), Stats{
		ENIs: 2, SweptAt: clk.Now(), Sweeps: 2, FailedSweeps: 1, Differences: 2,
		Subnets: []SubnetRoom{{ID: "subnet-2", AvailabilityZone: "b", Free: 5}},
	})
	done(nil)
	assert.Equal(t, inv.Stats().Subnets[0].Free, int32(5))
	assert.DeepEqual(t, batched, map[string]int{"DescribeSubnets": 1})
}
